//! Tells whose token a text is.

use super::denial::Outage;
use super::judge::{Presented, Refusal};
use super::on_behalf::OnBehalf;
use crate::store::Facts;
use crate::token::{Token, TokenText};

/// What the secret in a text is to the token that the text names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SecretMatch {
    /// Its secret.
    Current,
    /// The secret it had before its last rotation, whether or not the overlap is over.
    Superseded,
    /// Not a secret of it.
    Wrong,
}

impl OnBehalf<'_> {
    /// The token that a text names, if it exists for this caller, whatever became of it, and what
    /// the secret in the text is to it. For whoever came across a token; it is no use of the
    /// token, and nothing is reported.
    ///
    /// # Errors
    /// [`Outage`] if it cannot be told.
    pub async fn whose(&self, text: &str) -> Result<Option<(Token, SecretMatch)>, Outage> {
        let engine = self.engine;
        let now = engine.clock.now();
        let Ok(text) = TokenText::parse(text, &engine.brands) else {
            return Ok(None);
        };
        let Some(record) = engine.store.find(text.id()).await? else {
            return Ok(None);
        };
        if !self.caller.reaches(&record.token.tenant, &record.token.owner) {
            return Ok(None);
        }
        let facts = Facts::of(&record, &engine.catalog);
        let secret = match engine.check_secret(&text, &facts, now) {
            Ok(Presented::Current) => SecretMatch::Current,
            Ok(Presented::Older) => SecretMatch::Superseded,
            Err(Refusal::Denied(_)) => SecretMatch::Wrong,
            Err(Refusal::Unavailable(outage)) => return Err(*outage),
        };
        let mut token = record.token;
        engine.uses.show_waiting(std::slice::from_mut(&mut token));
        Ok(Some((token, secret)))
    }
}
