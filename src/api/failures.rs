//! What the engine and the host refuse, as the API tells it.

use super::problem::{Code, Failure, member};
use crate::engine::{
    IssueError, ListError, Outage, OwnerError, RevokeError, RotateError, SettingsError, UpdateError,
};
use crate::host::{ConfirmError, Refused};
use crate::policy::ExpiryError;
use crate::store::StoreError;
use crate::token::EntropyError;

impl From<Refused> for Failure {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::TokenPresented => Code::TokenNotAccepted.into(),
            Refused::Nobody => Code::SignInRequired.into(),
            Refused::Csrf(why) => Self::from(Code::CsrfRefused).detail(why),
            Refused::Unavailable(_) => Code::Unavailable.into(),
        }
    }
}

impl From<ConfirmError> for Failure {
    fn from(error: ConfirmError) -> Self {
        match error {
            ConfirmError::Wrong => Code::WrongSecret.into(),
            ConfirmError::TooMany { retry_after_seconds } => {
                Self::from(Code::TooManyAttempts).retry_after(retry_after_seconds)
            }
            ConfirmError::Unavailable(_) => Code::Unavailable.into(),
        }
    }
}

impl From<StoreError> for Failure {
    fn from(_: StoreError) -> Self {
        Code::Unavailable.into()
    }
}

impl From<EntropyError> for Failure {
    fn from(_: EntropyError) -> Self {
        Code::Unavailable.into()
    }
}

impl From<Outage> for Failure {
    fn from(_: Outage) -> Self {
        Code::Unavailable.into()
    }
}

impl From<OwnerError> for Failure {
    fn from(error: OwnerError) -> Self {
        match error {
            OwnerError::Unavailable(_) => Code::Unavailable.into(),
            OwnerError::Beyond { .. } => {
                let wrong = member("/scopes", "not-held", &error);
                Self::from(Code::ScopeNotHeld).errors(vec![wrong])
            }
            other => Self::from(Code::OwnerNotAllowed).detail(other),
        }
    }
}

impl From<SettingsError> for Failure {
    fn from(error: SettingsError) -> Self {
        let pointer = match &error {
            SettingsError::Name(_) => "/name",
            SettingsError::Description => "/description",
            SettingsError::Scope(_)
            | SettingsError::Unknown { .. }
            | SettingsError::NoScope
            | SettingsError::NotForKind { .. } => "/scopes",
            SettingsError::Resource(_) => "/resources",
            SettingsError::Networks => "/networks",
            SettingsError::Party => "",
        };
        Self::body(vec![member(pointer, "invalid", error)])
    }
}

/// An end that is not allowed, at the member where it was asked for.
pub(super) fn expiry(error: ExpiryError, pointer: &str) -> Failure {
    let code = match error {
        ExpiryError::TooShort => "too-short",
        ExpiryError::TooLong => "too-long",
        ExpiryError::Never => "never",
        ExpiryError::OutOfRange => "out-of-range",
    };
    Failure::body(vec![member(pointer, code, error)])
}

/// Why a token was not issued; `pointer` is where its end was asked for.
pub(super) fn issue(error: IssueError, pointer: &str) -> Failure {
    match error {
        IssueError::NotFound => Code::NotFound.into(),
        IssueError::Unconfirmed => Code::ConfirmationRequired.into(),
        IssueError::Settings(error) => error.into(),
        IssueError::Owner(error) => error.into(),
        IssueError::Expiry(error) => expiry(error, pointer),
        IssueError::Window => Failure::body(vec![member("/not_before", "invalid", error)]),
        IssueError::NameTaken { by } => Failure::from(Code::NameTaken).conflicts_with(by),
        IssueError::QuotaFull { .. } => Failure::from(Code::QuotaFull).detail(error),
        IssueError::IdempotencyKey => Code::KeyReused.into(),
        // But for outages: an owner is who makes the request, no client is asked for, and a
        // repeated request is no failure.
        IssueError::OwnerMissing
        | IssueError::OwnerLabel(_)
        | IssueError::ClientMissing
        | IssueError::Replayed(_)
        | IssueError::Entropy(_)
        | IssueError::Store(_) => Code::Unavailable.into(),
    }
}

/// Why a token was not changed; `pointer` is where its end was asked for.
pub(super) fn update(error: UpdateError, pointer: &str, stale: Code) -> Failure {
    match error {
        UpdateError::NotFound => Code::NotFound.into(),
        UpdateError::Unconfirmed => Code::ConfirmationRequired.into(),
        UpdateError::Ended(_) => Failure::from(Code::TokenEnded).detail(error),
        UpdateError::Stale { .. } => stale.into(),
        UpdateError::Settings(error) => error.into(),
        UpdateError::Owner(error) => error.into(),
        UpdateError::Expiry(error) => expiry(error, pointer),
        UpdateError::NameTaken { by } => Failure::from(Code::NameTaken).conflicts_with(by),
        UpdateError::Exchanged => Code::NotEditable.into(),
        UpdateError::NotOwnSuspension => Code::SuspendedByAdministrator.into(),
        UpdateError::Store(_) => Code::Unavailable.into(),
    }
}

/// Why a token was not rotated; `pointer` is where its end was asked for.
pub(super) fn rotate(error: RotateError, pointer: &str) -> Failure {
    match error {
        RotateError::NotFound => Code::NotFound.into(),
        RotateError::Unconfirmed => Code::ConfirmationRequired.into(),
        RotateError::Ended(_) => Failure::from(Code::TokenEnded).detail(error),
        RotateError::Stale { .. } => Code::ChangedMeanwhile.into(),
        RotateError::Expiry(error) => expiry(error, pointer),
        RotateError::Owner(error) => error.into(),
        RotateError::Kind(_) => Code::NotRotatable.into(),
        // A text that is refused is told by the boundary.
        RotateError::Denied(_)
        | RotateError::Entropy(_)
        | RotateError::Store(_)
        | RotateError::Unavailable(_) => Code::Unavailable.into(),
    }
}

impl From<RevokeError> for Failure {
    fn from(error: RevokeError) -> Self {
        match error {
            RevokeError::NotFound => Code::NotFound.into(),
            RevokeError::Unconfirmed => Code::ConfirmationRequired.into(),
            RevokeError::Store(_) => Code::Unavailable.into(),
        }
    }
}

impl From<ListError> for Failure {
    fn from(error: ListError) -> Self {
        match error {
            ListError::NotFound => Code::NotFound.into(),
            ListError::Limit => {
                Self::query(vec![super::problem::parameter("limit", "invalid", error)])
            }
            ListError::Cursor => Code::InvalidCursor.into(),
            ListError::Store(_) => Code::Unavailable.into(),
        }
    }
}
