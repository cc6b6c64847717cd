//! Times, as people write and read them.

use std::str::FromStr;

use chrono::{NaiveDate, TimeDelta};

use crate::clock::Timestamp;

/// When a new token ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PatExpiry {
    /// So long after it is made.
    In(TimeDelta),
    /// At this instant.
    At(Timestamp),
    /// Never.
    Never,
}

/// Reads `never`, a length like `90d`, a date like `2027-01-31` (its first instant in UTC), or an
/// RFC 3339 instant.
impl FromStr for PatExpiry {
    type Err = ParseSpanError;

    fn from_str(text: &str) -> Result<Self, ParseSpanError> {
        if text == "never" {
            return Ok(Self::Never);
        }
        if let Ok(instant) = text.parse() {
            return Ok(Self::At(instant));
        }
        // chrono alone reads `+2027-1-31` as well.
        let is_date = text.len() == 10 && text.starts_with(|c: char| c.is_ascii_digit());
        if is_date && let Ok(date) = NaiveDate::parse_from_str(text, "%Y-%m-%d") {
            let midnight = date.and_time(chrono::NaiveTime::MIN).and_utc();
            return midnight.try_into().map(Self::At).map_err(|_| ParseSpanError::Expiry);
        }
        match parse_span(text) {
            Ok(span) if span > TimeDelta::zero() => Ok(Self::In(span)),
            _ => Err(ParseSpanError::Expiry),
        }
    }
}

/// Reads a length of time: a whole number of seconds `s`, minutes `m`, hours `h`, days `d` or weeks
/// `w`, like `24h`.
///
/// # Errors
/// [`ParseSpanError`] if it is something else.
pub fn parse_span(text: &str) -> Result<TimeDelta, ParseSpanError> {
    let wrong = ParseSpanError::Span;
    let end = text.find(|c: char| !c.is_ascii_digit()).ok_or(wrong)?;
    let (number, unit) = text.split_at_checked(end).ok_or(wrong)?;
    let number: i64 = number.parse().map_err(|_| wrong)?;
    let span = match unit {
        "s" => TimeDelta::try_seconds(number),
        "m" => TimeDelta::try_minutes(number),
        "h" => TimeDelta::try_hours(number),
        "d" => TimeDelta::try_days(number),
        "w" => TimeDelta::try_weeks(number),
        _ => None,
    };
    span.ok_or(wrong)
}

/// The text is no time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseSpanError {
    /// Not a length of time.
    #[error("write a number and s, m, h, d or w, like 24h")]
    Span,
    /// Not an end.
    #[error("write a length of time like 90d or 12h, a date like 2027-01-31, or never")]
    Expiry,
}

/// An instant as people look for it: the day, and how far that is.
#[must_use]
pub fn day(instant: Timestamp, now: Timestamp) -> String {
    let day = instant.to_utc().format("%Y-%m-%d");
    let ahead = instant.since(now);
    if ahead > TimeDelta::zero() {
        // What was given just now for 30 days ends in 30 days, not in 29.
        format!("{day} (in {})", about(ahead + TimeDelta::seconds(59)))
    } else {
        format!("{day} ({} ago)", about(-ahead))
    }
}

/// How long ago an instant was.
#[must_use]
pub fn ago(instant: Timestamp, now: Timestamp) -> String {
    let passed = now.since(instant);
    // Another machine's clock may be ahead.
    if passed < TimeDelta::minutes(1) {
        return "just now".to_owned();
    }
    format!("{} ago", about(passed))
}

/// A length of time in its largest unit, rounded down.
fn about(span: TimeDelta) -> String {
    let (number, unit) = match (span.num_days(), span.num_hours(), span.num_minutes()) {
        (0, 0, minutes) => (minutes.max(1), "minute"),
        (0, hours, _) => (hours, "hour"),
        (days, ..) => (days, "day"),
    };
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {unit}{plural}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_and_ends_are_read() {
        assert_eq!(parse_span("0s"), Ok(TimeDelta::zero()));
        assert_eq!(parse_span("90m"), Ok(TimeDelta::minutes(90)));
        assert_eq!(parse_span("24h"), Ok(TimeDelta::hours(24)));
        assert_eq!(parse_span("2w"), Ok(TimeDelta::days(14)));
        assert_eq!("90d".parse(), Ok(PatExpiry::In(TimeDelta::days(90))));
        assert_eq!("never".parse(), Ok(PatExpiry::Never));
        let at = |text: &str| PatExpiry::At(text.parse().unwrap());
        assert_eq!("2027-01-31".parse(), Ok(at("2027-01-31T00:00:00Z")));
        assert_eq!("2027-01-31T10:00:00+02:00".parse(), Ok(at("2027-01-31T08:00:00Z")));
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "90",
            "d",
            "-1d",
            "+1d",
            "1.5h",
            "1 d",
            "1D",
            "1y",
            "1dd",
            "1d12h",
            "٣d",
            "99999999999999999999d",
            "9223372036854775807w",
        ] {
            assert!(parse_span(text).is_err(), "{text}");
            assert!(text.parse::<PatExpiry>().is_err(), "{text}");
        }
        for text in
            ["0d", "Never", "2027-02-30", "2027-1-31", "31-01-2027", "+027-01-31", "1969-01-01"]
        {
            assert!(text.parse::<PatExpiry>().is_err(), "{text}");
        }
    }

    #[test]
    fn times_are_shown_by_how_far_they_are() {
        let now: Timestamp = "2026-11-22T09:00:00Z".parse().unwrap();
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        assert_eq!(day(at("2026-12-22T10:00:00Z"), now), "2026-12-22 (in 30 days)");
        assert_eq!(day(at("2026-12-22T08:59:58Z"), now), "2026-12-22 (in 30 days)");
        assert_eq!(day(at("2026-12-22T08:59:00Z"), now), "2026-12-22 (in 29 days)");
        assert_eq!(day(at("2026-11-22T09:00:30Z"), now), "2026-11-22 (in 1 minute)");
        assert_eq!(day(at("2026-11-21T08:59:00Z"), now), "2026-11-21 (1 day ago)");
        assert_eq!(ago(at("2026-11-22T08:59:01Z"), now), "just now");
        assert_eq!(ago(at("2026-11-22T09:05:00Z"), now), "just now");
        assert_eq!(ago(at("2026-11-22T07:00:00Z"), now), "2 hours ago");
    }
}
