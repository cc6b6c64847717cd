//! Between actix-web's types, which are those of `http` 0.2, and the boundary's.

use ::actix_web::HttpResponse;
use ::actix_web::dev::ServiceRequest;
use ::actix_web::http::header::{self as actix, HeaderMap as ActixHeaders};
use ::actix_web::http::{StatusCode, Uri as ActixUri};
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri};

use crate::credential::{Duties, Rejection};

/// The head of a request as the boundary sees it: every header line, in order, none joined or
/// dropped. `None` if the newer `http` does not take what the older one took.
pub(super) fn head_of(request: &ServiceRequest) -> Option<Parts> {
    let (mut head, ()) = Request::new(()).into_parts();
    head.method = Method::from_bytes(request.method().as_str().as_bytes()).ok()?;
    head.uri = Uri::try_from(request.uri().to_string()).ok()?;
    for (name, value) in request.headers() {
        let name = HeaderName::from_bytes(name.as_str().as_bytes()).ok()?;
        let value = HeaderValue::from_bytes(value.as_bytes()).ok()?;
        head.headers.try_append(name, value).ok()?;
    }
    Some(head)
}

/// What the boundary hid in the head is hidden in the request: credentials are marked sensitive,
/// and those in the URI are gone.
pub(super) fn hide(request: &mut ServiceRequest, head: &Parts) {
    if head.headers.values().any(HeaderValue::is_sensitive) {
        request.headers_mut().retain(|name, value| {
            if head.headers.get(name.as_str()).is_some_and(HeaderValue::is_sensitive) {
                value.set_sensitive(true);
            }
            true
        });
    }
    if head.uri.query() != request.uri().query() {
        // What cannot be put together again is left empty.
        let uri = ActixUri::try_from(head.uri.to_string()).unwrap_or_default();
        request.match_info_mut().get_mut().update(&uri);
        request.head_mut().uri = uri;
    }
}

/// The response of a rejection, with the problem in its extensions.
pub(super) fn response(rejection: &Rejection) -> HttpResponse {
    let problem = rejection.problem();
    let status = StatusCode::from_u16(problem.status().as_u16());
    let mut response = HttpResponse::with_body(
        status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
        body(problem.body()),
    );
    copy(rejection.headers(), response.headers_mut());
    response.extensions_mut().insert(problem);
    response
}

fn body(bytes: Bytes) -> ::actix_web::body::BoxBody {
    ::actix_web::body::BoxBody::new(bytes)
}

/// Makes a response private to whom it was made for.
pub(super) fn apply(duties: &Duties, headers: &mut ActixHeaders) {
    let mut lines = HeaderMap::new();
    for name in Duties::HEADERS {
        for value in headers.remove(name.as_str()) {
            // One `http` takes the values of the other.
            if let Ok(value) = HeaderValue::from_bytes(value.as_bytes()) {
                lines.append(name.clone(), value);
            }
        }
    }
    duties.apply(&mut lines);
    copy(&lines, headers);
}

fn copy(from: &HeaderMap, to: &mut ActixHeaders) {
    for (name, value) in from {
        let name = actix::HeaderName::from_bytes(name.as_str().as_bytes());
        let value = actix::HeaderValue::from_bytes(value.as_bytes());
        if let (Ok(name), Ok(value)) = (name, value) {
            to.append(name, value);
        }
    }
}
