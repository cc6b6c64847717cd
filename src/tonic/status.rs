//! Refusals in gRPC's own words.

use std::time::Duration;

use ::tonic::metadata::MetadataMap;
use ::tonic::{Code, Request, Status};
use bytes::Bytes;
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, Response};
use tonic_types::{ErrorDetails, StatusExt as _};

use crate::credential::{Problem, Rejection};
use crate::engine::{Forbidden, Verified};
use crate::tower::GuardBody;

/// Who gives the reasons of `ErrorInfo`.
const DOMAIN: &str = "hallpass";

/// The verified token of a guarded method.
///
/// # Errors
/// `INTERNAL` if no layer guards the method.
pub fn verified<T>(request: &Request<T>) -> Result<&Verified, Status> {
    request.extensions().get().ok_or_else(|| Rejection::not_guarded().into())
}

impl From<Rejection> for Status {
    fn from(rejection: Rejection) -> Self {
        status(rejection.problem(), rejection.headers())
    }
}

impl From<Forbidden> for Status {
    fn from(forbidden: Forbidden) -> Self {
        Rejection::from(forbidden).into()
    }
}

/// The response that refuses a request: a status and nothing after it.
pub(super) fn refusal<R>(problem: Problem, headers: &HeaderMap) -> Response<GuardBody<R>> {
    let mut response = status(problem, headers).into_http::<()>();
    response.extensions_mut().insert(problem);
    response.map(|()| GuardBody::refusal(Bytes::new()))
}

/// The status of a problem that is refused over HTTP with these header lines.
fn status(problem: Problem, headers: &HeaderMap) -> Status {
    let mut lines = headers.clone();
    lines.remove(CONTENT_TYPE);
    let mut details = ErrorDetails::new();
    details.set_error_info(reason(problem), DOMAIN, []);
    if let Some(seconds) =
        headers.get(RETRY_AFTER).and_then(|after| after.to_str().ok()?.parse().ok())
    {
        details.set_retry_info(Some(Duration::from_secs(seconds)));
    }
    Status::with_error_details_and_metadata(
        code(problem),
        problem.detail(),
        details,
        MetadataMap::from_headers(lines),
    )
}

fn reason(problem: Problem) -> String {
    let name = problem.type_uri().rsplit(':').next().unwrap_or_default();
    name.replace('-', "_").to_ascii_uppercase()
}

fn code(problem: Problem) -> Code {
    match problem {
        Problem::CredentialRequired
        | Problem::MalformedCredential
        | Problem::SeveralCredentials
        | Problem::InvalidToken => Code::Unauthenticated,
        Problem::InsufficientScope
        | Problem::InsufficientResource
        | Problem::CrossSite
        | Problem::NoRequirement => Code::PermissionDenied,
        Problem::TooManyRequests | Problem::UriTooLong | Problem::HeaderTooLarge => {
            Code::ResourceExhausted
        }
        Problem::Unavailable => Code::Unavailable,
        Problem::NotGuarded => Code::Internal,
    }
}
