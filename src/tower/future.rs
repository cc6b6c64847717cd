//! The future of a guarded service.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::Response;

use super::body::GuardBody;

/// Gives the response of a [`Guard`](super::Guard).
pub struct GuardFuture<R, E>(Pin<Box<dyn Future<Output = Answer<R, E>> + Send>>);

type Answer<R, E> = Result<Response<GuardBody<R>>, E>;

impl<R, E> GuardFuture<R, E> {
    pub(super) fn new(future: impl Future<Output = Answer<R, E>> + Send + 'static) -> Self {
        Self(Box::pin(future))
    }
}

impl<R, E> Future for GuardFuture<R, E> {
    type Output = Answer<R, E>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.as_mut().poll(context)
    }
}

impl<R, E> fmt::Debug for GuardFuture<R, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("GuardFuture")
    }
}
