//! An app with tokens, its OAuth endpoints and its management API, served on a free port.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use async_trait::async_trait;
use axum::Router;
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hallpass::api::Api;
use hallpass::axum::GuardedRouter;
use hallpass::client::{Client, ClientBuilder, Credential};
use hallpass::host::{
    Administers, CallerResolver, CsrfKey, Host, HostOutage, PasswordCheck, RememberedConfirmation,
    SignedIn,
};
use hallpass::{
    Boundary, Clock, Hallpass, Issue, Issued, Kind, ManualClock, MemoryStore, OAuth, Owner,
    Requirement, ScopeCatalog, ScopeDefinition, Sources, Verified,
};

/// Everybody's password.
pub(crate) const PASSWORD: &str = "right";

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
        let hallpass = engine(clock.clone());
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
        let router = guarded.merge(counted).merge(api(&hallpass, [9; 32]).into_router());
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

pub(crate) fn engine(clock: impl Clock) -> Hallpass {
    let catalog = ScopeCatalog::builder()
        .scope(ScopeDefinition::new("notes:read"))
        .scope(ScopeDefinition::new("notes:write"))
        .preset("Everything", ["notes:read", "notes:write"])
        .build()
        .unwrap();
    let builder = Hallpass::builder(MemoryStore::new()).brand("acme").catalog(catalog);
    builder.clock(clock).build().unwrap()
}

/// The management API at `/api/pat`.
pub(crate) fn api(hallpass: &Hallpass, csrf: [u8; 32]) -> Api {
    let host = Host::builder(hallpass.clone(), "https://acme.example", Sessions)
        .confirmation(RememberedConfirmation::new(Sessions))
        .csrf_key(CsrfKey::new(csrf))
        .build();
    Api::builder(host.unwrap()).mounted_at("/api/pat").build().unwrap()
}

/// The host's sessions: the cookie `session=NAME.NUMBER`, or a name and password with each request.
/// `root` is an administrator.
#[derive(Debug)]
struct Sessions;

#[async_trait]
impl CallerResolver for Sessions {
    async fn signed_in(&self, head: &Parts) -> Result<Option<SignedIn>, HostOutage> {
        let text = |name| head.headers.get(name).and_then(|value| value.to_str().ok());
        let session = match (text(header::COOKIE), text(header::AUTHORIZATION)) {
            (Some(cookie), _) => cookie.strip_prefix("session=").map(str::to_owned),
            (None, Some(basic)) => person(basic),
            (None, None) => None,
        };
        Ok(session.map(|session| {
            let name = session.split('.').next().unwrap();
            let who = SignedIn::new(Owner::parse(name).unwrap(), &session);
            if name == "root" { who.administers(Administers::Everything) } else { who }
        }))
    }
}

/// The session of whoever sends a right password along.
fn person(basic: &str) -> Option<String> {
    let pair = STANDARD.decode(basic.strip_prefix("Basic ")?).ok()?;
    let pair = String::from_utf8(pair).ok()?;
    let (name, password) = pair.split_once(':')?;
    (password == PASSWORD).then(|| format!("{name}.by-password"))
}

#[async_trait]
impl PasswordCheck for Sessions {
    async fn is_right(&self, _: &SignedIn, password: &str) -> Result<bool, HostOutage> {
        Ok(password == PASSWORD)
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
