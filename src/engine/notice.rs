//! Tells in time that tokens end.

use std::sync::{Mutex, PoisonError};

use chrono::TimeDelta;

use super::Engine;
use super::event::{Event, Subject};
use super::maintain::STANDING;
use crate::clock::Timestamp;
use crate::store::{Change, Conflict, Filter, PageRequest, Position, Reach, SortKey, StoreError};
use crate::token::{Notices, Record, Status, Token};

/// For how long whoever took a notice on itself is left to give it. Clocks may differ by less.
const CLAIM: TimeDelta = TimeDelta::minutes(5);
/// How far back every round looks again, for nodes whose clocks differ.
const LOOK_BACK: TimeDelta = TimeDelta::minutes(15);
/// Tokens looked at in one step of the store.
const PER_STEP: u32 = 500;
/// How often it is noted that a notice was given, if other changes come in between.
const ATTEMPTS: u32 = 5;

/// What became of the notice for a token.
enum Outcome {
    Given,
    /// Somebody else changed the token, perhaps to give the notice: it is to be looked at again.
    Elsewhere,
    NotDue,
}

/// When this engine last looked at all tokens for which notices were due.
#[derive(Debug, Default)]
pub(super) struct LastRound(Mutex<Option<Timestamp>>);

impl LastRound {
    pub(super) fn get(&self) -> Option<Timestamp> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn set(&self, now: Timestamp) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(now);
    }
}

impl Engine {
    /// Gives the expiry notices that are due, and returns how many. The first round of an engine
    /// looks at every token that ends within the longest lead time, later ones only at those whose
    /// time has come since.
    pub(super) async fn give_notices(&self, now: Timestamp) -> Result<u64, StoreError> {
        // An engine that nobody listens to leaves them to one that somebody does.
        if !self.events.are_heard() {
            return Ok(0);
        }
        let last = self.noticed.get().map(|last| last.min(now).saturating_sub(LOOK_BACK));
        let (mut given, mut all_told) = (0, true);
        for (from, lead) in self.policy.notice_windows(now) {
            let mut filter = Filter::new(Reach::All);
            filter.kinds = STANDING;
            filter.statuses =
                Some(Status::ALL.into_iter().filter(|s| *s != Status::Revoked).collect());
            filter.expires_from = last.map(|last| last.saturating_add(lead)).max(Some(from));
            filter.expires_before = Some(after(now.saturating_add(lead)));
            let mut page = PageRequest {
                sort: SortKey::ExpiresAt,
                descending: false,
                after: None,
                limit: PER_STEP,
            };
            loop {
                let tokens = self.store.list_tokens(&filter, &page, now).await?;
                page.after = tokens
                    .last()
                    .map(|last| Position { value: page.sort.value_of_token(last), id: last.id });
                let whole = tokens.len() < PER_STEP as usize;
                for token in &tokens {
                    match self.give_notice(token, now).await? {
                        Outcome::Given => given += 1,
                        Outcome::Elsewhere => all_told = false,
                        Outcome::NotDue => {}
                    }
                }
                if whole {
                    break;
                }
            }
        }
        if all_told {
            self.noticed.set(now);
        }
        Ok(given)
    }

    /// Gives the notice that is due for a token, if one is. It is claimed first, so that of many
    /// nodes one gives it, and noted last, so that it is given again where that node ended in
    /// between.
    async fn give_notice(&self, token: &Token, now: Timestamp) -> Result<Outcome, StoreError> {
        let lifecycle = token.lifecycle();
        let Some(expires_at) = lifecycle.expires_at.filter(|_| !token.is_derived()) else {
            return Ok(Outcome::NotDue);
        };
        let Some((bit, lead)) = self.policy.due_notice(expires_at, lifecycle.issued_at, now) else {
            return Ok(Outcome::NotDue);
        };
        if token.notices.given & bit != 0 {
            return Ok(Outcome::NotDue);
        }
        // The clock of the node that claimed it may be ahead of this one.
        let claimed = |at: Timestamp| now.since(at).abs() < CLAIM;
        if token.notices.claimed_at.is_some_and(claimed) {
            return Ok(Outcome::Elsewhere);
        }
        let claim = Notices { claimed_at: Some(now), ..token.notices };
        let Some(mut record) = self.note(token, claim, now).await? else {
            return Ok(Outcome::Elsewhere);
        };
        let event = Event::Expiring {
            token: Subject::from(&record.token),
            name: record.token.name.clone(),
            expires_at,
            lead,
        };
        self.events.emit(now, &event);
        for _ in 0..ATTEMPTS {
            let notices = record.token.notices;
            let given = Notices { given: notices.given | bit, claimed_at: None };
            if self.note(&record.token, given, now).await?.is_some() {
                break;
            }
            match self.store.find(&record.token.id).await? {
                // With another end, other notices are due.
                Some(newer) if newer.token.expires_at == Some(expires_at) => record = newer,
                _ => break,
            }
        }
        Ok(Outcome::Given)
    }

    /// The token's record with these notices, unless another change came before.
    async fn note(
        &self,
        token: &Token,
        notices: Notices,
        now: Timestamp,
    ) -> Result<Option<Record>, StoreError> {
        let change = Change { notices: Some(notices), ..Change::default() };
        match self.store.update(&token.id, token.version, &change, now).await {
            Err(StoreError::Conflict(Conflict::Stale { .. } | Conflict::Revoked)) => Ok(None),
            noted => noted,
        }
    }
}

/// The instant after this one.
fn after(instant: Timestamp) -> Timestamp {
    instant.saturating_add(TimeDelta::microseconds(1))
}
