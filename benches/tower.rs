//! The tower layer as a service, beside what it is put around: no network, one request at a time.

#![expect(clippy::expect_used, reason = "a bench that cannot be set up must stop")]

#[expect(dead_code, reason = "each bench uses its part")]
mod support;

use std::convert::Infallible;
use std::hint::black_box;
use std::net::Ipv4Addr;

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use bytes::Bytes;
use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, criterion_group, criterion_main};
use hallpass::axum::GuardedRouter;
use hallpass::credential::Peer;
use hallpass::{Boundary, Context, Hallpass, Requirement};
use http::header::{ACCEPT, AUTHORIZATION, HOST, USER_AGENT};
use http::{HeaderValue, Request, Response};
use http_body_util::Full;
use tower::{Layer, Service, service_fn};

use support::{Text, populated, ready, rows};

criterion_group!(benches, layer, routers, refusals);
criterion_main!(benches);

fn boundary(hallpass: Hallpass) -> Boundary {
    Boundary::builder(hallpass).build().expect("a boundary")
}

fn bearer(text: &str) -> HeaderValue {
    HeaderValue::try_from(format!("Bearer {text}")).expect("a value")
}

/// A request as a client sends it, with what a server knows of its peer.
fn request<B>(bearer: &HeaderValue, body: B) -> Request<B> {
    Request::get("/hello")
        .header(HOST, HeaderValue::from_static("api.example.com"))
        .header(USER_AGENT, HeaderValue::from_static("curl/8.5.0"))
        .header(ACCEPT, HeaderValue::from_static("*/*"))
        .header(AUTHORIZATION, bearer)
        .extension(Peer(Ipv4Addr::LOCALHOST.into()))
        .body(body)
        .expect("a request")
}

/// Times a service that never waits, with making the request and dropping the response.
fn measure<S, B, R>(
    group: &mut BenchmarkGroup<'_, WallTime>,
    name: &str,
    service: &mut S,
    request: impl Fn() -> Request<B>,
) where
    S: Service<Request<B>, Response = Response<R>, Error = Infallible>,
{
    group.bench_function(name, |b| {
        b.iter(|| match ready(service.call(request())) {
            Ok(response) => response,
            Err(never) => match never {},
        });
    });
}

/// The layer around a service that is ready with its answer.
fn layer(c: &mut Criterion) {
    let hallpass = populated(rows(1000));
    let mut text = Text::new();
    let text = text.of(7);
    let bearer = bearer(text);
    let mut group = c.benchmark_group("tower");
    let mut bare = service_fn(|request: Request<()>| {
        black_box(&request);
        let answer = Response::new(Full::new(Bytes::from_static(b"Hello, world!")));
        std::future::ready(Ok::<_, Infallible>(answer))
    });
    let layer = boundary(hallpass.clone()).require(Requirement::scope("repo:read"));
    let mut guarded = layer.expect("a layer").layer(bare);
    measure(&mut group, "bare", &mut bare, || request(&bearer, ()));
    measure(&mut group, "guarded", &mut guarded, || request(&bearer, ()));
    group.bench_function("verify alone", |b| {
        let context = Context::default();
        b.iter(|| ready(hallpass.verify(black_box(text), &context)).expect("good"));
    });
}

async fn hello() -> &'static str {
    "Hello, world!"
}

/// axum's router on its own and with every route guarded, as they are served.
fn routers(c: &mut Criterion) {
    let mut text = Text::new();
    let bearer = bearer(text.of(7));
    let mut group = c.benchmark_group("axum");
    let mut bare: Router = Router::new().route("/hello", get(hello)).with_state(());
    let mut guarded: Router = GuardedRouter::new(boundary(populated(rows(1000))))
        .route("/hello", Requirement::scope("repo:read"), get(hello))
        .into_router()
        .expect("a router")
        .with_state(());
    measure(&mut group, "bare", &mut bare, || request(&bearer, Body::empty()));
    measure(&mut group, "guarded", &mut guarded, || request(&bearer, Body::empty()));
}

/// Requests that are not let in.
fn refusals(c: &mut Criterion) {
    let boundary = boundary(populated(rows(1000)));
    let mut text = Text::new();
    let unknown = bearer(text.of(u64::MAX));
    let mut group = c.benchmark_group("tower refuses");
    let inner = service_fn(|_: Request<()>| {
        std::future::ready(Ok::<_, Infallible>(Response::new(Full::new(Bytes::new()))))
    });
    let layer = boundary.require(Requirement::scope("repo:read")).expect("a layer");
    let mut guarded = layer.layer(inner);
    measure(&mut group, "unknown id", &mut guarded, || request(&unknown, ()));
    measure(&mut group, "no credential", &mut guarded, || {
        Request::get("/hello").body(()).expect("a request")
    });
}
