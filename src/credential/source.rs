//! Where a credential may be on a request.

use http::header::{
    AUTHORIZATION, CONTENT_LENGTH, COOKIE, HOST, PROXY_AUTHORIZATION, TRANSFER_ENCODING, USER_AGENT,
};
use http::{HeaderName, HeaderValue};

/// Where a credential may be on a request. `Authorization: Bearer` always is one of the places.
///
/// ```
/// use hallpass::Sources;
///
/// let sources = Sources::bearer().scheme("token").basic().header("private-token");
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sources {
    schemes: Vec<String>,
    basic: bool,
    basic_challenge: bool,
    headers: Vec<String>,
    query: Option<String>,
}

impl Sources {
    /// `Authorization: Bearer <token>` and nothing else.
    #[must_use]
    pub fn bearer() -> Self {
        Self::default()
    }

    /// Another word in place of `Bearer`, in any case: `Authorization: token <token>`.
    #[must_use]
    pub fn scheme(mut self, word: impl Into<String>) -> Self {
        self.schemes.push(word.into());
        self
    }

    /// `Authorization: Basic`, with the token as the password, or as the user with an empty
    /// password or `x-oauth-basic` (RFC 7617). A user name says nothing of who it is.
    #[must_use]
    pub fn basic(mut self) -> Self {
        self.basic = true;
        self
    }

    /// [`basic`](Self::basic), and a Basic challenge on every 401. Clients like git send stored
    /// credentials only when challenged; browsers ask their user for a password.
    #[must_use]
    pub fn basic_with_challenge(mut self) -> Self {
        self.basic_challenge = true;
        self.basic()
    }

    /// A header of its own that holds the bare token, like `PRIVATE-TOKEN`.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>) -> Self {
        self.headers.push(name.into());
        self
    }

    /// A query parameter that holds the token, on GET and HEAD only.
    ///
    /// URIs end up in histories, logs and `Referer`; RFC 9700 forbids clients to send tokens
    /// there. It is for callers that can do nothing else. The parameter is taken out of the URI
    /// that handlers see. What ran before the boundary has seen it, and so have other copies of
    /// the URI that a framework keeps.
    #[must_use]
    pub fn danger_query(mut self, name: impl Into<String>) -> Self {
        self.query = Some(name.into());
        self
    }

    pub(super) fn challenges_basic(&self) -> bool {
        self.basic_challenge
    }

    pub(super) fn compile(self) -> Result<Table, SourcesError> {
        let mut schemes: Vec<Box<str>> = Vec::from(["bearer".into()]);
        for word in self.schemes {
            let known = schemes.iter().any(|known| known.eq_ignore_ascii_case(&word));
            if known || word.eq_ignore_ascii_case("basic") || !word.bytes().all(is_token_byte) {
                return Err(SourcesError::Scheme { word });
            }
            if word.is_empty() {
                return Err(SourcesError::Scheme { word });
            }
            schemes.push(word.into());
        }
        let mut headers: Vec<HeaderName> = Vec::with_capacity(self.headers.len());
        for name in self.headers {
            match HeaderName::try_from(&name) {
                Ok(header) if !RESERVED.contains(&header) && !headers.contains(&header) => {
                    headers.push(header);
                }
                _ => return Err(SourcesError::Header { name }),
            }
        }
        if let Some(name) = &self.query
            && (name.is_empty() || !name.bytes().all(is_unreserved))
        {
            return Err(SourcesError::Query { name: name.clone() });
        }
        Ok(Table {
            schemes: schemes.into(),
            basic: self.basic,
            headers: headers.into(),
            query: self.query.map(Into::into),
        })
    }
}

/// Headers that mean something else.
const RESERVED: [HeaderName; 7] = [
    AUTHORIZATION,
    CONTENT_LENGTH,
    COOKIE,
    HOST,
    PROXY_AUTHORIZATION,
    TRANSFER_ENCODING,
    USER_AGENT,
];

/// The sources, checked.
#[derive(Debug)]
pub(super) struct Table {
    schemes: Box<[Box<str>]>,
    pub(super) basic: bool,
    pub(super) headers: Box<[HeaderName]>,
    pub(super) query: Option<Box<str>>,
}

impl Table {
    /// Whether a scheme word is followed by a bare token.
    pub(super) fn takes_scheme(&self, word: &[u8]) -> bool {
        self.schemes.iter().any(|known| known.as_bytes().eq_ignore_ascii_case(word))
    }

    /// Every header that may carry a credential.
    pub(super) fn all_headers(&self) -> impl Iterator<Item = &HeaderName> {
        std::iter::once(&AUTHORIZATION).chain(&self.headers)
    }

    /// The value of `Vary`; `None` if it does not fit a header.
    pub(super) fn vary(&self) -> Option<HeaderValue> {
        const AUTHORIZATION_ONLY: &str = "Authorization";
        if self.headers.is_empty() {
            // Copies of a static value share no count.
            return Some(HeaderValue::from_static(AUTHORIZATION_ONLY));
        }
        let own = self.headers.iter().map(HeaderName::as_str);
        let all = std::iter::once(AUTHORIZATION_ONLY).chain(own).collect::<Vec<_>>().join(", ");
        HeaderValue::try_from(all).ok()
    }
}

/// `tchar` of RFC 9110 section 5.6.2, of which scheme words are made.
pub(super) fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// `unreserved` of RFC 3986 section 2.3, which never has to be percent-encoded.
fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)
}

/// Why sources cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SourcesError {
    /// Not a scheme word, or one that is taken already.
    #[error("`{word}` cannot be a scheme of its own")]
    Scheme {
        /// The word.
        word: String,
    },
    /// Not a header name, one that is taken already, or one that means something else.
    #[error("`{name}` cannot be a header for tokens")]
    Header {
        /// The name.
        name: String,
    },
    /// A name that would have to be percent-encoded in a query.
    #[error("`{name}` cannot be a query parameter for tokens")]
    Query {
        /// The name.
        name: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_cannot_be_sources_are_refused() {
        for word in ["Bearer", "BASIC", "", "to ken", "tökén", "a:b"] {
            assert!(Sources::bearer().scheme(word).compile().is_err(), "{word:?}");
        }
        for name in ["authorization", "Cookie", "proxy-authorization", "", "a b", "a:"] {
            assert!(Sources::bearer().header(name).compile().is_err(), "{name:?}");
        }
        for name in ["", "a=b", "a&b", "a%20", "tokén", "a b"] {
            assert!(Sources::bearer().danger_query(name).compile().is_err(), "{name:?}");
        }
        let twice = Sources::bearer().header("x-token").header("X-Token");
        assert!(twice.compile().is_err());
        assert!(Sources::bearer().scheme("token").scheme("Token").compile().is_err());
    }

    #[test]
    fn vary_lists_every_credential_header() {
        let table = Sources::bearer().header("PRIVATE-TOKEN").header("x-t").compile().unwrap();
        assert_eq!(table.vary().unwrap(), "Authorization, private-token, x-t");
    }
}
