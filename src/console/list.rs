//! The list of somebody's own tokens.

use ::axum::response::Response;
use askama::Template;
use http::StatusCode;

use super::fault::Fault;
use super::fields::Choice;
use super::query::Query;
use super::router::page;
use super::row::Row;
use super::shell::Shell;
use super::span::span;
use super::visit::{Role, Visit};
use crate::engine::Page;
use crate::host::Administers;

/// A column's heading.
pub(super) struct Head {
    label: String,
    /// The list sorted by it.
    url: Option<String>,
    order: Option<&'static str>,
}

impl Head {
    fn arrow(&self) -> &'static str {
        if self.order == Some("ascending") { "↑" } else { "↓" }
    }
}

#[derive(Template)]
#[template(path = "list.html")]
struct List<'a> {
    s: Shell<'a>,
    title: String,
    admin: bool,
    /// Whether tenants can be told apart.
    tenants: bool,
    /// What becomes of tokens that nobody uses.
    idle: Option<String>,
    /// What to say where nothing is listed.
    blank: (&'a str, &'a str),
    here: String,
    q: Query,
    shows: Vec<Choice>,
    sorts: Vec<Choice>,
    heads: Vec<Head>,
    rows: Vec<Row>,
    first: String,
    next: Option<String>,
}

pub(super) async fn own(visit: Visit) -> Result<Response, Fault> {
    list(&visit, Role::Owner).await
}

/// The page of a list.
pub(super) async fn list(visit: &Visit, role: Role) -> Result<Response, Fault> {
    let q = Query::read(&visit.query()?)?;
    let admin = role == Role::Administrator;
    let administered = admin.then(|| visit.who.administered());
    let everything = matches!(administered, Some(Administers::Everything));
    let tenants = everything && visit.console.with_tenants;
    let t = &visit.console.texts;
    // Several tenants may have an owner of the name, and one letter is in every other name.
    let too_little = if tenants && !q.owner.is_empty() && q.tenant.is_empty() {
        Some((&*t.tenant_title, &*t.tenant_text))
    } else if admin && q.owner.is_empty() && q.text.chars().count() == 1 {
        Some((&*t.short_title, &*t.short_text))
    } else {
        None
    };
    let request = q.request(administered, visit.now())?;
    let looking = visit.looking(role)?;
    let found = match too_little {
        Some(_) => Page { tokens: Vec::new(), next: None },
        None => looking.list(&request).await?,
    };
    let s = visit.shell(role)?;
    let idle = visit.console.hallpass().policy().max_idle;
    let here = if admin { s.url("/admin") } else { s.home().to_owned() };
    let title = if admin { &s.t.admin_title } else { &s.t.list_title };
    let list = List {
        title: title.to_string(),
        admin,
        idle: idle.map(|longest| t.fill(&t.list_idle, "span", &span(longest, t))),
        tenants: tenants || !q.tenant.is_empty(),
        blank: too_little.unwrap_or((&t.no_match_title, &t.no_match_text)),
        shows: q.shows(s.t),
        sorts: q.sorts(s.t),
        heads: heads(&s, &q, &here, admin),
        rows: found.tokens.iter().map(|token| Row::new(visit, role, token)).collect(),
        first: q.first(&here),
        next: found.next.map(|cursor| q.next(&here, cursor)),
        here,
        q,
        s,
    };
    Ok(page(StatusCode::OK, &list))
}

fn heads(s: &Shell<'_>, q: &Query, here: &str, admin: bool) -> Vec<Head> {
    let t = s.t;
    let plain = |label: &str| Head { label: label.to_owned(), url: None, order: None };
    let sorted = |label: &str, by: &str| Head {
        label: label.to_owned(),
        url: Some(q.sorted(here, by)),
        order: q.order(by),
    };
    let mut heads = vec![sorted(&t.name, "name")];
    if admin {
        heads.push(plain(&t.owner));
    }
    heads.extend([
        plain(&t.scopes),
        sorted(&t.expires, "expires"),
        sorted(&t.last_used, "used"),
        plain(&t.status),
    ]);
    heads
}
