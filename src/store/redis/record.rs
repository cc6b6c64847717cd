//! A record as a list of texts.

use std::fmt::Write as _;

use super::pack::{Packed, Unpack, pack};
use crate::clock::Timestamp;
use crate::store::columns::{self, Value, written_columns};
use crate::store::{Change, StoreError};
use crate::token::{LastUse, Record, TokenId};

/// A record as it is stored: what is written of a record, in the order in which `lua/record.lua`
/// numbers it from 1, and then which step wrote it, so that a step that the driver repeats after a
/// broken connection is not done twice. What was released keeps its place: a new column goes behind
/// the step.
pub(super) fn packed(record: &Record, step: &str) -> Vec<u8> {
    let mut values: Vec<Packed> = columns::values(record).into_iter().map(Packed::from).collect();
    values.push(Packed::text(step));
    pack(&values)
}

/// The columns `last_used_at`, `last_used_ip` and `last_used_agent`.
pub(super) fn used(last_use: &LastUse) -> [Packed; 3] {
    columns::used(Some(last_use)).map(Packed::from)
}

/// The new values that a change names: column, value, column, value, and so on.
pub(super) fn changes(change: &Change) -> Vec<u8> {
    let number = |column: &str| {
        let place = written_columns!().split(", ").position(|name| name == column);
        Packed::text(place.map_or(0, |place| place + 1).to_string())
    };
    let changed = columns::changed(change);
    let values = changed.into_iter().flat_map(|(column, value)| [number(column), value.into()]);
    pack(&values.collect::<Vec<Packed>>())
}

impl From<Value> for Packed {
    fn from(value: Value) -> Self {
        match value {
            Value::Text(text) | Value::Free(text) => Self::optional(text),
            Value::Instant(at) => Self::optional(at.map(digits)),
            Value::Number(number) => Self::text(number.to_string()),
            Value::Hash(hash) => Self::optional(hash.map(|hash| hex(&hash))),
        }
    }
}

/// An instant as text that compares as the instant does.
pub(super) fn digits(instant: Timestamp) -> String {
    format!("{:018}", instant.as_micros())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing into a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn unhex(text: &str) -> Option<[u8; 16]> {
    let mut bytes = [0; 16];
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if pairs.len() != bytes.len() || !rest.is_empty() {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(pairs) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(bytes)
}

/// Reads a record as it is stored. `key` names it where its own id cannot be read.
pub(super) fn read(packed: &[u8], key: &str) -> Result<Record, StoreError> {
    columns::record(&mut Fields { packed, list: Unpack::list(packed), next: 0, key }, None)
}

/// Reads records as they are stored. `key` names those whose own id cannot be read.
pub(super) fn read_all(found: &[Vec<u8>], key: &str) -> Result<Vec<Record>, StoreError> {
    let mut seen = None;
    let mut read = |packed| {
        let list = Unpack::list(packed);
        columns::record(&mut Fields { packed, list, next: 0, key }, Some(&mut seen))
    };
    found.iter().map(|packed| read(packed)).collect()
}

struct Fields<'a> {
    packed: &'a [u8],
    list: Option<Unpack<'a>>,
    next: usize,
    key: &'a str,
}

impl<'a> columns::Fields<'a> for Fields<'a> {
    type Error = StoreError;

    fn text(&mut self) -> Result<Option<&'a str>, StoreError> {
        self.next += 1;
        let value = self.list.as_mut().and_then(Unpack::next).ok_or_else(|| self.corrupt())?;
        let text = value.map(std::str::from_utf8).transpose();
        text.map_err(|_| self.corrupt())
    }

    fn instant(&mut self) -> Result<Option<Timestamp>, StoreError> {
        self.maybe(|text| Timestamp::from_micros(text.parse().ok()?))
    }

    fn number<T: TryFrom<i64>>(&mut self) -> Result<T, StoreError> {
        self.required(|text| T::try_from(text.parse().ok()?).ok())
    }

    fn hash(&mut self) -> Result<Option<[u8; 16]>, StoreError> {
        self.maybe(unhex)
    }

    fn skip(&mut self, columns: usize) -> Result<(), StoreError> {
        for _ in 0..columns {
            self.text()?;
        }
        Ok(())
    }

    fn corrupt(&self) -> StoreError {
        let first = Unpack::list(self.packed).and_then(|mut list| list.next().flatten());
        let id = first.and_then(|id| std::str::from_utf8(id).ok()?.parse().ok());
        let id = id.map_or_else(|| self.key.to_owned(), |id: TokenId| id.to_string());
        columns::corrupt(id, self.next.saturating_sub(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scope::ScopeList;
    use crate::token::{Kind, Owner, Token, TokenDigest};

    #[test]
    fn every_column_has_the_place_that_the_scripts_know() {
        let lua = include_str!("lua/record.lua");
        let numbered =
            lua.lines().filter_map(|line| line.strip_prefix("local ")?.split_once(" = "));
        let mut known = 0;
        for (names, places) in numbered {
            for (name, place) in names.split(", ").zip(places.split(", ")) {
                let Ok(place) = place.parse::<usize>() else { continue };
                let column = match name {
                    "STEP" => continue,
                    "USED_AT" => "last_used_at",
                    "USED_IP" => "last_used_ip",
                    "USED_AGENT" => "last_used_agent",
                    "ISSUE_KEY" => "idempotency_key",
                    name => &name.to_lowercase(),
                };
                assert_eq!(written_columns!().split(", ").nth(place - 1), Some(column));
                known += 1;
            }
        }
        assert_eq!(known, 23);
        assert!(lua.contains(" STEP = 37, 38, 39\n"));
    }

    #[test]
    fn the_step_is_in_the_place_that_the_scripts_know() {
        let owner = Owner::parse("u1").unwrap();
        let (id, name) = ("ABCDEFGHIJKLMNOP".parse().unwrap(), "ci".parse().unwrap());
        let scopes = ScopeList::default();
        let token = Token::new(id, Kind::Personal, owner, name, scopes, Timestamp::MIN);
        let record = Record::new(token, TokenDigest::from_stored("2.AAAA"));
        let packed = packed(&record, "a step");
        let mut list = Unpack::list(&packed).unwrap();
        for _ in 1..39 {
            list.next().unwrap();
        }
        assert_eq!(list.next(), Some(Some(b"a step".as_slice())));
        assert_eq!(read(&packed, "").unwrap(), record);
    }
}
