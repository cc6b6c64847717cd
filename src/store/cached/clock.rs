//! How a cache tells the age of what it keeps.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

/// How a [`CachedStore`](super::CachedStore) tells the age of what it keeps.
///
/// It is asked on every hit, so it must be quick, and it decides for how long a revocation on
/// another node may go unnoticed, so it must never run backwards or stand still.
pub trait AgeClock: fmt::Debug + Send + Sync + 'static {
    /// How much time has passed since some instant, always the same one.
    fn elapsed(&self) -> Duration;
}

/// Counts the time that the operating system's monotonic clock counts, and also what the wall
/// clock jumps ahead of it.
///
/// Where a virtual machine is suspended, its monotonic clock stands still and its wall clock is
/// put right afterwards; what was kept before is then as old as it really is. A wall clock that is
/// put back changes nothing.
#[derive(Debug)]
pub struct SystemAgeClock {
    start: Instant,
    wall_start: SystemTime,
    /// By how many nanoseconds the wall clock was ahead when that was last noted, and
    /// [`AHEAD_ZERO`] more.
    ahead: AtomicU64,
    /// How many nanoseconds the wall clock jumped ahead so far.
    jumped: AtomicU64,
}

/// What [`SystemAgeClock::ahead`] is when both clocks agree.
const AHEAD_ZERO: u64 = 1 << 63;
/// What clocks differ by without anything having happened: they are steered apart slowly.
const TOLERANCE: u64 = 100_000_000;

impl SystemAgeClock {
    /// A clock that starts now.
    #[must_use]
    pub fn new() -> Self {
        Self {
            start: Instant::now(),
            wall_start: SystemTime::now(),
            ahead: AtomicU64::new(AHEAD_ZERO),
            jumped: AtomicU64::new(0),
        }
    }

    /// The time passed, where the two clocks show these since the start.
    fn passed(&self, monotonic: u64, wall: i128) -> u64 {
        let ahead = i128::from(AHEAD_ZERO) + wall - i128::from(monotonic);
        let ahead = u64::try_from(ahead.max(0)).unwrap_or(u64::MAX);
        let noted = self.ahead.load(Ordering::Acquire);
        if ahead.abs_diff(noted) > TOLERANCE {
            self.jump(noted, ahead);
        }
        monotonic.saturating_add(self.jumped.load(Ordering::Acquire))
    }

    #[cold]
    fn jump(&self, noted: u64, ahead: u64) {
        // Counted before it is noted as known, so that nobody reads the time before the jump; if
        // several see it at once it counts several times, which only makes things older.
        let add = |jumped: u64| Some(jumped.saturating_add(ahead.saturating_sub(noted)));
        let _ = self.jumped.fetch_update(Ordering::AcqRel, Ordering::Acquire, add);
        self.ahead.store(ahead, Ordering::Release);
    }
}

impl Default for SystemAgeClock {
    fn default() -> Self {
        Self::new()
    }
}

impl AgeClock for SystemAgeClock {
    fn elapsed(&self) -> Duration {
        let monotonic = nanos(self.start.elapsed());
        let wall = match SystemTime::now().duration_since(self.wall_start) {
            Ok(later) => i128::from(nanos(later)),
            Err(earlier) => -i128::from(nanos(earlier.duration())),
        };
        Duration::from_nanos(self.passed(monotonic, wall))
    }
}

/// A duration in nanoseconds, at most five hundred years.
pub(super) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn time_passes_as_the_monotonic_clock_says() {
        let clock = SystemAgeClock::new();
        for second in [0, 1, 2, 3600] {
            let passed = clock.passed(second * SECOND, i128::from(second * SECOND + 50_000_000));
            assert_eq!(passed, second * SECOND);
        }
        assert!(clock.elapsed() <= clock.elapsed());
    }

    #[test]
    fn a_suspended_machine_grows_older() {
        let clock = SystemAgeClock::new();
        let wall = i128::from(7200 * SECOND);
        assert_eq!(clock.passed(SECOND, i128::from(SECOND)), SECOND);
        assert_eq!(clock.passed(SECOND, wall), 7200 * SECOND);
        assert_eq!(clock.passed(2 * SECOND, wall + i128::from(SECOND)), 7201 * SECOND);
    }

    #[test]
    fn a_wall_clock_put_back_changes_nothing() {
        let clock = SystemAgeClock::new();
        let hour = i128::from(3600 * SECOND);
        let later = |second: u64| i128::from(second * SECOND) - hour;
        assert_eq!(clock.passed(10 * SECOND, later(10)), 10 * SECOND);
        assert_eq!(clock.passed(20 * SECOND, later(20)), 20 * SECOND);
        // A suspension is noticed from there, too.
        assert_eq!(clock.passed(20 * SECOND, later(1820)), 1820 * SECOND);
    }

    #[test]
    fn absurd_clocks_never_run_backwards() {
        let clock = SystemAgeClock::new();
        let mut last = 0;
        for (monotonic, wall) in
            [(1, i128::MAX / 4), (2, i128::MIN / 4), (3, 0), (4, i128::MAX / 4)]
        {
            let passed = clock.passed(monotonic, wall);
            assert!(passed >= last);
            last = passed;
        }
    }
}
