//! A client of one server.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use reqwest::{Method, Url};
use zeroize::Zeroizing;

use super::credential::Credential;
use super::error::ClientError;
use super::exchange::{self, TokenExchange};
use super::presentation::{Presentation, is_token_byte, is_user};
use super::request::Request;
use super::session::Session;
use crate::clock::{Clock, SystemClock};
use crate::fetch::{EndpointError, client_to, parse};

/// A client of one server, and what it presents there. Cheap to clone; clones share connections and
/// short-lived tokens.
///
/// See the [module](super) for its rules.
#[derive(Clone)]
pub struct Client(pub(super) Arc<Inner>);

pub(super) struct Inner {
    pub(super) http: reqwest::Client,
    pub(super) base: Url,
    /// Scheme, host and port, as errors name the server.
    pub(super) server: Arc<str>,
    pub(super) identity: Identity,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) limits: Limits,
}

/// As whom the client comes.
pub(super) enum Identity {
    Nobody,
    Token(Arc<Credential>, Presentation),
    Person { user: String, password: Zeroizing<String> },
    Session { cookie: Zeroizing<String> },
    Exchanged { subject: Arc<Credential>, exchange: TokenExchange, session: Box<Session> },
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    timeout: Duration,
    pub(super) answer: usize,
    pub(super) retries: u32,
    pub(super) longest_wait: Duration,
}

impl Client {
    /// Starts to build a client of the server at this address, like `https://acme.example` or
    /// `https://acme.example/tools`; paths of requests are below it.
    pub fn builder(address: impl Into<String>) -> ClientBuilder {
        ClientBuilder {
            address: address.into(),
            identity: Wanted::Nobody,
            exchange: None,
            clock: Arc::new(SystemClock),
            limits: Limits {
                timeout: Duration::from_secs(30),
                answer: 1024 * 1024,
                retries: 2,
                longest_wait: Duration::from_secs(10),
            },
            roots: None,
            danger_plain_http: false,
        }
    }

    /// Starts a request. The path is below the client's address and may have a query.
    pub fn request(&self, method: Method, path: &str) -> Request<'_> {
        Request::new(self, method, path)
    }

    /// Starts a GET request.
    pub fn get(&self, path: &str) -> Request<'_> {
        self.request(Method::GET, path)
    }

    /// Starts a POST request.
    pub fn post(&self, path: &str) -> Request<'_> {
        self.request(Method::POST, path)
    }

    /// Starts a DELETE request.
    pub fn delete(&self, path: &str) -> Request<'_> {
        self.request(Method::DELETE, path)
    }

    /// Scheme, host and port of the server.
    #[must_use]
    pub fn server(&self) -> &str {
        &self.0.server
    }

    /// The token that the next request would present, for use with another HTTP library: the
    /// short-lived one if the client exchanges, renewed if it is time.
    ///
    /// # Errors
    /// [`ClientError`] if there is no token or it cannot be exchanged.
    pub async fn token(&self) -> Result<Arc<Credential>, ClientError> {
        match &self.0.identity {
            Identity::Token(token, _) => Ok(token.clone()),
            Identity::Exchanged { subject, exchange, session } => {
                session.token(|| self.exchange(subject, exchange)).await
            }
            _ => Err(ClientError::Request { reason: "the client has no token" }),
        }
    }

    async fn exchange(
        &self,
        subject: &Credential,
        exchange: &TokenExchange,
    ) -> Result<(Credential, u64), ClientError> {
        let form = exchange.form(subject);
        let request = self.post(exchange.path()).form(&form).anonymous(subject);
        exchange::read(&request.send().await?)
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let identity = match &self.0.identity {
            Identity::Nobody => "nobody",
            Identity::Token(..) => "token",
            Identity::Person { .. } => "person",
            Identity::Session { .. } => "session",
            Identity::Exchanged { .. } => "exchanged token",
        };
        f.debug_struct("Client")
            .field("server", &self.0.server)
            .field("identity", &identity)
            .finish_non_exhaustive()
    }
}

/// Builds a [`Client`].
pub struct ClientBuilder {
    address: String,
    identity: Wanted,
    exchange: Option<TokenExchange>,
    clock: Arc<dyn Clock>,
    limits: Limits,
    roots: Option<Vec<u8>>,
    danger_plain_http: bool,
}

enum Wanted {
    Nobody,
    Token(Credential, Presentation),
    Person(String, Zeroizing<String>),
    Session(Zeroizing<String>),
}

impl ClientBuilder {
    /// Presents this token as `Authorization: Bearer`.
    #[must_use]
    pub fn token(self, token: Credential) -> Self {
        self.token_as(token, Presentation::bearer())
    }

    /// Presents this token somewhere else.
    #[must_use]
    pub fn token_as(mut self, token: Credential, presentation: Presentation) -> Self {
        self.identity = Wanted::Token(token, presentation);
        self
    }

    /// Comes as a person, by name and password (Basic, RFC 7617).
    #[must_use]
    pub fn person(mut self, user: impl Into<String>, password: impl Into<String>) -> Self {
        self.identity = Wanted::Person(user.into(), Zeroizing::new(password.into()));
        self
    }

    /// Comes with a session of the host app: a cookie by its name and value.
    ///
    /// # Errors
    /// [`BuildError::Cookie`] if RFC 6265 section 4.1.1 allows no such cookie.
    pub fn session_cookie(mut self, name: &str, value: &str) -> Result<Self, BuildError> {
        let is_value = |byte: u8| byte.is_ascii_graphic() && !b"\",;\\".contains(&byte);
        let is_name = !name.is_empty() && name.bytes().all(is_token_byte);
        if !is_name || value.is_empty() || !value.bytes().all(is_value) {
            return Err(BuildError::Cookie);
        }
        self.identity = Wanted::Session(Zeroizing::new(format!("{name}={value}")));
        Ok(self)
    }

    /// Never presents the token itself, but what it is exchanged for, as `Authorization: Bearer`.
    /// That is renewed before it ends, by one task at a time, and once more if it is refused.
    #[must_use]
    pub fn exchanged(mut self, exchange: TokenExchange) -> Self {
        self.exchange = Some(exchange);
        self
    }

    /// The longest that a try may take, from the connection to the last byte: 30 seconds unless
    /// set.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.limits.timeout = timeout;
        self
    }

    /// The longest answer, in bytes: 1 MiB unless set.
    #[must_use]
    pub fn max_answer(mut self, bytes: usize) -> Self {
        self.limits.answer = bytes;
        self
    }

    /// How often a request that can be repeated is repeated when the server is busy (429, 503), and
    /// the longest wait that a server may ask for: twice and 10 seconds unless set.
    #[must_use]
    pub fn retries(mut self, retries: u32, longest_wait: Duration) -> Self {
        self.limits.retries = retries;
        self.limits.longest_wait = longest_wait;
        self
    }

    /// Trusts these certificates, in PEM, in place of the operating system's.
    #[must_use]
    pub fn roots(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.roots = Some(pem.into());
        self
    }

    /// Another clock than the system's.
    #[must_use]
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Sends secrets over plain HTTP to other machines, where everybody on the way can read them, a
    /// proxy that the environment names among them.
    #[must_use]
    pub fn danger_plain_http(mut self) -> Self {
        self.danger_plain_http = true;
        self
    }

    /// The client.
    ///
    /// # Errors
    /// [`BuildError`] if something is wrong with the address, the user's name, the certificates, or
    /// there is nothing to exchange.
    pub fn build(self) -> Result<Client, BuildError> {
        let base = base(&self.address, self.danger_plain_http)?;
        let http = client_to(&base, self.limits.timeout, self.roots.as_deref())?;
        let identity = match (self.identity, self.exchange) {
            (Wanted::Token(token, _), Some(exchange)) => Identity::Exchanged {
                subject: Arc::new(token),
                exchange,
                session: Box::new(Session::new(self.clock.clone())),
            },
            (_, Some(_)) => return Err(BuildError::NothingToExchange),
            (Wanted::Token(token, place), None) => Identity::Token(Arc::new(token), place),
            (Wanted::Person(user, _), None) if !is_user(&user) => return Err(BuildError::User),
            (Wanted::Person(user, password), None) => Identity::Person { user, password },
            (Wanted::Session(cookie), None) => Identity::Session { cookie },
            (Wanted::Nobody, None) => Identity::Nobody,
        };
        let server = base.origin().ascii_serialization().into();
        let (clock, limits) = (self.clock, self.limits);
        Ok(Client(Arc::new(Inner { http, base, server, identity, clock, limits })))
    }
}

impl fmt::Debug for ClientBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientBuilder").finish_non_exhaustive()
    }
}

/// An address below which requests are made, with a slash at its end.
fn base(address: &str, danger_plain_http: bool) -> Result<Url, EndpointError> {
    let mut url = parse(address, danger_plain_http)?;
    if url.query().is_some() {
        return Err(EndpointError::Address { reason: "it has a query" });
    }
    if !url.path().ends_with('/') {
        let path = format!("{}/", url.path());
        url.set_path(&path);
    }
    Ok(url)
}

/// Why there is no [`Client`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The server's address or the certificates cannot be used.
    #[error(transparent)]
    Server(#[from] EndpointError),
    /// Basic cannot carry the user's name.
    #[error("a user name has no colon and no control character")]
    User,
    /// There can be no such cookie.
    #[error(
        "a cookie has a name, and a value of visible ASCII without quotes, commas and semicolons"
    )]
    Cookie,
    /// An exchange was asked for, and no token was given.
    #[error("there is no token to exchange")]
    NothingToExchange,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn built(address: &str) -> Result<String, String> {
        let client = Client::builder(address).build();
        client.map(|client| client.0.base.to_string()).map_err(|error| error.to_string())
    }

    #[test]
    fn plain_http_stays_on_this_machine() {
        for address in [
            "http://127.0.0.1:3000",
            "http://127.1.2.3",
            "http://[::1]:3000",
            "http://localhost",
            "http://acme.localhost:1",
            "https://acme.example",
        ] {
            assert!(built(address).is_ok(), "{address}");
        }
        for host in [
            "acme.example",
            "10.0.0.1",
            "localhost.acme.example",
            "notlocalhost",
            "[::]",
            "0.0.0.0",
        ] {
            let said = format!("http://{host} would send secrets in plain text; use https://");
            assert_eq!(built(&format!("http://{host}")), Err(said));
        }
        assert!(Client::builder("http://acme.example").danger_plain_http().build().is_ok());
    }

    #[test]
    fn an_address_is_a_server_and_a_path() {
        assert_eq!(built("https://acme.example").unwrap(), "https://acme.example/");
        assert_eq!(built("https://acme.example/a/b").unwrap(), "https://acme.example/a/b/");
        for address in [
            "",
            "acme.example",
            "ftp://acme.example",
            "file:///etc/passwd",
            "https://u:p@acme.example",
            "https://acme.example?x",
            "https://acme.example#x",
            "https://",
        ] {
            assert!(built(address).unwrap_err().starts_with("the server's address"), "{address}");
        }
    }

    #[test]
    fn what_cannot_work_is_said_at_once() {
        let builder = || Client::builder("https://acme.example");
        let exchange = builder().person("alice", "x").exchanged(TokenExchange::new()).build();
        assert!(matches!(exchange, Err(BuildError::NothingToExchange)));
        assert!(matches!(builder().person("a:b", "x").build(), Err(BuildError::User)));
        let roots = builder().roots("no pem").build();
        assert!(matches!(roots, Err(BuildError::Server(EndpointError::Roots))));
    }

    #[test]
    fn debug_shows_no_secret() {
        let builder = Client::builder("https://acme.example").person("alice", "pa55word");
        assert!(!format!("{builder:?}").contains("pa55word"));
        let client = builder.build().unwrap();
        assert_eq!(
            format!("{client:?}"),
            "Client { server: \"https://acme.example\", identity: \"person\", .. }"
        );
    }
}
