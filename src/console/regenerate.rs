//! Gives a token a new secret.

use ::axum::extract::Path;
use ::axum::response::Response;
use askama::Template;
use chrono::TimeDelta;
use http::StatusCode;

use super::confirm;
use super::errors::Errors;
use super::fault::{Fault, Message};
use super::fields::{Choice, Draft, Fields};
use super::router::page;
use super::row::Row;
use super::secret;
use super::shell::Shell;
use super::span::span;
use super::texts::Texts;
use super::token::{find, keep};
use super::visit::{Role, Sent, Visit};
use crate::engine::{Rotate, RotateError};
use crate::policy::Policy;
use crate::token::Token;

/// Overlaps that are offered beside policy's own, in hours, as far as policy allows them.
const OVERLAPS: [i64; 4] = [0, 1, 24, 168];

#[derive(Template)]
#[template(path = "regenerate.html")]
struct Regenerate<'a> {
    s: Shell<'a>,
    title: String,
    row: Row,
    overlaps: Vec<Choice>,
    f: Fields,
}

pub(super) async fn form(visit: Visit, Path(id): Path<String>) -> Result<Response, Fault> {
    let token = rotating(&visit, &id).await?;
    let overlap = visit.console.hallpass().policy().overlap.num_seconds().to_string();
    let draft = Draft::of(&token, "keep".to_owned());
    show(&visit, &token, draft, &overlap, token.version, Errors::default())
}

pub(super) async fn send(Path(id): Path<String>, sent: Sent) -> Result<Response, Fault> {
    sent.knows_only(&["version", "overlap", "expiry", "date"])?;
    let (visit, form) = (&sent.visit, &sent.form);
    let token = rotating(visit, &id).await?;
    let version: u64 = form.text("version").parse().map_err(|_| Fault::Bad)?;
    let overlap = form.text("overlap");
    let seconds = overlap.parse().ok().filter(|_| overlap.bytes().all(|b| b.is_ascii_digit()));
    let seconds = seconds.and_then(TimeDelta::try_seconds).ok_or(Fault::Bad)?;
    let draft = Draft::read(form);
    let mut errors = Errors::default();
    let expiry = draft.expiry(visit, &mut errors)?;
    if !errors.is_empty() {
        return show(visit, &token, draft, overlap, version, errors);
    }
    let mut rotate = Rotate::new().if_version(version).overlap(seconds);
    if let Some(expiry) = expiry {
        rotate = rotate.expiry(expiry);
    }
    match sent.acting(Role::Owner).await?.rotate(&token.id, rotate).await {
        Ok(issued) => secret::rotated(visit, &issued),
        Err(RotateError::Unconfirmed) => Err(confirm::ask(&sent, Role::Owner, None)),
        Err(RotateError::Stale { .. }) => stale(visit, &token),
        Err(error) => {
            let errors = Errors::of_rotate(visit, error)?;
            show(visit, &token, draft, overlap, version, errors)
        }
    }
}

/// A token that can be rotated by itself.
async fn rotating(visit: &Visit, id: &str) -> Result<Token, Fault> {
    let token = find(visit, Role::Owner, id).await?;
    if token.is_derived() { Err(Fault::NotFound) } else { Ok(token) }
}

fn show(
    visit: &Visit,
    token: &Token,
    draft: Draft,
    overlap: &str,
    version: u64,
    errors: Errors,
) -> Result<Response, Fault> {
    let s = visit.shell(Role::Owner)?;
    let hallpass = visit.console.hallpass();
    let status = errors.status();
    let keep = Some(keep(token, s.t));
    let nothing = hallpass.catalog().nothing();
    let regenerate = Regenerate {
        title: s.t.fill(&s.t.regenerate_title, "name", token.name.as_str()),
        row: Row::new(visit, Role::Owner, token),
        overlaps: overlaps(hallpass.policy(), s.t, overlap),
        f: Fields { version, ..Fields::new(visit, &nothing, draft, keep, errors) },
        s,
    };
    Ok(page(status, &regenerate))
}

fn overlaps(policy: &Policy, t: &Texts, chosen: &str) -> Vec<Choice> {
    let mut seconds: Vec<i64> = OVERLAPS.iter().map(|hours| hours * 3600).collect();
    seconds.push(policy.overlap.num_seconds());
    seconds.sort_unstable();
    seconds.dedup();
    let allowed = seconds.into_iter().filter_map(TimeDelta::try_seconds);
    let allowed = allowed.filter(|overlap| *overlap <= policy.max_overlap);
    let label = |overlap: TimeDelta| match overlap.num_seconds() {
        0 => t.overlap_none.to_string(),
        _ => t.fill(&t.overlap_for, "span", &span(overlap, t)),
    };
    let choice = |overlap: TimeDelta| {
        let value = overlap.num_seconds().to_string();
        Choice { selected: value == chosen, label: label(overlap), value }
    };
    allowed.map(choice).collect()
}

/// Somebody was faster, or the page was loaded again.
fn stale(visit: &Visit, token: &Token) -> Result<Response, Fault> {
    let s = visit.shell(Role::Owner)?;
    let message = Message {
        title: s.t.rotated_title.to_string(),
        text: s.t.rotated_text.to_string(),
        link: Some((s.t.show_token.to_string(), s.url(&format!("/{}", token.id)))),
        s,
    };
    Ok(page(StatusCode::CONFLICT, &message))
}
