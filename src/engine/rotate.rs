//! Gives tokens a new secret.

use chrono::TimeDelta;

use super::denial::{DenialReason, Outage, VerifyError, denied};
use super::event::{Event, Subject};
use super::issue::Issued;
use super::judge::Presented;
use super::on_behalf::{Closed, OnBehalf, Unconfirmed, Unreachable};
use super::settings::{OwnerError, check_window};
use super::verified::Context;
use super::{Engine, Hallpass};
use crate::clock::Timestamp;
use crate::policy::{Expiry, ExpiryError};
use crate::store::{Change, Conflict, Facts, StoreError};
use crate::token::{
    Actor, EntropyError, Kind, KindSet, PlainToken, Record, Rotation, Status, TokenId, TokenText,
};

/// How to rotate a token.
#[derive(Debug, Clone, Copy, Default)]
pub struct Rotate {
    version: Option<u64>,
    overlap: Option<TimeDelta>,
    expiry: Option<Expiry>,
}

impl Rotate {
    /// With policy's overlap, and the token's end left as it is.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Goes through only if the token still has this version, so that of several rotations that
    /// started from the same state exactly one does.
    #[must_use]
    pub fn if_version(mut self, version: u64) -> Self {
        self.version = Some(version);
        self
    }

    /// How long the older secret stays good: from zero, which ends it at once, to policy's
    /// longest overlap, and never past the end it had.
    #[must_use]
    pub fn overlap(mut self, overlap: TimeDelta) -> Self {
        self.overlap = Some(overlap);
        self
    }

    /// A new end of the token, as policy allows.
    #[must_use]
    pub fn expiry(mut self, expiry: Expiry) -> Self {
        self.expiry = Some(expiry);
        self
    }
}

/// Why a token was not rotated.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RotateError {
    /// There is no such token for this caller.
    #[error("not found")]
    NotFound,
    /// The caller must confirm its presence first.
    #[error("confirm your identity first")]
    Unconfirmed,
    /// The token ended.
    #[error("the token is {0}")]
    Ended(Status),
    /// Another change came first.
    #[error("the token was changed in the meantime")]
    Stale {
        /// Its version now.
        current: u64,
    },
    /// The overlap or the new end is not allowed.
    #[error(transparent)]
    Expiry(#[from] ExpiryError),
    /// The owner may not hold tokens.
    #[error(transparent)]
    Owner(#[from] OwnerError),
    /// Tokens of this kind are not rotated.
    #[error("tokens of kind `{0}` are not rotated")]
    Kind(Kind),
    /// The presented text is not accepted.
    #[error(transparent)]
    Denied(#[from] super::Denial),
    /// The random source failed; nothing was changed.
    #[error(transparent)]
    Entropy(#[from] EntropyError),
    /// The store failed. Whether the token was rotated is unknown; the older secret stays good
    /// until the overlap ends, and rotating again gives a new one.
    #[error(transparent)]
    Store(StoreError),
    /// It cannot be told whether the presented text is good.
    #[error(transparent)]
    Unavailable(#[from] Outage),
}

impl From<Unreachable> for RotateError {
    fn from(why: Unreachable) -> Self {
        match why {
            Unreachable::NotFound => Self::NotFound,
            Unreachable::Store(error) => Self::Store(error),
        }
    }
}

impl From<Closed> for RotateError {
    fn from(why: Closed) -> Self {
        match why {
            Closed::Ended(status) => Self::Ended(status),
            Closed::Stale { current } => Self::Stale { current },
        }
    }
}

impl From<Unconfirmed> for RotateError {
    fn from(_: Unconfirmed) -> Self {
        Self::Unconfirmed
    }
}

impl From<StoreError> for RotateError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Conflict(Conflict::Stale { current }) => Self::Stale { current },
            StoreError::Conflict(Conflict::Revoked) => Self::Ended(Status::Revoked),
            other => Self::Store(other),
        }
    }
}

impl From<VerifyError> for RotateError {
    fn from(error: VerifyError) -> Self {
        match error {
            VerifyError::Denied(denial) => denial.into(),
            VerifyError::Unavailable(outage) => outage.into(),
        }
    }
}

impl Hallpass {
    /// Rotates a token as the app itself.
    ///
    /// # Errors
    /// [`RotateError`] tells what is not allowed or failed.
    pub async fn rotate(&self, id: &TokenId, rotate: Rotate) -> Result<Issued, RotateError> {
        self.as_system().rotate(id, rotate).await
    }

    /// Rotates the token that is presented.
    ///
    /// A replaced secret that comes here after its overlap revokes the token and all made from
    /// it: whoever holds it is not the one who rotated last. During the overlap it is refused here
    /// once the new secret was used, so that one secret never has two successors in use.
    ///
    /// A token alone cannot lengthen its own life: a later end is [`RotateError::Unconfirmed`],
    /// and an end that policy set is kept.
    ///
    /// # Errors
    /// [`RotateError`] tells what is not allowed or failed.
    pub async fn rotate_presented(
        &self,
        text: &str,
        context: &Context<'_>,
        rotate: Rotate,
    ) -> Result<Issued, RotateError> {
        let engine = &*self.0;
        let now = context.now.unwrap_or_else(|| engine.clock.now());
        let kinds = context.kinds.and(ROTATING);
        let verified = match self.verify(text, &Context { now: Some(now), kinds, ..*context }).await
        {
            Ok(verified) => verified,
            Err(error) => {
                if let VerifyError::Denied(denial) = &error
                    && denial.reason() == DenialReason::Superseded
                    && let Some(id) = denial.id()
                {
                    engine.revoke_family(&id, now).await?;
                }
                return Err(error.into());
            }
        };
        let record = engine.store.find(verified.id()).await?.ok_or(RotateError::NotFound)?;
        engine.check_open(&record, rotate.version, now)?;
        if let Err(error) = engine.check_successor(text, &record, now) {
            engine.report(&error, context, now);
            return Err(error.into());
        }
        // A rotation starts policy's longest life anew, so the end to keep is the one at use.
        let old_end = engine.policy.end_at_use(&record.token.lifecycle());
        let end = match rotate.expiry {
            None => old_end,
            Some(expiry) => engine.policy.expiry(Some(expiry), now)?,
        };
        if is_later(end, old_end) {
            return Err(RotateError::Unconfirmed);
        }
        engine.rotate(record, (rotate, end), &verified.actor(), now).await
    }
}

/// The kinds that can be rotated.
const ROTATING: KindSet = KindSet::NONE.with(Kind::Personal).with(Kind::Application);

impl OnBehalf<'_> {
    /// Gives a token a new secret. Id, name and settings stay; the older secret stays good for
    /// the overlap.
    ///
    /// Rotating again before the new secret was ever used replaces it and leaves the older one as
    /// it was, so that a lost reply locks nobody out.
    ///
    /// # Errors
    /// [`RotateError`] tells what is not allowed or failed.
    pub async fn rotate(&self, id: &TokenId, rotate: Rotate) -> Result<Issued, RotateError> {
        let now = self.engine.clock.now();
        let record = self.reach(id).await?;
        self.engine.check_open(&record, rotate.version, now)?;
        self.confirm(now)?;
        if !ROTATING.contains(record.token.kind) {
            return Err(RotateError::Kind(record.token.kind));
        }
        self.engine.admitted_owner(&record.token.tenant, &record.token.owner).await?;
        let end = match rotate.expiry {
            None => record.token.expires_at,
            Some(expiry) => self.engine.policy.expiry(Some(expiry), now)?,
        };
        self.engine.rotate(record, (rotate, end), &self.caller.actor(), now).await
    }
}

impl Engine {
    /// Refuses a text that is not the current secret, unless the current one was never used: then
    /// its holder may be the one who never got it.
    fn check_successor(
        &self,
        text: &str,
        record: &Record,
        now: Timestamp,
    ) -> Result<(), VerifyError> {
        let refused = |reason| denied(Some(&record.token.id), reason);
        let facts = Facts::of(record, &self.catalog);
        let text =
            TokenText::parse(text, &self.brands).map_err(|_| refused(DenialReason::Malformed))?;
        let presented = self.check_secret(&text, &facts, now);
        match presented.map_err(|refusal| refusal.of(&facts.id))? {
            Presented::Current => Ok(()),
            Presented::Older if facts.awaits_first_use() => Ok(()),
            Presented::Older => Err(refused(DenialReason::Superseded)),
        }
    }

    /// Writes a rotation after which the token has this end.
    async fn rotate(
        &self,
        record: Record,
        (rotate, end): (Rotate, Option<Timestamp>),
        by: &Actor,
        now: Timestamp,
    ) -> Result<Issued, RotateError> {
        let token = &record.token;
        if token.is_derived() {
            return Err(RotateError::Kind(token.kind));
        }
        let plain =
            PlainToken::with_id(self.brands.current(), token.kind, &token.id, &*self.entropy)?;
        // The secret that is replaced gains nothing from the rotation: it goes on no longer than
        // it would have, even if the token does.
        let old_end = self.policy.end_at_use(&token.lifecycle());
        let first_end = old_end.into_iter().chain(end).min();
        let grace_until = self.policy.grace_until(rotate.overlap, first_end, now)?;
        let fresh =
            Rotation { rotated_at: now, superseded_at: now, grace_until, first_used_at: None };
        let (superseded, rotation) = match token.rotation {
            // Nobody ever used the current secret, so it is the one to be replaced. The older one
            // keeps its overlap, unless a shorter one is asked for.
            Some(last) if last.first_used_at.is_none() && now < last.grace_until => {
                let asked = rotate.overlap.map(|_| grace_until);
                let grace_until = asked.into_iter().chain(end).fold(last.grace_until, Ord::min);
                (None, Rotation { rotated_at: now, grace_until, ..last })
            }
            _ => (Some(Some(record.digest.clone())), fresh),
        };
        let new_end = (end != token.expires_at).then_some(end);
        if let Some(end) = new_end {
            check_window(token, end)?;
        }
        let change = Change {
            digest: Some(self.digest_of(&plain)?),
            superseded,
            rotation: Some(Some(rotation)),
            expires_at: new_end,
            notices: new_end.map(|end| self.policy.notices_at_start(end, now)),
            ..Change::default()
        };
        let updated = self.store.update(&token.id, token.version, &change, now).await?;
        let token = updated.ok_or(RotateError::NotFound)?.token;
        let event = Event::Rotated {
            token: Subject::from(&token),
            by: by.clone(),
            grace_until: rotation.grace_until,
        };
        self.events.emit(now, &event);
        Ok(Issued { plain, token })
    }
}

/// Whether an end is later than another; no end is the latest.
fn is_later(end: Option<Timestamp>, other: Option<Timestamp>) -> bool {
    match (end, other) {
        (_, None) => false,
        (None, Some(_)) => true,
        (Some(end), Some(other)) => end > other,
    }
}
