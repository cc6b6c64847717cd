//! Why a route cannot be guarded.

use super::requirement::RequirementError;

/// The requirement of a route cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the requirement of route `{path}` cannot be used")]
#[non_exhaustive]
pub struct RouteError {
    /// The path of the route.
    pub path: String,
    /// What is wrong.
    #[source]
    pub error: RequirementError,
}

impl RouteError {
    /// For adapters.
    #[must_use]
    pub fn new(path: impl Into<String>, error: RequirementError) -> Self {
        Self { path: path.into(), error }
    }
}
