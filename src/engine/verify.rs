//! Verifies presented tokens: the one verifier for every transport.

use super::denial::{Denial, DenialReason, Outage, VerifyError};
use super::event::{Event, Subject};
use super::verified::{Context, Verified};
use super::{Engine, Hallpass};
use crate::clock::Timestamp;
use crate::scope::ScopeSet;
use crate::store::{Change, Facts, Filter, Reach};
use crate::token::{
    Actor, DigestCheck, Lifecycle, Revocation, RevocationReason, Status, TokenId, TokenText,
};

impl Hallpass {
    /// Verifies a presented text.
    ///
    /// The checks, in this order: grammar, brand and checksum; kind; the record, by id; the
    /// secret, in constant time; revoked, expired, suspended, not yet valid; the owner; the token
    /// it was made from; network; audience. A text that fails the first is refused without asking
    /// the store.
    ///
    /// Never fails or waits because a use could not be noted.
    ///
    /// # Errors
    /// [`VerifyError::Denied`] if the text is refused, [`VerifyError::Unavailable`] if that cannot
    /// be told.
    pub async fn verify(&self, text: &str, context: &Context<'_>) -> Result<Verified, VerifyError> {
        let engine = &*self.0;
        let now = context.now.unwrap_or_else(|| engine.clock.now());
        match engine.verify(text, context, now).await {
            Ok(verified) => Ok(verified),
            Err(error) => {
                engine.report(&error, context, now);
                Err(error)
            }
        }
    }
}

/// Which secret of a token was presented.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Presented {
    Current,
    Older,
}

impl Engine {
    pub(super) async fn verify(
        &self,
        text: &str,
        context: &Context<'_>,
        now: Timestamp,
    ) -> Result<Verified, VerifyError> {
        let Ok(text) = TokenText::parse(text, &self.brands) else {
            return Err(denied(None, DenialReason::Malformed));
        };
        let id = text.id();
        if !context.kinds.contains(text.kind()) {
            return Err(denied(Some(id), DenialReason::WrongKind));
        }
        let Some(facts) = self.facts(id).await.map_err(Outage::from)? else {
            self.peppers.check_nothing(&text);
            return Err(denied(Some(id), DenialReason::Unknown));
        };
        let presented = self.check_secret(&text, &facts)?;
        let expires_at = match self.check_status(&facts, presented, now) {
            // A token that rests can be taken back, so its replaced secret is watched as ever.
            Ok(_) | Err(DenialReason::Suspended | DenialReason::NotYetValid)
                if presented == Presented::Older && facts.grace_is_over(now) =>
            {
                return Err(self.reused(&facts, context, now).await);
            }
            Ok(expires_at) => expires_at,
            Err(reason) => return Err(denied(Some(id), reason)),
        };
        let scopes = self.check_owner(&facts).await?;
        if let Some(rare) = &facts.rare {
            if let Some(parent) = &rare.parent {
                self.check_parent(id, parent, now).await?;
            }
            if !rare.networks.admit(context.ip) {
                return Err(denied(Some(id), DenialReason::WrongNetwork));
            }
        }
        let audience = facts.rare.as_ref().map(|rare| rare.audience.as_slice()).unwrap_or_default();
        let addressed = match context.audience {
            None => audience.is_empty(),
            Some(us) => audience.iter().any(|them| them == us),
        };
        if !addressed {
            return Err(denied(Some(id), DenialReason::WrongAudience));
        }
        if self.wants_upkeep(&facts, presented) {
            Box::pin(self.keep_up(&text, &facts, presented, now)).await;
        }
        self.uses.note(&facts, context, now);
        Ok(Verified { facts, scopes, expires_at })
    }

    /// The facts of a token, from memory if the store has them there.
    pub(super) async fn facts(
        &self,
        id: &TokenId,
    ) -> Result<Option<Facts>, crate::store::StoreError> {
        if let Some(facts) = self.store.resident(id)
            && self.catalog.owns(&facts.scopes)
        {
            return Ok(Some(facts));
        }
        let record = self.store.find(id).await?;
        Ok(record.map(|record| Facts::of(&record, &self.catalog)))
    }

    pub(super) fn check_secret(
        &self,
        text: &TokenText<'_>,
        facts: &Facts,
    ) -> Result<Presented, VerifyError> {
        let id = text.id();
        let older = facts.rare.as_ref().and_then(|rare| rare.superseded.as_ref());
        let digests = [(Presented::Current, Some(&facts.digest)), (Presented::Older, older)];
        for (presented, digest) in digests {
            let Some(digest) = digest else {
                continue;
            };
            match self.peppers.check(text, digest) {
                DigestCheck::Match => return Ok(presented),
                DigestCheck::Mismatch => {}
                DigestCheck::Unusable => {
                    return Err(denied(Some(id), DenialReason::UnusableDigest));
                }
                DigestCheck::MissingPepper => {
                    return Err(Outage::MissingPepper { id: *id }.into());
                }
            }
        }
        Err(denied(Some(id), DenialReason::WrongSecret))
    }

    /// Refuses a token that is not active under today's policy, and tells when it ends.
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
    async fn check_owner(&self, facts: &Facts) -> Result<ScopeSet, VerifyError> {
        let owner = self.owner(&facts.tenant, &facts.owner).await.map_err(Outage::from)?;
        let owner = owner.ok_or_else(|| denied(Some(&facts.id), DenialReason::OwnerUnknown))?;
        if !owner.active {
            return Err(denied(Some(&facts.id), DenialReason::OwnerInactive));
        }
        if !self.policy.admits(&owner) {
            return Err(denied(Some(&facts.id), DenialReason::OwnerKind));
        }
        let rights = self.rights(&owner).map_err(Outage::from)?;
        Ok(rights.iter().fold(facts.scopes, |scopes, rights| rights.limit(&scopes)))
    }

    /// Refuses a token whose ancestor ended, unless policy lets it finish.
    async fn check_parent(
        &self,
        child: &TokenId,
        parent: &TokenId,
        now: Timestamp,
    ) -> Result<(), VerifyError> {
        let ended = || denied(Some(child), DenialReason::ParentEnded);
        let mut next = Some(*parent);
        // Chains are short by construction; a longer one is a forged record.
        for _ in 0..MAX_ANCESTORS {
            let Some(id) = next else {
                return Ok(());
            };
            let facts = self.facts(&id).await.map_err(Outage::from)?.ok_or_else(ended)?;
            let spared = facts.revoked_for.is_some_and(|why| self.policy.spares_children(why));
            let revoked_at = if spared { None } else { facts.lifecycle.revoked_at };
            let expires_at = self.policy.end_at_use(&facts.lifecycle);
            let lifecycle = Lifecycle { revoked_at, expires_at, ..facts.lifecycle };
            if lifecycle.status(now) != Status::Active {
                return Err(ended());
            }
            next = facts.rare.as_ref().and_then(|rare| rare.parent);
        }
        Err(ended())
    }

    /// Reports that a replaced secret came back, and revokes the family if policy says so.
    async fn reused(&self, facts: &Facts, context: &Context<'_>, now: Timestamp) -> VerifyError {
        self.events.emit(now, &Event::Reused { token: Subject::from(facts), ip: context.ip });
        if self.policy.reuse_revokes
            && let Err(outage) = self.revoke_family(&facts.id, now).await
        {
            return outage.into();
        }
        denied(Some(&facts.id), DenialReason::Superseded)
    }

    /// Revokes a token and all made from it because a replaced secret came back.
    pub(super) async fn revoke_family(&self, id: &TokenId, now: Timestamp) -> Result<(), Outage> {
        let reason = RevocationReason::Reused;
        let mark = Revocation { at: now, by: Actor::System, reason };
        let ids = self.store.revoke(&Filter::new(Reach::Family(*id)), &mark).await?;
        if !ids.is_empty() {
            self.events.emit(now, &Event::Revoked { ids, by: Actor::System, reason });
        }
        Ok(())
    }

    /// Whether this use changes the record: the first use of a new secret, or of one whose digest
    /// is not under the current pepper.
    fn wants_upkeep(&self, facts: &Facts, presented: Presented) -> bool {
        presented == Presented::Current
            && (facts.awaits_first_use() || self.peppers.is_outdated(&facts.digest))
    }

    /// Writes what [`wants_upkeep`](Self::wants_upkeep) found. What fails here is found again on
    /// the next use, so it neither fails this one nor is it lost.
    async fn keep_up(
        &self,
        text: &TokenText<'_>,
        facts: &Facts,
        presented: Presented,
        now: Timestamp,
    ) {
        debug_assert_eq!(presented, Presented::Current);
        let outdated = self.peppers.is_outdated(&facts.digest);
        let rotation = facts.rare.as_ref().and_then(|rare| rare.rotation);
        let change = Change {
            digest: outdated.then(|| self.peppers.digest(text)),
            rotation: rotation.filter(|_| facts.awaits_first_use()).map(|mut rotation| {
                rotation.first_used_at = Some(now);
                if self.policy.first_use_ends_overlap {
                    rotation.grace_until = rotation.grace_until.min(now);
                }
                Some(rotation)
            }),
            ..Change::default()
        };
        let updated = self.store.update(&facts.id, facts.version, &change, now).await;
        if outdated && matches!(updated, Ok(Some(_))) {
            self.events.emit(now, &Event::Redigested { id: facts.id });
        }
    }

    /// Tells the event sink why a text was not accepted.
    pub(super) fn report(&self, error: &VerifyError, context: &Context<'_>, now: Timestamp) {
        match error {
            VerifyError::Denied(denial) => {
                if let Denial { reason: DenialReason::UnusableDigest, id: Some(id) } = denial {
                    self.events.emit(now, &Event::UnusableDigest { id: *id });
                }
                self.events.denied(now, (denial.id, denial.reason), context.ip);
            }
            VerifyError::Unavailable(Outage::MissingPepper { id }) => {
                self.events.emit(now, &Event::MissingPepper { id: *id });
            }
            VerifyError::Unavailable(_) => {}
        }
    }
}

/// Most tokens between one and the personal token it descends from.
const MAX_ANCESTORS: usize = 4;

pub(super) fn denied(id: Option<&TokenId>, reason: DenialReason) -> VerifyError {
    VerifyError::Denied(Denial { reason, id: id.copied() })
}
