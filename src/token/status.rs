//! Whether a token is live at an instant.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::record::Token;
use crate::clock::Timestamp;

/// What a token is at an instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Usable.
    Active,
    /// Usable later, from its not-before instant.
    NotYetValid,
    /// Set aside; can be resumed.
    Suspended,
    /// Past its end, for good.
    Expired,
    /// Revoked, for good.
    Revoked,
}

impl Status {
    /// Every status.
    pub const ALL: [Self; 5] =
        [Self::Active, Self::NotYetValid, Self::Suspended, Self::Expired, Self::Revoked];

    /// The status of a token at `now`.
    #[must_use]
    pub fn at(token: &Token, now: Timestamp) -> Self {
        token.lifecycle().status(now)
    }

    /// Whether the token still counts against a quota and holds its name: it is usable, or may
    /// become so again.
    #[must_use]
    pub fn is_live(self) -> bool {
        !matches!(self, Self::Expired | Self::Revoked)
    }

    /// The status in lower case with underscores.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::NotYetValid => "not_yet_valid",
            Self::Suspended => "suspended",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The instants that decide a token's status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lifecycle {
    /// When its current secret was made: at issue, or at the last rotation.
    pub issued_at: Timestamp,
    /// From when it is usable; at once if absent.
    pub not_before: Option<Timestamp>,
    /// The first instant at which it is no longer usable; never if absent.
    pub expires_at: Option<Timestamp>,
    /// Since when it is set aside.
    pub suspended_at: Option<Timestamp>,
    /// Since when it is revoked. Being revoked has no end, and does not wait for this instant.
    pub revoked_at: Option<Timestamp>,
}

impl Lifecycle {
    /// The status at `now`: usable from `not_before` up to, and not including, `expires_at`.
    #[must_use]
    pub fn status(&self, now: Timestamp) -> Status {
        if self.revoked_at.is_some() {
            Status::Revoked
        } else if self.expires_at.is_some_and(|end| now >= end) {
            Status::Expired
        } else if self.suspended_at.is_some() {
            Status::Suspended
        } else if self.not_before.is_some_and(|start| now < start) {
            Status::NotYetValid
        } else {
            Status::Active
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::MIN.checked_add(TimeDelta::seconds(second)).unwrap()
    }

    fn plain() -> Lifecycle {
        Lifecycle {
            issued_at: at(0),
            not_before: None,
            expires_at: None,
            suspended_at: None,
            revoked_at: None,
        }
    }

    #[test]
    fn the_window_is_closed_at_its_start_and_open_at_its_end() {
        let window = Lifecycle { not_before: Some(at(10)), expires_at: Some(at(20)), ..plain() };
        let micro = TimeDelta::microseconds(1);
        assert_eq!(window.status(at(10).saturating_sub(micro)), Status::NotYetValid);
        assert_eq!(window.status(at(10)), Status::Active);
        assert_eq!(window.status(at(20).saturating_sub(micro)), Status::Active);
        assert_eq!(window.status(at(20)), Status::Expired);
    }

    #[test]
    fn revocation_outranks_everything_and_ignores_the_clock() {
        let revoked = Lifecycle {
            expires_at: Some(at(5)),
            suspended_at: Some(at(1)),
            revoked_at: Some(at(100)),
            ..plain()
        };
        for second in [0, 4, 5, 99, 100, 101] {
            assert_eq!(revoked.status(at(second)), Status::Revoked);
        }
    }

    #[test]
    fn a_suspended_token_still_expires() {
        let suspended = Lifecycle { expires_at: Some(at(5)), suspended_at: Some(at(1)), ..plain() };
        assert_eq!(suspended.status(at(4)), Status::Suspended);
        assert_eq!(suspended.status(at(5)), Status::Expired);
        assert!(Status::Suspended.is_live() && !Status::Expired.is_live());
    }
}
