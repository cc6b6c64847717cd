//! `WWW-Authenticate`: what a client must do to be let in (RFC 6750 section 3, RFC 7617).

use http::HeaderValue;

use super::problem::Problem;

/// Longest realm, in bytes.
const MAX_REALM_LEN: usize = 128;

/// The challenges of one realm, written once.
#[derive(Debug)]
pub(super) struct Challenges {
    realm: Box<str>,
    required: HeaderValue,
    malformed: HeaderValue,
    several: HeaderValue,
    invalid: HeaderValue,
    basic: Option<HeaderValue>,
}

impl Challenges {
    /// The challenges of a realm; `None` if the realm is not 1 to 128 printable ASCII characters
    /// without quote and backslash.
    pub(super) fn new(realm: &str, with_basic: bool) -> Option<Self> {
        let quotable = |byte| matches!(byte, 0x20 | 0x21 | 0x23..=0x5b | 0x5d..=0x7e);
        if realm.is_empty() || realm.len() > MAX_REALM_LEN || !realm.bytes().all(quotable) {
            return None;
        }
        let bearer = |rest: &str| HeaderValue::try_from(format!("Bearer realm=\"{realm}\"{rest}"));
        let error = |code: &str, problem: Problem| {
            let description = problem.detail();
            bearer(&format!(", error=\"{code}\", error_description=\"{description}\""))
        };
        let basic = format!("Basic realm=\"{realm}\", charset=\"UTF-8\"");
        let basic = with_basic.then(|| HeaderValue::try_from(basic));
        Some(Self {
            required: bearer("").ok()?,
            malformed: error("invalid_request", Problem::MalformedCredential).ok()?,
            several: error("invalid_request", Problem::SeveralCredentials).ok()?,
            invalid: error("invalid_token", Problem::InvalidToken).ok()?,
            basic: basic.transpose().ok()?,
            realm: realm.into(),
        })
    }

    /// The challenge of a route that asks for these scopes, a list with single spaces.
    pub(super) fn insufficient_scope(&self, scopes: &str) -> Option<HeaderValue> {
        let realm = &self.realm;
        let text =
            format!("Bearer realm=\"{realm}\", error=\"insufficient_scope\", scope=\"{scopes}\"");
        HeaderValue::try_from(text).ok()
    }

    /// The challenges that go with a problem, in the order of their field lines.
    pub(super) fn of(&self, problem: Problem) -> impl Iterator<Item = &HeaderValue> {
        let bearer = match problem {
            Problem::CredentialRequired => Some(&self.required),
            Problem::MalformedCredential => Some(&self.malformed),
            Problem::SeveralCredentials => Some(&self.several),
            Problem::InvalidToken => Some(&self.invalid),
            _ => None,
        };
        let unauthorized = matches!(problem, Problem::CredentialRequired | Problem::InvalidToken);
        bearer.into_iter().chain(self.basic.as_ref().filter(move |_| unauthorized))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_realm_that_could_leave_its_quotes_is_refused() {
        for realm in ["a\"b\r\nX: y", "", "a\\b", "a\tb", "é", "a\0b", &"x".repeat(129)] {
            assert!(Challenges::new(realm, true).is_none(), "{realm:?}");
        }
        assert!(Challenges::new("acme API (production)", true).is_some());
    }
}
