//! Ends tokens, one or many, after a question.

use ::axum::extract::Path;
use ::axum::response::Response;
use askama::Template;
use http::StatusCode;

use super::confirm;
use super::fault::Fault;
use super::notice::Notice;
use super::router::{page, see_other};
use super::row::Row;
use super::shell::Shell;
use super::token::find;
use super::visit::{Role, Sent, Visit};
use crate::engine::{ListRequest, RevokeError};
use crate::store::{Filter, Reach};
use crate::token::{RevocationReason, TokenId};

#[derive(Template)]
#[template(path = "revoke.html")]
struct Question<'a> {
    s: Shell<'a>,
    title: String,
    action: String,
    back: String,
    bulk: bool,
    rows: Vec<Row>,
}

pub(super) async fn own_form(visit: Visit, Path(id): Path<String>) -> Result<Response, Fault> {
    ask_one(&visit, Role::Owner, &id).await
}

pub(super) async fn any_form(visit: Visit, Path(id): Path<String>) -> Result<Response, Fault> {
    ask_one(&visit, Role::Administrator, &id).await
}

pub(super) async fn own(Path(id): Path<String>, sent: Sent) -> Result<Response, Fault> {
    one(&sent, Role::Owner, &id).await
}

pub(super) async fn any(Path(id): Path<String>, sent: Sent) -> Result<Response, Fault> {
    one(&sent, Role::Administrator, &id).await
}

pub(super) async fn own_many(sent: Sent) -> Result<Response, Fault> {
    many(&sent, Role::Owner).await
}

pub(super) async fn any_many(sent: Sent) -> Result<Response, Fault> {
    many(&sent, Role::Administrator).await
}

async fn ask_one(visit: &Visit, role: Role, id: &str) -> Result<Response, Fault> {
    let token = find(visit, role, id).await?;
    let s = visit.shell(role)?;
    let row = Row::new(visit, role, &token);
    let question = Question {
        title: s.t.fill(&s.t.revoke_title, "name", &row.name),
        action: format!("{}/revoke", row.url),
        back: row.url,
        bulk: false,
        rows: Vec::new(),
        s,
    };
    Ok(page(StatusCode::OK, &question))
}

/// Revoking twice is revoking once.
async fn one(sent: &Sent, role: Role, id: &str) -> Result<Response, Fault> {
    sent.knows_only(&[])?;
    let token = find(&sent.visit, role, id).await?;
    // No confirmation is asked for, so an outage of whoever keeps them does not stand in the way.
    let acting = sent.visit.looking(role)?;
    match acting.revoke(&token.id, RevocationReason::Requested).await {
        Ok(_) => done(&sent.visit, role, 1),
        Err(RevokeError::Unconfirmed) => Err(confirm::ask(sent, role, None)),
        Err(error) => Err(error.into()),
    }
}

/// Asks first, and revokes when the answer is yes.
async fn many(sent: &Sent, role: Role) -> Result<Response, Fault> {
    sent.knows_only(&["id", "sure"])?;
    let (visit, form) = (&sent.visit, &sent.form);
    let ids: Result<Vec<TokenId>, _> = form.all("id").map(str::parse).collect();
    let mut ids = ids.map_err(|_| Fault::NotFound)?;
    ids.sort_unstable();
    ids.dedup();
    if ids.is_empty() {
        return see_other(&list(visit, role));
    }
    let mut filter = Filter::new(Reach::All);
    filter.ids = Some(ids);
    if form.get("sure") != Some("yes") {
        return ask_many(visit, role, filter).await;
    }
    let acting = sent.acting(role).await?;
    match acting.revoke_matching(filter, RevocationReason::Requested).await {
        Ok(revoked) => done(visit, role, revoked.len()),
        Err(RevokeError::Unconfirmed) => Err(confirm::ask(sent, role, None)),
        Err(error) => Err(error.into()),
    }
}

async fn ask_many(visit: &Visit, role: Role, filter: Filter) -> Result<Response, Fault> {
    let request = ListRequest::new(filter).limit(ListRequest::MAX_LIMIT);
    let found = visit.looking(role)?.list(&request).await?;
    let rows: Vec<Row> = found.tokens.iter().map(|token| Row::new(visit, role, token)).collect();
    if rows.is_empty() || found.next.is_some() {
        return Err(Fault::NotFound);
    }
    let s = visit.shell(role)?;
    let count = i64::try_from(rows.len()).unwrap_or(i64::MAX);
    let back = list(visit, role);
    let question = Question {
        title: s.t.count(&s.t.revoke_many_title, count),
        action: s.url(if role == Role::Owner { "/revoke" } else { "/admin/revoke" }),
        back,
        bulk: true,
        rows,
        s,
    };
    Ok(page(StatusCode::OK, &question))
}

fn list(visit: &Visit, role: Role) -> String {
    match role {
        Role::Administrator => visit.console.mount.join("/admin"),
        Role::Owner if visit.console.mount.as_str().is_empty() => "/".to_owned(),
        Role::Owner => visit.console.mount.to_string(),
    }
}

fn done(visit: &Visit, role: Role, count: usize) -> Result<Response, Fault> {
    let notice = Notice::Revoked(u32::try_from(count).unwrap_or(u32::MAX));
    see_other(&format!("{}?{}", list(visit, role), notice.query()))
}
