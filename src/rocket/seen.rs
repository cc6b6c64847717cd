//! What the fairing saw of a request, in Rocket's cache beside it.

use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use ::rocket::Request;
use ::rocket::http::uri::Origin;
use http::request::Parts;
use http::{HeaderName, HeaderValue, Method, Uri};

use crate::credential::{Boundary, Duties, Found};
use crate::engine::Verified;

/// What the fairing saw of a request.
pub(super) struct Seen {
    pub(super) head: Parts,
    pub(super) found: Found,
    pub(super) peer: Option<IpAddr>,
    duties: OnceLock<Duties>,
    verified: Mutex<Option<Verified>>,
}

/// In the cache of each request; empty if the request cannot be translated.
struct Slot(Option<Seen>);

impl Seen {
    /// Counts the credentials of a request and takes them out of its URI.
    pub(super) fn note(boundary: &Boundary, request: &mut Request<'_>, peer: Option<IpAddr>) {
        let seen = head_of(request).map(|mut head| {
            let found = boundary.find(&mut head);
            Self { head, found, peer, duties: OnceLock::new(), verified: Mutex::new(None) }
        });
        if let Some(Self { head, .. }) = &seen
            && head.uri.query() != request.uri().query().map(|query| query.as_str())
        {
            // What cannot be put together again is left empty.
            let origin = Origin::parse_owned(head.uri.to_string());
            request.set_uri(origin.unwrap_or(Origin::ROOT));
        }
        request.local_cache(|| Slot(seen));
    }

    /// What was seen; nothing if the request could not be translated, or no fairing is attached.
    pub(super) fn of<'r>(request: &'r Request<'_>) -> Option<&'r Self> {
        request.local_cache(|| Slot(None)).0.as_ref()
    }

    /// A guarded route took the request.
    pub(super) fn let_in(&self, verified: Verified, duties: Duties) {
        *self.slot() = Some(verified);
        // They are the same for every route.
        self.duties.get_or_init(|| duties);
    }

    /// The guarded route passed the request on.
    pub(super) fn forget(&self) {
        *self.slot() = None;
    }

    /// The token, if a guarded route has the request.
    pub(super) fn verified(&self) -> Option<Verified> {
        self.slot().clone()
    }

    /// What the response must say, if a guarded route had the request.
    pub(super) fn duties(&self) -> Option<&Duties> {
        self.duties.get()
    }

    fn slot(&self) -> MutexGuard<'_, Option<Verified>> {
        self.verified.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The head of a request as the boundary sees it: every header line that Rocket kept, in order.
fn head_of(request: &Request<'_>) -> Option<Parts> {
    let (mut head, ()) = http::Request::new(()).into_parts();
    head.method = Method::from_bytes(request.method().as_str().as_bytes()).ok()?;
    head.uri = Uri::try_from(request.uri().to_string()).ok()?;
    for line in request.headers().iter() {
        let name = HeaderName::from_bytes(line.name().as_str().as_bytes()).ok()?;
        let value = HeaderValue::from_bytes(line.value().as_bytes()).ok()?;
        head.headers.try_append(name, value).ok()?;
    }
    Some(head)
}
