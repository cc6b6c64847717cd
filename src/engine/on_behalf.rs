//! Operations bound to a caller.

use super::{Engine, Hallpass};
use crate::caller::Caller;
use crate::clock::Timestamp;
use crate::store::StoreError;
use crate::token::{Lifecycle, Record, Status, TokenId};

/// The engine's operations, bound to one caller.
///
/// An owner sees and touches its own tokens only; others are *not found*. Nobody grants more than
/// the owner has. Issuing, copying, rotating and widening need a recent confirmation, if policy
/// asks for one.
#[derive(Debug)]
pub struct OnBehalf<'a> {
    pub(super) engine: &'a Engine,
    pub(super) caller: Caller,
}

impl Hallpass {
    /// Binds the operations to a caller.
    #[must_use]
    pub fn on_behalf_of(&self, caller: Caller) -> OnBehalf<'_> {
        OnBehalf { engine: &self.0, caller }
    }

    pub(super) fn as_system(&self) -> OnBehalf<'_> {
        self.on_behalf_of(Caller::system())
    }
}

/// The caller has not confirmed its presence recently.
pub(super) struct Unconfirmed;

/// Why a token in reach cannot be had.
pub(super) enum Unreachable {
    NotFound,
    Store(StoreError),
}

impl OnBehalf<'_> {
    /// Who performs the operations.
    #[must_use]
    pub fn caller(&self) -> &Caller {
        &self.caller
    }

    pub(super) fn confirm(&self, now: Timestamp) -> Result<(), Unconfirmed> {
        if self.engine.policy.is_confirmed(&self.caller, now) { Ok(()) } else { Err(Unconfirmed) }
    }

    /// The record of a token, if the caller may know of it.
    pub(super) async fn reach(&self, id: &TokenId) -> Result<Record, Unreachable> {
        match self.engine.store.find(id).await {
            Ok(Some(record)) if self.caller.reaches(&record.token.tenant, &record.token.owner) => {
                Ok(record)
            }
            Ok(_) => Err(Unreachable::NotFound),
            Err(error) => Err(Unreachable::Store(error)),
        }
    }
}

impl Engine {
    /// Refuses a token that ended, by its own end or by policy's, and one whose version is not the
    /// one the caller saw.
    pub(super) fn check_open(
        &self,
        record: &Record,
        seen: Option<u64>,
        now: Timestamp,
    ) -> Result<(), Closed> {
        let lifecycle = record.token.lifecycle();
        let expires_at = self.policy.end_at_use(&lifecycle);
        let status = Lifecycle { expires_at, ..lifecycle }.status(now);
        if !status.is_live() {
            return Err(Closed::Ended(status));
        }
        if seen.is_some_and(|seen| seen != record.token.version) {
            return Err(Closed::Stale { current: record.token.version });
        }
        Ok(())
    }
}

/// Why a token cannot be changed.
pub(super) enum Closed {
    Ended(Status),
    Stale { current: u64 },
}
