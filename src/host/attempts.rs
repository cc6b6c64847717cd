//! Counts failed confirmations.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use chrono::TimeDelta;

use crate::clock::Timestamp;

/// Failed attempts a session has before it must wait.
const MAX_FAILED: u32 = 5;
/// From the first failed attempt on, how long failures are counted.
const WINDOW: TimeDelta = TimeDelta::minutes(5);
/// Most sessions that are counted. Where there are more, the one that began first is forgotten:
/// whoever has so many sessions is not stopped by counting, and nobody else is kept out.
const MAX_SESSIONS: usize = 10_000;

/// Failed attempts by session, in this process. Owners are not counted: somebody who guesses in
/// one session, a stolen one say, does not lock the owner out of the others.
#[derive(Debug, Default)]
pub(super) struct Attempts(Mutex<HashMap<[u8; 32], Failed>>);

#[derive(Debug)]
struct Failed {
    since: Timestamp,
    count: u32,
}

impl Failed {
    fn is_over(&self, now: Timestamp) -> bool {
        now < self.since || now.since(self.since) >= WINDOW
    }
}

impl Attempts {
    /// Counts an attempt as failed before it is made, so that attempts made at the same time are
    /// all counted.
    ///
    /// # Errors
    /// How many seconds to wait, if there were too many.
    pub(super) fn begin(&self, session: &[u8; 32], now: Timestamp) -> Result<(), u32> {
        let mut all = self.lock();
        if all.get(session).is_some_and(|failed| failed.is_over(now)) {
            all.remove(session);
        }
        if !all.contains_key(session) && all.len() >= MAX_SESSIONS {
            all.retain(|_, failed| !failed.is_over(now));
            if all.len() >= MAX_SESSIONS {
                let first = all.iter().min_by_key(|(_, failed)| failed.since);
                let first = first.map(|(session, _)| *session);
                first.and_then(|session| all.remove(&session));
            }
        }
        let failed = all.entry(*session).or_insert(Failed { since: now, count: 0 });
        if failed.count >= MAX_FAILED {
            return Err(seconds(WINDOW - now.since(failed.since)));
        }
        failed.count += 1;
        Ok(())
    }

    /// The attempt did not fail.
    pub(super) fn succeeded(&self, session: &[u8; 32]) {
        self.lock().remove(session);
    }

    /// It was not told whether the attempt failed.
    pub(super) fn unknown(&self, session: &[u8; 32]) {
        if let Some(failed) = self.lock().get_mut(session) {
            failed.count = failed.count.saturating_sub(1);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<[u8; 32], Failed>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A span as whole seconds, rounded up.
fn seconds(delta: TimeDelta) -> u32 {
    let up = delta + TimeDelta::seconds(1) - TimeDelta::microseconds(1);
    u32::try_from(up.num_seconds()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SESSION: [u8; 32] = [1; 32];

    fn start() -> Timestamp {
        "2026-11-22T09:00:00Z".parse().unwrap()
    }

    #[test]
    fn after_five_failures_a_session_waits_until_the_window_is_over() {
        let attempts = Attempts::default();
        let start = start();
        let begin = |at| attempts.begin(&SESSION, at);
        for _ in 0..5 {
            assert_eq!(begin(start), Ok(()));
        }
        assert_eq!(begin(start), Err(300));
        let later = start.saturating_add(WINDOW - TimeDelta::microseconds(1));
        assert_eq!(begin(later), Err(1));
        assert_eq!(attempts.begin(&[2; 32], later), Ok(()));
        assert_eq!(begin(start.saturating_add(WINDOW)), Ok(()));
    }

    #[test]
    fn success_and_outage_count_for_nothing() {
        let attempts = Attempts::default();
        let now = start();
        for _ in 0..20 {
            assert_eq!(attempts.begin(&SESSION, now), Ok(()));
            attempts.unknown(&SESSION);
        }
        for _ in 0..5 {
            attempts.begin(&SESSION, now).unwrap();
        }
        attempts.succeeded(&SESSION);
        assert_eq!(attempts.begin(&SESSION, now), Ok(()));
    }

    #[test]
    fn whoever_fails_in_many_sessions_keeps_nobody_else_out() {
        let attempts = Attempts::default();
        let session = |number: usize| {
            let mut session = [0; 32];
            session[..8].copy_from_slice(&number.to_le_bytes());
            session
        };
        for number in 0..MAX_SESSIONS {
            let at = start().saturating_add(TimeDelta::microseconds(number as i64));
            attempts.begin(&session(number), at).unwrap();
        }
        let later = start().saturating_add(TimeDelta::seconds(1));
        for _ in 0..5 {
            assert_eq!(attempts.begin(&SESSION, later), Ok(()));
        }
        assert!(attempts.begin(&SESSION, later).is_err());
        assert_eq!(attempts.lock().len(), MAX_SESSIONS);
    }
}
