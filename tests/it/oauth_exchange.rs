//! Token exchange and refresh: C71 to C90.

use chrono::TimeDelta;
use hallpass::oauth::{Client, Clients};
use hallpass::{DenialReason, Edit, Expiry, Issue, OAuth, Resources, RevocationReason, Tenant};
use proptest::prelude::*;

use crate::oauth_support::{
    ACCESS_TOKEN, Answer, EXCHANGE, FORM, Server, b, b_with, encoded, form, post,
};
use crate::world::{Fault, Step, World, after, ci, micro, run};

const SUBJECT_INVALID: &str = "400\ncache-control: no-store\ncontent-type: application/json\n\
    pragma: no-cache\n\n{\"error\":\"invalid_request\",\
    \"error_description\":\"The subject token is invalid\"}";

#[test]
fn c71_the_baseline_is_answered_whole() {
    let server = Server::new();
    let parent = server.issue("ci", &["repo:write", "session"]);
    let answer = server.token(post(), b_with(&parent, &[]));
    let access = answer.text_of("access_token");
    assert_eq!(
        answer.text,
        format!(
            "200\ncache-control: no-store\ncontent-type: application/json\npragma: no-cache\n\n\
             {{\"access_token\":\"{access}\",\"issued_token_type\":\"{ACCESS_TOKEN}\",\
             \"token_type\":\"Bearer\",\"expires_in\":900,\"scope\":\"repo:write\"}}"
        )
    );
    let verified = server.world.verify(&access).unwrap();
    assert_eq!(verified.parent(), Some(parent.token.id));
    assert_eq!((verified.owner().as_str(), verified.client()), ("u1", None));
}

#[test]
fn c72_what_is_required_is_not_guessed() {
    let server = Server::new();
    let whole = b(&server.ok());
    for missing in 0..whole.len() {
        let mut without = whole.clone();
        let (name, _) = without.remove(missing);
        server.token(post(), encoded(&without)).is_error("invalid_request");
        without.insert(missing, (name, String::new()));
        server.token(post(), encoded(&without)).is_error("invalid_request");
    }
    server.token(post(), "").is_error("invalid_request");
}

#[test]
fn c73_other_grants_are_not_supported() {
    let server = Server::new();
    let mut pairs = b(&server.ok());
    let upper = EXCHANGE.to_uppercase();
    for grant in ["password", "client_credentials", "refresh_token", &upper, " ", "x"] {
        grant.clone_into(&mut pairs[0].1);
        server.token(post(), encoded(&pairs)).is_error("unsupported_grant_type");
    }
}

#[test]
fn c74_nothing_is_said_twice() {
    let server = Server::new();
    let subject = server.ok();
    let body = b_with(&subject, &[("scope", "repo:read"), ("client_id", "phone")]);
    assert_eq!(server.token(post(), &body).status, 200);
    for again in ["subject_token", "scope", "grant_type", "client_id", "subject_token_type"] {
        for value in ["repo:read", ""] {
            let twice = format!("{body}&{}", form(&[(again, value)]));
            server.token(post(), twice).is_error("invalid_request");
        }
    }
    let unknown = format!("{body}&x=1&x=1");
    server.token(post(), unknown).is_error("invalid_request");
    let ignored = format!("{body}&x=1&y=2");
    assert_eq!(server.token(post(), ignored).status, 200);
}

#[test]
fn c75_audiences_and_resources_may_be_several() {
    let server = Server::new();
    let subject = server.ok();
    let url = "https://billing.example";
    for (targets, audience) in [
        (vec![("audience", "billing"), ("audience", "search")], vec!["billing", "search"]),
        (vec![("audience", "billing"), ("resource", url)], vec!["billing", url]),
        (vec![("resource", url), ("resource", url)], vec![url]),
        (vec![("audience", ""), ("audience", "search")], vec!["search"]),
    ] {
        let answer = server.token(post(), b_with(&subject, &targets));
        let access = answer.text_of("access_token");
        let found = run(server.world.hallpass.introspect(&access)).unwrap().unwrap();
        assert_eq!(found.verified.audience(), audience);
        // It is for them, and no longer for the app itself.
        assert_eq!(server.world.refusal(&access), DenialReason::WrongAudience);
    }
    for targets in [
        [("audience", "billing"), ("audience", "unknown")],
        [("resource", url), ("resource", "https://unknown.example")],
        [("audience", "unknown"), ("resource", url)],
    ] {
        server.token(post(), b_with(&subject, &targets)).is_error("invalid_target");
    }
}

#[test]
fn c76_every_bad_subject_gets_one_answer() {
    let server = Server::new();
    let world = &server.world;
    let issued: Vec<_> = ["expired", "revoked", "unknown", "suspended", "owner", "checksum"]
        .map(|n| (n, ci(n)))
        .into();
    let requested = RevocationReason::Requested;
    for (what, issue) in issued {
        let issue = if what == "expired" {
            issue.expiry(Expiry::In(TimeDelta::seconds(1)))
        } else if what == "owner" {
            Issue::new(what).owner("gone").scopes(["repo:read"])
        } else {
            issue
        };
        let token = world.issue(issue);
        let mut text = token.plain.expose().to_owned();
        match what {
            "expired" => world.advance(TimeDelta::seconds(1)),
            "revoked" => {
                run(world.hallpass.revoke(&token.token.id, requested)).unwrap();
            }
            "suspended" => {
                run(world.hallpass.suspend(&token.token.id)).unwrap();
            }
            "owner" => world.owners.facts("gone", |facts| facts.active = false),
            "unknown" => {
                text = crate::world::text_of("pat", "0000000000000009", &"a".repeat(43));
            }
            _ => {
                let last = if text.pop() == Some('0') { '1' } else { '0' };
                text.push(last);
            }
        }
        let answer = server.ask(&[
            ("grant_type", EXCHANGE),
            ("subject_token", &text),
            ("subject_token_type", ACCESS_TOKEN),
        ]);
        assert_eq!(answer.text, SUBJECT_INVALID, "{what}");
    }
    // A client of one tenant has nothing to do with the tokens of another.
    let other = Tenant::parse("other").unwrap();
    let foreign = world.issue(ci("foreign").tenant(other));
    let body = b_with(&foreign, &[]);
    let ask = |client| server.token(post().header("authorization", server.basic(client)), &body);
    assert_eq!(ask("writer").text, SUBJECT_INVALID);
    assert_eq!(ask("elsewhere").status, 200);
    assert_eq!(server.token(post(), &body).status, 200, "whoever holds it may exchange it");
}

#[test]
fn c77_c78_types_are_what_they_are() {
    let server = Server::new();
    let subject = server.ok();
    let urn = |name: &str| format!("urn:ietf:params:oauth:token-type:{name}");
    let mut bad = ["id_token", "saml2", "refresh_token", "unknown"].map(urn).to_vec();
    bad.extend(["access_token".to_owned(), ACCESS_TOKEN.to_uppercase(), urn("jwt")]);
    for kind in bad {
        let mut pairs = b(&subject);
        pairs[2].1 = kind.clone();
        server.token(post(), encoded(&pairs)).is_error("invalid_request");
        let body = b_with(&subject, &[("requested_token_type", &kind)]);
        server.token(post(), body).is_error("invalid_request");
    }
    let body = b_with(&subject, &[("requested_token_type", ACCESS_TOKEN)]);
    assert_eq!(server.token(post(), body).status, 200);
}

#[test]
fn c79_scopes_are_never_narrowed_in_silence() {
    let server = Server::new();
    let subject = server.issue("ci", &["repo:read", "hooks"]);
    let ask = |scope: &str| server.token(post(), b_with(&subject, &[("scope", scope)]));
    for bad in [
        "repo:write",
        "repo:read repo:write",
        "repo:admin",
        "session",
        " ",
        "repo:read  hooks",
        " repo:read",
        "repo:read ",
        "repo:read\thooks",
        "\t",
        "*",
        "REPO:READ",
        "é",
        "\"",
        &"repo:read ".repeat(300),
    ] {
        ask(bad).is_error("invalid_scope");
    }
    assert_eq!(ask("").text_of("scope"), "hooks repo:read");
    assert_eq!(ask("hooks").text_of("scope"), "hooks");
    assert_eq!(ask("hooks hooks repo:read").status, 200);
    let raw = format!("{}&scope=%20", b_with(&subject, &[]));
    server.token(post(), raw).is_error("invalid_scope");
}

#[test]
fn an_audience_limits_what_is_granted() {
    let server = Server::new();
    let subject = server.issue("ci", &["repo:admin", "hooks"]);
    let ask = |more: &[(&'static str, &str)]| server.token(post(), b_with(&subject, more));
    let granted = ask(&[("audience", "billing")]).text_of("scope");
    assert_eq!(granted, "hooks repo:write");
    assert_eq!(ask(&[("audience", "search")]).text_of("scope"), "hooks repo:admin");
    ask(&[("audience", "billing"), ("scope", "repo:admin")]).is_error("invalid_scope");
    let admin = server.issue("session only", &["session"]);
    server.token(post(), b_with(&admin, &[])).is_error("invalid_scope");
    let both = ask(&[("audience", "billing"), ("audience", "search")]);
    assert_eq!(both.text_of("scope"), "hooks repo:write", "allowed at every one of them");
}

#[test]
fn c80_audiences_come_from_the_list() {
    let server = Server::new();
    let subject = server.ok();
    for unknown in ["unknown", "*", "BILLING", "billing ", "bill", &"a".repeat(300)] {
        let body = b_with(&subject, &[("audience", unknown)]);
        server.token(post(), body).is_error("invalid_target");
    }
    // Known, and not for this client.
    let body = b_with(&subject, &[("audience", "search")]);
    let request = post().header("authorization", server.basic("billing"));
    server.token(request, &body).is_error("invalid_target");
    assert_eq!(server.token(post(), body).status, 200);
    // A token for somebody is no subject here.
    let meant = server.world.issue(ci("meant").audience(["billing"]));
    let body = b_with(&meant, &[("audience", "search")]);
    assert_eq!(server.token(post(), body).text, SUBJECT_INVALID);
}

#[test]
fn a_client_gets_what_it_is_registered_for_and_no_default_beside() {
    let ask = |server: &Server, client: &str, more: &[(&'static str, &str)]| {
        let subject = server.issue(&format!("{client} {more:?}"), &["repo:write"]);
        let request = post().header("authorization", server.basic(client));
        server.token(request, b_with(&subject, more))
    };
    // Without an audience a token is for the app itself, which is not `billing`'s to have.
    let server = Server::new();
    ask(&server, "billing", &[]).is_error("invalid_target");
    ask(&server, "billing", &[("audience", "")]).is_error("invalid_target");
    assert_eq!(ask(&server, "billing", &[("audience", "billing")]).status, 200);
    assert_eq!(ask(&server, "writer", &[]).status, 200, "of which nothing is said");
    // Nor is a default that its registration does not name, whole or in part.
    for (default, status) in
        [(vec!["search"], 400), (vec!["billing", "search"], 400), (vec!["billing"], 200)]
    {
        let server = Server::with(|_| {}, |builder| builder.default_audience(default));
        let answer = ask(&server, "billing", &[]);
        assert_eq!(answer.status, status, "{}", answer.text);
        if status == 400 {
            answer.is_error("invalid_target");
        }
        assert_eq!(ask(&server, "writer", &[]).status, 200);
    }
    // One that may have a token for the app itself, and nothing else.
    let server = Server::new();
    let own = Client::confidential("own", server.secret.digest_for("own")).exchanges_for_app();
    let builder = OAuth::builder(server.world.hallpass.clone(), "https://acme.example");
    let oauth = builder.clients(Clients::none().with(own)).build().unwrap();
    let server = Server { oauth, ..server };
    assert_eq!(ask(&server, "own", &[]).status, 200);
    ask(&server, "own", &[("audience", "search")]).is_error("invalid_target");
}

#[test]
fn c81_resources_are_urls_of_servers() {
    let server = Server::with(
        |policy| {
            policy.exchange_audiences.extend([
                "/rel".to_owned(),
                "https://x/#f".to_owned(),
                "javascript:1".to_owned(),
                "https://u:p@x/".to_owned(),
            ]);
        },
        |builder| builder,
    );
    let subject = server.ok();
    let long = format!("https://x/{}", "a".repeat(3 * 1024));
    for bad in ["/rel", "https://x/#f", "javascript:1", "https://u:p@x/", &long, "https://", "x y"]
    {
        let body = b_with(&subject, &[("resource", bad)]);
        server.token(post(), body).is_error("invalid_target");
    }
}

#[test]
fn c82_no_child_outlives_its_parent() {
    let server = Server::new();
    let subject = server.world.issue(ci("ci").expiry(Expiry::In(TimeDelta::seconds(60))));
    let ask = || server.token(post(), b_with(&subject, &[]));
    assert_eq!(ask().json()["expires_in"], 60);
    server.world.advance(TimeDelta::milliseconds(500));
    assert_eq!(ask().json()["expires_in"], 59);
    server.world.clock.set(after(TimeDelta::seconds(57)));
    ask().is_error("invalid_request");
}

#[test]
fn c83_what_was_exchanged_is_no_subject() {
    let server = Server::new();
    let subject = server.ok();
    let child = server.token(post(), b_with(&subject, &[])).text_of("access_token");
    for text in [&child, "eyJhbGciOiJFUzI1NiJ9.e30.AA"] {
        let answer = server.ask(&[
            ("grant_type", EXCHANGE),
            ("subject_token", text),
            ("subject_token_type", ACCESS_TOKEN),
        ]);
        assert_eq!(answer.text, SUBJECT_INVALID);
    }
}

#[test]
fn c84_nobody_acts_for_somebody_else() {
    let server = Server::new();
    let subject = server.ok();
    let actor = subject.plain.expose();
    for more in [
        vec![("actor_token", actor), ("actor_token_type", ACCESS_TOKEN)],
        vec![("actor_token", actor)],
        vec![("actor_token_type", ACCESS_TOKEN)],
        vec![("requested_subject", "admin")],
        vec![("requested_issuer", "x")],
        vec![("subject_issuer", "x")],
    ] {
        server.token(post(), b_with(&subject, &more)).is_error("invalid_request");
    }
}

#[test]
fn c85_claims_in_the_form_mean_nothing() {
    let server = Server::new();
    let subject = server.ok();
    let more = [("act", "{\"sub\":\"admin\"}"), ("may_act", "x"), ("exp", "9"), ("sub", "admin")];
    let answer = server.token(post(), b_with(&subject, &more));
    let verified = server.world.verify(&answer.text_of("access_token")).unwrap();
    assert_eq!(verified.owner().as_str(), "u1");
    assert_eq!(verified.expires_at(), Some(after(TimeDelta::minutes(15))));
}

#[test]
fn c86_a_request_is_a_posted_form() {
    let server = Server::new();
    let body = b_with(&server.ok(), &[]);
    for kind in [
        "application/json",
        "multipart/form-data; boundary=x",
        "text/plain",
        "application/x-www-form-urlencoded; charset=utf-16",
        "application/x-www-form-urlencoded; charset",
        "application/x-www-form-urlencoded-x",
        "",
    ] {
        let request = http::Request::post("/oauth/token").header("content-type", kind);
        server.token(request, &body).is_error("invalid_request");
    }
    server.token(http::Request::post("/oauth/token"), &body).is_error("invalid_request");
    server.token(post().header("content-type", FORM), &body).is_error("invalid_request");
    for kind in
        ["application/x-www-form-urlencoded; charset=UTF-8", "APPLICATION/x-www-form-urlencoded"]
    {
        let request = http::Request::post("/oauth/token").header("content-type", kind);
        assert_eq!(server.token(request, &body).status, 200, "{kind}");
    }
    let in_query = post().uri(format!("/oauth/token?{body}"));
    server.token(in_query, &body).is_error("invalid_request");
    server.token(post().uri("/oauth/token?a=1"), &body).is_error("invalid_request");
    for method in ["GET", "PUT", "DELETE", "HEAD", "OPTIONS"] {
        let request = post().method(method).uri(format!("/oauth/token?{body}"));
        server.token(request, "").is_method_refused();
    }
}

#[test]
fn c87_bytes_are_not_repaired() {
    let server = Server::new();
    let body = b_with(&server.ok(), &[]);
    for raw in ["scope=%FF", "audience=%00", "a=%2", "scope=%c3", "scope=%zz", "a=%0d%0a"] {
        server.token(post(), format!("{body}&{raw}")).is_error("invalid_request");
    }
    server.token(post(), [body.as_bytes(), b"&scope=\xff"].concat()).is_error("invalid_request");
}

#[test]
fn c89_limits_hold() {
    let server = Server::new();
    let body = b_with(&server.ok(), &[]);
    let more = |count: usize| (0..count).map(|n| format!("&p{n}=1")).collect::<String>();
    assert_eq!(server.token(post(), body.clone() + &more(29)).status, 200);
    server.token(post(), body.clone() + &more(30)).is_error("invalid_request");
    let nine = body.clone() + &"&audience=billing".repeat(5) + &"&resource=https://x".repeat(4);
    server.token(post(), nine).is_error("invalid_request");
    let eight = body.clone() + &"&audience=billing".repeat(8);
    assert_eq!(server.token(post(), eight).status, 200);
    let large = format!("{body}&p={}", "x".repeat(17 * 1024));
    assert_eq!(
        server.token(post(), large).text,
        "413\ncache-control: no-store\ncontent-type: application/json\npragma: no-cache\n\n\
         {\"error\":\"invalid_request\",\"error_description\":\"The body is too large\"}"
    );
}

#[test]
fn c90_a_child_ends_with_its_parent() {
    let server = Server::new();
    let subject = server.ok();
    let child = server.token(post(), b_with(&subject, &[])).text_of("access_token");
    assert!(server.world.verify(&child).is_ok());
    let requested = RevocationReason::Requested;
    run(server.world.hallpass.revoke(&subject.token.id, requested)).unwrap();
    assert_eq!(server.world.refusal(&child), DenialReason::Revoked);

    let server = Server::with(|policy| policy.let_sessions_finish = true, |builder| builder);
    let subject = server.ok();
    let child = server.token(post(), b_with(&subject, &[])).text_of("access_token");
    run(server.world.hallpass.revoke(&subject.token.id, requested)).unwrap();
    assert!(server.world.verify(&child).is_ok(), "the session finishes");
    server.world.advance(TimeDelta::minutes(15));
    assert_eq!(server.world.refusal(&child), DenialReason::Expired);
}

#[test]
fn an_outage_is_no_refusal() {
    let server = Server::new();
    let body = b_with(&server.ok(), &[]);
    server.world.store.breaks(Step::Insert, Fault::Fails);
    server.token(post(), &body).is_unavailable();
    server.world.store.heals();
    server.world.store.cool();
    server.world.store.breaks(Step::Find, Fault::Fails);
    server.token(post(), &body).is_unavailable();
}

fn refreshing() -> (Server, hallpass::Granted) {
    let server = Server::with(|_| {}, hallpass::oauth::OAuthBuilder::refresh_tokens);
    let issue = ci("app").scopes(["repo:write"]).for_client("writer");
    let granted = run(server.world.hallpass.issue_with_refresh(issue)).unwrap();
    (server, granted)
}

fn refresh(server: &Server, client: &str, text: &str, more: &[(&str, &str)]) -> Answer {
    let mut pairs = vec![("grant_type", "refresh_token"), ("refresh_token", text)];
    pairs.extend(more);
    server.ask_as(client, &pairs)
}

#[test]
fn a_client_refreshes_what_was_issued_to_it() {
    let (server, granted) = refreshing();
    let first = granted.refresh.plain.expose();
    let answer = refresh(&server, "writer", first, &[("scope", "repo:read")]);
    let (access, next) = (answer.text_of("access_token"), answer.text_of("refresh_token"));
    assert_eq!(
        answer.text,
        format!(
            "200\ncache-control: no-store\ncontent-type: application/json\npragma: no-cache\n\n\
             {{\"access_token\":\"{access}\",\"token_type\":\"Bearer\",\"expires_in\":3600,\
             \"scope\":\"repo:read\",\"refresh_token\":\"{next}\"}}"
        )
    );
    assert!(server.world.verify(&access).unwrap().grants("repo:read"));
    let wider = refresh(&server, "writer", &next, &[("scope", "repo:admin")]);
    wider.is_error("invalid_scope");
    for (client, text) in [("billing", next.as_str()), ("writer", "junk"), ("writer", &access)] {
        refresh(&server, client, text, &[]).is_error("invalid_grant");
    }
    let nobody = [("grant_type", "refresh_token"), ("refresh_token", next.as_str())];
    server.ask(&nobody).is_invalid_client(true);
    // A spent one that comes back ends all.
    assert_eq!(refresh(&server, "writer", &next, &[]).status, 200);
    refresh(&server, "writer", first, &[]).is_error("invalid_grant");
    assert_eq!(server.world.refusal(&access), DenialReason::Revoked);
}

#[test]
fn a_refresh_that_may_not_have_happened_is_tried_again() {
    let (server, granted) = refreshing();
    let first = granted.refresh.plain.expose();
    for step in [Step::Insert, Step::Update, Step::Find] {
        for fault in [Fault::Fails, Fault::Loses] {
            server.world.store.cool();
            server.world.store.breaks(step, fault);
            refresh(&server, "writer", first, &[]).is_unavailable();
            server.world.store.heals();
        }
    }
    let answer = refresh(&server, "writer", first, &[]);
    assert!(server.world.verify(&answer.text_of("access_token")).is_ok());
}

#[test]
fn an_application_token_is_exchanged_by_its_client_alone() {
    let (server, granted) = refreshing();
    let ask = |client, more: &[(&'static str, &str)]| {
        let request = post().header("authorization", server.basic(client));
        server.token(request, b_with(&granted.access, more))
    };
    assert_eq!(ask("billing", &[("audience", "billing")]).text, SUBJECT_INVALID);
    assert_eq!(server.token(post(), b_with(&granted.access, &[])).text, SUBJECT_INVALID);
    let access = ask("writer", &[]).text_of("access_token");
    assert_eq!(server.world.verify(&access).unwrap().client(), Some("writer"));
}

const SCOPES: [&str; 5] = ["repo:read", "repo:write", "repo:admin", "hooks", "session"];
const TARGETS: [&str; 4] = ["billing", "search", "https://billing.example", "unknown"];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// Whatever is asked for, what comes out is part of what went in.
    #[test]
    fn everything_only_narrows(
        held in prop::sample::subsequence(&SCOPES[..], 1..=5),
        owned in prop::sample::subsequence(&SCOPES[..], 0..=5),
        asked in prop::option::of(prop::sample::subsequence(&SCOPES[..], 0..=5)),
        targets in prop::sample::subsequence(&TARGETS[..], 0..=4),
        life in 1_i64..2000,
        client in prop::option::of(prop::sample::select(&["billing", "writer"][..])),
    ) {
        let server = Server::new();
        let world: &World = &server.world;
        let issue = Issue::new("ci").owner("u1").scopes(held.iter().copied())
            .expiry(Expiry::In(TimeDelta::seconds(life)))
            .resources(Resources::listed(["org/*"]).unwrap());
        let parent = world.issue(issue);
        world.owners.limit("u1", &owned);
        let before = world.verify(parent.plain.expose()).unwrap();
        let mut more: Vec<(&str, &str)> = Vec::new();
        let scope = asked.map(|asked| asked.join(" "));
        if let Some(scope) = &scope {
            more.push(("scope", scope));
        }
        more.extend(targets.iter().map(|target| {
            (if target.starts_with("https") { "resource" } else { "audience" }, *target)
        }));
        let request = match client {
            None => post(),
            Some(client) => post().header("authorization", server.basic(client)),
        };
        let answer = server.token(request, b_with(&parent, &more));
        if answer.status == 200 {
            let text = answer.text_of("access_token");
            let found = run(world.hallpass.introspect(&text)).unwrap().unwrap();
            let child = &found.verified;
            prop_assert!(before.scopes().contains(child.scopes()));
            prop_assert!(!child.grants("session") && !child.scopes().is_empty());
            prop_assert!(child.audience().iter().all(|one| targets.contains(&one.as_str())));
            prop_assert!(!targets.contains(&"unknown"));
            if targets.contains(&"billing") {
                prop_assert!(!child.grants("repo:admin"));
            }
            prop_assert!(client != Some("billing") || !targets.contains(&"search"));
            prop_assert!(client != Some("billing") || !child.audience().is_empty());
            prop_assert!(child.expires_at() <= before.expires_at());
            prop_assert_eq!(child.owner(), before.owner());
            let left = child.expires_at().unwrap().since(world.now());
            prop_assert_eq!(answer.json()["expires_in"].as_i64().unwrap(), left.num_seconds());
            // What is taken from the parent is taken from the child.
            world.advance(left - micro());
            let edit = Edit::new().expiry(Expiry::In(TimeDelta::seconds(1)));
            let _ = run(world.hallpass.update(&parent.token.id, edit));
            world.advance(micro());
            prop_assert!(run(world.hallpass.introspect(&text)).unwrap().is_none());
        } else {
            prop_assert_eq!(answer.status, 400);
        }
    }
}
