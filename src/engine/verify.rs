//! Verifies presented tokens: the one verifier for every transport.

use super::denial::{Denial, DenialReason, Outage, VerifyError, denied};
use super::event::{Event, Subject};
use super::judge::{Fetched, Hold, Presented, Purpose, Refusal, Rest};
use super::verified::{Context, Verified};
use super::{Engine, Hallpass};
use crate::clock::Timestamp;
use crate::store::{Change, Facts, Filter, Reach};
use crate::token::{Actor, KindSet, Revocation, RevocationReason, TokenId, TokenText};

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
    ///
    /// The proof is made where it is returned, because moving one costs as much as finding it.
    #[inline]
    fn verdict_at_once(
        &self,
        text: &str,
        context: &Context<'_>,
        now: Timestamp,
    ) -> Option<Result<Verified, VerifyError>> {
        let mut verdict = None;
        match self.read(text, context) {
            Ok(text) => self.store.resident(text.id(), &mut |facts| {
                if self.catalog.owns(&facts.scopes) {
                    match self.judge_resident(&text, facts, (context, now, Purpose::Use)) {
                        Ok(rest) => verdict = Some(Ok(Verified::new(facts, rest))),
                        Err(Some(reason)) => verdict = Some(Err(denied(Some(text.id()), reason))),
                        Err(None) => {}
                    }
                }
            }),
            Err(denial) => verdict = Some(Err(denial.into())),
        }
        if let Some(Err(error)) = &verdict {
            self.report(error, context, now);
        }
        verdict
    }

    /// Judges a text by facts as they lie in the store. An error without a reason tells that
    /// something must be fetched.
    #[inline]
    fn judge_resident(
        &self,
        text: &TokenText<'_>,
        facts: &Facts,
        case: (&Context<'_>, Timestamp, Purpose),
    ) -> Result<Rest, Option<DenialReason>> {
        facts.fetch_early();
        let judged = match self.check_secret(text, facts, case.1) {
            Ok(presented) => self.judge(presented, facts, case, &Fetched::default()),
            Err(refusal) => Err(Hold::Against(refusal)),
        };
        judged.map_err(|hold| match hold {
            // A cache may know an older secret than the one another node gave out, and an outage
            // is found again on the way that can tell of it.
            Hold::Against(Refusal::Denied(reason)) => {
                Some(reason).filter(|reason| *reason != DenialReason::WrongSecret)
            }
            _ => None,
        })
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
    pub(super) async fn presented(
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
