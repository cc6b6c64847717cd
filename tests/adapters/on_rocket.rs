//! Rocket.

use std::net::{IpAddr, SocketAddr};

use hallpass::credential::Rejection;
use hallpass::credential::conformance::{Case, Exception, Instead, Matrix};
use hallpass::rocket::GuardedRoutes;
use hallpass::{Boundary, Issue, Requirement, Verified};
use rocket::error::ErrorKind;
use rocket::fairing::AdHoc;
use rocket::http::uri::Origin;
use rocket::http::{Header, Status};
use rocket::local::asynchronous::Client;
use rocket::{Build, Config, Request, Rocket, Shutdown, catch, catchers, get, post, routes};

/// A server in the test's runtime.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    shutdown: Shutdown,
    task: tokio::task::JoinHandle<()>,
}

impl Server {
    /// Serves the routes of the matrix that have a requirement.
    pub(crate) async fn start(boundary: &Boundary) -> Self {
        let mut guarded = GuardedRoutes::new(boundary.clone());
        for (path, requirement) in Matrix::routes() {
            guarded = match requirement {
                Some(requirement) if path == Matrix::RESOURCE => {
                    guarded.mount(path, requirement, routes![resource, post_resource])
                }
                Some(requirement) => guarded.mount(path, requirement, routes![whose, post_whose]),
                None => guarded,
            };
        }
        let (send, started) = tokio::sync::oneshot::channel();
        let send = std::sync::Mutex::new(Some(send));
        let tell = AdHoc::on_liftoff("address", move |rocket| {
            let send = send.lock().unwrap().take().unwrap();
            send.send(rocket.config().port).unwrap();
            Box::pin(async {})
        });
        let rocket = rocket::custom(quiet()).attach(tell).attach(guarded.into_fairing().unwrap());
        let rocket = rocket.ignite().await.unwrap();
        let shutdown = rocket.shutdown();
        let task = tokio::spawn(async move { drop(rocket.launch().await.unwrap()) });
        let address = SocketAddr::from(([127, 0, 0, 1], started.await.unwrap()));
        Self { address, shutdown, task }
    }

    pub(crate) async fn stop(self) {
        self.shutdown.notify();
        self.task.await.unwrap();
    }
}

/// Any free port, and no word about it.
pub(crate) fn quiet() -> Config {
    Config {
        port: 0,
        log_level: rocket::config::LogLevel::Off,
        shutdown: rocket::config::Shutdown { ctrlc: false, ..Default::default() },
        ..Config::debug_default()
    }
}

#[get("/")]
fn whose(token: Verified, uri: &Origin<'_>) -> String {
    format!("{} {uri}", token.owner())
}

#[post("/")]
fn post_whose(token: Verified, uri: &Origin<'_>) -> String {
    whose(token, uri)
}

#[get("/")]
fn resource(token: Verified, uri: &Origin<'_>) -> Result<String, Rejection> {
    token.on("org/secret")?;
    Ok(whose(token, uri))
}

#[post("/")]
fn post_resource(token: Verified, uri: &Origin<'_>) -> Result<String, Rejection> {
    resource(token, uri)
}

fn is_utf_8(value: &http::HeaderValue) -> bool {
    std::str::from_utf8(value.as_bytes()).is_ok()
}

/// What the module's page says of Rocket.
pub(crate) const EXCEPTIONS: [Exception; 2] = [
    Exception {
        reason: "Rocket drops header lines that are not UTF-8",
        concerns: |case| !case.headers.iter().all(|(_, value)| is_utf_8(value)),
        instead: Instead::Arrives(|case| {
            let mut arrives = case.clone();
            arrives.headers.retain(|(_, value)| is_utf_8(value));
            arrives
        }),
    },
    Exception {
        reason: "a Rocket with a route that has no requirement does not launch",
        concerns: |case| case.target.starts_with("/closed"),
        instead: Instead::Refused(404),
    },
];

#[tokio::test]
async fn rocket_answers_as_the_boundary_does() {
    let matrix = Matrix::new().await;
    let server = Server::start(matrix.boundary()).await;
    for exception in EXCEPTIONS {
        assert!(matrix.cases().iter().any(exception.concerns), "{}", exception.reason);
    }
    matrix.ask_but(server.address, matrix.cases(), &EXCEPTIONS).await;
    server.stop().await;
}

/// A second credential in a line that Rocket drops is not counted, as the module's page says.
#[tokio::test]
async fn what_rocket_drops_is_not_counted() {
    let matrix = Matrix::new().await;
    let server = Server::start(matrix.boundary()).await;
    let line = |value: &[u8]| {
        let value = http::HeaderValue::from_bytes(value).unwrap();
        (http::header::AUTHORIZATION, value)
    };
    let good = format!("Bearer {}", matrix.token());
    let lines = vec![line(good.as_bytes()), line(b"Bearer \xff")];
    let two = Case::new("one good and one that is dropped", "/read", lines);
    assert_eq!(matrix.expected(&two).await.status(), 400);
    assert_eq!(matrix.send(server.address, &two).await.status(), 200);
    matrix.ask_but(server.address, &[two], &EXCEPTIONS).await;
    server.stop().await;
}

fn built(routes: GuardedRoutes) -> Rocket<Build> {
    rocket::custom(quiet()).attach(routes.into_fairing().unwrap())
}

fn bearer(text: &str) -> Header<'static> {
    Header::new("authorization", format!("Bearer {text}"))
}

#[get("/open")]
fn open() -> &'static str {
    "open"
}

#[tokio::test]
async fn a_route_that_says_nothing_keeps_rocket_from_launching() {
    let matrix = Matrix::new().await;
    let guarded = || {
        let routes = GuardedRoutes::new(matrix.boundary().clone());
        routes.mount("/read", Requirement::scope("repo:read"), routes![whose])
    };
    // Wherever it is mounted.
    for rocket in [
        built(guarded()).mount("/", routes![open]),
        rocket::custom(quiet()).mount("/", routes![open]).attach(guarded().into_fairing().unwrap()),
        built(guarded()).attach(guarded().into_fairing().unwrap()),
    ] {
        let error = rocket.ignite().await.unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::FailedFairings(_)), "{error}");
    }
    // By a fairing that is attached later, beside handlers that want a token.
    let late = || AdHoc::on_ignite("late", |rocket| async { rocket.mount("/", routes![open]) });
    let error = built(guarded()).attach(late()).ignite().await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::SentinelAborts(_)), "{error}");
    // And beside none that does: it ends before it serves.
    let routes = GuardedRoutes::new(matrix.boundary().clone()).public("/public", routes![open]);
    let rocket = built(routes).attach(late()).ignite().await.unwrap();
    rocket.launch().await.unwrap();

    let allowed = guarded().others_are_public();
    let client = Client::untracked(built(allowed).mount("/", routes![open])).await.unwrap();
    assert_eq!(client.get("/open").dispatch().await.status(), Status::Ok);
    assert_eq!(client.get("/read").dispatch().await.status(), Status::Unauthorized);
}

#[tokio::test]
async fn handlers_that_want_tokens_nobody_verifies_keep_rocket_from_launching() {
    let error = rocket::custom(quiet()).mount("/", routes![whose]).ignite().await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::SentinelAborts(_)), "{error}");
}

#[tokio::test]
async fn an_undeclared_scope_stops_the_start() {
    let matrix = Matrix::new().await;
    let error = GuardedRoutes::new(matrix.boundary().clone())
        .mount("/a", Requirement::scope("repo:read"), routes![whose])
        .mount("/b", Requirement::scope("repo:raed"), routes![whose])
        .into_fairing()
        .unwrap_err();
    assert_eq!(error.path, "/b");
}

#[tokio::test]
async fn what_a_catcher_answers_is_private_too() {
    #[get("/missing")]
    fn missing() -> Option<&'static str> {
        None
    }
    #[catch(404)]
    fn caught(request: &Request<'_>) -> String {
        request.uri().to_string()
    }
    let matrix = Matrix::new().await;
    let routes = GuardedRoutes::new(matrix.boundary().clone());
    let routes = routes.mount("/", Requirement::any_token(), routes![missing]);
    let rocket = built(routes).register("/", catchers![caught]);
    let client = Client::untracked(rocket).await.unwrap();
    let response = client.get("/missing").header(bearer(matrix.token())).dispatch().await;
    assert_eq!(response.status(), Status::NotFound);
    assert_eq!(response.headers().get_one("cache-control"), Some("private"));
    assert_eq!(response.headers().get_one("vary"), Some("Authorization, private-token"));

    let query = format!("/missing?a=1&access_token={}", matrix.token());
    let response = client.get(query).dispatch().await;
    assert_eq!(response.headers().get_one("cache-control"), Some("private, no-store"));
    assert_eq!(response.into_string().await.unwrap(), "/missing?a=1");
}

#[tokio::test]
async fn a_route_that_passes_a_request_on_lends_nobody_its_token() {
    #[get("/<_number>", rank = 1)]
    fn number(_token: Verified, _number: u8) -> &'static str {
        "a number"
    }
    #[get("/<_..>", rank = 2)]
    fn anybody(token: Option<Verified>) -> String {
        token.map_or_else(|| "nobody".to_owned(), |token| token.owner().to_string())
    }
    let matrix = Matrix::new().await;
    let routes = GuardedRoutes::new(matrix.boundary().clone())
        .mount("/", Requirement::any_token(), routes![number])
        .public("/", routes![anybody]);
    let client = Client::untracked(built(routes)).await.unwrap();
    let response = client.get("/text").header(bearer(matrix.token())).dispatch().await;
    assert_eq!(response.headers().get_one("cache-control"), Some("private"));
    assert_eq!(response.into_string().await.unwrap(), "nobody");
}

#[tokio::test]
async fn a_public_route_has_no_token_to_give() {
    let matrix = Matrix::new().await;
    let routes = GuardedRoutes::new(matrix.boundary().clone()).public("/", routes![whose]);
    let client = Client::untracked(built(routes)).await.unwrap();
    let response = client.get("/").header(bearer(matrix.token())).dispatch().await;
    assert_eq!(response.status(), Status::InternalServerError);
}

#[tokio::test]
async fn the_app_says_where_the_peer_is_told() {
    fn proxied(request: &Request<'_>) -> Option<IpAddr> {
        request.client_ip()
    }
    let matrix = Matrix::new().await;
    let issue = Issue::new("inside").owner("u1").scopes(["repo:read"]);
    let issue = issue.networks(["198.51.100.0/24".parse().unwrap()]);
    let inside = matrix.boundary().hallpass().issue(issue).await.unwrap();
    let guarded = || {
        let routes = GuardedRoutes::new(matrix.boundary().clone());
        routes.mount("/", Requirement::any_token(), routes![whose])
    };
    for (routes, status) in [(guarded(), 401), (guarded().peer_from(proxied), 200)] {
        let client = Client::untracked(built(routes)).await.unwrap();
        let request = client.get("/").header(Header::new("x-real-ip", "198.51.100.7"));
        let request = request.remote("192.0.2.1:80".parse().unwrap());
        let response = request.header(bearer(inside.plain.expose())).dispatch().await;
        assert_eq!(response.status().code, status);
    }
}
