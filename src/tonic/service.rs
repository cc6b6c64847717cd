//! The service.

use std::mem;
use std::net::IpAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use ::tonic::metadata::MetadataMap;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{Extensions, HeaderMap, Request, Response};
use http_body::Body;
use pin_project_lite::pin_project;
use tower_layer::Layer as _;
use tower_service::Service;

use super::methods::{Access, MethodLayer};
use super::status::refusal;
use crate::credential::{CompiledRequirement, Peer, Problem};
use crate::tower::{GuardBody, GuardFuture};

/// A guarded server: what [`MethodLayer`] makes.
#[derive(Debug, Clone)]
pub struct GuardedServer<S> {
    inner: S,
    layer: MethodLayer,
}

impl<S> GuardedServer<S> {
    pub(super) fn new(inner: S, layer: MethodLayer) -> Self {
        Self { inner, layer }
    }
}

impl<S, B, R> Service<Request<B>> for GuardedServer<S>
where
    S: Service<Request<B>, Response = Response<R>> + Clone + Send + 'static,
    S::Future: Send,
    B: Send + 'static,
    R: Body,
    R::Data: From<Bytes>,
{
    type Response = Response<GuardBody<R>>;
    type Error = S::Error;
    type Future = GuardedCall<S::Future, R, S::Error>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let requirement = match self.layer.methods.get(request.uri().path()) {
            Some(Access::Anybody) => {
                return GuardedCall { state: State::Public { call: self.inner.call(request) } };
            }
            Some(Access::With(requirement)) => Some(requirement.clone()),
            None => None,
        };
        let is_grpc = speaks_grpc(request.headers());
        let extensions = request.extensions_mut();
        extensions.remove::<CompiledRequirement>();
        if let Some(requirement) = requirement {
            extensions.insert(requirement);
        }
        if extensions.get::<Peer>().is_none()
            && let Some(peer) = connected(extensions)
        {
            extensions.insert(Peer(peer));
        }
        // The one that was polled ready is the one to call; its clone may not be.
        let next = self.inner.clone();
        let inner = mem::replace(&mut self.inner, next);
        let answer = self.layer.guard.layer(inner).call(request);
        GuardedCall { state: State::Guarded { answer, is_grpc } }
    }
}

/// Whether a request is one of gRPC, or of gRPC-Web.
fn speaks_grpc(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_TYPE).is_some_and(|value| value.as_bytes().starts_with(b"application/grpc"))
}

/// The other end of the connection, with TLS or without, as tonic knows it.
fn connected(extensions: &mut Extensions) -> Option<IpAddr> {
    let request = ::tonic::Request::from_parts(MetadataMap::new(), mem::take(extensions), ());
    let peer = request.remote_addr();
    *extensions = request.into_parts().1;
    peer.map(|address| address.ip())
}

pin_project! {
    /// Gives the response of a [`GuardedServer`].
    pub struct GuardedCall<F, R, E> {
        #[pin]
        state: State<F, R, E>,
    }
}

pin_project! {
    #[project = StateProjection]
    enum State<F, R, E> {
        Public { #[pin] call: F },
        Guarded { #[pin] answer: GuardFuture<F, R, E>, is_grpc: bool },
    }
}

impl<F, R, E> Future for GuardedCall<F, R, E>
where
    F: Future<Output = Result<Response<R>, E>>,
{
    type Output = Result<Response<GuardBody<R>>, E>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().state.project() {
            StateProjection::Public { call } => {
                call.poll(context).map_ok(|response| response.map(GuardBody::inner))
            }
            StateProjection::Guarded { answer, is_grpc } => {
                let response = ready!(answer.poll(context))?;
                let problem = response.extensions().get::<Problem>().copied();
                Poll::Ready(Ok(match problem {
                    Some(problem) if *is_grpc => refusal(problem, response.headers()),
                    _ => response,
                }))
            }
        }
    }
}

impl<F, R, E> std::fmt::Debug for GuardedCall<F, R, E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("GuardedCall")
    }
}
