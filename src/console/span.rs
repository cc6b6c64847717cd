//! Spans of time and instants, in words.

use chrono::TimeDelta;

use super::texts::Texts;
use crate::clock::Timestamp;

/// An instant as pages show it.
pub(super) struct When {
    /// For programs: RFC 3339.
    pub(super) instant: String,
    /// The day, in UTC.
    pub(super) date: String,
    /// How far it is away.
    pub(super) text: String,
}

impl When {
    pub(super) fn new(instant: Timestamp, now: Timestamp, t: &Texts) -> Self {
        Self { instant: instant.to_string(), date: date(instant), text: away(instant, now, t) }
    }
}

/// The day of an instant, in UTC.
pub(super) fn date(instant: Timestamp) -> String {
    instant.to_utc().format("%Y-%m-%d").to_string()
}

/// The minute of an instant, in UTC.
pub(super) fn minute(instant: Timestamp) -> String {
    instant.to_utc().format("%Y-%m-%d %H:%M UTC").to_string()
}

fn away(instant: Timestamp, now: Timestamp, t: &Texts) -> String {
    let delta = instant.since(now);
    if delta.abs() < TimeDelta::minutes(1) {
        return t.now.to_string();
    }
    let text = if delta < TimeDelta::zero() { &t.span_ago } else { &t.in_span };
    t.fill(text, "span", &span(delta.abs(), t))
}

/// A span in its largest unit, to the nearest; at least one minute.
pub(super) fn span(delta: TimeDelta, t: &Texts) -> String {
    let minutes = (delta + TimeDelta::seconds(30)).num_minutes().max(1);
    let hours = (minutes + 30) / 60;
    let days = (minutes + 12 * 60) / (24 * 60);
    if minutes < 60 {
        t.count(&t.minutes, minutes)
    } else if hours < 48 && hours != 24 {
        t.count(&t.hours, hours)
    } else if days < 92 {
        t.count(&t.days, days)
    } else if days < 365 {
        t.count(&t.months, days / 30)
    } else if days > 366 && days < 730 {
        t.count(&t.months, days * 12 / 365)
    } else {
        t.count(&t.years, days / 365)
    }
}

/// A span of so many whole days, where the number of days is what matters.
pub(super) fn days(count: i64, t: &Texts) -> String {
    match count {
        365 | 366 => t.count(&t.years, 1),
        _ => t.count(&t.days, count),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_told_in_their_largest_unit() {
        let t = Texts::english();
        for (delta, text) in [
            (TimeDelta::seconds(1), "1 minute"),
            (TimeDelta::minutes(59), "59 minutes"),
            (TimeDelta::minutes(61), "1 hour"),
            (TimeDelta::hours(24), "1 day"),
            (TimeDelta::hours(47), "47 hours"),
            (TimeDelta::days(30) - TimeDelta::seconds(1), "30 days"),
            (TimeDelta::days(7), "7 days"),
            (TimeDelta::days(91), "91 days"),
            (TimeDelta::days(180), "6 months"),
            (TimeDelta::days(365), "1 year"),
            (TimeDelta::days(400), "13 months"),
            (TimeDelta::days(800), "2 years"),
        ] {
            assert_eq!(span(delta, &t), text);
        }
    }

    #[test]
    fn instants_are_told_from_now() {
        let t = Texts::english();
        let now: Timestamp = "2026-11-22T09:00:00Z".parse().unwrap();
        let text = |delta| When::new(now.saturating_add(delta), now, &t).text;
        assert_eq!(text(TimeDelta::seconds(-59)), "just now");
        assert_eq!(text(TimeDelta::seconds(-60)), "1 minute ago");
        assert_eq!(text(TimeDelta::days(12)), "in 12 days");
        assert_eq!(date(now), "2026-11-22");
        assert_eq!(minute(now), "2026-11-22 09:00 UTC");
    }
}
