//! What tests of the cache are made with: a clock moved by hand, a store whose steps stop where
//! they are told, a channel that says what it is told, and futures polled by hand.

use std::collections::{HashSet, VecDeque};
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use async_trait::async_trait;
use hallpass::store::{
    Admission, AgeClock, CacheOptions, CachedStore, Change, Changes, Facts, Filter, Notice,
    PageRequest, Purge, StoreError, Use,
};
use hallpass::{MemoryStore, Record, Revocation, ScopeCatalog, Timestamp, TokenId, TokenStore};

use hallpass::conformance::support::{anything, id, record};

/// A clock that counts what it is told.
#[derive(Debug, Clone, Default)]
pub(crate) struct HandClock(Arc<AtomicU64>);

impl HandClock {
    pub(crate) fn advance(&self, millis: u64) {
        self.0.fetch_add(millis, Ordering::SeqCst);
    }
}

impl AgeClock for HandClock {
    fn elapsed(&self) -> Duration {
        Duration::from_millis(self.0.load(Ordering::SeqCst))
    }
}

/// Where a step of the scripted store can be stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Point {
    BeforeRead,
    AfterRead,
    BeforeWrite,
    AfterWrite,
}

/// A store in memory whose steps stop where they are told.
#[derive(Debug, Clone, Default)]
pub(crate) struct Scripted(Arc<Script>);

#[derive(Debug, Default)]
pub(crate) struct Script {
    pub(crate) store: MemoryStore,
    stops: Mutex<HashSet<Point>>,
    reads: AtomicUsize,
    /// What the next reads say instead of the truth.
    answers: Mutex<VecDeque<Result<Option<Record>, StoreError>>>,
    bus: Option<Bus>,
}

impl Scripted {
    pub(crate) fn with_bus(bus: &Bus) -> Self {
        Self(Arc::new(Script { bus: Some(bus.clone()), ..Script::default() }))
    }

    pub(crate) fn stop(&self, point: Point) {
        self.0.stops.lock().unwrap().insert(point);
    }

    pub(crate) fn go(&self, point: Point) {
        self.0.stops.lock().unwrap().remove(&point);
    }

    pub(crate) fn reads(&self) -> usize {
        self.0.reads.load(Ordering::SeqCst)
    }

    pub(crate) fn answer(&self, answer: Result<Option<Record>, StoreError>) {
        self.0.answers.lock().unwrap().push_back(answer);
    }

    pub(crate) fn database(&self) -> &MemoryStore {
        &self.0.store
    }

    async fn pass(&self, point: Point) {
        poll_fn(|_| {
            if self.0.stops.lock().unwrap().contains(&point) {
                Poll::Pending
            } else {
                Poll::Ready(())
            }
        })
        .await;
    }

    async fn write<T>(&self, step: impl Future<Output = T>) -> T {
        self.pass(Point::BeforeWrite).await;
        let done = step.await;
        self.pass(Point::AfterWrite).await;
        done
    }
}

#[async_trait]
impl TokenStore for Scripted {
    async fn insert(&self, record: &Record, admission: &Admission) -> Result<(), StoreError> {
        self.write(self.0.store.insert(record, admission)).await
    }

    async fn find(&self, id: &TokenId) -> Result<Option<Record>, StoreError> {
        self.0.reads.fetch_add(1, Ordering::SeqCst);
        self.pass(Point::BeforeRead).await;
        let scripted = self.0.answers.lock().unwrap().pop_front();
        let found = match scripted {
            Some(answer) => answer,
            None => self.0.store.find(id).await,
        };
        self.pass(Point::AfterRead).await;
        found
    }

    async fn list(
        &self,
        filter: &Filter,
        page: &PageRequest,
        now: Timestamp,
    ) -> Result<Vec<Record>, StoreError> {
        self.0.store.list(filter, page, now).await
    }

    async fn update(
        &self,
        id: &TokenId,
        expected_version: u64,
        change: &Change,
        now: Timestamp,
    ) -> Result<Option<Record>, StoreError> {
        self.write(self.0.store.update(id, expected_version, change, now)).await
    }

    async fn revoke(&self, filter: &Filter, mark: &Revocation) -> Result<Vec<TokenId>, StoreError> {
        self.write(self.0.store.revoke(filter, mark)).await
    }

    async fn touch(&self, uses: &[Use]) -> Result<(), StoreError> {
        self.write(self.0.store.touch(uses)).await
    }

    async fn purge(&self, purge: &Purge) -> Result<u64, StoreError> {
        self.write(self.0.store.purge(purge)).await
    }

    async fn changes(&self) -> Result<Option<Box<dyn Changes>>, StoreError> {
        match &self.0.bus {
            None => Ok(None),
            Some(bus) => bus.open(),
        }
    }
}

/// A channel that says what it is told.
#[derive(Debug, Clone, Default)]
pub(crate) struct Bus(Arc<Mutex<Wire>>);

#[derive(Debug, Default)]
struct Wire {
    notices: VecDeque<Result<Notice, StoreError>>,
    refuses: bool,
}

impl Bus {
    pub(crate) fn say(&self, notice: Notice) {
        self.0.lock().unwrap().notices.push_back(Ok(notice));
    }

    pub(crate) fn say_changed(&self, number: u32, version: u64) {
        self.say(Notice::Changed { id: id(number), version });
    }

    /// The next call of the other side fails.
    pub(crate) fn break_down(&self) {
        self.0.lock().unwrap().notices.push_back(Err(StoreError::unavailable("cut")));
    }

    pub(crate) fn refuse(&self, refuses: bool) {
        self.0.lock().unwrap().refuses = refuses;
    }

    fn open(&self) -> Result<Option<Box<dyn Changes>>, StoreError> {
        if self.0.lock().unwrap().refuses {
            return Err(StoreError::unavailable("no channel now"));
        }
        Ok(Some(Box::new(self.clone())))
    }
}

#[async_trait]
impl Changes for Bus {
    async fn next(&mut self) -> Result<Notice, StoreError> {
        poll_fn(|_| self.0.lock().unwrap().notices.pop_front().map_or(Poll::Pending, Poll::Ready))
            .await
    }
}

/// A future that is polled by hand.
pub(crate) struct Run<'a, T>(Pin<Box<dyn Future<Output = T> + Send + 'a>>);

impl<'a, T> Run<'a, T> {
    pub(crate) fn new(future: impl Future<Output = T> + Send + 'a) -> Self {
        Self(Box::pin(future))
    }

    /// What it gives, if it is ready now.
    pub(crate) fn poll(&mut self) -> Option<T> {
        match self.0.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(value) => Some(value),
            Poll::Pending => None,
        }
    }
}

/// Runs what never waits.
pub(crate) fn now<T>(future: impl Future<Output = T> + Send) -> T {
    Run::new(future).poll().unwrap()
}

/// A scripted store behind a cache that needs no channel.
pub(crate) struct Bed {
    pub(crate) script: Scripted,
    pub(crate) clock: HandClock,
    pub(crate) store: CachedStore<Scripted>,
}

impl Bed {
    pub(crate) fn new() -> Self {
        Self::with(CacheOptions::new().without_channel())
    }

    pub(crate) fn with(options: CacheOptions) -> Self {
        Self::on(Scripted::default(), options)
    }

    pub(crate) fn on(script: Scripted, options: CacheOptions) -> Self {
        let clock = HandClock::default();
        let store = options.with_clock(clock.clone()).wrap(script.clone());
        Self { script, clock, store }
    }

    /// With tokens 1 to `count` stored.
    pub(crate) fn with_tokens(count: u32) -> Self {
        let bed = Self::new();
        bed.put_tokens(count);
        bed
    }

    pub(crate) fn put_tokens(&self, count: u32) {
        for number in 1..=count {
            now(self.script.database().insert(&record(number), &anything())).unwrap();
        }
    }

    pub(crate) fn find(&self, number: u32) -> Option<Record> {
        now(self.store.find(&id(number))).unwrap()
    }

    pub(crate) fn finding(&self, number: u32) -> Run<'_, Result<Option<Record>, StoreError>> {
        Run::new(async move { self.store.find(&id(number)).await })
    }

    /// What is resident: the version, and whether it is revoked.
    pub(crate) fn told(&self, number: u32) -> Option<(u64, bool)> {
        resident(&self.store, &id(number))
            .map(|facts| (facts.version, facts.lifecycle.revoked_at.is_some()))
    }
}

pub(crate) fn resident(store: &dyn TokenStore, id: &TokenId) -> Option<Facts> {
    let mut told = None;
    store.resident(id, &mut |facts| told = Some(facts.clone()));
    told
}

/// A cache that is held to what the store inside says, at every read.
pub(crate) fn coherent<S: TokenStore>(inner: S) -> Arc<dyn TokenStore> {
    let inner: Arc<dyn TokenStore> = Arc::new(inner);
    Arc::new(Coherent(CacheOptions::new().without_channel().wrap(inner)))
}

#[derive(Debug)]
struct Coherent(CachedStore<Arc<dyn TokenStore>>);

impl Coherent {
    fn check(&self, id: &TokenId, found: Option<&Record>) {
        let Some(facts) = resident(&self.0, id) else {
            return;
        };
        // Where others change the record meanwhile, what is resident may be older or newer.
        if let Some(record) = found.filter(|record| record.token.version == facts.version) {
            let mut expected = Facts::of(record, &ScopeCatalog::default());
            // Which catalog is attached is the conformance suite's own matter.
            expected.scopes = facts.scopes;
            // A use does not count the version up, and may be noted meanwhile.
            expected.last_used_at = facts.last_used_at;
            assert_eq!(format!("{facts:?}"), format!("{expected:?}"));
        }
    }
}

#[async_trait]
impl TokenStore for Coherent {
    async fn insert(&self, record: &Record, admission: &Admission) -> Result<(), StoreError> {
        self.0.insert(record, admission).await
    }

    async fn find(&self, id: &TokenId) -> Result<Option<Record>, StoreError> {
        let before = resident(&self.0, id);
        let found = self.0.find(id).await?;
        if let Some(before) = before {
            let revoked = found.as_ref().is_some_and(|record| record.token.revocation.is_some());
            assert!(found.is_none() || revoked || before.lifecycle.revoked_at.is_none());
        }
        self.check(id, found.as_ref());
        Ok(found)
    }

    async fn list(
        &self,
        filter: &Filter,
        page: &PageRequest,
        now: Timestamp,
    ) -> Result<Vec<Record>, StoreError> {
        self.0.list(filter, page, now).await
    }

    async fn update(
        &self,
        id: &TokenId,
        expected_version: u64,
        change: &Change,
        now: Timestamp,
    ) -> Result<Option<Record>, StoreError> {
        // So that there is something resident to be changed.
        self.0.find(id).await?;
        let updated = self.0.update(id, expected_version, change, now).await?;
        self.check(id, updated.as_ref());
        Ok(updated)
    }

    async fn revoke(&self, filter: &Filter, mark: &Revocation) -> Result<Vec<TokenId>, StoreError> {
        let ids = self.0.revoke(filter, mark).await?;
        for id in &ids {
            assert!(resident(&self.0, id).is_none_or(|facts| facts.revoked_for.is_some()));
        }
        Ok(ids)
    }

    async fn touch(&self, uses: &[Use]) -> Result<(), StoreError> {
        for noted in uses {
            self.0.find(&noted.id).await?;
        }
        self.0.touch(uses).await?;
        for Use { id, last_use } in uses {
            if let Some(facts) = resident(&self.0, id).filter(|facts| facts.revoked_for.is_none()) {
                assert!(facts.last_used_at >= Some(last_use.at));
            }
        }
        Ok(())
    }

    async fn purge(&self, purge: &Purge) -> Result<u64, StoreError> {
        self.0.purge(purge).await
    }

    fn resident(&self, id: &TokenId, look: &mut dyn FnMut(&Facts)) {
        self.0.resident(id, look);
    }

    fn attach(&self, catalog: &ScopeCatalog) {
        self.0.attach(catalog);
    }
}
