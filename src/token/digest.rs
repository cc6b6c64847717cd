//! What is stored in place of a secret.

use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use subtle::{Choice, ConstantTimeEq};
use zeroize::Zeroize;

#[cfg(feature = "jwt")]
use super::entropy::{Entropy, EntropyError};
use super::text::TokenText;
use super::wiped::Wiped;

/// Length of a digest, in bytes.
const LEN: usize = 32;
/// The one scheme written today: BLAKE3 keyed with a key derived from the pepper.
const SCHEME: &str = "v1";
/// Context string of the key derivation (BLAKE3 `derive_key`).
const KEY_CONTEXT: &str = "hallpass 2026-11-22 token digest v1";

/// The keyed hash of a token's id, secret and kind, and under which pepper it was made.
///
/// The hashed message is exactly one 64-byte BLAKE3 block: id, secret, kind zero-padded to five
/// bytes. So a digest is bound to its row, kind and pepper. It is stored as one self-describing
/// text, `scheme$pepper$digest`: the scheme is `v1`, the pepper its number or `0` for none, the
/// digest 43 characters of unpadded base64url.
#[derive(Clone, PartialEq, Eq)]
pub struct TokenDigest(Form);

#[derive(Clone, PartialEq, Eq)]
enum Form {
    V1 {
        pepper: Option<PepperId>,
        digest: [u8; LEN],
    },
    /// Text this version cannot use. It is kept as it is, matches nothing, and is reported.
    Unusable(Arc<str>),
}

impl TokenDigest {
    /// Takes a digest as it was stored.
    ///
    /// A text of an unknown scheme or of a wrong length is kept but matches no secret; verifying
    /// against it denies and raises an event.
    #[must_use]
    pub fn from_stored(text: &str) -> Self {
        Self(Self::read(text).unwrap_or_else(|| Form::Unusable(text.into())))
    }

    /// That of a record whose secret is not made yet: it matches nothing.
    pub(crate) fn blank() -> Self {
        Self(Form::Unusable(Arc::default()))
    }

    fn read(text: &str) -> Option<Form> {
        let (pepper, digest) = text.strip_prefix(SCHEME)?.strip_prefix('$')?.split_once('$')?;
        let pepper = match pepper {
            "0" => None,
            number if number.starts_with(['0', '+']) => return None,
            number => Some(PepperId(number.parse().ok()?)),
        };
        let digest = URL_SAFE_NO_PAD.decode(digest).ok()?.try_into().ok()?;
        Some(Form::V1 { pepper, digest })
    }

    /// The digest as it is stored.
    #[must_use]
    pub fn to_stored(&self) -> String {
        match &self.0 {
            Form::V1 { pepper, digest } => {
                let pepper = pepper.map_or(0, |id| id.0.get());
                format!("{SCHEME}${pepper}${}", URL_SAFE_NO_PAD.encode(digest))
            }
            Form::Unusable(text) => text.as_ref().to_owned(),
        }
    }

    /// The pepper this digest was made under, if any.
    #[must_use]
    pub fn pepper(&self) -> Option<PepperId> {
        match self.0 {
            Form::V1 { pepper, .. } => pepper,
            Form::Unusable(_) => None,
        }
    }

    /// Whether this version can check a secret against the digest.
    #[must_use]
    pub fn is_usable(&self) -> bool {
        matches!(self.0, Form::V1 { .. })
    }
}

impl fmt::Debug for TokenDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Form::V1 { pepper: Some(id), .. } => write!(f, "TokenDigest({SCHEME}, pepper {id})"),
            Form::V1 { pepper: None, .. } => write!(f, "TokenDigest({SCHEME}, no pepper)"),
            Form::Unusable(_) => f.write_str("TokenDigest(unusable)"),
        }
    }
}

/// The number by which stored digests name their pepper, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PepperId(NonZeroU32);

impl PepperId {
    /// The pepper with this number, unless it is zero.
    #[must_use]
    pub const fn new(number: u32) -> Option<Self> {
        match NonZeroU32::new(number) {
            Some(number) => Some(Self(number)),
            None => None,
        }
    }

    /// The number.
    #[must_use]
    pub const fn number(self) -> u32 {
        self.0.get()
    }
}

impl fmt::Display for PepperId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A key derived from a pepper; wiped when dropped.
struct Key([u8; LEN]);

impl Key {
    fn derive(pepper: &[u8]) -> Self {
        Self(blake3::derive_key(KEY_CONTEXT, pepper))
    }

    fn digest(&self, text: &TokenText<'_>) -> [u8; LEN] {
        let mut message = Wiped([0; 64]);
        let (id, rest) = message.0.split_at_mut(16);
        let (secret, kind) = rest.split_at_mut(43);
        id.copy_from_slice(text.id().as_bytes());
        secret.copy_from_slice(text.secret());
        kind.copy_from_slice(text.kind().padded());
        *blake3::keyed_hash(&self.0, &message.0).as_bytes()
    }
}

impl Drop for Key {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

/// The secret values, kept outside the database, that digests are keyed with.
///
/// One is current and digests new secrets; retired ones go on verifying the digests that name
/// them, and those are re-digested under the current one on their next use. Digests made without
/// a pepper stay valid unless [`require`](Self::require) is set.
///
/// ```
/// use hallpass::PepperRing;
///
/// let pepper: Vec<u8> = (7..39).collect();       // 32 random bytes from a secret manager
/// let ring = PepperRing::none().with_current(1, &pepper)?;
/// assert!(PepperRing::none().with_current(1, b"changeme").is_err());
/// # Ok::<(), hallpass::PepperError>(())
/// ```
pub struct PepperRing {
    bare: Key,
    keys: Vec<(PepperId, Key)>,
    current: Option<PepperId>,
    required: bool,
}

impl PepperRing {
    /// Shortest pepper, in bytes.
    pub const MIN_PEPPER_LEN: usize = 32;

    /// No pepper: digests are still bound to their row and kind.
    #[must_use]
    pub fn none() -> Self {
        Self { bare: Key::derive(b""), keys: Vec::new(), current: None, required: false }
    }

    /// Makes `pepper` the one for new digests.
    ///
    /// # Errors
    /// [`PepperError`] if it is shorter than 32 bytes, obviously not random, or the number is
    /// zero or taken.
    pub fn with_current(self, number: u32, pepper: &[u8]) -> Result<Self, PepperError> {
        let mut ring = self.with_retired(number, pepper)?;
        ring.current = PepperId::new(number);
        Ok(ring)
    }

    /// Goes on accepting digests made under `pepper`.
    ///
    /// # Errors
    /// As [`with_current`](Self::with_current).
    pub fn with_retired(mut self, number: u32, pepper: &[u8]) -> Result<Self, PepperError> {
        let id = PepperId::new(number).ok_or(PepperError::Number)?;
        if self.keys.iter().any(|(known, _)| *known == id) {
            return Err(PepperError::Number);
        }
        if pepper.len() < Self::MIN_PEPPER_LEN {
            return Err(PepperError::TooShort);
        }
        // 32 random bytes hold fewer than eight different values once in 10^40 tries.
        let mut seen = [false; 256];
        for byte in pepper {
            if let Some(place) = seen.get_mut(usize::from(*byte)) {
                *place = true;
            }
        }
        if seen.iter().filter(|seen| **seen).count() < 8 {
            return Err(PepperError::NotRandom);
        }
        self.keys.push((id, Key::derive(pepper)));
        Ok(self)
    }

    /// Refuses digests made without a pepper from now on. An engine is not built with a ring that
    /// requires a pepper and has no current one.
    #[must_use]
    pub fn require(mut self) -> Self {
        self.required = true;
        self
    }

    /// Whether the digests that are made today are accepted today.
    pub(crate) fn accepts_its_own(&self) -> bool {
        self.current.is_some() || !self.required
    }

    /// Whether digests made under a pepper, or under none, can be checked and are not refused.
    pub(crate) fn accepts(&self, pepper: Option<PepperId>) -> bool {
        match pepper {
            Some(_) => self.key(pepper).is_some(),
            None => !self.required,
        }
    }

    /// The digest of a token under the current pepper.
    pub(crate) fn digest(&self, text: &TokenText<'_>) -> TokenDigest {
        let key = self.current.and_then(|id| self.key(Some(id))).unwrap_or(&self.bare);
        TokenDigest(Form::V1 { pepper: self.current, digest: key.digest(text) })
    }

    /// The digest of a record whose token has no secret, because it is signed: drawn at random, so
    /// that no text is known that has it.
    #[cfg(feature = "jwt")]
    pub(crate) fn digest_of_none(
        &self,
        entropy: &dyn Entropy,
    ) -> Result<TokenDigest, EntropyError> {
        let mut digest = [0; LEN];
        entropy.fill(&mut digest)?;
        Ok(TokenDigest(Form::V1 { pepper: self.current, digest }))
    }

    /// Checks a presented token against a stored digest in constant time.
    pub(crate) fn check(&self, text: &TokenText<'_>, stored: &TokenDigest) -> DigestCheck {
        let Form::V1 { pepper, digest } = &stored.0 else {
            return DigestCheck::Unusable;
        };
        if pepper.is_none() && self.required {
            return DigestCheck::Mismatch;
        }
        let Some(key) = self.key(*pepper) else {
            return DigestCheck::MissingPepper;
        };
        if bool::from(eq(&key.digest(text), digest)) {
            DigestCheck::Match
        } else {
            DigestCheck::Mismatch
        }
    }

    /// Does the work of [`check`](Self::check) for a token that has no record, so that both take
    /// the same time.
    pub(crate) fn check_nothing(&self, text: &TokenText<'_>) {
        let dummy = TokenDigest(Form::V1 { pepper: self.current, digest: [0; LEN] });
        std::hint::black_box(self.check(text, &dummy));
    }

    /// Whether a digest was made under another pepper than the current one.
    pub(crate) fn is_outdated(&self, stored: &TokenDigest) -> bool {
        stored.is_usable() && stored.pepper() != self.current
    }

    fn key(&self, pepper: Option<PepperId>) -> Option<&Key> {
        let Some(pepper) = pepper else {
            return Some(&self.bare);
        };
        self.keys.iter().find(|(id, _)| *id == pepper).map(|(_, key)| key)
    }
}

/// Compares two digests as four words in constant time: no branch until all differences are
/// gathered in one word.
fn eq(left: &[u8; LEN], right: &[u8; LEN]) -> Choice {
    let (left, _) = left.as_chunks::<8>();
    let (right, _) = right.as_chunks::<8>();
    let differences = left.iter().zip(right).fold(0, |differences, (left, right)| {
        differences | (u64::from_ne_bytes(*left) ^ u64::from_ne_bytes(*right))
    });
    differences.ct_eq(&0)
}

impl fmt::Debug for PepperRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PepperRing")
            .field("current", &self.current)
            .field("known", &self.keys.iter().map(|(id, _)| *id).collect::<Vec<_>>())
            .field("required", &self.required)
            .finish()
    }
}

/// What comparing a presented secret with a stored digest gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DigestCheck {
    Match,
    Mismatch,
    /// The digest names a pepper that is not in the ring: an outage, not a denial.
    MissingPepper,
    /// Unknown scheme or damaged digest: a denial that somebody must look at.
    Unusable,
}

/// Why a value is no pepper.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PepperError {
    /// The number is zero or already in the ring.
    #[error("a pepper's number is at least 1 and used once")]
    Number,
    /// Shorter than 32 bytes.
    #[error("a pepper has at least 32 bytes")]
    TooShort,
    /// Constant, or made of very few different bytes.
    #[error("the pepper is not random; generate one, for example with `openssl rand -base64 48`")]
    NotRandom,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token::Brands;

    const V2: &str = "acme_pat_ABCDEFGHIJKLMNOP_0123456789abcdefghijklmnopqrstuvwxyzABCDEFG4RAzs0";
    const V3: &str = "acme_at_ABCDEFGHIJKLMNOP_0123456789abcdefghijklmnopqrstuvwxyzABCDEFG4gHy2a";

    fn text(whole: &str) -> TokenText<'_> {
        TokenText::parse(whole, &Brands::new("acme".parse().unwrap())).unwrap()
    }

    fn hex(digest: &TokenDigest) -> String {
        let Form::V1 { digest, .. } = &digest.0 else { panic!("unusable") };
        digest.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn pepper() -> Vec<u8> {
        (0..32).collect()
    }

    #[test]
    fn the_vectors_hold() {
        let bare = PepperRing::none();
        let peppered = PepperRing::none().with_current(1, &pepper()).unwrap();
        assert_eq!(
            hex(&bare.digest(&text(V2))),
            "e34b52371a23784621b0d5b30609c930ff143de312c7f08933636a78ad4f499c"
        );
        assert_eq!(
            hex(&peppered.digest(&text(V2))),
            "f2706dbf5f74aef530b2481e5dac1c4431f1be5046155e0e90b3eccbde9e10a1"
        );
        assert_eq!(
            hex(&bare.digest(&text(V3))),
            "5f6352e9423c01ad2b2100f497ab16c316a393620b67380f4b02977b7af43822"
        );
    }

    #[test]
    fn stored_digests_come_back() {
        let ring = PepperRing::none().with_current(7, &pepper()).unwrap();
        let digest = ring.digest(&text(V2));
        let stored = digest.to_stored();
        assert!(stored.starts_with("v1$7$"));
        assert_eq!(TokenDigest::from_stored(&stored), digest);
        assert_eq!(ring.check(&text(V2), &TokenDigest::from_stored(&stored)), DigestCheck::Match);
    }

    #[test]
    fn damaged_and_unknown_digests_are_kept_but_match_nothing() {
        let ring = PepperRing::none();
        let good = ring.digest(&text(V2)).to_stored();
        let short = URL_SAFE_NO_PAD.encode([1; 31]);
        let long = URL_SAFE_NO_PAD.encode([1; 33]);
        for stored in [
            String::new(),
            good.replace("v1", "v2"),
            good.replace("$0$", "$00$"),
            good.replace("$0$", "$+1$"),
            good.replace("$0$", "$$"),
            format!("{good}="),
            format!("v1$0${short}"),
            format!("v1$0${long}"),
            V2.to_owned(),
        ] {
            let digest = TokenDigest::from_stored(&stored);
            assert!(!digest.is_usable(), "{stored}");
            assert_eq!(digest.to_stored(), stored);
            assert_eq!(ring.check(&text(V2), &digest), DigestCheck::Unusable);
        }
    }

    #[test]
    fn a_digest_is_bound_to_row_kind_and_pepper() {
        let bare = PepperRing::none();
        assert_eq!(bare.check(&text(V3), &bare.digest(&text(V2))), DigestCheck::Mismatch);
        let peppered = PepperRing::none().with_current(1, &pepper()).unwrap();
        let digest = peppered.digest(&text(V2));
        assert_eq!(bare.check(&text(V2), &digest), DigestCheck::MissingPepper);
        let other: Vec<u8> = (1..33).collect();
        let wrong = PepperRing::none().with_current(1, &other).unwrap();
        assert_eq!(wrong.check(&text(V2), &digest), DigestCheck::Mismatch);
    }

    #[test]
    fn a_retired_pepper_still_verifies_and_asks_for_a_new_digest() {
        let old = PepperRing::none().with_current(1, &pepper()).unwrap();
        let next: Vec<u8> = (100..132).collect();
        let new = PepperRing::none()
            .with_current(2, &next)
            .and_then(|ring| ring.with_retired(1, &pepper()))
            .unwrap();
        let digest = old.digest(&text(V2));
        assert_eq!(new.check(&text(V2), &digest), DigestCheck::Match);
        assert!(new.is_outdated(&digest));
        assert!(!new.is_outdated(&new.digest(&text(V2))));
    }

    #[test]
    fn digests_without_pepper_are_refused_once_one_is_required() {
        let bare = PepperRing::none().digest(&text(V2));
        let ring = PepperRing::none().with_current(1, &pepper()).unwrap();
        assert_eq!(ring.check(&text(V2), &bare), DigestCheck::Match);
        assert_eq!(ring.require().check(&text(V2), &bare), DigestCheck::Mismatch);
    }

    #[test]
    fn weak_peppers_and_reused_numbers_are_refused() {
        let ring = || PepperRing::none();
        assert_eq!(ring().with_current(1, &[]).unwrap_err(), PepperError::TooShort);
        assert_eq!(ring().with_current(1, &pepper()[..31]).unwrap_err(), PepperError::TooShort);
        assert_eq!(ring().with_current(1, &[0; 32]).unwrap_err(), PepperError::NotRandom);
        assert_eq!(
            ring().with_current(1, "changeme".repeat(4).as_bytes()).unwrap_err(),
            PepperError::NotRandom
        );
        assert_eq!(ring().with_current(0, &pepper()).unwrap_err(), PepperError::Number);
        let twice = ring().with_current(1, &pepper()).and_then(|r| r.with_retired(1, &pepper()));
        assert_eq!(twice.unwrap_err(), PepperError::Number);
    }

    #[test]
    fn formatting_shows_neither_digest_nor_pepper() {
        let ring = PepperRing::none().with_current(1, &pepper()).unwrap();
        let digest = ring.digest(&text(V2));
        let encoded = digest.to_stored()[5..].to_owned();
        assert!(!format!("{digest:?}").contains(&encoded));
        assert_eq!(
            format!("{ring:?}"),
            "PepperRing { current: Some(PepperId(1)), known: [PepperId(1)], required: false }"
        );
    }
}
