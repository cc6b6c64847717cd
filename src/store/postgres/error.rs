//! From the driver's errors to the store's.

use std::fmt;

use deadpool_postgres::PoolError;
use tokio_postgres::error::SqlState;

use crate::store::{Conflict, StoreError};

/// Why a step failed, before it leaves this module.
#[derive(Debug)]
pub(super) enum StepError {
    Driver(tokio_postgres::Error),
    Store(StoreError),
    /// What the step found does not hold any more; it is to be taken again.
    Overtaken,
    TimedOut,
}

impl StepError {
    pub(super) fn code(&self) -> Option<&SqlState> {
        match self {
            Self::Driver(error) => error.code(),
            _ => None,
        }
    }

    /// Whether the step certainly left no trace and may succeed if it is taken again.
    pub(super) fn is_worth_repeating(&self) -> bool {
        if matches!(self, Self::Overtaken) {
            return true;
        }
        self.code().is_some_and(|code| {
            *code == SqlState::T_R_SERIALIZATION_FAILURE || *code == SqlState::T_R_DEADLOCK_DETECTED
        })
    }
}

impl From<tokio_postgres::Error> for StepError {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Driver(error)
    }
}

impl From<PoolError> for StepError {
    fn from(error: PoolError) -> Self {
        match error {
            PoolError::Backend(error) => Self::Driver(error),
            other => Self::Store(StoreError::unavailable(other)),
        }
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
            StepError::Overtaken => Self::unavailable("other steps were always faster"),
            StepError::TimedOut => Self::unavailable("the database did not answer in time"),
            StepError::Driver(error) => match error.as_db_error().map(Refusal::from) {
                Some(refusal) if refusal.is_about_schema() => Self::Schema(refusal.to_string()),
                Some(refusal) => Self::unavailable(refusal),
                None => Self::unavailable(error),
            },
        }
    }
}

/// What the server said. Its details are left out, since they may quote a row.
#[derive(Debug)]
struct Refusal {
    code: SqlState,
    message: String,
}

impl Refusal {
    fn is_about_schema(&self) -> bool {
        self.code == SqlState::UNDEFINED_TABLE || self.code == SqlState::UNDEFINED_COLUMN
    }
}

impl From<&tokio_postgres::error::DbError> for Refusal {
    fn from(error: &tokio_postgres::error::DbError) -> Self {
        Self { code: error.code().clone(), message: error.message().to_owned() }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (SQLSTATE {})", self.message, self.code.code())
    }
}

impl std::error::Error for Refusal {}
