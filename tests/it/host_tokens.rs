//! C124: no token of the app is a session, wherever it is on a request and however it is spelled.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use hallpass::Exchange;
use hallpass::api::Api;
use hallpass::host::{ConfirmError, Host, Refused, RememberedConfirmation};
use http::Request;
use http::request::{Builder, Parts};
use serde_json::json;

use crate::api_support::{ORIGIN, Sessions};
use crate::http_support::written;
use crate::jwt::{ISSUER, Mint};
use crate::world::run;

/// A host that knows JWTs too, and one token of each form.
struct Place {
    host: Host,
    texts: [String; 2],
    mint: Mint,
}

impl Place {
    fn new() -> Self {
        let mint = Mint::new();
        let sessions = Arc::new(Sessions::default());
        let host = Host::builder(mint.world.hallpass.clone(), ORIGIN, Arc::clone(&sessions))
            .confirmation(RememberedConfirmation::new(sessions))
            .jwt(mint.issuer.clone())
            .build()
            .unwrap();
        let parent = mint.world.token("ci");
        let jwt = mint.exchange(&parent, Exchange::new()).unwrap();
        Self { host, texts: [parent.plain.expose().to_owned(), jwt], mint }
    }

    fn refuses(&self, request: Builder) -> bool {
        let head = alices(request);
        matches!(run(self.host.signed_in(&head)), Err(Refused::TokenPresented))
    }
}

/// A request of somebody who is signed in.
fn alices(request: Builder) -> Parts {
    request.header("cookie", "s=alice.1").body(()).unwrap().into_parts().0
}

fn get(uri: &str) -> Builder {
    Request::get(uri)
}

/// Every byte of a text escaped.
fn escaped(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02x}")).collect()
}

#[test]
fn a_token_is_noticed_wherever_it_is() {
    let place = Place::new();
    assert!(run(place.host.signed_in(&alices(get("/")))).is_ok());
    for text in &place.texts {
        for line in [
            format!("Bearer {text}"),
            format!("bearer  {text}"),
            format!("token {text}"),
            text.clone(),
            format!("\"{text}\""),
            format!("a={text};b"),
            format!("Basic {}", STANDARD.encode(format!("{text}:"))),
            format!("basic {}", STANDARD.encode(format!("alice:{text}"))),
            format!("Basic {}", STANDARD_NO_PAD.encode(format!("al:{text}"))),
            format!("Basic   {}", STANDARD_NO_PAD.encode(format!("a:{text}"))),
        ] {
            for name in ["authorization", "private-token", "x-release-personal-token"] {
                assert!(place.refuses(get("/").header(name, &line)), "{name}: {line}");
            }
        }
        let invalid = [b"\xff ".as_slice(), text.as_bytes()].concat();
        assert!(place.refuses(get("/").header("private-token", invalid)));
        let (first, rest) = text.split_at(7);
        for query in [
            format!("private_token={text}"),
            text.clone(),
            format!("a=b&c={}", escaped(text)),
            format!("{}=x", escaped(text)),
            format!("x={}{rest}", escaped(first)),
            format!("x={}", text.replace('_', "%5F").replace('.', "%2e")),
            format!("x=%zz%{}", escaped(text)),
            format!("x=%FF%FE+{}", escaped(text)),
            format!("x={}%", escaped(text)),
        ] {
            assert!(place.refuses(get(&format!("/tokens?{query}"))), "{query}");
        }
    }
}

#[test]
fn what_is_no_token_of_the_app_is_the_hosts_own_business() {
    let place = Place::new();
    let [opaque, jwt] = &place.texts;
    let other = Mint::new();
    // Of another issuer, and what the host itself may have signed.
    let renamed = other.claims().to_string().replace(ISSUER, "https://idp.example");
    let foreign = other.signed(&other.header().to_string(), &renamed);
    let session = json!({"alg": "ES256", "typ": "JWT", "kid": "x"}).to_string();
    let session = place.mint.signed(&session, &place.mint.claims().to_string());
    let broken = opaque.replace("_pat_", "_bat_");
    for text in [foreign.as_str(), &session, &broken, &escaped("a b"), "%", "%5", "a.b.c", ".."] {
        let bearer = get("/").header("authorization", format!("Bearer {text}"));
        assert!(!place.refuses(bearer), "{text}");
        assert!(!place.refuses(get(&format!("/?x={text}"))), "{text}");
    }
    assert!(!place.refuses(get("/").header("cookie", format!("theirs={opaque}"))));
    // Forged, ended or of another key: it says that it is the app's, and is no session either.
    let (head, rest) = jwt.split_once('.').unwrap();
    let payload = rest.split('.').next().unwrap();
    for text in [
        format!("{head}.{payload}.{}", URL_SAFE_NO_PAD.encode([7; 64])),
        other.signed(&other.header().to_string(), &other.claims().to_string()),
    ] {
        assert!(place.refuses(get("/").header("authorization", format!("Bearer {text}"))));
    }
}

#[test]
fn a_token_confirms_nothing_and_manages_nothing() {
    let place = Place::new();
    let head = alices(get("/"));
    let alice = run(place.host.signed_in(&head)).unwrap();
    for text in &place.texts {
        let confirmed = run(place.host.confirm(&head, &alice, text));
        assert!(matches!(confirmed, Err(ConfirmError::Wrong)));
    }
    let api = Api::builder(place.host.clone()).mounted_at("/pat").build().unwrap();
    let ask = |request| written(&run(api.respond(alices(request), b"", None)));
    let [opaque, jwt] = place
        .texts
        .each_ref()
        .map(|text| ask(get("/pat/tokens").header("authorization", format!("Bearer {text}"))));
    assert!(opaque.starts_with("403\n") && opaque.contains("token-not-accepted"), "{opaque}");
    assert_eq!(jwt, opaque);
    for text in &place.texts {
        assert_eq!(ask(get(&format!("/pat/tokens?a={}", escaped(text)))), opaque);
    }
}
