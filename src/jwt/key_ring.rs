//! The keys of an issuer: published before they sign, and kept after.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use chrono::TimeDelta;

use super::key::SigningKey;
use crate::clock::Timestamp;

/// The keys that an issuer signs with, one after the other. Cheap to clone; clones are the same
/// ring.
///
/// A new key is published at least [`LEAD`](Self::LEAD) before it signs, so that every verifier
/// has read it by then; an old one stays published for [`TAIL`](Self::TAIL) after it signed
/// last, so that every token it signed can be verified.
#[derive(Clone)]
pub struct KeyRing(Arc<RwLock<Vec<Entry>>>);

#[derive(Clone)]
struct Entry {
    key: Arc<SigningKey>,
    signs_from: Timestamp,
}

impl KeyRing {
    /// How long before it signs a key must be published: as long as the key set may be cached,
    /// and once more for those who read it late.
    pub const LEAD: TimeDelta = TimeDelta::minutes(10);
    /// How long a key is published after it signed last: the longest life of a token, and the
    /// most that clocks may differ.
    pub const TAIL: TimeDelta = TimeDelta::seconds(60 * 60 + 30);
    /// Most keys at a time.
    pub const MAX_KEYS: usize = 16;

    /// A ring of one key, which signs at once.
    #[must_use]
    pub fn new(key: SigningKey) -> Self {
        let entry = Entry { key: Arc::new(key), signs_from: Timestamp::MIN };
        Self(Arc::new(RwLock::new(vec![entry])))
    }

    /// Publishes a key that takes over at `signs_from`. Keep the key and that instant: after a
    /// restart, [`restore`](Self::restore) puts it back.
    ///
    /// # Errors
    /// [`KeyRingError`] if that is too soon, the key is there already, or there are too many.
    pub fn publish(
        &self,
        key: SigningKey,
        signs_from: Timestamp,
        now: Timestamp,
    ) -> Result<(), KeyRingError> {
        if signs_from < now.saturating_add(Self::LEAD) {
            return Err(KeyRingError::TooSoon);
        }
        self.retire(now);
        self.restore(key, signs_from)
    }

    /// Puts back a key that was published before, with the instant from which it signs.
    ///
    /// # Errors
    /// [`KeyRingError`] if the key is there already, or there are too many.
    pub fn restore(&self, key: SigningKey, signs_from: Timestamp) -> Result<(), KeyRingError> {
        let mut entries = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if entries.len() >= Self::MAX_KEYS {
            return Err(KeyRingError::TooMany);
        }
        if entries.iter().any(|entry| entry.key.public().kid() == key.public().kid()) {
            return Err(KeyRingError::Twice);
        }
        entries.push(Entry { key: Arc::new(key), signs_from });
        entries.sort_by_key(|entry| entry.signs_from);
        Ok(())
    }

    /// The public keys as a JWK set, `application/jwk-set+json`: those that sign, will sign, or
    /// signed what may still be live.
    #[must_use]
    pub fn jwks(&self, now: Timestamp) -> String {
        let keys = self.published(now);
        let keys: Vec<_> = keys.iter().map(|key| key.public().to_jwk()).collect();
        format!("{{\"keys\":[{}]}}", keys.join(","))
    }

    /// Forgets keys that are published no longer.
    pub fn retire(&self, now: Timestamp) {
        let mut entries = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let kept = published(&entries, now).cloned().collect();
        *entries = kept;
    }

    /// The key that signs at `now`.
    pub(super) fn current(&self, now: Timestamp) -> Option<Arc<SigningKey>> {
        let entries = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let signing = entries.iter().rev().find(|entry| entry.signs_from <= now);
        signing.map(|entry| Arc::clone(&entry.key))
    }

    pub(super) fn published(&self, now: Timestamp) -> Vec<Arc<SigningKey>> {
        let entries = self.0.read().unwrap_or_else(PoisonError::into_inner);
        published(&entries, now).map(|entry| Arc::clone(&entry.key)).collect()
    }
}

fn published(entries: &[Entry], now: Timestamp) -> impl Iterator<Item = &Entry> {
    // Sorted by when they sign, each signs until the next one does.
    let ends = entries.iter().skip(1).map(|next| Some(next.signs_from)).chain([None]);
    entries.iter().zip(ends).filter_map(move |(entry, end)| {
        let live = end.is_none_or(|end| now < end.saturating_add(KeyRing::TAIL));
        live.then_some(entry)
    })
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let entries = self.0.read().unwrap_or_else(PoisonError::into_inner);
        f.debug_map()
            .entries(entries.iter().map(|entry| (entry.key.public().kid(), entry.signs_from)))
            .finish()
    }
}

/// Why a key was not added.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyRingError {
    /// Verifiers would not know the key yet when it signs.
    #[error("a key must be published at least 10 minutes before it signs")]
    TooSoon,
    /// The key is in the ring.
    #[error("the key is there already")]
    Twice,
    /// The ring is full.
    #[error("there are at most 16 keys")]
    TooMany,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jwt::Algorithm;

    fn key() -> SigningKey {
        SigningKey::generate(Algorithm::EdDsa).unwrap().0
    }

    #[test]
    fn a_key_is_published_before_it_signs_and_after() {
        let start: Timestamp = "2026-11-22T09:00:00Z".parse().unwrap();
        let at = |delta| start.saturating_add(delta);
        let micro = TimeDelta::microseconds(1);
        let (first, second) = (key(), key());
        let ids = [first.public().kid().to_owned(), second.public().kid().to_owned()];
        let ring = KeyRing::new(first);
        let turn = at(KeyRing::LEAD);
        assert_eq!(
            ring.publish(key(), at(KeyRing::LEAD - micro), start),
            Err(KeyRingError::TooSoon)
        );
        ring.publish(second, turn, start).unwrap();
        let signs = |now| ring.current(now).unwrap().public().kid().to_owned();
        let shown = |now| ids.iter().map(|id| ring.jwks(now).contains(id)).collect::<Vec<_>>();
        assert_eq!(shown(start), [true, true]);
        assert_eq!(signs(turn.saturating_sub(micro)), ids[0]);
        assert_eq!(signs(turn), ids[1]);
        let last = turn.saturating_add(KeyRing::TAIL);
        assert_eq!(shown(last.saturating_sub(micro)), [true, true]);
        assert_eq!(shown(last), [false, true]);
        ring.retire(last);
        assert_eq!(signs(last), ids[1]);
        assert_eq!(format!("{ring:?}").matches("2026").count(), 1);
    }

    #[test]
    fn a_ring_is_bounded_and_holds_a_key_once() {
        let (first, der) = SigningKey::generate(Algorithm::EdDsa).unwrap();
        let ring = KeyRing::new(first);
        let again = SigningKey::from_pkcs8(Algorithm::EdDsa, &der).unwrap();
        assert_eq!(ring.restore(again, Timestamp::MIN), Err(KeyRingError::Twice));
        for _ in 1..KeyRing::MAX_KEYS {
            ring.restore(key(), Timestamp::MAX).unwrap();
        }
        assert_eq!(ring.restore(key(), Timestamp::MAX), Err(KeyRingError::TooMany));
    }
}
