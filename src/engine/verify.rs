//! Verifies presented tokens: the one verifier for every transport.

use super::denial::{Denial, DenialReason, Outage, VerifyError};
use super::event::{Event, Subject};
use super::verified::{Context, Verified};
use super::{Engine, Hallpass};
use crate::clock::Timestamp;
use crate::owner::OwnerFacts;
use crate::scope::ScopeSet;
use crate::store::{Change, Facts, Filter, Reach};
use crate::token::{
    Actor, DigestCheck, Kind, KindSet, Lifecycle, Revocation, RevocationReason, Status, TokenId,
    TokenText,
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
        if let Some(verdict) = engine.verdict_at_once(text, context, now) {
            return verdict;
        }
        let fetched = Box::pin(engine.fetch_and_judge(text, context, now)).await;
        fetched.inspect_err(|error| engine.report(error, context, now))
    }

    /// The verdict that [`verify`](Self::verify) gives, if all it takes is in memory.
    #[cfg(feature = "tower")]
    pub(crate) fn verify_at_once(
        &self,
        text: &str,
        context: &Context<'_>,
    ) -> Option<Result<Verified, VerifyError>> {
        let engine = &*self.0;
        let now = context.now.unwrap_or_else(|| engine.clock.now());
        engine.verdict_at_once(text, context, now)
    }
}

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
enum Hold {
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
struct Fetched {
    owner: Option<OwnerFacts>,
    ancestors: Vec<Facts>,
    upkept: bool,
}

impl Engine {
    /// What can be told of a text by itself.
    fn read<'a>(&self, text: &'a str, context: &Context<'_>) -> Result<TokenText<'a>, Denial> {
        let text = TokenText::parse(text, &self.brands)
            .map_err(|_| Denial { reason: DenialReason::Malformed, id: None })?;
        if context.kinds.contains(text.kind()) {
            Ok(text)
        } else {
            Err(Denial { reason: DenialReason::WrongKind, id: Some(*text.id()) })
        }
    }

    /// The verdict, if all it takes is in memory: given on the facts as they lie in the store,
    /// without an allocation or a suspension.
    #[inline]
    fn verdict_at_once(
        &self,
        text: &str,
        context: &Context<'_>,
        now: Timestamp,
    ) -> Option<Result<Verified, VerifyError>> {
        let mut verified = None;
        match self.judge_resident(text, context, now, &mut verified) {
            Ok(()) => verified.map(Ok),
            Err(denial) => {
                let error = denial.into();
                self.report(&error, context, now);
                Some(Err(error))
            }
        }
    }

    /// Fills in the proof if all it takes is in memory; leaves it out if something must be
    /// fetched.
    ///
    /// The proof is made in its place, because moving one costs as much as looking it up.
    fn judge_resident(
        &self,
        text: &str,
        context: &Context<'_>,
        now: Timestamp,
        verified: &mut Option<Verified>,
    ) -> Result<(), Denial> {
        let text = self.read(text, context)?;
        let id = text.id();
        let mut against = None;
        self.store.resident(id, &mut |facts| {
            if !self.catalog.owns(&facts.scopes) {
                return;
            }
            facts.fetch_early();
            let case = (context, now, Purpose::Use);
            let judged = match self.check_secret(&text, facts, now) {
                Ok(presented) => self.judge(presented, facts, case, &Fetched::default()),
                Err(refusal) => Err(Hold::Against(refusal)),
            };
            match judged {
                Ok(rest) => *verified = Some(Verified::new(facts, rest)),
                // A cache may know an older secret than the one another node gave out, and an
                // outage is found again on the way that can tell of it.
                Err(Hold::Against(Refusal::Denied(reason)))
                    if reason != DenialReason::WrongSecret =>
                {
                    against = Some(reason);
                }
                Err(_) => {}
            }
        });
        match against {
            None => Ok(()),
            Some(reason) => Err(Denial { reason, id: Some(*id) }),
        }
    }

    /// The verdict, after fetching whatever it takes.
    async fn fetch_and_judge(
        &self,
        text: &str,
        context: &Context<'_>,
        now: Timestamp,
    ) -> Result<Verified, VerifyError> {
        let text = &self.read(text, context)?;
        let (facts, presented) = self.presented(text, now).await?;
        let mut fetched = Fetched::default();
        let case = (context, now, Purpose::Use);
        loop {
            match self.settle(presented, &facts, case, &mut fetched).await {
                Ok(rest) => return Ok(Verified::new(&facts, rest)),
                Err(Hold::Against(refusal)) => return Err(refusal.of(&facts.id)),
                Err(Hold::Upkeep) => {
                    self.keep_up(text, &facts, now).await;
                    fetched.upkept = true;
                }
                Err(_) => return Err(self.reused(&facts, context, now).await),
            }
        }
    }

    /// What a text is worth, for nobody's use.
    pub(super) async fn look(
        &self,
        text: &str,
        now: Timestamp,
    ) -> Result<(Facts, Verified), VerifyError> {
        let context = Context { kinds: KindSet::ALL, ..Context::default() };
        let judged = async {
            let text = self.read(text, &context)?;
            let (facts, presented) = self.presented(&text, now).await?;
            let case = (&context, now, Purpose::Look);
            let verified = self.weigh(presented, &facts, case).await?;
            Ok((facts, verified))
        };
        let judged = Box::pin(judged).await;
        if let Err(error @ VerifyError::Unavailable(_)) = &judged {
            self.report(error, &context, now);
        }
        judged
    }

    /// What a token is worth whose secret was checked already, or is vouched for otherwise.
    pub(super) async fn standing(
        &self,
        facts: &Facts,
        case: (&Context<'_>, Timestamp, Purpose),
    ) -> Result<Verified, VerifyError> {
        self.weigh(Presented::Current, facts, case).await
    }

    /// The verdict that changes nothing of the record.
    async fn weigh(
        &self,
        presented: Presented,
        facts: &Facts,
        case: (&Context<'_>, Timestamp, Purpose),
    ) -> Result<Verified, VerifyError> {
        let mut fetched = Fetched { upkept: true, ..Fetched::default() };
        match self.settle(presented, facts, case, &mut fetched).await {
            Ok(rest) => Ok(Verified::new(facts, rest)),
            Err(Hold::Against(refusal)) => Err(refusal.of(&facts.id)),
            Err(_) => Err(denied(Some(&facts.id), DenialReason::Superseded)),
        }
    }

    /// The facts of a presented text, and which secret it holds.
    async fn presented(
        &self,
        text: &TokenText<'_>,
        now: Timestamp,
    ) -> Result<(Facts, Presented), VerifyError> {
        let id = text.id();
        if let Some(facts) = self.resident_facts(id) {
            match self.check_secret(text, &facts, now) {
                Ok(presented) => return Ok((facts, presented)),
                // A cache may know an older secret than the one another node gave out.
                Err(Refusal::Denied(DenialReason::WrongSecret)) => {}
                Err(refusal) => return Err(refusal.of(id)),
            }
        }
        let Some(facts) = self.read_facts(id).await.map_err(Outage::from)? else {
            self.peppers.check_nothing(text);
            return Err(denied(Some(id), DenialReason::Unknown));
        };
        let presented = self.check_secret(text, &facts, now).map_err(|why| why.of(id))?;
        Ok((facts, presented))
    }

    /// Judges, and fetches what that takes, until nothing is missing.
    async fn settle(
        &self,
        presented: Presented,
        facts: &Facts,
        case: (&Context<'_>, Timestamp, Purpose),
        fetched: &mut Fetched,
    ) -> Result<Rest, Hold> {
        loop {
            match self.judge(presented, facts, case, fetched) {
                Err(Hold::Owner) => {
                    let owner = self.owner(facts.tenant(), &facts.owner).await?;
                    fetched.owner = Some(owner.ok_or(DenialReason::OwnerUnknown)?);
                }
                Err(Hold::Ancestor(ancestor)) => {
                    let ancestor = self.facts(&ancestor).await?;
                    fetched.ancestors.push(ancestor.ok_or(DenialReason::ParentEnded)?);
                }
                judged => return judged,
            }
        }
    }

    /// The verdict on a token with these facts whose secret was checked, from what is in memory
    /// and what was fetched.
    #[inline]
    fn judge(
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
        let owner = match fetched.owner {
            Some(owner) => Some(owner),
            None => self.resident_owner(facts.tenant(), &facts.owner)?,
        };
        let scopes = self.check_owner(facts, &owner.ok_or(Hold::Owner)?)?;
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

    /// The facts of a token, from memory if the store has them there.
    pub(super) async fn facts(
        &self,
        id: &TokenId,
    ) -> Result<Option<Facts>, crate::store::StoreError> {
        match self.resident_facts(id) {
            Some(facts) => Ok(Some(facts)),
            None => self.read_facts(id).await,
        }
    }

    /// A copy of the facts that the store has in memory.
    fn resident_facts(&self, id: &TokenId) -> Option<Facts> {
        let mut resident = None;
        self.store.resident(id, &mut |facts| {
            resident = self.catalog.owns(&facts.scopes).then(|| facts.clone());
        });
        resident
    }

    /// The facts of a token, as they are stored now.
    async fn read_facts(&self, id: &TokenId) -> Result<Option<Facts>, crate::store::StoreError> {
        let record = self.store.find(id).await?;
        Ok(record.map(|record| Facts::of(&record, &self.catalog)))
    }

    pub(super) fn check_secret(
        &self,
        text: &TokenText<'_>,
        facts: &Facts,
        now: Timestamp,
    ) -> Result<Presented, Refusal> {
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
                    return Err(DenialReason::UnusableDigest.into());
                }
                // After the overlap the text is refused whether or not it was the older secret.
                DigestCheck::MissingPepper
                    if presented == Presented::Older && facts.grace_is_over(now) => {}
                DigestCheck::MissingPepper => {
                    return Err(Outage::MissingPepper { id: *text.id() }.into());
                }
            }
        }
        Err(DenialReason::WrongSecret.into())
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

    /// Whether a use of the current secret changes the record: its first use, or one of a secret
    /// whose digest is not under the current pepper.
    fn wants_upkeep(&self, facts: &Facts) -> bool {
        facts.awaits_first_use() || self.peppers.is_outdated(&facts.digest)
    }

    /// Writes what [`wants_upkeep`](Self::wants_upkeep) found. What fails here is found again on
    /// the next use, so it neither fails this one nor is it lost.
    async fn keep_up(&self, text: &TokenText<'_>, facts: &Facts, now: Timestamp) {
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
    #[cold]
    pub(super) fn report(&self, error: &VerifyError, context: &Context<'_>, now: Timestamp) {
        match error {
            VerifyError::Denied(denial) => {
                if let Denial { reason: DenialReason::UnusableDigest, id: Some(id) } = denial {
                    self.events.alarm(now, &Event::UnusableDigest { id: *id });
                }
                self.events.denied(now, (denial.id, denial.reason), context.ip);
            }
            VerifyError::Unavailable(Outage::MissingPepper { id }) => {
                self.events.alarm(now, &Event::MissingPepper { id: *id });
            }
            VerifyError::Unavailable(outage) => {
                self.events.alarm(now, &Event::Unavailable { outage: outage.to_string() });
            }
        }
    }
}

/// Most tokens between one and the personal token it descends from.
const MAX_ANCESTORS: usize = 4;

pub(super) fn denied(id: Option<&TokenId>, reason: DenialReason) -> VerifyError {
    VerifyError::Denied(Denial { reason, id: id.copied() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scope::ScopeCatalog;
    use crate::store::MemoryStore;

    #[test]
    fn the_future_stays_small() {
        let builder = Hallpass::builder(MemoryStore::new()).brand("acme");
        let hallpass = builder.catalog(ScopeCatalog::of(["a"]).unwrap()).build().unwrap();
        let size = size_of_val(&hallpass.verify("", &Context::default()));
        assert!(size <= 128, "{size}");
    }
}
