//! Under which path of the host something is.

use std::fmt;
use std::str::FromStr;

/// A path of the host under which routes are: `/settings/tokens`, or empty for the root.
///
/// Letters, digits and `-._~` in segments, none of which is empty, `.` or `..`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct MountPath(Box<str>);

impl MountPath {
    /// The path, without a slash at its end.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// A path below, such as `/tokens`.
    #[must_use]
    pub fn join(&self, below: &str) -> String {
        format!("{}{below}", self.0)
    }
}

impl FromStr for MountPath {
    type Err = ParseMountPathError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let segment = |segment: &str| {
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
            !matches!(segment, "" | "." | "..") && segment.bytes().all(plain)
        };
        let fits = match text.strip_prefix('/') {
            None => text.is_empty(),
            Some(segments) => segments.split('/').all(segment),
        };
        if fits { Ok(Self(text.into())) } else { Err(ParseMountPathError) }
    }
}

impl fmt::Display for MountPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for MountPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// The text is no path to mount at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a mount path is empty, or starts with a slash and does not end with one")]
#[non_exhaustive]
pub struct ParseMountPathError;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_has_one_spelling() {
        for text in ["", "/a", "/settings/tokens", "/a.b/c-d_e~f"] {
            assert_eq!(text.parse::<MountPath>().unwrap().as_str(), text);
        }
        for text in ["/", "a", "/a/", "//a", "/a//b", "/a?b", "/a#b", "/a b", "/{a}", "/..", "/%41"]
        {
            assert_eq!(text.parse::<MountPath>(), Err(ParseMountPathError), "{text}");
        }
    }
}
