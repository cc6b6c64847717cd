//! Where a verifier has the issuer's keys from.

use std::sync::Arc;

use super::key::VerifyingKey;
use super::key_ring::KeyRing;
use super::object::Object;
use crate::clock::Timestamp;
use crate::fetch::{Document, FetchError, Kept, MAX_DOCUMENT_LEN};

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
        if json.len() > MAX_DOCUMENT_LEN {
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
        if keys.is_empty() {
            return Err(KeysError::Empty);
        }
        if keys.len() > KeyRing::MAX_KEYS {
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
    /// Not a set of public keys, or one of too many.
    #[error("not a usable JWK set")]
    Malformed,
    /// A set without any key that can be used.
    #[error("the JWK set holds no usable key")]
    Empty,
    /// A private key was published. Everybody can sign with it.
    #[error("the JWK set holds a private key")]
    Private,
    /// The set could not be fetched.
    #[error("the keys could not be fetched")]
    Fetch(#[from] FetchError),
}

impl Document for JwkSet {
    type Error = KeysError;

    fn read(bytes: &[u8]) -> Result<Self, KeysError> {
        Self::parse(bytes)
    }

    /// A place that shows a private key takes the public one back, and so does one that shows a
    /// set without it, even if no other key is left.
    fn withdraws(error: &KeysError) -> bool {
        matches!(error, KeysError::Private | KeysError::Empty)
    }
}

/// The keys as a verifier holds them.
#[derive(Debug, Clone)]
pub(super) enum Keys {
    Fixed(Arc<JwkSet>),
    Fetched(Arc<Kept<JwkSet>>),
}

impl Keys {
    pub(super) async fn at(&self, now: Timestamp) -> Result<Arc<JwkSet>, KeysError> {
        match self {
            Self::Fixed(set) => Ok(Arc::clone(set)),
            Self::Fetched(kept) => kept.at(now).await,
        }
    }

    /// The same, of which every key is known that there is, or else an error.
    pub(super) async fn all_at(&self, now: Timestamp) -> Result<Arc<JwkSet>, KeysError> {
        match self {
            Self::Fixed(set) => Ok(Arc::clone(set)),
            Self::Fetched(kept) => Ok(kept.fresh_at(now).await?),
        }
    }
}
