//! Where a verifier has the issuer's keys from.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use chrono::TimeDelta;

use super::key::VerifyingKey;
use super::key_ring::KeyRing;
use super::object::Object;
use crate::clock::Timestamp;

/// Longest key set, in bytes.
const MAX_JWKS_LEN: usize = 64 * 1024;

/// The public keys of an issuer.
#[derive(Debug)]
pub struct JwkSet(Vec<VerifyingKey>);

impl JwkSet {
    /// Reads a JWK set (RFC 7517 section 5). Keys of other kinds and uses are passed over; one
    /// that holds private members makes the whole set unusable.
    ///
    /// # Errors
    /// [`KeysError`] if it is none, is longer than 64 KiB, or holds no usable key or more than 16.
    pub fn parse(json: &[u8]) -> Result<Self, KeysError> {
        if json.len() > MAX_JWKS_LEN {
            return Err(KeysError::Malformed);
        }
        let set = Object::parse(json).ok_or(KeysError::Malformed)?;
        let listed = set.get("keys").and_then(|keys| keys.as_array());
        let mut keys: Vec<VerifyingKey> = Vec::new();
        for jwk in listed.ok_or(KeysError::Malformed)? {
            let private = ["d", "p", "q", "k"].iter().any(|member| jwk.get(member).is_some());
            if private {
                return Err(KeysError::Private);
            }
            // Written and read again, so that one reader decides what a key is.
            if let Ok(key) = VerifyingKey::from_jwk(&jwk.to_string())
                && !keys.iter().any(|known| known.kid() == key.kid())
            {
                keys.push(key);
            }
        }
        if keys.is_empty() || keys.len() > KeyRing::MAX_KEYS {
            return Err(KeysError::Malformed);
        }
        Ok(Self(keys))
    }

    pub(super) fn find(&self, kid: &str) -> Option<&VerifyingKey> {
        self.0.iter().find(|key| key.kid() == kid)
    }
}

/// Why there are no keys.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeysError {
    /// Not a set of public keys that can be used.
    #[error("not a usable JWK set")]
    Malformed,
    /// A private key was published. Everybody can sign with it.
    #[error("the JWK set holds a private key")]
    Private,
    /// The set could not be fetched.
    #[error("the keys could not be fetched")]
    Fetch(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Fetches the issuer's key set, by whatever HTTP client the service has: `GET` the configured
/// `jwks_uri`, without following redirects, with a time limit and at most 64 KiB.
#[async_trait]
pub trait FetchKeys: fmt::Debug + Send + Sync + 'static {
    /// The bytes of the key set.
    ///
    /// # Errors
    /// [`KeysError::Fetch`] if it cannot be had.
    async fn fetch(&self) -> Result<Vec<u8>, KeysError>;
}

#[async_trait]
impl<F: FetchKeys + ?Sized> FetchKeys for Arc<F> {
    async fn fetch(&self) -> Result<Vec<u8>, KeysError> {
        (**self).fetch().await
    }
}

/// The keys as a verifier holds them.
#[derive(Debug)]
pub(super) enum Keys {
    Fixed(Arc<JwkSet>),
    Fetched(Fetched),
}

/// Keys that are fetched again every five minutes, whatever tokens arrive: a token that names an
/// unknown key never causes a fetch.
#[derive(Debug)]
pub(super) struct Fetched {
    fetch: Box<dyn FetchKeys>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    set: Option<(Arc<JwkSet>, Timestamp)>,
    tried_at: Option<Timestamp>,
    /// When it failed with no keys to fall back on.
    failed_at: Option<Timestamp>,
}

impl Keys {
    /// How old keys are when they are fetched again.
    const FRESH: TimeDelta = TimeDelta::minutes(5);
    /// How long keys are used at most if fetching fails.
    const STALE: TimeDelta = TimeDelta::hours(24);
    /// How long after a failure it is tried again.
    const PAUSE: TimeDelta = TimeDelta::seconds(10);
    /// The same while there are no keys at all.
    const PAUSE_WITHOUT: TimeDelta = TimeDelta::seconds(1);

    pub(super) fn fetched(fetch: impl FetchKeys) -> Self {
        Self::Fetched(Fetched { fetch: Box::new(fetch), state: Mutex::default() })
    }

    pub(super) async fn at(&self, now: Timestamp) -> Result<Arc<JwkSet>, KeysError> {
        let fetched = match self {
            Self::Fixed(set) => return Ok(Arc::clone(set)),
            Self::Fetched(fetched) => fetched,
        };
        let held = {
            let mut state = fetched.lock();
            let held = state.set.clone().filter(|(_, at)| now.since(*at) < Self::STALE);
            let fresh = held.as_ref().is_some_and(|(_, at)| now.since(*at) < Self::FRESH);
            let within = |at: Option<Timestamp>, pause| at.is_some_and(|at| now.since(at) < pause);
            match held {
                Some((set, _)) if fresh || within(state.tried_at, Self::PAUSE) => return Ok(set),
                // Or whoever sends forged tokens would make requests to the issuer.
                None if within(state.failed_at, Self::PAUSE_WITHOUT) => {
                    return Err(KeysError::Fetch("they could not be fetched just now".into()));
                }
                _ => {}
            }
            state.tried_at = Some(now);
            held
        };
        let parsed = fetched.fetch.fetch().await.and_then(|json| JwkSet::parse(&json));
        match (parsed, held) {
            (Ok(set), _) => {
                let set = Arc::new(set);
                fetched.lock().set = Some((Arc::clone(&set), now));
                Ok(set)
            }
            // A host that cannot be reached takes nothing back. One that shows a private key does.
            (Err(KeysError::Private), _) => {
                let mut state = fetched.lock();
                (state.set, state.failed_at) = (None, Some(now));
                Err(KeysError::Private)
            }
            (Err(_), Some((set, _))) => Ok(set),
            (Err(error), None) => {
                fetched.lock().failed_at = Some(now);
                Err(error)
            }
        }
    }
}

impl Fetched {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
