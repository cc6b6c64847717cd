//! The response that refuses a request.

use std::fmt;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, Response};

use super::problem::Problem;
use crate::engine::{Forbidden, Outage};

/// Why a request was refused, and the response that says so.
///
/// The response depends on the problem and the configuration only: no byte of the request is in
/// it.
#[derive(Debug)]
pub struct Rejection {
    problem: Problem,
    headers: HeaderMap,
    outage: Option<Box<Outage>>,
}

impl Rejection {
    pub(super) fn new(problem: Problem) -> Self {
        let mut headers = HeaderMap::with_capacity(6);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        Self { problem, headers, outage: None }
    }

    /// The refusal of a handler that asks for a verified token where no layer verifies any.
    #[must_use]
    pub fn not_guarded() -> Self {
        Self::new(Problem::NotGuarded)
    }

    pub(super) fn retry_after(mut self, seconds: u32) -> Self {
        self.headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        self
    }

    pub(super) fn caused_by(mut self, outage: Outage) -> Self {
        self.outage = Some(Box::new(outage));
        self
    }

    pub(super) fn headers_mut(&mut self) -> &mut HeaderMap {
        &mut self.headers
    }

    /// The header lines of the response.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// What is wrong.
    #[must_use]
    pub fn problem(&self) -> Problem {
        self.problem
    }

    /// What is out of order, if that is why. For the app's own eyes.
    #[must_use]
    pub fn outage(&self) -> Option<&Outage> {
        self.outage.as_deref()
    }

    /// The response, with the [`Problem`] in its extensions.
    #[must_use]
    pub fn into_response(self) -> Response<Bytes> {
        let (head, body) = self.into_parts();
        Response::from_parts(head, body)
    }

    /// The same, as head and body.
    #[must_use]
    pub fn into_parts(self) -> (http::response::Parts, Bytes) {
        let (mut head, ()) = Response::new(()).into_parts();
        head.status = self.problem.status();
        head.headers = self.headers;
        head.extensions.insert(self.problem);
        (head, self.problem.body())
    }
}

/// The refusal of a handler that asked the token for more than its route does. It has no challenge,
/// since a handler knows no realm.
impl From<Forbidden> for Rejection {
    fn from(forbidden: Forbidden) -> Self {
        Self::new(match forbidden {
            Forbidden::Scope { .. } => Problem::InsufficientScope,
            Forbidden::Resource => Problem::InsufficientResource,
        })
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.problem.detail())
    }
}

impl std::error::Error for Rejection {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.outage.as_deref().map(|outage| outage as _)
    }
}
