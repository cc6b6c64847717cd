//! Routes that all say what they ask for.

use std::fmt;
use std::sync::Arc;

use ::actix_web::dev::{AppService, HttpServiceFactory};
use ::actix_web::{HttpResponse, Resource, Route, web};

use super::middleware::RequireToken;
use crate::credential::{Boundary, Requirement, RouteError};

/// Routes that all say what they ask for. Cheap to clone: the `App` of each worker, or a scope in
/// it, takes one as a service.
///
/// A path answers 405 to a method that it lacks. That answer has no `Allow`, which RFC 9110 section
/// 15.5.6 asks for: a [`Route`] does not tell its methods. An app that needs one adds a route of its
/// own for the other methods.
#[derive(Debug, Clone)]
pub struct GuardedRoutes(Arc<[Path]>);

/// The routes of one path, in the order in which they were added.
struct Path {
    path: String,
    routes: Vec<Guarded>,
}

struct Guarded {
    guard: RequireToken,
    route: Box<dyn Fn() -> Route + Send + Sync>,
}

impl GuardedRoutes {
    /// Starts with no route.
    #[expect(clippy::new_ret_no_self, reason = "a requirement may be wrong, so `build` gives one")]
    #[must_use]
    pub fn new(boundary: Boundary) -> GuardedRoutesBuilder {
        GuardedRoutesBuilder { boundary, paths: Vec::new(), error: None }
    }
}

impl HttpServiceFactory for GuardedRoutes {
    fn register(self, config: &mut AppService) {
        for Path { path, routes } in &*self.0 {
            let mut resource = Resource::new(path.as_str());
            for Guarded { guard, route } in routes {
                resource = resource.route(route().wrap(guard.clone()));
            }
            // A method that the path lacks is told to those who may know of the path.
            if let Some(Guarded { guard, .. }) = routes.first() {
                let lacking = web::route().to(HttpResponse::MethodNotAllowed);
                resource = resource.route(lacking.wrap(guard.clone()));
            }
            resource.register(config);
        }
    }
}

/// Collects [`GuardedRoutes`].
#[derive(Debug)]
pub struct GuardedRoutesBuilder {
    boundary: Boundary,
    paths: Vec<Path>,
    error: Option<RouteError>,
}

impl GuardedRoutesBuilder {
    /// Adds a route, which each worker makes for itself. Two routes on one path may differ by
    /// method; a method that the path lacks is refused by the requirement of its first route, else
    /// 405 without `Allow`. What is wrong with a requirement is told by [`build`](Self::build).
    #[must_use]
    pub fn route(
        mut self,
        path: &str,
        requirement: Requirement,
        route: impl Fn() -> Route + Send + Sync + 'static,
    ) -> Self {
        match RequireToken::new(&self.boundary, requirement) {
            Ok(guard) => {
                let guarded = Guarded { guard, route: Box::new(route) };
                match self.paths.iter_mut().find(|known| known.path == path) {
                    Some(known) => known.routes.push(guarded),
                    None => {
                        self.paths.push(Path { path: path.to_owned(), routes: vec![guarded] });
                    }
                }
            }
            Err(error) => {
                self.error.get_or_insert(RouteError::new(path, error));
            }
        }
        self
    }

    /// The routes.
    ///
    /// # Errors
    /// [`RouteError`] for the first route whose requirement cannot be used.
    pub fn build(self) -> Result<GuardedRoutes, RouteError> {
        match self.error {
            None => Ok(GuardedRoutes(self.paths.into())),
            Some(error) => Err(error),
        }
    }
}

impl fmt::Debug for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let guards = self.routes.iter().map(|Guarded { guard, .. }| guard);
        write!(f, "{:?}: ", self.path)?;
        f.debug_list().entries(guards).finish()
    }
}
