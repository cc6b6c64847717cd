//! Whether somebody who is signed in proved to be present just now.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use chrono::TimeDelta;
use http::request::Parts;

use super::signed_in::{HostOutage, SignedIn};
use crate::clock::Timestamp;

/// When a session was last confirmed, by password, passkey or whatever the host has.
///
/// # Contract
/// A confirmation belongs to one session, and ends with it and when the password changes. An error
/// means "unknown", and is an outage. How old a confirmation may be is policy's to say; attempts
/// are counted before they come here.
///
/// A host whose sessions can keep an instant implements this on them.
/// [`RememberedConfirmation`] is for the others.
#[async_trait]
pub trait Confirmation: fmt::Debug + Send + Sync + 'static {
    /// When the session was last confirmed.
    ///
    /// # Errors
    /// [`HostOutage`] if the host cannot tell.
    async fn confirmed_at(
        &self,
        head: &Parts,
        who: &SignedIn,
    ) -> Result<Option<Timestamp>, HostOutage>;

    /// Confirms the session at `now`, if the secret is the right one. Tells whether it is.
    ///
    /// # Errors
    /// [`HostOutage`] if the host cannot tell.
    async fn confirm(
        &self,
        head: &Parts,
        who: &SignedIn,
        secret: &str,
        now: Timestamp,
    ) -> Result<bool, HostOutage>;

    /// Where people confirm who they are, if not by typing a secret: a page of the host, which
    /// asks for a passkey, say. The console sends them there.
    fn page(&self) -> Option<&str> {
        None
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<C: Confirmation + ?Sized> Confirmation for Arc<C> {
    async fn confirmed_at(
        &self,
        head: &Parts,
        who: &SignedIn,
    ) -> Result<Option<Timestamp>, HostOutage> {
        (**self).confirmed_at(head, who).await
    }

    async fn confirm(
        &self,
        head: &Parts,
        who: &SignedIn,
        secret: &str,
        now: Timestamp,
    ) -> Result<bool, HostOutage> {
        (**self).confirm(head, who, secret, now).await
    }

    fn page(&self) -> Option<&str> {
        (**self).page()
    }
}

/// No session is ever confirmed and no secret is right: for apps whose
/// [policy](crate::Policy::confirmation) asks for no confirmation.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoConfirmation;

#[async_trait]
impl Confirmation for NoConfirmation {
    async fn confirmed_at(&self, _: &Parts, _: &SignedIn) -> Result<Option<Timestamp>, HostOutage> {
        Ok(None)
    }

    async fn confirm(
        &self,
        _: &Parts,
        _: &SignedIn,
        _: &str,
        _: Timestamp,
    ) -> Result<bool, HostOutage> {
        Ok(false)
    }
}

/// Checks passwords.
#[async_trait]
pub trait PasswordCheck: fmt::Debug + Send + Sync + 'static {
    /// Whether this is the password of whoever is signed in.
    ///
    /// # Errors
    /// [`HostOutage`] if the host cannot tell.
    async fn is_right(&self, who: &SignedIn, password: &str) -> Result<bool, HostOutage>;
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<P: PasswordCheck + ?Sized> PasswordCheck for Arc<P> {
    async fn is_right(&self, who: &SignedIn, password: &str) -> Result<bool, HostOutage> {
        (**self).is_right(who, password).await
    }
}

/// Remembers in this process which sessions were confirmed by password, for an hour at most. For
/// an app on one node: another node asks again.
#[derive(Debug)]
pub struct RememberedConfirmation<P> {
    passwords: P,
    confirmed: Mutex<HashMap<[u8; 32], Timestamp>>,
}

/// Most sessions that are remembered.
const MAX_REMEMBERED: usize = 10_000;
const REMEMBERED_FOR: TimeDelta = TimeDelta::hours(1);

impl<P: PasswordCheck> RememberedConfirmation<P> {
    /// Confirms what these passwords confirm.
    #[must_use]
    pub fn new(passwords: P) -> Self {
        Self { passwords, confirmed: Mutex::default() }
    }

    fn remember(&self, session: [u8; 32], now: Timestamp) {
        let mut confirmed = self.confirmed.lock().unwrap_or_else(PoisonError::into_inner);
        if confirmed.len() >= MAX_REMEMBERED {
            confirmed.retain(|_, at| now.since(*at) < REMEMBERED_FOR);
        }
        if confirmed.len() >= MAX_REMEMBERED {
            // The oldest is the one that would be of use for the shortest time.
            let oldest = confirmed.iter().min_by_key(|(_, at)| **at).map(|(session, _)| *session);
            oldest.and_then(|session| confirmed.remove(&session));
        }
        confirmed.insert(session, now);
    }
}

#[async_trait]
impl<P: PasswordCheck> Confirmation for RememberedConfirmation<P> {
    async fn confirmed_at(
        &self,
        _: &Parts,
        who: &SignedIn,
    ) -> Result<Option<Timestamp>, HostOutage> {
        let confirmed = self.confirmed.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(confirmed.get(who.session()).copied())
    }

    async fn confirm(
        &self,
        _: &Parts,
        who: &SignedIn,
        secret: &str,
        now: Timestamp,
    ) -> Result<bool, HostOutage> {
        let is_right = self.passwords.is_right(who, secret).await?;
        if is_right {
            self.remember(*who.session(), now);
        }
        Ok(is_right)
    }
}
