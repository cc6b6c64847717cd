//! From SQLite's errors to the store's.

use rusqlite::ErrorCode;

use crate::store::{Conflict, StoreError};

/// Why a step failed, before it leaves this module.
#[derive(Debug)]
pub(super) enum StepError {
    Sqlite(rusqlite::Error),
    Store(StoreError),
}

impl From<rusqlite::Error> for StepError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

impl From<StoreError> for StepError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<Conflict> for StepError {
    fn from(conflict: Conflict) -> Self {
        Self::Store(conflict.into())
    }
}

impl From<StepError> for StoreError {
    fn from(error: StepError) -> Self {
        match error {
            StepError::Store(error) => error,
            StepError::Sqlite(error) => match error.sqlite_error_code() {
                Some(ErrorCode::NotADatabase) => {
                    Self::Schema("the file is not an SQLite database".to_owned())
                }
                _ => Self::unavailable(error),
            },
        }
    }
}
