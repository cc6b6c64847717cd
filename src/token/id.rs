//! The public identifier of a token.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

#[cfg(feature = "jwt")]
use super::entropy::{Entropy, EntropyError, fill_base62};

/// The public part of a token's text: 16 of `[0-9A-Za-z]`, uniform, about 95 bits.
///
/// It is the key under which the record is found, may be shown in lists and used in URLs, and
/// grants nothing.
///
/// Aligned like a word, so that it is copied and compared as words.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(align(8))]
pub struct TokenId([u8; Self::LEN]);

impl TokenId {
    /// Length in bytes.
    pub const LEN: usize = 16;

    /// The id of these bytes, if they are all base62 digits.
    #[must_use]
    pub fn from_bytes(bytes: [u8; Self::LEN]) -> Option<Self> {
        if all_base62(&bytes) { Some(Self(bytes)) } else { None }
    }

    /// A new id, for a token that has no secret.
    #[cfg(feature = "jwt")]
    pub(crate) fn generate(entropy: &dyn Entropy) -> Result<Self, EntropyError> {
        let mut id = [0; Self::LEN];
        fill_base62(entropy, &mut id)?;
        Self::from_bytes(id).ok_or(EntropyError)
    }

    /// The id as bytes, each an ASCII base62 digit.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; Self::LEN] {
        &self.0
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

/// Whether all bytes are base62 digits.
///
/// It looks at every byte whatever it finds, so that the compiler checks sixteen at a time; what is
/// left of a length that is no multiple of that is checked one by one.
pub(super) fn all_base62<const LEN: usize>(bytes: &[u8; LEN]) -> bool {
    bytes.iter().fold(true, |all, byte| all & byte.is_ascii_alphanumeric())
}

impl Hash for TokenId {
    // One word is hashed faster than bytes and their number.
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u128(u128::from_ne_bytes(self.0));
    }
}

impl FromStr for TokenId {
    type Err = ParseTokenIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bytes = text.as_bytes().try_into().map_err(|_| ParseTokenIdError)?;
        Self::from_bytes(bytes).ok_or(ParseTokenIdError)
    }
}

impl fmt::Display for TokenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for TokenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for TokenId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for TokenId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'_, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// The text is not a token id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a token id is 16 of 0-9, A-Z and a-z")]
pub struct ParseTokenIdError;
