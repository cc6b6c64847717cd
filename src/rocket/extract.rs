//! What handlers are given and give back.

use std::io::Cursor;

use ::rocket::http::Status;
use ::rocket::request::{FromRequest, Outcome};
use ::rocket::response::{Responder, Response, Result};
use ::rocket::{Ignite, Request, Rocket, Sentinel};
use async_trait::async_trait;

use super::fairing::Mounted;
use super::seen::Seen;
use crate::credential::Rejection;
use crate::engine::Verified;

/// The verified token of a guarded route. On a public route it is an error, answered by the app's
/// catcher of 500, or `None` as an `Option`.
#[async_trait]
impl<'r> FromRequest<'r> for Verified {
    type Error = Rejection;

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, Rejection> {
        match Seen::of(request).and_then(Seen::verified) {
            Some(verified) => Outcome::Success(verified),
            None => Outcome::Error((Status::InternalServerError, Rejection::not_guarded())),
        }
    }
}

/// A Rocket in which handlers want tokens that nothing verifies does not launch.
impl Sentinel for Verified {
    fn abort(rocket: &Rocket<Ignite>) -> bool {
        !Mounted::is_all_of(rocket)
    }
}

impl<'r> Responder<'r, 'static> for Rejection {
    fn respond_to(self, _: &'r Request<'_>) -> Result<'static> {
        let (head, body) = self.into_parts();
        let mut response = Response::new();
        response.set_status(Status::new(head.status.as_u16()));
        for (name, value) in &head.headers {
            // The boundary writes ASCII.
            let value = value.to_str().map_err(|_| Status::InternalServerError)?;
            response.adjoin_raw_header(name.as_str().to_owned(), value.to_owned());
        }
        response.set_sized_body(body.len(), Cursor::new(body));
        Ok(response)
    }
}
