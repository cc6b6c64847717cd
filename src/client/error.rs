//! What can go wrong between a client and its server.

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::{HeaderMap, RETRY_AFTER};
use serde::Deserialize;

use crate::clock::Timestamp;

/// Longest text of a server that is passed on, in characters.
const MAX_TEXT: usize = 500;

type Cause = Arc<dyn Error + Send + Sync>;

/// Why a request has no answer. Names the server and holds no secret.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// There is no connection: no such host, nobody listens, or TLS failed.
    #[error("cannot reach {server}")]
    Unreachable {
        /// The server.
        server: Arc<str>,
        /// Why not.
        #[source]
        cause: Cause,
    },
    /// It took too long.
    #[error("{server} does not answer in time")]
    TimedOut {
        /// The server.
        server: Arc<str>,
    },
    /// The server sends the client elsewhere. A credential does not go along.
    #[error("{server} redirects to {to}; nothing was sent there, give that address if it is right")]
    Redirected {
        /// The server.
        server: Arc<str>,
        /// Where to: scheme, host and port, without what may be a secret.
        to: String,
    },
    /// The answer is longer than the client takes.
    #[error("{server} answers with more than {limit} bytes")]
    TooLarge {
        /// The server.
        server: Arc<str>,
        /// The most the client takes, in bytes.
        limit: usize,
    },
    /// The answer is not what was asked for.
    #[error("{server} answers with something else than was asked for")]
    Unexpected {
        /// The server.
        server: Arc<str>,
        /// What is wrong with it.
        #[source]
        cause: Cause,
    },
    /// The request cannot be written.
    #[error("the request cannot be written: {reason}")]
    Request {
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The server says no.
    #[error(transparent)]
    Refused(#[from] Box<Refusal>),
}

impl ClientError {
    /// What the server said no with, if it did.
    #[must_use]
    pub fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Refused(refusal) => Some(refusal),
            _ => None,
        }
    }

    /// Of a failure of the HTTP library, less the URL.
    pub(super) fn of(error: reqwest::Error, server: &Arc<str>) -> Self {
        let server = server.clone();
        if error.is_timeout() {
            return Self::TimedOut { server };
        }
        let cause = Arc::new(error.without_url());
        if cause.is_builder() {
            return Self::Request { reason: "the HTTP library refuses it" };
        }
        Self::Unreachable { server, cause }
    }

    pub(super) fn unexpected(
        server: &Arc<str>,
        cause: impl Into<Box<dyn Error + Send + Sync>>,
    ) -> Self {
        Self::Unexpected { server: server.clone(), cause: Arc::from(cause.into()) }
    }
}

/// What a server says no with: an RFC 9457 problem, an OAuth error (RFC 6749 section 5.2), or no
/// more than a status.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Refusal {
    /// The HTTP status, 400 to 599.
    pub status: u16,
    /// What programs tell it by: a problem's `code` or the last part of its `type`, or an OAuth
    /// `error`.
    pub code: Option<String>,
    /// What it is, for people.
    pub title: Option<String>,
    /// What happened this time, for people.
    pub detail: Option<String>,
    /// What can be done about it, for people.
    pub hint: Option<String>,
    /// How long to wait before the next try.
    pub retry_after: Option<Duration>,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reason = StatusCode::from_u16(self.status).ok().and_then(|s| s.canonical_reason());
        let said = self.detail.as_deref().or(self.title.as_deref()).or(reason);
        write!(f, "{} ({}", said.unwrap_or("refused"), self.status)?;
        match &self.code {
            Some(code) => write!(f, " {code})"),
            None => f.write_str(")"),
        }
    }
}

impl Error for Refusal {}

/// What problems and OAuth errors have; anything else is ignored.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Wire {
    r#type: Option<String>,
    code: Option<String>,
    title: Option<String>,
    detail: Option<String>,
    hint: Option<String>,
    error: Option<String>,
    error_description: Option<String>,
}

impl Refusal {
    /// Reads what the server says, without what it echoes of a secret.
    pub(super) fn read(
        status: StatusCode,
        headers: &HeaderMap,
        body: &[u8],
        secrets: &[&str],
        now: Timestamp,
    ) -> Self {
        let wire: Wire = serde_json::from_slice(body).unwrap_or_default();
        let clean = |text: Option<String>| {
            text.map(|text| cleaned(&text, secrets)).filter(|text| !text.is_empty())
        };
        let of_type = wire.r#type.as_deref().and_then(|uri| uri.rsplit(['/', ':', '#']).next());
        let of_type = of_type.filter(|name| *name != "blank").map(str::to_owned);
        let after = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok());
        Self {
            status: status.as_u16(),
            code: clean(wire.code.or(of_type).or(wire.error)),
            title: clean(wire.title),
            detail: clean(wire.detail.or(wire.error_description)),
            hint: clean(wire.hint),
            retry_after: after.and_then(|after| retry_after(after, now)),
        }
    }
}

/// A text of somebody else, fit for a terminal and a log.
fn cleaned(text: &str, secrets: &[&str]) -> String {
    let mut text = text.to_owned();
    for secret in secrets.iter().filter(|secret| !secret.is_empty()) {
        text = text.replace(secret, "[redacted]");
    }
    harmless(&text.chars().take(MAX_TEXT).collect::<String>())
}

/// A text of somebody else, with nothing that a terminal obeys.
pub(crate) fn harmless(text: &str) -> String {
    text.chars().map(|c| if is_harmless(c) { c } else { '\u{fffd}' }).collect()
}

/// Neither a control character nor one that changes the direction of what follows.
fn is_harmless(c: char) -> bool {
    !c.is_control()
        && !matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{2028}' | '\u{2029}')
}

/// Seconds, or an instant (RFC 9110 section 10.2.3).
fn retry_after(text: &str, now: Timestamp) -> Option<Duration> {
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        // More than can be counted is long, and not unknown.
        return Some(Duration::from_secs(text.parse().unwrap_or(u64::MAX)));
    }
    let instant = chrono::DateTime::parse_from_rfc2822(text).ok()?.to_utc();
    (instant - now.to_utc()).to_std().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &str, after: Option<&'static str>) -> Refusal {
        let mut headers = HeaderMap::new();
        if let Some(after) = after {
            headers.insert(RETRY_AFTER, after.parse().unwrap());
        }
        let now = "1994-11-06T08:49:30Z".parse().unwrap();
        Refusal::read(StatusCode::CONFLICT, &headers, body.as_bytes(), &["s3cret"], now)
    }

    #[test]
    fn problems_and_oauth_errors_are_read() {
        let problem = read(
            r#"{"type":"urn:demo:problem:name-taken","title":"Conflict","detail":"taken","hint":"choose another","status":409,"extra":[1]}"#,
            Some("7"),
        );
        assert_eq!(problem.to_string(), "taken (409 name-taken)");
        assert_eq!(problem.hint.as_deref(), Some("choose another"));
        assert_eq!(problem.retry_after, Some(Duration::from_secs(7)));
        let oauth = read(r#"{"error":"invalid_scope","error_description":"too wide"}"#, None);
        assert_eq!(oauth.to_string(), "too wide (409 invalid_scope)");
        for body in ["", "<html>", "[]", "null", r#"{"type":"about:blank","detail":7}"#, "\u{1}"] {
            assert_eq!(read(body, None).to_string(), "Conflict (409)", "{body}");
        }
    }

    #[test]
    fn nothing_said_reaches_a_terminal_as_it_is() {
        let problem = read("{\"detail\":\"\\u001b[2Jyour s3cret \\u202eis\\nout\"}", None);
        assert_eq!(problem.detail.unwrap(), "\u{fffd}[2Jyour [redacted] \u{fffd}is\u{fffd}out");
        let long = format!("{{\"detail\":\"{}\"}}", "x".repeat(10_000));
        assert_eq!(read(&long, None).detail.unwrap().len(), MAX_TEXT);
    }

    #[test]
    fn waiting_is_told_in_seconds_or_by_the_clock() {
        let wait = |text| read("", Some(text)).retry_after.map(|wait| wait.as_secs());
        assert_eq!(wait("120"), Some(120));
        assert_eq!(wait("Sun, 06 Nov 1994 08:49:37 GMT"), Some(7));
        assert_eq!(wait("99999999999999999999999"), Some(u64::MAX));
        for text in ["", "-1", "1.5", "soon", "Sun, 06 Nov 1994 08:49:00 GMT"] {
            assert_eq!(wait(text), None, "{text}");
        }
    }
}
