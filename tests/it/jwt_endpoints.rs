//! The OAuth endpoints that know JWTs.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::TimeDelta;
use hallpass::jwt::{Algorithm, JwkSet, JwtVerifier, KeyRing, SigningKey};
use hallpass::oauth::OAuthBuilder;
use hallpass::{Event, Issued, RevocationReason};
use serde_json::{Value, json};

use crate::http_support::written;
use crate::jwt::ISSUER;
use crate::oauth_support::{Server, b_with, form, post};
use crate::world::{Fault, Step, run, start};

const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";

fn server() -> (Server, KeyRing) {
    let ring = KeyRing::new(SigningKey::generate(Algorithm::EdDsa).unwrap().0);
    let keys = ring.clone();
    (Server::with(|_| {}, |builder| builder.jwt(keys)), ring)
}

#[test]
fn a_jwt_is_asked_for_introspected_and_revoked() {
    let (server, ring) = server();
    let subject = server.ok();
    let body = b_with(&subject, &[("requested_token_type", JWT), ("audience", "search")]);
    let answer = server.token(post(), &body);
    let text = answer.text_of("access_token");
    assert_eq!(
        answer.text,
        format!(
            "200\ncache-control: no-store\ncontent-type: application/json\n\
             pragma: no-cache\n\n{{\"access_token\":\"{text}\",\
             \"issued_token_type\":\"{JWT}\",\"token_type\":\"Bearer\",\"expires_in\":600,\
             \"scope\":\"repo:read\"}}"
        )
    );
    let keys = JwkSet::parse(ring.jwks(server.world.now()).as_bytes()).unwrap();
    let verifier = JwtVerifier::new("https://acme.example", "search", keys)
        .clock(Arc::clone(&server.world.clock))
        .revocations(server.world.hallpass.clone());
    assert!(run(verifier.verify(&text)).is_ok());

    let for_billing =
        b_with(&subject, &[("requested_token_type", JWT), ("audience", "https://billing.example")]);
    let own = server.token(post(), for_billing).text_of("access_token");
    let told = server.introspect_as("billing", &own).json();
    assert_eq!((&told["active"], &told["sub"]), (&json!(true), &json!("u1")));
    assert_eq!(server.introspect_as("billing", &text).json(), json!({"active": false}));
    // C83: and it cannot be exchanged.
    let again = server.ask(&[
        ("grant_type", crate::oauth_support::EXCHANGE),
        ("subject_token", &text),
        ("subject_token_type", crate::oauth_support::ACCESS_TOKEN),
    ]);
    again.is_error("invalid_request");
    // H18: another token of the same key is of a type that is not revoked here.
    let id_token = text.replacen(
        text.split('.').next().unwrap(),
        &URL_SAFE_NO_PAD.encode(json!({"alg": "EdDSA", "typ": "JWT"}).to_string()),
        1,
    );
    let answer = server.revoke(post(), form(&[("token", &id_token)]));
    answer.is_error("unsupported_token_type");
    let forged = format!("{}AAAA", &text[..text.len() - 4]);
    assert_eq!(server.revoke(post(), form(&[("token", &forged)])).status, 200);
    assert!(run(verifier.verify(&text)).is_ok());
    assert_eq!(server.revoke(post(), form(&[("token", &text)])).status, 200);
    assert!(run(verifier.verify(&text)).is_err());
    assert!(server.world.accepts(&subject));
    assert_eq!(server.introspect_as("billing", &own).json()["active"], true);
    // It is ended for good also while its parent is set aside.
    run(server.world.hallpass.suspend(&subject.token.id)).unwrap();
    assert_eq!(server.revoke(post(), form(&[("token", &own)])).status, 200);
    run(server.world.hallpass.resume(&subject.token.id)).unwrap();
    assert!(server.world.accepts(&subject));
    assert_eq!(server.introspect_as("billing", &own).json(), json!({"active": false}));
}

#[test]
fn the_lifetime_of_a_jwt_is_set_before_its_keys_or_after() {
    type Order = fn(OAuthBuilder, [KeyRing; 2]) -> OAuthBuilder;
    const LIVES: TimeDelta = TimeDelta::minutes(2);
    let ring = || KeyRing::new(SigningKey::generate(Algorithm::EdDsa).unwrap().0);
    let orders: [Order; 3] = [
        |builder, [keys, _]| builder.jwt(keys).jwt_lifetime(LIVES),
        |builder, [keys, _]| builder.jwt_lifetime(LIVES).jwt(keys),
        |builder, [old, keys]| builder.jwt(old).jwt_lifetime(LIVES).jwt(keys),
    ];
    for (index, order) in orders.into_iter().enumerate() {
        let server = Server::with(|_| {}, |builder| order(builder, [ring(), ring()]));
        let body = b_with(&server.ok(), &[("requested_token_type", JWT)]);
        assert_eq!(server.token(post(), body).json()["expires_in"], 120, "{index}");
    }
    // Without keys there is still no JWT.
    let server = Server::with(|_| {}, |builder| builder.jwt_lifetime(LIVES));
    let body = b_with(&server.ok(), &[("requested_token_type", JWT)]);
    server.token(post(), body).is_error("invalid_request");
}

#[test]
fn a_jwt_that_is_revoked_is_no_failed_use() {
    let (server, _) = server();
    let body = b_with(&server.ok(), &[("requested_token_type", JWT)]);
    let text = server.token(post(), body).text_of("access_token");
    let denials = |text: &str| {
        server.world.events.take();
        assert_eq!(server.revoke(post(), form(&[("token", text)])).status, 200);
        let events = server.world.events.take();
        let denied = events.iter().filter(|event| matches!(event, Event::Denied { .. }));
        (denied.count(), events.len())
    };
    let forged = format!("{}AAAA", &text[..text.len() - 4]);
    assert_eq!(denials(&forged), (1, 1));
    assert_eq!(denials(&text), (0, 1), "its revocation alone");
    assert_eq!(denials(&text), (0, 0), "it has ended already");
}

#[test]
fn a_jwt_is_introspected_as_what_it_says() {
    let (server, _) = server();
    let subject = server.ok();
    let iat = start().as_micros() / 1_000_000;
    let read = |text: &str| -> Value {
        let claims = URL_SAFE_NO_PAD.decode(text.split('.').nth(1).unwrap()).unwrap();
        serde_json::from_slice(&claims).unwrap()
    };
    let ask = |client: Option<&str>, more: &[(&'static str, &str)]| {
        let more = [&[("requested_token_type", JWT)], more].concat();
        let request = match client {
            None => post(),
            Some(client) => post().header("authorization", server.basic(client)),
        };
        server.token(request, b_with(&subject, &more)).text_of("access_token")
    };
    let billing = "https://billing.example";
    // For the app itself and got by whoever holds the parent: the issuer and the parent stand
    // in the claims, and so in the answer.
    for (asker, text, client, audience) in [
        ("gateway", ask(None, &[]), subject.token.id.as_str(), json!(ISSUER)),
        ("gateway", ask(Some("writer"), &[]), "writer", json!(ISSUER)),
        ("billing", ask(Some("billing"), &[("resource", billing)]), "billing", json!(billing)),
        (
            "billing",
            ask(None, &[("audience", "billing"), ("audience", "search")]),
            subject.token.id.as_str(),
            json!(["billing", "search"]),
        ),
    ] {
        let claims = read(&text);
        let told = server.introspect_as(asker, &text);
        assert_eq!(
            told.text,
            format!(
                "200\ncache-control: no-store\ncontent-type: application/json\n\
                 pragma: no-cache\n\n{{\"active\":true,\"scope\":\"repo:read\",\
                 \"client_id\":\"{client}\",\"token_type\":\"Bearer\",\"exp\":{},\
                 \"iat\":{iat},\"sub\":\"u1\",\"aud\":{audience},\"iss\":\"{ISSUER}\",\
                 \"jti\":{}}}",
                iat + 600,
                claims["jti"],
            )
        );
        for claim in ["iss", "sub", "aud", "client_id", "jti", "iat", "exp", "scope"] {
            assert_eq!(told.json()[claim], claims[claim], "{claim}");
        }
    }
}

#[test]
fn c85_claims_in_the_form_are_absent_from_a_jwt() {
    let (server, _) = server();
    let more = [
        ("requested_token_type", JWT),
        ("act", "{\"sub\":\"admin\"}"),
        ("may_act", "x"),
        ("exp", "9999999999"),
        ("sub", "admin"),
        ("iss", "https://evil.example"),
    ];
    let text = server.token(post(), b_with(&server.ok(), &more)).text_of("access_token");
    let claims = URL_SAFE_NO_PAD.decode(text.split('.').nth(1).unwrap()).unwrap();
    let claims: Value = serde_json::from_slice(&claims).unwrap();
    let names: Vec<_> = claims.as_object().unwrap().keys().map(String::as_str).collect();
    let own = ["aud", "client_id", "exp", "iat", "iss", "jti", "resources", "scope", "sub"];
    assert_eq!(names, own);
    assert_eq!((&claims["sub"], &claims["iss"]), (&json!("u1"), &json!(ISSUER)));
    assert_eq!(claims["exp"], start().as_micros() / 1_000_000 + 600);
}

#[test]
fn c107_c112_a_jwt_that_is_no_good_is_told_as_any_other_text() {
    let (server, _) = server();
    let world = &server.world;
    let jwt = |subject: &Issued| {
        let body = b_with(subject, &[("requested_token_type", JWT)]);
        server.token(post(), body).text_of("access_token")
    };
    let (parent, suspended) = (server.world.token("parent"), server.world.token("suspended"));
    let (ended, orphan, kept) = (jwt(&parent), jwt(&suspended), jwt(&server.ok()));
    run(world.hallpass.revoke(&parent.token.id, RevocationReason::Requested)).unwrap();
    run(world.hallpass.suspend(&suspended.token.id)).unwrap();
    let forged = format!("{}AAAA", &kept[..kept.len() - 4]);
    let inactive = server.introspect_as("gateway", "garbage").text;
    assert!(inactive.ends_with("\n\n{\"active\":false}"));
    for text in [&ended, &orphan, &forged] {
        assert_eq!(server.introspect_as("gateway", text).text, inactive);
    }
    assert_eq!(server.introspect_as("billing", &kept).text, inactive, "not for it");
    assert_eq!(server.introspect_as("gateway", &kept).json()["active"], true);
    for fault in [Fault::Fails, Fault::Loses] {
        world.store.breaks(Step::Revoke, fault);
        server.revoke(post(), form(&[("token", &kept)])).is_unavailable();
    }
    world.store.heals();
    world.store.cool();
    world.store.breaks(Step::Find, Fault::Fails);
    server.introspect_as("gateway", &kept).is_unavailable();
    world.store.heals();
    world.advance(TimeDelta::minutes(10));
    assert_eq!(server.introspect_as("gateway", &kept).text, inactive);
}

#[test]
fn h19_the_key_set_is_public() {
    let (server, ring) = server();
    let (head, ()) = http::Request::get("/oauth/jwks.json").body(()).unwrap().into_parts();
    assert_eq!(
        written(&server.oauth.jwks(&head).unwrap()),
        format!(
            "200\ncache-control: public, max-age=300\ncontent-type: application/jwk-set+json\
             \n\n{}",
            ring.jwks(server.world.now())
        )
    );
    let metadata = written(&server.oauth.metadata(&head));
    assert!(metadata.contains("\"jwks_uri\":\"https://acme.example/oauth/jwks.json\""));
    let plain = Server::new();
    assert!(plain.oauth.jwks(&head).is_none());
    assert!(!written(&plain.oauth.metadata(&head)).contains("jwks_uri"));
}
