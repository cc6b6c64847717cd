//! A host app with the console, asked as a browser would ask, without one.

use std::sync::Arc;

use async_trait::async_trait;
use axum::Router;
use axum::body::Body;
use hallpass::console::{Console, ConsoleBuilder};
use hallpass::host::{
    Administers, CallerResolver, Confirmation, CsrfKey, Host, HostOutage, PasswordCheck,
    RememberedConfirmation, SignedIn,
};
use hallpass::{Issue, Policy, Token};
use http::request::Parts;
use http::{Request, Response};
use http_body_util::BodyExt as _;
use tower::ServiceExt as _;

use crate::outage::Out;
use crate::world::{World, owner, run};

/// Where the console is mounted.
pub(crate) const MOUNT: &str = "/settings/tokens";

/// Sessions by cookie: `session=NAME-N`; `root` looks after everybody's tokens. The session
/// `broken` cannot be told.
#[derive(Debug)]
struct Sessions;

#[async_trait]
impl CallerResolver for Sessions {
    async fn signed_in(&self, head: &Parts) -> Result<Option<SignedIn>, HostOutage> {
        let cookie = head.headers.get("cookie").and_then(|line| line.to_str().ok());
        let Some(session) = cookie.and_then(|line| line.strip_prefix("session=")) else {
            return Ok(None);
        };
        if session == "broken" {
            return Err(HostOutage::new("no connection"));
        }
        let Some((name, _)) = session.split_once('-') else {
            return Ok(None);
        };
        let who = SignedIn::new(owner(name), session);
        let everything =
            if name == "root" { Administers::Everything } else { Administers::Nothing };
        Ok(Some(who.administers(everything)))
    }
}

/// The password of `u1` is `u1's`.
#[derive(Debug)]
struct Passwords;

#[async_trait]
impl PasswordCheck for Passwords {
    async fn is_right(&self, who: &SignedIn, password: &str) -> Result<bool, HostOutage> {
        match password {
            "outage" => Err(HostOutage::new("no connection")),
            _ => Ok(password == format!("{}'s", who.owner())),
        }
    }
}

/// The host app.
pub(crate) struct App {
    pub(crate) world: World,
    pub(crate) host: Host,
    router: Router,
}

impl App {
    pub(crate) fn new() -> Self {
        Self::with(|_| {})
    }

    pub(crate) fn with(change: impl FnOnce(&mut Policy)) -> Self {
        Self::build(World::with(change), |console| console)
    }

    pub(crate) fn build(
        world: World,
        change: impl FnOnce(ConsoleBuilder) -> ConsoleBuilder,
    ) -> Self {
        Self::confirming(world, RememberedConfirmation::new(Passwords), change)
    }

    /// Where whoever keeps confirmations is out of order.
    pub(crate) fn without_confirmations() -> Self {
        Self::confirming(World::new(), Out, |console| console)
    }

    pub(crate) fn confirming(
        world: World,
        confirmation: impl Confirmation,
        change: impl FnOnce(ConsoleBuilder) -> ConsoleBuilder,
    ) -> Self {
        let host = Host::builder(world.hallpass.clone(), "https://acme.example", Sessions)
            .confirmation(confirmation)
            .csrf_key(CsrfKey::new([7; 32]))
            .build()
            .unwrap();
        let console = Console::builder(host.clone()).title("Acme").mounted_at(MOUNT);
        let console = change(console.sign_in_page("/login?next={next}")).build().unwrap();
        let router = Router::new().merge(console.router());
        Self { world, host, router }
    }

    pub(crate) fn send(&self, ask: &Ask) -> Answer {
        let mut request = Request::builder().method(ask.method.as_str()).uri(&ask.url);
        for (name, value) in &ask.headers {
            request = request.header(name, value);
        }
        let request = request.body(Body::from(ask.body.clone())).unwrap();
        let response = run(async {
            let response = self.router.clone().oneshot(request).await.unwrap();
            let (head, body) = response.into_parts();
            Response::from_parts(head, body.collect().await.unwrap().to_bytes())
        });
        let body = String::from_utf8(response.body().to_vec()).unwrap();
        Answer { head: response.map(|_| ()), body }
    }

    pub(crate) fn get(&self, path: &str) -> Ask {
        Ask::new("GET", path)
    }

    /// A form that the session's own page sends.
    pub(crate) fn post(&self, session: &str, path: &str, fields: &[(&str, &str)]) -> Ask {
        let mut body = String::new();
        for (name, value) in fields {
            body.push_str(&format!("{name}={}&", escape(value)));
        }
        let ask = Ask::new("POST", path).session(session).header("sec-fetch-site", "same-origin");
        Ask { body: body.into_bytes(), ..ask }
            .header("content-type", "application/x-www-form-urlencoded")
    }

    /// Confirms a session, so that what follows is not interrupted.
    pub(crate) fn confirm(&self, session: &str) {
        let head = Request::builder().header("cookie", format!("session={session}"));
        let (head, ()) = head.body(()).unwrap().into_parts();
        run(async {
            let who = self.host.signed_in(&head).await.unwrap();
            let password = format!("{}'s", who.owner());
            self.host.confirm(&head, &who, &password).await.unwrap();
        });
    }

    /// The CSRF token of a session.
    pub(crate) fn csrf(&self, session: &str) -> String {
        let head = Request::builder().header("cookie", format!("session={session}"));
        let (head, ()) = head.body(()).unwrap().into_parts();
        let who = run(self.host.signed_in(&head)).unwrap();
        self.host.csrf_token(&who).unwrap()
    }

    /// A token of an owner with `repo:read`.
    pub(crate) fn token(&self, owner: &str, name: &str) -> Token {
        self.world.issue(Issue::new(name).owner(owner).scopes(["repo:read"])).token
    }

    /// The token as it is now.
    pub(crate) fn now(&self, token: &Token) -> Token {
        run(self.world.hallpass.get(&token.id)).unwrap().unwrap()
    }
}

pub(crate) fn at(below: &str) -> String {
    format!("{MOUNT}{below}")
}

/// A request.
#[derive(Debug, Clone)]
pub(crate) struct Ask {
    method: String,
    url: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Ask {
    pub(crate) fn new(method: &str, path: &str) -> Self {
        let (method, url) = (method.to_owned(), path.to_owned());
        Self { method, url, headers: Vec::new(), body: Vec::new() }
    }

    pub(crate) fn session(self, session: &str) -> Self {
        self.header("cookie", format!("session={session}"))
    }

    pub(crate) fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(known, _)| known != name);
        self
    }

    pub(crate) fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    #[track_caller]
    pub(crate) fn expect(&self, app: &App, status: u16) -> Answer {
        let answer = app.send(self);
        let got = answer.head.status();
        assert_eq!(got, status, "{} {}\n{}", self.method, self.url, answer.body);
        answer
    }
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) head: Response<()>,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.headers().get(name).map(|value| value.to_str().unwrap())
    }

    pub(crate) fn has(&self, text: &str) -> bool {
        self.body.contains(text)
    }

    /// The value of a hidden field.
    pub(crate) fn hidden(&self, name: &str) -> &str {
        let start = format!("name=\"{name}\" value=\"");
        let (_, rest) = self.body.split_once(&start).unwrap_or_else(|| panic!("no {name}"));
        rest.split('"').next().unwrap()
    }

    /// The secret that the page shows.
    pub(crate) fn secret(&self) -> &str {
        let (_, rest) = self.body.split_once("id=\"secret\"").unwrap();
        let (_, rest) = rest.split_once('>').unwrap();
        rest.split('<').next().unwrap()
    }

    /// Every hidden field of the first form, to be sent again.
    pub(crate) fn carried(&self) -> Vec<(String, String)> {
        let pieces = self.body.split("<input type=\"hidden\" name=\"").skip(1);
        let field = |piece: &str| {
            let (name, rest) = piece.split_once("\" value=\"").unwrap();
            let value = rest.split('"').next().unwrap();
            (name.to_owned(), unescape(value))
        };
        pieces.map(field).collect()
    }
}

/// Undoes the escapes of HTML.
fn unescape(text: &str) -> String {
    let text = text.replace("&#60;", "<").replace("&#62;", ">").replace("&#34;", "\"");
    text.replace("&#39;", "'").replace("&#38;", "&")
}

/// Escapes a value for a form.
pub(crate) fn escape(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

/// The list as the shared default world has it.
pub(crate) fn shared() -> Arc<App> {
    Arc::new(App::new())
}
