//! Verifies access tokens where they are used, without asking who issued them.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use chrono::TimeDelta;

use super::claims::JwtClaims;
use super::compact::Compact;
use super::issuer::MAX_LEEWAY;
use super::keys::{JwkSet, Keys, KeysError};
use super::object::Object;
use crate::clock::{Clock, SystemClock, Timestamp};
use crate::engine::Hallpass;
use crate::fetch::{Fetch, Kept};

/// Verifies JWT access tokens (RFC 9068) for a service. Cheap to clone.
///
/// Every claim is checked here, whatever a library would let pass. See the [module](super) for
/// the rules and an example.
#[derive(Debug, Clone)]
pub struct JwtVerifier(Arc<Inner>);

#[derive(Debug, Clone)]
struct Inner {
    issuer: String,
    audience: String,
    keys: Keys,
    leeway: TimeDelta,
    revocations: Option<Arc<dyn RevocationCheck>>,
    clock: Arc<dyn Clock>,
}

/// Why a JWT was not accepted: a denial or an outage, never mixed up.
#[derive(Debug, thiserror::Error)]
pub enum JwtError {
    /// The text is refused, for whatever reason. Answer 401.
    #[error("the access token is invalid")]
    Denied,
    /// The keys cannot be had. Answer 503.
    #[error("tokens cannot be verified right now")]
    Keys(#[from] KeysError),
    /// It cannot be told whether the token was revoked. Answer 503.
    #[error("tokens cannot be verified right now")]
    Revocations(#[from] RevocationCheckError),
}

/// Tells whether a token whose signature and claims are good was revoked, or its owner, or what it
/// was made from: by asking the introspection endpoint
/// ([`IntrospectionCheck`](super::IntrospectionCheck), with the feature `fetch`), or the engine
/// itself.
#[async_trait]
pub trait RevocationCheck: fmt::Debug + Send + Sync + 'static {
    /// Whether the token of this text with these claims still lives.
    ///
    /// # Errors
    /// [`RevocationCheckError`] if it cannot be told.
    async fn is_live(
        &self,
        text: &str,
        claims: &JwtClaims,
        now: Timestamp,
    ) -> Result<bool, RevocationCheckError>;
}

/// Whether a token was revoked could not be told.
#[derive(Debug, thiserror::Error)]
#[error("whether the token was revoked cannot be told")]
pub struct RevocationCheckError(#[source] pub Box<dyn std::error::Error + Send + Sync>);

#[async_trait]
impl<R: RevocationCheck + ?Sized> RevocationCheck for Arc<R> {
    async fn is_live(
        &self,
        text: &str,
        claims: &JwtClaims,
        now: Timestamp,
    ) -> Result<bool, RevocationCheckError> {
        (**self).is_live(text, claims, now).await
    }
}

/// The engine that issued the tokens, in the same process.
#[async_trait]
impl RevocationCheck for Hallpass {
    async fn is_live(
        &self,
        _: &str,
        claims: &JwtClaims,
        _: Timestamp,
    ) -> Result<bool, RevocationCheckError> {
        let Some(id) = claims.record() else {
            return Ok(false);
        };
        match self.standing_of(&id).await {
            Ok(standing) => Ok(standing.is_some()),
            Err(outage) => Err(RevocationCheckError(Box::new(outage))),
        }
    }
}

impl JwtVerifier {
    /// A verifier of tokens by this issuer for this audience, with keys from a file or the
    /// configuration.
    #[must_use]
    pub fn new(issuer: impl Into<String>, audience: impl Into<String>, keys: JwkSet) -> Self {
        Self::on(issuer.into(), audience.into(), Keys::Fixed(Arc::new(keys)))
    }

    /// The same, with keys that are fetched: with an [`Endpoint`](crate::fetch::Endpoint) from the
    /// issuer's `jwks_uri`, with a [`LocalFile`](crate::fetch::LocalFile) from a file that may be
    /// replaced. It happens when the first token arrives and again every five minutes, and for no
    /// token that names an unknown key. If it fails they are used for 24 hours, and a token that
    /// names a key which is not among them is an outage: the key may be a new one.
    #[must_use]
    pub fn fetching(
        issuer: impl Into<String>,
        audience: impl Into<String>,
        keys: impl Fetch,
    ) -> Self {
        Self::on(issuer.into(), audience.into(), Keys::Fetched(Arc::new(Kept::new(keys))))
    }

    fn on(issuer: String, audience: String, keys: Keys) -> Self {
        let clock = Arc::new(SystemClock);
        let leeway = TimeDelta::zero();
        Self(Arc::new(Inner { issuer, audience, keys, leeway, revocations: None, clock }))
    }

    /// How far clocks may differ: at most 30 seconds, none unless given.
    #[must_use]
    pub fn leeway(self, leeway: TimeDelta) -> Self {
        self.change(|inner| inner.leeway = leeway.clamp(TimeDelta::zero(), MAX_LEEWAY))
    }

    /// Asks about each token whether it was revoked. Without it, a revoked token is accepted
    /// until it ends.
    #[must_use]
    pub fn revocations(self, check: impl RevocationCheck) -> Self {
        self.change(|inner| inner.revocations = Some(Arc::new(check)))
    }

    /// Another clock than the system's.
    #[must_use]
    pub fn clock(self, clock: impl Clock) -> Self {
        self.change(|inner| inner.clock = Arc::new(clock))
    }

    /// Changes this verifier. Its clones stay as they are, and share its keys.
    fn change(mut self, change: impl FnOnce(&mut Inner)) -> Self {
        change(Arc::make_mut(&mut self.0));
        self
    }

    /// Verifies a text: form, header, key, signature, claims, and whether it was revoked, if that
    /// is asked.
    ///
    /// # Errors
    /// [`JwtError::Denied`] if the text is refused, another one if that cannot be told.
    pub async fn verify(&self, text: &str) -> Result<JwtClaims, JwtError> {
        let inner = &*self.0;
        let now = inner.clock.now();
        let compact = Compact::parse(text).ok_or(JwtError::Denied)?;
        let mut keys = inner.keys.at(now).await?;
        if keys.find(&compact.kid).is_none() {
            // It may be newer than old keys are, and then they tell nothing of the token.
            keys = inner.keys.all_at(now).await?;
        }
        let key = keys.find(&compact.kid).ok_or(JwtError::Denied)?;
        let claims = compact.signed_by(key).and_then(|claims| inner.check(&claims, now));
        let claims = claims.ok_or(JwtError::Denied)?;
        if let Some(check) = &inner.revocations
            && !check.is_live(text, &claims, now).await?
        {
            return Err(JwtError::Denied);
        }
        Ok(claims)
    }
}

impl Inner {
    /// The claims, if every one of them is what it must be here and now.
    fn check(&self, claims: &Object, now: Timestamp) -> Option<JwtClaims> {
        let claims = JwtClaims::read(claims, &self.issuer)?;
        let holds = claims.is_for(&self.audience)
            && claims.has_begun(now.saturating_add(self.leeway))
            && !claims.has_ended(now.saturating_sub(self.leeway));
        holds.then_some(claims)
    }
}
