//! Shows a new secret: once, in the answer to the request that made it.

use ::axum::body::Body;
use ::axum::response::Response;
use askama::Template;
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use http::{HeaderValue, StatusCode};

use super::fault::Fault;
use super::router::page;
use super::row::Row;
use super::shell::Shell;
use super::span::minute;
use super::visit::{Role, Sent, Visit};
use crate::engine::Issued;
use crate::token::TokenId;

#[derive(Template)]
#[template(path = "secret.html")]
struct Secret<'a> {
    s: Shell<'a>,
    title: String,
    lead: String,
    plain: &'a str,
    row: Row,
    /// What becomes of the old secret.
    overlap: Option<String>,
}

/// The page after a token was made.
pub(super) fn created(visit: &Visit, issued: &Issued) -> Result<Response, Fault> {
    let t = &visit.console.texts;
    show(visit, issued, (&t.secret_title, &t.secret_lead), None)
}

/// The page after a token got a new secret.
pub(super) fn rotated(visit: &Visit, issued: &Issued) -> Result<Response, Fault> {
    let t = &visit.console.texts;
    let grace_until = issued.token.rotation.map(|rotation| rotation.grace_until);
    let overlap = match grace_until.filter(|until| *until > visit.now()) {
        Some(until) => t.fill(&t.old_secret_until, "instant", &minute(until)),
        None => t.old_secret_ended.to_string(),
    };
    show(visit, issued, (&t.secret_rotated_title, &t.secret_rotated_lead), Some(overlap))
}

fn show(
    visit: &Visit,
    issued: &Issued,
    (title, lead): (&str, &str),
    overlap: Option<String>,
) -> Result<Response, Fault> {
    let s = visit.shell(Role::Owner)?;
    let secret = Secret {
        title: title.to_owned(),
        lead: s.t.fill(lead, "name", issued.token.name.as_str()),
        plain: issued.plain.expose(),
        row: Row::new(visit, Role::Owner, &issued.token),
        overlap,
        s,
    };
    Ok(page(StatusCode::CREATED, &secret))
}

/// Sends the secret back as a file. The browser has it, and nobody else does: it comes in the body
/// of a request and goes in the body of the answer. What is no token of this app does not come
/// back.
pub(super) async fn download(sent: Sent) -> Result<Response, Fault> {
    sent.knows_only(&["token"])?;
    let plain = sent.form.text("token");
    if !sent.visit.console.hallpass().recognises(plain) {
        return Err(Fault::Bad);
    }
    let id = id_of(plain).ok_or(Fault::Bad)?;
    let file = format!("attachment; filename=\"token-{id}.txt\"");
    let file = HeaderValue::from_str(&file).map_err(|_| Fault::Bad)?;
    let mut response = Response::new(Body::from(format!("{plain}\n")));
    let text = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, text);
    response.headers_mut().insert(CONTENT_DISPOSITION, file);
    Ok(response)
}

/// The id in a token's text, its third part.
pub(super) fn id_of(text: &str) -> Option<TokenId> {
    text.split('_').nth(2)?.parse().ok()
}
