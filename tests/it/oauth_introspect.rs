//! Introspection and revocation: C105 to C112.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::TimeDelta;
use hallpass::{DenialReason, Expiry, Issue, RevocationReason, Tenant};

use crate::oauth_support::{Answer, Server, b_with, basic, form, post};
use crate::world::{Fault, Step, ci, run, start};

const INACTIVE: &str = "200\ncache-control: no-store\ncontent-type: application/json\n\
    pragma: no-cache\n\n{\"active\":false}";
const REVOKED: &str = "200\ncache-control: no-store\npragma: no-cache\n\n";

fn for_billing(server: &Server) -> String {
    let subject = server.issue("for billing", &["repo:write"]);
    server.token(post(), b_with(&subject, &[("audience", "billing")])).text_of("access_token")
}

#[test]
fn a_client_is_told_of_tokens_for_it() {
    let server = Server::new();
    let text = for_billing(&server);
    let id = text.split('_').nth(2).unwrap();
    let iat = start().as_micros() / 1_000_000;
    let exp = iat + 900;
    assert_eq!(
        server.introspect_as("billing", &text).text,
        format!(
            "200\ncache-control: no-store\ncontent-type: application/json\npragma: no-cache\n\n\
             {{\"active\":true,\"scope\":\"repo:read repo:write\",\"token_type\":\"Bearer\",\
             \"exp\":{exp},\"iat\":{iat},\"sub\":\"u1\",\"aud\":\"billing\",\
             \"iss\":\"https://acme.example\",\"jti\":\"{id}\"}}"
        )
    );
    // The client in the answer is the token's, not the asker's.
    let ok = server.ok();
    let told = server.introspect_as("gateway", ok.plain.expose());
    assert_eq!((&told.json()["active"], &told.json()["client_id"]), (&true.into(), &().into()));
    let app = server.world.issue(ci("app").for_client("writer"));
    let told = server.introspect_as("gateway", app.plain.expose());
    assert_eq!(told.json()["client_id"], "writer");
}

#[test]
fn c105_the_token_under_test_does_not_ask() {
    let server = Server::new();
    let ok = server.ok();
    let text = ok.plain.expose();
    let body = form(&[("token", text)]);
    server.introspect(post(), &body).is_invalid_client(true);
    for header in [format!("Bearer {text}"), basic(text, ""), basic("", text), basic("u1", text)] {
        let request = post().header("authorization", header);
        server.introspect(request, &body).is_invalid_client(true);
    }
    // Who cannot keep a secret proves nothing by its name.
    let named = form(&[("token", text), ("client_id", "phone")]);
    server.introspect(post(), named).is_invalid_client(true);
    assert_eq!(
        server.introspect_as("writer", text).text,
        "403\ncache-control: no-store\ncontent-type: application/json\npragma: no-cache\n\n\
         {\"error\":\"unauthorized_client\",\"error_description\":\"The client may not ask this\"}"
    );
}

#[test]
fn c106_one_token_is_asked_about() {
    let server = Server::new();
    let ok = server.ok();
    let text = ok.plain.expose();
    let ask = |body: String| {
        let request = post().header("authorization", server.basic("gateway"));
        server.introspect(request, body)
    };
    ask(String::new()).is_error("invalid_request");
    ask("token=".to_owned()).is_error("invalid_request");
    ask(format!("token={text}&token={text}")).is_error("invalid_request");
    let request = post().header("authorization", server.basic("gateway"));
    let in_query = request.uri(format!("/oauth/introspect?token={text}"));
    server.introspect(in_query, "").is_error("invalid_request");
    let get = post().method("GET").header("authorization", server.basic("gateway"));
    server.introspect(get, "").is_method_refused();
}

#[test]
fn c107_of_every_other_text_the_answer_is_the_same() {
    let server = Server::new();
    let world = &server.world;
    let other = Tenant::parse("other").unwrap();
    let foreign = world.issue(ci("foreign").tenant(other));
    let expired = world.issue(ci("expired").expiry(Expiry::In(TimeDelta::seconds(1))));
    let revoked = world.issue(ci("revoked"));
    let orphan = world.issue(Issue::new("orphan").owner("gone").scopes(["repo:read"]));
    let parent = world.issue(ci("parent"));
    let child = server.token(post(), b_with(&parent, &[])).text_of("access_token");
    let addressed = for_billing(&server);
    world.advance(TimeDelta::seconds(1));
    let requested = RevocationReason::Requested;
    for ended in [&revoked, &parent] {
        run(world.hallpass.revoke(&ended.token.id, requested)).unwrap();
    }
    world.owners.facts("gone", |facts| facts.active = false);
    let texts = [
        "garbage",
        "eyJhbGciOiJub25lIn0.e30.",
        expired.plain.expose(),
        revoked.plain.expose(),
        orphan.plain.expose(),
        foreign.plain.expose(),
        &child,
        &addressed,
    ];
    for text in texts {
        assert_eq!(server.introspect_as("gateway", text).text, INACTIVE, "{text}");
    }
    assert_eq!(server.introspect_as("elsewhere", &addressed).text, INACTIVE, "another tenant");
    assert_eq!(server.introspect_as("elsewhere", foreign.plain.expose()).json()["active"], true);
    let ok = server.ok();
    assert_eq!(server.introspect_as("billing", ok.plain.expose()).text, INACTIVE);
}

#[test]
fn c108_a_hint_hints() {
    let server = Server::new();
    let ok = server.ok();
    for hint in ["refresh_token", "access_token", "x", ""] {
        let request = post().header("authorization", server.basic("gateway"));
        let body = form(&[("token", ok.plain.expose()), ("token_type_hint", hint)]);
        assert_eq!(server.introspect(request, body).json()["active"], true, "{hint}");
    }
}

#[test]
fn c109_asking_is_no_use() {
    let server = Server::new();
    let ok = server.ok();
    for _ in 0..10_000 {
        assert_eq!(server.introspect_as("gateway", ok.plain.expose()).status, 200);
    }
    server.world.advance(TimeDelta::minutes(5));
    run(server.world.hallpass.maintain()).unwrap();
    assert_eq!(server.world.get(&ok).last_use, None);
}

#[test]
fn a_refresh_token_is_told_to_its_client_alone() {
    let server = Server::with(|_| {}, hallpass::oauth::OAuthBuilder::refresh_tokens);
    let hallpass = &server.world.hallpass;
    let granted = run(hallpass.issue_with_refresh(ci("app").for_client("gateway"))).unwrap();
    let text = granted.refresh.plain.expose();
    let told = server.introspect_as("gateway", text).json();
    assert_eq!((&told["active"], &told["token_type"]), (&true.into(), &().into()));
    let granted = run(hallpass.issue_with_refresh(ci("b").for_client("billing"))).unwrap();
    assert_eq!(server.introspect_as("gateway", granted.refresh.plain.expose()).text, INACTIVE);
}

fn revoke(server: &Server, text: &str) -> Answer {
    server.revoke(post(), form(&[("token", text)]))
}

#[test]
fn c110_revoking_is_answered_the_same_whatever_it_was() {
    let server = Server::new();
    let (ok, kept) = (server.ok(), server.world.token("kept"));
    assert_eq!(revoke(&server, ok.plain.expose()).text, REVOKED);
    assert_eq!(server.world.refusal(ok.plain.expose()), DenialReason::Revoked);
    let before = server.world.record(&ok);
    server.world.advance(TimeDelta::seconds(1));
    assert_eq!(revoke(&server, ok.plain.expose()).text, REVOKED);
    assert_eq!(revoke(&server, "garbage").text, REVOKED);
    assert_eq!(server.world.record(&ok), before);
    // A client that says who it is ends its own tokens alone.
    let foreign = post().header("authorization", server.basic("writer"));
    let answer = server.revoke(foreign, form(&[("token", kept.plain.expose())]));
    assert_eq!(answer.text, REVOKED);
    assert!(server.world.accepts(&kept));
    let own = server.world.issue(ci("own").for_client("writer"));
    let request = post().header("authorization", server.basic("writer"));
    let body = form(&[("token", own.plain.expose()), ("token_type_hint", "x")]);
    assert_eq!(server.revoke(request, body).text, REVOKED);
    assert!(!server.world.accepts(&own));
    let wrong = post().header("authorization", basic("writer", "wrong"));
    let body = form(&[("token", kept.plain.expose())]);
    server.revoke(wrong, body).is_invalid_client(true);
}

#[test]
fn c111_an_id_is_no_secret() {
    let server = Server::new();
    let ok = server.ok();
    let id = ok.token.id;
    let forged = crate::world::text_of("pat", id.as_str(), &"0".repeat(43));
    for text in [id.as_str(), &format!("acme_pat_{id}"), &forged] {
        assert_eq!(revoke(&server, text).text, REVOKED);
    }
    assert!(server.world.accepts(&ok));
    server.revoke(post(), "").is_error("invalid_request");
    server.revoke(post(), "token=").is_error("invalid_request");
    server.revoke(post().method("GET"), "").is_method_refused();
}

#[test]
fn h18_a_token_of_another_type_is_known_to_live_on() {
    let jose = |header: &str, rest: &str| format!("{}.{rest}", URL_SAFE_NO_PAD.encode(header));
    let server = Server::new();
    let kept = server.ok();
    for text in [
        jose("{\"alg\":\"RS256\",\"typ\":\"JWT\"}", "e30.AA"),
        jose("{\"alg\":\"ES256\",\"typ\":\"at+jwt\",\"kid\":\"x\"}", "e30.AA"),
        jose("{\"alg\":\"RSA-OAEP\",\"enc\":\"A256GCM\"}", "AA.AA.AA.AA"),
    ] {
        revoke(&server, &text).is_error("unsupported_token_type");
        assert_eq!(server.introspect_as("gateway", &text).text, INACTIVE);
    }
    // What only resembles one is any other text (H17), and so is a hint.
    for text in [
        jose("{\"typ\":\"JWT\"}", "e30.AA"),
        jose("[\"alg\"]", "e30.AA"),
        jose("{\"alg\":\"RS256\"}", "e30"),
        jose("{\"alg\":\"RS256\"}", "e30.AA.AA"),
        "a.b.c".to_owned(),
        "..".to_owned(),
    ] {
        assert_eq!(revoke(&server, &text).text, REVOKED, "{text}");
    }
    let hinted = form(&[("token", "x"), ("token_type_hint", "id_token")]);
    assert_eq!(server.revoke(post(), hinted).text, REVOKED);
    assert!(server.world.accepts(&kept));
}

#[test]
fn a_refresh_token_ends_its_grant_whoever_brings_it() {
    let server = Server::with(|_| {}, hallpass::oauth::OAuthBuilder::refresh_tokens);
    let hallpass = &server.world.hallpass;
    for (client, own) in [(None, true), (Some("writer"), true), (Some("billing"), false)] {
        let issue = ci(client.unwrap_or("nobody")).for_client("writer");
        let granted = run(hallpass.issue_with_refresh(issue)).unwrap();
        let request = match client {
            None => post(),
            Some(client) => post().header("authorization", server.basic(client)),
        };
        let text = granted.refresh.plain.expose();
        let body = form(&[("token", text), ("token_type_hint", "refresh_token")]);
        assert_eq!(server.revoke(request, body).text, REVOKED);
        assert_eq!(server.world.accepts(&granted.access), !own, "{client:?}");
        assert_eq!(run(hallpass.introspect(text)).unwrap().is_some(), !own);
        let pairs = [("grant_type", "refresh_token"), ("refresh_token", text)];
        let refreshed = server.ask_as("writer", &pairs);
        assert_eq!(refreshed.status, if own { 400 } else { 200 });
    }
}

#[test]
fn c112_a_revocation_that_may_not_have_happened_says_so() {
    let server = Server::new();
    let ok = server.ok();
    for fault in [Fault::Fails, Fault::Loses] {
        server.world.store.breaks(Step::Revoke, fault);
        revoke(&server, ok.plain.expose()).is_unavailable();
    }
    server.world.store.heals();
    let ok = server.world.token("other");
    server.world.store.cool();
    server.world.store.breaks(Step::Find, Fault::Fails);
    revoke(&server, ok.plain.expose()).is_unavailable();
    server.introspect_as("gateway", ok.plain.expose()).is_unavailable();
}
