//! The API as axum routes.

use ::axum::Router;
use ::axum::body::{Body, to_bytes};
use ::axum::extract::{Request, State};
use ::axum::response::Response;
use ::axum::routing::any;

use super::route::ROUTES;
use super::{Api, MAX_BODY_LEN};
use crate::axum::peer;

impl Api {
    /// The routes, under the [mount path](super::ApiBuilder::mounted_at). Merge them into the
    /// app's router.
    ///
    /// ```
    /// # use hallpass::host::Host;
    /// use axum::Router;
    /// use hallpass::api::{Api, ApiError};
    ///
    /// fn app(host: Host) -> Result<Router, ApiError> {
    ///     Ok(Router::new().merge(Api::builder(host).build()?.into_router()))
    /// }
    /// ```
    pub fn into_router<S: Clone + Send + Sync + 'static>(self) -> Router<S> {
        let mut paths: Vec<&str> = ROUTES.iter().map(|route| route.path).collect();
        paths.sort_unstable();
        paths.dedup();
        // Every method comes here, so that a wrong one is answered like everything else.
        let router = paths.iter().fold(Router::new(), |router, path| {
            router.route(&self.mount().join(path), any(respond))
        });
        router.with_state(self)
    }
}

async fn respond(State(api): State<Api>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let peer = peer(&head.extensions);
    let response = match to_bytes(body, MAX_BODY_LEN).await {
        Ok(body) => api.respond(head, &body, peer).await,
        Err(_) => api.too_large(),
    };
    response.map(Body::from)
}
