//! How a file is opened.

use std::path::Path;
use std::thread;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior};

use super::error::StepError;
use super::schema;
use super::store::SqliteStore;
use crate::store::StoreError;
use crate::store::gate::Gate;

/// How a [`SqliteStore`] opens its file.
///
/// ```
/// use std::time::Duration;
/// use hallpass::store::SqliteOptions;
///
/// let directory = tempfile::tempdir()?;
/// let store = SqliteOptions::new()
///     .with_busy_timeout(Duration::from_secs(2))
///     .open(directory.path().join("tokens.sqlite"))?;
///
/// let missing = directory.path().join("missing").join("tokens.sqlite");
/// assert!(SqliteOptions::new().open(missing).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct SqliteOptions {
    busy_timeout: Duration,
    max_steps: usize,
    readers: usize,
    read_only: bool,
    migrates: bool,
}

/// How many prepared statements a connection keeps.
const STATEMENTS: usize = 64;
/// How many KiB of pages a connection keeps, as SQLite's `cache_size` is told.
const CACHE_KIB: i64 = -8_192;
/// How long to wait before the file's journal is switched over once more.
const SWITCH_PAUSE: Duration = Duration::from_millis(5);

impl Default for SqliteOptions {
    fn default() -> Self {
        Self::new()
    }
}

impl SqliteOptions {
    /// Most connections for reading.
    pub const MAX_READERS: usize = 64;

    /// Waits up to 5 seconds for other writers, and has a connection for reading for each
    /// processor, at most 16.
    pub fn new() -> Self {
        let readers = thread::available_parallelism().map_or(1, usize::from).min(16);
        Self {
            busy_timeout: Duration::from_secs(5),
            max_steps: Gate::MOST / 16,
            readers,
            read_only: false,
            migrates: true,
        }
    }

    /// How long a step waits for a writer of another store or process before it fails with
    /// [`StoreError::Unavailable`].
    pub fn with_busy_timeout(self, busy_timeout: Duration) -> Self {
        Self { busy_timeout, ..self }
    }

    /// Most writes and searches that are under way at a time, those included that wait for the
    /// disk or each other; at least 1, and 256 unless told otherwise. Further ones fail at once with
    /// [`StoreError::Unavailable`].
    pub fn with_max_steps(self, steps: usize) -> Self {
        Self { max_steps: steps.max(1), ..self }
    }

    /// How many connections there are for reading, from 1 to 64; other numbers become the nearest.
    /// A read that finds all of them in use waits for one.
    pub fn with_readers(self, readers: usize) -> Self {
        Self { readers: readers.clamp(1, Self::MAX_READERS), ..self }
    }

    /// Opens the file for reading only: nothing is created or migrated, and every step that
    /// changes something fails with [`StoreError::Unavailable`].
    pub fn read_only(self) -> Self {
        Self { read_only: true, ..self }
    }

    /// Creates and changes no tables: opening a file fails with [`StoreError::Schema`] unless they
    /// are those of this version. Write-ahead logging is turned on all the same.
    pub fn without_migrations(self) -> Self {
        Self { migrates: false, ..self }
    }

    /// Opens a file, which is created if it is missing, and brings its schema up to date. The
    /// directory must exist. A file that the operating system lets nobody write is opened for
    /// reading only.
    ///
    /// This blocks: call it before the server starts, or on a thread that may block.
    ///
    /// # Errors
    /// [`StoreError::Schema`] if the file is no SQLite database, not one of hallpass, or of a later
    /// version; [`StoreError::Unavailable`] if it cannot be opened, or lies where write-ahead
    /// logging does not work, as on network file systems.
    pub fn open(&self, path: impl AsRef<Path>) -> Result<SqliteStore, StoreError> {
        let path = path.as_ref();
        if path.as_os_str().is_empty() {
            return Err(StoreError::unavailable("the database has no path"));
        }
        if path.as_os_str() == ":memory:" {
            return self.open_in_memory();
        }
        let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        if directory.is_some_and(|directory| !directory.is_dir()) {
            return Err(StoreError::unavailable("the directory of the database does not exist"));
        }
        Ok(self.open_file(path)?)
    }

    /// Opens a database in memory that nobody else sees and that ends with the store.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if SQLite cannot make one.
    pub fn open_in_memory(&self) -> Result<SqliteStore, StoreError> {
        let open = || {
            let mut connection = Connection::open_in_memory()?;
            self.prepare(&mut connection)?;
            schema::migrate(&mut connection)?;
            Ok::<_, StepError>(SqliteStore::new(
                connection,
                Vec::new(),
                None,
                Gate::new(self.max_steps),
            ))
        };
        Ok(open()?)
    }

    fn open_file(&self, path: &Path) -> Result<SqliteStore, StepError> {
        let access = if self.read_only {
            OpenFlags::SQLITE_OPEN_READ_ONLY
        } else if self.migrates {
            OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE
        } else {
            OpenFlags::SQLITE_OPEN_READ_WRITE
        };
        let mut writer = self.connect(path, access)?;
        // Not a bit of another application's file is changed.
        if self.read_only || writer.is_readonly("main")? {
            schema::check_current(&writer)?;
        } else if self.migrates {
            schema::check_file(&writer)?;
            self.switch_to_wal(&writer)?;
            schema::migrate(&mut writer)?;
        } else {
            schema::check_current(&writer)?;
            self.switch_to_wal(&writer)?;
        }
        let access = access & !OpenFlags::SQLITE_OPEN_CREATE;
        let readers: Result<Vec<Connection>, StepError> = (0..self.readers)
            .map(|_| {
                let reader = self.connect(path, access)?;
                reader.pragma_update(None, "query_only", true)?;
                Ok(reader)
            })
            .collect();
        // A path that is relative must mean the same file later on.
        let path = std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
        Ok(SqliteStore::new(
            writer,
            readers?,
            Some((self.clone(), path)),
            Gate::new(self.max_steps),
        ))
    }

    fn connect(&self, path: &Path, access: OpenFlags) -> Result<Connection, StepError> {
        // Without `SQLITE_OPEN_URI`, a path is a path, whatever it starts with.
        let mut connection =
            Connection::open_with_flags(path, access | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
        self.prepare(&mut connection)?;
        Ok(connection)
    }

    /// A connection that sees what is committed to a file, and changes nothing.
    #[cfg(feature = "tokio")]
    pub(super) fn connect_to_watch(&self, path: &Path) -> Result<Connection, StepError> {
        let mut access = OpenFlags::SQLITE_OPEN_READ_WRITE;
        if self.read_only {
            access = OpenFlags::SQLITE_OPEN_READ_ONLY;
        }
        let watch = self.connect(path, access)?;
        watch.pragma_update(None, "query_only", true)?;
        Ok(watch)
    }

    fn prepare(&self, connection: &mut Connection) -> Result<(), StepError> {
        connection.busy_timeout(self.busy_timeout)?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS);
        connection.set_transaction_behavior(TransactionBehavior::Immediate);
        // Otherwise every bound limit has its statement parsed anew.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "cache_size", CACHE_KIB)?;
        // The file is not trusted: functions in its schema get no say.
        connection.pragma_update(None, "trusted_schema", false)?;
        Ok(())
    }

    /// Turns write-ahead logging on. SQLite does not wait where two connections do so at once, so
    /// waiting is done here.
    fn switch_to_wal(&self, connection: &Connection) -> Result<(), StepError> {
        let mut waited = Duration::ZERO;
        let mode: String = loop {
            match connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0)) {
                Err(error)
                    if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy)
                        && waited < self.busy_timeout =>
                {
                    thread::sleep(SWITCH_PAUSE);
                    waited += SWITCH_PAUSE;
                }
                mode => break mode?,
            }
        };
        if mode == "wal" {
            return Ok(());
        }
        Err(StoreError::unavailable("write-ahead logging does not work for this file").into())
    }
}
