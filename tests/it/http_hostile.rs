//! Arbitrary heads: none panics, none is let in, none is echoed.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use base64::Engine as _;
use hallpass::{Requirement, Sources};
use http::{HeaderValue, Method, Request};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::http_support::World;

fn sources() -> Sources {
    Sources::bearer()
        .scheme("token")
        .basic_with_challenge()
        .header("private-token")
        .danger_query("access_token")
}

/// The answer to a head with these header lines and query.
fn send(lines: &[(&'static str, Vec<u8>)], query: &str, method: Method) -> Option<u16> {
    let uri = format!("/r?{query}").parse::<http::Uri>().ok()?;
    let mut request = Request::builder().method(method).uri(uri);
    for (name, value) in lines {
        request = request.header(*name, HeaderValue::from_bytes(value).ok()?);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let world = World::with(sources());
        let (mut head, ()) = request.body(()).unwrap().into_parts();
        let answer = world.admit(&mut head, Some(Requirement::any_token())).await;
        assert!(answer.verified.is_none());
        Some(answer.status)
    })
}

fn line() -> impl Strategy<Value = (&'static str, Vec<u8>)> {
    let name = prop_oneof![Just("authorization"), Just("private-token"), Just("sec-fetch-site")];
    let scheme = prop_oneof![
        Just(""),
        Just("Bearer "),
        Just("bearer"),
        Just("token "),
        Just("Basic "),
        Just("Basic")
    ];
    let rest = prop_oneof![
        vec(any::<u8>(), 0..200),
        "[ -~]{0,100}".prop_map(String::into_bytes),
        "acme_pat_[0-9A-Za-z]{16}_[0-9A-Za-z]{49}".prop_map(String::into_bytes),
        vec(any::<u8>(), 0..100).prop_map(|bytes| {
            base64::engine::general_purpose::STANDARD.encode(bytes).into_bytes()
        }),
    ];
    (name, scheme, rest)
        .prop_map(|(name, scheme, rest)| (name, [scheme.as_bytes(), &rest].concat()))
}

proptest! {
    #[test]
    fn no_edit_of_a_good_credential_is_let_in(
        custom in any::<bool>(),
        place in 0..=90_usize,
        edit in 0..3_u8,
        byte in any::<u8>(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let (before, after, status) = runtime.block_on(async {
            let world = World::with(sources());
            let ok = world.ok().await;
            let (name, before) = if custom {
                ("private-token", ok.into_bytes())
            } else {
                ("authorization", format!("Bearer {ok}").into_bytes())
            };
            let mut after = before.clone();
            let place = place.min(before.len() - 1);
            match edit {
                0 => after[place] = byte,
                1 => { after.remove(place); }
                _ => after.insert(place, byte),
            }
            let status = match HeaderValue::from_bytes(&after) {
                Ok(value) => world.send(Request::get("/r").header(name, value)).await.status,
                Err(_) => 400,
            };
            (before, after, status)
        });
        // Only the scheme word may be spelled in another case.
        let same = !custom
            && after.len() == before.len()
            && after[..6].eq_ignore_ascii_case(&before[..6])
            && after[6..] == before[6..];
        if same || after == before {
            prop_assert_eq!(status, 200);
        } else {
            prop_assert!(matches!(status, 400 | 401), "{status}");
        }
    }

    #[test]
    fn no_head_panics_or_is_let_in(
        lines in vec(line(), 0..4),
        query in "[a-z&=;%_+#?/.0-9]{0,40}|access_token=[ -~&&[^#<>\"]]{0,60}",
        unsafe_method in any::<bool>(),
    ) {
        let method = if unsafe_method { Method::POST } else { Method::GET };
        if let Some(status) = send(&lines, &query, method) {
            prop_assert!(matches!(status, 400 | 401), "{status}");
        }
    }
}
