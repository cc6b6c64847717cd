//! A record as a row.

use tokio_postgres::Row;
use tokio_postgres::types::FromSql;

use super::value::Value;
use crate::clock::Timestamp;
use crate::store::StoreError;
use crate::store::columns::{self, WRITTEN, written_columns};
use crate::token::{Record, TokenId};

/// The beginning of a statement that writes a record: `changed` is what it wrote.
pub(super) fn insert(tokens: &str, uses: &str) -> String {
    let columns = written_columns!().split(", ");
    let places = (1..=WRITTEN).map(|place| format!("${place}"));
    let (used, kept): (Vec<_>, Vec<_>) =
        columns.zip(places).partition(|(column, _)| column.starts_with("last_used_"));
    let (kept, places): (Vec<&str>, Vec<String>) = kept.into_iter().unzip();
    let (used, used_places): (Vec<&str>, Vec<String>) = used.into_iter().unzip();
    format!(
        "WITH changed AS (INSERT INTO {tokens} ({}) VALUES ({}) RETURNING id, version, revoked_at), \
         used AS (INSERT INTO {uses} (token, {}, closed) \
                  SELECT id, {}, revoked_at IS NOT NULL FROM changed) ",
        kept.join(", "),
        places.join(", "),
        used.join(", "),
        used_places.join(", "),
    )
}

/// What [`insert`] binds, in order.
pub(super) fn values(record: &Record) -> Vec<Value> {
    columns::values(record).into_iter().map(Value::from).collect()
}

/// Reads a row of the columns of a record.
pub(super) fn record(row: &Row) -> Result<Record, StoreError> {
    columns::record(&mut Fields { row, next: 0 }, None)
}

/// Reads rows of the columns of a record.
pub(super) fn records(rows: &[Row]) -> Result<Vec<Record>, StoreError> {
    let mut seen = None;
    let read = |row| columns::record(&mut Fields { row, next: 0 }, Some(&mut seen));
    rows.iter().map(read).collect()
}

/// Reads the id in a row's first column.
pub(super) fn id(row: &Row) -> Result<TokenId, StoreError> {
    columns::Fields::parsed(&mut Fields { row, next: 0 })
}

struct Fields<'row> {
    row: &'row Row,
    next: usize,
}

impl<'row> Fields<'row> {
    fn value<T: FromSql<'row>>(&mut self) -> Result<Option<T>, StoreError> {
        let value = self.row.try_get(self.next);
        self.next += 1;
        value.map_err(|_| columns::Fields::corrupt(self))
    }
}

impl<'row> columns::Fields<'row> for Fields<'row> {
    type Error = StoreError;

    fn text(&mut self) -> Result<Option<&'row str>, StoreError> {
        self.value()
    }

    /// Kept as bytes, since text here cannot hold U+0000.
    fn free(&mut self) -> Result<Option<&'row str>, StoreError> {
        let bytes: Option<&[u8]> = self.value()?;
        bytes.map(|bytes| str::from_utf8(bytes).map_err(|_| self.corrupt())).transpose()
    }

    fn instant(&mut self) -> Result<Option<Timestamp>, StoreError> {
        let micros: Option<i64> = self.value()?;
        let read = |micros| Timestamp::from_micros(micros).ok_or_else(|| self.corrupt());
        micros.map(read).transpose()
    }

    fn number<T: TryFrom<i64>>(&mut self) -> Result<T, StoreError> {
        let number: Option<i64> = self.value()?;
        number.and_then(|number| T::try_from(number).ok()).ok_or_else(|| self.corrupt())
    }

    fn hash(&mut self) -> Result<Option<[u8; 16]>, StoreError> {
        let bytes: Option<&[u8]> = self.value()?;
        bytes.map(|bytes| bytes.try_into().map_err(|_| self.corrupt())).transpose()
    }

    fn skip(&mut self, columns: usize) -> Result<(), StoreError> {
        self.next += columns;
        Ok(())
    }

    fn corrupt(&self) -> StoreError {
        let id = self.row.try_get::<_, String>(0).unwrap_or_default();
        columns::corrupt(id, self.next.saturating_sub(1))
    }
}
