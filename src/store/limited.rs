//! A store whose steps end in time and do not pile up.

use std::time::Duration;

use async_trait::async_trait;
use tokio::runtime::Handle;

use super::change::{Admission, Change, Purge, Use};
use super::changes::Changes;
use super::contract::TokenStore;
use super::error::StoreError;
use super::facts::Facts;
use super::filter::{Filter, PageRequest};
use super::gate::Gate;
use crate::clock::Timestamp;
use crate::scope::ScopeCatalog;
use crate::token::{Record, Revocation, Token, TokenId};

/// A time limit and a most for the steps of any store that waits for something: a step that takes
/// too long, and one for which there is no room, fail with [`StoreError::Unavailable`], so that the
/// app answers 503 instead of gathering requests that wait.
///
/// For stores of your own. Those of this crate that talk to a server or a disk have limits of their
/// own, which know when a change that was given up may still take place.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use std::time::Duration;
/// use hallpass::{LimitedStore, MemoryStore, TokenStore};
///
/// let store = LimitedStore::new(MemoryStore::new())
///     .with_timeout(Duration::from_secs(1))
///     .with_max_steps(500);
/// assert!(store.find(&"0000000000000001".parse()?).await?.is_none());
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct LimitedStore<S> {
    inner: S,
    gate: Gate,
    timeout: Duration,
    /// Keeps the time, whichever executor takes a step.
    runtime: Handle,
}

impl<S: TokenStore> LimitedStore<S> {
    /// At most 5 seconds for a step, and 4,096 steps at a time.
    ///
    /// # Panics
    /// Outside of a Tokio runtime. Its time must be enabled, and the store must not outlast it.
    pub fn new(store: S) -> Self {
        Self {
            inner: store,
            gate: Gate::new(Gate::MOST),
            timeout: Duration::from_secs(5),
            runtime: Handle::current(),
        }
    }

    /// How long a step may take. A change that is given up may still take place, as far as the
    /// store inside does not end with its future.
    #[must_use]
    pub fn with_timeout(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }

    /// Most steps at a time, at least 1.
    #[must_use]
    pub fn with_max_steps(self, steps: usize) -> Self {
        Self { gate: Gate::new(steps), ..self }
    }

    async fn limited<T>(
        &self,
        step: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let _pass = self.gate.enter()?;
        let limited = {
            let _runtime = self.runtime.enter();
            tokio::time::timeout(self.timeout, step)
        };
        limited.await.unwrap_or_else(|elapsed| Err(StoreError::unavailable(elapsed)))
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<S: TokenStore> TokenStore for LimitedStore<S> {
    async fn insert(&self, record: &Record, admission: &Admission) -> Result<(), StoreError> {
        self.limited(self.inner.insert(record, admission)).await
    }

    async fn find(&self, id: &TokenId) -> Result<Option<Record>, StoreError> {
        self.limited(self.inner.find(id)).await
    }

    async fn list(
        &self,
        filter: &Filter,
        page: &PageRequest,
        now: Timestamp,
    ) -> Result<Vec<Record>, StoreError> {
        self.limited(self.inner.list(filter, page, now)).await
    }

    async fn list_tokens(
        &self,
        filter: &Filter,
        page: &PageRequest,
        now: Timestamp,
    ) -> Result<Vec<Token>, StoreError> {
        self.limited(self.inner.list_tokens(filter, page, now)).await
    }

    async fn update(
        &self,
        id: &TokenId,
        expected_version: u64,
        change: &Change,
        now: Timestamp,
    ) -> Result<Option<Record>, StoreError> {
        self.limited(self.inner.update(id, expected_version, change, now)).await
    }

    async fn revoke(&self, filter: &Filter, mark: &Revocation) -> Result<Vec<TokenId>, StoreError> {
        self.limited(self.inner.revoke(filter, mark)).await
    }

    async fn touch(&self, uses: &[Use]) -> Result<(), StoreError> {
        self.limited(self.inner.touch(uses)).await
    }

    async fn purge(&self, purge: &Purge) -> Result<u64, StoreError> {
        self.limited(self.inner.purge(purge)).await
    }

    fn resident(&self, id: &TokenId, look: &mut dyn FnMut(&Facts)) {
        self.inner.resident(id, look);
    }

    async fn changes(&self) -> Result<Option<Box<dyn Changes>>, StoreError> {
        self.limited(self.inner.changes()).await
    }

    async fn generation(&self) -> Result<Vec<u64>, StoreError> {
        self.limited(self.inner.generation()).await
    }

    fn attach(&self, catalog: &ScopeCatalog) {
        self.inner.attach(catalog);
    }
}
