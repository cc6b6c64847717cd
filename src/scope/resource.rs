//! Which named things a token reaches.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// An exact resource name, or a prefix followed by one trailing `*`.
///
/// 1 to 256 bytes of printable ASCII without space, quote and backslash. `org/*` matches
/// `org/project` but not `org`. A lone `*` is refused: everything is [`Resources::All`].
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ResourcePattern(Arc<str>);

impl ResourcePattern {
    /// Longest pattern, in bytes.
    pub const MAX_LEN: usize = 256;

    /// The pattern's text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the pattern reaches this resource.
    #[must_use]
    pub fn matches(&self, resource: &str) -> bool {
        match self.0.strip_suffix('*') {
            Some(prefix) => resource.len() > prefix.len() && resource.starts_with(prefix),
            None => *self.0 == *resource,
        }
    }

    /// Whether everything that `other` reaches is reached by this pattern.
    fn covers(&self, other: &Self) -> bool {
        match (self.0.strip_suffix('*'), other.0.strip_suffix('*')) {
            (Some(prefix), Some(narrower)) => narrower.starts_with(prefix),
            (None, Some(_)) => false,
            (_, None) => self.matches(&other.0),
        }
    }
}

impl FromStr for ResourcePattern {
    type Err = ParseResourceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.is_empty() || text.len() > Self::MAX_LEN {
            return Err(ParseResourceError::Length);
        }
        if !text.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\')) {
            return Err(ParseResourceError::Character);
        }
        let name = text.strip_suffix('*').unwrap_or(text);
        if name.is_empty() || name.contains('*') {
            return Err(ParseResourceError::Star);
        }
        Ok(Self(text.into()))
    }
}

impl fmt::Display for ResourcePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ResourcePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a text is not a [`ResourcePattern`] or a list of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseResourceError {
    /// Empty, or longer than 256 bytes.
    #[error("a resource is 1 to 256 characters long")]
    Length,
    /// A character that is not allowed.
    #[error("a resource holds printable ASCII without space, quote and backslash")]
    Character,
    /// A `*` that is not the last character, or stands alone.
    #[error("`*` stands only at the end of a resource prefix; everything is spelled `all`")]
    Star,
    /// More than 64 patterns.
    #[error("a token has at most 64 resources")]
    TooMany,
}

/// Which named things a token reaches: all of them, or those that a pattern of the list matches.
///
/// The empty list, which is the default, reaches nothing. `All` is a value somebody wrote.
/// As JSON it is the text `"all"` or an array of patterns.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum Resources {
    /// Everything.
    All,
    /// What one of the patterns matches.
    Listed(Arc<[ResourcePattern]>),
}

impl Resources {
    /// Most patterns a token can have.
    pub const MAX_PATTERNS: usize = 64;

    /// Nothing.
    #[must_use]
    pub fn none() -> Self {
        Self::Listed(Arc::default())
    }

    /// What these patterns match; repetitions collapse.
    ///
    /// # Errors
    /// [`ParseResourceError`] of the first text that is no pattern, or if more than 64 are left.
    pub fn listed<T: AsRef<str>>(
        texts: impl IntoIterator<Item = T>,
    ) -> Result<Self, ParseResourceError> {
        let patterns: Result<Vec<ResourcePattern>, _> =
            texts.into_iter().map(|text| text.as_ref().parse()).collect();
        let mut patterns = patterns?;
        patterns.sort_unstable();
        patterns.dedup();
        if patterns.len() > Self::MAX_PATTERNS {
            return Err(ParseResourceError::TooMany);
        }
        Ok(Self::Listed(patterns.into()))
    }

    /// Whether this resource is reached.
    #[must_use]
    pub fn reach(&self, resource: &str) -> bool {
        match self {
            Self::All => true,
            Self::Listed(patterns) => patterns.iter().any(|pattern| pattern.matches(resource)),
        }
    }

    /// Whether everything that `other` reaches is reached here too, as the patterns tell.
    #[must_use]
    pub fn contains(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::All, _) => true,
            (Self::Listed(_), Self::All) => false,
            (Self::Listed(wide), Self::Listed(narrow)) => {
                narrow.iter().all(|inner| wide.iter().any(|outer| outer.covers(inner)))
            }
        }
    }
}

impl Default for Resources {
    fn default() -> Self {
        Self::none()
    }
}

impl fmt::Debug for Resources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("All"),
            Self::Listed(patterns) => f.debug_list().entries(patterns.iter()).finish(),
        }
    }
}

impl Serialize for Resources {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::All => serializer.serialize_str("all"),
            Self::Listed(patterns) => {
                serializer.collect_seq(patterns.iter().map(ResourcePattern::as_str))
            }
        }
    }
}

impl<'de> Deserialize<'de> for Resources {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "the text `all` or an array of resource patterns")]
        enum Wire {
            Word(String),
            List(Vec<String>),
        }
        match Wire::deserialize(deserializer)? {
            Wire::Word(word) if word == "all" => Ok(Self::All),
            Wire::Word(_) => Err(serde::de::Error::custom("resources are `all` or an array")),
            Wire::List(list) => Self::listed(list).map_err(serde::de::Error::custom),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn patterns_are_exact_or_prefixes() {
        let some = Resources::listed(["org/project", "team/*"]).unwrap();
        assert!(some.reach("org/project") && some.reach("team/x/y"));
        for other in ["org/project2", "org", "ORG/project", "team/", "team", ""] {
            assert!(!some.reach(other), "{other}");
        }
    }

    #[test]
    fn nothing_is_reached_unless_it_is_written_down() {
        assert!(!Resources::default().reach("org/project"));
        assert!(!Resources::none().reach(""));
        assert!(Resources::All.reach("anything"));
    }

    #[test]
    fn bad_patterns_are_refused() {
        for text in ["", "*", "a*b", "**", "a b", "a\"", "a\\", "é", "a\n"] {
            assert!(Resources::listed([text]).is_err(), "{text:?}");
        }
        let many = (0..65).map(|n| format!("r{n}"));
        assert_eq!(Resources::listed(many), Err(ParseResourceError::TooMany));
    }

    #[test]
    fn json_spells_all_out() {
        assert_eq!(serde_json::to_string(&Resources::All).unwrap(), "\"all\"");
        assert_eq!(serde_json::from_str::<Resources>("\"all\"").unwrap(), Resources::All);
        assert_eq!(serde_json::from_str::<Resources>("[]").unwrap(), Resources::none());
        for text in ["\"*\"", "[\"*\"]", "null", "\"\"", "{}", "[1]"] {
            assert!(serde_json::from_str::<Resources>(text).is_err(), "{text}");
        }
    }

    proptest! {
        /// A list that contains another reaches everything the other reaches.
        #[test]
        fn containment_is_sound(
            wide in prop::collection::vec("[ab]{1,3}\\*?", 0..4),
            narrow in prop::collection::vec("[ab]{1,3}\\*?", 0..4),
            name in "[ab]{0,5}",
        ) {
            let wide = Resources::listed(&wide).unwrap();
            let narrow = Resources::listed(&narrow).unwrap();
            prop_assert!(!(wide.contains(&narrow) && narrow.reach(&name)) || wide.reach(&name));
            prop_assert!(Resources::All.contains(&wide));
            prop_assert!(!wide.contains(&Resources::All));
        }
    }
}
