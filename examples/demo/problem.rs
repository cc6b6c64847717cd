//! What the demo answers when it cannot do what was asked: RFC 9457 problems.

use std::fmt::Display;

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use hallpass::{
    ExchangeError, IssueError, ListError, OwnerError, RevokeError, RotateError, Status, StoreError,
    UpdateError,
};

/// A problem: the status, a short name that programs can tell it by, and a sentence for people.
#[derive(Debug)]
pub(crate) struct Problem {
    pub(crate) status: StatusCode,
    name: &'static str,
    pub(crate) detail: String,
}

impl Problem {
    pub(crate) fn new(
        status: StatusCode,
        name: &'static str,
        detail: &(impl Display + ?Sized),
    ) -> Self {
        Self { status, name, detail: detail.to_string() }
    }

    /// The request cannot be understood, or asks for what nobody gets.
    pub(crate) fn bad(detail: &(impl Display + ?Sized)) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid-request", detail)
    }

    /// There is no such thing, as far as the caller may know.
    pub(crate) fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "not-found", "there is no such token")
    }

    /// The user name or the password is wrong: the same for both.
    pub(crate) fn sign_in() -> Self {
        let detail = "sign in with user name and password (Basic)";
        Self::new(StatusCode::UNAUTHORIZED, "sign-in", detail)
    }

    /// Too many wrong passwords came from there.
    pub(crate) fn too_many() -> Self {
        let detail = "too many wrong passwords; wait five minutes";
        Self::new(StatusCode::TOO_MANY_REQUESTS, "too-many-attempts", detail)
    }

    /// A token was presented where only a person with a password may act.
    pub(crate) fn token_presented() -> Self {
        let detail = "tokens do not manage tokens; sign in with user name and password (Basic)";
        Self::new(StatusCode::FORBIDDEN, "token-presented", detail)
    }

    /// The name belongs to a live token.
    pub(crate) fn name_taken() -> Self {
        let detail = "you have a live token of this name; choose another or delete it first";
        Self::new(StatusCode::CONFLICT, "name-taken", detail)
    }

    /// The account holds as many tokens as it may. A conflict and not a refusal: the account can
    /// resolve it and ask again.
    pub(crate) fn quota(limit: usize) -> Self {
        let detail = format!("the account holds {limit} live tokens, the most allowed");
        Self::new(StatusCode::CONFLICT, "quota-full", &detail)
    }

    fn forbidden(detail: &(impl Display + ?Sized)) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", detail)
    }

    fn conflict(detail: &(impl Display + ?Sized)) -> Self {
        Self::new(StatusCode::CONFLICT, "conflict", detail)
    }

    /// It cannot be told right now. The cause is not for the client.
    pub(crate) fn unavailable() -> Self {
        let detail = "try again in a moment";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", detail)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = serde_json::json!({
            "type": format!("urn:demo:problem:{}", self.name),
            "title": self.status.canonical_reason(),
            "status": self.status.as_u16(),
            "detail": self.detail,
        });
        let headers = [
            (header::CONTENT_TYPE, "application/problem+json"),
            (header::CACHE_CONTROL, "no-store"),
        ];
        let mut response = (self.status, headers, body.to_string()).into_response();
        let extra = match self.status {
            StatusCode::UNAUTHORIZED => {
                (header::WWW_AUTHENTICATE, "Basic realm=\"demo\", charset=\"UTF-8\"")
            }
            StatusCode::TOO_MANY_REQUESTS => (header::RETRY_AFTER, "300"),
            StatusCode::SERVICE_UNAVAILABLE => (header::RETRY_AFTER, "5"),
            _ => return response,
        };
        response.headers_mut().insert(extra.0, header::HeaderValue::from_static(extra.1));
        response
    }
}

impl From<StoreError> for Problem {
    fn from(_: StoreError) -> Self {
        Self::unavailable()
    }
}

impl From<OwnerError> for Problem {
    fn from(error: OwnerError) -> Self {
        match error {
            OwnerError::Unavailable(_) => Self::unavailable(),
            OwnerError::Kind(_) => Self::new(StatusCode::FORBIDDEN, "account-kind", &error),
            _ => Self::forbidden(&error),
        }
    }
}

impl From<IssueError> for Problem {
    fn from(error: IssueError) -> Self {
        match error {
            IssueError::NotFound => Self::not_found(),
            IssueError::Owner(error) => error.into(),
            IssueError::Unconfirmed => Self::forbidden(&error),
            IssueError::NameTaken { .. } => Self::name_taken(),
            IssueError::QuotaFull { limit } => {
                Self::quota(usize::try_from(limit).unwrap_or(usize::MAX))
            }
            IssueError::Replayed(_) => Self::conflict(&error),
            IssueError::Entropy(_) | IssueError::Store(_) => Self::unavailable(),
            _ => Self::bad(&error),
        }
    }
}

impl From<UpdateError> for Problem {
    fn from(error: UpdateError) -> Self {
        match error {
            UpdateError::NotFound | UpdateError::Ended(Status::Revoked) => Self::not_found(),
            UpdateError::Owner(error) => error.into(),
            UpdateError::Unconfirmed => Self::forbidden(&error),
            UpdateError::NameTaken { .. } => Self::name_taken(),
            UpdateError::Ended(_) | UpdateError::Stale { .. } | UpdateError::Exchanged => {
                Self::conflict(&error)
            }
            UpdateError::Store(_) => Self::unavailable(),
            _ => Self::bad(&error),
        }
    }
}

impl From<RotateError> for Problem {
    fn from(error: RotateError) -> Self {
        match error {
            RotateError::NotFound | RotateError::Ended(Status::Revoked) => Self::not_found(),
            RotateError::Unconfirmed => Self::forbidden(&error),
            RotateError::Ended(_) | RotateError::Stale { .. } | RotateError::Kind(_) => {
                Self::conflict(&error)
            }
            RotateError::Expiry(_) => Self::bad(&error),
            _ => Self::unavailable(),
        }
    }
}

impl From<RevokeError> for Problem {
    fn from(error: RevokeError) -> Self {
        match error {
            RevokeError::NotFound => Self::not_found(),
            RevokeError::Unconfirmed => Self::forbidden(&error),
            _ => Self::unavailable(),
        }
    }
}

impl From<ListError> for Problem {
    fn from(error: ListError) -> Self {
        match error {
            ListError::NotFound => Self::not_found(),
            ListError::Store(_) => Self::unavailable(),
            _ => Self::bad(&error),
        }
    }
}

impl From<ExchangeError> for Problem {
    fn from(error: ExchangeError) -> Self {
        match error {
            ExchangeError::Denied(_) => {
                Self::new(StatusCode::UNAUTHORIZED, "invalid-token", &error)
            }
            ExchangeError::QuotaFull { .. } => Self::conflict(&error),
            ExchangeError::Entropy(_) | ExchangeError::Unavailable(_) => Self::unavailable(),
            _ => Self::bad(&error),
        }
    }
}
