//! Random requests: whatever the header lines, every adapter answers as the boundary does.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hallpass::credential::conformance::{Case, Matrix};
use http::{HeaderName, HeaderValue, Method};
use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, any, prop_oneof};
use proptest::sample::select;
use proptest::test_runner::{Config, TestRunner};

use crate::{on_actix, on_axum, on_rocket, on_tonic};

/// The tokens of every state.
fn tokens(matrix: &Matrix) -> Vec<Vec<u8>> {
    let bare = matrix.cases().iter().filter(|case| case.name.starts_with("header: a token"));
    let tokens: Vec<_> = bare.map(|case| case.headers[0].1.as_bytes().to_vec()).collect();
    assert!(tokens.len() > 45, "{}", tokens.len());
    tokens
}

/// A text that may be a token, or look like one, or like nothing.
fn text(good: &str, tokens: Vec<Vec<u8>>) -> impl Strategy<Value = Vec<u8>> + Clone + use<> {
    let shown = good.as_bytes().to_vec();
    let pairs =
        [format!(":{good}"), format!("{good}:"), format!("git:{good}"), format!("{good}:{good}")];
    let basic = pairs.map(|pair| STANDARD.encode(pair).into_bytes()).to_vec();
    let cut = good.len();
    prop_oneof![
        4 => Just(shown.clone()),
        4 => select(tokens),
        2 => select(basic),
        1 => (0..cut).prop_map(move |len| shown.iter().copied().take(len).collect()),
        1 => "[A-Za-z0-9+/=_~.-]{0,80}".prop_map(String::into_bytes),
        1 => vec(prop_oneof![0x20..=0x7e_u8, 0x80..=0xff_u8, Just(b'\t')], 0..20),
    ]
}

fn line(
    good: &str,
    tokens: Vec<Vec<u8>>,
) -> impl Strategy<Value = (HeaderName, HeaderValue)> + Clone + use<> {
    let schemes = [
        "Bearer ", "Bearer ", "bearer ", "Token ", "Basic ", "basic ", "Digest ", "Bearer",
        "Bearer  ", "Bearer\t", "",
    ];
    let value = (
        select(schemes.to_vec()),
        text(good, tokens),
        select(vec!["", "", "", "=", ",", " x", "\u{a0}"]),
    );
    let names = ["authorization", "authorization", "authorization", "private-token", "x-other"];
    let credential = (select(names.to_vec()), value).prop_map(|(name, (scheme, text, rest))| {
        let bare = name == "private-token";
        let value = [if bare { b"" } else { scheme.as_bytes() }, &text, rest.as_bytes()].concat();
        // A server takes the white space around a value away.
        let value = value.trim_ascii();
        (HeaderName::from_static(name), HeaderValue::from_bytes(value).unwrap())
    });
    let sites = select(vec!["same-origin", "cross-site", "none", ""]).prop_map(|site| {
        (HeaderName::from_static("sec-fetch-site"), HeaderValue::from_static(site))
    });
    prop_oneof![6 => credential, 1 => sites]
}

fn case(matrix: &Matrix) -> impl Strategy<Value = Case> + use<> {
    let (good, tokens) = (matrix.token(), tokens(matrix));
    let paths: Vec<_> = Matrix::routes().map(|(path, _)| path).to_vec();
    let query = [
        "",
        "",
        "",
        "?a=1",
        "?access_token=GOOD",
        "?a&access_token=GOOD&b",
        "?access_token",
        "?access_token=GOOD&access_token=x",
    ];
    let query: Vec<_> = query.map(|query| query.replace("GOOD", good)).to_vec();
    let methods = select(vec![Method::GET, Method::HEAD, Method::POST]);
    let line = line(good, tokens);
    let headers = prop_oneof![5 => vec(line.clone(), 1..2), 2 => vec(line, 0..4)];
    (methods, select(paths), select(query), headers, any::<bool>(), any::<bool>()).prop_map(
        |(method, path, query, headers, one, other)| {
            let mut case = Case::new("random", format!("{path}{query}"), headers);
            case.method = method;
            case.outage = one && other;
            case
        },
    )
}

#[test]
fn every_adapter_answers_random_requests_as_the_boundary_does() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let matrix = runtime.block_on(Matrix::new());
    let (axum, actix, rocket, plain_tonic, tonic) = runtime.block_on(async {
        let boundary = matrix.boundary();
        (
            on_axum::serve(boundary).await,
            on_actix::Server::start(boundary).await,
            on_rocket::Server::start(boundary).await,
            on_tonic::serve_plain(boundary).await,
            on_tonic::client(boundary).await,
        )
    });
    let config = Config { cases: 400, failure_persistence: None, ..Config::default() };
    let tested = TestRunner::new(config).run(&case(&matrix), |case| {
        runtime.block_on(async {
            let cases = std::slice::from_ref(&case);
            matrix.ask(axum, cases).await;
            matrix.ask(actix.address, cases).await;
            matrix.ask_but(rocket.address, cases, &on_rocket::EXCEPTIONS).await;
            matrix.ask(plain_tonic, cases).await;
            on_tonic::ask(&matrix, &mut tonic.clone(), case).await;
        });
        Ok(())
    });
    if let Err(failure) = tested {
        panic!("{failure}");
    }
    runtime.block_on(async {
        actix.stop().await;
        rocket.stop().await;
    });
}
