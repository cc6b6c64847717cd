//! Personal access tokens for any web app.

mod caller;
mod clock;
mod owner;
mod policy;
mod scope;
pub mod store;
mod token;

pub use caller::Caller;
pub use clock::{Clock, ManualClock, ParseTimestampError, SystemClock, Timestamp};
pub use owner::{EveryOwner, OwnerDirectory, OwnerDirectoryError, OwnerFacts, OwnerKind, Rights};
pub use policy::{Ceiling, Expiry, ExpiryError, Policy, PolicyError};
pub use scope::*;
pub use store::{MemoryStore, StoreError, TokenStore};
#[cfg(feature = "sqlite")]
pub use store::{SqliteOptions, SqliteStore};
pub use token::*;
