//! One token: what is known of it, and changing it.

use ::axum::extract::Path;
use ::axum::response::Response;
use askama::Template;

use super::confirm;
use super::create::{offered, same_networks};
use super::errors::Errors;
use super::fault::Fault;
use super::fields::{Draft, Fields, NAMES};
use super::notice::Notice;
use super::router::{page, see_other};
use super::row::Row;
use super::shell::Shell;
use super::span::date;
use super::texts::Texts;
use super::visit::{Role, Sent, Visit};
use crate::engine::{Edit, OwnerError, UpdateError};
use crate::token::{Token, TokenId};

#[derive(Template)]
#[template(path = "token.html")]
struct Page<'a> {
    s: Shell<'a>,
    title: String,
    row: Row,
    /// What to know before anything else.
    banner: Option<String>,
    editable: bool,
    can_rotate: bool,
    can_copy: bool,
    f: Fields,
}

/// The token with this id, if it exists for the visitor. Sessions that were exchanged are not
/// shown.
pub(super) async fn find(visit: &Visit, role: Role, id: &str) -> Result<Token, Fault> {
    let id: TokenId = id.parse().map_err(|_| Fault::NotFound)?;
    visit.looking(role)?.get(&id).await?.ok_or(Fault::NotFound)
}

pub(super) async fn own(visit: Visit, Path(id): Path<String>) -> Result<Response, Fault> {
    let token = find(&visit, Role::Owner, &id).await?;
    show(&visit, Role::Owner, &token, View::of(&token)).await
}

/// What a token's page shows beside the token.
pub(super) struct View {
    /// The form as it was sent or is to be.
    draft: Draft,
    version: u64,
    errors: Errors,
    /// What to say before anything else.
    pub(super) said: Option<String>,
}

impl View {
    /// The settings of the token as they are.
    pub(super) fn of(token: &Token) -> Self {
        let draft = Draft::of(token, "keep".to_owned());
        Self { draft, version: token.version, errors: Errors::default(), said: None }
    }
}

/// The page of a token.
pub(super) async fn show(
    visit: &Visit,
    role: Role,
    token: &Token,
    view: View,
) -> Result<Response, Fault> {
    let View { draft, version, errors, said } = view;
    let s = visit.shell(role)?;
    let row = Row::new(visit, role, token);
    let own = role == Role::Owner && !token.is_derived();
    let editable = own && row.live;
    // Whoever cannot be granted anything may still narrow.
    let offered = match offered(visit, token.kind).await {
        Err(OwnerError::Unavailable(_)) => return Err(Fault::Unavailable),
        offered => offered.unwrap_or_else(|_| visit.console.hallpass().catalog().nothing()),
    };
    let status = errors.status();
    let keep = Some(keep(token, s.t));
    let token_page = Page {
        title: token.name.to_string(),
        banner: said.or_else(|| banner(&row, s.t)),
        editable,
        can_rotate: editable,
        can_copy: own,
        f: Fields { version, ..Fields::new(visit, &offered, draft, keep, errors) },
        row,
        s,
    };
    Ok(page(status, &token_page))
}

/// How the end that a token has is offered.
pub(super) fn keep(token: &Token, t: &Texts) -> String {
    let end = token.expires_at.map_or(t.never_expires.to_string(), date);
    t.fill(&t.expiry_keep, "end", &end)
}

fn banner(row: &Row, t: &Texts) -> Option<String> {
    match row.status {
        "revoked" => Some(t.banner_revoked.to_string()),
        "expired" => Some(t.banner_expired.to_string()),
        "suspended" => Some(row.suspended_note.clone()),
        _ if row.soon => {
            let when = row.expires.as_ref().map(|end| end.text.as_str()).unwrap_or_default();
            Some(t.fill(&t.banner_soon, "when", when))
        }
        _ => None,
    }
}

pub(super) async fn save(Path(id): Path<String>, sent: Sent) -> Result<Response, Fault> {
    sent.knows_only(&[&NAMES[..], &["version"]].concat())?;
    let visit = &sent.visit;
    let (t, form) = (&visit.console.texts, &sent.form);
    let token = find(visit, Role::Owner, &id).await?;
    let version: u64 = form.text("version").parse().map_err(|_| Fault::Bad)?;
    let mut draft = Draft::read(form);
    if let Some(name) = form.get("preset") {
        let preset = visit.console.hallpass().catalog().preset(name).ok_or(Fault::Bad)?;
        draft.scopes = preset.scopes().iter().map(ToString::to_string).collect();
        let view = View { draft, version, ..View::of(&token) };
        return show(visit, Role::Owner, &token, view).await;
    }
    let mut errors = Errors::default();
    let expiry = draft.expiry(visit, &mut errors)?;
    let networks = draft.networks(t, &mut errors);
    let mut edit = Edit::new()
        .if_version(version)
        .name(&draft.name)
        .description(draft.description())
        .scopes(draft.scopes.iter().cloned());
    if let Some(expiry) = expiry {
        edit = edit.expiry(expiry);
    }
    if visit.console.with_resources {
        edit = edit.resources(draft.resources(t, &mut errors)?);
    }
    if !same_networks(&token, networks.as_deref()) {
        edit = edit.networks(networks);
    }
    errors.of_draft(visit, &draft.name, &draft.scopes);
    if !errors.is_empty() {
        let view = View { draft, version, errors, said: None };
        return show(visit, Role::Owner, &token, view).await;
    }
    match sent.acting(Role::Owner).await?.update(&token.id, edit).await {
        Ok(_) => see_other(&visit.console.mount.join(&format!("/{id}?{}", Notice::Saved.query()))),
        Err(UpdateError::Unconfirmed) => Err(confirm::ask(&sent, Role::Owner, None)),
        Err(error) => {
            let errors = Errors::of_update(visit, error)?;
            let view = View { draft, version, errors, said: None };
            show(visit, Role::Owner, &token, view).await
        }
    }
}

pub(super) async fn suspend(Path(id): Path<String>, sent: Sent) -> Result<Response, Fault> {
    set_aside(&sent, Role::Owner, &id, true).await
}

pub(super) async fn resume(Path(id): Path<String>, sent: Sent) -> Result<Response, Fault> {
    set_aside(&sent, Role::Owner, &id, false).await
}

/// Suspends a token or takes it back.
pub(super) async fn set_aside(
    sent: &Sent,
    role: Role,
    id: &str,
    aside: bool,
) -> Result<Response, Fault> {
    sent.knows_only(&[])?;
    let visit = &sent.visit;
    let token = find(visit, role, id).await?;
    let acting = if aside { visit.looking(role)? } else { sent.acting(role).await? };
    let done = if aside { acting.suspend(&token.id).await } else { acting.resume(&token.id).await };
    match done {
        Ok(_) => {
            let notice = if aside { Notice::Suspended } else { Notice::Resumed };
            see_other(&format!("{}?{}", Row::new(visit, role, &token).url, notice.query()))
        }
        Err(UpdateError::Unconfirmed) => Err(confirm::ask(sent, role, None)),
        Err(error) => {
            let errors = Errors::of_update(visit, error)?;
            show(visit, role, &token, View { errors, ..View::of(&token) }).await
        }
    }
}
