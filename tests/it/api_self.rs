//! What a token may know of itself and do to itself, the OpenAPI document, and the axum routes.

use std::collections::BTreeSet;

use axum::Router;
use axum::body::Body;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use chrono::TimeDelta;
use hallpass::api::Api;
use hallpass::{Boundary, Exchange, Sources};
use http::request::Builder;
use http::{Request, Response};
use http_body_util::BodyExt;
use serde_json::json;
use tower::ServiceExt;

use crate::api_support::{Answer, Site, from_page, get};
use crate::http_support::H5;
use crate::world::{Fault, Step, ci, run};

fn bearer(method: &str, path: &str, text: &str) -> Builder {
    Request::builder()
        .method(method)
        .uri(format!("/pat/self{path}"))
        .header("authorization", format!("Bearer {text}"))
        .header("content-type", "application/json")
}

fn ask(site: &Site, method: &str, path: &str, text: &str, body: &str) -> Answer {
    site.send(bearer(method, path, text), body)
}

#[test]
fn a_token_tells_what_it_is_good_for() {
    let site = Site::new();
    let issued = site.world.issue(ci("ci").scopes(["repo:write"]).on(["org/*"]));
    let told = ask(&site, "GET", "", issued.plain.expose(), "");
    assert_eq!(
        told.json,
        json!({
            "id": issued.token.id, "kind": "pat", "tenant": "default", "owner": "u1",
            "scopes": ["repo:read", "repo:write"], "resources": ["org/*"], "audience": [],
            "expires_at": "2026-12-22T09:00:00Z",
        })
    );
    assert_eq!(told.header("cache-control"), "no-store");
    site.world.owners.limit("u1", &["repo:read"]);
    let told = ask(&site, "GET", "", issued.plain.expose(), "");
    assert_eq!(told.json["scopes"], json!(["repo:read"]));
    // A session is no token.
    let session = site.send(get("alice.1", "/self"), "");
    assert_eq!((session.status, session.json["status"].as_u64()), (401, Some(401)));
}

#[test]
fn every_bad_token_gets_the_same_answer() {
    let site = Site::new();
    let issued = site.world.token("ci");
    site.world.store.cool();
    let zeros = crate::world::text_of("pat", issued.token.id.as_str(), &"0".repeat(43));
    for (method, path) in [("GET", ""), ("DELETE", ""), ("POST", "/rotate"), ("POST", "/check")] {
        for bad in ["x", &zeros, issued.token.id.as_str()] {
            assert_eq!(ask(&site, method, path, bad, "{}").text, H5, "{method} {path}");
        }
        let none = Request::builder().method(method).uri(format!("/pat/self{path}"));
        assert_eq!(site.send(none.header("content-type", "application/json"), "{}").status, 401);
        let text = issued.plain.expose();
        let two = bearer(method, path, text).header("authorization", format!("Bearer {text}"));
        assert_eq!(site.send(two, "{}").status, 400);
        site.world.store.breaks(Step::Find, Fault::Fails);
        let outage = ask(&site, method, path, text, "{}");
        assert_eq!((outage.status, outage.header("retry-after")), (503, "5"), "{method} {path}");
        site.world.store.heals();
    }
    assert!(site.world.accepts(&issued));
}

#[cfg(feature = "jwt")]
#[test]
fn a_jwt_is_ended_and_not_rotated() {
    let mut site = Site::new();
    let mint = crate::jwt::Mint::new();
    let host = hallpass::host::Host::builder(
        mint.world.hallpass.clone(),
        "https://acme.example",
        std::sync::Arc::clone(&site.sessions),
    );
    let host = host
        .confirmation(hallpass::host::RememberedConfirmation::new(site.sessions.clone()))
        .build()
        .unwrap();
    let boundary = Boundary::builder(mint.world.hallpass.clone()).jwt(mint.issuer.clone());
    let api = Api::builder(host).boundary(boundary.build().unwrap()).mounted_at("/pat");
    site.api = api.build().unwrap();
    let parent = mint.world.token("parent");
    let text = mint.exchange(&parent, Exchange::new()).unwrap();
    assert_eq!(ask(&site, "GET", "", &text, "").status, 200);
    assert_eq!(ask(&site, "POST", "/rotate", &text, "{}").problem(), (403, "not-rotatable"));
    assert_eq!(ask(&site, "GET", "", &text, "").status, 200);
    assert_eq!(ask(&site, "DELETE", "", &text, "").status, 204);
    assert_eq!(ask(&site, "GET", "", &text, "").text, H5);
    assert!(mint.world.accepts(&parent));
    let forged = format!("{}AAAA", &text[..text.len() - 4]);
    assert_eq!(ask(&site, "DELETE", "", &forged, "").text, H5);
}

#[test]
fn a_check_tells_what_is_missing() {
    let site = Site::new();
    let issued = site.world.issue(ci("ci").scopes(["repo:write"]).on(["org/*"]));
    let check = |body: &str| ask(&site, "POST", "/check", issued.plain.expose(), body);
    let good = check(r#"{"scopes":["repo:read"],"resources":["org/web"]}"#);
    assert_eq!(good.json, json!({ "passes": true, "missing_scopes": [], "missing_resources": [] }));
    let bad = check(r#"{"scopes":["hooks","repo:write"],"resources":["org","org/a"]}"#);
    let missing =
        json!({ "passes": false, "missing_scopes": ["hooks"], "missing_resources": ["org"] });
    assert_eq!((bad.status, bad.json), (200, missing));
    assert_eq!(check("{}").json["passes"], true);
    let many = json!({ "scopes": vec!["repo:read"; 65] }).to_string();
    let long = json!({ "resources": ["", "x".repeat(257)] }).to_string();
    for (body, wrong) in [
        (r#"{"scopes":["nothing"]}"#, &["/scopes/0"][..]),
        (r#"{"scopes":["repo:read "]}"#, &["/scopes/0"]),
        (r#"{"scopes":null}"#, &["/scopes"]),
        (r#"{"scope":["repo:read"]}"#, &["/scope"]),
        (&many, &["/scopes"]),
        (&long, &["/resources/0", "/resources/1"]),
    ] {
        assert_eq!(check(body).wrong(), wrong, "{body}");
    }
    assert_eq!(check("{").problem(), (400, "malformed-json"));
    let plain = bearer("POST", "/check", issued.plain.expose());
    let plain = plain.header("content-type", "text/plain");
    assert_eq!(site.send(plain, "{}").problem(), (415, "unsupported-media-type"));
}

#[test]
fn a_token_gives_itself_a_new_secret_and_no_longer_life() {
    let site = Site::new();
    let issued = site.world.issue(ci("ci").expiry(hallpass::Expiry::In(TimeDelta::days(1))));
    let text = issued.plain.expose();
    let rotate = |text: &str, body: &str| ask(&site, "POST", "/rotate", text, body);
    for body in [r#"{"lifetime_seconds":172800}"#, r#"{"expires_at":"2026-12-01T00:00:00Z"}"#] {
        assert_eq!(rotate(text, body).problem(), (403, "would-live-longer"));
    }
    assert_eq!(rotate(text, r#"{"expires_at":"never"}"#).wrong(), ["/expires_at"]);
    assert_eq!(rotate(text, r#"{"overlap_seconds":-1}"#).wrong(), ["/overlap_seconds"]);
    let rotated = rotate(text, r#"{"overlap_seconds":0}"#);
    assert_eq!(rotated.status, 201, "{}", rotated.text);
    assert_eq!(rotated.json["token"]["expires_at"], "2026-11-23T09:00:00Z");
    assert_eq!(rotated.header("location"), format!("/pat/tokens/{}", issued.token.id));
    assert!(site.world.verify(&rotated.secret()).is_ok());
    // The replaced secret comes back here: somebody else has it, and everything ends.
    assert_eq!(rotate(text, "{}").text, H5);
    assert!(site.world.verify(&rotated.secret()).is_err());
}

#[test]
fn exchanged_tokens_do_not_rotate_and_any_token_ends_itself() {
    let site = Site::new();
    let parent = site.world.token("ci");
    let child = run(site.world.hallpass.exchange(
        parent.plain.expose(),
        &Default::default(),
        Exchange::new(),
    ));
    let child = child.unwrap();
    assert_eq!(ask(&site, "GET", "", child.plain.expose(), "").json["kind"], "at");
    assert_eq!(ask(&site, "POST", "/rotate", child.plain.expose(), "{}").text, H5);
    let end = |text: &str| ask(&site, "DELETE", "", text, "");
    assert_eq!(end(child.plain.expose()).status, 204);
    assert!(!site.world.accepts(&child) && site.world.accepts(&parent));
    // Whatever its state: a suspended one too, and one that ended already.
    run(site.world.hallpass.suspend(&parent.token.id)).unwrap();
    assert_eq!(end(parent.plain.expose()).status, 204);
    assert_eq!(end(parent.plain.expose()).status, 204);
    let revoked = site.world.get(&parent).revocation.unwrap();
    assert_eq!(revoked.by, hallpass::Actor::Token(parent.token.id));
}

#[test]
fn a_stored_password_is_not_used_by_another_site() {
    let site = Site::new();
    let boundary = Boundary::builder(site.world.hallpass.clone())
        .sources(Sources::bearer().basic())
        .build()
        .unwrap();
    let api =
        Api::builder(site.host.clone()).mounted_at("/pat").boundary(boundary).build().unwrap();
    let issued = site.world.token("ci");
    let basic = format!("Basic {}", STANDARD.encode(format!("u:{}", issued.plain.expose())));
    let send = |method: &str, path: &str, from: &str| {
        let request = Request::builder().method(method).uri(format!("/pat/self{path}"));
        let request = request.header("authorization", &basic).header("sec-fetch-site", from);
        let (head, ()) = request.body(()).unwrap().into_parts();
        run(api.respond(head, b"", None)).status().as_u16()
    };
    assert_eq!(send("DELETE", "", "cross-site"), 403);
    assert_eq!(send("POST", "/rotate", "same-site"), 403);
    assert!(site.world.accepts(&issued));
    assert_eq!(send("GET", "", "same-origin"), 200);
    assert_eq!(send("POST", "/rotate", "same-origin"), 201);
    assert_eq!(send("DELETE", "", "none"), 204);
}

/// R94.
#[test]
fn every_answer_names_every_header_that_a_token_may_be_in() {
    let site = Site::new();
    let sources = Sources::bearer().header("private-token").danger_query("access_token");
    let boundary = Boundary::builder(site.world.hallpass.clone()).sources(sources);
    let api = Api::builder(site.host.clone()).mounted_at("/pat");
    let api = api.boundary(boundary.build().unwrap()).build().unwrap();
    let issued = site.world.token("ci");
    let send = |method: &str, path: &str, token: Option<&str>, body: &str| {
        let request = Request::builder().method(method).uri(format!("/pat/self{path}"));
        let request = request.header("content-type", "application/json");
        let request =
            token.iter().fold(request, |request, token| request.header("private-token", *token));
        let (head, ()) = request.body(()).unwrap().into_parts();
        run(api.respond(head, body.as_bytes(), None))
    };
    let lines = |response: &Response<Bytes>, name: &str| {
        let lines = response.headers().get_all(name).iter();
        lines.map(|line| line.to_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let mut text = issued.plain.expose().to_owned();
    for (method, path, token, body, status) in [
        ("GET", "", true, "", 200),
        ("POST", "/check", true, "{}", 200),
        ("POST", "/check", true, "{", 400),
        ("POST", "/check", true, r#"{"scopes":["nothing"]}"#, 400),
        ("POST", "/rotate", true, "{", 400),
        ("POST", "/rotate", true, r#"{"expires_at":"never"}"#, 400),
        ("POST", "/rotate", true, r#"{"overlap_seconds":0}"#, 201),
        ("POST", "/rotate", false, "{}", 401),
        ("GET", "", false, "", 401),
        ("DELETE", "", false, "", 401),
        ("DELETE", "", true, "", 204),
        ("GET", "", true, "", 401),
        ("POST", "/check", true, "{}", 401),
    ] {
        let response = send(method, path, token.then_some(&*text), body);
        assert_eq!(response.status(), status, "{method} {path} {body}");
        let vary = lines(&response, "vary").concat().to_lowercase();
        for name in ["authorization", "private-token"] {
            assert!(vary.contains(name), "{method} {path} {body}: {vary}");
        }
        assert_eq!(lines(&response, "cache-control"), ["no-store"], "{method} {path} {body}");
        assert!(lines(&response, "referrer-policy").is_empty());
        if status == 201 {
            let json: serde_json::Value = serde_json::from_slice(response.body()).unwrap();
            text = json["secret"].as_str().unwrap().to_owned();
        }
    }
    // One in the query is kept from whatever keeps URIs, also where none is taken from there.
    let issued = site.world.token("query");
    let query = format!("?access_token={}", issued.plain.expose());
    for (method, status) in [("GET", 200), ("DELETE", 400)] {
        let response = send(method, &query, None, "");
        assert_eq!(response.status(), status, "{method}");
        assert_eq!(lines(&response, "cache-control"), ["private, no-store"], "{method}");
        assert_eq!(lines(&response, "referrer-policy"), ["no-referrer"], "{method}");
    }
}

#[test]
fn the_document_describes_every_route_and_nothing_else() {
    let site = Site::new();
    let served = site.send(get("", "/openapi.json"), "");
    assert_eq!(served.json, site.document);
    assert_eq!(served.header("cache-control"), "public, max-age=300");
    assert_eq!(site.document["openapi"], "3.1.0");
    assert_eq!(site.document["servers"], json!([{ "url": "/pat" }]));
    let methods = ["get", "post", "put", "patch", "delete"];
    let mut operations = BTreeSet::new();
    for (path, item) in site.document["paths"].as_object().unwrap() {
        for method in methods {
            let path = path.replace("{id}", "0000000000000000");
            let answer = site.send(from_page(&method.to_uppercase(), "", &path), "");
            match item.get(method) {
                // Nobody is signed in, so whatever is there says so, or is for everybody.
                Some(operation) => {
                    assert!([200, 401].contains(&answer.status), "{method} {path} {}", answer.text);
                    let id = operation["operationId"].as_str().unwrap().to_owned();
                    assert!(operations.insert(id), "{method} {path}");
                    for (status, response) in operation["responses"].as_object().unwrap() {
                        let says = response["description"].as_str().unwrap();
                        assert!(!says.is_empty(), "{method} {path} {status}");
                    }
                }
                None => {
                    assert_eq!(answer.problem(), (405, "method-not-allowed"), "{method} {path}");
                    let allowed: Vec<String> = methods
                        .iter()
                        .filter(|method| item.get(**method).is_some())
                        .map(|method| method.to_uppercase())
                        .collect();
                    let told: Vec<&str> = answer.header("allow").split(", ").collect();
                    let told: Vec<&str> = told.into_iter().filter(|one| *one != "HEAD").collect();
                    assert_eq!(told.iter().collect::<BTreeSet<_>>().len(), allowed.len());
                    assert!(allowed.iter().all(|one| told.contains(&one.as_str())), "{path}");
                }
            }
        }
    }
    assert_eq!(operations.len(), 25);
    // Every reference leads somewhere.
    let text = site.document.to_string();
    for reference in text.split("\"#/").skip(1) {
        let pointer = format!("/{}", reference.split('"').next().unwrap());
        assert!(site.document.pointer(&pointer).is_some(), "{pointer}");
    }
    for secret in ["digest", "pepper"] {
        assert!(!text.contains(&format!("\"{secret}\"")), "{secret}");
    }
}

#[test]
fn axum_serves_the_same() {
    let site = Site::confirmed();
    let app: Router = Router::new().merge(site.api.clone().into_router());
    let send = |request: Request<Body>| {
        run(async {
            let response = app.clone().oneshot(request).await.unwrap();
            let status = response.status().as_u16();
            let body = response.into_body().collect().await.unwrap().to_bytes();
            (status, String::from_utf8(body.to_vec()).unwrap())
        })
    };
    let body = r#"{"name":"a","scopes":["repo:read"]}"#;
    let make = crate::api_support::post("alice.1", "/tokens").body(Body::from(body)).unwrap();
    assert_eq!(send(make).0, 201);
    let long = crate::api_support::post("alice.1", "/tokens").body(Body::from("x".repeat(65_537)));
    let (status, text) = send(long.unwrap());
    assert!(status == 413 && text.contains("body-too-large"));
    let wrong = Request::put("/pat/tokens").body(Body::empty()).unwrap();
    assert_eq!(send(wrong).0, 405);
    let document = Request::get("/pat/openapi.json").body(Body::empty()).unwrap();
    assert_eq!(send(document).1.as_bytes(), site.api.document());
    let head = Request::head("/pat/openapi.json").body(Body::empty()).unwrap();
    assert_eq!(send(head).0, 200);
    // The peer's address comes from axum.
    let near = site.world.issue(ci("near").networks(["192.0.2.0/24".parse().unwrap()]));
    let own = || bearer("GET", "", near.plain.expose()).body(Body::empty()).unwrap();
    assert_eq!(send(own()).0, 401);
    let mut from = own();
    from.extensions_mut().insert(hallpass::credential::Peer("192.0.2.7".parse().unwrap()));
    assert_eq!(send(from).0, 200);
}
