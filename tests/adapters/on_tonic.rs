//! tonic, over HTTP/2, with a gRPC client.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::extract::ConnectInfo;
use bytes::Bytes;
use hallpass::credential::conformance::{Case, Matrix};
use hallpass::credential::{Peer, Rejection};
use hallpass::tonic::{GuardedMethods, MethodLayer, verified};
use hallpass::{Boundary, Requirement, Verified};
use http::header::{CACHE_CONTROL, RETRY_AFTER, VARY, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderName, Method};
use http_body_util::BodyExt as _;
use tonic::body::Body;
use tonic::client::Grpc as Client;
use tonic::metadata::MetadataMap;
use tonic::server::{Grpc, NamedService};
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Channel, Server};
use tonic::{Code, Request, Response, Status};
use tonic_prost::ProstCodec;
use tonic_types::StatusExt as _;
use tower::{Layer as _, Service, ServiceExt as _, service_fn};

/// What a code generator would make of a service whose methods take and give a string.
#[derive(Clone)]
struct Repos;

impl NamedService for Repos {
    const NAME: &'static str = "acme.v1.Repos";
}

impl Service<http::Request<Body>> for Repos {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let target = request.uri().path_and_query().unwrap();
        let method = target.as_str().replace("/acme.v1.Repos", "");
        let handler = service_fn(move |request| answer(request, method.clone()));
        let mut grpc = Grpc::new(ProstCodec::<String, String>::default());
        Box::pin(async move { Ok(grpc.unary(handler, request).await) })
    }
}

async fn answer(request: Request<String>, method: String) -> Result<Response<String>, Status> {
    if method == "/health" {
        assert_eq!(verified(&request).unwrap_err().code(), Code::Internal);
        return Ok(Response::new("fine".to_owned()));
    }
    let token = verified(&request)?;
    if method.split('?').next() == Some(Matrix::RESOURCE) {
        token.on("org/secret")?;
    }
    Ok(Response::new(format!("{} {method}", token.owner())))
}

fn layer(boundary: &Boundary) -> MethodLayer {
    let mut methods = GuardedMethods::new(boundary.clone()).public("/acme.v1.Repos/health");
    for (path, requirement) in Matrix::routes() {
        if let Some(requirement) = requirement {
            methods = methods.method(&format!("/acme.v1.Repos{path}"), requirement);
        }
    }
    methods.into_layer().unwrap()
}

/// A client of a server with the methods of the matrix.
pub(crate) async fn client(boundary: &Boundary) -> Client<Channel> {
    let incoming = TcpIncoming::bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    let address = incoming.local_addr().unwrap();
    let server = Server::builder().layer(layer(boundary)).add_service(Repos);
    tokio::spawn(server.serve_with_incoming(incoming));
    let channel = Channel::from_shared(format!("http://{address}")).unwrap();
    Client::new(channel.connect().await.unwrap())
}

/// Calls the method that stands for the path of a case.
async fn call(
    client: &mut Client<Channel>,
    path: &str,
    headers: HeaderMap,
) -> Result<Response<String>, Status> {
    client.ready().await.unwrap();
    let metadata = MetadataMap::from_headers(headers);
    let request = Request::from_parts(metadata, http::Extensions::new(), String::new());
    let path = format!("/acme.v1.Repos{path}").parse().unwrap();
    client.unary(request, path, ProstCodec::<String, String>::default()).await
}

/// Asserts that gRPC tells what HTTP tells.
fn assert_same(
    case: &Case,
    answer: Result<Response<String>, Status>,
    expected: &http::Response<Bytes>,
) {
    let name = &case.name;
    let lines = |headers: &HeaderMap, name: &HeaderName| -> Vec<_> {
        headers.get_all(name).iter().cloned().collect()
    };
    let metadata = match answer {
        Ok(answer) => {
            assert_eq!(expected.status(), 200, "{name}");
            let (metadata, body, _) = answer.into_parts();
            assert_eq!(body.as_bytes(), expected.body(), "{name}");
            metadata
        }
        Err(status) => {
            let code = match expected.status().as_u16() {
                400 | 401 => Code::Unauthenticated,
                403 => Code::PermissionDenied,
                414 | 431 => Code::ResourceExhausted,
                503 => Code::Unavailable,
                other => panic!("{name}: {other}"),
            };
            assert_eq!(status.code(), code, "{name}: {status:?}");
            let problem: serde_json::Value = serde_json::from_slice(expected.body()).unwrap();
            assert_eq!(status.message(), problem["detail"], "{name}");
            let details = status.get_error_details();
            let info = details.error_info().unwrap_or_else(|| panic!("{name}: {status:?}"));
            let reason = info.reason.to_lowercase().replace('_', "-");
            assert_eq!(format!("urn:{}:problem:{reason}", info.domain), problem["type"], "{name}");
            let delay = details.retry_info().and_then(|retry| retry.retry_delay);
            let after = expected.headers().get(RETRY_AFTER);
            let after = after.map(|after| after.to_str().unwrap().parse().unwrap());
            assert_eq!(delay.map(|delay| delay.as_secs()), after, "{name}");
            status.metadata().clone()
        }
    };
    let headers = metadata.into_headers();
    for line in [WWW_AUTHENTICATE, CACHE_CONTROL, VARY, RETRY_AFTER] {
        assert_eq!(lines(&headers, &line), lines(expected.headers(), &line), "{name}: {line}");
    }
}

/// Calls the method by POST, as gRPC does, and asserts that the answer is the boundary's.
pub(crate) async fn ask(matrix: &Matrix, client: &mut Client<Channel>, mut case: Case) {
    case.method = Method::POST;
    let expected = matrix.expected(&case).await;
    matrix.set_outage(case.outage);
    let answer = call(client, &case.target, case.request().headers().clone()).await;
    matrix.set_outage(false);
    assert_same(&case, answer, &expected);
}

#[tokio::test]
async fn tonic_answers_as_the_boundary_does() {
    let matrix = Matrix::new().await;
    let mut client = client(matrix.boundary()).await;
    let mut asked = 0;
    for case in matrix.cases().iter().filter(|case| can_be_called(case)) {
        ask(&matrix, &mut client, case.clone()).await;
        asked += 1;
    }
    // All but what `can_be_called` names.
    assert!(asked + 5 > matrix.cases().len(), "{asked}");
}

/// A call has a body of its own, and HTTP/2 bounds its head.
fn can_be_called(case: &Case) -> bool {
    case.body.is_empty() && case.target.len() < 16 * 1024
}

/// Serves the routes of the matrix behind the same layer, over HTTP/1.
pub(crate) async fn serve_plain(boundary: &Boundary) -> SocketAddr {
    async fn handler(request: axum::extract::Request) -> Result<String, Rejection> {
        let token = request.extensions().get::<Verified>().unwrap();
        if request.uri().path() == Matrix::RESOURCE {
            token.on("org/secret")?;
        }
        Ok(format!("{} {}", token.owner(), request.uri()))
    }
    async fn with_peer(
        ConnectInfo(peer): ConnectInfo<SocketAddr>,
        mut request: axum::extract::Request,
    ) -> axum::extract::Request {
        request.extensions_mut().insert(Peer(peer.ip()));
        request
    }
    let mut methods = GuardedMethods::new(boundary.clone());
    for (path, requirement) in Matrix::routes() {
        if let Some(requirement) = requirement {
            methods = methods.method(path, requirement);
        }
    }
    let handler = axum::Router::new().fallback(handler);
    let guarded = methods.into_layer().unwrap().layer(handler);
    let app = axum::Router::new().fallback_service(guarded);
    let app = app.layer(axum::middleware::map_request(with_peer));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, app).await });
    address
}

/// Every method and every query, which gRPC's own clients cannot send.
#[tokio::test]
async fn whoever_does_not_speak_grpc_is_answered_as_the_boundary_does() {
    let matrix = Matrix::new().await;
    let address = serve_plain(matrix.boundary()).await;
    matrix.ask(address, matrix.cases()).await;
}

#[tokio::test]
async fn anybody_may_call_a_public_method_and_nobody_an_unknown_one() {
    let matrix = Matrix::new().await;
    let mut client = client(matrix.boundary()).await;
    let answer = call(&mut client, "/health", HeaderMap::new()).await.unwrap();
    assert_eq!(answer.into_inner(), "fine");
    for path in ["/Read", "/read/", "/nowhere", "/health/x"] {
        let refused = call(&mut client, path, HeaderMap::new()).await.unwrap_err();
        assert_eq!(refused.code(), Code::Unauthenticated, "{path}");
    }
}

#[tokio::test]
async fn the_client_chooses_the_words_of_a_refusal() {
    let matrix = Matrix::new().await;
    let service = layer(matrix.boundary()).layer(Repos);
    for (content_type, status, told) in [
        ("application/grpc", 200, Some("16")),
        ("application/grpc+proto", 200, Some("16")),
        ("application/grpc-web+proto", 200, Some("16")),
        ("application/json", 401, None),
        ("", 401, None),
    ] {
        let request =
            http::Request::post("/acme.v1.Repos/read").header("content-type", content_type);
        let request = request.body(Body::empty()).unwrap();
        let response = service.clone().oneshot(request).await.unwrap();
        let (head, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        assert_eq!(head.status, status, "{content_type}");
        let code = head.headers.get("grpc-status").map(|code| code.to_str().unwrap());
        assert_eq!(code, told, "{content_type}");
        assert_eq!(body.is_empty(), told.is_some(), "{content_type}");
        let expected = if told.is_some() { "application/grpc" } else { "application/problem+json" };
        assert_eq!(head.headers["content-type"], expected);
    }
}

#[tokio::test]
async fn a_requirement_from_elsewhere_opens_no_method() {
    let matrix = Matrix::new().await;
    let service = layer(matrix.boundary()).layer(Repos);
    let any = matrix.boundary().compile(Requirement::any_token()).unwrap();
    let request = http::Request::post("/acme.v1.Repos/closed")
        .header("content-type", "application/grpc")
        .header("authorization", format!("Bearer {}", matrix.token()))
        .extension(any)
        .body(Body::empty())
        .unwrap();
    let response = service.oneshot(request).await.unwrap();
    assert_eq!(response.headers()["grpc-status"], "7");
}

#[tokio::test]
async fn an_undeclared_scope_stops_the_start() {
    let matrix = Matrix::new().await;
    let error = GuardedMethods::new(matrix.boundary().clone())
        .method("/acme.v1.Repos/read", Requirement::scope("repo:read"))
        .method("/acme.v1.Repos/write", Requirement::scope("repo:wriet"))
        .into_layer()
        .unwrap_err();
    assert_eq!(error.path, "/acme.v1.Repos/write");
}
