//! Responses of the endpoints.

use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, PRAGMA, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, Response, StatusCode};
use serde::Serialize;

use crate::engine::Outage;

/// After how many seconds a client should try again.
const RETRY_SECONDS: u32 = 5;

/// Why a request is refused. No byte of the request is in the response.
#[derive(Debug)]
pub(super) enum Refusal {
    /// 400, with an error code and a sentence.
    Bad(&'static str, &'static str),
    /// 401: the client is not who it says, or did not say; whether to challenge it for Basic.
    Client { challenge: bool },
    /// 403: this client may not ask.
    Forbidden,
    /// 405, with the methods there are.
    Method(&'static str),
    /// 413.
    TooLarge,
    /// 503.
    Unavailable,
}

impl Refusal {
    pub(super) fn invalid(description: &'static str) -> Self {
        Self::Bad("invalid_request", description)
    }
}

impl From<Outage> for Refusal {
    fn from(_: Outage) -> Self {
        Self::Unavailable
    }
}

#[derive(Serialize)]
struct ErrorBody {
    error: &'static str,
    error_description: &'static str,
}

/// A response that nobody keeps.
pub(super) fn answer(status: StatusCode, body: &impl Serialize) -> Response<Bytes> {
    match serde_json::to_vec(body) {
        Ok(json) => with_headers(status, "application/json", "no-store", Bytes::from(json)),
        // What the endpoints write is always JSON.
        Err(_) => with_headers(
            StatusCode::INTERNAL_SERVER_ERROR,
            "application/json",
            "no-store",
            Bytes::new(),
        ),
    }
}

/// The response to a revocation: nothing, whatever happened.
pub(super) fn nothing() -> Response<Bytes> {
    let mut response = with_headers(StatusCode::OK, "application/json", "no-store", Bytes::new());
    response.headers_mut().remove(CONTENT_TYPE);
    response
}

/// A document for everybody.
pub(super) fn document(media_type: &'static str, body: Bytes) -> Response<Bytes> {
    let mut response = with_headers(StatusCode::OK, media_type, "public, max-age=300", body);
    response.headers_mut().remove(PRAGMA);
    response
}

/// The response to a refused request.
pub(super) fn refuse(refusal: &Refusal, basic: &HeaderValue) -> Response<Bytes> {
    let (status, error, error_description) = match refusal {
        Refusal::Bad(error, description) => (StatusCode::BAD_REQUEST, *error, *description),
        Refusal::Client { .. } => {
            (StatusCode::UNAUTHORIZED, "invalid_client", "Client authentication failed")
        }
        Refusal::Forbidden => {
            (StatusCode::FORBIDDEN, "unauthorized_client", "The client may not ask this")
        }
        Refusal::Method(_) => {
            (StatusCode::METHOD_NOT_ALLOWED, "invalid_request", "The method is not allowed")
        }
        Refusal::TooLarge => {
            (StatusCode::PAYLOAD_TOO_LARGE, "invalid_request", "The body is too large")
        }
        Refusal::Unavailable => (
            StatusCode::SERVICE_UNAVAILABLE,
            "temporarily_unavailable",
            "This cannot be told right now",
        ),
    };
    let mut response = answer(status, &ErrorBody { error, error_description });
    let headers = response.headers_mut();
    match refusal {
        Refusal::Client { challenge: true } => {
            headers.insert(WWW_AUTHENTICATE, basic.clone());
        }
        Refusal::Method(allowed) => {
            headers.insert(ALLOW, HeaderValue::from_static(allowed));
        }
        Refusal::Unavailable => {
            headers.insert(RETRY_AFTER, HeaderValue::from(RETRY_SECONDS));
        }
        _ => {}
    }
    response
}

fn with_headers(
    status: StatusCode,
    media_type: &'static str,
    cache: &'static str,
    body: Bytes,
) -> Response<Bytes> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static(cache));
    headers.insert(PRAGMA, HeaderValue::from_static("no-cache"));
    response
}
