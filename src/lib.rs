//! Personal access tokens for any web app.

#![warn(clippy::string_slice)]
#![cfg_attr(test, expect(clippy::string_slice, reason = "tests cut ASCII texts"))]

mod caller;
mod clock;
mod engine;
mod owner;
mod policy;
mod scope;
pub mod store;
mod token;

pub use caller::Caller;
pub use clock::{Clock, ManualClock, ParseTimestampError, SystemClock, Timestamp};
pub use engine::*;
pub use owner::{EveryOwner, OwnerDirectory, OwnerDirectoryError, OwnerFacts, OwnerKind, Rights};
pub use policy::{Ceiling, Expiry, ExpiryError, Policy, PolicyError};
pub use scope::*;
pub use store::{MemoryStore, StoreError, TokenStore};
#[cfg(feature = "postgres")]
pub use store::{PostgresOptions, PostgresStore};
#[cfg(feature = "sqlite")]
pub use store::{SqliteOptions, SqliteStore};
pub use token::*;
