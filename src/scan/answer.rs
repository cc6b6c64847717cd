//! Responses of the endpoint.

use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, Response, StatusCode};

use crate::credential::problem_json;

/// After how many seconds a report should come again.
const RETRY_SECONDS: u32 = 5;

/// Why a report is refused. Each has one body, with nothing of the request in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// 400: not signed by a known key, in whatever way.
    Unverified,
    /// 400: signed, and no report.
    Malformed,
    /// 405.
    Method,
    /// 413.
    TooLarge,
    /// 503: some of it could not be dealt with.
    Unavailable,
}

macro_rules! problem {
    ($status:literal, $name:literal, $title:literal, $detail:literal) => {
        ($status, problem_json!($status, $name, $title, $detail))
    };
}

/// The response to a refused report (RFC 9457).
pub(super) fn refuse(refusal: Refusal) -> Response<Bytes> {
    let (status, body): (u16, &'static str) = match refusal {
        Refusal::Unverified => problem!(
            400,
            "unverified-report",
            "Unverified report",
            "The report is not signed by a key that is known here"
        ),
        Refusal::Malformed => problem!(
            400,
            "malformed-report",
            "Malformed report",
            "A report is a JSON array of matches, each with a token"
        ),
        Refusal::Method => {
            problem!(405, "method-not-allowed", "Method not allowed", "Reports come by POST")
        }
        Refusal::TooLarge => problem!(
            413,
            "report-too-large",
            "Report too large",
            "A report has at most 10000 matches and 5 MiB"
        ),
        Refusal::Unavailable => problem!(
            503,
            "unavailable",
            "Unavailable",
            "Not every match could be dealt with; send the report again"
        ),
    };
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response =
        json(status, "application/problem+json", Bytes::from_static(body.as_bytes()));
    let headers = response.headers_mut();
    match refusal {
        Refusal::Method => {
            headers.insert(ALLOW, HeaderValue::from_static("POST"));
        }
        Refusal::Unavailable => {
            headers.insert(RETRY_AFTER, HeaderValue::from(RETRY_SECONDS));
        }
        _ => {}
    }
    response
}

/// The response to a report that was dealt with.
pub(super) fn labels(json_array: Vec<u8>) -> Response<Bytes> {
    json(StatusCode::OK, "application/json", json_array.into())
}

fn json(status: StatusCode, media_type: &'static str, body: Bytes) -> Response<Bytes> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
