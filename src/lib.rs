//! Personal access tokens for any web app.

#![warn(clippy::string_slice)]
#![cfg_attr(test, expect(clippy::string_slice, reason = "tests cut ASCII texts"))]

#[cfg(feature = "axum")]
pub mod axum;
mod caller;
mod clock;
#[cfg(feature = "http")]
pub mod credential;
mod engine;
mod owner;
mod policy;
mod scope;
pub mod store;
mod token;
#[cfg(feature = "tower")]
pub mod tower;

pub use caller::Caller;
pub use clock::{Clock, ManualClock, ParseTimestampError, SystemClock, Timestamp};
#[cfg(feature = "http")]
pub use credential::{Boundary, Requirement, Sources};
pub use engine::*;
pub use owner::{EveryOwner, OwnerDirectory, OwnerDirectoryError, OwnerFacts, OwnerKind, Rights};
pub use policy::{Ceiling, Expiry, ExpiryError, Policy, PolicyError};
pub use scope::*;
#[cfg(feature = "cache")]
pub use store::{CacheOptions, CachedStore};
pub use store::{MemoryStore, StoreError, TokenStore};
#[cfg(feature = "sqlite")]
pub use store::{SqliteOptions, SqliteStore};
pub use token::*;
