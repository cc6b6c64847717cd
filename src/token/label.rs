//! Opaque identifiers given by the host app.

use std::fmt;
use std::num::NonZeroUsize;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Longest label, in bytes.
const MAX_LEN: usize = 128;
/// Longest text kept in place. It holds a UUID.
const INLINE: usize = 40;

/// A short text that is cheap to copy: up to [`INLINE`] bytes lie in place, so that copying the
/// owner of a hot token touches no shared count.
#[derive(Clone)]
enum Label {
    Inline(Inline),
    Shared(Arc<str>),
}

/// The length is a word, and its one spare value tells the other variant, so that a label is
/// copied as words.
#[derive(Clone, Copy)]
struct Inline {
    len: NonZeroUsize,
    bytes: [u8; INLINE],
}

impl Label {
    fn parse(text: &str) -> Result<Self, ParseLabelError> {
        if text.is_empty() || text.len() > MAX_LEN {
            return Err(ParseLabelError::Length);
        }
        let plain = text.bytes().all(|byte| matches!(byte, b' '..=b'~'));
        if !plain && text.chars().any(|c| c.is_control() || c == '\u{fffd}') {
            return Err(ParseLabelError::Character);
        }
        let mut bytes = [0; INLINE];
        match (bytes.get_mut(..text.len()), NonZeroUsize::new(text.len())) {
            (Some(place), Some(len)) => {
                place.copy_from_slice(text.as_bytes());
                Ok(Self::Inline(Inline { len, bytes }))
            }
            _ => Ok(Self::Shared(text.into())),
        }
    }

    fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Inline(Inline { len, bytes }) => bytes.get(..len.get()).unwrap_or_default(),
            Self::Shared(text) => text.as_bytes(),
        }
    }

    fn as_str(&self) -> &str {
        match self {
            Self::Inline(_) => std::str::from_utf8(self.as_bytes()).unwrap_or_default(),
            Self::Shared(text) => text,
        }
    }
}

/// Why a text is not an [`Owner`] or [`Tenant`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseLabelError {
    /// Empty, or longer than 128 bytes.
    #[error("an owner or tenant is 1 to 128 bytes long")]
    Length,
    /// A control character or U+FFFD.
    #[error("an owner or tenant holds no control character and no U+FFFD")]
    Character,
}

/// Whose token it is: the host app's own id of a user or service account, opaque to hallpass.
#[derive(Clone)]
pub struct Owner(Label);

impl Owner {
    /// Checks and takes a text of 1 to 128 bytes without control characters.
    ///
    /// # Errors
    /// [`ParseLabelError`] tells which of the two rules the text breaks.
    pub fn parse(text: &str) -> Result<Self, ParseLabelError> {
        Label::parse(text).map(Self)
    }

    /// The text as the host app gave it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl PartialEq for Owner {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_bytes() == other.0.as_bytes()
    }
}

impl Eq for Owner {}

impl PartialOrd for Owner {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Owner {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.as_bytes().cmp(other.0.as_bytes())
    }
}

impl std::hash::Hash for Owner {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.as_bytes().hash(state);
    }
}

impl FromStr for Owner {
    type Err = ParseLabelError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl Serialize for Owner {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Owner {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'_, str>>::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

/// Which organisation an owner belongs to. Apps without organisations use [`Tenant::DEFAULT`].
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tenant(Option<Arc<str>>);

impl Tenant {
    /// The one tenant of an app that has no organisations, spelled `default`.
    pub const DEFAULT: Self = Self(None);
    const DEFAULT_TEXT: &'static str = "default";

    /// Checks and takes a text of 1 to 128 bytes without control characters.
    ///
    /// # Errors
    /// [`ParseLabelError`] tells which of the two rules the text breaks.
    pub fn parse(text: &str) -> Result<Self, ParseLabelError> {
        Label::parse(text)?;
        Ok(Self((text != Self::DEFAULT_TEXT).then(|| text.into())))
    }

    /// The text as the host app gave it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_deref().unwrap_or(Self::DEFAULT_TEXT)
    }
}

impl Default for Tenant {
    fn default() -> Self {
        Self::DEFAULT
    }
}

impl FromStr for Tenant {
    type Err = ParseLabelError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

impl fmt::Display for Tenant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Tenant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl Serialize for Tenant {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Tenant {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'_, str>>::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_and_long_texts_come_back_whole() {
        for len in [1, INLINE - 1, INLINE, INLINE + 1, MAX_LEN] {
            let text = "x".repeat(len);
            assert_eq!(Owner::parse(&text).unwrap().as_str(), text);
        }
        assert_eq!(Owner::parse("żółw").unwrap().to_string(), "żółw");
    }

    #[test]
    fn empty_oversized_and_control_texts_are_refused() {
        assert_eq!(Owner::parse(""), Err(ParseLabelError::Length));
        assert_eq!(Owner::parse(&"x".repeat(MAX_LEN + 1)), Err(ParseLabelError::Length));
        assert_eq!(Owner::parse("a\0b"), Err(ParseLabelError::Character));
        assert_eq!(Owner::parse("a\nb"), Err(ParseLabelError::Character));
        assert_eq!(Tenant::parse(""), Err(ParseLabelError::Length));
    }

    #[test]
    fn the_default_tenant_has_one_value() {
        assert_eq!(Tenant::parse("default").unwrap(), Tenant::DEFAULT);
        assert_eq!(Tenant::DEFAULT.as_str(), "default");
        assert_ne!(Tenant::parse("acme").unwrap(), Tenant::DEFAULT);
    }

    #[test]
    fn an_owner_stays_small() {
        assert_eq!(size_of::<Owner>(), 48);
        assert_eq!(size_of::<Tenant>(), 16);
    }
}
