//! The axum router and extractor, and a server on a socket.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::error::Error as _;
use std::net::SocketAddr;

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, OriginalUri};
use axum::routing::{get, post};
use hallpass::axum::GuardedRouter;
use hallpass::credential::RequirementError;
use hallpass::{Requirement, Sources, Verified};
use http::{Request, Response, Uri};
use http_body_util::BodyExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tower::ServiceExt;

use crate::http_support::{Answer, World, basic, written};

async fn whose(token: Verified) -> String {
    token.owner().to_string()
}

async fn oneshot(app: &Router, request: http::request::Builder) -> Response<bytes::Bytes> {
    let request = request.body(Body::empty()).unwrap();
    let (head, body) = app.clone().oneshot(request).await.unwrap().into_parts();
    Response::from_parts(head, body.collect().await.unwrap().to_bytes())
}

fn bearer(method: &str, path: &str, text: &str) -> http::request::Builder {
    Request::builder().method(method).uri(path).header("authorization", format!("Bearer {text}"))
}

fn app(world: &World) -> Router {
    GuardedRouter::new(world.boundary.clone())
        .route("/repos", Requirement::scope("repo:read"), get(whose))
        .route("/repos", Requirement::scope("repo:write"), post(whose))
        .route("/me", Requirement::any_token(), get(whose))
        .into_router()
        .unwrap()
        .route("/health", get(|| async { "ok" }))
}

#[tokio::test]
async fn routes_on_one_path_differ_by_method() {
    let world = World::new();
    let (reader, writer) = (world.ok().await, world.issue(&["repo:write"]).await);
    let writer = writer.plain.expose();
    let app = app(&world);
    for (method, path, text, status) in [
        ("GET", "/repos", &*reader, 200),
        ("HEAD", "/repos", &reader, 200),
        ("POST", "/repos", &reader, 403),
        ("POST", "/repos", writer, 200),
        ("GET", "/me", &reader, 200),
        ("PUT", "/me", &reader, 405),
        ("PUT", "/me", "null", 401),
        ("GET", "/nowhere", &reader, 404),
    ] {
        let response = oneshot(&app, bearer(method, path, text)).await;
        assert_eq!(response.status(), status, "{method} {path}");
    }
    let public = oneshot(&app, Request::get("/health")).await;
    assert_eq!((public.status().as_u16(), &public.body()[..]), (200, &b"ok"[..]));
}

#[tokio::test]
async fn an_undeclared_scope_stops_the_start() {
    // C69
    let world = World::new();
    let error = GuardedRouter::<()>::new(world.boundary.clone())
        .route("/a", Requirement::scope("repo:read"), get(whose))
        .route("/b", Requirement::scope("repo:raed"), get(whose))
        .route("/c", Requirement::scope("also-unknown"), get(whose))
        .into_router()
        .unwrap_err();
    assert_eq!(error.path, "/b");
    assert!(matches!(error.error, RequirementError::Unknown(_)));
    assert_eq!(error.source().unwrap().to_string(), "unknown scope `repo:raed`");
}

#[tokio::test]
async fn the_extractor_lets_nobody_through_without_the_layer() {
    let world = World::new();
    let ok = world.ok().await;
    let app = Router::new().route("/", get(whose));
    let answer = Answer::from(oneshot(&app, bearer("GET", "/", &ok)).await);
    assert_eq!(answer.status, 500);
    assert!(answer.text.contains("urn:hallpass:problem:not-guarded"), "{}", answer.text);
}

#[tokio::test]
async fn the_layer_guards_routers_and_route_layers() {
    let world = World::new();
    let ok = world.ok().await;
    let guard = || world.boundary.require(Requirement::scope("repo:read")).unwrap();
    let whole = Router::new().route("/", get(whose)).layer(guard());
    let matched = Router::new().route("/", get(whose)).route_layer(guard());
    for app in [&whole, &matched] {
        assert_eq!(oneshot(app, bearer("GET", "/", &ok)).await.status(), 200);
        assert_eq!(oneshot(app, Request::get("/")).await.status(), 401);
    }
    let unguarded = Router::new().route("/", get(whose)).layer(world.boundary.layer());
    assert_eq!(oneshot(&unguarded, bearer("GET", "/", &ok)).await.status(), 403);
}

#[tokio::test]
async fn handlers_see_no_token_in_any_copy_of_the_uri() {
    // R93
    async fn uris(_: Verified, OriginalUri(original): OriginalUri, uri: Uri) -> String {
        format!("{original} {uri}")
    }
    let world = World::with(Sources::bearer().danger_query("access_token"));
    let ok = world.ok().await;
    let guarded = GuardedRouter::new(world.boundary.clone())
        .route("/repos", Requirement::any_token(), get(uris))
        .into_router()
        .unwrap();
    let app = Router::new().nest("/api", guarded);
    let uri = format!("/api/repos?a=1&access_token={ok}");
    let response = oneshot(&app, Request::get(uri)).await;
    assert_eq!(
        written(&response),
        "200\ncache-control: private, no-store\ncontent-length: 25\n\
         content-type: text/plain; charset=utf-8\nreferrer-policy: no-referrer\n\
         vary: Authorization\n\n/api/repos?a=1 /repos?a=1"
    );
}

#[tokio::test]
async fn the_connection_tells_the_peer() {
    let world = World::new();
    let inside = world
        .issue_as(|issue| issue.networks(["198.51.100.0/24".parse().unwrap()]), &["repo:read"])
        .await;
    let app = app(&world);
    for (peer, status) in [("198.51.100.7:80", 200), ("192.0.2.7:80", 401)] {
        let connected = ConnectInfo(peer.parse::<SocketAddr>().unwrap());
        let request = bearer("GET", "/repos", inside.plain.expose())
            .header("x-forwarded-for", "198.51.100.7")
            .extension(connected);
        assert_eq!(oneshot(&app, request).await.status(), status, "{peer}");
    }
}

/// Sends these bytes over a socket and reads until the server closes.
async fn exchange(address: SocketAddr, request: impl AsRef<[u8]>) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_ref()).await.unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).await.unwrap();
    response
}

#[tokio::test]
async fn a_server_on_a_socket_gives_the_same_answers() {
    let world = World::with(Sources::bearer().basic());
    let ok = world.ok().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let service = app(&world).into_make_service_with_connect_info::<SocketAddr>();
    let server = tokio::spawn(async move { axum::serve(listener, service).await });

    let ask = |method: &str, rest: &str| {
        format!("{method} /repos HTTP/1.1\r\nhost: a\r\nconnection: close\r\n{rest}\r\n")
    };
    let let_in = exchange(address, ask("GET", &format!("authorization: Bearer {ok}\r\n"))).await;
    assert!(let_in.starts_with("HTTP/1.1 200 OK\r\n"), "{let_in}");
    assert!(let_in.contains("\r\ncache-control: private\r\n"), "{let_in}");
    assert!(let_in.ends_with("\r\n\r\nu1"), "{let_in}");

    let value = basic(format!("git:{ok}"));
    let let_in = exchange(address, ask("GET", &format!("Authorization: {value}\r\n"))).await;
    assert!(let_in.starts_with("HTTP/1.1 200 OK\r\n"), "{let_in}");

    let refused = exchange(address, ask("GET", "authorization: Bearer null\r\n")).await;
    assert!(refused.starts_with("HTTP/1.1 401 Unauthorized\r\n"), "{refused}");
    assert!(refused.contains("error=\"invalid_token\""), "{refused}");
    let body = hallpass::credential::Problem::InvalidToken.body();
    assert!(refused.contains(&format!("\r\ncontent-length: {}\r\n", body.len())), "{refused}");
    assert!(refused.ends_with(std::str::from_utf8(&body).unwrap()), "{refused}");

    // C52: HEAD has the headers of GET and no body.
    let (get, head) =
        (exchange(address, ask("GET", "")).await, exchange(address, ask("HEAD", "")).await);
    let dateless = |text: &str| {
        let (head, _) = text.split_once("\r\n\r\n").unwrap();
        head.lines()
            .filter(|line| !line.starts_with("date:"))
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    assert_eq!(dateless(&get), dateless(&head));
    assert!(head.ends_with("\r\n\r\n"), "{head}");

    // C34, C38: a second line is a second credential; trailers and form bodies are not read.
    let line = format!("authorization: Bearer {ok}\r\n");
    let twice = exchange(address, ask("GET", &line.repeat(2))).await;
    assert!(twice.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{twice}");
    let trailer = ask("POST", "transfer-encoding: chunked\r\ntrailer: authorization\r\n")
        + &format!("1\r\nx\r\n0\r\n{line}\r\n");
    let trailer = exchange(address, trailer).await;
    assert!(trailer.starts_with("HTTP/1.1 401 Unauthorized\r\n"), "{trailer}");
    let form = format!("access_token={ok}");
    let headers = format!(
        "content-type: application/x-www-form-urlencoded\r\ncontent-length: {}\r\n",
        form.len()
    );
    let form = exchange(address, ask("POST", &headers) + &form).await;
    assert!(form.starts_with("HTTP/1.1 401 Unauthorized\r\n"), "{form}");
    assert!(!form.contains("error="), "{form}");
    server.abort();
}
