//! Asks whether it is really them, in place: what was sent is sent again with the answer.

use askama::Template;
use chrono::TimeDelta;
use http::header::RETRY_AFTER;
use http::{HeaderValue, StatusCode};

use super::fault::Fault;
use super::router::page;
use super::shell::Shell;
use super::span::span;
use super::visit::{Role, Sent};
use crate::host::ConfirmError;

#[derive(Template)]
#[template(path = "confirm.html")]
struct Confirm<'a> {
    s: Shell<'a>,
    title: String,
    action: &'a str,
    carried: Vec<(&'a str, &'a str)>,
    problem: Option<String>,
    page: Option<&'a str>,
}

/// The question, after which the form goes on; 403, or 429 to whoever guessed too often.
pub(super) fn ask(sent: &Sent, role: Role, error: Option<&ConfirmError>) -> Fault {
    let s = match sent.visit.shell(role) {
        Ok(s) => s,
        Err(fault) => return fault,
    };
    let elsewhere = sent.visit.console.host.confirmation_page();
    let wait = match error {
        Some(ConfirmError::TooMany { retry_after_seconds }) => Some(*retry_after_seconds),
        _ => None,
    };
    let problem = match (wait, error) {
        (Some(seconds), _) => {
            // Rounded up, so that nobody comes too early.
            let minutes = TimeDelta::minutes(i64::from(seconds.div_ceil(60)));
            Some(s.t.fill(&s.t.confirm_wait, "span", &span(minutes, s.t)))
        }
        (None, Some(_)) => Some(s.t.confirm_wrong.to_string()),
        (None, None) => {
            let again = elsewhere.is_some() && sent.form.get("asked").is_some();
            again.then(|| s.t.confirm_not_yet.to_string())
        }
    };
    let confirm = Confirm {
        title: s.t.confirm_title.to_string(),
        action: sent.path(),
        carried: sent.form.without(&["password", "asked"]),
        problem,
        page: elsewhere,
        s,
    };
    let status = if wait.is_some() { StatusCode::TOO_MANY_REQUESTS } else { StatusCode::FORBIDDEN };
    let mut response = page(status, &confirm);
    if let Some(Ok(seconds)) = wait.map(|seconds| HeaderValue::from_str(&seconds.to_string())) {
        response.headers_mut().insert(RETRY_AFTER, seconds);
    }
    Fault::answer(response)
}
