//! What must be done from time to time.

use super::event::Event;
use super::{Engine, Hallpass};
use crate::store::{Purge, StoreError};
use crate::token::{Kind, KindSet};

/// Kinds of token that stand by themselves, and that people look after.
pub(super) const STANDING: KindSet = KindSet::only(Kind::Personal).with(Kind::Application);

/// Uses written in one step of the store.
const USES_PER_STEP: usize = 1000;
/// Records removed in one step of the store.
const PURGED_PER_STEP: u32 = 1000;

/// What a round of maintenance did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Maintenance {
    /// Last uses that were written.
    pub uses: u64,
    /// Last uses that were lost since the last round because too many waited.
    pub uses_dropped: u64,
    /// Expiry notices that were given.
    pub notices: u64,
    /// Tokens that were revoked because they were idle.
    pub idle: u64,
    /// Ended records that were removed.
    pub purged: u64,
}

impl Hallpass {
    /// Writes the last uses that wait, gives the [expiry notices](crate::Policy::expiry_notices)
    /// that are due, once an hour revokes what was [idle](crate::Policy::max_idle) for too long,
    /// and removes records that ended longer ago than policy keeps them. Call it every half minute
    /// or so on every node: last uses wait in the memory of the node that saw them, no other can
    /// write them, and a token whose uses are not written looks idle. Missing a call loses nothing
    /// but, when more than 65,536 tokens were used meanwhile, the last use of some.
    ///
    /// # Errors
    /// [`StoreError`] if the store failed; what was not done is done next time.
    pub async fn maintain(&self) -> Result<Maintenance, StoreError> {
        let engine = &*self.0;
        let now = engine.clock.now();
        // What cannot be done keeps nothing else from being done, but that nothing is idle for
        // sure while uses are not written.
        let written = engine.flush_uses().await;
        let notices = engine.give_notices(now).await;
        let idle = if written.is_ok() { engine.revoke_idle(now).await } else { Ok(0) };
        let uses_dropped = engine.uses.take_dropped();
        let mut done = Maintenance { uses_dropped, ..Maintenance::default() };
        if done.uses_dropped > 0 {
            engine.events.emit(now, &Event::UsesDropped { count: done.uses_dropped });
        }
        let purge = Purge {
            now,
            retention: engine.policy.retention,
            exchange_retention: engine.policy.exchange_retention,
            limit: PURGED_PER_STEP,
        };
        loop {
            let purged = engine.store.purge(&purge).await?;
            done.purged += purged;
            if purged < u64::from(PURGED_PER_STEP) {
                break;
            }
        }
        if done.purged > 0 {
            engine.events.emit(now, &Event::Purged { count: done.purged });
        }
        (done.uses, done.notices, done.idle) = (written?, notices?, idle?);
        Ok(done)
    }

    /// Runs [`maintain`](Self::maintain) at this interval for as long as the future is polled.
    /// Spawn it, and drop or abort it to stop. A failed round is tried again at the next tick.
    #[cfg(feature = "tokio")]
    pub async fn maintain_every(&self, interval: std::time::Duration) -> std::convert::Infallible {
        let mut ticks = tokio::time::interval(interval);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            if let Err(error) = self.maintain().await {
                let error = error.to_string();
                self.0.events.emit(self.0.clock.now(), &Event::MaintenanceFailed { error });
            }
        }
    }
}

impl Engine {
    /// Writes the last uses that wait, and returns how many.
    async fn flush_uses(&self) -> Result<u64, StoreError> {
        let mut written = 0;
        loop {
            let taken = self.uses.take(USES_PER_STEP);
            if taken.uses().is_empty() {
                return Ok(written);
            }
            self.store.touch(taken.uses()).await?;
            written += taken.written();
        }
    }
}
