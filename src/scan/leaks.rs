//! The endpoint.

use std::sync::Arc;

use bytes::Bytes;
use chrono::TimeDelta;
use futures_util::future::join_all;
use http::request::Parts;
use http::{Method, Response};

use super::answer::{Refusal, labels, refuse};
use super::keys::{NoKeys, PartnerKeys};
use super::report::{self, Match};
use super::signature::Claim;
use crate::clock::Timestamp;
use crate::engine::{Hallpass, Leak};
use crate::token::{Owner, ParseLabelError};

/// Longest report, in bytes.
pub const MAX_REPORT_LEN: usize = 5 * 1024 * 1024;

/// How many matches are dealt with at the same time: a store that waits takes them together, and
/// what it keeps for requests is left to them.
const AT_ONCE: usize = 16;

/// For how long matches are begun. A partner waits for 30 seconds.
const BUDGET: TimeDelta = TimeDelta::seconds(25);

/// The endpoint for a partner's reports of leaked tokens. Cheap to clone.
///
/// See the [module](super) for the rules and an example.
#[derive(Debug, Clone)]
pub struct Leaks(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    hallpass: Hallpass,
    scanner: Owner,
    keys: PartnerKeys,
}

impl Leaks {
    /// The endpoint for the partner that signs with these keys. `scanner` is what it is called
    /// where a token tells who revoked it, such as `github`.
    ///
    /// # Errors
    /// [`ParseLabelError`] if it cannot be called so.
    pub fn new(
        hallpass: Hallpass,
        scanner: &str,
        keys: PartnerKeys,
    ) -> Result<Self, ParseLabelError> {
        let scanner = Owner::parse(scanner)?;
        Ok(Self(Arc::new(Inner { hallpass, scanner, keys })))
    }

    /// Answers a report (`POST`): 200 with a label for each match, once every token in it is
    /// revoked; 400 if nobody known signed it, or if it is none; 503 if something could not be dealt
    /// with. The body has to be the very bytes that came.
    pub async fn report(&self, head: &Parts, body: &[u8]) -> Response<Bytes> {
        self.0.report(head, body).await.unwrap_or_else(refuse)
    }

    /// The response to a body that was too long to be read to its end. Bodies longer than
    /// [`MAX_REPORT_LEN`] need not be.
    #[must_use]
    pub fn too_large(&self) -> Response<Bytes> {
        refuse(Refusal::TooLarge)
    }
}

impl Inner {
    async fn report(&self, head: &Parts, body: &[u8]) -> Result<Response<Bytes>, Refusal> {
        if head.method != Method::POST {
            return Err(Refusal::Method);
        }
        if body.len() > MAX_REPORT_LEN {
            return Err(Refusal::TooLarge);
        }
        let claim = Claim::read(&head.headers).ok_or(Refusal::Unverified)?;
        let now = self.hallpass.now();
        let key = self.keys.find(claim.key_id, now).await;
        let key = key.map_err(|NoKeys| Refusal::Unavailable)?.ok_or(Refusal::Unverified)?;
        if !key.verifies(body, &claim) {
            return Err(Refusal::Unverified);
        }
        let matches = report::parse(body)?;
        let deadline = now.saturating_add(BUDGET);
        let mut ended = Vec::with_capacity(matches.len());
        for some in matches.chunks(AT_ONCE) {
            ended.extend(join_all(some.iter().map(|found| self.end(found, deadline))).await);
        }
        let known: Option<Vec<bool>> = ended.into_iter().collect();
        known.map(|known| labels(report::labels(&matches, &known))).ok_or(Refusal::Unavailable)
    }

    /// Ends what was found, and tells whether it was a token; `None` if that could not be done.
    async fn end(&self, found: &Match, deadline: Timestamp) -> Option<bool> {
        if self.hallpass.now() >= deadline {
            return None;
        }
        let mut leak = Leak::found_by(&self.scanner);
        if let Some(url) = &found.url {
            leak = leak.url(url);
        }
        if let Some(source) = &found.source {
            leak = leak.source(source);
        }
        let ended = self.hallpass.report_leak(&found.token, leak).await;
        ended.ok().map(|known| known.is_some())
    }
}
