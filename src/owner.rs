//! What the host app knows of the people and services that own tokens.
//!
//! The engine asks an [`OwnerDirectory`] whenever a token is issued and whenever one is verified,
//! so that a suspended or demoted owner's tokens follow at once.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

use crate::scope::ScopeSet;
use crate::token::{Owner, Tenant};

/// What sort of account an owner is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum OwnerKind {
    /// An account of the app itself.
    Local,
    /// An account that signs in through an external identity provider.
    External,
    /// A service account.
    Service,
}

/// Which scopes an owner may use and grant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rights {
    /// Every scope of the catalog.
    All,
    /// These scopes and what they imply; see [`ScopeCatalog::set`](crate::ScopeCatalog::set).
    Only(ScopeSet),
}

impl Rights {
    /// Whether everything in `scopes` is covered.
    #[must_use]
    pub fn cover(&self, scopes: &ScopeSet) -> bool {
        match self {
            Self::All => true,
            Self::Only(own) => own.contains(scopes),
        }
    }

    /// What is left of `scopes` for somebody with these rights.
    #[must_use]
    pub fn limit(&self, scopes: &ScopeSet) -> ScopeSet {
        match self {
            Self::All => *scopes,
            Self::Only(own) => scopes.and(own),
        }
    }
}

/// What the engine needs to know of an owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OwnerFacts {
    /// Whether the owner may act at all.
    pub active: bool,
    /// What sort of account it is.
    pub kind: OwnerKind,
    /// Which scopes the owner has now.
    pub rights: Rights,
}

impl OwnerFacts {
    /// An active local account with these rights.
    #[must_use]
    pub const fn active(rights: Rights) -> Self {
        Self { active: true, kind: OwnerKind::Local, rights }
    }
}

/// The directory could not be asked. The engine answers with an outage, never with a denial.
#[derive(Debug, thiserror::Error)]
#[error("the owner directory is unavailable")]
pub struct OwnerDirectoryError(#[source] pub Box<dyn std::error::Error + Send + Sync>);

/// Where the engine looks owners up.
///
/// # Contract
/// `Ok(None)` means there is no such owner, and its tokens are refused. An error means "unknown",
/// and is an outage. An answer is used for one operation; a directory that wants answers cached
/// caches them itself, for no longer than it accepts a suspended owner's tokens to go on working.
#[async_trait]
pub trait OwnerDirectory: fmt::Debug + Send + Sync + 'static {
    /// What is known of an owner.
    ///
    /// # Errors
    /// [`OwnerDirectoryError`] if the directory cannot tell.
    async fn find(
        &self,
        tenant: &Tenant,
        owner: &Owner,
    ) -> Result<Option<OwnerFacts>, OwnerDirectoryError>;

    /// The same, if it can be told at once without waiting; `None` means "ask
    /// [`find`](Self::find)". A directory in memory implements both, and keeps verification free
    /// of allocation.
    fn resident(&self, tenant: &Tenant, owner: &Owner) -> Option<OwnerFacts> {
        let _ = (tenant, owner);
        None
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<D: OwnerDirectory + ?Sized> OwnerDirectory for Arc<D> {
    async fn find(
        &self,
        tenant: &Tenant,
        owner: &Owner,
    ) -> Result<Option<OwnerFacts>, OwnerDirectoryError> {
        (**self).find(tenant, owner).await
    }

    fn resident(&self, tenant: &Tenant, owner: &Owner) -> Option<OwnerFacts> {
        (**self).resident(tenant, owner)
    }
}

/// Takes every owner for an active local account with all rights: for apps that revoke tokens
/// themselves when an account ends.
#[derive(Debug, Clone, Copy, Default)]
pub struct EveryOwner;

#[async_trait]
impl OwnerDirectory for EveryOwner {
    async fn find(
        &self,
        tenant: &Tenant,
        owner: &Owner,
    ) -> Result<Option<OwnerFacts>, OwnerDirectoryError> {
        Ok(self.resident(tenant, owner))
    }

    fn resident(&self, _: &Tenant, _: &Owner) -> Option<OwnerFacts> {
        Some(OwnerFacts::active(Rights::All))
    }
}
