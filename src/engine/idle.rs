//! Ends tokens that nobody uses any more.

use chrono::TimeDelta;

use super::Engine;
use super::maintain::STANDING;
use crate::clock::Timestamp;
use crate::store::{Filter, PageRequest, Position, Reach, SortKey, StoreError};
use crate::token::{Actor, RevocationReason, Status, Token, TokenId};

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
        filter.statuses = Some(vec![Status::Active, Status::Suspended]);
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
            let tokens = self.store.list_tokens(&filter, &page, now).await?;
            page.after = tokens
                .last()
                .map(|last| Position { value: page.sort.value_of_token(last), id: last.id });
            let idle = ids_of_idle(&tokens, since);
            if !idle.is_empty() {
                revoked += self.revoke_still_idle(idle, &filter, since, now).await?;
            }
            if tokens.len() < PER_STEP as usize {
                break;
            }
        }
        self.idle_checked.set(now);
        Ok(revoked)
    }

    /// Revokes those of some idle tokens that still are, and returns how many.
    async fn revoke_still_idle(
        &self,
        ids: Vec<TokenId>,
        filter: &Filter,
        since: Timestamp,
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        // No filter tells when a token was regenerated, so they are read once more right before.
        let again = Filter { ids: Some(ids), ..filter.clone() };
        let page = PageRequest {
            sort: SortKey::LastUsedAt,
            descending: false,
            after: None,
            limit: PER_STEP,
        };
        let still = ids_of_idle(&self.store.list_tokens(&again, &page, now).await?, since);
        if still.is_empty() {
            return Ok(0);
        }
        // The store looks once more: some may have been used in this moment.
        let still = Filter { ids: Some(still), ..again };
        let by = (Actor::System, RevocationReason::Idle);
        Ok(self.revoke(still, by, now).await?.len() as u64)
    }
}

/// Of tokens that were not used since then, those that could have been used before: one that was
/// just regenerated, or only just became valid, is about to be used.
fn ids_of_idle(tokens: &[Token], since: Timestamp) -> Vec<TokenId> {
    let is_idle = |token: &&Token| {
        let lifecycle = token.lifecycle();
        let usable_from = lifecycle.not_before.max(Some(lifecycle.issued_at));
        !token.is_derived() && usable_from < Some(since)
    };
    tokens.iter().filter(is_idle).map(|token| token.id).collect()
}
