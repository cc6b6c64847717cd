//! Copies tokens.

use super::Hallpass;
use super::event::{Event, Subject};
use super::issue::{Draft, IssueError, Issued, idempotency_key};
use super::on_behalf::{OnBehalf, Unreachable};
use super::settings::{ScopeWish, parse_name};
use crate::policy::Expiry;
use crate::token::{Token, TokenId};

impl Hallpass {
    /// Issues a copy of a token as the app itself.
    ///
    /// # Errors
    /// As [`OnBehalf::duplicate`].
    pub async fn duplicate(&self, id: &TokenId, name: &str) -> Result<Issued, IssueError> {
        self.as_system().duplicate(id, name).await
    }
}

impl OnBehalf<'_> {
    /// Issues a new token with the settings of another, under a new name: the same scopes,
    /// resources, networks, audience, client and metadata, and a life as long as the other was
    /// given. The other may have ended. Everything is checked as if it were asked for anew.
    ///
    /// # Errors
    /// [`IssueError`] tells what is not allowed or failed.
    pub async fn duplicate(&self, id: &TokenId, name: &str) -> Result<Issued, IssueError> {
        self.copy(id, name, None).await
    }

    /// The same with a text of the caller's choice, 1 to 255 bytes, that makes repeating the
    /// request harmless; see [`Issue::idempotency_key`](super::Issue::idempotency_key).
    ///
    /// # Errors
    /// [`IssueError`] tells what is not allowed or failed.
    pub async fn duplicate_once(
        &self,
        id: &TokenId,
        name: &str,
        idempotency_key: &str,
    ) -> Result<Issued, IssueError> {
        self.copy(id, name, Some(idempotency_key)).await
    }

    async fn copy(
        &self,
        id: &TokenId,
        name: &str,
        key: Option<&str>,
    ) -> Result<Issued, IssueError> {
        let engine = self.engine;
        let now = engine.clock.now();
        let source = match self.reach(id).await {
            Ok(record) if !record.token.is_derived() => record.token,
            Ok(_) | Err(Unreachable::NotFound) => return Err(IssueError::NotFound),
            Err(Unreachable::Store(error)) => return Err(error.into()),
        };
        self.confirm(now).map_err(|_| IssueError::Unconfirmed)?;
        let party = (&source.tenant, &source.owner);
        let idempotency = match key {
            Some(key) => Some(idempotency_key(party, key, &format!("copy {id} {name:?}"))?),
            None => None,
        };
        let name = parse_name(name.to_owned())?;
        let owner = engine.admitted_owner(&source.tenant, &source.owner).await?;
        let wish = ScopeWish {
            scopes: source.scopes.iter().map(|scope| scope.as_str().to_owned()).collect(),
            presets: Vec::new(),
        };
        let (scopes, set) = engine.resolve_wish(&wish, source.kind)?;
        engine.check_rights(&owner, &set)?;
        // A rotation started the life anew.
        let begun = source.lifecycle().issued_at;
        let start = source.not_before.map_or(begun, |start| start.max(begun));
        let expiry = match source.expires_at {
            None => Expiry::Never,
            Some(end) => Expiry::In(end.since(start)),
        };
        let expires_at = engine.policy.expiry(Some(expiry), now)?;
        let mut token = Token::new(source.id, source.kind, source.owner, name, scopes, now);
        token.tenant = source.tenant;
        token.description = source.description;
        token.resources = source.resources;
        token.networks = source.networks;
        token.audience = source.audience;
        token.client = source.client;
        token.metadata = source.metadata;
        token.created_by = self.caller.actor();
        token.expires_at = expires_at;
        let draft = Draft::new(token, idempotency, engine.policy.quota);
        let made = engine.store_new(draft, engine.policy.unique_names, now).await?;
        let event = Event::Issued {
            token: Subject::from(&made.record.token),
            by: self.caller.actor(),
            parent: None,
        };
        engine.events.emit(now, &event);
        Ok(made.into())
    }
}
