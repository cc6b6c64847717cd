//! Somebody's request, with who that is.

use std::sync::Arc;

use ::axum::body::to_bytes;
use ::axum::extract::{FromRequest, FromRequestParts, Request};
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use http::request::Parts;

use super::builder::Site;
use super::confirm;
use super::fault::{Fault, Reason};
use super::form::{Form, MAX_BODY};
use super::notice::Notice;
use super::shell::Shell;
use crate::caller::Caller;
use crate::clock::Timestamp;
use crate::engine::OnBehalf;
use crate::host::{ConfirmError, SignedIn};

/// As whom somebody acts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Owner,
    Administrator,
}

impl Role {
    /// The part of the console that belongs to it.
    pub(super) fn section(self) -> &'static str {
        match self {
            Self::Owner => "own",
            Self::Administrator => "admin",
        }
    }
}

/// A request of somebody who is signed in.
#[derive(Debug)]
pub(super) struct Visit {
    pub(super) console: Arc<Site>,
    pub(super) who: SignedIn,
    head: Parts,
}

impl Visit {
    pub(super) fn now(&self) -> Timestamp {
        self.console.hallpass().now()
    }

    /// The fields of the query.
    pub(super) fn query(&self) -> Result<Form, Fault> {
        Form::parse(self.head.uri.query().unwrap_or_default().as_bytes()).ok_or(Fault::Bad)
    }

    /// What stands around a page of this visit.
    pub(super) fn shell(&self, role: Role) -> Result<Shell<'_>, Fault> {
        let notice = self.query()?.get("notice").and_then(Notice::parse);
        Ok(Shell::new(&self.console, &self.who, role.section())?.with_notice(notice))
    }

    /// The engine on behalf of the visitor, as last confirmed.
    pub(super) async fn acting(&self, role: Role) -> Result<OnBehalf<'_>, Fault> {
        let confirmed_at = self.console.host.confirmed_at(&self.head, &self.who).await?;
        Ok(self.console.hallpass().on_behalf_of(self.caller(role, confirmed_at)?))
    }

    /// The engine on behalf of the visitor, to look at things.
    pub(super) fn looking(&self, role: Role) -> Result<OnBehalf<'_>, Fault> {
        Ok(self.console.hallpass().on_behalf_of(self.caller(role, None)?))
    }

    /// Who is no administrator knows of no pages for them.
    fn caller(&self, role: Role, confirmed_at: Option<Timestamp>) -> Result<Caller, Fault> {
        match role {
            Role::Owner => Ok(self.who.as_owner(confirmed_at)),
            Role::Administrator => self.who.as_administrator(confirmed_at).ok_or(Fault::NotFound),
        }
    }
}

impl FromRequestParts<Arc<Site>> for Visit {
    type Rejection = Fault;

    async fn from_request_parts(head: &mut Parts, console: &Arc<Site>) -> Result<Self, Fault> {
        let who = head.extensions.get::<SignedIn>().cloned();
        let who = who.ok_or(Fault::Because(Reason::SignIn))?;
        Ok(Self { console: Arc::clone(console), who, head: head.clone() })
    }
}

/// A form that somebody sent.
pub(super) struct Sent {
    pub(super) visit: Visit,
    pub(super) form: Form,
}

impl Sent {
    /// Refuses fields that the form does not have.
    pub(super) fn knows_only(&self, names: &[&str]) -> Result<(), Fault> {
        let usual = ["csrf", "password", "asked"];
        let known: Vec<&str> = names.iter().chain(&usual).copied().collect();
        if self.form.knows_only(&known) { Ok(()) } else { Err(Fault::Bad) }
    }

    /// The engine on behalf of the sender, confirmed by the password that came with the form, if
    /// one did.
    pub(super) async fn acting(&self, role: Role) -> Result<OnBehalf<'_>, Fault> {
        let visit = &self.visit;
        if let Some(secret) = self.form.get("password") {
            let host = &visit.console.host;
            match host.confirm(&visit.head, &visit.who, secret).await {
                Ok(()) => {}
                Err(ConfirmError::Unavailable(_)) => return Err(Fault::Unavailable),
                Err(error) => return Err(confirm::ask(self, role, Some(&error))),
            }
        }
        visit.acting(role).await
    }

    /// The path that the form was sent to.
    pub(super) fn path(&self) -> &str {
        self.visit.head.uri.path()
    }
}

impl FromRequest<Arc<Site>> for Sent {
    type Rejection = Fault;

    async fn from_request(request: Request, console: &Arc<Site>) -> Result<Self, Fault> {
        let (mut head, body) = request.into_parts();
        let visit = Visit::from_request_parts(&mut head, console).await?;
        if !is_form(&head.headers) {
            return Err(Fault::Because(Reason::MediaType));
        }
        let too_large = |_| Fault::Because(Reason::TooLarge);
        let body = to_bytes(body, MAX_BODY).await.map_err(too_large)?;
        let form = Form::parse(&body).ok_or(Fault::Bad)?;
        console.host.check_same_site(&head, &visit.who, form.get("csrf"))?;
        Ok(Self { visit, form })
    }
}

/// Whether the body is a form, in UTF-8.
fn is_form(headers: &HeaderMap) -> bool {
    let mut lines = headers.get_all(CONTENT_TYPE).iter();
    let (Some(Ok(line)), None) = (lines.next().map(|line| line.to_str()), lines.next()) else {
        return false;
    };
    let (essence, parameters) = line.split_once(';').unwrap_or((line, ""));
    essence.trim().eq_ignore_ascii_case("application/x-www-form-urlencoded")
        && matches!(parameters.trim().to_ascii_lowercase().as_str(), "" | "charset=utf-8")
}
