//! Where on a request a credential is.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{AUTHORIZATION, CONTENT_LENGTH, COOKIE, HOST, TRANSFER_ENCODING, USER_AGENT};
use reqwest::header::{HeaderName, HeaderValue, PROXY_AUTHORIZATION};
use zeroize::Zeroizing;

use super::credential::Credential;

/// Where on a request a credential is: the places in which servers look for one.
///
/// ```
/// use hallpass::client::{Credential, Presentation};
///
/// let token = Credential::from_text("acme_pat_x")?;
/// let mut request = reqwest::Request::new(
///     reqwest::Method::GET,
///     reqwest::Url::parse("https://acme.example/notes")?,
/// );
/// Presentation::header("private-token")?.attach(&token, &mut request);
/// assert_eq!(request.headers()["private-token"], "acme_pat_x");
/// assert!(Presentation::header("cookie").is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Presentation(Place);

#[derive(Debug, Clone, Default, PartialEq, Eq)]
enum Place {
    #[default]
    Bearer,
    Scheme(String),
    BasicPassword(String),
    BasicUser,
    Header(HeaderName),
    Query(String),
}

impl Presentation {
    /// `Authorization: Bearer <token>` (RFC 6750), the default.
    #[must_use]
    pub fn bearer() -> Self {
        Self::default()
    }

    /// Another word in place of `Bearer`: `Authorization: token <token>`.
    ///
    /// # Errors
    /// [`PresentationError`] if it cannot be a scheme word, or is `Basic`.
    pub fn scheme(word: impl Into<String>) -> Result<Self, PresentationError> {
        let word = word.into();
        let is_word = !word.is_empty() && word.bytes().all(is_token_byte);
        if !is_word || word.eq_ignore_ascii_case("basic") {
            return Err(PresentationError::Scheme { word });
        }
        Ok(Self(Place::Scheme(word)))
    }

    /// `Authorization: Basic`, with the token as the password of this user (RFC 7617). Servers
    /// take the token and do not look at the user.
    ///
    /// # Errors
    /// [`PresentationError`] if the name has a colon or a control character.
    pub fn basic_password(user: impl Into<String>) -> Result<Self, PresentationError> {
        let user = user.into();
        if !is_user(&user) {
            return Err(PresentationError::User);
        }
        Ok(Self(Place::BasicPassword(user)))
    }

    /// `Authorization: Basic`, with the token as the user and no password.
    #[must_use]
    pub fn basic_user() -> Self {
        Self(Place::BasicUser)
    }

    /// A header of its own that holds the bare token, like `PRIVATE-TOKEN`.
    ///
    /// # Errors
    /// [`PresentationError`] if it is no header name, or one that means something else.
    pub fn header(name: impl AsRef<str>) -> Result<Self, PresentationError> {
        let name = name.as_ref();
        match HeaderName::try_from(name) {
            Ok(header) if !RESERVED.contains(&header) => Ok(Self(Place::Header(header))),
            _ => Err(PresentationError::Header { name: name.to_owned() }),
        }
    }

    /// A query parameter. URLs end up in histories and logs, so RFC 9700 forbids this; it is for
    /// servers that take a token nowhere else.
    ///
    /// # Errors
    /// [`PresentationError`] if the name is empty.
    pub fn danger_query(name: impl Into<String>) -> Result<Self, PresentationError> {
        let name = name.into();
        if name.is_empty() {
            return Err(PresentationError::Query);
        }
        Ok(Self(Place::Query(name)))
    }

    /// Puts the credential on a request, in place of one that is there already.
    ///
    /// Headers are marked as sensitive, so that `Debug` does not show them. What is done with the
    /// request is up to the caller: a client that follows a redirect to another server takes
    /// headers other than `Authorization` along. [`Client`](super::Client) does not.
    pub fn attach(&self, credential: &Credential, request: &mut reqwest::Request) {
        let token = credential.expose();
        let (name, value) = match &self.0 {
            Place::Bearer => (AUTHORIZATION, Zeroizing::new(format!("Bearer {token}"))),
            Place::Scheme(word) => (AUTHORIZATION, Zeroizing::new(format!("{word} {token}"))),
            Place::BasicPassword(user) => (AUTHORIZATION, basic(user, token)),
            Place::BasicUser => (AUTHORIZATION, basic(token, "")),
            Place::Header(name) => (name.clone(), Zeroizing::new(token.to_owned())),
            Place::Query(name) => {
                let url = request.url_mut();
                let others: Vec<(String, String)> =
                    url.query_pairs().filter(|(given, _)| given != name).map(owned).collect();
                url.query_pairs_mut().clear().extend_pairs(others).append_pair(name, token);
                return;
            }
        };
        insert(request, name, &value);
    }
}

fn owned(pair: (std::borrow::Cow<'_, str>, std::borrow::Cow<'_, str>)) -> (String, String) {
    (pair.0.into_owned(), pair.1.into_owned())
}

/// Puts a secret into a header.
pub(super) fn insert(request: &mut reqwest::Request, name: HeaderName, secret: &str) {
    // Credentials are visible ASCII, and so are base64 and scheme words.
    if let Ok(mut value) = HeaderValue::from_str(secret) {
        value.set_sensitive(true);
        request.headers_mut().insert(name, value);
    }
}

/// The value of `Authorization` for a user and a password.
pub(super) fn basic(user: &str, password: &str) -> Zeroizing<String> {
    let pair = Zeroizing::new(format!("{user}:{password}"));
    let encoded = Zeroizing::new(STANDARD.encode(pair.as_bytes()));
    Zeroizing::new(format!("Basic {}", *encoded))
}

/// Whether Basic can carry this user (RFC 7617 section 2).
pub(super) fn is_user(user: &str) -> bool {
    !user.chars().any(|c| c == ':' || c.is_control())
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

/// `tchar` of RFC 9110 section 5.6.2.
pub(super) fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// Why a credential cannot be presented so.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PresentationError {
    /// Not a scheme word, or `Basic`.
    #[error("`{word}` cannot be a scheme of its own")]
    Scheme {
        /// The word.
        word: String,
    },
    /// A user name with a colon or a control character.
    #[error("a user name has no colon and no control character")]
    User,
    /// Not a header name, or one that means something else.
    #[error("`{name}` cannot be a header for tokens")]
    Header {
        /// The name.
        name: String,
    },
    /// A query parameter without a name.
    #[error("a query parameter has a name")]
    Query,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> reqwest::Request {
        let url = reqwest::Url::parse("https://acme.example/a?b=1&session=old&session=older");
        reqwest::Request::new(reqwest::Method::GET, url.unwrap())
    }

    #[test]
    fn every_place_that_servers_look_into() {
        let token = Credential::from_text("acme_pat_x").unwrap();
        for (presentation, name, value) in [
            (Presentation::bearer(), "authorization", "Bearer acme_pat_x"),
            (Presentation::scheme("token").unwrap(), "authorization", "token acme_pat_x"),
            (
                Presentation::basic_password("git").unwrap(),
                "authorization",
                "Basic Z2l0OmFjbWVfcGF0X3g=",
            ),
            (Presentation::basic_user(), "authorization", "Basic YWNtZV9wYXRfeDo="),
            (Presentation::header("Private-Token").unwrap(), "private-token", "acme_pat_x"),
        ] {
            let mut request = request();
            presentation.attach(&token, &mut request);
            presentation.attach(&token, &mut request);
            assert_eq!(request.headers().get_all(name).iter().count(), 1);
            assert_eq!(request.headers()[name], value);
            assert!(!format!("{request:?}").contains(value), "{request:?}");
        }
        let mut request = request();
        Presentation::danger_query("session").unwrap().attach(&token, &mut request);
        assert_eq!(request.url().query(), Some("b=1&session=acme_pat_x"));
    }

    #[test]
    fn what_cannot_be_a_place_is_refused() {
        for word in ["", "Basic", "to ken", "tökén", "a:b"] {
            assert!(Presentation::scheme(word).is_err(), "{word:?}");
        }
        for name in ["", "Authorization", "cookie", "host", "a b", "a:"] {
            assert!(Presentation::header(name).is_err(), "{name:?}");
        }
        assert!(Presentation::basic_password("a:b").is_err());
        assert!(Presentation::basic_password("a\n").is_err());
        assert!(Presentation::danger_query("").is_err());
    }
}
