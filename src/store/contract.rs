//! The store contract.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

use super::change::{Admission, Change, Purge, Use};
use super::changes::Changes;
use super::error::StoreError;
use super::facts::Facts;
use super::filter::{Filter, PageRequest};
use crate::clock::Timestamp;
use crate::scope::ScopeCatalog;
use crate::token::{Record, Revocation, Token, TokenId};

/// Where tokens live.
///
/// # Contract
/// - Every method is one atomic step: a concurrent caller sees the state before or after it,
///   never between. A dropped future leaves the state before or after, never between.
/// - A step that returned `Ok` is durable and seen by every later call.
/// - Time is always an argument; a store never reads a clock.
/// - Absence is `Ok(None)` or an empty list. An error means "unknown", never "denied".
/// - A revocation is never undone, and no later step changes a revoked record.
/// - Ids are compared byte by byte.
/// - Stored scopes that cannot be read are an empty list, which grants nothing. A digest that
///   cannot be used is kept as it is ([`TokenDigest::from_stored`](crate::TokenDigest)). Any
///   other damage is [`StoreError::Corrupt`].
#[async_trait]
pub trait TokenStore: fmt::Debug + Send + Sync + 'static {
    /// Stores a new record.
    ///
    /// Checked in this order, in the same atomic step as the insert: the idempotency key is new
    /// within tenant and owner; the id is new; the name is free, if that is asked for; the owner
    /// holds fewer live tokens of the kind than the quota.
    ///
    /// # Errors
    /// [`Conflict::Replayed`](super::Conflict::Replayed), `IdTaken`, `NameTaken` or `QuotaFull`,
    /// and then nothing is stored.
    async fn insert(&self, record: &Record, admission: &Admission) -> Result<(), StoreError>;

    /// The record with this id.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be told whether there is one, or the row is corrupt.
    async fn find(&self, id: &TokenId) -> Result<Option<Record>, StoreError>;

    /// One page of the records that a filter admits at `now`, sorted.
    ///
    /// # Errors
    /// [`StoreError`] if the page cannot be read whole.
    async fn list(
        &self,
        filter: &Filter,
        page: &PageRequest,
        now: Timestamp,
    ) -> Result<Vec<Record>, StoreError>;

    /// The tokens of the page that [`list`](Self::list) gives, without what their secrets are
    /// checked against: what people look at. A store that can leave digests where they are says
    /// so here.
    ///
    /// # Errors
    /// As [`list`](Self::list).
    async fn list_tokens(
        &self,
        filter: &Filter,
        page: &PageRequest,
        now: Timestamp,
    ) -> Result<Vec<Token>, StoreError> {
        Ok(tokens_of(self.list(filter, page, now).await?))
    }

    /// Changes named columns of a record, if its version is still the expected one, and counts the
    /// version up. Returns the record afterwards; `None` if there is none.
    ///
    /// # Errors
    /// [`Conflict::Revoked`](super::Conflict::Revoked), `Stale` or `NameTaken`, in this order,
    /// and then nothing is changed.
    async fn update(
        &self,
        id: &TokenId,
        expected_version: u64,
        change: &Change,
        now: Timestamp,
    ) -> Result<Option<Record>, StoreError>;

    /// Revokes every record that a filter admits at the mark's instant and that is not yet
    /// revoked, counts their versions up, and returns their ids in any order.
    ///
    /// Of everything or of a tenant, many records may be revoked in several atomic steps; no other
    /// revocation is more than one.
    ///
    /// # Errors
    /// [`StoreError`] if it is unknown whether all of them are revoked. Repeating it revokes the
    /// rest.
    async fn revoke(&self, filter: &Filter, mark: &Revocation) -> Result<Vec<TokenId>, StoreError>;

    /// Notes uses. Forward only: an older use never replaces a newer one. Unknown and revoked
    /// tokens are passed over. Versions stay as they are.
    ///
    /// # Errors
    /// [`StoreError`] if some may not be noted; noting them again is harmless.
    async fn touch(&self, uses: &[Use]) -> Result<(), StoreError>;

    /// Removes records that ended longer ago than they are kept, and returns how many. A record
    /// is kept as long as one that was made from it.
    ///
    /// # Errors
    /// [`StoreError`] if it is unknown whether they were removed.
    async fn purge(&self, purge: &Purge) -> Result<u64, StoreError>;

    /// Shows the facts of a record to `look`, if they can be told at once without waiting. If
    /// `look` is not called, that means "ask [`find`](Self::find)", not "there is none".
    ///
    /// The facts are looked at where they lie, so that a verification copies only what it hands
    /// on. `look` does not wait, and may ask for other resident facts.
    ///
    /// A change is seen here before the step that makes it returns.
    fn resident(&self, id: &TokenId, look: &mut dyn FnMut(&Facts)) {
        let _ = (id, look);
    }

    /// Subscribes to what all nodes do, where the backend can tell; `None` where it cannot.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if the subscription cannot be made right now.
    async fn changes(&self) -> Result<Option<Box<dyn Changes>>, StoreError> {
        Ok(None)
    }

    /// How many steps revoked something: one count for each part of the store that can lose what
    /// was written there while the others keep it, always as many and in the same order. A count
    /// grows with every step that revokes something in its part, with nothing else, and lasts as
    /// long as the revocations do. So a store one of whose counts is smaller than it once was has
    /// forgotten revocations, as a restored backup has. None where nothing outlives the process.
    ///
    /// # Errors
    /// [`StoreError`] if one cannot be read.
    async fn generation(&self) -> Result<Vec<u64>, StoreError> {
        Ok(Vec::new())
    }

    /// Tells the store by which catalog to resolve the scopes of resident facts. The engine calls
    /// it once, when it is built.
    fn attach(&self, catalog: &ScopeCatalog) {
        let _ = catalog;
    }
}

/// The tokens of records that were read whole.
pub(super) fn tokens_of(records: Vec<Record>) -> Vec<Token> {
    records.into_iter().map(|record| record.token).collect()
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<S: TokenStore + ?Sized> TokenStore for Arc<S> {
    async fn insert(&self, record: &Record, admission: &Admission) -> Result<(), StoreError> {
        (**self).insert(record, admission).await
    }

    async fn find(&self, id: &TokenId) -> Result<Option<Record>, StoreError> {
        (**self).find(id).await
    }

    async fn list(
        &self,
        filter: &Filter,
        page: &PageRequest,
        now: Timestamp,
    ) -> Result<Vec<Record>, StoreError> {
        (**self).list(filter, page, now).await
    }

    async fn list_tokens(
        &self,
        filter: &Filter,
        page: &PageRequest,
        now: Timestamp,
    ) -> Result<Vec<Token>, StoreError> {
        (**self).list_tokens(filter, page, now).await
    }

    async fn update(
        &self,
        id: &TokenId,
        expected_version: u64,
        change: &Change,
        now: Timestamp,
    ) -> Result<Option<Record>, StoreError> {
        (**self).update(id, expected_version, change, now).await
    }

    async fn revoke(&self, filter: &Filter, mark: &Revocation) -> Result<Vec<TokenId>, StoreError> {
        (**self).revoke(filter, mark).await
    }

    async fn touch(&self, uses: &[Use]) -> Result<(), StoreError> {
        (**self).touch(uses).await
    }

    async fn purge(&self, purge: &Purge) -> Result<u64, StoreError> {
        (**self).purge(purge).await
    }

    fn resident(&self, id: &TokenId, look: &mut dyn FnMut(&Facts)) {
        (**self).resident(id, look);
    }

    async fn changes(&self) -> Result<Option<Box<dyn Changes>>, StoreError> {
        (**self).changes().await
    }

    async fn generation(&self) -> Result<Vec<u64>, StoreError> {
        (**self).generation().await
    }

    fn attach(&self, catalog: &ScopeCatalog) {
        (**self).attach(catalog);
    }
}
