//! A store around another that counts its calls and breaks them on demand.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use hallpass::store::{Admission, Change, Changes, Facts, Filter, PageRequest, Purge, Reach, Use};
use hallpass::{
    Record, Revocation, ScopeCatalog, StoreError, Timestamp, Token, TokenId, TokenStore,
};

/// A step of a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Step {
    Insert,
    Find,
    List,
    Update,
    Revoke,
    Touch,
    Purge,
}

/// What goes wrong in a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It fails and nothing is done.
    Fails,
    /// It is done, and the answer is lost.
    Loses,
    /// It never ends, and nothing is done.
    Hangs,
}

#[derive(Debug)]
pub(crate) struct Probe {
    inner: Arc<dyn TokenStore>,
    calls: Mutex<HashMap<Step, usize>>,
    faults: Mutex<HashMap<Step, Fault>>,
    /// Whose revocation fails.
    spared: Mutex<Option<TokenId>>,
    cold: AtomicBool,
    yields: AtomicBool,
    resident: AtomicUsize,
}

impl Probe {
    pub(crate) fn around(inner: Arc<dyn TokenStore>) -> Self {
        Self {
            inner,
            calls: Mutex::default(),
            faults: Mutex::default(),
            spared: Mutex::default(),
            cold: AtomicBool::new(false),
            yields: AtomicBool::new(false),
            resident: AtomicUsize::new(0),
        }
    }

    /// Breaks every call of a step from now on.
    pub(crate) fn breaks(&self, step: Step, fault: Fault) {
        self.faults.lock().unwrap().insert(step, fault);
    }

    /// Breaks every revocation that names this token.
    #[cfg(feature = "scan")]
    pub(crate) fn breaks_revocation_of(&self, id: TokenId) {
        *self.spared.lock().unwrap() = Some(id);
    }

    pub(crate) fn heals(&self) {
        self.faults.lock().unwrap().clear();
        *self.spared.lock().unwrap() = None;
    }

    /// Answers nothing from memory from now on.
    pub(crate) fn cool(&self) {
        self.cold.store(true, Ordering::SeqCst);
    }

    /// Waits once before and once after each step from now on.
    pub(crate) fn yields(&self, yields: bool) {
        self.yields.store(yields, Ordering::SeqCst);
    }

    pub(crate) fn calls(&self, step: Step) -> usize {
        self.calls.lock().unwrap().get(&step).copied().unwrap_or(0)
    }

    /// Lookups of any sort.
    pub(crate) fn lookups(&self) -> usize {
        self.calls(Step::Find) + self.resident.load(Ordering::SeqCst)
    }

    async fn around_step<T>(
        &self,
        step: Step,
        work: impl Future<Output = Result<T, StoreError>> + Send,
    ) -> Result<T, StoreError> {
        *self.calls.lock().unwrap().entry(step).or_default() += 1;
        self.pause().await;
        let fault = self.faults.lock().unwrap().get(&step).copied();
        match fault {
            None => {}
            Some(Fault::Fails) => return Err(StoreError::unavailable("broken on demand")),
            Some(Fault::Hangs) => std::future::pending().await,
            Some(Fault::Loses) => {
                work.await?;
                return Err(StoreError::unavailable("the answer was lost on demand"));
            }
        }
        let answer = work.await;
        self.pause().await;
        answer
    }

    async fn pause(&self) {
        if self.yields.load(Ordering::SeqCst) {
            tokio::task::yield_now().await;
        }
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl TokenStore for Probe {
    async fn insert(&self, record: &Record, admission: &Admission) -> Result<(), StoreError> {
        self.around_step(Step::Insert, self.inner.insert(record, admission)).await
    }

    async fn find(&self, id: &TokenId) -> Result<Option<Record>, StoreError> {
        self.around_step(Step::Find, self.inner.find(id)).await
    }

    async fn list(
        &self,
        filter: &Filter,
        page: &PageRequest,
        now: Timestamp,
    ) -> Result<Vec<Record>, StoreError> {
        self.around_step(Step::List, self.inner.list(filter, page, now)).await
    }

    async fn list_tokens(
        &self,
        filter: &Filter,
        page: &PageRequest,
        now: Timestamp,
    ) -> Result<Vec<Token>, StoreError> {
        self.around_step(Step::List, self.inner.list_tokens(filter, page, now)).await
    }

    async fn update(
        &self,
        id: &TokenId,
        expected_version: u64,
        change: &Change,
        now: Timestamp,
    ) -> Result<Option<Record>, StoreError> {
        self.around_step(Step::Update, self.inner.update(id, expected_version, change, now)).await
    }

    async fn revoke(&self, filter: &Filter, mark: &Revocation) -> Result<Vec<TokenId>, StoreError> {
        if let Some(id) = *self.spared.lock().unwrap()
            && (filter.reach == Reach::Family(id)
                || filter.ids.as_ref().is_some_and(|ids| ids.contains(&id)))
        {
            return Err(StoreError::unavailable("broken for this token"));
        }
        self.around_step(Step::Revoke, self.inner.revoke(filter, mark)).await
    }

    async fn touch(&self, uses: &[Use]) -> Result<(), StoreError> {
        self.around_step(Step::Touch, self.inner.touch(uses)).await
    }

    async fn purge(&self, purge: &Purge) -> Result<u64, StoreError> {
        self.around_step(Step::Purge, self.inner.purge(purge)).await
    }

    fn resident(&self, id: &TokenId, look: &mut dyn FnMut(&Facts)) {
        if !self.cold.load(Ordering::SeqCst) {
            self.inner.resident(id, &mut |facts| {
                self.resident.fetch_add(1, Ordering::SeqCst);
                look(facts);
            });
        }
    }

    async fn changes(&self) -> Result<Option<Box<dyn Changes>>, StoreError> {
        self.inner.changes().await
    }

    async fn generation(&self) -> Result<Vec<u64>, StoreError> {
        self.inner.generation().await
    }

    fn attach(&self, catalog: &ScopeCatalog) {
        self.inner.attach(catalog);
    }
}
