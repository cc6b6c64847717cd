//! Kinds of token.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What a token is for. The kind is written in the token's text and bound into its digest.
///
/// As wide as a word, so that what holds a kind is copied as words: copying the seven bytes beside
/// a narrow one stalls the processor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[repr(u64)]
pub enum Kind {
    /// A personal access token, `pat`.
    #[serde(rename = "pat")]
    Personal = 0,
    /// An application token, `app`: acts for a user through a registered client.
    #[serde(rename = "app")]
    Application = 1,
    /// A short-lived access token made by an exchange, `at`.
    #[serde(rename = "at")]
    Access = 2,
    /// A refresh token, `rt`: good for refreshing, never for calling.
    #[serde(rename = "rt")]
    Refresh = 3,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::Personal, Self::Application, Self::Access, Self::Refresh];

    /// The kind as it is spelled in a token's text.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Personal => "pat",
            Self::Application => "app",
            Self::Access => "at",
            Self::Refresh => "rt",
        }
    }

    /// The kind with this spelling.
    #[must_use]
    pub fn from_text(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }

    /// The spelling zero-padded to five bytes, as it enters the digest.
    pub(crate) const fn padded(self) -> &'static [u8; 5] {
        match self {
            Self::Personal => b"pat\0\0",
            Self::Application => b"app\0\0",
            Self::Access => b"at\0\0\0",
            Self::Refresh => b"rt\0\0\0",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Some kinds of token. The empty set accepts none.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct KindSet(u8);

impl KindSet {
    /// No kind.
    pub const NONE: Self = Self(0);
    /// Every kind that may call a route: personal, application and access tokens.
    pub const CALLING: Self =
        Self::NONE.with(Kind::Personal).with(Kind::Application).with(Kind::Access);
    /// Every kind, refresh tokens too.
    pub const ALL: Self = Self::CALLING.with(Kind::Refresh);

    /// Just this kind.
    #[must_use]
    pub const fn only(kind: Kind) -> Self {
        Self::NONE.with(kind)
    }

    /// This set and `kind`.
    #[must_use]
    pub const fn with(self, kind: Kind) -> Self {
        Self(self.0 | 1 << kind as u8)
    }

    /// Whether `kind` is in the set.
    #[must_use]
    pub const fn contains(self, kind: Kind) -> bool {
        self.0 & (1 << kind as u8) != 0
    }

    /// What is in both sets.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// The kinds in the set.
    pub fn iter(self) -> impl Iterator<Item = Kind> {
        Kind::ALL.into_iter().filter(move |kind| self.contains(*kind))
    }
}

impl FromIterator<Kind> for KindSet {
    fn from_iter<I: IntoIterator<Item = Kind>>(kinds: I) -> Self {
        kinds.into_iter().fold(Self::NONE, Self::with)
    }
}

impl fmt::Debug for KindSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refresh_token_may_not_call() {
        assert!(!KindSet::CALLING.contains(Kind::Refresh));
        assert!(KindSet::CALLING.contains(Kind::Access));
        assert!(!KindSet::NONE.contains(Kind::Personal));
    }

    #[test]
    fn kinds_are_spelled_one_way() {
        for kind in Kind::ALL {
            assert_eq!(Kind::from_text(kind.as_str()), Some(kind));
        }
        assert_eq!(Kind::from_text("PAT"), None);
        assert_eq!(Kind::from_text(""), None);
    }
}
