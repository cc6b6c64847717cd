//! actix-web.

use std::net::SocketAddr;
use std::thread;

use actix_web::dev::ServerHandle;
use actix_web::dev::{Service, ServiceRequest};
use actix_web::http::Uri;
use actix_web::test::{TestRequest, call_service, init_service, read_body, try_call_service};
use actix_web::{App, HttpMessage as _, HttpRequest, HttpServer, error, web};
use hallpass::actix::{GuardedRoutes, RequireToken};
use hallpass::credential::conformance::Matrix;
use hallpass::credential::{Peer, Problem, Rejection};
use hallpass::{Boundary, Requirement, Verified};

/// A server on threads of its own.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    handle: ServerHandle,
    thread: Option<thread::JoinHandle<()>>,
}

impl Server {
    /// Serves the routes of the matrix.
    pub(crate) async fn start(boundary: &Boundary) -> Self {
        let boundary = boundary.clone();
        let (send, started) = tokio::sync::oneshot::channel();
        let thread = thread::spawn(move || {
            actix_web::rt::System::new().block_on(async move {
                let (server, address) = server(&boundary);
                assert!(send.send((server.handle(), address)).is_ok());
                server.await.unwrap();
            });
        });
        let (handle, address) = started.await.unwrap();
        Self { address, handle, thread: Some(thread) }
    }

    pub(crate) async fn stop(mut self) {
        self.handle.stop(false).await;
        self.thread.take().unwrap().join().unwrap();
    }
}

fn server(boundary: &Boundary) -> (actix_web::dev::Server, SocketAddr) {
    let mut routes = GuardedRoutes::new(boundary.clone());
    for (path, requirement) in Matrix::routes() {
        match requirement {
            Some(requirement) if path == Matrix::RESOURCE => {
                routes = routes.route(path, requirement, || web::route().to(resource));
            }
            Some(requirement) => {
                routes = routes.route(path, requirement, || web::route().to(whose));
            }
            None => {}
        }
    }
    let routes = routes.build().unwrap();
    let closed = RequireToken::by_extension(boundary);
    let server = HttpServer::new(move || {
        let closed = web::resource("/closed").wrap(closed.clone()).to(whose);
        App::new().service(closed).service(routes.clone())
    });
    let server = server.workers(1).disable_signals().bind(("127.0.0.1", 0)).unwrap();
    let address = server.addrs().first().copied().unwrap();
    (server.run(), address)
}

async fn whose(token: Verified, uri: Uri) -> String {
    format!("{} {uri}", token.owner())
}

async fn resource(token: Verified, uri: Uri) -> Result<String, Rejection> {
    token.on("org/secret")?;
    Ok(format!("{} {uri}", token.owner()))
}

#[tokio::test]
async fn actix_answers_as_the_boundary_does() {
    let matrix = Matrix::new().await;
    let server = Server::start(matrix.boundary()).await;
    matrix.ask(server.address, matrix.cases()).await;
    server.stop().await;
}

fn bearer(text: &str) -> (&'static str, String) {
    ("authorization", format!("Bearer {text}"))
}

#[tokio::test]
async fn routes_on_one_path_differ_by_method() {
    let matrix = Matrix::new().await;
    let routes = GuardedRoutes::new(matrix.boundary().clone())
        .route("/repos", Requirement::scope("repo:read"), || web::get().to(whose))
        .route("/repos", Requirement::scope("repo:write"), || web::post().to(whose))
        .route("/repos/{name}", Requirement::any_token(), || web::get().to(whose))
        .build()
        .unwrap();
    let nested = web::scope("/api").service(routes.clone());
    let app = init_service(App::new().service(nested).service(routes)).await;
    for base in ["", "/api"] {
        for (request, text, status) in [
            (TestRequest::get().uri(&format!("{base}/repos")), matrix.token(), 200),
            (TestRequest::post().uri(&format!("{base}/repos")), matrix.token(), 403),
            (TestRequest::put().uri(&format!("{base}/repos")), matrix.token(), 405),
            (TestRequest::put().uri(&format!("{base}/repos")), "null", 401),
            (TestRequest::get().uri(&format!("{base}/repos/a")), matrix.token(), 200),
            (TestRequest::get().uri(&format!("{base}/nowhere")), matrix.token(), 404),
        ] {
            let response = call_service(&app, request.insert_header(bearer(text)).to_request());
            assert_eq!(response.await.status(), status);
        }
    }
}

#[tokio::test]
async fn an_undeclared_scope_stops_the_start() {
    let matrix = Matrix::new().await;
    let error = GuardedRoutes::new(matrix.boundary().clone())
        .route("/a", Requirement::scope("repo:read"), || web::get().to(whose))
        .route("/b", Requirement::scope("repo:raed"), || web::get().to(whose))
        .build()
        .unwrap_err();
    assert_eq!(error.path, "/b");
}

#[tokio::test]
async fn the_extractor_lets_nobody_through_without_the_middleware() {
    let matrix = Matrix::new().await;
    let app = init_service(App::new().route("/", web::get().to(whose))).await;
    let request = TestRequest::get().uri("/").insert_header(bearer(matrix.token()));
    let response = call_service(&app, request.to_request()).await;
    assert_eq!(response.status(), 500);
    assert_eq!(response.response().extensions().get(), Some(&Problem::NotGuarded));
    assert_eq!(read_body(response).await, Problem::NotGuarded.body());
}

#[tokio::test]
async fn handlers_and_their_logs_see_no_token() {
    async fn shown(request: HttpRequest, name: web::Path<String>) -> String {
        format!("{name} {} {request:?} {:?}", request.full_url(), request.headers())
    }
    let matrix = Matrix::new().await;
    let routes = GuardedRoutes::new(matrix.boundary().clone())
        .route("/{name}", Requirement::any_token(), || web::get().to(shown))
        .build()
        .unwrap();
    let app = init_service(App::new().service(web::scope("/api").service(routes))).await;
    let uri = format!("/api/x?a=1&access_token={}", matrix.token());
    for request in [
        TestRequest::get().uri(&uri),
        TestRequest::get().uri("/api/x?a=1").insert_header(("private-token", matrix.token())),
        TestRequest::get().uri("/api/x?a=1").insert_header(bearer(matrix.token())),
    ] {
        let response = call_service(&app, request.to_request()).await;
        assert_eq!(response.status(), 200);
        let body = String::from_utf8(read_body(response).await.to_vec()).unwrap();
        assert!(body.starts_with("x http://localhost:8080/api/x?a=1 "), "{body}");
        assert!(!body.contains(matrix.token()), "{body}");
    }
    // Nor does what stands around the middleware, after a refusal.
    let twice = TestRequest::get().uri(&uri).insert_header(("private-token", matrix.token()));
    let response = call_service(&app, twice.to_request()).await;
    assert_eq!(response.status(), 400);
    assert!(!format!("{:?}", response.request()).contains(matrix.token()));
}

#[tokio::test]
async fn an_error_behind_the_middleware_is_private_too() {
    async fn fails() -> Result<String, actix_web::Error> {
        Err(error::ErrorNotFound("no such thing"))
    }
    let matrix = Matrix::new().await;
    let any = RequireToken::new(matrix.boundary(), Requirement::any_token()).unwrap();
    let by_handler = web::resource("/handler").wrap(any.clone()).to(fails);
    // An error that is still one when it passes the middleware.
    let refuse = |_: ServiceRequest, _: &_| {
        std::future::ready(Err::<actix_web::dev::ServiceResponse, _>(error::ErrorConflict("no")))
    };
    let by_middleware = web::resource("/middleware").wrap_fn(refuse).wrap(any).to(fails);
    let app = init_service(App::new().service(by_handler).service(by_middleware)).await;
    for (path, status) in [("/handler", 404), ("/middleware", 409)] {
        let request = TestRequest::get().uri(path).insert_header(bearer(matrix.token()));
        let response = match try_call_service(&app, request.to_request()).await {
            Ok(response) => response.into_parts().1,
            Err(error) => error.error_response(),
        };
        assert_eq!(response.status(), status);
        assert_eq!(response.headers().get("cache-control").unwrap(), "private");
        assert_eq!(response.headers().get("vary").unwrap(), "Authorization, private-token");
    }
}

#[tokio::test]
async fn the_app_tells_the_peer_where_it_knows_better() {
    let matrix = Matrix::new().await;
    let routes = GuardedRoutes::new(matrix.boundary().clone())
        .route("/", Requirement::any_token(), || web::get().to(whose))
        .build()
        .unwrap();
    // As behind a proxy that the app trusts.
    let app = init_service(App::new().service(routes).wrap_fn(|request, next| {
        request.extensions_mut().insert(Peer("198.51.100.7".parse().unwrap()));
        next.call(request)
    }));
    let app = app.await;
    let issue = hallpass::Issue::new("inside").owner("u1").scopes(["repo:read"]);
    let issue = issue.networks(["198.51.100.0/24".parse().unwrap()]);
    let inside = matrix.boundary().hallpass().issue(issue).await.unwrap();
    let request = TestRequest::get().uri("/").insert_header(bearer(inside.plain.expose()));
    let request = request.peer_addr("192.0.2.1:80".parse().unwrap());
    assert_eq!(call_service(&app, request.to_request()).await.status(), 200);
}
