//! What the response to a credentialed request must say.

use http::header::{CACHE_CONTROL, REFERRER_POLICY, VARY};
use http::{HeaderMap, HeaderName, HeaderValue};

/// What must be on every response to a request that carried a credential, so that no cache hands
/// it to somebody else.
#[derive(Debug, Clone)]
pub struct Duties {
    pub(super) vary: HeaderValue,
    /// The credential was in the URI, which browsers and caches keep and pass on.
    pub(super) in_uri: bool,
}

impl Duties {
    /// The headers that [`apply`](Self::apply) looks at and sets. A framework with header types of
    /// its own copies these lines of its response over, and back.
    pub const HEADERS: [HeaderName; 3] = [CACHE_CONTROL, REFERRER_POLICY, VARY];

    /// Makes the response private to whom it was made for.
    ///
    /// `Cache-Control` becomes `private` unless it is at least as strict; other directives stay.
    /// `Vary` names every header that may carry a credential. If the credential was in the URI,
    /// `Cache-Control` becomes `private, no-store` and `Referrer-Policy` `no-referrer`.
    pub fn apply(&self, headers: &mut HeaderMap) {
        if !headers.get_all(VARY).iter().any(|vary| vary == self.vary) {
            headers.append(VARY, self.vary.clone());
        }
        if self.in_uri {
            headers.insert(CACHE_CONTROL, HeaderValue::from_static("private, no-store"));
            headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
        } else if let Some(stricter) = made_private(headers) {
            headers.insert(CACHE_CONTROL, stricter);
        }
    }
}

/// Directives that let a shared cache keep a response which is otherwise said to be private.
const SHARING: [&str; 3] = ["public", "s-maxage", "must-understand"];

/// The `Cache-Control` that a response needs, if the one it has does not do.
fn made_private(headers: &HeaderMap) -> Option<HeaderValue> {
    let mut lines = headers.get_all(CACHE_CONTROL).iter().peekable();
    if lines.peek().is_none() {
        return Some(HeaderValue::from_static("private"));
    }
    let mut kept = Vec::from(["private"]);
    let mut strict = false;
    let mut shared = false;
    for line in lines {
        // A quoted argument may hold commas. Such a value is rare enough to be replaced whole.
        let Some(line) = line.to_str().ok().filter(|line| !line.contains('"')) else {
            return Some(HeaderValue::from_static("private, no-cache"));
        };
        for directive in line.split(',').map(str::trim).filter(|directive| !directive.is_empty()) {
            let name = directive.split_once('=').map_or(directive, |(name, _)| name).trim_end();
            if SHARING.iter().any(|sharing| name.eq_ignore_ascii_case(sharing)) {
                shared = true;
            } else if directive.eq_ignore_ascii_case("private") {
                strict = true;
            } else {
                strict |= directive.eq_ignore_ascii_case("no-store");
                kept.push(directive);
            }
        }
    }
    if strict && !shared {
        return None;
    }
    let value = HeaderValue::try_from(kept.join(", "));
    Some(value.unwrap_or(HeaderValue::from_static("private, no-cache")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(lines: &[&'static str], in_uri: bool) -> String {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(CACHE_CONTROL, HeaderValue::from_static(line));
        }
        Duties { vary: HeaderValue::from_static("Authorization"), in_uri }.apply(&mut headers);
        let lines: Vec<_> =
            headers.get_all(CACHE_CONTROL).iter().map(|line| line.to_str().unwrap()).collect();
        lines.join(" | ")
    }

    #[test]
    fn what_a_shared_cache_could_keep_becomes_private() {
        for (before, expected) in [
            (&[][..], "private"),
            (&["public, max-age=60"], "private, max-age=60"),
            (&["max-age=60"], "private, max-age=60"),
            (&["Public", "s-maxage=9"], "private"),
            (&["private, s-maxage=9"], "private"),
            (&["no-store, must-understand"], "private, no-store"),
            (&["private=\"set-cookie, x\""], "private, no-cache"),
            (&["private=x"], "private, private=x"),
        ] {
            assert_eq!(after(before, false), expected, "{before:?}");
        }
    }

    #[test]
    fn what_is_strict_already_is_left_alone() {
        for lines in [&["private"][..], &["no-store"], &["PRIVATE, max-age=5"], &["a", "private"]] {
            assert_eq!(after(lines, false), lines.join(" | "));
        }
    }

    #[test]
    fn a_response_to_a_token_in_the_uri_is_not_stored_at_all() {
        assert_eq!(after(&["public, max-age=60"], true), "private, no-store");
    }

    #[test]
    fn vary_is_added_once() {
        let mut headers = HeaderMap::new();
        headers.insert(VARY, HeaderValue::from_static("accept-encoding"));
        let duties = Duties { vary: HeaderValue::from_static("Authorization"), in_uri: false };
        duties.apply(&mut headers);
        duties.apply(&mut headers);
        let lines: Vec<_> = headers.get_all(VARY).iter().collect();
        assert_eq!(lines, ["accept-encoding", "Authorization"]);
    }
}
