//! A record as a row.

use rusqlite::types::{Value, ValueRef};
use rusqlite::{Row, ToSql};

use super::error::StepError;
use crate::clock::Timestamp;
use crate::store::columns::{self, SeenScopes, written_columns};
use crate::token::{Record, Token, TokenId};

/// Writes a whole row.
pub(super) const INSERT: &str = concat!(
    "INSERT INTO tokens (",
    written_columns!(),
    ") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, \
     ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
);

/// What [`INSERT`] binds, in order.
pub(super) fn values(record: &Record) -> Vec<Value> {
    columns::values(record).into_iter().map(Value::from).collect()
}

pub(super) fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

pub(super) fn instant(instant: Option<Timestamp>) -> Value {
    instant.map_or(Value::Null, |instant| Value::Integer(instant.as_micros()))
}

impl From<columns::Value> for Value {
    fn from(value: columns::Value) -> Self {
        match value {
            columns::Value::Text(text) | columns::Value::Free(text) => {
                text.map_or(Self::Null, Self::Text)
            }
            columns::Value::Instant(at) => instant(at),
            columns::Value::Number(number) => Self::Integer(number),
            columns::Value::Hash(hash) => hash.map_or(Self::Null, |hash| Self::Blob(hash.into())),
        }
    }
}

/// References to bound values.
pub(super) fn bound(values: &[Value]) -> impl Iterator<Item = &dyn ToSql> {
    values.iter().map(|value| value as &dyn ToSql)
}

/// Reads a row of the columns of a record.
pub(super) fn record(row: &Row<'_>) -> Result<Record, StepError> {
    columns::record(&mut Fields { row, next: 0 }, None)
}

/// Reads a row of the columns of a record that comes after another one.
pub(super) fn record_after(seen: &mut SeenScopes, row: &Row<'_>) -> Result<Record, StepError> {
    columns::record(&mut Fields { row, next: 0 }, Some(seen))
}

/// Reads a row of the columns of a token that comes after another one.
pub(super) fn token_after(seen: &mut SeenScopes, row: &Row<'_>) -> Result<Token, StepError> {
    columns::token(&mut Fields { row, next: 0 }, Some(seen))
}

/// Reads the id in a row's first column.
pub(super) fn id(row: &Row<'_>) -> Result<TokenId, StepError> {
    columns::Fields::parsed(&mut Fields { row, next: 0 })
}

struct Fields<'row> {
    row: &'row Row<'row>,
    next: usize,
}

impl<'row> Fields<'row> {
    fn value(&mut self) -> Result<ValueRef<'row>, StepError> {
        let value = self.row.get_ref(self.next)?;
        self.next += 1;
        Ok(value)
    }
}

impl<'row> columns::Fields<'row> for Fields<'row> {
    type Error = StepError;

    fn text(&mut self) -> Result<Option<&'row str>, StepError> {
        match self.value()? {
            ValueRef::Null => Ok(None),
            ValueRef::Text(text) => std::str::from_utf8(text).map(Some).map_err(|_| self.corrupt()),
            _ => Err(self.corrupt()),
        }
    }

    fn instant(&mut self) -> Result<Option<Timestamp>, StepError> {
        match self.value()? {
            ValueRef::Null => Ok(None),
            ValueRef::Integer(micros) => {
                Timestamp::from_micros(micros).map(Some).ok_or_else(|| self.corrupt())
            }
            _ => Err(self.corrupt()),
        }
    }

    fn number<T: TryFrom<i64>>(&mut self) -> Result<T, StepError> {
        match self.value()? {
            ValueRef::Integer(number) => T::try_from(number).map_err(|_| self.corrupt()),
            _ => Err(self.corrupt()),
        }
    }

    fn hash(&mut self) -> Result<Option<[u8; 16]>, StepError> {
        match self.value()? {
            ValueRef::Null => Ok(None),
            ValueRef::Blob(bytes) => bytes.try_into().map(Some).map_err(|_| self.corrupt()),
            _ => Err(self.corrupt()),
        }
    }

    fn skip(&mut self, columns: usize) -> Result<(), StepError> {
        self.next += columns;
        Ok(())
    }

    fn corrupt(&self) -> StepError {
        let id = match self.row.get_ref(0) {
            Ok(ValueRef::Text(id) | ValueRef::Blob(id)) => String::from_utf8_lossy(id).into_owned(),
            _ => String::new(),
        };
        columns::corrupt(id, self.next.saturating_sub(1)).into()
    }
}
