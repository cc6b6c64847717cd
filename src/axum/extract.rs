//! What axum and hallpass put in the extensions of a request.

use std::net::{IpAddr, SocketAddr};

use ::axum::body::Body;
use ::axum::extract::{ConnectInfo, FromRequestParts, OriginalUri};
use ::axum::response::{IntoResponse, Response};
use http::request::Parts;
use http::{Extensions, Uri};

use crate::credential::{Peer, Rejection};
use crate::engine::Verified;

/// The verified token of a guarded route. On a route that no layer guards the request is refused
/// with 500.
impl<S: Sync> FromRequestParts<S> for Verified {
    type Rejection = Rejection;

    async fn from_request_parts(head: &mut Parts, _: &S) -> Result<Self, Rejection> {
        head.extensions.get::<Self>().cloned().ok_or_else(Rejection::not_guarded)
    }
}

impl IntoResponse for Rejection {
    fn into_response(self) -> Response {
        let (head, body) = self.into_parts();
        Response::from_parts(head, Body::from(body))
    }
}

/// The client's address: [`Peer`] if something put it there, else axum's `ConnectInfo`. For
/// [`GuardLayer::peer_from`](crate::tower::GuardLayer::peer_from); [`GuardedRouter`](super::GuardedRouter)
/// uses it already.
#[must_use]
pub fn peer(extensions: &Extensions) -> Option<IpAddr> {
    let connected = || extensions.get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip());
    extensions.get::<Peer>().map(|peer| peer.0).or_else(connected)
}

/// The copy of the URI that axum keeps. For
/// [`GuardLayer::uri_copy_in`](crate::tower::GuardLayer::uri_copy_in);
/// [`GuardedRouter`](super::GuardedRouter) uses it already.
pub fn original_uri(extensions: &mut Extensions) -> Option<&mut Uri> {
    extensions.get_mut::<OriginalUri>().map(|original| &mut original.0)
}
