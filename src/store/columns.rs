//! A record as columns: which there are, what is written into each, and how they are read. The
//! stores on databases share it; each of them adds how its database keeps a value.

use std::str::FromStr;
use std::sync::Arc;

use super::change::Change;
use super::error::StoreError;
use crate::clock::Timestamp;
use crate::scope::{Resources, ScopeList};
use crate::token::{
    IdempotencyKey, Kind, LastUse, Metadata, Networks, Notices, Record, Revocation,
    RevocationReason, Rotation, Suspension, Token, TokenDigest, TokenId, fold,
};

/// The columns that make a token, in the order in which they are written and read.
macro_rules! token_columns {
    () => {
        "id, kind, tenant, owner, name, description, scopes, resources, networks, audience, \
         created_at, created_by, not_before, expires_at, last_used_at, last_used_ip, \
         last_used_agent, rotated_at, superseded_at, grace_until, first_used_at, suspended_at, \
         suspended_by, revoked_at, revoked_by, revoked_reason, parent, client, metadata, notices, \
         notices_claimed_at, version"
    };
}
pub(super) use token_columns;

/// The columns that make a record: a token's, then the others.
macro_rules! columns {
    () => {
        concat!(
            $crate::store::columns::token_columns!(),
            ", digest, superseded, idempotency_key, idempotency_request"
        )
    };
}
pub(super) use columns;

/// The columns that are written: a record's, then those by which others are found. Redis knows them
/// by their places, so one that was released keeps its own; `redis/record.rs` tells where a new one
/// goes.
macro_rules! written_columns {
    () => {
        concat!($crate::store::columns::columns!(), ", name_key, description_key")
    };
}
pub(super) use written_columns;

/// How many columns are written.
pub(super) const WRITTEN: usize = 38;

/// What is written into a column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    /// Text that cannot hold U+0000.
    Text(Option<String>),
    /// Text that may hold any character.
    Free(Option<String>),
    Instant(Option<Timestamp>),
    Number(i64),
    Hash(Option<[u8; 16]>),
}

/// What is written of a record, in the order of [`written_columns`].
pub(super) fn values(record: &Record) -> Vec<Value> {
    let Record { token, digest, superseded, idempotency } = record;
    let revocation = token.revocation.as_ref();
    let mut values = Vec::with_capacity(WRITTEN);
    values.extend([
        text(token.id.as_str()),
        text(token.kind.as_str()),
        text(token.tenant.as_str()),
        text(token.owner.as_str()),
        text(token.name.as_str()),
        Value::Free(token.description.clone()),
        text(token.scopes.to_string()),
        json(&token.resources),
        networks(&token.networks),
        json(&token.audience),
        Value::Instant(Some(token.created_at)),
        text(token.created_by.to_string()),
        Value::Instant(token.not_before),
        Value::Instant(token.expires_at),
    ]);
    values.extend(used(token.last_use.as_ref()));
    values.extend(rotation(token.rotation));
    values.extend(suspension(token.suspension.as_ref()));
    values.extend([
        Value::Instant(revocation.map(|revocation| revocation.at)),
        Value::Text(revocation.map(|revocation| revocation.by.to_string())),
        Value::Text(revocation.map(|revocation| revocation.reason.as_str().to_owned())),
        Value::Text(token.parent.as_ref().map(TokenId::to_string)),
        Value::Free(token.client.clone()),
        text(token.metadata.as_json()),
    ]);
    values.extend(notices(token.notices));
    values.extend([
        version(token.version),
        text(digest.to_stored()),
        Value::Text(superseded.as_ref().map(TokenDigest::to_stored)),
        Value::Hash(idempotency.map(|idempotency| idempotency.key)),
        Value::Hash(idempotency.map(|idempotency| idempotency.request)),
        Value::Free(Some(token.name.key())),
        Value::Free(token.description.as_deref().map(fold)),
    ]);
    values
}

/// The new values of the columns that a change names, and of no others.
pub(super) fn changed(change: &Change) -> Vec<(&'static str, Value)> {
    let Change {
        name,
        description,
        scopes,
        resources,
        networks: places,
        expires_at,
        metadata,
        suspension: set_aside,
        digest,
        superseded,
        rotation: rotated,
        notices: given,
    } = change;
    let mut values = Vec::new();
    if let Some((name, _)) = name {
        values.push(("name", text(name.as_str())));
        values.push(("name_key", Value::Free(Some(name.key()))));
    }
    if let Some(description) = description {
        values.push(("description", Value::Free(description.clone())));
        values.push(("description_key", Value::Free(description.as_deref().map(fold))));
    }
    if let Some(scopes) = scopes {
        values.push(("scopes", text(scopes.to_string())));
    }
    if let Some(resources) = resources {
        values.push(("resources", json(resources)));
    }
    if let Some(places) = places {
        values.push(("networks", networks(places)));
    }
    if let Some(expires_at) = expires_at {
        values.push(("expires_at", Value::Instant(*expires_at)));
    }
    if let Some(metadata) = metadata {
        values.push(("metadata", text(metadata.as_json())));
    }
    if let Some(set_aside) = set_aside {
        let columns = ["suspended_at", "suspended_by"];
        values.extend(columns.into_iter().zip(suspension(set_aside.as_ref())));
    }
    if let Some(digest) = digest {
        values.push(("digest", text(digest.to_stored())));
    }
    if let Some(superseded) = superseded {
        let stored = superseded.as_ref().map(TokenDigest::to_stored);
        values.push(("superseded", Value::Text(stored)));
    }
    if let Some(rotated) = rotated {
        let columns = ["rotated_at", "superseded_at", "grace_until", "first_used_at"];
        values.extend(columns.into_iter().zip(rotation(*rotated)));
    }
    if let Some(given) = given {
        values.extend(["notices", "notices_claimed_at"].into_iter().zip(notices(*given)));
    }
    values
}

/// The columns `last_used_at`, `last_used_ip` and `last_used_agent`.
pub(super) fn used(last_use: Option<&LastUse>) -> [Value; 3] {
    [
        Value::Instant(last_use.map(|used| used.at)),
        Value::Text(last_use.and_then(|used| used.ip).map(|ip| ip.to_string())),
        Value::Free(last_use.and_then(|used| used.agent.as_deref()).map(str::to_owned)),
    ]
}

/// A version; one that no record can have becomes -1, which none has.
pub(super) fn version(version: u64) -> Value {
    Value::Number(i64::try_from(version).unwrap_or(-1))
}

fn text(text: impl Into<String>) -> Value {
    Value::Text(Some(text.into()))
}

/// Networks that admit every address, as they are stored.
const ANYWHERE: &str = "\"anywhere\"";
/// Resources that reach everything, as they are stored.
const ALL: &str = "\"all\"";
/// An empty list in JSON.
const NONE: &str = "[]";
/// An empty object in JSON.
const EMPTY: &str = "{}";

fn networks(networks: &Networks) -> Value {
    match networks {
        Networks::Anywhere => text(ANYWHERE),
        Networks::Listed(listed) => {
            json(&listed.iter().map(ToString::to_string).collect::<Vec<String>>())
        }
    }
}

fn rotation(rotation: Option<Rotation>) -> [Value; 4] {
    [
        Value::Instant(rotation.map(|rotation| rotation.rotated_at)),
        Value::Instant(rotation.map(|rotation| rotation.superseded_at)),
        Value::Instant(rotation.map(|rotation| rotation.grace_until)),
        Value::Instant(rotation.and_then(|rotation| rotation.first_used_at)),
    ]
}

fn suspension(suspension: Option<&Suspension>) -> [Value; 2] {
    [
        Value::Instant(suspension.map(|suspension| suspension.at)),
        Value::Text(suspension.map(|suspension| suspension.by.to_string())),
    ]
}

fn notices(notices: Notices) -> [Value; 2] {
    [Value::Number(notices.given.into()), Value::Instant(notices.claimed_at)]
}

/// JSON text. Lists of texts always have one; were there none, it could not be written or not be
/// read.
fn json<T: serde::Serialize + ?Sized>(value: &T) -> Value {
    Value::Text(serde_json::to_string(value).ok())
}

/// The values of a record, read one after the other.
pub(super) trait Fields<'a> {
    type Error;

    /// The next text.
    fn text(&mut self) -> Result<Option<&'a str>, Self::Error>;

    /// The next text that may hold any character.
    fn free(&mut self) -> Result<Option<&'a str>, Self::Error> {
        self.text()
    }

    fn instant(&mut self) -> Result<Option<Timestamp>, Self::Error>;

    fn number<T: TryFrom<i64>>(&mut self) -> Result<T, Self::Error>;

    fn hash(&mut self) -> Result<Option<[u8; 16]>, Self::Error>;

    /// Passes over some columns.
    fn skip(&mut self, columns: usize) -> Result<(), Self::Error>;

    /// That the column read last cannot be understood.
    fn corrupt(&self) -> Self::Error;

    /// A text that may be absent.
    fn maybe<T>(&mut self, read: impl FnOnce(&str) -> Option<T>) -> Result<Option<T>, Self::Error> {
        let Some(text) = self.text()? else {
            return Ok(None);
        };
        read(text).map(Some).ok_or_else(|| self.corrupt())
    }

    /// A text that must be there.
    fn required<T>(&mut self, read: impl FnOnce(&str) -> Option<T>) -> Result<T, Self::Error> {
        self.maybe(read)?.ok_or_else(|| self.corrupt())
    }

    fn parsed<T: FromStr>(&mut self) -> Result<T, Self::Error> {
        self.required(|text| text.parse().ok())
    }

    /// An instant that must be there.
    fn required_instant(&mut self) -> Result<Timestamp, Self::Error> {
        self.instant()?.ok_or_else(|| self.corrupt())
    }
}

/// The error for the column with this place in a record.
pub(super) fn corrupt(id: String, place: usize) -> StoreError {
    let column = columns!().split(", ").nth(place).unwrap_or("id");
    StoreError::Corrupt { id, column }
}

/// Scopes as the record before had them, and what they were read as: an owner's tokens often have
/// the same ones.
pub(super) type SeenScopes = Option<(String, ScopeList)>;

/// Reads the [`columns`] of a record, which may come after others.
#[inline]
pub(super) fn record<'a, F: Fields<'a>>(
    fields: &mut F,
    seen: Option<&mut SeenScopes>,
) -> Result<Record, F::Error> {
    let token = token(fields, seen)?;
    let digest = fields.required(|text| Some(TokenDigest::from_stored(text)))?;
    let mut record = Record::new(token, digest);
    record.superseded = fields.text()?.map(TokenDigest::from_stored);
    record.idempotency = match fields.hash()? {
        Some(key) => {
            let request = fields.hash()?.ok_or_else(|| fields.corrupt())?;
            Some(IdempotencyKey { key, request })
        }
        None => None,
    };
    Ok(record)
}

/// Reads the [`token_columns`] of a record, which may come after others.
#[inline]
pub(super) fn token<'a, F: Fields<'a>>(
    fields: &mut F,
    seen: Option<&mut SeenScopes>,
) -> Result<Token, F::Error> {
    let id: TokenId = fields.parsed()?;
    let kind = fields.required(Kind::from_text)?;
    let tenant = fields.parsed()?;
    let owner = fields.parsed()?;
    let name = fields.parsed()?;
    let description = fields.free()?;
    // Scopes that cannot be understood are none: they grant nothing, and the token can still be
    // listed and revoked.
    let scopes = fields.text().ok().flatten();
    let scopes = scopes.map(|text| read_scopes(text, seen)).unwrap_or_default();
    let resources = fields.required(read_resources)?;
    let networks = fields.required(read_networks)?;
    let audience = fields.required(read_list)?;
    let created_at = fields.required_instant()?;
    let mut token = Token::new(id, kind, owner, name, scopes, created_at);
    token.tenant = tenant;
    token.description = description.map(str::to_owned);
    token.resources = resources;
    token.networks = networks;
    token.audience = audience;
    token.created_by = fields.parsed()?;
    token.not_before = fields.instant()?;
    token.expires_at = fields.instant()?;
    let used_at = fields.instant()?;
    let ip = fields.maybe(|text| text.parse().ok())?;
    let agent = fields.free()?;
    token.last_use = used_at.map(|at| LastUse { at, ip, agent: agent.map(Into::into) });
    if let Some(rotated_at) = fields.instant()? {
        token.rotation = Some(Rotation {
            rotated_at,
            superseded_at: fields.required_instant()?,
            grace_until: fields.required_instant()?,
            first_used_at: fields.instant()?,
        });
    } else {
        fields.skip(3)?;
    }
    if let Some(at) = fields.instant()? {
        token.suspension = Some(Suspension { at, by: fields.parsed()? });
    } else {
        fields.skip(1)?;
    }
    if let Some(at) = fields.instant()? {
        let by = fields.parsed()?;
        let reason = fields.required(RevocationReason::from_text)?;
        token.revocation = Some(Revocation { at, by, reason });
    } else {
        fields.skip(2)?;
    }
    token.parent = fields.maybe(|text| text.parse().ok())?;
    token.client = fields.free()?.map(str::to_owned);
    token.metadata = fields.required(read_metadata)?;
    token.notices = Notices { given: fields.number()?, claimed_at: fields.instant()? };
    token.version = fields.number()?;
    Ok(token)
}

fn read_scopes(text: &str, seen: Option<&mut SeenScopes>) -> ScopeList {
    if let Some((before, list)) = seen.as_ref().and_then(|seen| seen.as_ref())
        && before == text
    {
        return list.clone();
    }
    let list = match text {
        "" => ScopeList::default(),
        _ => ScopeList::parse(text.split(' ')).unwrap_or_default(),
    };
    if let Some(seen) = seen {
        *seen = Some((text.to_owned(), list.clone()));
    }
    list
}

fn read_resources(text: &str) -> Option<Resources> {
    match text {
        ALL => Some(Resources::All),
        NONE => Some(Resources::none()),
        _ => serde_json::from_str(text).ok(),
    }
}

fn read_networks(text: &str) -> Option<Networks> {
    if text == ANYWHERE {
        return Some(Networks::Anywhere);
    }
    let listed = read_list(text)?;
    let listed: Option<Arc<[_]>> = listed.iter().map(|network| network.parse().ok()).collect();
    listed.map(Networks::Listed)
}

fn read_list(text: &str) -> Option<Vec<String>> {
    if text == NONE {
        return Some(Vec::new());
    }
    serde_json::from_str(text).ok()
}

fn read_metadata(text: &str) -> Option<Metadata> {
    if text == EMPTY {
        return Some(Metadata::default());
    }
    Metadata::from_stored(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token::{Actor, Owner, Tenant};

    /// Reads what is to be written as if it had been.
    struct Written<'a> {
        values: &'a [Value],
        next: usize,
    }

    impl<'a> Written<'a> {
        fn value(&mut self) -> &'a Value {
            self.next += 1;
            &self.values[self.next - 1]
        }
    }

    impl<'a> Fields<'a> for Written<'a> {
        type Error = StoreError;

        fn text(&mut self) -> Result<Option<&'a str>, StoreError> {
            match self.value() {
                Value::Text(text) => Ok(text.as_deref()),
                _ => Err(self.corrupt()),
            }
        }

        fn free(&mut self) -> Result<Option<&'a str>, StoreError> {
            match self.value() {
                Value::Free(text) => Ok(text.as_deref()),
                _ => Err(self.corrupt()),
            }
        }

        fn instant(&mut self) -> Result<Option<Timestamp>, StoreError> {
            match self.value() {
                Value::Instant(at) => Ok(*at),
                _ => Err(self.corrupt()),
            }
        }

        fn number<T: TryFrom<i64>>(&mut self) -> Result<T, StoreError> {
            match self.value() {
                Value::Number(number) => T::try_from(*number).map_err(|_| self.corrupt()),
                _ => Err(self.corrupt()),
            }
        }

        fn hash(&mut self) -> Result<Option<[u8; 16]>, StoreError> {
            match self.value() {
                Value::Hash(hash) => Ok(*hash),
                _ => Err(self.corrupt()),
            }
        }

        fn skip(&mut self, columns: usize) -> Result<(), StoreError> {
            self.next += columns;
            Ok(())
        }

        fn corrupt(&self) -> StoreError {
            corrupt("an id".to_owned(), self.next - 1)
        }
    }

    fn read(values: &[Value]) -> Result<Record, StoreError> {
        record(&mut Written { values, next: 0 }, None)
    }

    fn at(micros: i64) -> Timestamp {
        Timestamp::from_micros(micros).unwrap()
    }

    fn bare() -> Record {
        let digest = TokenDigest::from_stored("2.AAAA");
        let owner = Owner::parse("u1").unwrap();
        let scopes = ScopeList::parse(["repo:read"]).unwrap();
        let name = "ci".parse().unwrap();
        let id = "ABCDEFGHIJKLMNOP".parse().unwrap();
        Record::new(Token::new(id, Kind::Personal, owner, name, scopes, at(1)), digest)
    }

    fn full() -> Record {
        let mut record = bare();
        let by = Actor::Token("0000000000000001".parse().unwrap());
        let token = &mut record.token;
        token.tenant = Tenant::parse("acme").unwrap();
        token.description = Some("a \0 b".to_owned());
        token.resources = Resources::All;
        token.networks = Networks::Listed(["10.0.0.0/8".parse().unwrap()].into());
        token.audience = vec!["api".to_owned()];
        token.created_by = by.clone();
        token.not_before = Some(at(2));
        token.expires_at = Some(at(3));
        let (ip, agent) = (Some("::1".parse().unwrap()), Some("curl".into()));
        token.last_use = Some(LastUse { at: at(4), ip, agent });
        token.rotation = Some(Rotation {
            rotated_at: at(5),
            superseded_at: at(6),
            grace_until: at(7),
            first_used_at: Some(at(8)),
        });
        token.suspension = Some(Suspension { at: at(9), by: by.clone() });
        let reason = RevocationReason::Leaked;
        token.revocation = Some(Revocation { at: at(10), by, reason });
        token.parent = Some("0000000000000002".parse().unwrap());
        token.client = Some("client".to_owned());
        token.metadata = Metadata::from_stored(r#"{"a":"b"}"#).unwrap();
        token.notices = Notices { given: 3, claimed_at: Some(at(11)) };
        token.version = 12;
        record.superseded = Some(TokenDigest::from_stored("2.BBBB"));
        record.idempotency = Some(IdempotencyKey { key: [1; 16], request: [2; 16] });
        record
    }

    #[test]
    fn what_is_written_is_read() {
        for record in [bare(), full()] {
            let values = values(&record);
            assert_eq!(values.len(), WRITTEN);
            assert_eq!(read(&values).unwrap(), record);
        }
        assert_eq!(written_columns!().split(", ").count(), WRITTEN);
    }

    #[test]
    fn a_change_writes_what_it_makes_of_the_record() {
        let (mut changed, full) = (bare(), full());
        let token = full.token;
        let change = Change {
            name: Some(("other".parse().unwrap(), true)),
            description: Some(token.description),
            scopes: Some(ScopeList::default()),
            resources: Some(token.resources),
            networks: Some(token.networks),
            expires_at: Some(token.expires_at),
            metadata: Some(token.metadata),
            suspension: Some(token.suspension),
            digest: full.superseded.clone(),
            superseded: Some(full.superseded),
            rotation: Some(token.rotation),
            notices: Some(token.notices),
        };
        let mut written = values(&changed);
        for (column, value) in super::changed(&change) {
            let place = written_columns!().split(", ").position(|name| name == column);
            written[place.unwrap()] = value;
        }
        change.apply_to(&mut changed);
        let place = written_columns!().split(", ").position(|name| name == "version");
        written[place.unwrap()] = version(changed.token.version);
        assert_eq!(written, values(&changed));
        assert_eq!(read(&written).unwrap(), changed);
    }

    #[test]
    fn a_column_that_is_not_as_it_was_written_is_named() {
        let written = values(&full());
        for (place, column) in columns!().split(", ").enumerate() {
            let mut spoiled = written.clone();
            spoiled[place] = match &written[place] {
                Value::Number(_) => Value::Number(-1),
                // What a person wrote is taken as it is.
                Value::Free(_) => Value::Number(0),
                Value::Text(_) if column == "digest" || column == "superseded" => continue,
                Value::Text(_) if column == "scopes" => {
                    let unread = Value::Text(Some("repo:read \" ".to_owned()));
                    for unread in [unread, Value::Text(None), Value::Number(0)] {
                        spoiled[place] = unread;
                        assert_eq!(read(&spoiled).unwrap().token.scopes, ScopeList::default());
                    }
                    continue;
                }
                Value::Text(_) => Value::Text(Some("\u{fffd}".to_owned())),
                Value::Instant(_) | Value::Hash(_) => Value::Text(None),
            };
            match read(&spoiled) {
                Err(StoreError::Corrupt { column: named, .. }) => assert_eq!(named, column),
                other => panic!("{column}: {other:?}"),
            }
        }
    }
}
