//! Responses.

use bytes::Bytes;
use http::header::{
    CACHE_CONTROL, CONTENT_TYPE, ETAG, HeaderName, LOCATION, VARY, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderValue, Response, StatusCode};
use serde::Serialize;

pub(super) const JSON: &str = "application/json";
pub(super) const PROBLEM_JSON: &str = "application/problem+json";

/// A response that nobody keeps and everybody gets their own of.
pub(super) fn answer(
    status: StatusCode,
    media_type: &'static str,
    body: &impl Serialize,
) -> Response<Bytes> {
    match serde_json::to_vec(body) {
        Ok(json) => with_body(status, media_type, json.into()),
        // What the API writes is always JSON.
        Err(_) => with_body(StatusCode::INTERNAL_SERVER_ERROR, media_type, Bytes::new()),
    }
}

pub(super) fn ok(body: &impl Serialize) -> Response<Bytes> {
    answer(StatusCode::OK, JSON, body)
}

pub(super) fn nothing() -> Response<Bytes> {
    let mut response = with_body(StatusCode::NO_CONTENT, JSON, Bytes::new());
    response.headers_mut().remove(CONTENT_TYPE);
    response
}

/// A document for everybody.
pub(super) fn document(body: Bytes) -> Response<Bytes> {
    let mut response = with_body(StatusCode::OK, JSON, body);
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=300"));
    headers.remove(VARY);
    response
}

/// Says which version the response shows.
pub(super) fn tagged(mut response: Response<Bytes>, version: u64) -> Response<Bytes> {
    set(&mut response, ETAG, &etag(version));
    response
}

/// Says where the token is that was made.
pub(super) fn located(mut response: Response<Bytes>, path: &str) -> Response<Bytes> {
    set(&mut response, LOCATION, path);
    response
}

/// The entity tag of a version.
pub(super) fn etag(version: u64) -> String {
    format!("\"{version}\"")
}

fn set(response: &mut Response<Bytes>, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::try_from(value) {
        response.headers_mut().insert(name, value);
    }
}

fn with_body(status: StatusCode, media_type: &'static str, body: Bytes) -> Response<Bytes> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(VARY, HeaderValue::from_static("Authorization, Cookie"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}
