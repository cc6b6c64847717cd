//! Notices that something was committed to the file.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use rusqlite::Connection;

use super::error::StepError;
use super::options::SqliteOptions;
use crate::store::{Changes, Notice, StoreError};

/// Tells of every commit by any other connection, this process's or another's, as a gap: which
/// records it changed is not known.
///
/// SQLite counts such commits for each connection (`PRAGMA data_version`). Asking for the count
/// takes microseconds, waits for nobody, and is done on the calling thread.
pub(super) struct Watch {
    options: SqliteOptions,
    path: PathBuf,
    seen: Option<(Connection, i64)>,
    quiet: u32,
}

/// How long to wait before asking again.
const PAUSE: Duration = Duration::from_millis(100);
/// After how many pauses without a commit it is told that there was none.
const QUIET: u32 = 5;

impl Watch {
    pub(super) fn new(options: SqliteOptions, path: PathBuf) -> Self {
        Self { options, path, seen: None, quiet: 0 }
    }

    /// Whether anything may have been committed since the last time.
    fn look(&mut self) -> Result<bool, StepError> {
        let Some((connection, version)) = &mut self.seen else {
            let connection = self.options.connect_to_watch(&self.path)?;
            let version = version(&connection)?;
            self.seen = Some((connection, version));
            return Ok(true);
        };
        let before = std::mem::replace(version, self::version(connection)?);
        Ok(before != *version)
    }
}

fn version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.query_row("PRAGMA data_version", [], |row| row.get(0))
}

#[async_trait]
impl Changes for Watch {
    async fn next(&mut self) -> Result<Notice, StoreError> {
        loop {
            // Nothing is awaited between looking and telling, so a dropped future loses nothing.
            match self.look() {
                Ok(true) => {
                    self.quiet = 0;
                    return Ok(Notice::Gap);
                }
                Ok(false) if self.quiet >= QUIET => {
                    self.quiet = 0;
                    return Ok(Notice::Alive);
                }
                Ok(false) => self.quiet += 1,
                Err(error) => {
                    self.seen = None;
                    return Err(error.into());
                }
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch").finish_non_exhaustive()
    }
}
