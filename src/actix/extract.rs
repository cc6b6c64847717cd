//! What handlers are given and give back.

use std::future::{Ready, ready};

use ::actix_web::dev::Payload;
use ::actix_web::http::StatusCode;
use ::actix_web::{FromRequest, HttpMessage as _, HttpRequest, HttpResponse, ResponseError};

use super::translate::response;
use crate::credential::Rejection;
use crate::engine::Verified;

/// The verified token of a guarded route. On a route that no middleware guards the request is
/// refused with 500.
impl FromRequest for Verified {
    type Error = Rejection;
    type Future = Ready<Result<Self, Rejection>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(request.extensions().get::<Self>().cloned().ok_or_else(Rejection::not_guarded))
    }
}

impl ResponseError for Rejection {
    fn status_code(&self) -> StatusCode {
        response(self).status()
    }

    fn error_response(&self) -> HttpResponse {
        response(self)
    }
}
