//! The requests.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderName};
use http::{HeaderValue, Method};

use super::tokens::Tokens;
use super::{Case, Matrix};
use crate::credential::{MAX_CREDENTIAL_LEN, MAX_URI_LEN};

type Line = (HeaderName, HeaderValue);

/// Where a text is put, and what of a request it becomes.
struct Place {
    name: &'static str,
    put: fn(&str) -> (Vec<Line>, String),
}

/// Every place a token may be in.
const PLACES: [Place; 9] = [
    Place {
        name: "Bearer",
        put: |text| (vec![authorization(format!("Bearer {text}"))], String::new()),
    },
    Place {
        name: "bearer",
        put: |text| (vec![authorization(format!("bearer {text}"))], String::new()),
    },
    Place {
        name: "scheme word",
        put: |text| (vec![authorization(format!("Token {text}"))], String::new()),
    },
    Place {
        name: "Basic password",
        put: |text| (vec![basic(format!("git:{text}"))], String::new()),
    },
    Place { name: "Basic user", put: |text| (vec![basic(format!("{text}:"))], String::new()) },
    Place {
        name: "Basic user, x-oauth-basic",
        put: |text| (vec![basic(format!("{text}:x-oauth-basic"))], String::new()),
    },
    Place { name: "header", put: |text| (vec![own(text)], String::new()) },
    Place { name: "query", put: |text| (Vec::new(), format!("?access_token={text}")) },
    Place {
        name: "query among others",
        put: |text| (Vec::new(), format!("?a=%20&access_token={text}&b")),
    },
];

pub(super) fn all(tokens: &Tokens) -> Vec<Case> {
    let mut cases = in_every_place(tokens);
    cases.extend(broken(tokens));
    cases.extend(several(tokens));
    cases.extend(circumstances(tokens));
    cases
}

/// Every place with every token on every route.
fn in_every_place(tokens: &Tokens) -> Vec<Case> {
    let mut cases = Vec::new();
    for place in &PLACES {
        let mut ask = |what: &str, path: &str, text: &str| {
            let (headers, query) = (place.put)(text);
            let name = format!("{}: {what} on {path}", place.name);
            cases.push(Case::new(name, format!("{path}{query}"), headers));
        };
        for (path, _) in Matrix::routes() {
            ask("a good token", path, &tokens.good);
            ask("a wide token", path, &tokens.wide);
        }
        for (what, text) in &tokens.others {
            for path in ["/read", "/write", "/personal", "/exchanged"] {
                ask(&format!("a token {what}"), path, text);
            }
        }
        for (what, text) in tokens.bad.iter().chain(&tokens.unknown) {
            ask(&format!("a token {what}"), "/read", text);
        }
        ask("a bad token", "/closed", &tokens.bad[0].1);
        let (headers, query) = (place.put)(&tokens.good);
        for method in [Method::HEAD, Method::POST] {
            let name = format!("{}: {method}", place.name);
            let case = Case::new(name, format!("/read{query}"), headers.clone());
            cases.push(Case { method, ..case });
        }
        let name = format!("{}: an outage", place.name);
        let case = Case::new(name, format!("/read{query}"), headers);
        cases.push(Case { outage: true, ..case });
    }
    cases
}

/// Credentials that break the grammar of their place, and none at all.
fn broken(tokens: &Tokens) -> Vec<Case> {
    let good = &tokens.good;
    let mut cases = Vec::new();
    let values: [&[u8]; 39] = [
        b"",
        b"Bearer",
        b"Bearer  GOOD",
        b"Bearer\tGOOD",
        b"Bearer GOOD extra",
        b"Bearer GOOD\textra",
        b"Bearer GOOD,Bearer GOOD",
        b"Bearer GOOD, Basic x",
        b"Bearer \"GOOD\"",
        b"Bearer 'GOOD'",
        b"Bearer <GOOD>",
        b"Bearer {GOOD}",
        b"Bearer [object Object]",
        b"Bearer token=\"GOOD\"",
        b"Bearer %5FGOOD",
        b"Bearer \\x5fGOOD",
        b"Bearer &#95;GOOD",
        b"Bearer v1$0$GOOD",
        b"Bearer secret-token:GOOD",
        b"Bearer GOOD\xff",
        b"Bearer GOOD\xc2\xa0",
        b"Bearer \xc2\xa0GOOD",
        b"Bearer \xef\xbb\xbfGOOD",
        b"Bearer a\xe2\x80\x8bGOOD",
        b"Bearer \xef\xbd\x81cme_GOOD",
        b"Bearer GOOD=",
        b"BearerGOOD",
        b"GOOD",
        b"Digest username=\"GOOD\"",
        b"DPoP GOOD",
        b"Negotiate GOOD",
        b"Basic GOOD",
        b"Basic QR==",
        b"Basic  OnE=",
        b"Basic OnE",
        b"Basic _-8=",
        b"Basic //46",
        b"Basic OgB4",
        b"Basic",
    ];
    for value in values {
        let text = replaced(value, good.as_bytes());
        let name = format!("Authorization: {}", String::from_utf8_lossy(value));
        let line = (AUTHORIZATION, HeaderValue::from_bytes(&text).unwrap());
        cases.push(Case::new(name, "/read", vec![line]));
    }
    for pair in [
        ":GOOD",
        "admin:GOOD",
        "GOOD",
        ":GOOD:x",
        ":GOOD\n",
        ": GOOD",
        "GOOD:password",
        "u1:login password",
        ":",
        "GOOD:GOOD",
    ] {
        let name = format!("Basic: {pair}");
        cases.push(Case::new(name, "/read", vec![basic(pair.replace("GOOD", good))]));
    }
    for text in ["", "Bearer GOOD", "GOOD GOOD", "GOOD%20"] {
        let name = format!("header: {text}");
        cases.push(Case::new(name, "/read", vec![own(&text.replace("GOOD", good))]));
    }
    for query in [
        "access_token=",
        "access_token",
        "Access_Token=GOOD",
        "access%5Ftoken=GOOD",
        "a=1;access_token=GOOD",
        "access_token=%5FGOOD",
        "access_token=GOOD&access_token=GOOD",
        "access_token=GOOD&access_token=",
        "access_token=GOOD%20",
        "access_token=GOOD+",
        "xaccess_token=GOOD",
    ] {
        let target = format!("/read?{}", query.replace("GOOD", good));
        cases.push(Case::new(format!("query: {query}"), target, Vec::new()));
    }
    for method in [Method::GET, Method::HEAD, Method::POST] {
        for path in ["/read", "/closed"] {
            let case = Case::new(format!("nothing: {method} {path}"), path, Vec::new());
            cases.push(Case { method: method.clone(), ..case });
        }
    }
    let outage = Case::new("nothing in an outage", "/read", Vec::new());
    cases.push(Case { outage: true, ..outage });
    cases
}

/// `GOOD` in a text becomes the token.
fn replaced(text: &[u8], good: &[u8]) -> Vec<u8> {
    let at = text.windows(4).position(|window| window == b"GOOD");
    at.map_or_else(|| text.to_vec(), |at| [&text[..at], good, &text[at + 4..]].concat())
}

/// More than one credential, equal or not.
fn several(tokens: &Tokens) -> Vec<Case> {
    let (good, bad) = (&tokens.good, &tokens.bad[0].1);
    let bearer = |text: &str| authorization(format!("Bearer {text}"));
    let query = format!("/read?access_token={good}");
    let cases = [
        ("the same line twice", "/read", vec![bearer(good), bearer(good)]),
        ("good, then bad", "/read", vec![bearer(good), bearer(bad)]),
        ("bad, then good", "/read", vec![bearer(bad), bearer(good)]),
        ("Bearer and Basic", "/read", vec![bearer(good), basic(format!(":{good}"))]),
        ("a header twice", "/read", vec![own(good), own(good)]),
        ("Bearer and header", "/read", vec![bearer(good), own(good)]),
        ("an empty line and a header", "/read", vec![authorization(String::new()), own(good)]),
        ("Bearer and query", &query, vec![bearer(good)]),
        ("header and query", &query, vec![own(good)]),
        ("Basic and query", &query, vec![basic(format!(":{good}"))]),
        ("Bearer, header and query", &query, vec![bearer(good), own(good)]),
        ("Bearer and an unknown scheme", "/read", vec![bearer(good), authorization("x".into())]),
        ("Bearer and an empty header", "/read", vec![bearer(good), own("")]),
    ];
    let named = |(name, target, headers)| Case::new(format!("two: {name}"), target, headers);
    cases.into_iter().map(named).collect()
}

/// Sizes, other headers, and where the request comes from.
fn circumstances(tokens: &Tokens) -> Vec<Case> {
    let good = &tokens.good;
    let bearer = |text: &str| authorization(format!("Bearer {text}"));
    let spoofed = |name: &'static str, value: &'static str| {
        (HeaderName::from_static(name), HeaderValue::from_static(value))
    };
    let outside = tokens.bad.iter().find(|(what, _)| *what == "from another network");
    let forwarded = vec![
        bearer(&outside.unwrap().1),
        spoofed("x-forwarded-for", "198.51.100.1"),
        spoofed("x-real-ip", "198.51.100.1"),
        spoofed("forwarded", "for=198.51.100.1"),
    ];
    let long = "a".repeat(MAX_CREDENTIAL_LEN);
    let path = format!("/read?{}", "a".repeat(MAX_URI_LEN));
    let mut cases = vec![
        Case::new("a token that is too large", "/read", vec![bearer(&long)]),
        Case::new("a header that is too large", "/read", vec![own(&format!("{long}a"))]),
        Case::new("a Basic credential that is too large", "/read", vec![basic(long)]),
        Case::new("a URI that is too long", path.as_str(), vec![bearer(good)]),
        Case::new(
            "a URI that is too long, with two credentials",
            path.as_str(),
            vec![bearer(good), own(good)],
        ),
        Case::new("claims about the peer", "/read", forwarded),
        Case::new(
            "a cookie and a proxy's credential",
            "/read",
            vec![
                (
                    HeaderName::from_static("cookie"),
                    HeaderValue::try_from(format!("access_token={good}")).unwrap(),
                ),
                (
                    HeaderName::from_static("proxy-authorization"),
                    HeaderValue::try_from(format!("Bearer {good}")).unwrap(),
                ),
            ],
        ),
        Case::new(
            "claims about method, path and user",
            "/read",
            vec![
                bearer(good),
                spoofed("x-http-method-override", "DELETE"),
                spoofed("x-original-url", "/write"),
                spoofed("x-forwarded-user", "admin"),
            ],
        ),
    ];
    let form = HeaderValue::from_static("application/x-www-form-urlencoded");
    let form = vec![(CONTENT_TYPE, form)];
    let body = format!("access_token={good}");
    let case = Case::new("a form", "/read", form);
    cases.push(Case { method: Method::POST, body: body.into(), ..case });
    let trailed =
        vec![spoofed("transfer-encoding", "chunked"), spoofed("trailer", "authorization")];
    let body = format!("0\r\nauthorization: Bearer {good}\r\n\r\n");
    let case = Case::new("a trailer", "/read", trailed);
    cases.push(Case { method: Method::POST, body: body.into(), ..case });
    for (credential, line) in [("Basic", basic(format!(":{good}"))), ("Bearer", bearer(good))] {
        for site in ["cross-site", "same-site", "same-origin", "none"] {
            let name = format!("{credential} from {site}");
            let case =
                Case::new(name, "/read", vec![line.clone(), spoofed("sec-fetch-site", site)]);
            cases.push(Case { method: Method::POST, ..case });
        }
    }
    cases
}

fn authorization(value: String) -> Line {
    (AUTHORIZATION, HeaderValue::try_from(value).unwrap())
}

fn basic(pair: String) -> Line {
    authorization(format!("Basic {}", STANDARD.encode(pair)))
}

fn own(text: &str) -> Line {
    (HeaderName::from_static("private-token"), HeaderValue::from_str(text).unwrap())
}
