//! A document at a URL.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use reqwest::{Method, Request, Url};

use super::error::FetchError;
use super::http::{EndpointError, client_to, parse, read};
use super::{Fetch, MAX_DOCUMENT_LEN};

/// One URL of another server. Cheap to clone; clones share connections.
///
/// It needs a Tokio runtime with I/O and time. Answers are read as they are: compressed ones are
/// not asked for.
#[derive(Clone)]
pub struct Endpoint(Arc<Inner>);

struct Inner {
    http: reqwest::Client,
    url: Url,
    /// Scheme, host and port.
    server: Arc<str>,
    limit: usize,
}

impl Endpoint {
    /// This URL, with 5 seconds for an answer of at most [`MAX_DOCUMENT_LEN`] bytes.
    ///
    /// # Errors
    /// [`EndpointError`] if it is not `https`, or not `http` on this machine, or has a user or a
    /// fragment.
    pub fn new(url: impl Into<String>) -> Result<Self, EndpointError> {
        Self::builder(url).build()
    }

    /// Starts to set one up.
    #[must_use]
    pub fn builder(url: impl Into<String>) -> EndpointBuilder {
        EndpointBuilder {
            url: url.into(),
            timeout: Duration::from_secs(5),
            limit: MAX_DOCUMENT_LEN,
            roots: None,
        }
    }

    /// Scheme, host and port of the server.
    #[must_use]
    pub fn server(&self) -> &str {
        &self.0.server
    }

    pub(super) fn request(&self, method: Method) -> Request {
        Request::new(method, self.0.url.clone())
    }

    /// The body of the answer, if that is 200. A request may be sent twice: a connection that was
    /// kept may be closed by the time it is used again.
    pub(super) async fn send(&self, request: Request) -> Result<Vec<u8>, FetchError> {
        let inner = &*self.0;
        let failed = |error: reqwest::Error| {
            let server = inner.server.clone();
            if error.is_timeout() {
                FetchError::TimedOut { server }
            } else {
                FetchError::Unreachable { server, cause: Box::new(error.without_url()) }
            }
        };
        let again = request.try_clone();
        let mut answered = inner.http.execute(request).await;
        if let (Err(error), Some(again)) = (&answered, again)
            && error.is_request()
            && !error.is_connect()
            && !error.is_timeout()
        {
            answered = inner.http.execute(again).await;
        }
        let mut response = answered.map_err(failed)?;
        let status = response.status().as_u16();
        if status != 200 {
            return Err(FetchError::Status { server: inner.server.clone(), status });
        }
        let body = read(&mut response, inner.limit).await.map_err(failed)?;
        body.ok_or(FetchError::TooLong { limit: inner.limit })
    }
}

#[async_trait]
impl Fetch for Endpoint {
    async fn fetch(&self) -> Result<Vec<u8>, FetchError> {
        self.send(self.request(Method::GET)).await
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint").field("server", &self.0.server).finish_non_exhaustive()
    }
}

/// Sets up an [`Endpoint`].
pub struct EndpointBuilder {
    url: String,
    timeout: Duration,
    limit: usize,
    roots: Option<Vec<u8>>,
}

impl EndpointBuilder {
    /// The longest that a try may take, from the connection to the last byte: 5 seconds unless set.
    /// There is a second one only if the connection broke without an answer.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// The longest answer, in bytes: [`MAX_DOCUMENT_LEN`] unless set.
    #[must_use]
    pub fn max_len(mut self, bytes: usize) -> Self {
        self.limit = bytes;
        self
    }

    /// Trusts these certificates, in PEM, in place of the operating system's.
    #[must_use]
    pub fn roots(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.roots = Some(pem.into());
        self
    }

    /// The endpoint.
    ///
    /// # Errors
    /// [`EndpointError`] if something is wrong with the URL or the certificates.
    pub fn build(self) -> Result<Endpoint, EndpointError> {
        let url = parse(&self.url, false)?;
        let http = client_to(&url, self.timeout, self.roots.as_deref())?;
        let server = url.origin().ascii_serialization().into();
        Ok(Endpoint(Arc::new(Inner { http, url, server, limit: self.limit })))
    }
}

impl fmt::Debug for EndpointBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EndpointBuilder").finish_non_exhaustive()
    }
}
