//! What the app allows at issue, at edit, at rotation and at use.

use std::fmt;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};

use crate::caller::Caller;
use crate::clock::Timestamp;
use crate::owner::{OwnerFacts, OwnerKind, Rights};
use crate::scope::ScopeSet;
use crate::token::{Lifecycle, Notices, RevocationReason};

/// When a token is to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expiry {
    /// So long after it is issued.
    In(TimeDelta),
    /// At this instant.
    At(DateTime<Utc>),
    /// Never, where policy allows that.
    Never,
}

/// What the app allows. [`Policy::default`] is a safe start; every field can be set.
///
/// ```
/// use chrono::TimeDelta;
/// use hallpass::Policy;
///
/// let policy = Policy { quota: Some(10), max_lifetime: TimeDelta::days(90), ..Policy::default() };
/// ```
#[derive(Clone)]
pub struct Policy {
    /// How long a token lives if its issuer does not say; 30 days.
    pub default_lifetime: TimeDelta,
    /// Shortest life of a token; 1 second.
    pub min_lifetime: TimeDelta,
    /// Longest life of a token; 366 days. It also holds at use: an older token is refused even if
    /// it was issued for longer. A rotation starts it anew.
    pub max_lifetime: TimeDelta,
    /// Whether a token may live for ever; no. It also holds at use: without it, a token that has
    /// no expiry ends after `max_lifetime`.
    pub allow_never: bool,
    /// Most live tokens of one kind that an owner can hold; 50. `None` for no bound.
    pub quota: Option<u32>,
    /// Most live access tokens from exchanges that an owner can hold; 1,000. `None` for no bound.
    pub exchange_quota: Option<u32>,
    /// Which sorts of account may hold tokens; local and service accounts. It also holds at use.
    pub owner_kinds: Vec<OwnerKind>,
    /// Whether an owner's live tokens have different names; yes.
    pub unique_names: bool,
    /// What an owner of these facts may be granted at most, beside the owner's own rights;
    /// nothing is taken away unless set. It also holds at use.
    pub ceiling: Option<Ceiling>,
    /// How long ago an owner or administrator must have confirmed its presence to issue, rotate,
    /// copy or widen; 5 minutes, and no more. `None` asks for no confirmation.
    pub confirmation: Option<TimeDelta>,
    /// How long the older secret stays good after a rotation; 24 hours.
    pub overlap: TimeDelta,
    /// Longest overlap that can be asked for; 7 days.
    pub max_overlap: TimeDelta,
    /// Whether the first use of the new secret ends the overlap; no.
    pub first_use_ends_overlap: bool,
    /// Whether presenting an older secret after the overlap revokes the token and all made from
    /// it, on any route; no. The event is raised in any case.
    pub reuse_revokes: bool,
    /// How long an exchanged access token lives if nobody says; 15 minutes, and at least 5
    /// seconds.
    pub exchange_lifetime: TimeDelta,
    /// Longest life of an exchanged access token; 1 hour.
    pub max_exchange_lifetime: TimeDelta,
    /// How long an application token lives that comes with a refresh token; 1 hour. For as long a
    /// refresh token can be presented again if the reply to it was lost.
    pub application_lifetime: TimeDelta,
    /// How long an application's grant lives if nobody says: the end of every refresh token in
    /// it, however often it is refreshed; 90 days, or `max_lifetime` if that is less.
    pub refresh_lifetime: TimeDelta,
    /// Most live refresh tokens that an owner can hold; 100. A grant holds one, and two once it
    /// was refreshed. `None` for no bound.
    pub refresh_quota: Option<u32>,
    /// For whom tokens can be exchanged beside the app itself; nobody.
    pub exchange_audiences: Vec<String>,
    /// Whether access tokens already exchanged, or refreshed, go on until their own end when the token they were
    /// made from is revoked on request; no. They never outlive a compromise, or their owner.
    pub let_sessions_finish: bool,
    /// At least how long after a token's last noted use the next one is written; 60 seconds.
    pub last_use_interval: TimeDelta,
    /// How long before a token ends its owner is to be told, longest first, at most 8: 30 days, 7
    /// days, 1 day, and zero for when it has ended. [`maintain`](crate::Hallpass::maintain) raises
    /// [`Event::Expiring`](crate::Event::Expiring) for each. A notice that is missed is given until
    /// the next one is due, the last one for a day; one whose time came before the token got its
    /// secret or its end is not given. Personal and application tokens are told of, by their own
    /// end. A node without an event sink leaves notices to others; one with
    /// [`NoEvents`](crate::NoEvents) swallows those it takes.
    pub expiry_notices: Vec<TimeDelta>,
    /// How long a personal or application token may go unused before
    /// [`maintain`](crate::Hallpass::maintain) revokes it; `None`, for as long as it lives. At least
    /// a day, longer than `max_exchange_lifetime`, and longer than `last_use_interval` and an hour:
    /// an exchange counts as a use of the token, what is done with the access token does not. It is
    /// counted from the last use, the last rotation, the issue or the first instant at which the
    /// token is valid, whichever is latest. Call `maintain` on every node: what was used on a node
    /// that does not is revoked.
    pub max_idle: Option<TimeDelta>,
    /// How long ended tokens are kept; 90 days. Keep them at least as long as the oldest backup.
    pub retention: TimeDelta,
    /// How long ended access tokens from exchanges are kept; 1 day.
    pub exchange_retention: TimeDelta,
}

/// A rule that limits what owners can be granted.
pub type Ceiling = Arc<dyn Fn(&OwnerFacts) -> Rights + Send + Sync>;

impl Default for Policy {
    fn default() -> Self {
        Self {
            default_lifetime: TimeDelta::days(30),
            min_lifetime: TimeDelta::seconds(1),
            max_lifetime: TimeDelta::days(366),
            allow_never: false,
            quota: Some(50),
            exchange_quota: Some(1000),
            owner_kinds: vec![OwnerKind::Local, OwnerKind::Service],
            unique_names: true,
            ceiling: None,
            confirmation: Some(TimeDelta::minutes(5)),
            overlap: TimeDelta::hours(24),
            max_overlap: TimeDelta::days(7),
            first_use_ends_overlap: false,
            reuse_revokes: false,
            exchange_lifetime: TimeDelta::minutes(15),
            max_exchange_lifetime: TimeDelta::hours(1),
            application_lifetime: TimeDelta::hours(1),
            refresh_lifetime: TimeDelta::days(90),
            refresh_quota: Some(100),
            exchange_audiences: Vec::new(),
            let_sessions_finish: false,
            last_use_interval: TimeDelta::seconds(60),
            expiry_notices: [30, 7, 1, 0].map(TimeDelta::days).into(),
            max_idle: None,
            retention: TimeDelta::days(90),
            exchange_retention: TimeDelta::days(1),
        }
    }
}

impl fmt::Debug for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Policy")
            .field("default_lifetime", &self.default_lifetime)
            .field("max_lifetime", &self.max_lifetime)
            .field("allow_never", &self.allow_never)
            .field("quota", &self.quota)
            .finish_non_exhaustive()
    }
}

impl Policy {
    /// Checks that the policy does not contradict itself.
    ///
    /// # Errors
    /// [`PolicyError`] names the first rule that is broken.
    pub fn check(&self) -> Result<(), PolicyError> {
        let second = TimeDelta::seconds(1);
        let ordered =
            |low: TimeDelta, value: TimeDelta, high: TimeDelta| low <= value && value <= high;
        if self.min_lifetime < second
            || !ordered(self.min_lifetime, self.default_lifetime, self.max_lifetime)
        {
            return Err(PolicyError::Lifetimes);
        }
        if !ordered(Self::MIN_EXCHANGE, self.exchange_lifetime, self.max_exchange_lifetime) {
            return Err(PolicyError::ExchangeLifetimes);
        }
        if !ordered(Self::MIN_EXCHANGE, self.application_lifetime, self.refresh_lifetime) {
            return Err(PolicyError::RefreshLifetimes);
        }
        if !ordered(TimeDelta::zero(), self.overlap, self.max_overlap)
            || self.max_overlap > TimeDelta::days(7)
        {
            return Err(PolicyError::Overlaps);
        }
        let zero = TimeDelta::zero();
        if [self.last_use_interval, self.retention, self.exchange_retention]
            .iter()
            .chain(&self.confirmation)
            .any(|delta| *delta < zero)
        {
            return Err(PolicyError::Negative);
        }
        if self.confirmation.is_some_and(|longest| longest > TimeDelta::minutes(5)) {
            return Err(PolicyError::Confirmation);
        }
        let notices = &self.expiry_notices;
        if notices.len() > 8
            || notices.last().is_some_and(|last| *last < zero)
            || !notices.is_sorted_by(|longer, shorter| longer > shorter)
        {
            return Err(PolicyError::Notices);
        }
        let unwritten = self.last_use_interval.checked_add(&TimeDelta::hours(1));
        if self.max_idle.is_some_and(|longest| {
            longest < TimeDelta::days(1)
                || longest <= self.max_exchange_lifetime
                || unwritten.is_none_or(|unwritten| longest <= unwritten)
        }) {
            return Err(PolicyError::Idle);
        }
        Ok(())
    }

    /// The end of a token issued at `now`, as asked for or by default. Lifetimes are whole
    /// microseconds between `min_lifetime` and `max_lifetime`.
    ///
    /// # Errors
    /// [`ExpiryError`] if the wish is outside what policy allows.
    pub fn expiry(
        &self,
        wish: Option<Expiry>,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, ExpiryError> {
        let end = match wish.unwrap_or(Expiry::In(self.default_lifetime)) {
            Expiry::Never if self.allow_never => return Ok(None),
            Expiry::Never => return Err(ExpiryError::Never),
            Expiry::In(delta) if delta <= TimeDelta::zero() => return Err(ExpiryError::TooShort),
            Expiry::In(delta) => now.checked_add(delta).ok_or(ExpiryError::TooLong)?,
            Expiry::At(instant) => {
                Timestamp::try_from(instant).map_err(|_| ExpiryError::OutOfRange)?
            }
        };
        let life = end.since(now);
        if life < self.min_lifetime {
            return Err(ExpiryError::TooShort);
        }
        if life > self.max_lifetime {
            return Err(ExpiryError::TooLong);
        }
        Ok(Some(end))
    }

    /// The end of an access token exchanged at `now`: computed once, and never past the end of
    /// the token it is made from.
    ///
    /// # Errors
    /// [`ExpiryError`] if less than five seconds would be left, or more is asked for than policy
    /// allows.
    pub fn exchange_expiry(
        &self,
        wish: Option<TimeDelta>,
        parent_end: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<Timestamp, ExpiryError> {
        let life = wish.unwrap_or(self.exchange_lifetime);
        if life < Self::MIN_EXCHANGE {
            return Err(ExpiryError::TooShort);
        }
        if life > self.max_exchange_lifetime {
            return Err(ExpiryError::TooLong);
        }
        let end = now.checked_add(life).ok_or(ExpiryError::TooLong)?;
        let end = parent_end.map_or(end, |parent| parent.min(end));
        if end.since(now) < Self::MIN_EXCHANGE {
            return Err(ExpiryError::TooShort);
        }
        Ok(end)
    }

    /// The end of an application token that is issued or refreshed at `now`, never past the end
    /// of the grant.
    ///
    /// # Errors
    /// [`ExpiryError::TooShort`] if less than five seconds would be left.
    pub fn application_end(
        &self,
        grant_end: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<Timestamp, ExpiryError> {
        let end = now.checked_add(self.application_lifetime).ok_or(ExpiryError::TooLong)?;
        let end = grant_end.map_or(end, |grant| grant.min(end));
        if end.since(now) < Self::MIN_EXCHANGE { Err(ExpiryError::TooShort) } else { Ok(end) }
    }

    /// Least time an exchanged token must have left.
    const MIN_EXCHANGE: TimeDelta = TimeDelta::seconds(5);

    /// When a token ends under today's policy: at its own end or at the longest lifetime,
    /// whichever is first.
    #[must_use]
    pub fn end_at_use(&self, lifecycle: &Lifecycle) -> Option<Timestamp> {
        let longest = lifecycle.issued_at.saturating_add(self.max_lifetime);
        match lifecycle.expires_at {
            None if self.allow_never => None,
            own => Some(own.map_or(longest, |own| own.min(longest))),
        }
    }

    /// How long an older secret stays good, and until when: never past the token's own end.
    ///
    /// # Errors
    /// [`ExpiryError`] if more is asked for than policy allows.
    pub fn grace_until(
        &self,
        overlap: Option<TimeDelta>,
        end: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<Timestamp, ExpiryError> {
        let overlap = overlap.unwrap_or(self.overlap);
        if overlap < TimeDelta::zero() {
            return Err(ExpiryError::TooShort);
        }
        if overlap > self.max_overlap {
            return Err(ExpiryError::TooLong);
        }
        let until = now.saturating_add(overlap);
        Ok(end.map_or(until, |end| end.min(until)))
    }

    /// What is left of `scopes` for such an owner now.
    #[must_use]
    pub fn limit(&self, owner: &OwnerFacts, scopes: &ScopeSet) -> ScopeSet {
        let own = owner.rights.limit(scopes);
        match &self.ceiling {
            None => own,
            Some(ceiling) => ceiling(owner).limit(&own),
        }
    }

    /// Whether such an owner may hold tokens.
    #[must_use]
    pub fn admits(&self, owner: &OwnerFacts) -> bool {
        self.owner_kinds.contains(&owner.kind)
    }

    /// Whether the caller confirmed its presence recently enough. A confirmation in the future is
    /// none.
    #[must_use]
    pub fn is_confirmed(&self, caller: &Caller, now: Timestamp) -> bool {
        let Some(longest) = self.confirmation else {
            return true;
        };
        caller.is_system()
            || caller.last_confirmation().is_some_and(|at| at <= now && now.since(at) <= longest)
    }

    /// The expiry notices that may be due at `now`: each with the end from which on a token may
    /// need it, and how long before its end it is due.
    pub(crate) fn notice_windows(
        &self,
        now: Timestamp,
    ) -> impl Iterator<Item = (Timestamp, TimeDelta)> {
        let last = self.expiry_notices.last().map(|last| *last - Self::LATE);
        let next = self.expiry_notices.iter().skip(1).copied().chain(last);
        let from = move |next: TimeDelta| now.saturating_add(next);
        self.expiry_notices.iter().zip(next).map(move |(lead, next)| (from(next), *lead))
    }

    /// The expiry notice that is due at `now` for a token that ends at `end` and whose secret was
    /// made at `issued_at`: its bit, and how long before the end it is due.
    pub(crate) fn due_notice(
        &self,
        end: Timestamp,
        issued_at: Timestamp,
        now: Timestamp,
    ) -> Option<(u8, TimeDelta)> {
        let mut windows = self.notice_windows(now).enumerate();
        windows.find_map(|(place, (from, lead))| {
            let due_at = end.saturating_sub(lead);
            let due = due_at <= now && from < end && issued_at < due_at;
            due.then_some((1 << place, lead))
        })
    }

    /// The notices of a token that gets this end now. Whoever sets it knows it, so the one that is
    /// due at once counts as given.
    pub(crate) fn notices_at_start(&self, end: Option<Timestamp>, now: Timestamp) -> Notices {
        let due = end.and_then(|end| self.due_notice(end, Timestamp::MIN, now));
        Notices { given: due.map_or(0, |(bit, _)| bit), claimed_at: None }
    }

    /// For how long the last expiry notice is still given.
    const LATE: TimeDelta = TimeDelta::days(1);

    /// Whether what was made from a token lives on when it is revoked for this reason.
    #[must_use]
    pub fn spares_children(&self, reason: RevocationReason) -> bool {
        self.let_sessions_finish && !reason.is_compromise()
    }
}

/// Why a token cannot have the asked end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ExpiryError {
    /// In the past, now, or sooner than policy allows.
    #[error("the lifetime is shorter than allowed")]
    TooShort,
    /// Later than policy allows.
    #[error("the lifetime is longer than allowed")]
    TooLong,
    /// Never, where policy does not allow it.
    #[error("the token must have an expiry")]
    Never,
    /// Outside the years 1970 to 9999.
    #[error("the expiry is outside the years 1970 to 9999")]
    OutOfRange,
}

/// Why a policy contradicts itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// Lifetimes.
    #[error("lifetimes must satisfy 1 s <= min_lifetime <= default_lifetime <= max_lifetime")]
    Lifetimes,
    /// Lifetimes of exchanged tokens.
    #[error("exchange lifetimes must satisfy 5 s <= exchange_lifetime <= max_exchange_lifetime")]
    ExchangeLifetimes,
    /// Lifetimes of refreshed tokens.
    #[error("refresh lifetimes must satisfy 5 s <= application_lifetime <= refresh_lifetime")]
    RefreshLifetimes,
    /// Overlaps.
    #[error("overlaps must satisfy 0 <= overlap <= max_overlap <= 7 days")]
    Overlaps,
    /// A span of time below zero.
    #[error("a span of time is negative")]
    Negative,
    /// A confirmation that lasts too long.
    #[error("a confirmation is at most 5 minutes old")]
    Confirmation,
    /// Expiry notices.
    #[error("expiry notices are at most 8 spans of time, the longest first")]
    Notices,
    /// A token that is idle too soon.
    #[error(
        "max_idle is at least a day, longer than max_exchange_lifetime, and longer than \
         last_use_interval and an hour"
    )]
    Idle,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::token::Owner;

    fn now() -> Timestamp {
        "2026-11-22T09:00:00Z".parse().unwrap()
    }

    #[test]
    fn the_default_policy_is_sound() {
        assert_eq!(Policy::default().check(), Ok(()));
        let broken = |change: fn(&mut Policy)| {
            let mut policy = Policy::default();
            change(&mut policy);
            policy.check().unwrap_err()
        };
        assert_eq!(broken(|p| p.min_lifetime = TimeDelta::zero()), PolicyError::Lifetimes);
        assert_eq!(broken(|p| p.max_lifetime = TimeDelta::days(1)), PolicyError::Lifetimes);
        assert_eq!(broken(|p| p.max_overlap = TimeDelta::days(8)), PolicyError::Overlaps);
        assert_eq!(broken(|p| p.overlap = TimeDelta::days(-1)), PolicyError::Overlaps);
        assert_eq!(
            broken(|p| p.exchange_lifetime = TimeDelta::hours(2)),
            PolicyError::ExchangeLifetimes
        );
        // Nothing could be exchanged under it.
        assert_eq!(
            broken(|p| p.exchange_lifetime = TimeDelta::milliseconds(4999)),
            PolicyError::ExchangeLifetimes
        );
        assert_eq!(broken(|p| p.retention = TimeDelta::days(-1)), PolicyError::Negative);
    }

    #[test]
    fn lifetimes_are_bounded_on_both_sides() {
        let policy = Policy::default();
        let micro = TimeDelta::microseconds(1);
        let max = policy.max_lifetime;
        let end = |wish| policy.expiry(Some(wish), now());
        assert_eq!(end(Expiry::In(max)), Ok(Some(now().saturating_add(max))));
        assert_eq!(end(Expiry::In(max + micro)), Err(ExpiryError::TooLong));
        assert_eq!(end(Expiry::In(TimeDelta::MAX)), Err(ExpiryError::TooLong));
        assert_eq!(end(Expiry::In(TimeDelta::MIN)), Err(ExpiryError::TooShort));
        assert_eq!(end(Expiry::In(TimeDelta::zero())), Err(ExpiryError::TooShort));
        assert_eq!(end(Expiry::At(now().to_utc())), Err(ExpiryError::TooShort));
        assert_eq!(end(Expiry::At(now().to_utc() + max)), Ok(Some(now().saturating_add(max))));
        assert_eq!(
            end(Expiry::At(now().to_utc() + max + TimeDelta::seconds(1))),
            Err(ExpiryError::TooLong)
        );
        assert_eq!(end(Expiry::At(DateTime::<Utc>::MAX_UTC)), Err(ExpiryError::OutOfRange));
        assert_eq!(end(Expiry::At(DateTime::<Utc>::MIN_UTC)), Err(ExpiryError::OutOfRange));
        assert_eq!(end(Expiry::Never), Err(ExpiryError::Never));
        let lasting = Policy { allow_never: true, ..Policy::default() };
        assert_eq!(lasting.expiry(Some(Expiry::Never), now()), Ok(None));
        assert_eq!(
            lasting.expiry(None, now()),
            Ok(Some(now().saturating_add(TimeDelta::days(30))))
        );
    }

    #[test]
    fn a_tightened_policy_holds_for_old_tokens() {
        let old = Lifecycle {
            issued_at: now(),
            not_before: None,
            expires_at: None,
            suspended_at: None,
            revoked_at: None,
        };
        let lasting = Policy { allow_never: true, ..Policy::default() };
        assert_eq!(lasting.end_at_use(&old), None);
        let longest = now().saturating_add(TimeDelta::days(366));
        assert_eq!(Policy::default().end_at_use(&old), Some(longest));
        let own = Some(now().saturating_add(TimeDelta::days(1)));
        assert_eq!(Policy::default().end_at_use(&Lifecycle { expires_at: own, ..old }), own);
    }

    #[test]
    fn an_exchange_never_outlives_its_parent() {
        let policy = Policy::default();
        let seconds = |count| Some(now().saturating_add(TimeDelta::seconds(count)));
        let end = |parent| policy.exchange_expiry(None, parent, now());
        assert_eq!(end(None).ok(), seconds(900));
        assert_eq!(end(seconds(60)).ok(), seconds(60));
        assert_eq!(end(seconds(3)), Err(ExpiryError::TooShort));
        assert_eq!(
            policy.exchange_expiry(Some(TimeDelta::hours(2)), None, now()),
            Err(ExpiryError::TooLong)
        );
    }

    #[test]
    fn a_confirmation_is_recent_and_not_from_the_future() {
        let policy = Policy::default();
        let owner = Caller::owner(Owner::parse("u1").unwrap());
        let ago = |seconds| now().saturating_sub(TimeDelta::seconds(seconds));
        assert!(!policy.is_confirmed(&owner, now()));
        assert!(policy.is_confirmed(&owner.clone().confirmed_at(ago(300)), now()));
        assert!(!policy.is_confirmed(&owner.clone().confirmed_at(ago(301)), now()));
        assert!(!policy.is_confirmed(&owner.clone().confirmed_at(ago(-1)), now()));
        assert!(policy.is_confirmed(&Caller::system(), now()));
        let trusting = Policy { confirmation: None, ..Policy::default() };
        assert!(trusting.is_confirmed(&owner, now()));
    }

    #[test]
    fn sessions_do_not_outlive_a_compromise() {
        let policy = Policy { let_sessions_finish: true, ..Policy::default() };
        assert!(policy.spares_children(RevocationReason::Requested));
        assert!(!policy.spares_children(RevocationReason::Leaked));
        assert!(!Policy::default().spares_children(RevocationReason::Requested));
    }

    proptest! {
        /// Whatever is asked for, the result is inside the bounds or refused; nothing panics.
        #[test]
        fn every_granted_lifetime_is_allowed(
            micros in any::<i64>(), start in 1..Timestamp::MAX.as_micros(),
        ) {
            let policy = Policy::default();
            let start = Timestamp::from_micros(start).unwrap();
            let wish = Expiry::In(TimeDelta::microseconds(micros));
            if let Ok(Some(end)) = policy.expiry(Some(wish), start) {
                let life = end.since(start);
                prop_assert!(life >= policy.min_lifetime && life <= policy.max_lifetime);
            }
        }
    }
}
