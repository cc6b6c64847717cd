//! One read of the store for all who wait for it.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use async_lock::OnceCell;

use super::table::{Remembered, Table, Ticket};
use crate::store::{Facts, StoreError};
use crate::token::{Record, TokenId};

/// Where those wait who want to read the same record, and find what was read.
pub(super) type Wait = Arc<OnceCell<Read>>;

/// What was read, for all of them.
pub(super) type Read = Result<Option<Arc<Record>>, Arc<StoreError>>;

/// A seat in a flight, given up when dropped.
pub(super) struct Seat<'a> {
    pub(super) table: &'a Table<TokenId, Facts, Wait>,
    pub(super) id: &'a TokenId,
    pub(super) ticket: Ticket,
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        self.table.leave(self.id, self.ticket);
    }
}

impl Remembered for Facts {
    fn version(&self) -> u64 {
        self.version
    }

    fn is_terminal(&self) -> bool {
        self.lifecycle.revoked_at.is_some()
    }

    fn groups(&self) -> [u64; 3] {
        let parent = self.rare.as_ref().and_then(|rare| rare.parent);
        let tenant = self.tenant();
        [group(tenant), group(&(tenant, &self.owner)), parent.as_ref().map_or(0, group)]
    }
}

/// The number of a group. Two with the same number are both doubted if one is, which does no harm.
pub(super) fn group(members: &impl std::hash::Hash) -> u64 {
    use std::hash::BuildHasher as _;
    foldhash::fast::FixedState::default().hash_one(members)
}

/// The same error for one more of those who wait.
pub(super) fn again(error: &Arc<StoreError>) -> StoreError {
    match &**error {
        StoreError::Conflict(conflict) => StoreError::Conflict(*conflict),
        StoreError::Corrupt { id, column } => StoreError::Corrupt { id: id.clone(), column },
        StoreError::Schema(text) => StoreError::Schema(text.clone()),
        StoreError::Unavailable(_) => StoreError::unavailable(Shared(error.clone())),
    }
}

/// The cause of an outage that several met. Reads as the cause itself.
struct Shared(Arc<StoreError>);

impl Shared {
    fn cause(&self) -> &(dyn Error + 'static) {
        match &*self.0 {
            StoreError::Unavailable(cause) => &**cause,
            error => error,
        }
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.cause(), f)
    }
}

impl fmt::Display for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self.cause(), f)
    }
}

impl Error for Shared {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.cause().source()
    }
}
