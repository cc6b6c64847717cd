//! Routes that all say what they ask for.

use std::net::IpAddr;

use ::rocket::{Request, Route};

use super::fairing::GuardFairing;
use super::handler::Guarded;
use crate::credential::{Boundary, Requirement, RouteError};

/// Routes that all say what they ask for, to be attached to a Rocket.
#[derive(Debug)]
pub struct GuardedRoutes {
    fairing: GuardFairing,
    error: Option<RouteError>,
}

impl GuardedRoutes {
    /// Starts with no route.
    #[must_use]
    pub fn new(boundary: Boundary) -> Self {
        let peer = |request: &Request<'_>| request.remote().map(|address| address.ip());
        Self { fairing: GuardFairing::new(boundary, peer), error: None }
    }

    /// Adds routes below a base, as `Rocket::mount`. What is wrong with their requirement is told
    /// by [`into_fairing`](Self::into_fairing).
    #[must_use]
    pub fn mount(
        mut self,
        base: &str,
        requirement: Requirement,
        routes: impl Into<Vec<Route>>,
    ) -> Self {
        let boundary = &self.fairing.boundary;
        match boundary.compile(requirement) {
            Ok(requirement) => {
                let mut guarded = routes.into();
                for route in &mut guarded {
                    route.handler = Box::new(Guarded {
                        boundary: boundary.clone(),
                        requirement: requirement.clone(),
                        inner: route.handler.clone(),
                    });
                }
                self.fairing.mounts.push((base.to_owned(), guarded));
            }
            Err(error) => {
                self.error.get_or_insert(RouteError::new(base, error));
            }
        }
        self
    }

    /// Adds routes that anybody may call, such as files and a sign-in page.
    #[must_use]
    pub fn public(mut self, base: &str, routes: impl Into<Vec<Route>>) -> Self {
        self.fairing.mounts.push((base.to_owned(), routes.into()));
        self
    }

    /// Lets anybody call whatever routes the app and its other fairings mount elsewhere.
    #[must_use]
    pub fn others_are_public(mut self) -> Self {
        self.fairing.others_are_public = true;
        self
    }

    /// How to tell the client's address; from the connection unless given. It must come from a
    /// source that the app trusts.
    #[must_use]
    pub fn peer_from(mut self, peer: fn(&Request<'_>) -> Option<IpAddr>) -> Self {
        self.fairing.peer = peer;
        self
    }

    /// The fairing that mounts the routes.
    ///
    /// # Errors
    /// [`RouteError`] with the base of the first routes whose requirement cannot be used.
    pub fn into_fairing(self) -> Result<GuardFairing, RouteError> {
        match self.error {
            None => Ok(self.fairing),
            Some(error) => Err(error),
        }
    }
}
