//! Makes tokens, new ones and copies.

use ::axum::response::Response;
use askama::Template;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::TimeDelta;
use http::StatusCode;

use super::confirm;
use super::errors::Errors;
use super::fault::{Fault, Message};
use super::fields::{Draft, Fields, NAMES, lifetime_value};
use super::router::page;
use super::secret;
use super::shell::Shell;
use super::visit::{Role, Sent, Visit};
use crate::engine::{Issue, IssueError, OwnerError};
use crate::scope::ScopeSet;
use crate::token::{Entropy as _, Kind, Networks, OsEntropy, Token, TokenId};

#[derive(Template)]
#[template(path = "create.html")]
struct Create<'a> {
    s: Shell<'a>,
    title: String,
    lead: String,
    copy_of: Option<String>,
    f: Fields,
}

/// The form, empty or with the settings of the token that is to be copied.
pub(super) async fn form(visit: Visit) -> Result<Response, Fault> {
    let source = source(&visit, visit.query()?.get("copy_of")).await?;
    let draft = match &source {
        None => Draft::blank(visit.console.hallpass().policy()),
        Some(source) => copied(&visit, source),
    };
    show(&visit, source.as_ref(), draft, new_key()?, Errors::default()).await
}

/// The form as it was sent.
pub(super) async fn send(sent: Sent) -> Result<Response, Fault> {
    sent.knows_only(&[&NAMES[..], &["key", "copy_of"]].concat())?;
    let visit = &sent.visit;
    let (t, form) = (&visit.console.texts, &sent.form);
    let source = source(visit, form.get("copy_of")).await?;
    let source = source.as_ref();
    let mut draft = Draft::read(form);
    let key = form.text("key").to_owned();
    if let Some(name) = form.get("preset") {
        let preset = visit.console.hallpass().catalog().preset(name).ok_or(Fault::Bad)?;
        draft.scopes = preset.scopes().iter().map(ToString::to_string).collect();
        return show(visit, source, draft, key, Errors::default()).await;
    }
    let mut errors = Errors::default();
    let expiry = draft.expiry(visit, &mut errors)?;
    let resources = draft.resources(t, &mut errors)?;
    let networks = draft.networks(t, &mut errors);
    errors.of_draft(visit, &draft.name, &draft.scopes);
    if !errors.is_empty() {
        return show(visit, source, draft, key, errors).await;
    }
    let mut issue = Issue::new(&draft.name)
        .scopes(draft.scopes.iter().cloned())
        .resources(resources)
        .idempotency_key(&key);
    if let Some(source) = source {
        issue = issue.audience(source.audience.iter().cloned()).metadata(source.metadata.clone());
        if let Some(client) = &source.client {
            issue = issue.for_client(client);
        }
    }
    if let Some(description) = draft.description() {
        issue = issue.description(description);
    }
    if let Some(expiry) = expiry {
        issue = issue.expiry(expiry);
    }
    if let Some(networks) = networks {
        issue = issue.networks(networks);
    }
    match sent.acting(Role::Owner).await?.issue(issue).await {
        Ok(issued) => secret::created(visit, &issued),
        Err(IssueError::Unconfirmed) => Err(confirm::ask(&sent, Role::Owner, None)),
        Err(IssueError::Replayed(token)) => replayed(visit, &token),
        Err(error) => {
            let errors = Errors::of_issue(visit, error)?;
            show(visit, source, draft, key, errors).await
        }
    }
}

async fn show(
    visit: &Visit,
    source: Option<&Token>,
    draft: Draft,
    key: String,
    errors: Errors,
) -> Result<Response, Fault> {
    let s = visit.shell(Role::Owner)?;
    let kind = source.map_or(Kind::Personal, |source| source.kind);
    let (offered, errors) = match offered(visit, kind).await {
        Ok(offered) => (offered, errors),
        // Nothing can be chosen then; the page says why.
        Err(error) if errors.is_empty() => {
            (visit.console.hallpass().catalog().nothing(), Errors::of_issue(visit, error.into())?)
        }
        Err(_) => (visit.console.hallpass().catalog().nothing(), errors),
    };
    let status = errors.status();
    let (title, lead) = match source {
        None => (s.t.create_title.to_string(), &s.t.create_lead),
        Some(source) => (s.t.fill(&s.t.copy_title, "name", source.name.as_str()), &s.t.copy_lead),
    };
    let create = Create {
        title,
        lead: lead.to_string(),
        copy_of: source.map(|source| source.id.to_string()),
        f: Fields { key, ..Fields::new(visit, &offered, draft, None, errors) },
        s,
    };
    Ok(page(status, &create))
}

/// The scopes that the visitor can grant.
pub(super) async fn offered(visit: &Visit, kind: Kind) -> Result<ScopeSet, OwnerError> {
    let owner = visit.console.hallpass().on_behalf_of(visit.who.as_owner(None));
    owner.grantable(kind).await
}

/// The token that is to be copied.
async fn source(visit: &Visit, id: Option<&str>) -> Result<Option<Token>, Fault> {
    let Some(id) = id else {
        return Ok(None);
    };
    let id: TokenId = id.parse().map_err(|_| Fault::NotFound)?;
    let source = visit.looking(Role::Owner)?.get(&id).await?;
    source.filter(|source| !source.is_derived()).map(Some).ok_or(Fault::NotFound)
}

/// The settings of a copy: a name of its own, and a life as long as the other was given.
fn copied(visit: &Visit, source: &Token) -> Draft {
    let policy = visit.console.hallpass().policy();
    let lifetime = source.expires_at.map(|end| end.since(source.lifecycle().issued_at));
    let expiry = match lifetime {
        None if policy.allow_never => "never".to_owned(),
        None => lifetime_value(policy.default_lifetime),
        Some(lifetime) => {
            // An end that was given as a day is not a whole number of days away.
            let days = (lifetime + TimeDelta::hours(12)).num_days().max(1);
            days.min(policy.max_lifetime.num_days()).to_string()
        }
    };
    let name = source.name.as_str();
    let t = &visit.console.texts;
    Draft { name: t.fill(&t.copy_name, "name", name), ..Draft::of(source, expiry) }
}

fn replayed(visit: &Visit, token: &Token) -> Result<Response, Fault> {
    let s = visit.shell(Role::Owner)?;
    let message = Message {
        title: s.t.replayed_title.to_string(),
        text: s.t.fill(&s.t.replayed_text, "name", token.name.as_str()),
        link: Some((s.t.show_token.to_string(), s.url(&format!("/{}", token.id)))),
        s,
    };
    Ok(page(StatusCode::CONFLICT, &message))
}

/// What makes sending a form twice harmless: 16 random bytes.
fn new_key() -> Result<String, Fault> {
    let mut bytes = [0; 16];
    OsEntropy.fill(&mut bytes).map_err(|_| Fault::Unavailable)?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

/// The networks of a token as the form writes them.
pub(super) fn same_networks(token: &Token, asked: Option<&[ipnet::IpNet]>) -> bool {
    match (&token.networks, asked) {
        (Networks::Anywhere, None) => true,
        (Networks::Listed(listed), Some(asked)) => **listed == *asked,
        _ => false,
    }
}
