//! The guard of a route.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use ::axum::body::Body;
use http::{Request, Response};
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use crate::tower::{Guard, GuardBody, GuardLayer};

/// The [`GuardLayer`] of a route, giving axum's own body: any other one axum puts in a box.
#[derive(Clone)]
pub(super) struct RouteLayer(pub(super) GuardLayer);

#[derive(Clone)]
pub(super) struct RouteGuard<S>(Guard<S>);

impl<S> Layer<S> for RouteLayer {
    type Service = RouteGuard<S>;

    fn layer(&self, inner: S) -> RouteGuard<S> {
        RouteGuard(self.0.layer(inner))
    }
}

impl<S, B, F, E> Service<Request<B>> for RouteGuard<S>
where
    Guard<S>: Service<Request<B>, Response = Response<GuardBody<Body>>, Error = E, Future = F>,
    F: Future<Output = Result<Response<GuardBody<Body>>, E>>,
{
    type Response = Response<Body>;
    type Error = E;
    type Future = RouteFuture<F>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), E>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> RouteFuture<F> {
        RouteFuture { guarded: self.0.call(request) }
    }
}

pin_project! {
    pub(super) struct RouteFuture<F> {
        #[pin]
        guarded: F,
    }
}

impl<F, E> Future for RouteFuture<F>
where
    F: Future<Output = Result<Response<GuardBody<Body>>, E>>,
{
    type Output = Result<Response<Body>, E>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let response = ready!(self.project().guarded.poll(context));
        Poll::Ready(response.map(|response| response.map(GuardBody::unwrapped)))
    }
}
