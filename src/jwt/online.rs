//! Asks the issuer whether a token was revoked.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use chrono::TimeDelta;

use super::claims::JwtClaims;
use super::object::Object;
use super::verifier::{RevocationCheck, RevocationCheckError};
use crate::clock::Timestamp;
use crate::fetch::{Credentials, Endpoint, EndpointError, FetchError};

/// Asks the issuer's introspection endpoint (RFC 7662) whether a token still lives, as a client
/// that is registered there.
///
/// Every token is asked about each time unless [answers are kept](Self::keep_for). That the
/// endpoint cannot be asked, refuses the client, or answers anything but about this token is an
/// outage, never a denial and never a consent.
///
/// ```
/// use hallpass::fetch::Endpoint;
/// use hallpass::jwt::{IntrospectionCheck, JwtVerifier};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let secret = "of-the-client";
/// let keys = Endpoint::new("https://acme.example/oauth/jwks.json")?;
/// let asked = Endpoint::new("https://acme.example/oauth/introspect")?;
/// let check = IntrospectionCheck::new(asked, "search", secret)?;
/// let verifier = JwtVerifier::fetching("https://acme.example", "search", keys).revocations(check);
///
/// assert!(Endpoint::new("http://acme.example/oauth/introspect").is_err());
/// # Ok(()) }
/// ```
pub struct IntrospectionCheck {
    endpoint: Endpoint,
    credentials: Credentials,
    keep_for: TimeDelta,
    answers: Mutex<HashMap<String, Answer>>,
}

/// Whether a token lived when that was asked.
#[derive(Clone, Copy)]
struct Answer {
    is_live: bool,
    asked_at: Timestamp,
}

impl IntrospectionCheck {
    /// The longest that an answer is kept: 60 seconds.
    pub const MAX_KEEP: TimeDelta = TimeDelta::seconds(60);
    /// The most answers that are kept.
    pub const MAX_ANSWERS: usize = 10_000;

    /// Asks this endpoint as the client with this id and secret, by Basic (RFC 6749 section 2.3.1).
    ///
    /// # Errors
    /// [`EndpointError::Credentials`] if one of the two is empty.
    pub fn new(endpoint: Endpoint, client: &str, secret: &str) -> Result<Self, EndpointError> {
        let credentials = Credentials::basic(client, secret)?;
        let (keep_for, answers) = (TimeDelta::zero(), Mutex::default());
        Ok(Self { endpoint, credentials, keep_for, answers })
    }

    /// Keeps answers for that long, 60 seconds at most: a revoked token is accepted for as long.
    #[must_use]
    pub fn keep_for(mut self, span: TimeDelta) -> Self {
        self.keep_for = span.clamp(TimeDelta::zero(), Self::MAX_KEEP);
        self
    }

    /// The answer that is kept for this token, if it is not too old. Age is counted from before
    /// the question was sent, and a clock that is set back makes no answer younger.
    fn kept(&self, id: &str, now: Timestamp) -> Option<bool> {
        let answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        let answer = answers.get(id).filter(|answer| self.is_young(answer, now))?;
        Some(answer.is_live)
    }

    fn keep(&self, id: &str, answer: Answer) {
        if self.keep_for.is_zero() {
            return;
        }
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        if answers.len() >= Self::MAX_ANSWERS {
            answers.retain(|_, known| self.is_young(known, answer.asked_at));
        }
        if answers.len() >= Self::MAX_ANSWERS {
            // Asked again is slower and no worse.
            answers.clear();
        }
        answers.insert(id.to_owned(), answer);
    }

    fn is_young(&self, answer: &Answer, now: Timestamp) -> bool {
        now.since(answer.asked_at).abs() < self.keep_for
    }

    async fn ask(&self, text: &str, claims: &JwtClaims) -> Result<bool, Failure> {
        let form = [("token", text), ("token_type_hint", "access_token")];
        let json = self.endpoint.ask(&self.credentials, &form).await?;
        let answer = Object::parse(&json).ok_or(Failure::Malformed)?;
        match answer.get("active").and_then(serde_json::Value::as_bool) {
            None => Err(Failure::Malformed),
            Some(false) => Ok(false),
            Some(true) => {
                let is_about =
                    [("iss", claims.issuer()), ("sub", claims.subject()), ("jti", claims.id())];
                let is_this = is_about.iter().all(|(name, own)| answer.text(name) == Some(own));
                if is_this { Ok(true) } else { Err(Failure::OfAnother) }
            }
        }
    }
}

#[async_trait]
impl RevocationCheck for IntrospectionCheck {
    async fn is_live(
        &self,
        text: &str,
        claims: &JwtClaims,
        now: Timestamp,
    ) -> Result<bool, RevocationCheckError> {
        if let Some(is_live) = self.kept(claims.id(), now) {
            return Ok(is_live);
        }
        let is_live = self.ask(text, claims).await;
        let is_live = is_live.map_err(|failure| RevocationCheckError(Box::new(failure)))?;
        self.keep(claims.id(), Answer { is_live, asked_at: now });
        Ok(is_live)
    }
}

impl fmt::Debug for IntrospectionCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IntrospectionCheck")
            .field("endpoint", &self.endpoint)
            .field("keep_for", &self.keep_for)
            .finish_non_exhaustive()
    }
}

/// Why an answer tells nothing.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("the introspection endpoint could not be asked")]
    Fetch(#[from] FetchError),
    #[error("what the introspection endpoint answers is no introspection")]
    Malformed,
    #[error("the introspection endpoint answers about another token, or does not say which")]
    OfAnother,
}
