//! Instants and where they come from.
//!
//! Every decision that depends on time takes the instant as an argument; only the engine reads a
//! [`Clock`], once per operation. An instant is a [`Timestamp`]: UTC, microseconds, between 1970
//! and the end of year 9999, so that every instant has one RFC 3339 spelling and arithmetic that
//! leaves the range is visible as `None`.
//!
//! ```
//! use chrono::TimeDelta;
//! use hallpass::{Clock, ManualClock, Timestamp};
//!
//! let clock = ManualClock::at("2026-11-22T09:00:00Z".parse()?);
//! clock.advance(TimeDelta::hours(1));
//! assert_eq!(clock.now().to_string(), "2026-11-22T10:00:00Z");
//! assert_eq!(Timestamp::MAX.checked_add(TimeDelta::microseconds(1)), None);
//! # Ok::<(), hallpass::ParseTimestampError>(())
//! ```

use std::fmt;
use std::num::NonZeroI64;
use std::str::FromStr;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::SystemTime;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// An instant: UTC, in microseconds since the Unix epoch.
///
/// The range is one microsecond after 1970-01-01T00:00:00Z to 9999-12-31T23:59:59.999999Z.
/// Converts from and into [`DateTime<Utc>`]; written and read as RFC 3339 text.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(NonZeroI64);

impl Timestamp {
    /// The earliest instant, one microsecond after the Unix epoch.
    pub const MIN: Self = Self(NonZeroI64::MAX.saturating_pow(0));
    /// The latest instant, 9999-12-31T23:59:59.999999Z.
    pub const MAX: Self = match NonZeroI64::new(253_402_300_799_999_999) {
        Some(micros) => Self(micros),
        None => Self::MIN,
    };

    /// The instant that many microseconds after the Unix epoch, if it is in range.
    #[must_use]
    pub const fn from_micros(micros: i64) -> Option<Self> {
        if micros < Self::MIN.0.get() || micros > Self::MAX.0.get() {
            return None;
        }
        match NonZeroI64::new(micros) {
            Some(micros) => Some(Self(micros)),
            None => None,
        }
    }

    /// Microseconds since the Unix epoch, always positive.
    #[must_use]
    pub const fn as_micros(self) -> i64 {
        self.0.get()
    }

    /// The instant as a `chrono` value.
    #[must_use]
    pub fn to_utc(self) -> DateTime<Utc> {
        DateTime::from_timestamp_micros(self.as_micros()).unwrap_or(DateTime::<Utc>::MAX_UTC)
    }

    /// This instant moved by `delta`, or `None` where that leaves the range.
    #[must_use]
    pub fn checked_add(self, delta: TimeDelta) -> Option<Self> {
        let micros = delta.num_microseconds()?;
        Self::from_micros(self.as_micros().checked_add(micros)?)
    }

    /// This instant moved by `delta`, held inside the range.
    #[must_use]
    pub fn saturating_add(self, delta: TimeDelta) -> Self {
        self.checked_add(delta)
            .unwrap_or_else(|| if delta < TimeDelta::zero() { Self::MIN } else { Self::MAX })
    }

    /// This instant moved back by `delta`, held inside the range.
    #[must_use]
    pub fn saturating_sub(self, delta: TimeDelta) -> Self {
        self.saturating_add(-delta)
    }

    /// How long after `earlier` this instant is; negative where it is before.
    #[must_use]
    pub fn since(self, earlier: Self) -> TimeDelta {
        TimeDelta::microseconds(self.as_micros() - earlier.as_micros())
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_utc().to_rfc3339_opts(SecondsFormat::AutoSi, true))
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl From<Timestamp> for DateTime<Utc> {
    fn from(instant: Timestamp) -> Self {
        instant.to_utc()
    }
}

impl TryFrom<DateTime<Utc>> for Timestamp {
    type Error = ParseTimestampError;

    /// Rounds down to the microsecond.
    fn try_from(instant: DateTime<Utc>) -> Result<Self, Self::Error> {
        Self::from_micros(instant.timestamp_micros()).ok_or(ParseTimestampError::OutOfRange)
    }
}

/// Reads one form of RFC 3339: `YYYY-MM-DDTHH:MM:SS`, an optional `.` with one to six digits, then
/// `Z` or an offset `+HH:MM` / `-HH:MM` of at most 23:59.
///
/// Forms that readers disagree about are refused: lower-case `t` and `z`, a space for `T`, a comma
/// fraction, leap seconds, `24:00:00`, and the offset `-00:00`.
impl FromStr for Timestamp {
    type Err = ParseTimestampError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if !is_plain_rfc3339(text.as_bytes()) {
            return Err(ParseTimestampError::Syntax);
        }
        let instant =
            DateTime::parse_from_rfc3339(text).map_err(|_| ParseTimestampError::Syntax)?;
        instant.with_timezone(&Utc).try_into()
    }
}

fn is_plain_rfc3339(text: &[u8]) -> bool {
    const SHAPE: &[u8; 19] = b"dddd-dd-ddTdd:dd:dd";
    let Some((head, tail)) = text.split_at_checked(SHAPE.len()) else {
        return false;
    };
    let shaped = head.iter().zip(SHAPE).all(|(byte, shape)| match shape {
        b'd' => byte.is_ascii_digit(),
        _ => byte == shape,
    });
    let leap = head.ends_with(b":60");
    let zone = match tail {
        [b'.', rest @ ..] => {
            let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
            if !(1..=6).contains(&digits) {
                return false;
            }
            rest.get(digits..).unwrap_or_default()
        }
        _ => tail,
    };
    let zoned = match zone {
        b"Z" => true,
        b"-00:00" => false,
        [b'+' | b'-', h1, h2, b':', m1, m2] => {
            [h1, h2, m1, m2].iter().all(|byte| byte.is_ascii_digit())
                && (*h1 < b'2' || (*h1 == b'2' && *h2 < b'4'))
                && *m1 < b'6'
        }
        _ => false,
    };
    shaped && !leap && zoned
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'_, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// Why a text or value is not a [`Timestamp`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseTimestampError {
    /// Not RFC 3339 in the one accepted form.
    #[error("not an RFC 3339 instant like 2026-11-22T09:00:00Z")]
    Syntax,
    /// Before 1970 or after 9999.
    #[error("instant outside the years 1970 to 9999")]
    OutOfRange,
}

/// Where the engine reads the current instant.
pub trait Clock: fmt::Debug + Send + Sync + 'static {
    /// The current instant.
    fn now(&self) -> Timestamp;
}

/// The operating system's wall clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        // A clock set before 1970 or after 9999 reads as the nearest bound: at the upper one
        // every token with an expiry is expired, at the lower one none is valid yet.
        let Ok(elapsed) = SystemTime::UNIX_EPOCH.elapsed() else {
            return Timestamp::MIN;
        };
        let micros = elapsed.as_secs().saturating_mul(1_000_000);
        let micros = micros.saturating_add(elapsed.subsec_micros().into()).max(1);
        i64::try_from(micros).ok().and_then(Timestamp::from_micros).unwrap_or(Timestamp::MAX)
    }
}

/// A clock that stands still until it is told to move; for tests.
#[derive(Debug)]
pub struct ManualClock(AtomicI64);

impl ManualClock {
    /// A clock that shows `start`.
    #[must_use]
    pub fn at(start: Timestamp) -> Self {
        Self(AtomicI64::new(start.as_micros()))
    }

    /// Moves the clock by `delta`, backwards if it is negative, held inside the range.
    pub fn advance(&self, delta: TimeDelta) {
        self.set(self.now().saturating_add(delta));
    }

    /// Sets the clock to `instant`.
    pub fn set(&self, instant: Timestamp) {
        self.0.store(instant.as_micros(), Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.0.load(Ordering::SeqCst)).unwrap_or(Timestamp::MIN)
    }
}

impl<C: Clock + ?Sized> Clock for std::sync::Arc<C> {
    fn now(&self) -> Timestamp {
        (**self).now()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_range_ends_before_year_ten_thousand() {
        assert_eq!(Timestamp::MIN.as_micros(), 1);
        assert_eq!(Timestamp::MAX.to_string(), "9999-12-31T23:59:59.999999Z");
        assert_eq!(Timestamp::from_micros(0), None);
        assert_eq!(Timestamp::from_micros(Timestamp::MAX.as_micros() + 1), None);
        assert_eq!(Timestamp::MAX.checked_add(TimeDelta::MAX), None);
        assert_eq!(Timestamp::MAX.saturating_add(TimeDelta::MAX), Timestamp::MAX);
        assert_eq!(Timestamp::MIN.saturating_add(TimeDelta::MIN), Timestamp::MIN);
    }

    #[test]
    fn one_spelling_is_read() {
        for text in [
            "2026-11-22T09:00:00Z",
            "2026-11-22T09:00:00.5Z",
            "2026-11-22T10:00:00+01:00",
            "1970-01-01T00:00:00.000001Z",
        ] {
            assert!(text.parse::<Timestamp>().is_ok(), "{text}");
        }
        let other: Timestamp = "2026-11-22T10:00:00+01:00".parse().unwrap();
        assert_eq!(other.to_string(), "2026-11-22T09:00:00Z");
    }

    #[test]
    fn ambiguous_and_impossible_instants_are_refused() {
        for text in [
            "",
            "2026-02-30T00:00:00Z",
            "2026-11-22T24:00:00Z",
            "2026-11-22T09:00:00",
            "2026-11-22T09:00:00,5Z",
            "2026-11-22T09:00:00.Z",
            "2026-11-22T09:00:00.1234567Z",
            "2026-11-22T09:00:00+24:00",
            "2026-11-22T09:00:00+1:00",
            "2026-11-22T23:59:60Z",
            "2026-11-22t09:00:00z",
            "2026-11-22 09:00:00Z",
            "2026-11-22T09:00:00-00:00",
            "+10000-01-01T00:00:00Z",
            "10000-01-01T00:00:00Z",
            "1969-12-31T23:59:59Z",
            "2026-11-22T09:00:00Z ",
            "２026-11-22T09:00:00Z",
        ] {
            assert!(text.parse::<Timestamp>().is_err(), "{text}");
        }
    }

    #[test]
    fn the_system_clock_is_in_this_century() {
        assert!(SystemClock.now() > "2026-01-01T00:00:00Z".parse().unwrap());
    }
}
