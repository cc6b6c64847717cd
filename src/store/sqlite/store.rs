//! The store itself: its connections, and which thread a step runs on.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};

use async_trait::async_trait;
use rusqlite::{Connection, Transaction, TransactionBehavior};

use super::error::StepError;
use super::options::SqliteOptions;
use super::steps::{Listing, RECORDS, TOKENS};
#[cfg(feature = "tokio")]
use super::watch::Watch;
use super::{schema, steps};
use crate::clock::Timestamp;
use crate::scope::ScopeCatalog;
use crate::store::gate::Gate;
use crate::store::{
    Admission, Change, Changes, Facts, Filter, PageRequest, Purge, Reach, StoreError, TokenStore,
    Use,
};
use crate::token::{Record, Revocation, Token, TokenId};

/// Tokens in one SQLite file.
///
/// It meets the whole [`TokenStore`] contract, also where several stores or processes on one
/// machine have the file open at once. An acknowledged change is on disk: the file is in WAL mode
/// with `synchronous=FULL`. Copies share the same connections.
///
/// Reading never waits for a writer and runs on the calling thread. Writing runs there too, unless
/// feature `tokio` is on and a Tokio runtime is running: then on one of its blocking threads.
///
/// ```
/// use hallpass::SqliteStore;
///
/// let directory = tempfile::tempdir()?;
/// let store = SqliteStore::open(directory.path().join("tokens.sqlite"))?;
///
/// let notes = directory.path().join("notes.txt");
/// std::fs::write(&notes, "not a database, but long enough to be looked at as if it were one")?;
/// assert!(SqliteStore::open(&notes).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct SqliteStore(Arc<Connections>);

struct Connections {
    writer: Mutex<Connection>,
    /// None where the database is in memory: then only the writer sees it.
    readers: Vec<Mutex<Connection>>,
    /// Whose turn it is to be waited for when every reader is in use.
    turn: AtomicUsize,
    gate: Gate,
    /// Where the file is, unless the database is in memory, and how it was opened.
    #[cfg_attr(not(feature = "tokio"), expect(dead_code, reason = "watching needs a timer"))]
    file: Option<(SqliteOptions, PathBuf)>,
}

impl SqliteStore {
    /// Opens a file, which is created if it is missing, and brings its schema up to date; see
    /// [`SqliteOptions::open`].
    ///
    /// # Errors
    /// [`StoreError::Schema`] if the file is not a database of this version or an earlier one,
    /// [`StoreError::Unavailable`] if it cannot be opened.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        SqliteOptions::new().open(path)
    }

    /// Opens a database in memory that nobody else sees and that ends with the store.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if SQLite cannot make one.
    pub fn open_in_memory() -> Result<Self, StoreError> {
        SqliteOptions::new().open_in_memory()
    }

    /// Every migration as one SQL script, which makes of an empty file what
    /// [`open`](Self::open) makes of it: for whoever looks after the database.
    #[must_use]
    pub fn schema_sql() -> String {
        schema::sql()
    }

    pub(super) fn new(
        writer: Connection,
        readers: Vec<Connection>,
        file: Option<(SqliteOptions, PathBuf)>,
        gate: Gate,
    ) -> Self {
        let readers = readers.into_iter().map(Mutex::new).collect();
        let turn = AtomicUsize::new(0);
        Self(Arc::new(Connections { writer: Mutex::new(writer), readers, turn, gate, file }))
    }

    async fn write<T: Send + 'static>(
        &self,
        step: impl FnOnce(&Connection) -> Result<T, StepError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let pass = self.0.gate.enter()?;
        let connections = self.0.clone();
        let work = move || {
            let _pass = pass;
            connections.write(step)
        };
        may_block(work).await
    }

    async fn page<T: Send + 'static>(
        &self,
        listing: &'static Listing<T>,
        (filter, now): (&Filter, Timestamp),
        page: &PageRequest,
    ) -> Result<Vec<T>, StoreError> {
        if matches!(filter.reach, Reach::Owner(..) | Reach::Family(_)) {
            return self.0.read(|connection| steps::list(connection, listing, (filter, now), page));
        }
        let pass = self.0.gate.enter()?;
        // A search through everything takes longer than a hop to another thread.
        let (connections, filter, page) = (self.0.clone(), filter.clone(), page.clone());
        let list =
            move |connection: &Connection| steps::list(connection, listing, (&filter, now), &page);
        let work = move || {
            let _pass = pass;
            connections.read(list)
        };
        may_block(work).await
    }
}

impl Connections {
    /// Runs a step as one transaction. It holds the file's write lock from its beginning, and
    /// ends without a trace if the step fails.
    fn write<T>(
        &self,
        step: impl FnOnce(&Connection) -> Result<T, StepError>,
    ) -> Result<T, StoreError> {
        let run = || {
            let writer = lock(&self.writer);
            let transaction = Transaction::new_unchecked(&writer, TransactionBehavior::Immediate)?;
            let done = step(&transaction)?;
            transaction.commit()?;
            Ok::<_, StepError>(done)
        };
        Ok(run()?)
    }

    fn read<T>(
        &self,
        step: impl FnOnce(&Connection) -> Result<T, StepError>,
    ) -> Result<T, StoreError> {
        Ok(step(&self.reader())?)
    }

    /// A reader nobody uses, or else the next one that is free.
    fn reader(&self) -> MutexGuard<'_, Connection> {
        for reader in &self.readers {
            match reader.try_lock() {
                Ok(reader) => return reader,
                Err(TryLockError::Poisoned(poisoned)) => return poisoned.into_inner(),
                Err(TryLockError::WouldBlock) => {}
            }
        }
        let turn = self.turn.fetch_add(1, Ordering::Relaxed) % self.readers.len().max(1);
        lock(self.readers.get(turn).unwrap_or(&self.writer))
    }
}

/// A step that panics leaves its connection usable: dropping the transaction rolls it back.
fn lock(connection: &Mutex<Connection>) -> MutexGuard<'_, Connection> {
    connection.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs what may wait for a disk or a lock where that holds up no task.
#[cfg(feature = "tokio")]
async fn may_block<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    match tokio::runtime::Handle::try_current() {
        Ok(runtime) => runtime.spawn_blocking(work).await.unwrap_or_else(|stopped| {
            // The runtime is shutting down, or the step panicked.
            Err(StoreError::unavailable(stopped))
        }),
        Err(_) => work(),
    }
}

#[cfg(not(feature = "tokio"))]
async fn may_block<T>(work: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
    work()
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl TokenStore for SqliteStore {
    async fn insert(&self, record: &Record, admission: &Admission) -> Result<(), StoreError> {
        let (record, admission) = (record.clone(), *admission);
        self.write(move |connection| steps::insert(connection, &record, &admission)).await
    }

    async fn find(&self, id: &TokenId) -> Result<Option<Record>, StoreError> {
        self.0.read(|connection| steps::find(connection, id))
    }

    async fn list(
        &self,
        filter: &Filter,
        page: &PageRequest,
        now: Timestamp,
    ) -> Result<Vec<Record>, StoreError> {
        self.page(&RECORDS, (filter, now), page).await
    }

    async fn list_tokens(
        &self,
        filter: &Filter,
        page: &PageRequest,
        now: Timestamp,
    ) -> Result<Vec<Token>, StoreError> {
        self.page(&TOKENS, (filter, now), page).await
    }

    async fn update(
        &self,
        id: &TokenId,
        expected_version: u64,
        change: &Change,
        now: Timestamp,
    ) -> Result<Option<Record>, StoreError> {
        let (id, change) = (*id, change.clone());
        self.write(move |connection| steps::update(connection, &id, expected_version, &change, now))
            .await
    }

    async fn revoke(&self, filter: &Filter, mark: &Revocation) -> Result<Vec<TokenId>, StoreError> {
        let (filter, mark) = (filter.clone(), mark.clone());
        self.write(move |connection| steps::revoke(connection, &filter, &mark)).await
    }

    async fn touch(&self, uses: &[Use]) -> Result<(), StoreError> {
        if uses.is_empty() {
            return Ok(());
        }
        let uses = uses.to_vec();
        self.write(move |connection| steps::touch(connection, &uses)).await
    }

    async fn purge(&self, purge: &Purge) -> Result<u64, StoreError> {
        let purge = *purge;
        self.write(move |connection| steps::purge(connection, &purge)).await
    }

    fn resident(&self, _id: &TokenId, _look: &mut dyn FnMut(&Facts)) {}

    /// With feature `tokio`, every commit to the file, whoever makes it, is told as a
    /// [`Notice::Gap`](crate::store::Notice::Gap) within a tenth of a second. A database in memory
    /// has no channel.
    #[cfg(feature = "tokio")]
    async fn changes(&self) -> Result<Option<Box<dyn Changes>>, StoreError> {
        let Some((options, path)) = &self.0.file else {
            return Ok(None);
        };
        Ok(Some(Box::new(Watch::new(options.clone(), path.clone()))))
    }

    #[cfg(not(feature = "tokio"))]
    async fn changes(&self) -> Result<Option<Box<dyn Changes>>, StoreError> {
        Ok(None)
    }

    async fn generation(&self) -> Result<Vec<u64>, StoreError> {
        self.0.read(steps::generation).map(|counted| vec![counted])
    }

    fn attach(&self, _catalog: &ScopeCatalog) {}
}

impl fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteStore")
            .field("readers", &self.0.readers.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;
    use crate::scope::ScopeList;
    use crate::store::Conflict;
    use crate::token::{
        Brand, Brands, Kind, OsEntropy, Owner, PepperRing, PlainToken, Token, TokenText,
    };

    /// Runs a step of a store outside of any runtime, where it never waits.
    fn run<T>(step: impl Future<Output = T>) -> T {
        match pin!(step).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(value) => value,
            Poll::Pending => panic!("waited"),
        }
    }

    fn now() -> Timestamp {
        Timestamp::from_micros(1_000_000).unwrap()
    }

    fn anything() -> Admission {
        Admission { now: now(), quota: None, unique_name: false }
    }

    /// A new token's text and its record.
    fn issued(ring: &PepperRing) -> (PlainToken, Record) {
        let brand: Brand = "acme".parse().unwrap();
        let (plain, id) = PlainToken::generate(&brand, Kind::Personal, &OsEntropy).unwrap();
        let brands = Brands::new(brand);
        let text = TokenText::parse(plain.expose(), &brands).unwrap();
        let (owner, name) = (Owner::parse("u1").unwrap(), "ci".parse().unwrap());
        let token = Token::new(id, Kind::Personal, owner, name, ScopeList::default(), now());
        let record = Record::new(token, ring.digest(&text));
        (plain, record)
    }

    #[test]
    fn no_secret_is_in_the_files() {
        let directory = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(directory.path().join("tokens")).unwrap();
        let ring = PepperRing::none();
        let mut secrets = Vec::new();
        for _ in 0..10 {
            let (plain, record) = issued(&ring);
            let (next, rotated) = issued(&ring);
            run(store.insert(&record, &anything())).unwrap();
            let change = Change {
                digest: Some(rotated.digest),
                superseded: Some(Some(record.digest)),
                ..Change::default()
            };
            run(store.update(&record.token.id, 1, &change, now())).unwrap();
            secrets.extend([plain, next]);
        }
        let mut bytes = Vec::new();
        for entry in fs::read_dir(directory.path()).unwrap() {
            bytes.extend(fs::read(entry.unwrap().path()).unwrap());
        }
        let holds = |part: &[u8]| bytes.windows(part.len()).any(|window| window == part);
        assert!(holds(b"v1$0$"));
        for secret in &secrets {
            let (_, tail) = secret.expose().rsplit_once('_').unwrap();
            for part in tail.as_bytes().windows(8).step_by(4) {
                assert!(!holds(part));
            }
        }
    }

    #[test]
    fn a_full_disk_is_an_outage_for_writers_only() {
        let store = SqliteStore::open_in_memory().unwrap();
        let (_, first) = issued(&PepperRing::none());
        run(store.insert(&first, &anything())).unwrap();
        lock(&store.0.writer).pragma_update(None, "max_page_count", 1).unwrap();
        let (error, stored) = (0..)
            .find_map(|count| {
                let (_, record) = issued(&PepperRing::none());
                run(store.insert(&record, &anything())).err().map(|error| (error, count))
            })
            .unwrap();
        assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
        assert_eq!(run(store.find(&first.token.id)).unwrap().as_ref(), Some(&first));
        let mark = Revocation {
            at: now(),
            by: crate::token::Actor::System,
            reason: crate::token::RevocationReason::Requested,
        };
        let everything = Filter::new(Reach::All);
        let error = run(store.revoke(&everything, &mark)).unwrap_err();
        assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
        // Once there is room again, nothing of what was refused is found.
        lock(&store.0.writer).pragma_update(None, "max_page_count", 1_000_000).unwrap();
        assert_eq!(run(store.revoke(&everything, &mark)).unwrap().len(), stored + 1);
    }

    #[test]
    fn a_step_that_panics_leaves_no_trace() {
        let store = SqliteStore::open_in_memory().unwrap();
        let (_, record) = issued(&PepperRing::none());
        let broken = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            store.0.write::<()>(|connection| {
                steps::insert(connection, &record, &anything())?;
                panic!("in the middle of a step");
            })
        }));
        assert!(broken.is_err());
        assert_eq!(run(store.find(&record.token.id)).unwrap(), None);
        run(store.insert(&record, &anything())).unwrap();
        let again = run(store.insert(&record, &anything())).unwrap_err();
        assert!(matches!(again, StoreError::Conflict(Conflict::IdTaken)), "{again:?}");
    }

    #[test]
    fn a_store_can_be_shared_and_shows_nothing() {
        fn shared<T: Clone + Send + Sync + 'static>(_: &T) {}
        let store = SqliteStore::open_in_memory().unwrap();
        shared(&store);
        assert_eq!(format!("{store:?}"), "SqliteStore { readers: 0, .. }");
    }
}
