//! Changes the settings of tokens.

use ipnet::IpNet;

use super::Hallpass;
use super::event::{Event, Subject, Update};
use super::on_behalf::{Closed, OnBehalf, Unconfirmed, Unreachable};
use super::settings::{
    OwnerError, ScopeWish, SettingsError, check_description, check_networks, check_window,
    parse_name,
};
use crate::clock::Timestamp;
use crate::policy::{Expiry, ExpiryError};
use crate::scope::{Resources, ScopeSet};
use crate::store::{Change, Conflict, StoreError};
use crate::token::{Actor, Metadata, Networks, Record, Status, Suspension, Token, TokenId};

/// New settings of a token. What is not given stays as it is.
#[derive(Debug, Clone, Default)]
pub struct Edit {
    version: Option<u64>,
    name: Option<String>,
    description: Option<Option<String>>,
    wish: Option<ScopeWish>,
    resources: Option<Resources>,
    networks: Option<Option<Vec<IpNet>>>,
    expiry: Option<Expiry>,
    metadata: Option<Metadata>,
}

impl Edit {
    /// Changes nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Goes through only if the token still has this version.
    #[must_use]
    pub fn if_version(mut self, version: u64) -> Self {
        self.version = Some(version);
        self
    }

    /// A new name.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// A new description, or none.
    #[must_use]
    pub fn description(mut self, description: Option<String>) -> Self {
        self.description = Some(description);
        self
    }

    /// These scopes in place of the old ones.
    #[must_use]
    pub fn scopes<T: Into<String>>(mut self, scopes: impl IntoIterator<Item = T>) -> Self {
        let wish = self.wish.get_or_insert_default();
        wish.scopes.extend(scopes.into_iter().map(Into::into));
        self
    }

    /// The scopes of a preset in place of the old ones.
    #[must_use]
    pub fn preset(mut self, preset: impl Into<String>) -> Self {
        self.wish.get_or_insert_default().presets.push(preset.into());
        self
    }

    /// Other resources.
    #[must_use]
    pub fn resources(mut self, resources: Resources) -> Self {
        self.resources = Some(resources);
        self
    }

    /// Other networks; `None` for anywhere.
    #[must_use]
    pub fn networks(mut self, networks: Option<Vec<IpNet>>) -> Self {
        self.networks = Some(networks);
        self
    }

    /// Another end.
    #[must_use]
    pub fn expiry(mut self, expiry: Expiry) -> Self {
        self.expiry = Some(expiry);
        self
    }

    /// Other metadata.
    #[must_use]
    pub fn metadata(mut self, metadata: Metadata) -> Self {
        self.metadata = Some(metadata);
        self
    }
}

/// Why a token was not changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UpdateError {
    /// There is no such token for this caller.
    #[error("not found")]
    NotFound,
    /// The caller must confirm its presence first.
    #[error("confirm your identity first")]
    Unconfirmed,
    /// The token ended.
    #[error("the token is {0}")]
    Ended(Status),
    /// The token was changed in the meantime.
    #[error("the token was changed in the meantime")]
    Stale {
        /// Its version now.
        current: u64,
    },
    /// A setting is not allowed.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The owner cannot be given this.
    #[error(transparent)]
    Owner(#[from] OwnerError),
    /// The end is not allowed.
    #[error(transparent)]
    Expiry(#[from] ExpiryError),
    /// A live token of the owner has this name.
    #[error("the owner has a live token of this name")]
    NameTaken {
        /// The token that has it.
        by: TokenId,
    },
    /// Somebody else than the owner set the token aside, and the owner cannot take it back.
    #[error("an administrator suspended the token; only an administrator can resume it")]
    NotOwnSuspension,
    /// A token from an exchange or a refresh, or one to refresh with, cannot be changed.
    #[error("an exchanged or refreshed token cannot be changed")]
    Exchanged,
    /// The store failed. Whether the token was changed is unknown.
    #[error(transparent)]
    Store(StoreError),
}

impl From<Unreachable> for UpdateError {
    fn from(why: Unreachable) -> Self {
        match why {
            Unreachable::NotFound => Self::NotFound,
            Unreachable::Store(error) => Self::Store(error),
        }
    }
}

impl From<Closed> for UpdateError {
    fn from(why: Closed) -> Self {
        match why {
            Closed::Ended(status) => Self::Ended(status),
            Closed::Stale { current } => Self::Stale { current },
        }
    }
}

impl From<Unconfirmed> for UpdateError {
    fn from(_: Unconfirmed) -> Self {
        Self::Unconfirmed
    }
}

impl From<StoreError> for UpdateError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Conflict(Conflict::NameTaken { by }) => Self::NameTaken { by },
            StoreError::Conflict(Conflict::Stale { current }) => Self::Stale { current },
            StoreError::Conflict(Conflict::Revoked) => Self::Ended(Status::Revoked),
            other => Self::Store(other),
        }
    }
}

/// How often a change is tried again that somebody else's came before.
const ATTEMPTS: u32 = 5;

impl Hallpass {
    /// Changes a token as the app itself.
    ///
    /// # Errors
    /// [`UpdateError`] tells what is not allowed or failed.
    pub async fn update(&self, id: &TokenId, edit: Edit) -> Result<Token, UpdateError> {
        self.as_system().update(id, edit).await
    }

    /// Sets a token aside as the app itself.
    ///
    /// # Errors
    /// [`UpdateError`] tells what is not allowed or failed.
    pub async fn suspend(&self, id: &TokenId) -> Result<Token, UpdateError> {
        self.as_system().suspend(id).await
    }

    /// Takes a suspended token back as the app itself.
    ///
    /// # Errors
    /// [`UpdateError`] tells what is not allowed or failed.
    pub async fn resume(&self, id: &TokenId) -> Result<Token, UpdateError> {
        self.as_system().resume(id).await
    }
}

impl OnBehalf<'_> {
    /// Changes the settings of a live token. Narrowing is free; widening scopes, resources or
    /// networks, or a later end, needs what issuing needs.
    ///
    /// # Errors
    /// [`UpdateError`] tells what is not allowed or failed.
    pub async fn update(&self, id: &TokenId, edit: Edit) -> Result<Token, UpdateError> {
        let now = self.engine.clock.now();
        let record = self.reach(id).await?;
        let seen = edit.version;
        self.engine.check_open(&record, seen, now)?;
        if record.token.is_derived() {
            return Err(UpdateError::Exchanged);
        }
        let change = self.change(edit, &record, now).await?;
        self.commit(&record.token, (change, Update::Settings), now).await
    }

    /// Sets a live token aside until it is resumed. Suspending a suspended one changes nothing,
    /// but that what its owner suspended becomes the doing of whoever is above the owner.
    ///
    /// # Errors
    /// [`UpdateError`] tells what is not allowed or failed.
    pub async fn suspend(&self, id: &TokenId) -> Result<Token, UpdateError> {
        self.set_aside(id, Update::Suspended).await
    }

    /// Takes a suspended token back. Resuming one that is not suspended changes nothing. An owner
    /// can take back only what it suspended itself.
    ///
    /// # Errors
    /// [`UpdateError`] tells what is not allowed or failed.
    pub async fn resume(&self, id: &TokenId) -> Result<Token, UpdateError> {
        self.set_aside(id, Update::Resumed).await
    }

    /// Suspends or resumes. Where another change came before, it is decided anew.
    async fn set_aside(&self, id: &TokenId, what: Update) -> Result<Token, UpdateError> {
        let now = self.engine.clock.now();
        let mut attempt = 1;
        loop {
            let record = self.reach(id).await?;
            self.engine.check_open(&record, None, now)?;
            let Some(suspension) = self.suspension(&record.token, what, now)? else {
                return Ok(record.token);
            };
            let change = Change { suspension: Some(suspension), ..Change::default() };
            match self.commit(&record.token, (change, what), now).await {
                Err(UpdateError::Stale { .. }) if attempt < ATTEMPTS => attempt += 1,
                done => return done,
            }
        }
    }

    /// What suspending or resuming makes of a token; `None` if it stays as it is.
    fn suspension(
        &self,
        token: &Token,
        what: Update,
        now: Timestamp,
    ) -> Result<Option<Option<Suspension>>, UpdateError> {
        let by = self.caller.actor();
        let above_owner = by != Actor::Owner;
        match (&token.suspension, what) {
            (None, Update::Suspended) => Ok(Some(Some(Suspension { at: now, by }))),
            (Some(Suspension { at, by: Actor::Owner }), Update::Suspended) if above_owner => {
                Ok(Some(Some(Suspension { at: *at, by })))
            }
            (Some(Suspension { by, .. }), Update::Resumed)
                if above_owner || *by == Actor::Owner =>
            {
                self.confirm(now)?;
                Ok(Some(None))
            }
            (Some(_), Update::Resumed) => Err(UpdateError::NotOwnSuspension),
            _ => Ok(None),
        }
    }

    async fn commit(
        &self,
        token: &Token,
        (change, what): (Change, Update),
        now: Timestamp,
    ) -> Result<Token, UpdateError> {
        let updated = self.engine.store.update(&token.id, token.version, &change, now).await?;
        let token = updated.ok_or(UpdateError::NotFound)?.token;
        let event = Event::Updated { token: Subject::from(&token), by: self.caller.actor(), what };
        self.engine.events.emit(now, &event);
        Ok(token)
    }

    /// Checks an edit against a record and makes a change of it.
    async fn change(
        &self,
        edit: Edit,
        record: &Record,
        now: Timestamp,
    ) -> Result<Change, UpdateError> {
        let engine = self.engine;
        let token = &record.token;
        let mut change = Change::default();
        let mut widens = false;
        if let Some(name) = edit.name {
            change.name = Some((parse_name(name)?, engine.policy.unique_names));
        }
        if let Some(description) = edit.description {
            if let Some(text) = &description {
                check_description(text)?;
            }
            change.description = Some(description);
        }
        let mut granted: Option<ScopeSet> = None;
        if let Some(wish) = edit.wish {
            let (scopes, set) = engine.resolve_wish(&wish, token.kind)?;
            if !engine.catalog.resolve(&token.scopes).contains(&set) {
                widens = true;
                granted = Some(set);
            }
            change.scopes = Some(scopes);
        }
        if let Some(resources) = edit.resources {
            widens |= !token.resources.contains(&resources);
            change.resources = Some(resources);
        }
        if let Some(networks) = edit.networks {
            let networks = match networks {
                None => Networks::Anywhere,
                Some(networks) => check_networks(networks)?,
            };
            widens |= !token.networks.contains(&networks);
            change.networks = Some(networks);
        }
        if let Some(expiry) = edit.expiry {
            let end = engine.policy.expiry(Some(expiry), now)?;
            check_window(token, end)?;
            let longest = token.lifecycle().issued_at.checked_add(engine.policy.max_lifetime);
            if end.zip(longest).is_some_and(|(end, longest)| end > longest) {
                return Err(ExpiryError::TooLong.into());
            }
            widens |= match (token.expires_at, end) {
                (None, _) => false,
                (Some(_), None) => true,
                (Some(old), Some(new)) => new > old,
            };
            change.expires_at = Some(end);
            change.notices = Some(engine.policy.notices_at_start(end, now));
        }
        change.metadata = edit.metadata;
        if widens {
            self.confirm(now)?;
            let owner = engine.admitted_owner(&token.tenant, &token.owner).await?;
            if let Some(granted) = granted {
                engine.check_rights(&owner, &granted)?;
            }
        }
        Ok(change)
    }
}
