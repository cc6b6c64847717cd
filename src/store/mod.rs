//! Where tokens live: the [`TokenStore`] contract and the stores that come with the crate.
//!
//! A store keeps [`Record`](crate::Record)s and takes few, coarse, atomic steps. It never sees a
//! secret, never reads a clock, and knows nothing of the engine above it.

#[cfg(feature = "cache")]
mod cached;
mod change;
mod changes;
#[cfg(any(feature = "postgres", feature = "redis", feature = "sqlite"))]
mod columns;
#[cfg(feature = "conformance")]
pub mod conformance;
mod contract;
mod error;
mod facts;
mod filter;
#[cfg(any(feature = "postgres", feature = "redis"))]
mod finder;
#[cfg(any(feature = "postgres", feature = "redis", feature = "sqlite", feature = "tokio"))]
mod gate;
mod guard;
#[cfg(feature = "tokio")]
mod limited;
mod memory;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "redis")]
mod redis;
#[cfg(feature = "sqlite")]
mod sqlite;
pub mod transfer;

#[cfg(feature = "cache")]
pub use cached::{AgeClock, CacheOptions, CachedStore, SystemAgeClock};
pub use change::{Admission, Change, Purge, Use};
pub use changes::{Changes, Notice};
pub use contract::TokenStore;
pub use error::{Conflict, StoreError};
pub(crate) use facts::tenant;
pub use facts::{Facts, RareFacts};
pub use filter::{Filter, PageRequest, Position, Reach, SortKey, SortValue};
pub use guard::RestoreGuard;
#[cfg(feature = "tokio")]
pub use limited::LimitedStore;
pub use memory::MemoryStore;
#[cfg(feature = "postgres")]
pub use postgres::{PostgresOptions, PostgresStore};
#[cfg(feature = "redis")]
pub use redis::{RedisOptions, RedisStore};
#[cfg(feature = "sqlite")]
pub use sqlite::{SqliteOptions, SqliteStore};
