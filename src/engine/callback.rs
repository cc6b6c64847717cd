//! Asks the host app's callbacks. One that panics has not answered, which is an outage.

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::Poll;

use super::Engine;
use crate::owner::{OwnerDirectoryError, OwnerFacts, Rights};
use crate::scope::ScopeSet;
use crate::token::{Owner, Tenant};

/// What is known of every owner where there is no directory.
pub(super) const EVERYBODY: &OwnerFacts = &OwnerFacts::active(Rights::All);

impl Engine {
    /// What the directory knows of an owner now.
    pub(super) async fn owner(
        &self,
        tenant: &Tenant,
        owner: &Owner,
    ) -> Result<Option<OwnerFacts>, OwnerDirectoryError> {
        let Some(owners) = &self.owners else {
            return Ok(Some(*EVERYBODY));
        };
        if let Some(facts) = contained(|| owners.resident(tenant, owner))? {
            return Ok(Some(facts));
        }
        let mut answer = contained(|| owners.find(tenant, owner))?;
        poll_fn(|context| match contained(|| answer.as_mut().poll(context)) {
            Ok(poll) => poll,
            Err(panicked) => Poll::Ready(Err(panicked)),
        })
        .await
    }

    /// What is left of `scopes` for an owner now.
    #[inline]
    pub(super) fn limit(
        &self,
        owner: &OwnerFacts,
        scopes: &ScopeSet,
    ) -> Result<ScopeSet, OwnerDirectoryError> {
        if self.policy.ceiling.is_none() {
            return Ok(owner.rights.limit(scopes));
        }
        contained(|| self.policy.limit(owner, scopes))
    }
}

/// The answer of a callback, or that it panicked.
pub(super) fn contained<T>(callback: impl FnOnce() -> T) -> Result<T, OwnerDirectoryError> {
    // What a callback left half done is its own; nothing of the engine is borrowed mutably here.
    catch_unwind(AssertUnwindSafe(callback))
        .map_err(|_| OwnerDirectoryError("a callback of the app panicked".into()))
}
