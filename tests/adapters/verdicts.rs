//! What the matrix asks, and that it is all of it.

use std::collections::BTreeMap;

use bytes::Bytes;
use hallpass::credential::conformance::{Case, Matrix};
use http::{HeaderName, HeaderValue, Response};

use crate::{on_actix, on_axum, on_rocket, on_tonic};

/// The status, and what kind of problem the body names.
fn verdict(response: &Response<Bytes>) -> (u16, String) {
    let body: serde_json::Value = serde_json::from_slice(response.body()).unwrap_or_default();
    let problem = body["type"].as_str().and_then(|uri| uri.rsplit(':').next());
    (response.status().as_u16(), problem.unwrap_or_default().to_owned())
}

#[tokio::test]
async fn the_matrix_asks_for_every_result_that_a_route_can_have() {
    let matrix = Matrix::new().await;
    let mut verdicts = BTreeMap::new();
    for case in matrix.cases() {
        let response = matrix.expected(case).await;
        *verdicts.entry(verdict(&response)).or_insert(0) += 1;
    }
    let found: Vec<_> = verdicts.keys().map(|(status, name)| (*status, name.as_str())).collect();
    assert_eq!(
        found,
        [
            (200, ""),
            (400, "malformed-credential"),
            (400, "several-credentials"),
            (401, "credential-required"),
            (401, "invalid-token"),
            (403, "cross-site"),
            (403, "insufficient-resource"),
            (403, "insufficient-scope"),
            (403, "no-requirement"),
            (414, "uri-too-long"),
            (431, "header-too-large"),
            (503, "unavailable"),
        ],
        "{verdicts:?}"
    );
}

#[tokio::test]
async fn every_token_is_judged_as_its_name_says_wherever_it_is() {
    const PLACES: [&str; 9] = [
        "Bearer",
        "bearer",
        "scheme word",
        "Basic password",
        "Basic user",
        "Basic user, x-oauth-basic",
        "header",
        "query",
        "query among others",
    ];
    let matrix = Matrix::new().await;
    let good = ["a good token", "a wide token", "a token superseded, within the overlap"];
    let good: Vec<_> = good
        .into_iter()
        .chain(["a token rotated", "a token exchanged", "a token of an application"])
        .chain(cfg!(feature = "jwt").then_some("a token that is a JWT"))
        .collect();
    let unknown =
        ["a token of an owner who cannot be looked up", "a token whose pepper is missing"];
    let mut asked = BTreeMap::new();
    for case in matrix.cases() {
        let Some((place, rest)) = case.name.split_once(": ") else { continue };
        let Some(what) = rest.strip_suffix(" on /read") else { continue };
        let (status, name) = verdict(&matrix.expected(case).await);
        if good.contains(&what) {
            assert_eq!(status, 200, "{}", case.name);
        } else if unknown.contains(&what) {
            assert_eq!((status, name.as_str()), (503, "unavailable"), "{}", case.name);
        } else {
            assert_eq!((status, name.as_str()), (401, "invalid-token"), "{}", case.name);
        }
        asked.entry(what.to_owned()).or_insert_with(Vec::new).push(place.to_owned());
    }
    assert!(asked.len() > 45, "{asked:?}");
    for (what, places) in asked {
        assert_eq!(places, PLACES, "{what}");
    }
}

/// Servers have bounds of their own on the lines of a head; whoever meets one first refuses.
#[tokio::test]
async fn too_many_header_lines_are_refused_by_whoever_counts_them_first() {
    let matrix = Matrix::new().await;
    let line = (HeaderName::from_static("x-other"), HeaderValue::from_static("x"));
    let mut lines = vec![line; 199];
    let bearer = format!("Bearer {}", matrix.token());
    lines.push((http::header::AUTHORIZATION, bearer.try_into().unwrap()));
    let case = Case::new("200 lines", "/read", lines);
    assert_eq!(matrix.expected(&case).await.status(), 431);
    let (actix, rocket) = (
        on_actix::Server::start(matrix.boundary()).await,
        on_rocket::Server::start(matrix.boundary()).await,
    );
    let axum = on_axum::serve(matrix.boundary()).await;
    let tonic = on_tonic::serve_plain(matrix.boundary()).await;
    for address in [axum, actix.address, rocket.address, tonic] {
        assert_eq!(matrix.send(address, &case).await.status(), 431);
    }
    on_tonic::ask(&matrix, &mut on_tonic::client(matrix.boundary()).await, case).await;
    actix.stop().await;
    rocket.stop().await;
}
