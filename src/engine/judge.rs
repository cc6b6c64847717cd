//! Judges tokens: the verdict on facts that are at hand, without waiting for anything.

use super::Engine;
use super::callback::{EVERYBODY, contained};
use super::denial::{DenialReason, Outage, VerifyError, denied};
use super::verified::Context;
use crate::clock::Timestamp;
use crate::owner::OwnerFacts;
use crate::scope::ScopeSet;
use crate::store::Facts;
use crate::token::{DigestCheck, Kind, Lifecycle, Status, TokenId, TokenText};

/// What a verdict is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Letting the token be used: everything is checked, and the use is noted.
    Use,
    /// Refreshing: as using, whatever the audience, and nothing is noted.
    Refresh,
    /// Telling somebody else: neither the audience nor the network is the asker's, and nothing
    /// is noted, reported or changed.
    Look,
}

/// Which secret of a token was presented.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Presented {
    Current,
    Older,
}

/// Why a text is not good. Small, because it is handed up through every check.
#[derive(Debug)]
pub(super) enum Refusal {
    /// It is refused.
    Denied(DenialReason),
    /// Whether it is good cannot be told.
    Unavailable(Box<Outage>),
}

impl Refusal {
    /// The refusal of a text with this id.
    pub(super) fn of(self, id: &TokenId) -> VerifyError {
        match self {
            Self::Denied(reason) => denied(Some(id), reason),
            Self::Unavailable(outage) => (*outage).into(),
        }
    }
}

impl From<DenialReason> for Refusal {
    fn from(reason: DenialReason) -> Self {
        Self::Denied(reason)
    }
}

impl<O: Into<Outage>> From<O> for Refusal {
    fn from(outage: O) -> Self {
        Self::Unavailable(Box::new(outage.into()))
    }
}

/// Why there is no verdict yet, or a bad one.
#[derive(Debug)]
pub(super) enum Hold {
    /// The text is not good.
    Against(Refusal),
    /// A replaced secret came back after the overlap.
    Reused,
    /// The owner must be fetched.
    Owner,
    /// This ancestor must be fetched.
    Ancestor(TokenId),
    /// This use changes the record.
    Upkeep,
}

impl<R: Into<Refusal>> From<R> for Hold {
    fn from(refusal: R) -> Self {
        Self::Against(refusal.into())
    }
}

/// What a good verdict leaves of a token's rights and time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rest {
    pub(super) scopes: ScopeSet,
    pub(super) expires_at: Option<Timestamp>,
}

/// What was fetched for a verdict that could not be given at once.
#[derive(Debug, Default)]
pub(super) struct Fetched {
    pub(super) owner: Option<OwnerFacts>,
    pub(super) ancestors: Vec<Facts>,
    pub(super) upkept: bool,
}

impl Engine {
    /// Which of a token's secrets a text holds.
    pub(super) fn check_secret(
        &self,
        text: &TokenText<'_>,
        facts: &Facts,
        now: Timestamp,
    ) -> Result<Presented, Refusal> {
        let older = facts.rare.as_ref().and_then(|rare| rare.superseded.as_ref());
        let (presented, check) = match (self.peppers.check(text, &facts.digest), older) {
            (DigestCheck::Mismatch, Some(older)) => {
                (Presented::Older, self.peppers.check(text, older))
            }
            (check, _) => (Presented::Current, check),
        };
        match check {
            DigestCheck::Match => Ok(presented),
            DigestCheck::Mismatch => Err(DenialReason::WrongSecret.into()),
            DigestCheck::Unusable => Err(DenialReason::UnusableDigest.into()),
            // After the overlap the text is refused whether or not it was the older secret.
            DigestCheck::MissingPepper
                if presented == Presented::Older && facts.grace_is_over(now) =>
            {
                Err(DenialReason::WrongSecret.into())
            }
            DigestCheck::MissingPepper => Err(Outage::MissingPepper { id: *text.id() }.into()),
        }
    }

    /// The verdict on a token with these facts whose secret was checked, from what is in memory
    /// and what was fetched.
    #[inline(always)]
    pub(super) fn judge(
        &self,
        presented: Presented,
        facts: &Facts,
        (context, now, purpose): (&Context<'_>, Timestamp, Purpose),
        fetched: &Fetched,
    ) -> Result<Rest, Hold> {
        let expires_at = match self.check_status(facts, presented, now) {
            // A token that rests can be taken back, so its replaced secret is watched as ever.
            Ok(_) | Err(DenialReason::Suspended | DenialReason::NotYetValid)
                if presented == Presented::Older && facts.grace_is_over(now) =>
            {
                return Err(Hold::Reused);
            }
            Ok(expires_at) => expires_at,
            Err(reason) => return Err(reason.into()),
        };
        let known;
        let owner = match (&fetched.owner, &self.owners) {
            (Some(owner), _) => owner,
            (None, None) => EVERYBODY,
            (None, Some(owners)) => {
                known = contained(|| owners.resident(facts.tenant(), &facts.owner))?;
                known.as_ref().ok_or(Hold::Owner)?
            }
        };
        let scopes = self.check_owner(facts, owner)?;
        if let Some(rare) = &facts.rare {
            if let Some(parent) = &rare.parent {
                self.check_ancestors(facts.kind, parent, &fetched.ancestors, now)?;
            }
            if purpose != Purpose::Look && !rare.networks.admit(context.ip) {
                return Err(DenialReason::WrongNetwork.into());
            }
        }
        if purpose != Purpose::Use {
            return Ok(Rest { scopes, expires_at });
        }
        let audience = facts.rare.as_ref().map(|rare| rare.audience.as_slice()).unwrap_or_default();
        let addressed = match context.audience {
            None => audience.is_empty(),
            Some(us) => audience.iter().any(|them| them == us),
        };
        if !addressed {
            return Err(DenialReason::WrongAudience.into());
        }
        if presented == Presented::Current && !fetched.upkept && self.wants_upkeep(facts) {
            return Err(Hold::Upkeep);
        }
        self.uses.note(facts, context, now);
        Ok(Rest { scopes, expires_at })
    }

    /// Refuses a token that is not active under today's policy, and tells when it ends.
    #[inline]
    fn check_status(
        &self,
        facts: &Facts,
        presented: Presented,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, DenialReason> {
        let expires_at = self.policy.end_at_use(&facts.lifecycle);
        match (Lifecycle { expires_at, ..facts.lifecycle }).status(now) {
            Status::Active => {
                let grace = facts.rare.as_ref().and_then(|rare| rare.rotation);
                Ok(match (presented, grace) {
                    (Presented::Older, Some(grace)) => {
                        Some(expires_at.map_or(grace.grace_until, |end| end.min(grace.grace_until)))
                    }
                    _ => expires_at,
                })
            }
            Status::NotYetValid => Err(DenialReason::NotYetValid),
            Status::Suspended => Err(DenialReason::Suspended),
            Status::Expired => Err(DenialReason::Expired),
            Status::Revoked => Err(DenialReason::Revoked),
        }
    }

    /// Refuses tokens of owners who may not hold any, and tells what this one grants today.
    #[inline(always)]
    fn check_owner(&self, facts: &Facts, owner: &OwnerFacts) -> Result<ScopeSet, Refusal> {
        if !owner.active {
            return Err(DenialReason::OwnerInactive.into());
        }
        if !self.policy.admits(owner) {
            return Err(DenialReason::OwnerKind.into());
        }
        Ok(self.limit(owner, &facts.scopes)?)
    }

    /// Refuses a token whose ancestor ended, unless policy lets it finish.
    fn check_ancestors(
        &self,
        kind: Kind,
        parent: &TokenId,
        fetched: &[Facts],
        now: Timestamp,
    ) -> Result<(), Hold> {
        // A session may finish; what starts new ones may not.
        let may_finish = kind != Kind::Refresh;
        let mut next = Some(*parent);
        // Chains are short by construction; a longer one is a forged record.
        for _ in 0..MAX_ANCESTORS {
            let Some(id) = next else {
                return Ok(());
            };
            let mut ancestor = None;
            let mut look = |facts: &Facts| {
                let parent = facts.rare.as_ref().and_then(|rare| rare.parent);
                ancestor = Some((self.lets_live(facts, may_finish, now), parent));
            };
            match fetched.iter().find(|facts| facts.id == id) {
                Some(facts) => look(facts),
                None => self.store.resident(&id, &mut look),
            }
            let (lets_live, parent) = ancestor.ok_or(Hold::Ancestor(id))?;
            if !lets_live {
                return Err(DenialReason::ParentEnded.into());
            }
            next = parent;
        }
        Err(DenialReason::ParentEnded.into())
    }

    /// Whether what was made from a token is good as far as this token goes.
    fn lets_live(&self, facts: &Facts, may_finish: bool, now: Timestamp) -> bool {
        let spared =
            may_finish && facts.revoked_for.is_some_and(|why| self.policy.spares_children(why));
        let revoked_at = if spared { None } else { facts.lifecycle.revoked_at };
        let expires_at = self.policy.end_at_use(&facts.lifecycle);
        let lifecycle = Lifecycle { revoked_at, expires_at, ..facts.lifecycle };
        lifecycle.status(now) == Status::Active
    }

    /// Whether a use of the current secret changes the record: its first use, or one of a secret
    /// whose digest is not under the current pepper.
    fn wants_upkeep(&self, facts: &Facts) -> bool {
        facts.awaits_first_use() || self.peppers.is_outdated(&facts.digest)
    }
}

/// Most tokens between one and the personal token it descends from.
const MAX_ANCESTORS: usize = 4;
