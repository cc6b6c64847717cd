//! The middleware.

use std::fmt;
use std::future::{Ready, ready};
use std::net::IpAddr;
use std::pin::Pin;
use std::rc::Rc;

use ::actix_web::body::{EitherBody, MessageBody};
use ::actix_web::dev::{Service, ServiceRequest, ServiceResponse, Transform, forward_ready};
use ::actix_web::{Error, HttpMessage as _, HttpResponse};

use super::translate::{apply, head_of, hide, response};
use crate::credential::{Boundary, CompiledRequirement, Peer, Requirement, RequirementError};

/// Guards what it is wrapped around. Cheap to clone, and made before the server starts, so that a
/// mistake in a requirement is found then.
///
/// One of them guards a route: a token in the URI is gone after the first.
#[derive(Clone)]
pub struct RequireToken {
    boundary: Boundary,
    requirement: Option<CompiledRequirement>,
    peer: fn(&ServiceRequest) -> Option<IpAddr>,
}

impl RequireToken {
    /// The middleware of routes that ask for this.
    ///
    /// # Errors
    /// [`RequirementError`] if a scope is not declared, or nothing could meet the requirement.
    pub fn new(boundary: &Boundary, requirement: Requirement) -> Result<Self, RequirementError> {
        let requirement = boundary.compile(requirement)?;
        Ok(Self { requirement: Some(requirement), ..Self::by_extension(boundary) })
    }

    /// A middleware that takes the [`CompiledRequirement`] of the route from the extensions of the
    /// request. Where there is none, nobody is let in.
    #[must_use]
    pub fn by_extension(boundary: &Boundary) -> Self {
        Self { boundary: boundary.clone(), requirement: None, peer }
    }

    /// How to tell the client's address; from [`Peer`] in the extensions, else from the connection,
    /// unless given. It must come from a source that the app trusts.
    #[must_use]
    pub fn peer_from(mut self, peer: fn(&ServiceRequest) -> Option<IpAddr>) -> Self {
        self.peer = peer;
        self
    }
}

fn peer(request: &ServiceRequest) -> Option<IpAddr> {
    let told = request.extensions().get::<Peer>().map(|peer| peer.0);
    told.or_else(|| request.peer_addr().map(|address| address.ip()))
}

impl fmt::Debug for RequireToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequireToken")
            .field("boundary", &self.boundary)
            .field("requirement", &self.requirement)
            .finish_non_exhaustive()
    }
}

impl<S, B> Transform<S, ServiceRequest> for RequireToken
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error> + 'static,
    B: MessageBody + 'static,
{
    type Response = ServiceResponse<EitherBody<B>>;
    type Error = Error;
    type Transform = RequireTokenService<S>;
    type InitError = ();
    type Future = Ready<Result<Self::Transform, ()>>;

    fn new_transform(&self, inner: S) -> Self::Future {
        ready(Ok(RequireTokenService { inner: Rc::new(inner), guard: self.clone() }))
    }
}

/// A guarded service: what [`RequireToken`] makes.
#[derive(Debug)]
pub struct RequireTokenService<S> {
    inner: Rc<S>,
    guard: RequireToken,
}

impl<S, B> Service<ServiceRequest> for RequireTokenService<S>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error> + 'static,
    B: MessageBody + 'static,
{
    type Response = ServiceResponse<EitherBody<B>>;
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Error>>>>;

    forward_ready!(inner);

    fn call(&self, request: ServiceRequest) -> Self::Future {
        Box::pin(answer(Rc::clone(&self.inner), self.guard.clone(), request))
    }
}

/// Lets the request in and has it answered, or answers what the boundary says.
async fn answer<S, B>(
    inner: Rc<S>,
    guard: RequireToken,
    mut request: ServiceRequest,
) -> Result<ServiceResponse<EitherBody<B>>, Error>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error>,
{
    let refuse = |request: ServiceRequest, response: HttpResponse| {
        Ok(request.into_response(response).map_into_right_body())
    };
    let Some(mut head) = head_of(&request) else {
        return refuse(request, HttpResponse::BadRequest().finish());
    };
    let peer = (guard.peer)(&request);
    let found = guard.boundary.find(&mut head);
    hide(&mut request, &head);
    let told = request.extensions().get::<CompiledRequirement>().cloned();
    let requirement = guard.requirement.or(told);
    match guard.boundary.admit_found(&found, &head, requirement.as_ref(), peer).await {
        Err(rejection) => refuse(request, response(&rejection)),
        Ok(admitted) => {
            let (verified, duties) = admitted.into_parts();
            request.extensions_mut().insert(verified);
            match inner.call(request).await {
                Ok(mut response) => {
                    apply(&duties, response.headers_mut());
                    Ok(response.map_into_left_body())
                }
                // It becomes a response further out.
                Err(mut error) => {
                    error.add_response_mapper(move |mut response| {
                        apply(&duties, response.headers_mut());
                        response
                    });
                    Err(error)
                }
            }
        }
    }
}
