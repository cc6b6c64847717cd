//! The brand in front of a token.

use std::fmt;
use std::str::FromStr;

/// The prefix that tells whose tokens these are: `[a-z][a-z0-9]{1,15}`.
///
/// A brand is public and permanent: scanners look for it, so an app keeps the ones it retires in
/// its list of accepted [`Brands`].
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Brand(Box<str>);

impl Brand {
    /// Longest brand, in bytes.
    pub const MAX_LEN: usize = 16;

    /// The brand's text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Brand {
    type Err = ParseBrandError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bytes = text.as_bytes();
        let well_formed = (2..=Self::MAX_LEN).contains(&bytes.len())
            && bytes.first().is_some_and(u8::is_ascii_lowercase)
            && bytes.iter().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
        if well_formed { Ok(Self(text.into())) } else { Err(ParseBrandError) }
    }
}

impl fmt::Display for Brand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Brand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Brand({})", self.0)
    }
}

/// The text is not a brand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a brand is 2 to 16 of a-z and 0-9, starting with a letter")]
pub struct ParseBrandError;

/// The brands an app accepts: the current one, with which it issues, and those it has retired.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Brands(Vec<Brand>);

impl Brands {
    /// Issues with and accepts `current`.
    #[must_use]
    pub fn new(current: Brand) -> Self {
        Self(vec![current])
    }

    /// Goes on accepting `brand` without issuing with it.
    #[must_use]
    pub fn with_retired(mut self, brand: Brand) -> Self {
        if !self.0.contains(&brand) {
            self.0.push(brand);
        }
        self
    }

    /// The brand new tokens get.
    #[must_use]
    #[expect(clippy::indexing_slicing, reason = "the list starts with one brand and only grows")]
    pub fn current(&self) -> &Brand {
        &self.0[0]
    }

    /// A regular expression that finds tokens of these brands in any text. It uses what all
    /// dialects have: groups, classes, counts and `\b`. What it finds has the form of a token; the
    /// checksum at its end, which no expression checks, tells a token from what only looks like one.
    ///
    /// ```
    /// let brands = hallpass::Brands::new("acme".parse()?);
    /// assert_eq!(brands.pattern(), r"\bacme_(pat|app|at|rt)_[0-9A-Za-z]{16}_[0-9A-Za-z]{49}\b");
    /// # Ok::<(), hallpass::ParseBrandError>(())
    /// ```
    #[must_use]
    pub fn pattern(&self) -> String {
        let names: Vec<&str> = self.iter().map(Brand::as_str).collect();
        let brand = match names[..] {
            [only] => only.to_owned(),
            _ => format!("({})", names.join("|")),
        };
        format!(r"\b{brand}_(pat|app|at|rt)_[0-9A-Za-z]{{16}}_[0-9A-Za-z]{{49}}\b")
    }

    /// Every accepted brand, the current one first.
    pub fn iter(&self) -> impl Iterator<Item = &Brand> {
        self.0.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_brand_is_short_lower_case_and_starts_with_a_letter() {
        for text in ["ac", "acme", "x2", "abcdefghijklmnop"] {
            assert!(text.parse::<Brand>().is_ok(), "{text}");
        }
        for text in ["", "a", "2x", "Acme", "ac_me", "ac-me", "abcdefghijklmnopq", "äx", "ac "] {
            assert_eq!(text.parse::<Brand>(), Err(ParseBrandError), "{text}");
        }
    }
}
