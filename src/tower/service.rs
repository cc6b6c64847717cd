//! The service.

use std::mem;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use tower_service::Service;

use super::body::GuardBody;
use super::future::GuardFuture;
use super::layer::GuardLayer;
use crate::credential::CompiledRequirement;

/// A guarded service: what [`GuardLayer`] makes.
#[derive(Debug, Clone)]
pub struct Guard<S> {
    inner: S,
    layer: GuardLayer,
}

impl<S> Guard<S> {
    pub(super) fn new(inner: S, layer: GuardLayer) -> Self {
        Self { inner, layer }
    }
}

impl<S, B, R> Service<Request<B>> for Guard<S>
where
    S: Service<Request<B>, Response = Response<R>> + Clone + Send + 'static,
    S::Future: Send,
    B: Send + 'static,
    R: Body,
    R::Data: From<Bytes>,
{
    type Response = Response<GuardBody<R>>;
    type Error = S::Error;
    type Future = GuardFuture<R, S::Error>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        // The one that was polled ready is the one to call; its clone may not be.
        let next = self.inner.clone();
        let mut inner = mem::replace(&mut self.inner, next);
        let layer = self.layer.clone();
        GuardFuture::new(async move {
            let (mut head, body) = request.into_parts();
            if let Some(copy) = layer.uri_copy.and_then(|copy| copy(&mut head.extensions)) {
                layer.boundary.redact(copy);
            }
            let peer = (layer.peer)(&head.extensions);
            let requirement =
                layer.requirement.or_else(|| head.extensions.get::<CompiledRequirement>().cloned());
            match layer.boundary.admit(&mut head, requirement.as_ref(), peer).await {
                Ok(admitted) => {
                    let (verified, duties) = admitted.into_parts();
                    head.extensions.insert(verified);
                    let mut response = inner.call(Request::from_parts(head, body)).await?;
                    duties.apply(response.headers_mut());
                    Ok(response.map(GuardBody::inner))
                }
                Err(rejection) => Ok(rejection.into_response().map(GuardBody::refusal)),
            }
        })
    }
}
