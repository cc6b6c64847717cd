//! The methods of a server, and what they ask for.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use tower_layer::Layer;

use super::service::GuardedServer;
use crate::credential::{Boundary, CompiledRequirement, Requirement, RouteError};
use crate::tower::GuardLayer;

/// The methods of a server, and what they ask for. A method that is not named is refused.
#[derive(Debug)]
pub struct GuardedMethods {
    boundary: Boundary,
    methods: HashMap<String, Access>,
    error: Option<RouteError>,
}

/// Who may call a method.
#[derive(Debug, Clone)]
pub(super) enum Access {
    Anybody,
    With(CompiledRequirement),
}

impl GuardedMethods {
    /// Starts with no method.
    #[must_use]
    pub fn new(boundary: Boundary) -> Self {
        Self { boundary, methods: HashMap::new(), error: None }
    }

    /// Adds a method by its path, `/package.Service/Method`, as gRPC spells it. What is wrong with
    /// its requirement is told by [`into_layer`](Self::into_layer).
    #[must_use]
    pub fn method(mut self, path: &str, requirement: Requirement) -> Self {
        match self.boundary.compile(requirement) {
            Ok(requirement) => {
                self.methods.insert(path.to_owned(), Access::With(requirement));
            }
            Err(error) => {
                self.error.get_or_insert(RouteError::new(path, error));
            }
        }
        self
    }

    /// Adds a method that anybody may call, such as a health check, unless it has a requirement.
    #[must_use]
    pub fn public(mut self, path: &str) -> Self {
        self.methods.entry(path.to_owned()).or_insert(Access::Anybody);
        self
    }

    /// The layer, for `Server::layer`.
    ///
    /// # Errors
    /// [`RouteError`] for the first method whose requirement cannot be used.
    pub fn into_layer(self) -> Result<MethodLayer, RouteError> {
        match self.error {
            None => {
                Ok(MethodLayer { guard: self.boundary.layer(), methods: Arc::new(self.methods) })
            }
            Some(error) => Err(error),
        }
    }
}

/// Guards a server; see [`GuardedMethods`].
#[derive(Clone)]
pub struct MethodLayer {
    pub(super) guard: GuardLayer,
    pub(super) methods: Arc<HashMap<String, Access>>,
}

impl<S> Layer<S> for MethodLayer {
    type Service = GuardedServer<S>;

    fn layer(&self, inner: S) -> GuardedServer<S> {
        GuardedServer::new(inner, self.clone())
    }
}

impl fmt::Debug for MethodLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MethodLayer")
            .field("guard", &self.guard)
            .field("methods", &self.methods)
            .finish()
    }
}
