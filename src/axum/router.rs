//! A router on which every route says what it asks for.

use ::axum::Router;
use ::axum::routing::MethodRouter;

use super::extract::{original_uri, peer};
use super::guard::RouteLayer;
use crate::credential::{Boundary, Requirement, RouteError};

/// A router on which every route says what it asks for.
///
/// The requirement holds for every method of the route, also for those it answers with 405.
/// Two routes on one path may differ by method.
#[derive(Debug)]
pub struct GuardedRouter<S = ()> {
    boundary: Boundary,
    router: Router<S>,
    error: Option<RouteError>,
}

impl<S: Clone + Send + Sync + 'static> GuardedRouter<S> {
    /// A router without routes.
    #[must_use]
    pub fn new(boundary: Boundary) -> Self {
        Self { boundary, router: Router::new(), error: None }
    }

    /// Adds a route. What is wrong with its requirement is told by
    /// [`into_router`](Self::into_router).
    ///
    /// # Panics
    /// As axum's `Router::route`: if the path is malformed, or the route exists already.
    #[must_use]
    pub fn route(mut self, path: &str, requirement: Requirement, methods: MethodRouter<S>) -> Self {
        match self.boundary.require(requirement) {
            Ok(guard) => {
                let guard = guard.peer_from(peer).uri_copy_in(original_uri);
                self.router = self.router.route(path, methods.layer(RouteLayer(guard)));
            }
            Err(error) => {
                self.error.get_or_insert(RouteError::new(path, error));
            }
        }
        self
    }

    /// The axum router, to be merged with public routes, given its state and served.
    ///
    /// # Errors
    /// [`RouteError`] for the first route whose requirement cannot be used.
    pub fn into_router(self) -> Result<Router<S>, RouteError> {
        match self.error {
            None => Ok(self.router),
            Some(error) => Err(error),
        }
    }
}
