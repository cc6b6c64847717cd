//! A record as a row.

use std::sync::Arc;

use rusqlite::types::{Value, ValueRef};
use rusqlite::{Row, ToSql};

use super::error::StepError;
use crate::clock::Timestamp;
use crate::scope::{Resources, ScopeList};
use crate::store::StoreError;
use crate::token::{
    Actor, IdempotencyKey, Kind, LastUse, Metadata, Networks, Notices, Owner, Record, Revocation,
    RevocationReason, Rotation, Suspension, Tenant, Token, TokenDigest, TokenId, TokenName, fold,
};

/// The columns that make a token, in the order in which they are read and written.
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
        concat!(token_columns!(), ", digest, superseded, idempotency_key, idempotency_request")
    };
}
pub(super) use columns;

/// Writes a whole row: the [`columns`], then `name_key` and `description_key`.
pub(super) const INSERT: &str = concat!(
    "INSERT INTO tokens (",
    columns!(),
    ", name_key, description_key) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, \
     ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
);

/// Networks that admit every address, as they are stored.
const ANYWHERE: &str = "\"anywhere\"";
/// Resources that reach everything, as they are stored.
const ALL: &str = "\"all\"";
/// An empty list in JSON.
const NONE: &str = "[]";
/// An empty object in JSON.
const EMPTY: &str = "{}";

/// What [`INSERT`] binds, in order.
pub(super) fn values(record: &Record) -> Vec<Value> {
    let Record { token, digest, superseded, idempotency } = record;
    let last_use = token.last_use.as_ref();
    let revocation = token.revocation.as_ref();
    let mut values = vec![
        text(token.id.as_str()),
        text(token.kind.as_str()),
        text(token.tenant.as_str()),
        text(token.owner.as_str()),
        text(token.name.as_str()),
        optional(token.description.as_deref()),
        scopes(&token.scopes),
        resources(&token.resources),
        networks(&token.networks),
        json(&token.audience),
        instant(Some(token.created_at)),
        text(&token.created_by.to_string()),
        instant(token.not_before),
        instant(token.expires_at),
        instant(last_use.map(|used| used.at)),
        address(last_use),
        optional(last_use.and_then(|used| used.agent.as_deref())),
    ];
    values.extend(rotation(token.rotation));
    let [suspended_at, suspended_by] = suspension(token.suspension.as_ref());
    let [notices, notices_claimed_at] = notices(token.notices);
    values.extend([
        suspended_at,
        suspended_by,
        instant(revocation.map(|revocation| revocation.at)),
        revocation.map_or(Value::Null, |revocation| text(&revocation.by.to_string())),
        optional(revocation.map(|revocation| revocation.reason.as_str())),
        optional(token.parent.as_ref().map(TokenId::as_str)),
        optional(token.client.as_deref()),
        text(token.metadata.as_json()),
        notices,
        notices_claimed_at,
        version(token.version),
        text(&digest.to_stored()),
        superseded.as_ref().map_or(Value::Null, |digest| text(&digest.to_stored())),
        idempotency.map_or(Value::Null, |idempotency| Value::Blob(idempotency.key.to_vec())),
        idempotency.map_or(Value::Null, |idempotency| Value::Blob(idempotency.request.to_vec())),
        text(&token.name.key()),
        description_key(token.description.as_deref()),
    ]);
    values
}

pub(super) fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

pub(super) fn optional(value: Option<&str>) -> Value {
    value.map_or(Value::Null, text)
}

pub(super) fn instant(instant: Option<Timestamp>) -> Value {
    instant.map_or(Value::Null, |instant| Value::Integer(instant.as_micros()))
}

/// A version; one that no row can have becomes -1, which none has.
pub(super) fn version(version: u64) -> Value {
    Value::Integer(i64::try_from(version).unwrap_or(-1))
}

pub(super) fn description_key(description: Option<&str>) -> Value {
    description.map_or(Value::Null, |description| Value::Text(fold(description)))
}

pub(super) fn scopes(scopes: &ScopeList) -> Value {
    Value::Text(scopes.to_string())
}

pub(super) fn resources(resources: &Resources) -> Value {
    json(resources)
}

pub(super) fn networks(networks: &Networks) -> Value {
    match networks {
        Networks::Anywhere => text(ANYWHERE),
        Networks::Listed(listed) => {
            json(&listed.iter().map(ToString::to_string).collect::<Vec<String>>())
        }
    }
}

pub(super) fn address(last_use: Option<&LastUse>) -> Value {
    let ip = last_use.and_then(|used| used.ip);
    ip.map_or(Value::Null, |ip| Value::Text(ip.to_string()))
}

/// The columns `rotated_at`, `superseded_at`, `grace_until` and `first_used_at`.
pub(super) fn rotation(rotation: Option<Rotation>) -> [Value; 4] {
    [
        instant(rotation.map(|rotation| rotation.rotated_at)),
        instant(rotation.map(|rotation| rotation.superseded_at)),
        instant(rotation.map(|rotation| rotation.grace_until)),
        instant(rotation.and_then(|rotation| rotation.first_used_at)),
    ]
}

/// The columns `suspended_at` and `suspended_by`.
pub(super) fn suspension(suspension: Option<&Suspension>) -> [Value; 2] {
    [
        instant(suspension.map(|suspension| suspension.at)),
        suspension.map_or(Value::Null, |suspension| text(&suspension.by.to_string())),
    ]
}

/// The columns `notices` and `notices_claimed_at`.
pub(super) fn notices(notices: Notices) -> [Value; 2] {
    [Value::Integer(i64::from(notices.given)), instant(notices.claimed_at)]
}

/// JSON text. Lists of texts always have one; were there none, the column's `NOT NULL` would
/// refuse the row.
fn json<T: serde::Serialize + ?Sized>(value: &T) -> Value {
    serde_json::to_string(value).map_or(Value::Null, Value::Text)
}

/// References to bound values.
pub(super) fn bound(values: &[Value]) -> impl Iterator<Item = &dyn ToSql> {
    values.iter().map(|value| value as &dyn ToSql)
}

/// Reads a row of the [`columns`].
pub(super) fn record(row: &Row<'_>) -> Result<Record, StepError> {
    record_after(&mut None, row)
}

/// Scopes as the row before had them, and what they were read as: an owner's tokens often have
/// the same ones.
pub(super) type SeenScopes = Option<(String, ScopeList)>;

/// Reads a row of the [`columns`] that comes after another one.
pub(super) fn record_after(seen: &mut SeenScopes, row: &Row<'_>) -> Result<Record, StepError> {
    let mut fields = Fields { row, next: 0 };
    let fields = &mut fields;
    let token = token(seen, fields)?;
    let digest = fields.required(|text| Some(TokenDigest::from_stored(text)))?;
    let mut record = Record::new(token, digest);
    record.superseded = fields.text()?.map(TokenDigest::from_stored);
    record.idempotency = match fields.digest()? {
        Some(key) => {
            let request = fields.digest()?.ok_or_else(|| fields.corrupt())?;
            Some(IdempotencyKey { key, request })
        }
        None => None,
    };
    Ok(record)
}

/// Reads a row of the [`token_columns`] that comes after another one.
pub(super) fn token_after(seen: &mut SeenScopes, row: &Row<'_>) -> Result<Token, StepError> {
    token(seen, &mut Fields { row, next: 0 })
}

fn token(seen: &mut SeenScopes, fields: &mut Fields<'_>) -> Result<Token, StepError> {
    let id: TokenId = fields.parsed()?;
    let kind = fields.required(Kind::from_text)?;
    let tenant: Tenant = fields.parsed()?;
    let owner: Owner = fields.parsed()?;
    let name: TokenName = fields.parsed()?;
    let description = fields.text()?;
    let scopes = fields.required(|text| Some(read_scopes(seen, text)))?;
    let resources = fields.required(read_resources)?;
    let networks = fields.required(read_networks)?;
    let audience = fields.required(read_list)?;
    let created_at = fields.instant()?.ok_or_else(|| fields.corrupt())?;
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
    let agent = fields.text()?;
    token.last_use = used_at.map(|at| LastUse { at, ip, agent: agent.map(Into::into) });
    token.rotation = match fields.instant()? {
        Some(rotated_at) => Some(Rotation {
            rotated_at,
            superseded_at: fields.instant()?.ok_or_else(|| fields.corrupt())?,
            grace_until: fields.instant()?.ok_or_else(|| fields.corrupt())?,
            first_used_at: fields.instant()?,
        }),
        None => {
            fields.skip(3);
            None
        }
    };
    token.suspension = match fields.instant()? {
        Some(at) => Some(Suspension { at, by: fields.parsed()? }),
        None => {
            fields.skip(1);
            None
        }
    };
    token.revocation = match fields.instant()? {
        Some(at) => Some(Revocation {
            at,
            by: fields.parsed::<Actor>()?,
            reason: fields.required(RevocationReason::from_text)?,
        }),
        None => {
            fields.skip(2);
            None
        }
    };
    token.parent = fields.maybe(|text| text.parse().ok())?;
    token.client = fields.text()?.map(str::to_owned);
    token.metadata = fields.required(read_metadata)?;
    token.notices = Notices { given: fields.number()?, claimed_at: fields.instant()? };
    token.version = fields.number()?;
    Ok(token)
}

/// Reads the id in a row's first column.
pub(super) fn id(row: &Row<'_>) -> Result<TokenId, StepError> {
    Fields { row, next: 0 }.parsed()
}

/// Scopes that cannot be read grant nothing.
fn read_scopes(seen: &mut SeenScopes, text: &str) -> ScopeList {
    if let Some((_, list)) = seen.as_ref().filter(|(before, _)| before == text) {
        return list.clone();
    }
    let list = ScopeList::parse(text.split(' ')).unwrap_or_default();
    *seen = Some((text.to_owned(), list.clone()));
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

/// Reads a row column by column. What is not as it was written is named.
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

    fn skip(&mut self, columns: usize) {
        self.next += columns;
    }

    /// That the column read last cannot be understood.
    fn corrupt(&self) -> StepError {
        let id = match self.row.get_ref(0) {
            Ok(ValueRef::Text(id) | ValueRef::Blob(id)) => String::from_utf8_lossy(id).into_owned(),
            _ => String::new(),
        };
        let place = self.next.saturating_sub(1);
        let column = columns!().split(", ").nth(place).unwrap_or("id");
        StoreError::Corrupt { id, column }.into()
    }

    fn text(&mut self) -> Result<Option<&'row str>, StepError> {
        match self.value()? {
            ValueRef::Null => Ok(None),
            ValueRef::Text(text) => std::str::from_utf8(text).map(Some).map_err(|_| self.corrupt()),
            _ => Err(self.corrupt()),
        }
    }

    /// A text that may be absent.
    fn maybe<T>(&mut self, read: impl FnOnce(&str) -> Option<T>) -> Result<Option<T>, StepError> {
        let Some(text) = self.text()? else {
            return Ok(None);
        };
        read(text).map(Some).ok_or_else(|| self.corrupt())
    }

    /// A text that must be there.
    fn required<T>(&mut self, read: impl FnOnce(&str) -> Option<T>) -> Result<T, StepError> {
        self.maybe(read)?.ok_or_else(|| self.corrupt())
    }

    fn parsed<T: std::str::FromStr>(&mut self) -> Result<T, StepError> {
        self.required(|text| text.parse().ok())
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

    fn digest(&mut self) -> Result<Option<[u8; 16]>, StepError> {
        match self.value()? {
            ValueRef::Null => Ok(None),
            ValueRef::Blob(bytes) => bytes.try_into().map(Some).map_err(|_| self.corrupt()),
            _ => Err(self.corrupt()),
        }
    }
}
