//! Tells somebody else what a token is worth (after RFC 7662).

use super::Hallpass;
use super::denial::{Outage, VerifyError};
use super::verified::Verified;
use crate::clock::Timestamp;
use crate::store::Facts;

/// What a live token is worth, for whoever was handed it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Introspection {
    /// Whose it is, what it grants now, and when it ends.
    pub verified: Verified,
    /// When its current secret was made.
    pub issued_at: Timestamp,
    /// From when it is usable, if not from the start.
    pub not_before: Option<Timestamp>,
}

impl Introspection {
    pub(super) fn new((facts, verified): (Facts, Verified)) -> Self {
        let lifecycle = facts.lifecycle;
        Self { verified, issued_at: lifecycle.issued_at, not_before: lifecycle.not_before }
    }
}

impl Hallpass {
    /// Tells what a text is worth right now, to somebody who was handed it and may know: `None`
    /// if it would be refused, for whatever reason.
    ///
    /// It is judged as [`verify`](Self::verify) judges it, owner and ancestors too, whatever its
    /// kind. Audience and networks are not checked, since it is not the asker who presents the
    /// token: compare [`Verified::audience`] with who asks. Nothing is noted, reported or changed
    /// by looking.
    ///
    /// # Errors
    /// [`Outage`] if it cannot be told.
    pub async fn introspect(&self, text: &str) -> Result<Option<Introspection>, Outage> {
        let engine = &*self.0;
        match engine.look(text, engine.clock.now()).await {
            Ok(found) => Ok(Some(Introspection::new(found))),
            Err(VerifyError::Denied(_)) => Ok(None),
            Err(VerifyError::Unavailable(outage)) => Err(outage),
        }
    }
}
