//! The name an owner gives a token.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use unicode_normalization::UnicodeNormalization;

/// A token's name: 1 to 100 Unicode scalar values, kept as given.
///
/// Refused are control characters (C0, C1), bidirectional controls, U+FFFD, leading and trailing
/// white space, and names made only of characters that show nothing. Two names are the same name
/// if their [`key`](Self::key)s are equal.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TokenName(Box<str>);

impl TokenName {
    /// Longest name, in Unicode scalar values.
    pub const MAX_CHARS: usize = 100;

    /// The name as it was given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The form in which names are compared: canonical composition and full case folding (the
    /// Unicode Standard, section 3.13, definition D145, followed by NFC).
    #[must_use]
    pub fn key(&self) -> String {
        self.folded().into_owned()
    }

    /// The [`key`](Self::key), which often is the name itself.
    pub(crate) fn folded(&self) -> Cow<'_, str> {
        folded(&self.0)
    }

    /// Takes a text that is at hand already.
    pub(crate) fn from_owned(text: String) -> Result<Self, ParseNameError> {
        if is_plain(&text) { Ok(Self(text.into())) } else { text.parse() }
    }
}

/// Folds text for caseless comparison, as names and searches are compared.
#[must_use]
pub(crate) fn fold(text: &str) -> String {
    folded(text).into_owned()
}

fn folded(text: &str) -> Cow<'_, str> {
    if text.bytes().all(|byte| byte.is_ascii() && !byte.is_ascii_uppercase()) {
        return Cow::Borrowed(text);
    }
    if text.is_ascii() {
        return Cow::Owned(text.to_ascii_lowercase());
    }
    // Folding can undo composition and the other way round, so it runs between two of them.
    caseless::default_case_fold_str(&text.nfd().collect::<String>()).nfc().collect()
}

impl FromStr for TokenName {
    type Err = ParseNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if is_plain(text) {
            return Ok(Self(text.into()));
        }
        let chars = text.chars().take(Self::MAX_CHARS + 1).count();
        if !(1..=Self::MAX_CHARS).contains(&chars) {
            return Err(ParseNameError::Length);
        }
        if text.chars().any(|c| c.is_control() || is_bidi_control(c) || c == '\u{fffd}') {
            return Err(ParseNameError::Character);
        }
        if text.starts_with(char::is_whitespace) || text.ends_with(char::is_whitespace) {
            return Err(ParseNameError::OuterSpace);
        }
        if text.chars().all(|c| is_invisible(c) || c.is_whitespace()) {
            return Err(ParseNameError::Invisible);
        }
        Ok(Self(text.into()))
    }
}

/// Whether all rules can be told to hold at a glance: printable ASCII, no outer space.
fn is_plain(text: &str) -> bool {
    let bytes = text.as_bytes();
    let [Some(b'!'..=b'~'), Some(b'!'..=b'~')] = [bytes.first(), bytes.last()] else {
        return false;
    };
    bytes.len() <= TokenName::MAX_CHARS && bytes.iter().all(|byte| matches!(byte, b' '..=b'~'))
}

fn is_bidi_control(c: char) -> bool {
    matches!(c, '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{00ad}'
            | '\u{034f}'
            | '\u{115f}' | '\u{1160}'
            | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200d}'
            | '\u{2028}' | '\u{2029}'
            | '\u{2060}'..='\u{2065}'
            | '\u{2800}'
            | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}'
            | '\u{ffa0}'
            | '\u{e0000}'..='\u{e0fff}'
    )
}

impl fmt::Display for TokenName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for TokenName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl Serialize for TokenName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for TokenName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'_, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// Why a text is not a token's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseNameError {
    /// Empty, or longer than 100 characters.
    #[error("a name has 1 to 100 characters")]
    Length,
    /// A control character, a bidirectional control, or U+FFFD.
    #[error("a name holds no control, direction or replacement character")]
    Character,
    /// White space at the beginning or end.
    #[error("a name neither starts nor ends with white space")]
    OuterSpace,
    /// Nothing that can be seen.
    #[error("a name holds at least one visible character")]
    Invisible,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<TokenName, ParseNameError> {
        text.parse()
    }

    #[test]
    fn ordinary_and_hostile_but_printable_names_are_kept() {
        for text in [
            "CI",
            "nightly build",
            "żółw 🐢",
            "<script>alert(1)</script>",
            "{{7*7}}",
            "=cmd()",
            "👩‍💻",
        ] {
            assert_eq!(parse(text).unwrap().as_str(), text);
        }
        assert!(parse(&"ż".repeat(100)).is_ok());
    }

    #[test]
    fn unusable_names_are_refused() {
        use ParseNameError::{Character, Invisible, Length, OuterSpace};
        for (text, error) in [
            ("", Length),
            ("a\r\nb", Character),
            ("a\0", Character),
            ("\u{1b}[31m", Character),
            ("a\u{85}b", Character),
            ("a\u{202e}b", Character),
            ("a\u{2066}b", Character),
            ("\u{fffd}", Character),
            ("\u{200b}", Invisible),
            ("\u{200b}\u{2060}", Invisible),
            (" a", OuterSpace),
            ("a\u{a0}", OuterSpace),
            ("   ", OuterSpace),
        ] {
            assert_eq!(parse(text), Err(error), "{text:?}");
        }
        assert_eq!(parse(&"x".repeat(101)), Err(Length));
    }

    #[test]
    fn case_and_composition_do_not_make_another_name() {
        let key = |text: &str| parse(text).unwrap().key();
        assert_eq!(key("Ci"), key("ci"));
        assert_eq!(key("caf\u{e9}"), key("CAFE\u{301}"));
        assert_eq!(key("straße"), key("STRASSE"));
        assert_eq!(key("ΣΑΣ"), key("σας"));
        assert_ne!(key("ci"), key("cd"));
    }
}
