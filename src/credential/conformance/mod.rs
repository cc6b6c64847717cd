#![doc = include_str!("../../../docs/WRITING-A-MIDDLEWARE.md")]
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    reason = "a test says by panicking what differs"
)]

mod cases;
mod exception;
#[cfg(feature = "jwt")]
mod forge;
mod socket;
mod tokens;
mod world;

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use bytes::Bytes;
use http::header::{
    CACHE_CONTROL, CONTENT_TYPE, REFERRER_POLICY, RETRY_AFTER, VARY, WWW_AUTHENTICATE,
};
use http::{HeaderName, HeaderValue, Method, Request, Response};

use super::boundary::Boundary;
use super::rejection::Rejection;
use super::requirement::Requirement;
use crate::token::Kind;
use tokens::Tokens;
use world::World;

pub use exception::{Exception, Instead};

/// One request, and whether the store is out of order meanwhile.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Case {
    /// What it shows.
    pub name: String,
    /// The method.
    pub method: Method,
    /// Path and query.
    pub target: String,
    /// The header lines, beside those that every client sends.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// What comes after the head, as it is sent.
    pub body: Bytes,
    /// Whether the store is out of order.
    pub outage: bool,
}

impl Case {
    /// A GET request with these header lines.
    #[must_use]
    pub fn new(
        name: impl Into<String>,
        target: impl Into<String>,
        headers: Vec<(HeaderName, HeaderValue)>,
    ) -> Self {
        let (name, target) = (name.into(), target.into());
        Self { name, method: Method::GET, target, headers, body: Bytes::new(), outage: false }
    }

    /// The request.
    #[must_use]
    pub fn request(&self) -> Request<Bytes> {
        let mut request = Request::new(self.body.clone());
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.target.parse().unwrap();
        for (name, value) in &self.headers {
            request.headers_mut().append(name, value.clone());
        }
        request
    }

    fn path(&self) -> &str {
        self.target.split('?').next().unwrap()
    }
}

/// An engine with tokens of every state, and the requests that show how an adapter treats them.
#[derive(Debug)]
pub struct Matrix {
    world: World,
    tokens: Tokens,
    boundary: Boundary,
    cases: Vec<Case>,
}

impl Matrix {
    /// The route whose handler asks for `on("org/secret")`.
    pub const RESOURCE: &str = "/resource";

    /// What the app serves. A framework that has no place for the route without a requirement
    /// says so by an [`Exception`].
    #[must_use]
    pub fn routes() -> [(&'static str, Option<Requirement>); 7] {
        [
            ("/read", Some(Requirement::scope("repo:read"))),
            ("/write", Some(Requirement::scope("repo:write"))),
            ("/audience", Some(Requirement::any_token().audience("other"))),
            (Self::RESOURCE, Some(Requirement::any_token())),
            ("/personal", Some(Requirement::any_token().kinds([Kind::Personal]))),
            ("/exchanged", Some(Requirement::any_token().kinds([Kind::Access]))),
            ("/closed", None),
        ]
    }

    /// Issues the tokens.
    pub async fn new() -> Self {
        let (world, tokens) = World::new().await;
        let sources = super::source::Sources::bearer()
            .scheme("token")
            .basic_with_challenge()
            .header("private-token")
            .danger_query("access_token");
        let boundary = Boundary::builder(world.hallpass.clone()).sources(sources);
        #[cfg(feature = "jwt")]
        let boundary = boundary.jwt(tokens.forge.issuer.clone());
        let boundary = boundary.build().unwrap();
        let cases = cases::all(&tokens);
        Self { world, tokens, boundary, cases }
    }

    /// What the app under test guards its routes with.
    #[must_use]
    pub fn boundary(&self) -> &Boundary {
        &self.boundary
    }

    /// The text of a token that is good and grants `repo:read`.
    #[must_use]
    pub fn token(&self) -> &str {
        &self.tokens.good
    }

    /// Every request.
    #[must_use]
    pub fn cases(&self) -> &[Case] {
        &self.cases
    }

    /// Sends the requests to the app on this address, one connection each, and compares.
    ///
    /// # Panics
    /// If an answer differs; the message lists all that do.
    pub async fn ask(&self, address: SocketAddr, cases: &[Case]) {
        self.ask_but(address, cases, &[]).await;
    }

    /// The same where the framework treats some requests in a way of its own.
    ///
    /// # Panics
    /// If an answer differs, or an exception is not as it says; the message lists all that do.
    pub async fn ask_but(&self, address: SocketAddr, cases: &[Case], exceptions: &[Exception]) {
        let mut wrong = String::new();
        for case in cases {
            let response = self.send(address, case).await;
            let (mut arrived, mut reasons, mut refused) = (case.clone(), String::new(), None);
            for exception in exceptions.iter().filter(|exception| (exception.concerns)(case)) {
                write!(reasons, " ({})", exception.reason).unwrap();
                match exception.instead {
                    Instead::Arrives(change) => arrived = change(&arrived),
                    Instead::Refused(status) => refused = Some(status),
                }
            }
            let answer = self.told(case, &response);
            let expected = match refused {
                // In its own words.
                Some(status) if response.status() == status => continue,
                Some(status) => status.to_string(),
                None => self.told(case, &self.expected(&arrived).await),
            };
            if answer != expected {
                let name = &case.name;
                writeln!(wrong, "{name}{reasons}:\n{case:?}\n{answer}\nshould be\n{expected}")
                    .unwrap();
            }
        }
        assert!(wrong.is_empty(), "{wrong}");
    }

    /// What the app on this address answers.
    pub async fn send(&self, address: SocketAddr, case: &Case) -> Response<Bytes> {
        let request = case.request();
        self.set_outage(case.outage);
        let answer = tokio::task::spawn_blocking(move || socket::exchange(address, &request));
        let answer = answer.await.unwrap();
        self.set_outage(false);
        answer
    }

    /// What the boundary itself answers.
    pub async fn expected(&self, case: &Case) -> Response<Bytes> {
        let routes = Self::routes();
        let (path, requirement) =
            routes.into_iter().find(|(path, _)| *path == case.path()).unwrap();
        let requirement = requirement.map(|asked| self.boundary.compile(asked).unwrap());
        let (mut head, _) = case.request().into_parts();
        self.set_outage(case.outage);
        let peer = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let admitted = self.boundary.admit(&mut head, requirement.as_ref(), Some(peer)).await;
        self.set_outage(false);
        let (verified, duties) = match admitted {
            Ok(admitted) => admitted.into_parts(),
            Err(rejection) => return rejection.into_response(),
        };
        let handled =
            if path == Self::RESOURCE { verified.on("org/secret") } else { Ok(&verified) };
        let mut response = match handled {
            Ok(token) => Response::new(Bytes::from(format!("{} {}", token.owner(), head.uri))),
            Err(forbidden) => Rejection::from(forbidden).into_response(),
        };
        duties.apply(response.headers_mut());
        response
    }

    /// Puts the store out of order, or in order again.
    pub fn set_outage(&self, outage: bool) {
        self.world.store.set_outage(outage);
    }

    /// What is compared: the status, the header lines that the boundary answers for, and the body.
    fn told(&self, case: &Case, response: &Response<Bytes>) -> String {
        let mut told = format!("{}\n", response.status().as_u16());
        let refused = !response.status().is_success();
        let compared = [WWW_AUTHENTICATE, CACHE_CONTROL, VARY, RETRY_AFTER, REFERRER_POLICY];
        for name in compared.into_iter().chain(refused.then_some(CONTENT_TYPE)) {
            for value in response.headers().get_all(&name) {
                writeln!(told, "{name}: {}", String::from_utf8_lossy(value.as_bytes())).unwrap();
            }
        }
        if case.method != Method::HEAD {
            told.push_str(&String::from_utf8_lossy(response.body()));
        }
        let shows = self.tokens.accepted().any(|text| told.contains(text));
        assert!(!shows, "an answer shows a token: {told}");
        told
    }
}
