//! Counts failed confirmations.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use chrono::TimeDelta;

use crate::clock::Timestamp;
use crate::token::{Owner, Tenant};

/// Failed attempts an owner has before it must wait.
const MAX_FAILED: u32 = 5;
/// From the first failed attempt on, how long failures are counted.
const WINDOW: TimeDelta = TimeDelta::minutes(5);
/// Most owners that are counted. Where there are more, they have to wait too.
const MAX_OWNERS: usize = 10_000;

/// Failed attempts by owner, in this process.
#[derive(Debug, Default)]
pub(super) struct Attempts(Mutex<HashMap<(Tenant, Owner), Failed>>);

#[derive(Debug)]
struct Failed {
    since: Timestamp,
    count: u32,
}

impl Attempts {
    /// Counts an attempt as failed before it is made, so that attempts made at the same time are
    /// all counted.
    ///
    /// # Errors
    /// How many seconds to wait, if there were too many.
    pub(super) fn begin(&self, owner: (&Tenant, &Owner), now: Timestamp) -> Result<(), u32> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (owner.0.clone(), owner.1.clone());
        let over = |failed: &Failed| now < failed.since || now.since(failed.since) >= WINDOW;
        if all.get(&key).is_some_and(over) {
            all.remove(&key);
        }
        if !all.contains_key(&key) && all.len() >= MAX_OWNERS {
            all.retain(|_, failed| !over(failed));
            if all.len() >= MAX_OWNERS {
                return Err(seconds(WINDOW));
            }
        }
        let failed = all.entry(key).or_insert(Failed { since: now, count: 0 });
        if failed.count >= MAX_FAILED {
            return Err(seconds(WINDOW - now.since(failed.since)));
        }
        failed.count += 1;
        Ok(())
    }

    /// The attempt did not fail.
    pub(super) fn succeeded(&self, owner: (&Tenant, &Owner)) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.remove(&(owner.0.clone(), owner.1.clone()));
    }

    /// It was not told whether the attempt failed.
    pub(super) fn unknown(&self, owner: (&Tenant, &Owner)) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(failed) = all.get_mut(&(owner.0.clone(), owner.1.clone())) {
            failed.count = failed.count.saturating_sub(1);
        }
    }
}

fn seconds(delta: TimeDelta) -> u32 {
    u32::try_from(delta.num_seconds().saturating_add(1)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_five_failures_an_owner_waits_until_the_window_is_over() {
        let attempts = Attempts::default();
        let start: Timestamp = "2026-11-22T09:00:00Z".parse().unwrap();
        let (tenant, owner) = (Tenant::DEFAULT, Owner::parse("u1").unwrap());
        let begin = |at| attempts.begin((&tenant, &owner), at);
        for _ in 0..5 {
            assert_eq!(begin(start), Ok(()));
        }
        assert_eq!(begin(start), Err(301));
        let later = start.saturating_add(WINDOW - TimeDelta::microseconds(1));
        assert_eq!(begin(later), Err(1));
        let other = Owner::parse("u2").unwrap();
        assert_eq!(attempts.begin((&tenant, &other), later), Ok(()));
        assert_eq!(begin(start.saturating_add(WINDOW)), Ok(()));
    }

    #[test]
    fn success_and_outage_count_for_nothing() {
        let attempts = Attempts::default();
        let now: Timestamp = "2026-11-22T09:00:00Z".parse().unwrap();
        let (tenant, owner) = (Tenant::DEFAULT, Owner::parse("u1").unwrap());
        let key = (&tenant, &owner);
        for _ in 0..20 {
            assert_eq!(attempts.begin(key, now), Ok(()));
            attempts.unknown(key);
        }
        for _ in 0..4 {
            attempts.begin(key, now).unwrap();
        }
        attempts.begin(key, now).unwrap();
        attempts.succeeded(key);
        assert_eq!(attempts.begin(key, now), Ok(()));
    }
}
