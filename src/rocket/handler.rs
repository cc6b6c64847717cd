//! The handler that stands before a route's own.

use ::rocket::http::Status;
use ::rocket::route::{Handler, Outcome};
use ::rocket::{Data, Request};
use async_trait::async_trait;

use super::seen::Seen;
use crate::credential::{Boundary, CompiledRequirement};

/// The handler that stands before a route's own.
#[derive(Clone)]
pub(super) struct Guarded {
    pub(super) boundary: Boundary,
    pub(super) requirement: CompiledRequirement,
    pub(super) inner: Box<dyn Handler>,
}

#[async_trait]
impl Handler for Guarded {
    async fn handle<'r>(&self, request: &'r Request<'_>, data: Data<'r>) -> Outcome<'r> {
        let Some(seen) = Seen::of(request) else {
            return Outcome::Error(Status::BadRequest);
        };
        let requirement = Some(&self.requirement);
        let admitted = match self
            .boundary
            .admit_found(&seen.found, &seen.head, requirement, seen.peer)
            .await
        {
            Ok(admitted) => admitted,
            Err(rejection) => return Outcome::from(request, rejection),
        };
        let (verified, duties) = admitted.into_parts();
        seen.let_in(verified, duties);
        let outcome = self.inner.handle(request, data).await;
        if outcome.is_forward() {
            // The next route says for itself what it asks for.
            seen.forget();
        }
        outcome
    }
}
