//! A small host app with the console, on a free port, under the test's clock.

use std::sync::Arc;

use async_trait::async_trait;
use axum::Router;
use axum::extract::Path;
use axum::http::header::{COOKIE, LOCATION, SET_COOKIE};
use axum::http::request::Parts;
use axum::http::{HeaderName, StatusCode};
use axum::routing::get;
use chrono::TimeDelta;
use hallpass::console::Console;
use hallpass::host::{
    Administers, CallerResolver, Host, HostOutage, PasswordCheck, RememberedConfirmation, SignedIn,
};
use hallpass::{
    Context, Expiry, Hallpass, Issue, Issued, ManualClock, MemoryStore, Owner, ScopeCatalog,
    ScopeDefinition, Token,
};

/// Sessions by cookie: `session=NAME`; `root` looks after everybody's tokens.
#[derive(Debug)]
struct Sessions;

#[async_trait]
impl CallerResolver for Sessions {
    async fn signed_in(&self, head: &Parts) -> Result<Option<SignedIn>, HostOutage> {
        let cookie = head.headers.get(COOKIE).and_then(|line| line.to_str().ok());
        let Some(name) = cookie.and_then(|line| line.strip_prefix("session=")) else {
            return Ok(None);
        };
        let who = SignedIn::new(Owner::parse(name).map_err(HostOutage::new)?, name);
        let all = if name == "root" { Administers::Everything } else { Administers::Nothing };
        Ok(Some(who.administers(all)))
    }
}

/// The password of `alice` is `alice's`.
#[derive(Debug)]
struct Passwords;

#[async_trait]
impl PasswordCheck for Passwords {
    async fn is_right(&self, who: &SignedIn, password: &str) -> Result<bool, HostOutage> {
        Ok(password == format!("{}'s", who.owner()))
    }
}

pub(crate) struct App {
    pub(crate) hallpass: Hallpass,
    pub(crate) clock: Arc<ManualClock>,
    origin: String,
}

impl App {
    /// Serves until the tests end.
    pub(crate) async fn start() -> Self {
        let clock = Arc::new(ManualClock::at("2026-11-22T09:00:00Z".parse().unwrap()));
        let hallpass = Hallpass::builder(MemoryStore::new())
            .brand("acme")
            .catalog(catalog())
            .clock(Arc::clone(&clock))
            .build()
            .unwrap();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let host = Host::builder(hallpass.clone(), &origin, Sessions)
            .confirmation(RememberedConfirmation::new(Passwords))
            .build()
            .unwrap();
        let logo = r#"<svg viewBox="0 0 24 24" width="22" height="22" aria-hidden="true"><path fill="currentColor" d="M12 2l9 5v10l-9 5-9-5V7z"/></svg>"#;
        let console = Console::builder(host)
            .title("Acme Cloud")
            .logo(logo)
            .back("Back to projects", "/")
            .mounted_at("/settings/tokens")
            .build()
            .unwrap();
        // Stands for the page to sign in.
        let sign_in = get(async |Path(name): Path<String>| {
            let cookie = format!("session={name}; Path=/; HttpOnly; SameSite=Lax");
            let headers: [(HeaderName, String); 2] =
                [(SET_COOKIE, cookie), (LOCATION, "/settings/tokens".to_owned())];
            (StatusCode::SEE_OTHER, headers)
        });
        let router: Router = Router::new().route("/as/{name}", sign_in).merge(console.router());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { hallpass, clock, origin }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.origin)
    }

    pub(crate) fn tokens(&self, below: &str) -> String {
        self.url(&format!("/settings/tokens{below}"))
    }

    /// A token of alice's.
    pub(crate) async fn token(&self, name: &str) -> Issued {
        let issue = Issue::new(name).owner("alice").scopes(["repo:read"]);
        self.hallpass.issue(issue).await.unwrap()
    }

    /// Everything alice has.
    pub(crate) async fn all(&self) -> Vec<Token> {
        use hallpass::store::{Filter, Reach};
        let request = hallpass::ListRequest::new(Filter::new(Reach::All)).limit(100);
        self.hallpass.list(&request).await.unwrap().tokens
    }

    pub(crate) async fn accepts(&self, text: &str) -> bool {
        self.hallpass.verify(text, &Context::default()).await.is_ok()
    }

    /// What a list looks like after some months of work.
    pub(crate) async fn furnish(&self) {
        let days = |count| Expiry::In(TimeDelta::days(count));
        for (name, scopes, lifetime, used_hours_ago) in [
            ("nightly build", &["repo:write", "packages:write"][..], 90, Some(9)),
            (
                "release bot",
                &["repo:write", "packages:write", "deploy:write", "hooks:write"],
                5,
                Some(2),
            ),
            ("laptop", &["repo:admin", "packages:write"], 30, Some(1)),
            ("grafana", &["metrics:read"], 180, Some(26)),
            ("terraform", &["deploy:write", "members:read"], 60, None),
            ("old importer", &["repo:read"], 6, None),
        ] {
            let issue = Issue::new(name).owner("alice").scopes(scopes.iter().copied());
            let issued = self.hallpass.issue(issue.expiry(days(lifetime))).await.unwrap();
            if let Some(hours) = used_hours_ago {
                let at = self.hallpass.now().saturating_sub(TimeDelta::hours(hours));
                let ip = Some("192.0.2.7".parse().unwrap());
                let context = Context { now: Some(at), ip, ..Context::default() };
                // It is not valid before it was issued, which verifying does not mind.
                let _ = self.hallpass.verify(issued.plain.expose(), &context).await;
            }
        }
        let aside = self.token("staging smoke test").await;
        self.hallpass.suspend(&aside.token.id).await.unwrap();
        for (owner, name) in [("bob", "jenkins"), ("bob", "backup"), ("carol", "notebook")] {
            let issue = Issue::new(name).owner(owner).scopes(["repo:read"]);
            self.hallpass.issue(issue).await.unwrap();
        }
    }
}

fn catalog() -> ScopeCatalog {
    let scope = |name: &str, title: &str, group: &str, text: &str| {
        ScopeDefinition::new(name).title(title).group(group).description(text)
    };
    ScopeCatalog::builder()
        .scope(scope("repo:read", "Read code", "Repositories", "Clone, fetch, and see issues."))
        .scope(
            scope("repo:write", "Write code", "Repositories", "Push branches and close issues.")
                .implies(["repo:read"]),
        )
        .scope(
            scope(
                "repo:admin",
                "Manage repositories",
                "Repositories",
                "Settings, and who has access.",
            )
            .implies(["repo:write"]),
        )
        .scope(scope(
            "hooks:write",
            "Manage webhooks",
            "Repositories",
            "Create and remove webhooks.",
        ))
        .scope(scope("packages:read", "Download packages", "Packages", "Private ones too."))
        .scope(
            scope("packages:write", "Publish packages", "Packages", "New versions of packages.")
                .implies(["packages:read"]),
        )
        .scope(scope("deploy:write", "Deploy", "Operations", "Start and stop deployments."))
        .scope(scope("metrics:read", "Read metrics", "Operations", "Usage and latency."))
        .scope(scope("members:read", "See members", "Organisation", "Names and teams."))
        .preset("CI", ["repo:write", "packages:write"])
        .preset("Read only", ["repo:read", "packages:read", "metrics:read"])
        .build()
        .unwrap()
}
