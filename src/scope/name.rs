//! One right, by name, and lists of them as they are granted and stored.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// One right: a `scope-token` of RFC 6749 section 3.3, at most 128 bytes, case-sensitive.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Scope(Arc<str>);

impl Scope {
    /// Longest scope, in bytes.
    pub const MAX_LEN: usize = 128;

    /// The scope's text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for Scope {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl FromStr for Scope {
    type Err = ParseScopeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.is_empty() || text.len() > Self::MAX_LEN {
            return Err(ParseScopeError::Length);
        }
        if !text.bytes().all(|byte| matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e)) {
            return Err(ParseScopeError::Character);
        }
        Ok(Self(text.into()))
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for Scope {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Scope {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'_, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// Why a text is not a [`Scope`] or a list of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseScopeError {
    /// Empty, or longer than 128 bytes.
    #[error("a scope is 1 to 128 characters long")]
    Length,
    /// A character outside RFC 6749's `scope-token`.
    #[error("a scope holds printable ASCII without space, quote and backslash")]
    Character,
    /// More than 64 scopes.
    #[error("a token has at most 64 scopes")]
    TooMany,
}

/// The scopes of one token by name: sorted, without repetition, at most 64.
///
/// This is what was granted and is stored. What it amounts to today is the
/// [`ScopeSet`](super::ScopeSet) that a [`ScopeCatalog`](super::ScopeCatalog) makes of it.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct ScopeList(Arc<[Scope]>);

impl ScopeList {
    /// Most scopes a token can have.
    pub const MAX_SCOPES: usize = 64;

    /// A list of these scopes; repetitions collapse.
    ///
    /// # Errors
    /// [`ParseScopeError::TooMany`] if more than 64 are left.
    pub fn new(scopes: impl IntoIterator<Item = Scope>) -> Result<Self, ParseScopeError> {
        let mut scopes: Vec<Scope> = scopes.into_iter().collect();
        scopes.sort_unstable();
        scopes.dedup();
        if scopes.len() > Self::MAX_SCOPES {
            return Err(ParseScopeError::TooMany);
        }
        Ok(Self(scopes.into()))
    }

    /// A list of scopes given as text.
    ///
    /// # Errors
    /// [`ParseScopeError`] of the first text that is no scope, or if more than 64 are left.
    pub fn parse<T: AsRef<str>>(
        texts: impl IntoIterator<Item = T>,
    ) -> Result<Self, ParseScopeError> {
        let scopes: Result<Vec<Scope>, _> =
            texts.into_iter().map(|text| text.as_ref().parse()).collect();
        Self::new(scopes?)
    }

    /// The scopes in byte order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Scope> {
        self.0.iter()
    }

    /// How many scopes there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none; such a list grants nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether this very scope is listed; implications are not followed.
    #[must_use]
    pub fn contains(&self, scope: &str) -> bool {
        self.0.binary_search_by(|listed| listed.as_str().cmp(scope)).is_ok()
    }
}

/// Writes the scopes with one space between them, as OAuth does (RFC 6749 section 3.3).
impl fmt::Display for ScopeList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, scope) in self.0.iter().enumerate() {
            if place > 0 {
                f.write_str(" ")?;
            }
            f.write_str(scope.as_str())?;
        }
        Ok(())
    }
}

impl fmt::Debug for ScopeList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter()).finish()
    }
}

impl Serialize for ScopeList {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter())
    }
}

impl<'de> Deserialize<'de> for ScopeList {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(Vec::<Scope>::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scope_tokens_follow_rfc_6749() {
        for text in ["repo:read", "!", "https://acme.example/auth#x", "a*b", "~"] {
            assert!(text.parse::<Scope>().is_ok(), "{text}");
        }
        for text in ["", "a b", "a\"b", "a\\b", "a\0", "a\tb", "é", "repo:read "] {
            assert!(text.parse::<Scope>().is_err(), "{text:?}");
        }
        assert!("x".repeat(128).parse::<Scope>().is_ok());
        assert_eq!("x".repeat(129).parse::<Scope>(), Err(ParseScopeError::Length));
    }

    #[test]
    fn a_list_is_sorted_without_repetition_and_bounded() {
        let list = ScopeList::parse(["b", "a", "b"]).unwrap();
        assert_eq!(list.to_string(), "a b");
        assert!(list.contains("a") && !list.contains("A"));
        let many = |count: usize| ScopeList::parse((0..count).map(|n| format!("s{n}")));
        assert_eq!(many(64).unwrap().len(), 64);
        assert_eq!(many(65), Err(ParseScopeError::TooMany));
    }
}
