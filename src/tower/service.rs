//! The service.

use std::mem;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use tower_service::Service;

use super::body::GuardBody;
use super::future::{GuardFuture, let_in, refusal};
use super::layer::GuardLayer;

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
    type Future = GuardFuture<S::Future, R, S::Error>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (mut head, body) = request.into_parts();
        let layer = &self.layer;
        if let Some(copy) = layer.uri_copy.and_then(|copy| copy(&mut head.extensions)) {
            layer.boundary.redact(copy);
        }
        let peer = (layer.peer)(&head.extensions);
        let found = layer.boundary.find(&mut head);
        // The one that was polled ready is the one to call; its clone may not be.
        match layer.boundary.admit_at_once(&found, &head, layer.requirement(&head), peer) {
            Some(Ok(admitted)) => {
                let (verified, duties) = admitted.into_parts();
                head.extensions.insert(verified);
                GuardFuture::admitted(self.inner.call(Request::from_parts(head, body)), duties)
            }
            Some(Err(rejection)) => {
                // It is not called, so what it reserved when it became ready is given back.
                self.inner = self.inner.clone();
                GuardFuture::refused(rejection)
            }
            None => {
                let next = self.inner.clone();
                let mut inner = mem::replace(&mut self.inner, next);
                let layer = layer.clone();
                GuardFuture::waiting(async move {
                    let requirement = layer.requirement(&head);
                    let admitted = layer.boundary.admit_found(&found, &head, requirement, peer);
                    match admitted.await {
                        Ok(admitted) => {
                            let (verified, duties) = admitted.into_parts();
                            head.extensions.insert(verified);
                            let response = inner.call(Request::from_parts(head, body)).await?;
                            Ok(let_in(response, &duties))
                        }
                        Err(rejection) => Ok(refusal(rejection)),
                    }
                })
            }
        }
    }
}
