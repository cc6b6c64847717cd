//! What a request says, beside who makes it.

use http::header::{CONTENT_TYPE, IF_MATCH};
use http::request::Parts;
use http::{HeaderMap, HeaderName};
use serde::de::DeserializeOwned;

use super::answer::etag;
use super::json;
use super::problem::{Code, Failure};

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// The body, which must be there.
pub(super) fn body<T: DeserializeOwned>(head: &Parts, body: &[u8]) -> Result<T, Failure> {
    if !is_json(&head.headers) {
        return Err(Code::UnsupportedMediaType.into());
    }
    json::read(body)
}

/// The body, or what it means that there is none.
pub(super) fn body_or_default<T: DeserializeOwned + Default>(
    head: &Parts,
    bytes: &[u8],
) -> Result<T, Failure> {
    let nothing = bytes.is_empty() && !head.headers.contains_key(CONTENT_TYPE);
    if nothing { Ok(T::default()) } else { body(head, bytes) }
}

/// Whether the body says it is JSON, in UTF-8 if it says in what.
fn is_json(headers: &HeaderMap) -> bool {
    let mut lines = headers.get_all(CONTENT_TYPE).iter();
    let (Some(line), None) = (lines.next(), lines.next()) else {
        return false;
    };
    let Ok(line) = line.to_str() else {
        return false;
    };
    let mut parts = line.split(';').map(str::trim);
    let essence = parts.next().unwrap_or_default();
    let utf8 = |parameter: &str| {
        parameter.split_once('=').is_some_and(|(name, value)| {
            name.eq_ignore_ascii_case("charset")
                && value.trim_matches('"').eq_ignore_ascii_case("utf-8")
        })
    };
    essence.eq_ignore_ascii_case("application/json") && parts.all(utf8)
}

/// The one line of a header as text.
fn line<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a str>, Failure> {
    let malformed = || Failure::from(Code::InvalidHeader).detail(format!("`{name}` is malformed"));
    let mut lines = headers.get_all(name).iter();
    match (lines.next(), lines.next()) {
        (None, _) => Ok(None),
        (Some(line), None) => line.to_str().map(Some).map_err(|_| malformed()),
        (Some(_), Some(_)) => Err(malformed()),
    }
}

/// The idempotency key: 1 to 255 printable ASCII characters.
pub(super) fn idempotency_key(head: &Parts) -> Result<Option<&str>, Failure> {
    let key = line(&head.headers, &IDEMPOTENCY_KEY)?;
    let good = |key: &str| {
        (1..=255).contains(&key.len()) && key.bytes().all(|b| b == b' ' || b.is_ascii_graphic())
    };
    if key.is_none_or(good) {
        return Ok(key);
    }
    let detail = "`idempotency-key` is 1 to 255 printable ASCII characters";
    Err(Failure::from(Code::InvalidHeader).detail(detail))
}

/// Whether `If-Match` names this version (RFC 9110 section 13.1.1).
///
/// # Errors
/// [`Code::PreconditionRequired`] if there is none, [`Code::InvalidHeader`] if it is malformed.
pub(super) fn matches(head: &Parts, version: u64) -> Result<bool, Failure> {
    let tags = line(&head.headers, &IF_MATCH)?.ok_or(Code::PreconditionRequired)?;
    if tags.trim() == "*" {
        return Ok(true);
    }
    let mut found = false;
    for tag in tags.split(',').map(str::trim) {
        let opaque = tag.strip_prefix("W/").unwrap_or(tag);
        let quoted = opaque.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
        if quoted.is_none_or(|inner| inner.contains('"')) {
            return Err(Failure::from(Code::InvalidHeader).detail("`if-match` is malformed"));
        }
        // A weak tag never matches.
        found |= tag == etag(version);
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn head(name: &str, lines: &[&str]) -> Parts {
        let mut request = Request::new(());
        for line in lines {
            let name: HeaderName = name.parse().unwrap();
            request.headers_mut().append(name, line.parse().unwrap());
        }
        request.into_parts().0
    }

    #[test]
    fn json_is_said_to_be_json() {
        for good in [
            "application/json",
            "Application/JSON; charset=utf-8",
            "application/json;charset=\"UTF-8\"",
        ] {
            assert!(is_json(&head("content-type", &[good]).headers), "{good}");
        }
        for bad in [
            "",
            "text/plain",
            "text/json",
            "application/jsonp",
            "application/merge-patch+json",
            "application/json; charset=utf-16",
            "application/json; boundary=x",
            "application/json;",
            "application/x-www-form-urlencoded",
        ] {
            assert!(!is_json(&head("content-type", &[bad]).headers), "{bad}");
        }
        assert!(!is_json(&head("content-type", &["application/json", "application/json"]).headers));
        assert!(!is_json(&HeaderMap::new()));
    }

    #[test]
    fn a_version_is_matched_to_the_letter() {
        let asked = |line: &str| matches(&head("if-match", &[line]), 7).map_err(|f| f.code);
        assert_eq!(asked("\"7\""), Ok(true));
        assert_eq!(asked("*"), Ok(true));
        assert_eq!(asked("\"6\", \"7\""), Ok(true));
        for other in ["\"6\"", "W/\"7\"", "\"07\"", "\"77\"", "\"\""] {
            assert_eq!(asked(other), Ok(false), "{other}");
        }
        for malformed in ["7", "", "\"7", "7\"", "\"7\"\"7\"", ",", "\"7\",", "*, \"7\""] {
            assert_eq!(asked(malformed), Err(Code::InvalidHeader), "{malformed}");
        }
        let none = matches(&head("if-match", &[]), 7).map_err(|failure| failure.code);
        assert_eq!(none, Err(Code::PreconditionRequired));
        let twice = matches(&head("if-match", &["\"7\"", "\"7\""]), 7);
        assert_eq!(twice.map_err(|failure| failure.code), Err(Code::InvalidHeader));
    }

    #[test]
    fn an_idempotency_key_is_short_and_printable() {
        let key = |line: &str| {
            idempotency_key(&head("idempotency-key", &[line])).map(|key| key.map(str::len)).ok()
        };
        assert_eq!(key("a"), Some(Some(1)));
        assert_eq!(key(&"k".repeat(255)), Some(Some(255)));
        assert_eq!(key(""), None);
        assert_eq!(key(&"k".repeat(256)), None);
        assert_eq!(idempotency_key(&head("x", &[])).unwrap(), None);
        assert!(idempotency_key(&head("idempotency-key", &["a", "a"])).is_err());
    }
}
