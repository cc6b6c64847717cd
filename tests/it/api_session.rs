//! Who may do what through the management API.

use std::sync::atomic::Ordering;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::TimeDelta;
use hallpass::host::CsrfKey;
use hallpass::{Issue, Tenant};
use http::Request;
use serde_json::json;

use crate::api_support::{Answer, CSRF_KEY, ORIGIN, Site, from_page, get, post, signed_in};
use crate::world::{World, run};

const BODY: &str = r#"{"name":"a","scopes":["repo:read"]}"#;

/// A request to make a token that says nothing of where it comes from.
fn bare() -> http::request::Builder {
    Request::post("/pat/tokens")
        .header("cookie", "s=alice.1")
        .header("content-type", "application/json")
}

#[test]
fn nobody_is_told_to_sign_in() {
    let site = Site::new();
    let answer = site.get("", "/tokens");
    assert_eq!(
        answer.text,
        "401
cache-control: no-store
content-type: application/problem+json
vary: Authorization, Cookie
www-authenticate: Session realm=\"acme\"
x-content-type-options: nosniff

{\"type\":\"urn:hallpass:problem:sign-in-required\",\"code\":\"sign-in-required\",\
\"title\":\"Sign in\",\"status\":401,\"detail\":\"Nobody is signed in; sign in to the app first\"}"
    );
    for path in ["/session", "/scopes", "/policy", "/tokens/0000000000000000", "/admin/tokens"] {
        assert_eq!(site.get("", path).problem(), (401, "sign-in-required"), "{path}");
    }
    assert_eq!(site.post("", "/tokens", BODY).problem(), (401, "sign-in-required"));
    assert_eq!(site.get("", "/openapi.json").status, 200);
}

/// C120 and H22: no other site makes a browser change anything.
#[test]
fn a_change_comes_from_the_apps_own_pages() {
    let site = Site::confirmed();
    let refused = |request: http::request::Builder| {
        let answer = site.send(request, BODY);
        assert_eq!(answer.problem(), (403, "csrf-refused"));
        assert_eq!(answer.json["type"], "urn:hallpass:problem:csrf-refused");
    };
    refused(bare());
    for from in ["cross-site", "same-site", "none", ""] {
        refused(bare().header("sec-fetch-site", from));
        refused(bare().header("sec-fetch-site", from).header("origin", ORIGIN));
    }
    for origin in
        ["null", "https://evil.example", "http://acme.example", "https://acme.example.evil"]
    {
        refused(bare().header("origin", origin));
    }
    assert!(site.world.all().is_empty());
    // Every route that changes anything.
    for (method, path) in [
        ("POST", "/tokens/revoke"),
        ("PATCH", "/tokens/0000000000000000"),
        ("DELETE", "/tokens/0000000000000000"),
        ("POST", "/tokens/0000000000000000/rotate"),
        ("POST", "/tokens/0000000000000000/suspend"),
        ("POST", "/tokens/0000000000000000/resume"),
        ("POST", "/session/confirm"),
    ] {
        let request = Request::builder().method(method).uri(format!("/pat{path}"));
        refused(request.header("cookie", "s=alice.1"));
    }
    let same_origin = bare().header("sec-fetch-site", "same-origin").header("origin", ORIGIN);
    assert_eq!(site.send(same_origin, BODY).status, 201);
    let old_browser = bare().header("origin", ORIGIN);
    assert_eq!(site.send(old_browser, r#"{"name":"b","scopes":["repo:read"]}"#).status, 201);
}

/// C121.
#[test]
fn a_csrf_token_is_good_for_its_session_only() {
    let site = Site::confirmed();
    let told = site.get("alice.1", "/session");
    let good = told.json["csrf_token"].as_str().unwrap().to_owned();
    let ask = |session: &str, token: &str| {
        let request = Request::post("/pat/tokens")
            .header("cookie", format!("s={session}"))
            .header("content-type", "application/json")
            .header("x-csrf-token", token);
        site.send(request, BODY)
    };
    let other_key = CsrfKey::new([1; 32]).token(signed_in("alice.1").session()).unwrap();
    let before_sign_in = CsrfKey::new(CSRF_KEY).token(&[0; 32]).unwrap();
    let truncated = good.split_at(good.len() - 1).0;
    for bad in [truncated, "", "x", &other_key, &before_sign_in, &format!("{good}="), "ż"] {
        assert_eq!(ask("alice.1", bad).problem(), (403, "csrf-refused"), "{bad}");
    }
    // Another session of the same person, and somebody else's; alice.2 is after signing out.
    for session in ["alice.2", "bob.1"] {
        assert_eq!(ask(session, &good).problem(), (403, "csrf-refused"));
    }
    let twice = bare().header("x-csrf-token", &good).header("x-csrf-token", &good);
    assert_eq!(site.send(twice, BODY).problem(), (403, "csrf-refused"));
    assert_eq!(ask("alice.1", &good).status, 201);
}

/// F26: the app restarts while a page is open. The key is the host's, so the page is still good; what
/// was confirmed is forgotten.
#[test]
fn f26_a_page_outlives_a_restart_and_a_confirmation_does_not() {
    let told = Site::confirmed().get("alice.1", "/session");
    let token = told.json["csrf_token"].as_str().unwrap();
    let restarted = Site::new();
    let ask = || {
        let request = Request::post("/pat/tokens")
            .header("cookie", "s=alice.1")
            .header("content-type", "application/json")
            .header("x-csrf-token", token);
        restarted.send(request, BODY)
    };
    assert_eq!(ask().problem(), (403, "confirmation-required"));
    restarted.confirm("alice.1");
    assert_eq!(ask().status, 201);
}

/// C122.
#[test]
fn making_a_token_wants_a_fresh_confirmation_of_this_session() {
    let site = Site::new();
    let make = |session: &str| site.post(session, "/tokens", BODY);
    let refused = make("alice.1");
    assert_eq!(refused.problem(), (403, "confirmation-required"));
    assert_eq!(refused.json["type"], "urn:hallpass:problem:confirmation-required");
    site.confirm("alice.2");
    site.confirm("bob.1");
    assert_eq!(make("alice.1").code(), "confirmation-required");
    site.confirm("alice.1");
    site.world.advance(TimeDelta::seconds(301));
    assert_eq!(make("alice.1").code(), "confirmation-required");
    assert!(site.world.all().is_empty());
    site.confirm("alice.1");
    site.world.advance(TimeDelta::seconds(300));
    assert_eq!(make("alice.1").status, 201);
}

#[test]
fn a_confirmation_is_shown_counted_and_never_a_token() {
    let site = Site::new();
    let session = |name: &str| site.get(name, "/session").json;
    let mut told = session("alice.1");
    told["csrf_token"] = json!("");
    assert_eq!(
        told,
        json!({
            "tenant": "default", "owner": "alice", "name": "ALICE", "is_administrator": false,
            "administered_tenant": null, "confirmed_until": null, "confirmation_page": null,
            "csrf_token": "",
        })
    );
    site.confirm("alice.1");
    assert_eq!(session("alice.1")["confirmed_until"], "2026-11-22T09:05:00Z");
    site.world.advance(TimeDelta::seconds(301));
    assert_eq!(session("alice.1")["confirmed_until"], json!(null));
    let token = site.issue("alice", "ci");
    let confirm = |secret: &str| {
        site.post("alice.1", "/session/confirm", json!({ "secret": secret }).to_string())
    };
    let long = "x".repeat(1025);
    for wrong in ["", "wrong", token.plain.expose(), &long] {
        assert_eq!(confirm(wrong).problem(), (403, "wrong-secret"));
    }
    for body in [r#"{}"#, r#"{"secret":null}"#, r#"{"secret":1}"#, r#"{"secret":"right","a":1}"#] {
        assert_eq!(site.post("alice.1", "/session/confirm", body).status, 400);
    }
    assert_eq!(confirm("wrong").status, 403);
    let waits = confirm("right");
    assert_eq!(waits.problem(), (429, "too-many-attempts"));
    assert_eq!(waits.header("retry-after"), "300");
    // Whoever guesses in one session locks the owner out of no other, and nobody else.
    site.confirm("alice.2");
    site.confirm("bob.1");
    assert_eq!(confirm("right").status, 429);
    site.world.advance(TimeDelta::minutes(5));
    assert_eq!(confirm("right").status, 204);
}

/// C124: tokens do not manage tokens, wherever they are on the request.
#[test]
fn a_token_is_refused_whoever_is_signed_in() {
    let site = Site::confirmed();
    let token = site.issue("alice", "ci");
    let text = token.plain.expose();
    let basic = |user: &str, password: &str| {
        format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
    };
    let constant = {
        let request = get("", "/tokens").header("authorization", format!("Bearer {text}"));
        site.send(request, "").text
    };
    assert!(constant.starts_with("403\n") && constant.contains("token-not-accepted"));
    for (name, value) in [
        ("authorization", format!("Bearer {text}")),
        ("authorization", format!("bearer {text}")),
        ("authorization", format!("token {text}")),
        ("authorization", text.to_owned()),
        ("authorization", basic("alice", text)),
        ("authorization", basic(text, "x-oauth-basic")),
        ("authorization", basic(text, "")),
        ("private-token", text.to_owned()),
        ("x-release-personal-token", text.to_owned()),
    ] {
        for session in ["alice.1", ""] {
            let made = site.send(post(session, "/tokens").header(name, &value), BODY);
            assert_eq!(made.text, constant, "{name}: {value}");
            let read = site.send(get(session, "/tokens").header(name, &value), "");
            assert_eq!(read.text, constant);
        }
    }
    let in_query = get("alice.1", &format!("/tokens?private_token={text}"));
    assert_eq!(site.send(in_query, "").text, constant);
    assert_eq!(site.world.all().len(), 1);
}

#[test]
fn a_host_that_cannot_tell_is_an_outage() {
    let site = Site::confirmed();
    site.sessions.out_of_order.store(true, Ordering::Relaxed);
    for answer in [site.get("alice.1", "/tokens"), site.get("", "/tokens"), site.make("a")] {
        assert_eq!(answer.problem(), (503, "unavailable"));
        assert_eq!(answer.header("retry-after"), "5");
    }
    assert!(site.world.all().is_empty());
}

#[test]
fn administrators_look_after_everybodys_tokens() {
    let site = Site::new();
    let bobs = site.issue("bob", "ci");
    let other = Issue::new("ci").owner("tom").tenant(Tenant::parse("t2").unwrap());
    let toms = site.world.issue(other.scopes(["repo:read"]));
    let ids = |answer: &Answer| -> Vec<String> {
        let tokens = answer.json["tokens"].as_array().unwrap();
        let mut ids: Vec<_> =
            tokens.iter().map(|token| token["owner"].as_str().unwrap().to_owned()).collect();
        ids.sort();
        ids
    };
    assert_eq!(site.get("alice.1", "/admin/tokens").problem(), (403, "administrator-required"));
    assert_eq!(ids(&site.get("root.1", "/admin/tokens")), ["bob", "tom"]);
    assert_eq!(ids(&site.get("tess.1", "/admin/tokens")), ["tom"]);
    assert_eq!(ids(&site.get("root.1", "/tokens")), [""; 0]);
    assert_eq!(ids(&site.get("root.1", "/admin/tokens?owner=bob")), ["bob"]);
    assert_eq!(ids(&site.get("root.1", "/admin/tokens?tenant=t2")), ["tom"]);
    assert_eq!(ids(&site.get("root.1", "/admin/tokens?owner=tom&tenant=t2")), ["tom"]);
    assert_eq!(ids(&site.get("tess.1", "/admin/tokens?owner=tom")), ["tom"]);
    let beyond = site.get("tess.1", "/admin/tokens?tenant=default");
    assert_eq!(beyond.problem(), (404, "not-found"));
    let path = |token: &hallpass::Issued| format!("/admin/tokens/{}", token.token.id);
    assert_eq!(site.get("root.1", &path(&bobs)).json["owner"], "bob");
    assert_eq!(site.get("tess.1", &path(&bobs)).problem(), (404, "not-found"));
    assert_eq!(site.get("bob.1", &path(&bobs)).problem(), (403, "administrator-required"));
    let act =
        |session: &str, method: &str, path: &str| site.send(from_page(method, session, path), "");
    assert_eq!(act("tess.1", "DELETE", &path(&bobs)).status, 404);
    assert_eq!(act("tess.1", "DELETE", &path(&toms)).status, 204);
    assert!(!site.world.accepts(&toms) && site.world.accepts(&bobs));
    let session = site.get("tess.1", "/session").json;
    assert_eq!(session["is_administrator"], true);
    assert_eq!(session["administered_tenant"], "t2");
    // Bulk wants a confirmation.
    let all = r#"{"filter":{"owner":"bob"}}"#;
    let refused = site.post("root.1", "/admin/tokens/revoke", all);
    assert_eq!(refused.problem(), (403, "confirmation-required"));
    site.confirm("root.1");
    let done = site.post("root.1", "/admin/tokens/revoke", all);
    assert_eq!(done.json, json!({ "revoked": [bobs.token.id] }));
    let read = site.get("root.1", &path(&bobs));
    assert_eq!(read.json["revocation"]["by"], "admin:root");
}

#[test]
fn whose_token_it_is_is_told_by_id_and_by_text() {
    let site = Site::new();
    let bobs = site.issue("bob", "ci");
    let look = |session: &str, text: &str| {
        site.post(session, "/admin/lookup", json!({ "text": text }).to_string())
    };
    let found = look("root.1", bobs.token.id.as_str());
    assert_eq!(
        (&found.json["token"]["owner"], &found.json["secret"]),
        (&json!("bob"), &json!(null))
    );
    let found = look("root.1", bobs.plain.expose());
    assert_eq!(found.json["secret"], "current");
    assert!(!found.text.contains(bobs.plain.expose().rsplit('_').next().unwrap()));
    let id = bobs.token.id.as_str();
    let forged = crate::world::text_of("pat", id, &"0".repeat(43));
    assert_eq!(look("root.1", &forged).json["secret"], "wrong");
    let rotate = hallpass::Rotate::new().overlap(TimeDelta::zero());
    run(site.world.hallpass.rotate(&bobs.token.id, rotate)).unwrap();
    let found = look("root.1", bobs.plain.expose());
    assert_eq!(found.json["secret"], "superseded");
    // Looking is no use of the token, and no attempt to use it.
    assert_eq!(found.json["token"]["last_use"], json!(null));
    let refusals = |event: &hallpass::Event| matches!(event, hallpass::Event::Denied { .. });
    assert_eq!(site.world.events.count(refusals), 0);
    for text in [
        "",
        "x",
        "0000000000000000",
        &crate::world::text_of("pat", "0000000000000000", &"0".repeat(43)),
    ] {
        assert_eq!(look("root.1", text).problem(), (404, "not-found"), "{text}");
    }
    assert_eq!(look("tess.1", bobs.plain.expose()).problem(), (404, "not-found"));
    assert_eq!(look("alice.1", id).problem(), (403, "administrator-required"));
}

#[test]
fn an_app_without_confirmations_says_so() {
    let world = World::new();
    let sessions = crate::api_support::Sessions::default();
    let missing = hallpass::host::Host::builder(world.hallpass, ORIGIN, sessions).build();
    assert_eq!(missing.unwrap_err(), hallpass::host::HostError::ConfirmationMissing);
    let trusting = World::with(|policy| policy.confirmation = None);
    let sessions = crate::api_support::Sessions::default();
    let host = hallpass::host::Host::builder(trusting.hallpass.clone(), ORIGIN, sessions);
    let api =
        hallpass::api::Api::builder(host.build().unwrap()).mounted_at("/pat").build().unwrap();
    let (head, ()) = post("alice.1", "/tokens").body(()).unwrap().into_parts();
    assert_eq!(run(api.respond(head, BODY.as_bytes(), None)).status(), 201);
    for path in ["pat", "/pat/", "/", "/p t"] {
        let site = Site::new();
        assert!(hallpass::api::Api::builder(site.host).mounted_at(path).build().is_err(), "{path}");
    }
}
