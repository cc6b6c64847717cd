//! Whether a request that changes something comes from the host's own pages.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header::ORIGIN;
use http::{HeaderMap, HeaderName, HeaderValue, Uri};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::token::{Entropy, EntropyError, OsEntropy};

/// The header in which a request carries its CSRF token. Forms carry it as a field.
pub const CSRF_HEADER: HeaderName = HeaderName::from_static("x-csrf-token");

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
/// Random bytes in a CSRF token, so that no two pages show the same text.
const NONCE_LEN: usize = 16;
const CODE_LEN: usize = 32;

/// Makes and checks CSRF tokens, each good for one session.
///
/// A token is unpadded base64url of 16 random bytes and a keyed BLAKE3 of them and the session,
/// 64 characters.
#[derive(Clone)]
pub struct CsrfKey(Zeroizing<[u8; 32]>);

impl CsrfKey {
    /// A key that all nodes share and keep over restarts: 32 random bytes.
    #[must_use]
    pub fn new(key: [u8; 32]) -> Self {
        Self(Zeroizing::new(key))
    }

    /// A new key, good on this node until it ends.
    ///
    /// # Errors
    /// [`EntropyError`] if the random source failed.
    pub fn generate() -> Result<Self, EntropyError> {
        let mut key = Zeroizing::new([0; 32]);
        OsEntropy.fill(&mut *key)?;
        Ok(Self(key))
    }

    /// A token for this session.
    ///
    /// # Errors
    /// [`EntropyError`] if the random source failed.
    pub fn token(&self, session: &[u8; 32]) -> Result<String, EntropyError> {
        let mut bytes = [0; NONCE_LEN + CODE_LEN];
        let (nonce, code) = bytes.split_at_mut(NONCE_LEN);
        OsEntropy.fill(nonce)?;
        code.copy_from_slice(&self.code(nonce, session));
        Ok(URL_SAFE_NO_PAD.encode(bytes))
    }

    /// Whether a text is a token made for this session with this key.
    #[must_use]
    pub fn accepts(&self, session: &[u8; 32], text: &str) -> bool {
        let mut bytes = [0; NONCE_LEN + CODE_LEN];
        let whole = URL_SAFE_NO_PAD.decode_slice(text, &mut bytes) == Ok(bytes.len());
        let (nonce, code) = bytes.split_at(NONCE_LEN);
        whole && bool::from(self.code(nonce, session).ct_eq(code))
    }

    fn code(&self, nonce: &[u8], session: &[u8; 32]) -> [u8; CODE_LEN] {
        let key = blake3::derive_key("hallpass 2026-11-22 csrf token v1", &*self.0);
        let mut hasher = blake3::Hasher::new_keyed(&key);
        hasher.update(nonce);
        hasher.update(session);
        hasher.finalize().into()
    }
}

impl fmt::Debug for CsrfKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CsrfKey(redacted)")
    }
}

/// Where the host's pages come from, as browsers write it into `Origin` (RFC 6454 section 6.1):
/// `https://acme.example`, with a port only if it is not the scheme's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin(Box<str>);

impl Origin {
    /// The text as browsers write it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether these headers can be those of a request that the host's own pages make with this
    /// session; the rule for every method that changes something.
    ///
    /// - A `presented` CSRF token must be one of this session, whatever else is there.
    /// - `Sec-Fetch-Site` must be `same-origin`, where a browser sends it.
    /// - Where it does not, `Origin` must be this one. With a good CSRF token it may also be
    ///   `null`, which is what browsers send from pages that send no referrer.
    /// - Where neither is there, only a good CSRF token will do.
    ///
    /// # Errors
    /// [`CsrfRefused`] tells what is wrong.
    pub fn check(
        &self,
        headers: &HeaderMap,
        (key, session): (&CsrfKey, &[u8; 32]),
        presented: Option<&str>,
    ) -> Result<(), CsrfRefused> {
        if presented.is_some_and(|text| !key.accepts(session, text)) {
            return Err(CsrfRefused::Token);
        }
        let has_token = presented.is_some();
        match only(headers, &SEC_FETCH_SITE)? {
            Some(site) if site == "same-origin" => return Ok(()),
            Some(_) => return Err(CsrfRefused::CrossSite),
            None => {}
        }
        match only(headers, &ORIGIN)? {
            Some(origin) if origin == self.as_str() => Ok(()),
            Some(origin) if origin == "null" && has_token => Ok(()),
            Some(_) => Err(CsrfRefused::CrossSite),
            None if has_token => Ok(()),
            None => Err(CsrfRefused::Unknown),
        }
    }
}

/// The one line of a header, if there is one.
fn only<'a>(
    headers: &'a HeaderMap,
    name: &HeaderName,
) -> Result<Option<&'a HeaderValue>, CsrfRefused> {
    let mut lines = headers.get_all(name).iter();
    match (lines.next(), lines.next()) {
        (line, None) => Ok(line),
        (_, Some(_)) => Err(CsrfRefused::CrossSite),
    }
}

impl FromStr for Origin {
    type Err = ParseOriginError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let uri: Uri = text.parse().map_err(|_| ParseOriginError)?;
        let scheme = uri.scheme_str().ok_or(ParseOriginError)?;
        let host = uri.host().ok_or(ParseOriginError)?;
        let own_port = match scheme {
            "https" => 443,
            "http" => 80,
            _ => return Err(ParseOriginError),
        };
        let spelled = match uri.port_u16() {
            Some(port) if port != own_port => format!("{scheme}://{host}:{port}"),
            _ => format!("{scheme}://{host}"),
        };
        // A path, a capital letter, user information or the scheme's own port would never match.
        if spelled != text || host.is_empty() || text.bytes().any(|b| b.is_ascii_uppercase()) {
            return Err(ParseOriginError);
        }
        Ok(Self(text.into()))
    }
}

/// The text is not an origin as browsers write it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an origin is `https://host` in lower case, with a port if it is not 443, and no path")]
#[non_exhaustive]
pub struct ParseOriginError;

/// Why a request is not taken for one from the host's own pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CsrfRefused {
    /// The CSRF token is not one of this session.
    #[error("the CSRF token is not one of this session; load the page again")]
    Token,
    /// Another site made the browser send it.
    #[error("the request comes from another site")]
    CrossSite,
    /// Nothing tells where it comes from.
    #[error("the request does not tell where it comes from; send a CSRF token")]
    Unknown,
}

#[cfg(test)]
mod tests {
    use super::*;

    const SESSION: [u8; 32] = [1; 32];

    fn check(lines: &[(&str, &'static str)], presented: Option<&str>) -> Result<(), CsrfRefused> {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            let name: HeaderName = name.parse().unwrap();
            headers.append(name, HeaderValue::from_static(value));
        }
        let origin: Origin = "https://acme.example".parse().unwrap();
        origin.check(&headers, (&CsrfKey::new([7; 32]), &SESSION), presented)
    }

    #[test]
    fn without_a_token_only_the_same_origin_passes() {
        use CsrfRefused::{CrossSite, Unknown};
        let (site, origin) = ("sec-fetch-site", "origin");
        for (lines, expected) in [
            (&[(site, "same-origin")][..], Ok(())),
            (&[(site, "same-origin"), (origin, "https://acme.example")], Ok(())),
            (&[(site, "same-site")], Err(CrossSite)),
            (&[(site, "cross-site")], Err(CrossSite)),
            (&[(site, "none")], Err(CrossSite)),
            (&[(site, "")], Err(CrossSite)),
            (&[(site, "Same-Origin")], Err(CrossSite)),
            (&[(site, "same-origin"), (site, "same-origin")], Err(CrossSite)),
            (&[(site, "cross-site"), (origin, "https://acme.example")], Err(CrossSite)),
            (&[(origin, "https://acme.example")], Ok(())),
            (&[(origin, "https://acme.example:443")], Err(CrossSite)),
            (&[(origin, "http://acme.example")], Err(CrossSite)),
            (&[(origin, "https://evil.example")], Err(CrossSite)),
            (&[(origin, "https://acme.example.evil.example")], Err(CrossSite)),
            (&[(origin, "null")], Err(CrossSite)),
            (&[(origin, "https://acme.example"), (origin, "null")], Err(CrossSite)),
            (&[], Err(Unknown)),
        ] {
            assert_eq!(check(lines, None), expected, "{lines:?}");
        }
    }

    #[test]
    fn a_good_token_never_makes_another_site_pass() {
        let good = CsrfKey::new([7; 32]).token(&SESSION).unwrap();
        for (lines, expected) in [
            (&[][..], Ok(())),
            (&[("origin", "null")], Ok(())),
            (&[("origin", "https://acme.example")], Ok(())),
            (&[("origin", "https://evil.example")], Err(CsrfRefused::CrossSite)),
            (&[("sec-fetch-site", "same-site")], Err(CsrfRefused::CrossSite)),
            (&[("sec-fetch-site", "cross-site")], Err(CsrfRefused::CrossSite)),
        ] {
            assert_eq!(check(lines, Some(&good)), expected, "{lines:?}");
        }
    }

    #[test]
    fn a_token_is_good_for_its_session_and_key_only() {
        let key = CsrfKey::new([7; 32]);
        let good = key.token(&SESSION).unwrap();
        assert_eq!(good.len(), 64);
        assert_ne!(good, key.token(&SESSION).unwrap());
        assert!(key.accepts(&SESSION, &good));
        assert!(!key.accepts(&[2; 32], &good));
        assert!(!CsrfKey::new([8; 32]).accepts(&SESSION, &good));
        for end in 0..good.len() {
            assert!(!key.accepts(&SESSION, good.split_at(end).0), "{end}");
        }
        assert!(!key.accepts(&SESSION, &format!("{good}AAAA")));
        let flipped = if good.starts_with('A') { "B" } else { "A" };
        assert!(!key.accepts(&SESSION, &format!("{flipped}{}", good.split_at(1).1)));
        // A bad one is refused even where none is needed.
        let same_origin = [("sec-fetch-site", "same-origin")];
        assert_eq!(check(&same_origin, Some("x")), Err(CsrfRefused::Token));
        assert_eq!(check(&same_origin, Some("")), Err(CsrfRefused::Token));
    }

    #[test]
    fn an_origin_is_spelled_as_browsers_do() {
        for text in
            ["https://acme.example", "http://127.0.0.1:3000", "https://a:8443", "http://[::1]:3000"]
        {
            assert_eq!(text.parse::<Origin>().unwrap().as_str(), text);
        }
        for text in [
            "",
            "null",
            "acme.example",
            "https://",
            "https://acme.example/",
            "https://acme.example:443",
            "http://acme.example:80",
            "https://Acme.example",
            "HTTPS://acme.example",
            "https://u@acme.example",
            "https://acme.example?a",
            "ftp://acme.example",
        ] {
            assert_eq!(text.parse::<Origin>(), Err(ParseOriginError), "{text}");
        }
    }
}
