//! How the commands reach the app.

use async_trait::async_trait;
use serde::Serialize;

use super::failure::Failure;
use super::span::PatExpiry;
use crate::client::Credential;
use crate::clock::Timestamp;
use chrono::TimeDelta;

/// How the commands reach the app: its own routes, or whatever it has.
///
/// Who is signed in, and how, is up to the backend; it may [ask](super::ask_password). What it
/// cannot do it refuses with [`Class::Usage`](super::Class::Usage) and a hint. Its methods run on
/// the Tokio runtime that [`Cli::run`](super::Cli::run) is called on.
#[async_trait]
pub trait Backend: Send + Sync {
    /// Makes a token.
    ///
    /// # Errors
    /// [`Failure`] if there is none now.
    async fn create(&self, new: &NewPat) -> Result<PatWithSecret, Failure>;

    /// Every token of whoever asks, in the order in which people want to see them.
    ///
    /// # Errors
    /// [`Failure`] if they cannot all be told.
    async fn list(&self) -> Result<Vec<Pat>, Failure>;

    /// Deletes the token with this name.
    ///
    /// # Errors
    /// [`Failure`] if it is unknown whether it is gone, or there was none.
    async fn delete(&self, name: &str) -> Result<(), Failure>;

    /// Gives the token with this name a new secret; the old one goes on working for `overlap`, or
    /// for as long as the server thinks right.
    ///
    /// # Errors
    /// [`Failure`] if it keeps the old secret.
    async fn rotate(
        &self,
        name: &str,
        overlap: Option<TimeDelta>,
    ) -> Result<PatWithSecret, Failure>;

    /// Begins a session with this token and keeps what later commands need.
    ///
    /// # Errors
    /// [`Failure`] if there is no session now.
    async fn login(&self, pat: Credential) -> Result<LoggedIn, Failure>;

    /// Forgets the session; whether there was one.
    ///
    /// # Errors
    /// [`Failure`] if it may still be there.
    async fn logout(&self) -> Result<bool, Failure>;

    /// As whom commands are run.
    ///
    /// # Errors
    /// [`Failure`] if it cannot be told, or nobody is logged in.
    async fn whoami(&self) -> Result<Identity, Failure>;
}

/// A token to be made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct NewPat {
    /// What to call it.
    pub name: String,
    /// Its rights.
    pub scopes: Vec<String>,
    /// Its sets of rights, by name.
    pub presets: Vec<String>,
    /// When it ends, if not when the server thinks right.
    pub expires: Option<PatExpiry>,
}

/// A token, as lists show it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Pat {
    /// Its public id.
    pub id: String,
    /// What it is called.
    pub name: String,
    /// Its rights.
    pub scopes: Vec<String>,
    /// Whether it works: `active`, `expired`, `revoked` and the like.
    pub status: String,
    /// When it was made.
    pub created_at: Option<Timestamp>,
    /// When it ends; absent if never.
    pub expires_at: Option<Timestamp>,
    /// When it was last used; absent if never.
    pub last_used_at: Option<Timestamp>,
}

impl Pat {
    /// An active token without anything else.
    pub fn new(id: impl Into<String>, name: impl Into<String>) -> Self {
        let (id, name) = (id.into(), name.into());
        Self { id, name, status: "active".to_owned(), ..Self::default() }
    }
}

/// A token that was just made or rotated, with its secret.
#[derive(Debug)]
pub struct PatWithSecret {
    /// The token.
    pub pat: Pat,
    /// What is shown once.
    pub secret: Credential,
}

/// What a login began.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoggedIn {
    /// As whom, if that is known.
    pub user: Option<String>,
    /// Until when; absent if without end.
    pub until: Option<Timestamp>,
}

/// As whom commands are run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Identity {
    /// The user.
    pub user: String,
    /// The rights, if they are known.
    pub scopes: Vec<String>,
    /// Until when; absent if without end.
    pub expires_at: Option<Timestamp>,
}

impl Identity {
    /// A user without anything else.
    pub fn new(user: impl Into<String>) -> Self {
        Self { user: user.into(), ..Self::default() }
    }
}
