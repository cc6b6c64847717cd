//! What a token may do: [`Scope`]s from a closed [`ScopeCatalog`], and which named
//! [`Resources`] it reaches.
//!
//! Empty, null or absent never means all. An unknown scope is an error when a token is issued and
//! grants nothing when an old record still carries it.

mod catalog;
mod name;
mod resource;
mod set;

pub use catalog::{
    CatalogError, DeclaredScope, Preset, ScopeCatalog, ScopeCatalogBuilder, ScopeDefinition,
    UnknownScope,
};
pub use name::{ParseScopeError, Scope, ScopeList};
pub use resource::{ParseResourceError, ResourcePattern, Resources};
pub use set::ScopeSet;
