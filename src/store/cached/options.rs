//! How a cache behaves.

use std::time::Duration;

use super::clock::{AgeClock, SystemAgeClock, nanos};
use super::store::CachedStore;
use super::table::Limits;
use crate::store::TokenStore;

/// How a [`CachedStore`] behaves.
///
/// ```
/// use std::time::Duration;
/// use hallpass::MemoryStore;
/// use hallpass::store::CacheOptions;
///
/// let store = CacheOptions::new()
///     .with_ttl(Duration::from_secs(5))
///     .with_capacity(10_000)
///     .without_channel()
///     .wrap(MemoryStore::new());
/// assert!(store.is_caching());
///
/// // Nothing is kept for longer than it may go unnoticed that it was revoked.
/// let store = CacheOptions::new().with_ttl(Duration::ZERO).without_channel().wrap(MemoryStore::new());
/// assert!(!store.is_caching());
/// ```
#[derive(Debug)]
#[must_use]
pub struct CacheOptions {
    ttl: Duration,
    absence_ttl: Duration,
    capacity: usize,
    clock: Box<dyn AgeClock>,
    awaits_channel: bool,
}

/// Into how many parts, each with its own lock for writing, a cache of some size is divided.
const STRIPES: usize = 64;

impl Default for CacheOptions {
    fn default() -> Self {
        Self::new()
    }
}

impl CacheOptions {
    /// The longest a record may be kept: 60 seconds.
    pub const MAX_TTL: Duration = Duration::from_secs(60);
    /// The longest it may be kept that there is no record: 5 seconds.
    pub const MAX_ABSENCE_TTL: Duration = Duration::from_secs(5);

    /// Keeps up to 100,000 records for 10 seconds, of 4,096 ids for 5 seconds that there is no
    /// record, and both only while the store's [changes](TokenStore::changes) are heard.
    pub fn new() -> Self {
        Self {
            ttl: Duration::from_secs(10),
            absence_ttl: Self::MAX_ABSENCE_TTL,
            capacity: 100_000,
            clock: Box::new(SystemAgeClock::new()),
            awaits_channel: true,
        }
    }

    /// How long a record is kept: the longest for which a change on another node may go unnoticed.
    /// At most 60 seconds; zero turns the cache off.
    pub fn with_ttl(self, ttl: Duration) -> Self {
        Self { ttl: ttl.min(Self::MAX_TTL), ..self }
    }

    /// How long it is kept that there is no record with an id. At most 5 seconds; zero keeps no
    /// such thing.
    pub fn with_absence_ttl(self, ttl: Duration) -> Self {
        Self { absence_ttl: ttl.min(Self::MAX_ABSENCE_TTL), ..self }
    }

    /// How many records are kept, at most; about 350 bytes each. The oldest goes first.
    pub fn with_capacity(self, records: usize) -> Self {
        Self { capacity: records, ..self }
    }

    /// Tells the age of what is kept by another clock, for tests.
    pub fn with_clock(self, clock: impl AgeClock) -> Self {
        Self { clock: Box::new(clock), ..self }
    }

    /// Keeps records without hearing what other nodes do. A change on another node is then seen
    /// once the TTL has passed, not sooner.
    pub fn without_channel(self) -> Self {
        Self { awaits_channel: false, ..self }
    }

    /// Puts a cache with these options in front of a store.
    pub fn wrap<S: TokenStore>(self, inner: S) -> CachedStore<S> {
        let ttl = nanos(self.ttl);
        let small = self.capacity < STRIPES * 64;
        let limits = Limits {
            stripes: if small { 1 } else { STRIPES },
            entries: if ttl == 0 { 0 } else { self.capacity },
            ttl,
            absences: 4096,
            absence_ttl: nanos(self.absence_ttl).min(ttl),
        };
        CachedStore::new_with(inner, limits, self.clock, self.awaits_channel)
    }
}
