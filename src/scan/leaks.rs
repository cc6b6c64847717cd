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

/// How many matches are ended in one step of the store.
const TOGETHER: usize = 64;

/// How many steps are taken at the same time: a store that waits takes them together, and what it
/// keeps for requests is left to them.
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
        let mut known = Vec::with_capacity(matches.len());
        for some in matches.chunks(TOGETHER) {
            known.extend(self.end(some, deadline).await);
        }
        let known: Option<Vec<bool>> = known.into_iter().collect();
        known.map(|known| labels(report::labels(&matches, &known))).ok_or(Refusal::Unavailable)
    }

    /// Ends what was found, and tells of each whether it was a token; `None` if that could not be
    /// told or done.
    async fn end(&self, some: &[Match], deadline: Timestamp) -> Vec<Option<bool>> {
        let mut known = Vec::with_capacity(some.len());
        let mut found = Vec::with_capacity(some.len());
        for few in some.chunks(AT_ONCE) {
            if self.hallpass.now() >= deadline {
                break;
            }
            let looked = few.iter().map(|one| self.hallpass.leaked(&one.token, self.leak(one)));
            for leaked in join_all(looked).await {
                known.push(leaked.as_ref().ok().map(Option::is_some));
                found.extend(leaked.ok().flatten());
            }
        }
        // Whatever became of this, each is ended by itself too.
        let _ = self.hallpass.end_leaked_at_once(&mut found).await;
        let mut tokens = known.iter_mut().filter(|known| **known == Some(true));
        for few in found.chunks(AT_ONCE) {
            let ended = join_all(few.iter().map(async |leaked| {
                self.hallpass.now() < deadline && self.hallpass.end_leaked(leaked).await.is_ok()
            }));
            for (ended, known) in ended.await.into_iter().zip(&mut tokens) {
                *known = ended.then_some(true);
            }
        }
        known.resize(some.len(), None);
        known
    }

    fn leak<'a>(&'a self, found: &'a Match) -> Leak<'a> {
        let mut leak = Leak::found_by(&self.scanner);
        if let Some(url) = &found.url {
            leak = leak.url(url);
        }
        if let Some(source) = &found.source {
            leak = leak.source(source);
        }
        leak
    }
}
