//! Asks the host app's callbacks. One that panics has not answered, which is an outage.

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::Poll;

use super::Engine;
use crate::owner::{OwnerDirectoryError, OwnerFacts, Rights};
use crate::token::{Owner, Tenant};

impl Engine {
    /// What the directory knows of an owner now.
    pub(super) async fn owner(
        &self,
        tenant: &Tenant,
        owner: &Owner,
    ) -> Result<Option<OwnerFacts>, OwnerDirectoryError> {
        if let Some(facts) = contained(|| self.owners.resident(tenant, owner))? {
            return Ok(Some(facts));
        }
        let mut answer = contained(|| self.owners.find(tenant, owner))?;
        poll_fn(|context| match contained(|| answer.as_mut().poll(context)) {
            Ok(poll) => poll,
            Err(panicked) => Poll::Ready(Err(panicked)),
        })
        .await
    }

    /// What an owner may use and grant now.
    pub(super) fn rights(&self, owner: &OwnerFacts) -> Result<[Rights; 2], OwnerDirectoryError> {
        contained(|| self.policy.rights(owner))
    }
}

fn contained<T>(callback: impl FnOnce() -> T) -> Result<T, OwnerDirectoryError> {
    // What a callback left half done is its own; nothing of the engine is borrowed mutably here.
    catch_unwind(AssertUnwindSafe(callback))
        .map_err(|_| OwnerDirectoryError("a callback of the app panicked".into()))
}
