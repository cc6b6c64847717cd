//! A store that notices that its database was replaced by an older one.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use super::change::{Admission, Change, Purge, Use};
use super::changes::Changes;
use super::contract::TokenStore;
use super::error::StoreError;
use super::facts::Facts;
use super::filter::{Filter, PageRequest};
use crate::clock::Timestamp;
use crate::scope::ScopeCatalog;
use crate::token::{Record, Revocation, Token, TokenId};

/// Refuses every token after the database was restored from a backup, until somebody has dealt
/// with it: in the backup, tokens that were revoked since are live again.
///
/// It keeps the highest counts of revocations it ever saw ([`generation`](TokenStore::generation))
/// in a small file outside of the database. Each node has a file of its own; keep it on a disk that
/// is not restored together with the database. A count that is smaller than the file's means that
/// revocations were lost, and so do more or fewer counts: that is another database. It is looked at when the guard is opened, after every revocation, in every round of
/// [`maintain`](crate::Hallpass::maintain), and by [`check`](Self::check).
///
/// From then on, also over restarts, tokens cannot be verified, issued or changed: each attempt is
/// [`StoreError::Unavailable`], an outage and not a denial. Lists and
/// [`revoke_matching`](crate::Hallpass::revoke_matching) go on; what looks at one token first does
/// not, revoking it by its id or text included. Revoke again what was revoked since the backup, or
/// everything, then call [`accept`](Self::accept).
///
/// It stands outside of a [cache](crate::store), not behind it. Of several nodes all must have one:
/// what an unguarded node revokes before the others look again makes up for what was lost.
///
/// ```
/// # #[cfg(feature = "sqlite")]
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use hallpass::{RestoreGuard, SqliteStore, StoreError};
///
/// let directory = tempfile::tempdir()?;
/// let store = SqliteStore::open(directory.path().join("tokens.sqlite"))?;
/// let guard = RestoreGuard::open(store, directory.path().join("generation")).await?;
/// assert!(!guard.is_behind());
///
/// // A store in memory starts anew with each process, so there is nothing to guard.
/// let memory = hallpass::MemoryStore::new();
/// let refused = RestoreGuard::open(memory, directory.path().join("other")).await;
/// assert!(matches!(refused, Err(StoreError::Schema(_))));
/// # Ok(()) }
/// # #[cfg(not(feature = "sqlite"))]
/// # fn main() {}
/// ```
#[derive(Debug)]
pub struct RestoreGuard<S> {
    inner: S,
    file: PathBuf,
    seen: Mutex<Seen>,
    /// The same as in `seen`, to be read without waiting.
    behind: AtomicBool,
}

/// What was seen, as the file has it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Seen {
    generation: Vec<u64>,
    behind: bool,
}

impl<S: TokenStore> RestoreGuard<S> {
    /// Guards a store. A file that is missing is made: then the store is taken as it is.
    ///
    /// # Errors
    /// [`StoreError::Schema`] if the store has no generation; [`StoreError::Unavailable`] if the
    /// store cannot be asked, or the file not be read or written. A database that is behind is no
    /// error here: see [`is_behind`](Self::is_behind).
    pub async fn open(store: S, file: impl Into<PathBuf>) -> Result<Self, StoreError> {
        let file = file.into();
        let seen = match fs::read_to_string(&file) {
            Ok(text) => Seen::read(&text).ok_or_else(|| unreadable(&file))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let seen = Seen { generation: generation(&store).await?, behind: false };
                seen.write(&file).map_err(StoreError::unavailable)?;
                seen
            }
            Err(error) => return Err(StoreError::unavailable(error)),
        };
        let guard = Self {
            inner: store,
            file,
            behind: AtomicBool::new(seen.behind),
            seen: Mutex::new(seen),
        };
        guard.check().await?;
        Ok(guard)
    }

    /// Whether the database is older than it was, and tokens are refused for that.
    #[must_use]
    pub fn is_behind(&self) -> bool {
        self.behind.load(Ordering::Relaxed)
    }

    /// Looks whether the database is older than it was; the same as [`is_behind`](Self::is_behind)
    /// afterwards.
    ///
    /// # Errors
    /// [`StoreError`] if the store cannot be asked or the file not be written.
    pub async fn check(&self) -> Result<bool, StoreError> {
        // What was seen before the store is asked: others may see more while it answers.
        let before = self.seen().generation.clone();
        let counted = generation(&self.inner).await?;
        let mut seen = self.seen();
        if seen.behind {
            return Ok(true);
        }
        if seen.shows_loss(&before, &counted) {
            // It is behind whether or not that can be written.
            seen.behind = true;
            self.behind.store(true, Ordering::Relaxed);
            seen.write(&self.file).map_err(StoreError::unavailable)?;
            return Ok(true);
        }
        let highest = seen.generation.iter().zip(counted).map(|(seen, now)| now.max(*seen));
        let now = Seen { generation: highest.collect(), behind: false };
        if now != *seen {
            now.write(&self.file).map_err(StoreError::unavailable)?;
            *seen = now;
        }
        Ok(false)
    }

    /// Takes the database as it is now. Whatever was revoked since the backup and was not revoked
    /// again is live afterwards.
    ///
    /// # Errors
    /// [`StoreError`] if the store cannot be asked or the file not be written.
    pub async fn accept(&self) -> Result<(), StoreError> {
        let now = Seen { generation: generation(&self.inner).await?, behind: false };
        let mut seen = self.seen();
        now.write(&self.file).map_err(StoreError::unavailable)?;
        *seen = now;
        self.behind.store(false, Ordering::Relaxed);
        Ok(())
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn admit(&self) -> Result<(), StoreError> {
        if self.is_behind() {
            return Err(StoreError::unavailable(
                "the database forgot revocations, as a restored backup does; revoke again what was \
                 revoked since, then accept it (RestoreGuard::accept)",
            ));
        }
        Ok(())
    }
}

async fn generation(store: &impl TokenStore) -> Result<Vec<u64>, StoreError> {
    let counted = store.generation().await?;
    if counted.is_empty() {
        return Err(StoreError::Schema("the store has no generation to guard".to_owned()));
    }
    Ok(counted)
}

fn unreadable(file: &Path) -> StoreError {
    StoreError::unavailable(format!("{} holds no generation", file.display()))
}

impl Seen {
    /// Whether these counts, which came after `before` was seen, are of an older database or of
    /// another one.
    fn shows_loss(&self, before: &[u64], counted: &[u64]) -> bool {
        let mut places = counted.iter().zip(before).zip(&self.generation);
        // Where less was accepted meanwhile, the answer is from before that.
        counted.len() != self.generation.len()
            || places.any(|((counted, before), seen)| counted < before && before <= seen)
    }

    /// As `12` or `12 behind`, with commas where there are several counts.
    fn read(text: &str) -> Option<Self> {
        let text = text.strip_suffix('\n')?;
        let (numbers, behind) = match text.strip_suffix(" behind") {
            Some(numbers) => (numbers, true),
            None => (text, false),
        };
        let generation = numbers.split(',').map(|number| number.parse().ok());
        Some(Self { generation: generation.collect::<Option<_>>()?, behind })
    }

    /// Replaces the file in one step.
    fn write(&self, file: &Path) -> io::Result<()> {
        let next = file.with_extension("next");
        let mut written = File::create(&next)?;
        let counts: Vec<String> = self.generation.iter().map(u64::to_string).collect();
        let behind = if self.behind { " behind" } else { "" };
        writeln!(written, "{}{behind}", counts.join(","))?;
        written.sync_all()?;
        fs::rename(next, file)?;
        // Or a power cut could bring the older number back.
        #[cfg(unix)]
        if let Some(folder) = file.parent() {
            let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
            File::open(folder)?.sync_all()?;
        }
        Ok(())
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<S: TokenStore> TokenStore for RestoreGuard<S> {
    async fn insert(&self, record: &Record, admission: &Admission) -> Result<(), StoreError> {
        self.admit()?;
        self.inner.insert(record, admission).await
    }

    async fn find(&self, id: &TokenId) -> Result<Option<Record>, StoreError> {
        self.admit()?;
        self.inner.find(id).await
    }

    async fn list(
        &self,
        filter: &Filter,
        page: &PageRequest,
        now: Timestamp,
    ) -> Result<Vec<Record>, StoreError> {
        self.inner.list(filter, page, now).await
    }

    async fn list_tokens(
        &self,
        filter: &Filter,
        page: &PageRequest,
        now: Timestamp,
    ) -> Result<Vec<Token>, StoreError> {
        self.inner.list_tokens(filter, page, now).await
    }

    async fn update(
        &self,
        id: &TokenId,
        expected_version: u64,
        change: &Change,
        now: Timestamp,
    ) -> Result<Option<Record>, StoreError> {
        self.admit()?;
        self.inner.update(id, expected_version, change, now).await
    }

    async fn revoke(&self, filter: &Filter, mark: &Revocation) -> Result<Vec<TokenId>, StoreError> {
        let revoked = self.inner.revoke(filter, mark).await?;
        // What is not in the file could be forgotten without being missed.
        self.check().await?;
        Ok(revoked)
    }

    async fn touch(&self, uses: &[Use]) -> Result<(), StoreError> {
        self.admit()?;
        self.inner.touch(uses).await
    }

    async fn purge(&self, purge: &Purge) -> Result<u64, StoreError> {
        self.check().await?;
        self.admit()?;
        self.inner.purge(purge).await
    }

    fn resident(&self, id: &TokenId, look: &mut dyn FnMut(&Facts)) {
        if !self.is_behind() {
            self.inner.resident(id, look);
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
