//! What is wrong with a form, said at the field it is about.

use http::StatusCode;

use super::fault::Fault;
use super::span::span;
use super::visit::Visit;
use crate::engine::{IssueError, OwnerError, RotateError, SettingsError, UpdateError};
use crate::policy::ExpiryError;
use crate::scope::{ParseResourceError, ParseScopeError};
use crate::token::{ParseNameError, TokenId, TokenName};

/// What is wrong with a form.
#[derive(Debug, Default)]
pub(super) struct Errors {
    all: Vec<FormError>,
    /// What the page is answered with, if not that the form is wrong.
    status: Option<StatusCode>,
}

#[derive(Debug)]
pub(super) struct FormError {
    /// The field it is about.
    pub(super) field: Option<&'static str>,
    pub(super) text: String,
    /// Where to go from here.
    pub(super) link: Option<(String, String)>,
}

impl Errors {
    pub(super) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &FormError> {
        self.all.iter()
    }

    /// What is wrong with a field.
    pub(super) fn of(&self, field: &str) -> Option<&str> {
        let of = self.all.iter().find(|error| error.field == Some(field));
        of.map(|error| error.text.as_str())
    }

    pub(super) fn add(&mut self, field: &'static str, text: impl Into<String>) {
        self.all.push(FormError { field: Some(field), text: text.into(), link: None });
    }

    /// What is plainly wrong with a form, to be said before anybody is asked for a password.
    pub(super) fn of_draft(&mut self, visit: &Visit, name: &str, scopes: &[String]) {
        let name = name.parse::<TokenName>().err().map(SettingsError::from);
        let scope = scopes.is_empty().then_some(SettingsError::NoScope);
        for error in name.iter().chain(&scope) {
            self.all.extend(settings(visit, error).all);
        }
    }

    /// The status of the page that shows them.
    pub(super) fn status(&self) -> StatusCode {
        let usual = if self.is_empty() { StatusCode::OK } else { StatusCode::BAD_REQUEST };
        self.status.unwrap_or(usual)
    }

    fn one(field: &'static str, text: impl Into<String>) -> Self {
        let mut errors = Self::default();
        errors.add(field, text);
        errors
    }

    fn whole(text: impl Into<String>) -> Self {
        let error = FormError { field: None, text: text.into(), link: None };
        Self { all: vec![error], ..Self::default() }
    }

    fn conflict(self) -> Self {
        Self { status: Some(StatusCode::CONFLICT), ..self }
    }

    fn outage(visit: &Visit) -> Self {
        let status = Some(StatusCode::SERVICE_UNAVAILABLE);
        Self { status, ..Self::whole(visit.console.texts.error_unavailable.clone()) }
    }

    fn name_taken(visit: &Visit, by: &TokenId) -> Self {
        let t = &visit.console.texts;
        let url = visit.console.mount.join(&format!("/{by}"));
        let link = Some((t.error_name_taken_link.to_string(), url));
        let error = FormError { field: Some("name"), text: t.error_name_taken.to_string(), link };
        Self { all: vec![error], ..Self::default() }.conflict()
    }

    /// Why a token was not issued; for what is not about the form, a fault.
    pub(super) fn of_issue(visit: &Visit, error: IssueError) -> Result<Self, Fault> {
        let t = &visit.console.texts;
        Ok(match error {
            IssueError::Settings(error) => settings(visit, &error),
            IssueError::Owner(error) => owner(visit, &error),
            IssueError::Expiry(error) => expiry(visit, error),
            IssueError::Window => Self::one("expiry", t.error_window.clone()),
            IssueError::NameTaken { by } => Self::name_taken(visit, &by),
            IssueError::QuotaFull { limit } => {
                Self::whole(t.count(&t.error_quota, limit.into())).conflict()
            }
            IssueError::IdempotencyKey => Self::whole(t.error_form_used.clone()).conflict(),
            IssueError::Entropy(_) | IssueError::Store(_) => Self::outage(visit),
            _ => return Err(Fault::NotFound),
        })
    }

    /// Why a token was not changed; for what is not about the form, a fault.
    pub(super) fn of_update(visit: &Visit, error: UpdateError) -> Result<Self, Fault> {
        let t = &visit.console.texts;
        Ok(match error {
            UpdateError::Settings(error) => settings(visit, &error),
            UpdateError::Owner(error) => owner(visit, &error),
            UpdateError::Expiry(error) => expiry(visit, error),
            UpdateError::NameTaken { by } => Self::name_taken(visit, &by),
            UpdateError::Stale { .. } => Self::whole(t.error_stale.clone()).conflict(),
            UpdateError::Ended(_) | UpdateError::Exchanged => {
                Self::whole(t.error_ended.clone()).conflict()
            }
            UpdateError::NotOwnSuspension => {
                let status = Some(StatusCode::FORBIDDEN);
                Self { status, ..Self::whole(t.error_not_own_suspension.clone()) }
            }
            UpdateError::Store(_) => Self::outage(visit),
            UpdateError::NotFound | UpdateError::Unconfirmed => return Err(Fault::NotFound),
        })
    }

    /// Why a token was not rotated; for what is not about the form, a fault.
    pub(super) fn of_rotate(visit: &Visit, error: RotateError) -> Result<Self, Fault> {
        let t = &visit.console.texts;
        Ok(match error {
            RotateError::Owner(error) => owner(visit, &error),
            RotateError::Expiry(error) => expiry(visit, error),
            RotateError::Ended(_) | RotateError::Kind(_) => {
                Self::whole(t.error_ended.clone()).conflict()
            }
            RotateError::Entropy(_) | RotateError::Store(_) | RotateError::Unavailable(_) => {
                Self::outage(visit)
            }
            _ => return Err(Fault::NotFound),
        })
    }
}

fn settings(visit: &Visit, error: &SettingsError) -> Errors {
    let t = &visit.console.texts;
    match error {
        SettingsError::Name(error) => {
            let text = match error {
                ParseNameError::Length => &t.error_name_length,
                ParseNameError::Character => &t.error_name_character,
                ParseNameError::OuterSpace => &t.error_name_space,
                ParseNameError::Invisible => &t.error_name_invisible,
            };
            Errors::one("name", text.clone())
        }
        SettingsError::Description => Errors::one("description", t.error_description.clone()),
        SettingsError::NoScope => Errors::one("scope", t.error_scope_none.clone()),
        SettingsError::Scope(ParseScopeError::TooMany) => {
            Errors::one("scope", t.error_scope_many.clone())
        }
        SettingsError::Scope(_) => {
            Errors::one("scope", t.fill(&t.error_scope_unknown, "scope", ""))
        }
        SettingsError::Unknown { name } => {
            Errors::one("scope", t.fill(&t.error_scope_unknown, "scope", name))
        }
        SettingsError::NotForKind { scope, .. } => {
            Errors::one("scope", t.fill(&t.error_scope_kind, "scope", scope.as_str()))
        }
        SettingsError::Resource(ParseResourceError::TooMany) => {
            Errors::one("resources", t.error_resource_many.clone())
        }
        SettingsError::Resource(_) => {
            Errors::one("resources", t.fill(&t.error_resource, "text", ""))
        }
        SettingsError::Networks => Errors::one("networks", t.error_network_many.clone()),
        SettingsError::Party => Errors::whole(t.error_party.clone()),
    }
}

fn owner(visit: &Visit, error: &OwnerError) -> Errors {
    let t = &visit.console.texts;
    match error {
        OwnerError::Unknown => Errors::whole(t.error_owner_unknown.clone()),
        OwnerError::Inactive => Errors::whole(t.error_owner_inactive.clone()),
        OwnerError::Kind(_) => Errors::whole(t.error_owner_kind.clone()),
        OwnerError::Beyond { scope } => {
            Errors::one("scope", t.fill(&t.error_scope_beyond, "scope", scope.as_str()))
        }
        OwnerError::Unavailable(_) => Errors::outage(visit),
    }
}

fn expiry(visit: &Visit, error: ExpiryError) -> Errors {
    let t = &visit.console.texts;
    let text = match error {
        ExpiryError::TooShort => t.error_expiry_short.to_string(),
        ExpiryError::TooLong | ExpiryError::OutOfRange => {
            let longest = span(visit.console.hallpass().policy().max_lifetime, t);
            t.fill(&t.error_expiry_long, "span", &longest)
        }
        ExpiryError::Never => t.error_expiry_never.to_string(),
    };
    Errors::one("expiry", text)
}
