//! Finds the one credential of a request.

use http::header::{AUTHORIZATION, Entry};
use http::request::Parts;
use http::{HeaderMap, HeaderName, Method};
use zeroize::Zeroizing;

use super::basic;
use super::limits::{self, MAX_OPAQUE_LEN};
use super::problem::Problem;
use super::query;
use super::source::{Table, is_token_byte};

/// Where the one credential of a request is. It has no `Debug`, since it may hold the text.
pub(super) enum Place {
    Authorization,
    Header(HeaderName),
    Query(Zeroizing<String>),
}

/// What was found when credentials were counted and hidden.
pub(crate) struct Found {
    /// Whether the URI carried a credential.
    pub(super) in_uri: bool,
    pub(super) place: Result<Place, Problem>,
}

/// A text presented as a token. It has no `Debug` either.
pub(crate) enum Presented<'a> {
    Bare(&'a str),
    /// Taken out of a Basic credential.
    Basic(Zeroizing<String>),
}

impl Presented<'_> {
    /// The text that the engine looks at.
    pub(crate) fn text(&self) -> &str {
        let text = self.whole();
        // A text this long is no token. It is presented as no text at all, so that the refusal
        // is the engine's as for every other text.
        if text.len() > MAX_OPAQUE_LEN { "" } else { text }
    }

    /// The text, if it can be nothing but a JWT: no opaque token has a dot.
    #[cfg(feature = "jwt")]
    pub(super) fn jwt(&self) -> Option<&str> {
        let text = self.whole();
        text.contains('.').then_some(text)
    }

    fn whole(&self) -> &str {
        match self {
            Self::Bare(text) => text,
            Self::Basic(text) => text.as_str(),
        }
    }

    pub(crate) fn is_basic(&self) -> bool {
        matches!(self, Self::Basic(_))
    }
}

impl Table {
    /// Counts the credentials of all sources, marks them sensitive and takes them out of the URI.
    /// Nothing is parsed before all are counted.
    pub(super) fn find(&self, head: &mut Parts) -> Found {
        // Before the head can be shown to anybody, whatever becomes of the request.
        let mut lines = Lines::default();
        for name in self.all_headers() {
            lines.hide(&mut head.headers, name);
        }
        let measured = limits::check(head, lines.longest);
        let taken = self.query.as_deref().map(|name| query::take(&mut head.uri, name));
        let (in_uri, taken) = match taken {
            None => (false, Ok(query::Taken::default())),
            Some(Ok(taken)) => (taken.count > 0, Ok(taken)),
            Some(Err(problem)) => (true, Err(problem)),
        };
        let place = measured.and(taken).and_then(|taken| self.locate(head, lines.count, taken));
        Found { in_uri, place }
    }

    fn locate(
        &self,
        head: &Parts,
        in_headers: usize,
        taken: query::Taken,
    ) -> Result<Place, Problem> {
        match in_headers + taken.count {
            0 => Err(Problem::CredentialRequired),
            1 => Ok(()),
            _ => Err(Problem::SeveralCredentials),
        }?;
        if taken.count > 0 {
            let reads = matches!(head.method, Method::GET | Method::HEAD);
            return if reads {
                Ok(Place::Query(taken.value))
            } else {
                Err(Problem::MalformedCredential)
            };
        }
        let own = self.headers.iter().find(|name| head.headers.contains_key(*name));
        Ok(own.cloned().map_or(Place::Authorization, Place::Header))
    }

    /// The text in a place.
    pub(super) fn read<'a>(
        &self,
        place: &'a Place,
        headers: &'a HeaderMap,
        recognises: impl Fn(&str) -> bool,
    ) -> Result<Presented<'a>, Problem> {
        let value = |name: &HeaderName| {
            headers.get(name).map(http::HeaderValue::as_bytes).ok_or(Problem::CredentialRequired)
        };
        match place {
            Place::Authorization => self.read_authorization(value(&AUTHORIZATION)?, recognises),
            Place::Header(name) => bare(value(name)?).map(Presented::Bare),
            Place::Query(text) => bare(text.as_bytes()).map(Presented::Bare),
        }
    }

    fn read_authorization<'a>(
        &self,
        value: &'a [u8],
        recognises: impl Fn(&str) -> bool,
    ) -> Result<Presented<'a>, Problem> {
        let end = value.iter().position(|byte| !is_token_byte(*byte)).unwrap_or(value.len());
        let (scheme, rest) = value.split_at_checked(end).ok_or(Problem::MalformedCredential)?;
        if scheme.is_empty() {
            return Err(Problem::MalformedCredential);
        }
        if self.takes_scheme(scheme) {
            let text = rest.strip_prefix(b" ").ok_or(Problem::MalformedCredential)?;
            return bare(text).map(Presented::Bare);
        }
        if self.basic && scheme.eq_ignore_ascii_case(b"basic") {
            let text = basic::token(rest, recognises)?;
            return Ok(Presented::Basic(text));
        }
        Err(Problem::CredentialRequired)
    }
}

/// The whole of `bytes` as a `b64token` (RFC 6750 section 2.1).
fn bare(bytes: &[u8]) -> Result<&str, Problem> {
    let padding = bytes.iter().rev().take_while(|byte| **byte == b'=').count();
    let (body, _) =
        bytes.split_at_checked(bytes.len() - padding).ok_or(Problem::MalformedCredential)?;
    if body.is_empty() || !is_b64token(body) {
        return Err(Problem::MalformedCredential);
    }
    std::str::from_utf8(bytes).map_err(|_| Problem::MalformedCredential)
}

/// Whether all bytes may be in a `b64token` before its padding.
///
/// Sixteen bytes are checked at a time; the last ones once more, together with those before them.
fn is_b64token(bytes: &[u8]) -> bool {
    fn all(block: &[u8; 16]) -> bool {
        block.iter().fold(true, |all, byte| all & is_b64token_byte(*byte))
    }
    let (blocks, short) = bytes.as_chunks();
    match bytes.last_chunk() {
        Some(last) => blocks.iter().chain([last]).all(all),
        None => short.iter().copied().all(is_b64token_byte),
    }
}

/// Whether a byte may be in a `b64token` before its padding.
fn is_b64token_byte(byte: u8) -> bool {
    byte.is_ascii_digit()
        | (byte | 0x20).is_ascii_lowercase()
        | matches!(byte, b'-'..=b'/')
        | (byte == b'_')
        | (byte == b'~')
        | (byte == b'+')
}

/// The header lines that carry credentials.
#[derive(Default)]
struct Lines {
    count: usize,
    longest: usize,
}

impl Lines {
    /// Counts the lines of a header and keeps `Debug` from showing their values.
    fn hide(&mut self, headers: &mut HeaderMap, name: &HeaderName) {
        let Some(value) = headers.get_mut(name) else {
            return;
        };
        value.set_sensitive(true);
        let mut repeated = false;
        for (place, value) in headers.get_all(name).iter().enumerate() {
            self.count += 1;
            self.longest = self.longest.max(value.len());
            repeated |= place > 0;
        }
        // Asking for an entry may make the map grow, so only repeated lines are asked for.
        if repeated && let Ok(Entry::Occupied(mut lines)) = headers.try_entry(name.clone()) {
            for value in lines.iter_mut() {
                value.set_sensitive(true);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_token_is_a_b64token_and_nothing_else() {
        for good in ["a", "acme_pat_x", "a.b-c~d+e/f==", "null"] {
            assert_eq!(bare(good.as_bytes()), Ok(good));
        }
        for bad in
            ["", "=", "a=b", " a", "a ", "a b", "a,b", "\"a\"", "%5F", "a\t", "é", "a\0", "a:b"]
        {
            assert_eq!(bare(bad.as_bytes()), Err(Problem::MalformedCredential), "{bad:?}");
        }
        assert!(bare(b"a\xff").is_err());
    }

    #[test]
    fn a_b64token_is_made_of_the_bytes_that_the_grammar_lists() {
        for byte in 0..=u8::MAX {
            let listed = byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte);
            assert_eq!(is_b64token_byte(byte), listed, "{byte:#x}");
        }
    }
}
