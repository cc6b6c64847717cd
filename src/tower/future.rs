//! The future of a guarded service.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::Response;
use pin_project_lite::pin_project;

use super::body::GuardBody;
use crate::credential::{Duties, Rejection};

pin_project! {
    /// Gives the response of a [`Guard`](super::Guard).
    pub struct GuardFuture<F, R, E> {
        #[pin]
        state: State<F, R, E>,
    }
}

pin_project! {
    #[project = StateProjection]
    enum State<F, R, E> {
        // The request was let in at once.
        Admitted { #[pin] call: F, duties: Duties },
        // The request was refused at once.
        Refused { rejection: Option<Rejection> },
        // Something has to be fetched first.
        Waiting { answer: Boxed<R, E> },
    }
}

type Answer<R, E> = Result<Response<GuardBody<R>>, E>;
type Boxed<R, E> = Pin<Box<dyn Future<Output = Answer<R, E>> + Send>>;

impl<F, R, E> GuardFuture<F, R, E> {
    pub(super) fn admitted(call: F, duties: Duties) -> Self {
        Self { state: State::Admitted { call, duties } }
    }

    pub(super) fn refused(rejection: Rejection) -> Self {
        Self { state: State::Refused { rejection: Some(rejection) } }
    }

    pub(super) fn waiting(answer: impl Future<Output = Answer<R, E>> + Send + 'static) -> Self {
        Self { state: State::Waiting { answer: Box::pin(answer) } }
    }
}

impl<F, R, E> Future for GuardFuture<F, R, E>
where
    F: Future<Output = Result<Response<R>, E>>,
{
    type Output = Answer<R, E>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().state.project() {
            StateProjection::Admitted { call, duties } => {
                Poll::Ready(ready!(call.poll(context)).map(|response| let_in(response, duties)))
            }
            StateProjection::Refused { rejection } => match rejection.take() {
                Some(rejection) => Poll::Ready(Ok(refusal(rejection))),
                // Nobody may ask again after the answer.
                None => Poll::Pending,
            },
            StateProjection::Waiting { answer } => answer.as_mut().poll(context),
        }
    }
}

/// The response to a request that was let in.
pub(super) fn let_in<R>(mut response: Response<R>, duties: &Duties) -> Response<GuardBody<R>> {
    duties.apply(response.headers_mut());
    response.map(GuardBody::inner)
}

/// The response to a request that was refused.
pub(super) fn refusal<R>(rejection: Rejection) -> Response<GuardBody<R>> {
    rejection.into_response().map(GuardBody::refusal)
}

impl<F, R, E> fmt::Debug for GuardFuture<F, R, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("GuardFuture")
    }
}
