//! The tower layer.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::convert::Infallible;
use std::task::{Context, Poll};

use bytes::Bytes;
use hallpass::credential::{Peer, Problem};
use hallpass::{Requirement, Sources, Verified};
use http::request::Builder;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use tower::{Layer, Service, ServiceExt, service_fn};

use crate::http_support::{World, basic, written};

/// Answers with what the handler could see of the token.
async fn echo(request: Request<Full<Bytes>>) -> Result<Response<Full<Bytes>>, Infallible> {
    let token = request.extensions().get::<Verified>();
    let seen = token.map(|token| format!("{} {:?}", token.owner(), token.scopes()));
    let mut response = Response::new(Full::from(seen.unwrap_or_default()));
    response.headers_mut().insert("cache-control", "public, max-age=60".parse().unwrap());
    Ok(response)
}

async fn gather<B>(response: Response<B>) -> Response<Bytes>
where
    B: http_body::Body<Data = Bytes>,
    B::Error: std::fmt::Debug,
{
    let (head, body) = response.into_parts();
    let expected = body.size_hint().exact();
    let bytes = body.collect().await.unwrap().to_bytes();
    assert_eq!(expected, Some(bytes.len() as u64));
    Response::from_parts(head, bytes)
}

fn sources() -> Sources {
    Sources::bearer().scheme("token").basic().header("private-token").danger_query("access_token")
}

/// The ways to carry a token.
fn carried(text: &str) -> [(&'static str, Builder); 8] {
    let authorization = |value: String| Request::get("/repos").header("authorization", value);
    [
        ("bearer", authorization(format!("Bearer {text}"))),
        ("scheme", authorization(format!("token {text}"))),
        ("basic password", authorization(basic(format!("git:{text}")))),
        ("basic password alone", authorization(basic(format!(":{text}")))),
        ("basic user", authorization(basic(format!("{text}:")))),
        ("basic user with mark", authorization(basic(format!("{text}:x-oauth-basic")))),
        ("header", Request::get("/repos").header("private-token", text)),
        ("query", Request::get(format!("/repos?access_token={text}"))),
    ]
}

#[tokio::test]
async fn the_transport_makes_no_difference() {
    // C70: route x transport x scope.
    let world = World::with(sources());
    for held in ["repo:read", "repo:write", "org:read", "repo"] {
        let issued = world.issue(&[held]).await;
        for (required, implied) in
            [("repo:read", &["repo:write"][..]), ("repo:write", &[]), ("org:read", &[])]
        {
            let meets = held == required || implied.contains(&held);
            let guard = world.boundary.require(Requirement::scope(required)).unwrap();
            let service = guard.layer(service_fn(echo));
            for (transport, request) in carried(issued.plain.expose()) {
                let request = request.body(Full::default()).unwrap();
                let response = gather(service.clone().oneshot(request).await.unwrap()).await;
                let case = format!("{held} on {required} by {transport}");
                assert_eq!(response.status(), if meets { 200 } else { 403 }, "{case}");
                let seen = format!("u1 {:?}", world.hallpass.catalog().set([held]).unwrap());
                if meets {
                    assert_eq!(response.body(), seen.as_bytes(), "{case}");
                } else {
                    assert_eq!(response.body(), &Problem::InsufficientScope.body(), "{case}");
                }
            }
        }
    }
}

#[tokio::test]
async fn the_layer_makes_responses_private() {
    // R94, R93
    let world = World::with(sources());
    let ok = world.ok().await;
    let guard = world.boundary.require(Requirement::any_token()).unwrap();
    let service = guard.layer(service_fn(echo));
    for (transport, request) in carried(&ok) {
        let request = request.body(Full::default()).unwrap();
        let response = gather(service.clone().oneshot(request).await.unwrap()).await;
        let expected = if transport == "query" {
            "200\ncache-control: private, no-store\nreferrer-policy: no-referrer\n\
             vary: Authorization, private-token\n\nu1 {repo:read}"
        } else {
            "200\ncache-control: private, max-age=60\nvary: Authorization, private-token\n\n\
             u1 {repo:read}"
        };
        assert_eq!(written(&response), expected, "{transport}");
    }
}

#[tokio::test]
async fn a_refused_request_never_reaches_the_service() {
    let world = World::new();
    let guard = world.boundary.require(Requirement::scope("repo:write")).unwrap();
    let unreachable = service_fn(|_: Request<()>| async {
        panic!("reached");
        #[expect(unreachable_code, reason = "it tells the type")]
        Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
    });
    let service = guard.layer(unreachable);
    let bearer = |text: &str| Request::get("/").header("authorization", format!("Bearer {text}"));
    for (request, status) in [
        (Request::get("/"), 401),
        (bearer("null"), 401),
        (bearer(""), 400),
        (bearer(&world.ok().await), 403),
    ] {
        let response = service.clone().oneshot(request.body(()).unwrap()).await.unwrap();
        assert_eq!(response.status(), status);
        assert!(response.extensions().get::<Problem>().is_some());
    }
}

#[tokio::test]
async fn a_layer_without_requirement_looks_for_one_in_the_request() {
    let world = World::new();
    let ok = world.ok().await;
    let service = world.boundary.layer().layer(service_fn(echo));
    let request = || {
        let request = Request::get("/").header("authorization", format!("Bearer {ok}"));
        request.body(Full::default()).unwrap()
    };
    let response = service.clone().oneshot(request()).await.unwrap();
    assert_eq!(response.status(), 403);
    assert_eq!(response.extensions().get(), Some(&Problem::NoRequirement));
    for (scope, status) in [("repo:read", 200), ("repo:write", 403)] {
        let mut request = request();
        let requirement = world.boundary.compile(Requirement::scope(scope)).unwrap();
        request.extensions_mut().insert(requirement);
        assert_eq!(service.clone().oneshot(request).await.unwrap().status(), status);
    }
}

#[tokio::test]
async fn the_peer_is_what_trusted_code_put_in_the_extensions() {
    let world = World::new();
    let inside = world
        .issue_as(|issue| issue.networks(["198.51.100.0/24".parse().unwrap()]), &["repo:read"])
        .await;
    let guard = world.boundary.require(Requirement::any_token()).unwrap();
    let service = guard.layer(service_fn(echo));
    for (peer, status) in [(None, 401), (Some("198.51.100.7"), 200), (Some("192.0.2.7"), 401)] {
        let value = format!("Bearer {}", inside.plain.expose());
        let request = Request::get("/").header("authorization", value);
        let mut request = request.body(Full::default()).unwrap();
        if let Some(peer) = peer {
            request.extensions_mut().insert(Peer(peer.parse().unwrap()));
        }
        assert_eq!(service.clone().oneshot(request).await.unwrap().status(), status, "{peer:?}");
    }
}

/// Must be polled ready before it is called, and its clones are not ready.
struct Picky {
    ready: bool,
}

impl Clone for Picky {
    fn clone(&self) -> Self {
        Self { ready: false }
    }
}

impl Service<Request<()>> for Picky {
    type Response = Response<Full<Bytes>>;
    type Error = &'static str;
    type Future = std::future::Ready<Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.ready = true;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<()>) -> Self::Future {
        assert!(std::mem::take(&mut self.ready), "called before it was ready");
        std::future::ready(Err("the service's own"))
    }
}

#[tokio::test]
async fn the_service_that_was_ready_is_called_and_its_errors_pass() {
    let world = World::new();
    let ok = world.ok().await;
    let guard = world.boundary.require(Requirement::any_token()).unwrap();
    let mut service = guard.layer(Picky { ready: false });
    for _ in 0..2 {
        let request = Request::get("/").header("authorization", format!("Bearer {ok}"));
        let request = request.body(()).unwrap();
        let called = service.ready().await.unwrap().call(request);
        assert_eq!(called.await.map(|_| ()), Err("the service's own"));
    }
}
