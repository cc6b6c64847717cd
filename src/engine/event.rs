//! What the engine reports.

use std::fmt;
use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU32, AtomicU64, Ordering};

use chrono::TimeDelta;

use super::denial::DenialReason;
use super::owner_event::OwnerChange;
use super::verified::Verified;
use super::whose::SecretMatch;
use crate::clock::Timestamp;
use crate::token::{Actor, Kind, Owner, RevocationReason, Tenant, Token, TokenId, TokenName};

/// Something that happened. No event holds a secret, a digest or a pepper.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A token was issued, copied or exchanged.
    Issued {
        /// The token.
        token: Subject,
        /// Who did it.
        by: Actor,
        /// The token it was exchanged from.
        parent: Option<TokenId>,
    },
    /// Settings of a token were changed, or it was suspended or resumed.
    Updated {
        /// The token.
        token: Subject,
        /// Who did it.
        by: Actor,
        /// What was done.
        what: Update,
    },
    /// A token got a new secret.
    Rotated {
        /// The token.
        token: Subject,
        /// Who did it.
        by: Actor,
        /// The first instant at which the older secret is refused.
        grace_until: Timestamp,
    },
    /// Tokens were revoked.
    Revoked {
        /// The tokens, in no order.
        ids: Vec<TokenId>,
        /// Who did it.
        by: Actor,
        /// Why.
        reason: RevocationReason,
    },
    /// A token is about to end, or has just ended: its owner should be told. Each of policy's
    /// [notices](crate::Policy::expiry_notices) is given once for an end, however many nodes there
    /// are; again where a node ended, or its store failed, between giving it and noting that. Token,
    /// end and lead tell that it is the same.
    Expiring {
        /// The token.
        token: Subject,
        /// What the owner calls it.
        name: TokenName,
        /// The first instant at which it is no longer usable.
        expires_at: Timestamp,
        /// Which notice it is: so long before the end it was due. Zero: the token has ended.
        lead: TimeDelta,
    },
    /// The host app told that an owner changed.
    OwnerChanged {
        /// The owner's organisation.
        tenant: Tenant,
        /// The owner.
        owner: Owner,
        /// What happened to it.
        change: OwnerChange,
    },
    /// A secret that had been replaced was presented after the overlap: two parties hold it.
    Reused {
        /// The token.
        token: Subject,
        /// From where.
        ip: Option<IpAddr>,
    },
    /// The secret of a token was found where it must not be, and the token is revoked. The owner
    /// has to hear of it. Emitted by the report that revokes the token or something made from it;
    /// repeated reports emit nothing.
    Leaked {
        /// The token.
        token: Subject,
        /// Who found it.
        by: Actor,
        /// Which of its secrets was found.
        secret: SecretMatch,
        /// Where, an `http` or `https` URL without query and fragment. Who made the secret public
        /// chose it, so treat it as text of a stranger.
        url: Option<String>,
        /// In what, in the words of who found it, such as `content`, `commit` or `npm`.
        source: Option<String>,
    },
    /// A presented text was refused. Under load some are only counted.
    Denied {
        /// The id in the text, if it was a token's text at all.
        id: Option<TokenId>,
        /// The exact reason, which the client is not told.
        reason: DenialReason,
        /// From where.
        ip: Option<IpAddr>,
        /// How many refusals for this reason went unreported since the last one that was.
        unreported: u64,
    },
    /// A valid token lacked a scope or did not reach a resource.
    Forbidden {
        /// The token.
        token: Subject,
        /// What the route asked for.
        required: String,
    },
    /// A stored digest cannot be used: unknown scheme or damaged. Somebody must look at it.
    UnusableDigest {
        /// The token.
        id: TokenId,
    },
    /// A stored digest names a pepper that is not in the ring.
    MissingPepper {
        /// The token.
        id: TokenId,
    },
    /// Whether a presented text is good could not be told.
    Unavailable {
        /// What is out of order.
        outage: String,
    },
    /// A digest was replaced by one under the current pepper.
    Redigested {
        /// The token.
        id: TokenId,
    },
    /// Last uses could not be kept and are lost.
    UsesDropped {
        /// How many.
        count: u64,
    },
    /// A round of maintenance failed; it is tried again.
    MaintenanceFailed {
        /// What failed.
        error: String,
    },
    /// Ended records were removed.
    Purged {
        /// How many.
        count: u64,
    },
}

/// What an update did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Update {
    /// Changed settings.
    Settings,
    /// Set the token aside.
    Suspended,
    /// Took it back.
    Resumed,
}

/// The token an event is about.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Subject {
    /// Its id.
    pub id: TokenId,
    /// Its kind.
    pub kind: Kind,
    /// Its owner's organisation.
    pub tenant: Tenant,
    /// Its owner.
    pub owner: Owner,
}

impl From<&Token> for Subject {
    fn from(token: &Token) -> Self {
        Self {
            id: token.id,
            kind: token.kind,
            tenant: token.tenant.clone(),
            owner: token.owner.clone(),
        }
    }
}

impl From<&Verified> for Subject {
    fn from(verified: &Verified) -> Self {
        Self {
            id: *verified.id(),
            kind: verified.kind(),
            tenant: verified.tenant().clone(),
            owner: verified.owner().clone(),
        }
    }
}

impl From<&crate::store::Facts> for Subject {
    fn from(facts: &crate::store::Facts) -> Self {
        Self {
            id: facts.id,
            kind: facts.kind,
            tenant: facts.tenant().clone(),
            owner: facts.owner.clone(),
        }
    }
}

/// Where events go: a log, a queue, a table.
///
/// The engine calls it after the change is durable, on the task that made it. It must return
/// quickly; one that panics loses its event and nothing else.
pub trait EventSink: fmt::Debug + Send + Sync + 'static {
    /// Takes an event.
    fn emit(&self, at: Timestamp, event: &Event);
}

/// Forgets every event. An engine with it counts as one that somebody listens to: it takes its
/// share of the [expiry notices](crate::Policy::expiry_notices), and nobody hears of those. Give
/// no sink to leave them to other nodes.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoEvents;

impl EventSink for NoEvents {
    fn emit(&self, _: Timestamp, _: &Event) {}
}

impl<S: EventSink + ?Sized> EventSink for Arc<S> {
    fn emit(&self, at: Timestamp, event: &Event) {
        (**self).emit(at, event);
    }
}

/// The sink as the engine uses it: panics are contained, and refusals are thinned out.
#[derive(Debug)]
pub(super) struct Events {
    sink: Option<Box<dyn EventSink>>,
    denials: [Throttle; DenialReason::ALL.len()],
    alarms: Throttle,
}

impl Events {
    pub(super) fn new(sink: Option<Box<dyn EventSink>>) -> Self {
        Self { sink, denials: Default::default(), alarms: Throttle::default() }
    }

    /// Whether there is a sink.
    pub(super) fn are_heard(&self) -> bool {
        self.sink.is_some()
    }

    pub(super) fn emit(&self, at: Timestamp, event: &Event) {
        let Some(sink) = &self.sink else { return };
        // The change the event tells of has happened; a broken sink cannot take it back.
        let _ = catch_unwind(AssertUnwindSafe(|| sink.emit(at, event)));
    }

    /// Reports a refusal, or counts it if there were many in this second.
    pub(super) fn denied(
        &self,
        at: Timestamp,
        (id, reason): (Option<TokenId>, DenialReason),
        ip: Option<IpAddr>,
    ) {
        let throttle = self.denials.get(reason as usize);
        if let Some(unreported) = throttle.and_then(|throttle| throttle.admit(at)) {
            self.emit(at, &Event::Denied { id, reason, ip, unreported });
        }
    }

    /// Reports what somebody must look at, unless that was reported often in this second: the
    /// requests that lead here can be sent by anybody who knows an id.
    pub(super) fn alarm(&self, at: Timestamp, event: &Event) {
        if self.alarms.admit(at).is_some() {
            self.emit(at, event);
        }
    }
}

/// Lets through so many events a second and counts the rest.
#[derive(Debug, Default)]
struct Throttle {
    second: AtomicI64,
    admitted: AtomicU32,
    unreported: AtomicU64,
}

impl Throttle {
    const PER_SECOND: u32 = 20;

    /// How many went unreported before this one, or `None` if this one is not reported either.
    fn admit(&self, at: Timestamp) -> Option<u64> {
        let second = at.as_micros() / 1_000_000;
        if self.second.swap(second, Ordering::Relaxed) != second {
            self.admitted.store(0, Ordering::Relaxed);
        }
        if self.admitted.fetch_add(1, Ordering::Relaxed) < Self::PER_SECOND {
            Some(self.unreported.swap(0, Ordering::Relaxed))
        } else {
            self.unreported.fetch_add(1, Ordering::Relaxed);
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    #[test]
    fn refusals_beyond_the_rate_are_counted_not_lost() {
        let throttle = Throttle::default();
        let start = Timestamp::MIN.saturating_add(TimeDelta::seconds(5));
        let reported = (0..50).filter(|_| throttle.admit(start).is_some()).count();
        assert_eq!(reported, 20);
        let later = start.saturating_add(TimeDelta::seconds(1));
        assert_eq!(throttle.admit(later), Some(30));
        assert_eq!(throttle.admit(later), Some(0));
    }
}
