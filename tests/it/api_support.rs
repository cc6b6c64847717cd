//! What the tests of the management API share.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use hallpass::api::Api;
use hallpass::host::{
    Administers, CallerResolver, Confirmation, CsrfKey, Host, HostOutage, PasswordCheck,
    RememberedConfirmation, SignedIn,
};
use hallpass::{Issue, Issued, Policy, Tenant, TokenStore};
use http::request::{Builder, Parts};
use http::{Request, Response};
use serde_json::Value;

use crate::http_support::written;
use crate::outage::Out;
use crate::world::{World, owner, run};

pub(crate) const ORIGIN: &str = "https://acme.example";
pub(crate) const CSRF_KEY: [u8; 32] = [9; 32];

/// The host's sessions: the cookie `s=NAME.NUMBER` is a session of NAME. `root` is an
/// administrator, `tess` one of the tenant `t2`.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    pub(crate) out_of_order: AtomicBool,
}

impl Sessions {
    fn check(&self) -> Result<(), HostOutage> {
        if self.out_of_order.load(Ordering::Relaxed) {
            return Err(HostOutage::new("no connection"));
        }
        Ok(())
    }
}

#[async_trait]
impl CallerResolver for Sessions {
    async fn signed_in(&self, head: &Parts) -> Result<Option<SignedIn>, HostOutage> {
        self.check()?;
        let cookie = head.headers.get("cookie").and_then(|cookie| cookie.to_str().ok());
        let Some(session) = cookie.and_then(|cookie| cookie.strip_prefix("s=")) else {
            return Ok(None);
        };
        Ok(Some(signed_in(session)))
    }
}

pub(crate) fn signed_in(session: &str) -> SignedIn {
    let name = session.split('.').next().unwrap();
    let who = SignedIn::new(owner(name), session).named(name.to_uppercase());
    match name {
        "root" => who.administers(Administers::Everything),
        "tess" => {
            let tenant = Tenant::parse("t2").unwrap();
            who.in_tenant(tenant.clone()).administers(Administers::Tenant(tenant))
        }
        _ => who,
    }
}

/// Everybody's password is `right`.
#[async_trait]
impl PasswordCheck for Sessions {
    async fn is_right(&self, _: &SignedIn, password: &str) -> Result<bool, HostOutage> {
        self.check()?;
        Ok(password == "right")
    }
}

/// The API on a world of its own.
pub(crate) struct Site {
    pub(crate) world: World,
    pub(crate) api: Api,
    pub(crate) host: Host,
    pub(crate) sessions: Arc<Sessions>,
    pub(crate) document: Value,
}

impl Site {
    pub(crate) fn new() -> Self {
        Self::with(|_| {})
    }

    pub(crate) fn with(change: impl FnOnce(&mut Policy)) -> Self {
        Self::of(World::with(change))
    }

    pub(crate) fn on(store: Arc<dyn TokenStore>, change: impl FnOnce(&mut Policy)) -> Self {
        Self::of(World::on(store, change))
    }

    fn of(world: World) -> Self {
        let sessions = Arc::new(Sessions::default());
        let remembered = RememberedConfirmation::new(Arc::clone(&sessions));
        Self::confirming(world, sessions, remembered)
    }

    /// Where whoever keeps confirmations is out of order.
    pub(crate) fn without_confirmations() -> Self {
        Self::confirming(World::new(), Arc::default(), Out)
    }

    fn confirming(world: World, sessions: Arc<Sessions>, confirmation: impl Confirmation) -> Self {
        let host = Host::builder(world.hallpass.clone(), ORIGIN, Arc::clone(&sessions))
            .confirmation(confirmation)
            .csrf_key(CsrfKey::new(CSRF_KEY))
            .build()
            .unwrap();
        let api = Api::builder(host.clone()).mounted_at("/pat").build().unwrap();
        let document = serde_json::from_slice(api.document()).unwrap();
        Self { world, api, host, sessions, document }
    }

    /// Where `alice` has a fresh confirmation.
    pub(crate) fn confirmed() -> Self {
        let site = Self::new();
        site.confirm("alice.1");
        site
    }

    pub(crate) fn confirm(&self, session: &str) {
        let answer = self.send(post(session, "/session/confirm"), r#"{"secret":"right"}"#);
        assert_eq!(answer.status, 204, "{}", answer.text);
    }

    /// Sends a request, and checks that the OpenAPI document tells of the status.
    pub(crate) fn send(&self, request: Builder, body: impl AsRef<[u8]>) -> Answer {
        let request = request.body(()).unwrap();
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let (head, ()) = request.into_parts();
        let peer = "192.0.2.7".parse().unwrap();
        let answer = Answer::of(&run(self.api.respond(head, body.as_ref(), Some(peer))));
        self.check_documented(method.as_str(), &path, &answer);
        answer
    }

    pub(crate) fn get(&self, session: &str, path: &str) -> Answer {
        self.send(get(session, path), "")
    }

    pub(crate) fn post(&self, session: &str, path: &str, body: impl AsRef<[u8]>) -> Answer {
        self.send(post(session, path), body)
    }

    /// A token that alice makes.
    pub(crate) fn make(&self, name: &str) -> Answer {
        let body = format!(r#"{{"name":{},"scopes":["repo:read"]}}"#, Value::from(name));
        self.post("alice.1", "/tokens", body)
    }

    /// A token of somebody.
    pub(crate) fn issue(&self, owner: &str, name: &str) -> Issued {
        self.world.issue(Issue::new(name).owner(owner).scopes(["repo:read"]))
    }

    /// The described answers to a request, by status, if the document has the route.
    pub(crate) fn described(&self, method: &str, path: &str) -> Option<&Value> {
        let below = path.strip_prefix("/pat")?;
        let paths = self.document["paths"].as_object().unwrap();
        let fits = |form: &str| {
            let (form, path): (Vec<_>, Vec<_>) =
                (form.split('/').collect(), below.split('/').collect());
            form.len() == path.len()
                && form.iter().zip(&path).all(|(form, step)| form == step || *form == "{id}")
        };
        // A path without an id goes first.
        let mut all: Vec<_> = paths.iter().filter(|(form, _)| fits(form)).collect();
        all.sort_by_key(|(form, _)| form.contains('{'));
        let (_, item) = all.first()?;
        Some(&item.get(method.to_ascii_lowercase())?["responses"])
    }

    fn check_documented(&self, method: &str, path: &str, answer: &Answer) {
        let method = if method == "HEAD" { "GET" } else { method };
        let Some(responses) = self.described(method, path) else {
            assert!(
                [404, 405, 413, 414].contains(&answer.status),
                "{method} {path} {}",
                answer.text
            );
            return;
        };
        let status = answer.status.to_string();
        let described = &responses[&status];
        assert!(described.is_object(), "{method} {path} does not tell of {}", answer.text);
        if let Some(code) = answer.json["type"].as_str() {
            let code = code.rsplit(':').next().unwrap();
            let told = described["description"].as_str().unwrap();
            assert!(told.contains(&format!("`{code}`")), "{method} {path}: {code} not in {told}");
        }
    }
}

/// A response.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// All of it.
    pub(crate) text: String,
    pub(crate) json: Value,
    pub(crate) headers: http::HeaderMap,
}

impl Answer {
    fn of(response: &Response<Bytes>) -> Self {
        Self {
            status: response.status().as_u16(),
            text: written(response),
            json: serde_json::from_slice(response.body()).unwrap_or(Value::Null),
            headers: response.headers().clone(),
        }
    }

    /// The stable name of what is wrong.
    pub(crate) fn code(&self) -> &str {
        self.json["code"].as_str().unwrap_or_else(|| panic!("no problem: {}", self.text))
    }

    /// Status and stable name.
    pub(crate) fn problem(&self) -> (u16, &str) {
        (self.status, self.code())
    }

    /// Which members or parameters are wrong.
    pub(crate) fn wrong(&self) -> Vec<&str> {
        let errors = self.json["errors"].as_array().map(Vec::as_slice).unwrap_or_default();
        errors
            .iter()
            .filter_map(|error| error["pointer"].as_str().or(error["parameter"].as_str()))
            .collect()
    }

    pub(crate) fn id(&self) -> String {
        self.json["token"]["id"].as_str().unwrap().to_owned()
    }

    pub(crate) fn secret(&self) -> String {
        self.json["secret"].as_str().unwrap().to_owned()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers[name].to_str().unwrap()
    }
}

fn request(method: &str, session: &str, path: &str) -> Builder {
    let request = Request::builder().method(method).uri(format!("/pat{path}"));
    if session.is_empty() { request } else { request.header("cookie", format!("s={session}")) }
}

pub(crate) fn get(session: &str, path: &str) -> Builder {
    request("GET", session, path)
}

/// A request as the app's own pages send it.
pub(crate) fn from_page(method: &str, session: &str, path: &str) -> Builder {
    request(method, session, path).header("sec-fetch-site", "same-origin")
}

pub(crate) fn post(session: &str, path: &str) -> Builder {
    from_page("POST", session, path).header("content-type", "application/json")
}

pub(crate) fn patch(session: &str, path: &str, version: u64) -> Builder {
    from_page("PATCH", session, path)
        .header("content-type", "application/json")
        .header("if-match", format!("\"{version}\""))
}
