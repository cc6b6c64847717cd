//! The store that remembers.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use async_trait::async_trait;

use super::clock::{AgeClock, nanos};
use super::flight::{Read, Seat, Wait, again, group};
use super::options::CacheOptions;
use super::table::{Joined, Limits, Table, Ticket};
use crate::clock::Timestamp;
use crate::scope::ScopeCatalog;
use crate::store::{
    Admission, Change, Changes, Facts, Filter, PageRequest, Purge, Reach, StoreError, TokenStore,
    Use,
};
use crate::token::{Record, Revocation, Token, TokenId};

/// A cache in front of any store, safe against revoked tokens.
///
/// It meets the whole [`TokenStore`] contract. [`resident`](TokenStore::resident) is answered from
/// memory, everything else by the store inside. Copies share what they remember.
///
/// It remembers nothing before [`follow`](Self::follow) listens to what other nodes do, unless it
/// was made [`without_channel`](CacheOptions::without_channel).
pub struct CachedStore<S>(pub(super) Arc<Cache<S>>);

pub(super) struct Cache<S> {
    pub(super) inner: S,
    pub(super) table: Table<TokenId, Facts, Wait>,
    pub(super) clock: Box<dyn AgeClock>,
    pub(super) ttl: u64,
    catalog: RwLock<ScopeCatalog>,
}

impl<S: TokenStore> CachedStore<S> {
    /// A cache with the usual options; see [`CacheOptions::new`].
    #[must_use]
    pub fn new(inner: S) -> Self {
        CacheOptions::new().wrap(inner)
    }

    pub(super) fn new_with(
        inner: S,
        limits: Limits,
        clock: Box<dyn AgeClock>,
        awaits_channel: bool,
    ) -> Self {
        let table = Table::new(limits);
        if !awaits_channel && limits.ttl > 0 {
            table.open(0, u64::MAX);
        }
        let catalog = RwLock::default();
        Self(Arc::new(Cache { inner, table, clock, ttl: limits.ttl, catalog }))
    }

    /// The store inside.
    #[must_use]
    pub fn inner(&self) -> &S {
        &self.0.inner
    }

    /// Whether anything is remembered at present: worth an alarm where this is false for long.
    #[must_use]
    pub fn is_caching(&self) -> bool {
        self.0.table.is_open(self.0.now())
    }

    /// Forgets everything that is remembered.
    pub fn flush(&self) {
        self.0.table.flush();
    }
}

impl<S: TokenStore> Cache<S> {
    pub(super) fn now(&self) -> u64 {
        nanos(self.clock.elapsed())
    }

    fn facts(&self, record: &Record) -> Facts {
        Facts::of(record, &self.catalog.read().unwrap_or_else(PoisonError::into_inner))
    }

    async fn read(&self, id: &TokenId, ticket: Ticket) -> Read {
        // What is read is at most as old as this, whenever it arrives.
        let at = self.now();
        match self.inner.find(id).await {
            Ok(record) => {
                let facts = record.as_ref().map(|record| self.facts(record));
                self.table.land(id, ticket, at, facts);
                Ok(record.map(Arc::new))
            }
            Err(error) => {
                self.table.crash(id, ticket);
                Err(Arc::new(error))
            }
        }
    }

    /// Doubts whatever a filter may mean.
    fn doubt(&self, filter: &Filter) {
        match (&filter.ids, &filter.reach) {
            (Some(ids), _) => ids.iter().for_each(|id| self.table.doubt(id)),
            (None, Reach::All) => self.table.doubt_all(None),
            (None, Reach::Tenant(tenant)) => self.table.doubt_all(Some(group(tenant))),
            (None, Reach::Owner(tenant, owner)) => {
                self.table.doubt_all(Some(group(&(tenant, owner))));
            }
            (None, Reach::Family(root)) => {
                self.table.doubt(root);
                self.table.doubt_all(Some(group(root)));
            }
        }
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<S: TokenStore> TokenStore for CachedStore<S> {
    async fn insert(&self, record: &Record, admission: &Admission) -> Result<(), StoreError> {
        let cache = &*self.0;
        let _changed = AtEnd(|| cache.table.forget(&record.token.id));
        cache.inner.insert(record, admission).await
    }

    async fn find(&self, id: &TokenId) -> Result<Option<Record>, StoreError> {
        let cache = &*self.0;
        let (ticket, wait) = match cache.table.join(id, cache.now(), Wait::default) {
            Joined::Absent => return Ok(None),
            Joined::Flight(ticket, wait) => (ticket, wait),
        };
        let seat = Seat { table: &cache.table, id, ticket };
        // Whoever comes first reads; if it is dropped on the way, the next one does.
        let read = wait.get_or_init(|| cache.read(id, ticket)).await.clone();
        drop((seat, wait));
        match read {
            Ok(record) => Ok(record.map(Arc::unwrap_or_clone)),
            Err(error) => Err(again(&error)),
        }
    }

    async fn list(
        &self,
        filter: &Filter,
        page: &PageRequest,
        now: Timestamp,
    ) -> Result<Vec<Record>, StoreError> {
        self.0.inner.list(filter, page, now).await
    }

    async fn list_tokens(
        &self,
        filter: &Filter,
        page: &PageRequest,
        now: Timestamp,
    ) -> Result<Vec<Token>, StoreError> {
        self.0.inner.list_tokens(filter, page, now).await
    }

    async fn update(
        &self,
        id: &TokenId,
        expected_version: u64,
        change: &Change,
        now: Timestamp,
    ) -> Result<Option<Record>, StoreError> {
        let cache = &*self.0;
        let at = cache.now();
        // Whatever else comes of it: the version that was expected may be an old one.
        let unknown = AtEnd(|| cache.table.doubt(id));
        let updated = cache.inner.update(id, expected_version, change, now).await?;
        if let Some(record) = &updated {
            cache.table.put(id, at, cache.facts(record));
            unknown.disarm();
        }
        Ok(updated)
    }

    async fn revoke(&self, filter: &Filter, mark: &Revocation) -> Result<Vec<TokenId>, StoreError> {
        let cache = &*self.0;
        // Also what is not returned may be revoked: another node may have done it before, and of
        // a step that fails or is dropped it is unknown what it did.
        let _rest = AtEnd(|| cache.doubt(filter));
        let ids = cache.inner.revoke(filter, mark).await?;
        for id in &ids {
            cache.table.amend(id, |facts| Some(revoked(facts, mark)));
        }
        Ok(ids)
    }

    async fn touch(&self, uses: &[Use]) -> Result<(), StoreError> {
        let cache = &*self.0;
        cache.inner.touch(uses).await?;
        for Use { id, last_use } in uses {
            cache.table.amend(id, |facts| {
                let newer = facts.last_used_at.is_none_or(|last| last < last_use.at);
                (newer && facts.lifecycle.revoked_at.is_none())
                    .then(|| Facts { last_used_at: Some(last_use.at), ..facts.clone() })
            });
        }
        Ok(())
    }

    async fn purge(&self, purge: &Purge) -> Result<u64, StoreError> {
        let cache = &*self.0;
        let unknown = AtEnd(|| cache.table.flush());
        let purged = cache.inner.purge(purge).await?;
        if purged == 0 {
            unknown.disarm();
        }
        Ok(purged)
    }

    fn resident(&self, id: &TokenId, look: &mut dyn FnMut(&Facts)) {
        self.0.table.look(id, self.0.now(), look);
    }

    async fn changes(&self) -> Result<Option<Box<dyn Changes>>, StoreError> {
        self.0.inner.changes().await
    }

    async fn generation(&self) -> Result<Vec<u64>, StoreError> {
        self.0.inner.generation().await
    }

    fn attach(&self, catalog: &ScopeCatalog) {
        self.0.inner.attach(catalog);
        let mut attached = self.0.catalog.write().unwrap_or_else(PoisonError::into_inner);
        *attached = catalog.clone();
        drop(attached);
        self.0.table.flush();
    }
}

/// The facts of a token after it was revoked.
fn revoked(facts: &Facts, mark: &Revocation) -> Facts {
    let mut facts = facts.clone();
    if facts.lifecycle.revoked_at.is_none() {
        facts.lifecycle.revoked_at = Some(mark.at);
        facts.revoked_for = Some(mark.reason);
        facts.version = facts.version.saturating_add(1);
    }
    facts
}

/// Does something when a step ends, however it ends: the future may also be dropped, or panic.
struct AtEnd<F: Fn()>(F);

impl<F: Fn()> AtEnd<F> {
    fn disarm(self) {
        std::mem::forget(self);
    }
}

impl<F: Fn()> Drop for AtEnd<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

impl<S> Clone for CachedStore<S> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<S: TokenStore> fmt::Debug for CachedStore<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CachedStore")
            .field("inner", &self.0.inner)
            .field("is_caching", &self.is_caching())
            .field("in_flight", &self.0.table.in_flight())
            .finish_non_exhaustive()
    }
}
