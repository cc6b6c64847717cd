//! An app with tokens, served on a free port.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use hallpass::axum::GuardedRouter;
use hallpass::client::{Client, ClientBuilder, Credential};
use hallpass::{
    Boundary, Hallpass, Issue, Issued, Kind, ManualClock, MemoryStore, OAuth, Requirement,
    ScopeCatalog, Sources, Verified,
};

/// An app that takes tokens in every place there is, with its OAuth endpoints.
pub(crate) struct App {
    pub(crate) hallpass: Hallpass,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) address: String,
    pub(crate) exchanges: Arc<Exchanges>,
}

/// What the token endpoint was asked, and whether it is down.
#[derive(Debug, Default)]
pub(crate) struct Exchanges {
    asked: AtomicUsize,
    pub(crate) is_down: AtomicBool,
}

impl App {
    pub(crate) async fn start() -> Self {
        let clock = Arc::new(ManualClock::at("2026-11-22T09:00:00Z".parse().unwrap()));
        let hallpass = Hallpass::builder(MemoryStore::new())
            .brand("acme")
            .catalog(ScopeCatalog::of(["notes:read", "notes:write"]).unwrap())
            .clock(Arc::clone(&clock))
            .build()
            .unwrap();
        let sources = Sources::bearer()
            .scheme("token")
            .basic()
            .header("private-token")
            .danger_query("session");
        let boundary = Boundary::builder(hallpass.clone()).sources(sources).build().unwrap();
        let whoami = async |token: Verified| {
            let kind = if token.kind() == Kind::Access { "access" } else { "other" };
            format!("{{\"owner\":\"{}\",\"kind\":\"{kind}\"}}", token.owner())
        };
        let notes = Requirement::scope("notes:read");
        let guarded = GuardedRouter::new(boundary).route("/whoami", notes, get(whoami));
        let oauth = OAuth::builder(hallpass.clone(), "https://acme.example").build().unwrap();
        let exchanges = Arc::new(Exchanges::default());
        let counted = hallpass::axum::oauth(oauth)
            .layer(middleware::from_fn_with_state(exchanges.clone(), Exchanges::count));
        let guarded: Router = guarded.into_router().unwrap();
        let router = guarded.merge(counted);
        let address = serve(router).await;
        Self { hallpass, clock, address, exchanges }
    }

    pub(crate) async fn issue(&self, name: &str) -> Issued {
        let issue = Issue::new(name).owner("alice").scopes(["notes:read"]);
        self.hallpass.issue(issue).await.unwrap()
    }

    pub(crate) fn client(&self) -> ClientBuilder {
        Client::builder(&self.address).clock(self.clock.clone())
    }

    /// A client that presents what this token is exchanged for.
    pub(crate) fn exchanging(&self, issued: &Issued) -> Client {
        let exchange = hallpass::client::TokenExchange::new();
        self.client().token(credential(issued)).exchanged(exchange).build().unwrap()
    }
}

pub(crate) fn credential(issued: &Issued) -> Credential {
    Credential::from_text(issued.plain.expose()).unwrap()
}

impl Exchanges {
    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    async fn count(State(own): State<Arc<Self>>, request: Request, next: Next) -> Response {
        own.asked.fetch_add(1, Ordering::SeqCst);
        if own.is_down.load(Ordering::SeqCst) {
            return StatusCode::SERVICE_UNAVAILABLE.into_response();
        }
        // No secret of the client is anywhere but in the body.
        assert!(request.uri().query().is_none());
        assert!(!request.headers().contains_key(header::AUTHORIZATION));
        next.run(request).await
    }
}

/// Serves until the runtime ends; where.
pub(crate) async fn serve(router: Router) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, service).await });
    format!("http://{address}")
}
