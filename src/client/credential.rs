//! The text of a token, as whoever uses it has it.

use std::ffi::OsStr;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use zeroize::Zeroizing;

use super::file;
use crate::token::{Brands, TokenText};

/// Longest credential, in bytes: what servers take in a header.
pub const MAX_CREDENTIAL_LEN: usize = 8 * 1024;

/// The text of a token, as whoever uses it has it.
///
/// It is made of the bytes that RFC 6750 section 2.1 allows: letters, digits and `-._~+/=`. It is
/// wiped from memory when dropped, though not the copies in requests; its `Debug`
/// shows nothing, and [`expose`](Self::expose) is the one way out.
pub struct Credential(Zeroizing<String>);

impl Credential {
    /// The credential in an environment variable, as it is.
    ///
    /// # Errors
    /// [`CredentialError`] if the variable is not set, is empty, or holds what no token has.
    pub fn from_env(variable: &str) -> Result<Self, CredentialError> {
        let value = std::env::var_os(variable);
        let value =
            value.ok_or_else(|| CredentialError::NotSet { variable: variable.to_owned() })?;
        Self::read(value.as_encoded_bytes(), &CredentialPlace::Variable(variable.to_owned()))
    }

    /// The credential in a file, without one line break at its end.
    ///
    /// On Unix the file must not be open to the group or to others: mode 0600 or less.
    ///
    /// # Errors
    /// [`CredentialError`] if the file cannot be read, is open to others, is empty or too long, or
    /// holds what no token has.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, CredentialError> {
        let path = path.as_ref();
        let bytes = file::read(path)?;
        Self::read(without_line_break(&bytes), &CredentialPlace::File(path.to_owned()))
    }

    /// The credential on standard input, which is read to its end, without one line break there.
    ///
    /// # Errors
    /// [`CredentialError`] if it cannot be read, is empty or too long, or holds what no token has.
    pub fn from_stdin() -> Result<Self, CredentialError> {
        let place = CredentialPlace::Input;
        let unreadable = |cause| CredentialError::unreadable(Path::new("standard input"), cause);
        let bytes = file::read_bounded(std::io::stdin().lock()).map_err(unreadable)?;
        let bytes = bytes.ok_or_else(|| CredentialError::TooLong { place: place.clone() })?;
        Self::read(without_line_break(&bytes), &place)
    }

    /// The credential with this text, as it is.
    ///
    /// # Errors
    /// [`CredentialError`] if the text is empty or too long, or holds what no token has.
    pub fn from_text(text: &str) -> Result<Self, CredentialError> {
        Self::read(text.as_bytes(), &CredentialPlace::Text)
    }

    /// The secret text.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether this begins like a hallpass token and is none: its length or its checksum is wrong,
    /// so it was damaged on the way.
    ///
    /// Nothing is refused for it. It is for whoever explains why a server refused.
    #[must_use]
    pub fn looks_damaged(&self) -> bool {
        let mut parts = self.expose().split('_');
        let (Some(brand), Some("pat" | "app" | "at" | "rt")) = (parts.next(), parts.next()) else {
            return false;
        };
        brand
            .parse()
            .is_ok_and(|brand| TokenText::parse(self.expose(), &Brands::new(brand)).is_err())
    }

    fn read(bytes: &[u8], place: &CredentialPlace) -> Result<Self, CredentialError> {
        if bytes.is_empty() {
            return Err(CredentialError::Empty { place: place.clone() });
        }
        if bytes.len() > MAX_CREDENTIAL_LEN {
            return Err(CredentialError::TooLong { place: place.clone() });
        }
        if let Some(before) = bytes.iter().position(|byte| !is_allowed(*byte)) {
            let rest = bytes.get(before..).unwrap_or_default();
            let (character, position) = (first_character(rest), before + 1);
            return Err(CredentialError::Character { place: place.clone(), character, position });
        }
        // Every byte is ASCII.
        let text = std::str::from_utf8(bytes).unwrap_or_default();
        Ok(Self(Zeroizing::new(text.to_owned())))
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credential(redacted)")
    }
}

fn without_line_break(bytes: &[u8]) -> &[u8] {
    match bytes.strip_suffix(b"\n") {
        Some(line) => line.strip_suffix(b"\r").unwrap_or(line),
        None => bytes,
    }
}

/// `b64token` of RFC 6750 section 2.1.
fn is_allowed(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte)
}

/// How people call the character that these bytes begin with. It is none that a secret has.
fn first_character(bytes: &[u8]) -> String {
    let longest = bytes.get(..bytes.len().min(4)).unwrap_or_default();
    let text = match std::str::from_utf8(longest) {
        Ok(text) => text,
        Err(error) => longest
            .get(..error.valid_up_to())
            .and_then(|valid| std::str::from_utf8(valid).ok())
            .unwrap_or_default(),
    };
    let Some(character) = text.chars().next() else {
        let byte = bytes.first().copied().unwrap_or_default();
        return format!("the byte 0x{byte:02X}, which is not UTF-8");
    };
    match character {
        '\n' => "a line break".to_owned(),
        '\r' => "a carriage return".to_owned(),
        '\t' => "a tab".to_owned(),
        ' ' => "a space".to_owned(),
        '\u{a0}' => "a no-break space (U+00A0)".to_owned(),
        '\u{feff}' => "a byte order mark (U+FEFF)".to_owned(),
        visible if visible.is_ascii_graphic() => format!("`{visible}`"),
        other => format!("U+{:04X}", u32::from(other)),
    }
}

/// Where a credential was read.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum CredentialPlace {
    /// An environment variable.
    Variable(String),
    /// A file.
    File(PathBuf),
    /// Standard input.
    Input,
    /// A text that the program was given.
    Text,
}

impl fmt::Display for CredentialPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Variable(name) => f.write_str(name),
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Input => f.write_str("standard input"),
            Self::Text => f.write_str("the token"),
        }
    }
}

/// Why there is no [`Credential`]. Says nothing of the secret.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum CredentialError {
    /// The environment variable is not set.
    #[error("{variable} is not set")]
    NotSet {
        /// The variable.
        variable: String,
    },
    /// There is nothing.
    #[error("{place} is empty")]
    Empty {
        /// Where it was read.
        place: CredentialPlace,
    },
    /// It is longer than [`MAX_CREDENTIAL_LEN`].
    #[error("{place} holds more than {MAX_CREDENTIAL_LEN} bytes, which is no token")]
    TooLong {
        /// Where it was read.
        place: CredentialPlace,
    },
    /// No token has this character.
    #[error("{place} holds {character} at position {position}, which no token has")]
    Character {
        /// Where it was read.
        place: CredentialPlace,
        /// The character, by its name.
        character: String,
        /// How many bytes in, from 1.
        position: usize,
    },
    /// Others may read the file, so the token is nobody's secret.
    #[error(
        "{path} can be read by others (mode {mode:04o}); `chmod 600` it, and replace the token if \
         others did",
        path = path.display()
    )]
    OpenToOthers {
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// Not a file, but a folder or a device.
    #[error("{path} is not a file", path = path.display())]
    NotAFile {
        /// What it is called.
        path: PathBuf,
    },
    /// The file cannot be read.
    #[error("cannot read {path}", path = path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        cause: Arc<std::io::Error>,
    },
}

impl CredentialError {
    pub(super) fn unreadable(path: &Path, cause: std::io::Error) -> Self {
        Self::Unreadable { path: path.to_owned(), cause: Arc::new(cause) }
    }

    pub(super) fn too_long(path: &OsStr) -> Self {
        Self::TooLong { place: CredentialPlace::File(path.into()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_token_has_is_named_with_its_place() {
        for (text, said) in [
            (&b"abc def"[..], "the token holds a space at position 4, which no token has"),
            (b"abc\n", "the token holds a line break at position 4, which no token has"),
            (b"abc\r\n", "the token holds a carriage return at position 4, which no token has"),
            (b"\tabc", "the token holds a tab at position 1, which no token has"),
            (b"\"abc\"", "the token holds `\"` at position 1, which no token has"),
            (b"abc\0", "the token holds U+0000 at position 4, which no token has"),
            (
                b"ab\xc2\xa0",
                "the token holds a no-break space (U+00A0) at position 3, which no token has",
            ),
            (
                "\u{feff}abc".as_bytes(),
                "the token holds a byte order mark (U+FEFF) at position 1, which no token has",
            ),
            ("p\u{430}t".as_bytes(), "the token holds U+0430 at position 2, which no token has"),
            (
                b"ab\xff",
                "the token holds the byte 0xFF, which is not UTF-8 at position 3, which no token has",
            ),
            (b"", "the token is empty"),
        ] {
            let error = Credential::read(text, &CredentialPlace::Text).unwrap_err();
            assert_eq!(error.to_string(), said);
        }
        let long = "a".repeat(MAX_CREDENTIAL_LEN);
        assert!(Credential::from_text(&long).is_ok());
        let error = Credential::from_text(&format!("{long}a")).unwrap_err();
        assert_eq!(error.to_string(), "the token holds more than 8192 bytes, which is no token");
    }

    #[test]
    fn damage_is_seen_and_foreign_texts_are_not_damaged() {
        let good = "acme_pat_ABCDEFGHIJKLMNOP_0123456789abcdefghijklmnopqrstuvwxyzABCDEFG4RAzs0";
        let damaged = |text: &str| Credential::from_text(text).unwrap().looks_damaged();
        assert!(!damaged(good));
        assert!(damaged(&good.replace("0123", "0132")));
        assert!(damaged(&good[..good.len() - 1]));
        assert!(!damaged("eyJhbGciOiJFUzI1NiJ9.e30.c2ln"));
        assert!(!damaged("an-older_token"));
    }

    #[test]
    fn debug_shows_nothing() {
        let credential = Credential::from_text("acme_pat_secret").unwrap();
        assert_eq!(format!("{credential:?}"), "Credential(redacted)");
    }
}
