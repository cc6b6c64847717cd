//! Ends tokens that nobody uses any more.

use chrono::TimeDelta;

use super::Engine;
use super::maintain::STANDING;
use crate::clock::Timestamp;
use crate::store::{Filter, PageRequest, Position, Reach, SortKey, StoreError};
use crate::token::{Actor, RevocationReason, Status};

/// How often an engine looks for them. The bound is counted in days.
const EVERY: TimeDelta = TimeDelta::hours(1);
/// Tokens looked at in one step of the store.
const PER_STEP: u32 = 500;

impl Engine {
    /// Revokes the tokens that were idle for longer than policy allows, and returns how many.
    pub(super) async fn revoke_idle(&self, now: Timestamp) -> Result<u64, StoreError> {
        let Some(longest) = self.policy.max_idle else {
            return Ok(0);
        };
        if self.idle_checked.get().is_some_and(|last| last <= now && now.since(last) < EVERY) {
            return Ok(0);
        }
        let since = now.saturating_sub(longest);
        let mut filter = Filter::new(Reach::All);
        filter.kinds = STANDING;
        filter.statuses = Some(vec![Status::Active, Status::NotYetValid, Status::Suspended]);
        filter.unused_since = Some(since);
        filter.created_before = Some(since);
        let mut page = PageRequest {
            sort: SortKey::LastUsedAt,
            descending: false,
            after: None,
            limit: PER_STEP,
        };
        let mut revoked = 0;
        loop {
            let records = self.store.list(&filter, &page, now).await?;
            page.after = records
                .last()
                .map(|last| Position { value: page.sort.value_of(last), id: last.token.id });
            let tokens = records.iter().map(|record| &record.token);
            // A token that was just regenerated is about to be used.
            let idle = tokens
                .filter(|token| !token.is_derived() && token.lifecycle().issued_at < since)
                .map(|token| token.id)
                .collect::<Vec<_>>();
            if !idle.is_empty() {
                // The store looks once more: some may have been used in this moment.
                let still = Filter { ids: Some(idle), ..filter.clone() };
                let by = (Actor::System, RevocationReason::Idle);
                revoked += self.revoke(still, by, now).await?.len() as u64;
            }
            if records.len() < PER_STEP as usize {
                break;
            }
        }
        self.idle_checked.set(now);
        Ok(revoked)
    }
}
