//! A record as a list of texts.

use std::fmt::Write as _;
use std::str::FromStr;
use std::sync::Arc;

use super::pack::{Packed, Unpack, pack};
use crate::clock::Timestamp;
use crate::scope::{Resources, ScopeList};
use crate::store::{Change, StoreError};
use crate::token::{
    Actor, IdempotencyKey, Kind, LastUse, Metadata, Networks, Notices, Owner, Record, Revocation,
    RevocationReason, Rotation, Suspension, Tenant, Token, TokenDigest, TokenId, TokenName, fold,
};

/// The columns of a record in order, as `lua/record.lua` numbers them from 1. One that was
/// released never moves; the next is appended. The last is which step changed the record, so that
/// a step that the driver repeats after a broken connection is not done twice.
const COLUMNS: [&str; 39] = [
    "id",
    "kind",
    "tenant",
    "owner",
    "name",
    "name_key",
    "description",
    "description_key",
    "scopes",
    "resources",
    "networks",
    "audience",
    "created_at",
    "created_by",
    "not_before",
    "expires_at",
    "last_used_at",
    "last_used_ip",
    "last_used_agent",
    "rotated_at",
    "superseded_at",
    "grace_until",
    "first_used_at",
    "suspended_at",
    "suspended_by",
    "revoked_at",
    "revoked_by",
    "revoked_reason",
    "parent",
    "client",
    "metadata",
    "notices",
    "notices_claimed_at",
    "version",
    "digest",
    "superseded",
    "idempotency_key",
    "idempotency_request",
    "step",
];

/// Networks that admit every address, as they are stored.
const ANYWHERE: &str = "\"anywhere\"";
/// An empty list in JSON.
const NONE: &str = "[]";
/// An empty object in JSON.
const EMPTY: &str = "{}";

/// A record as it is stored.
pub(super) fn packed(record: &Record, step: &str) -> Vec<u8> {
    let Record { token, digest, superseded, idempotency } = record;
    let last_use = token.last_use.as_ref();
    let revocation = token.revocation.as_ref();
    let mut values = vec![
        Packed::text(token.id.as_str()),
        Packed::text(token.kind.as_str()),
        Packed::text(token.tenant.as_str()),
        Packed::text(token.owner.as_str()),
        Packed::text(token.name.as_str()),
        Packed::text(token.name.key()),
        Packed::optional(token.description.as_deref()),
        Packed::optional(token.description.as_deref().map(fold)),
        Packed::text(token.scopes.to_string()),
        json(&token.resources),
        networks(&token.networks),
        json(&token.audience),
        instant(Some(token.created_at)),
        Packed::text(token.created_by.to_string()),
        instant(token.not_before),
        instant(token.expires_at),
    ];
    values.extend(used(last_use));
    values.extend(rotation(token.rotation));
    let [suspended_at, suspended_by] = suspension(token.suspension.as_ref());
    values.extend([
        suspended_at,
        suspended_by,
        instant(revocation.map(|revocation| revocation.at)),
        Packed::optional(revocation.map(|revocation| revocation.by.to_string())),
        Packed::optional(revocation.map(|revocation| revocation.reason.as_str())),
        Packed::optional(token.parent.as_ref().map(TokenId::as_str)),
        Packed::optional(token.client.as_deref()),
        Packed::text(token.metadata.as_json()),
        Packed::text(token.notices.given.to_string()),
        instant(token.notices.claimed_at),
        Packed::text(token.version.to_string()),
        Packed::text(digest.to_stored()),
        Packed::optional(superseded.as_ref().map(TokenDigest::to_stored)),
        Packed::optional(idempotency.map(|idempotency| hex(&idempotency.key))),
        Packed::optional(idempotency.map(|idempotency| hex(&idempotency.request))),
        Packed::text(step),
    ]);
    pack(&values)
}

/// The columns `last_used_at`, `last_used_ip` and `last_used_agent`.
pub(super) fn used(last_use: Option<&LastUse>) -> [Packed; 3] {
    [
        instant(last_use.map(|used| used.at)),
        Packed::optional(last_use.and_then(|used| used.ip).map(|ip| ip.to_string())),
        Packed::optional(last_use.and_then(|used| used.agent.as_deref())),
    ]
}

/// The columns `rotated_at`, `superseded_at`, `grace_until` and `first_used_at`.
fn rotation(rotation: Option<Rotation>) -> [Packed; 4] {
    [
        instant(rotation.map(|rotation| rotation.rotated_at)),
        instant(rotation.map(|rotation| rotation.superseded_at)),
        instant(rotation.map(|rotation| rotation.grace_until)),
        instant(rotation.and_then(|rotation| rotation.first_used_at)),
    ]
}

/// The columns `suspended_at` and `suspended_by`.
fn suspension(suspension: Option<&Suspension>) -> [Packed; 2] {
    [
        instant(suspension.map(|suspension| suspension.at)),
        Packed::optional(suspension.map(|suspension| suspension.by.to_string())),
    ]
}

/// An instant as text that compares as the instant does.
pub(super) fn digits(instant: Timestamp) -> String {
    format!("{:018}", instant.as_micros())
}

fn instant(instant: Option<Timestamp>) -> Packed {
    Packed::optional(instant.map(digits))
}

fn networks(networks: &Networks) -> Packed {
    match networks {
        Networks::Anywhere => Packed::text(ANYWHERE),
        Networks::Listed(listed) => {
            json(&listed.iter().map(ToString::to_string).collect::<Vec<String>>())
        }
    }
}

/// JSON text. Lists of texts always have one; were there none, reading would say so.
fn json<T: serde::Serialize + ?Sized>(value: &T) -> Packed {
    Packed::optional(serde_json::to_vec(value).ok())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing into a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The new values that a change names: column, value, column, value, and so on.
pub(super) fn changes(change: &Change) -> Vec<u8> {
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
        notices,
    } = change;
    let mut values = Vec::new();
    let mut set = |column: &str, value: Packed| {
        let place = COLUMNS.iter().position(|name| *name == column);
        let number = place.map_or(0, |place| place + 1);
        values.extend([Packed::text(number.to_string()), value]);
    };
    if let Some((name, _)) = name {
        set("name", Packed::text(name.as_str()));
        set("name_key", Packed::text(name.key()));
    }
    if let Some(description) = description {
        set("description", Packed::optional(description.as_deref()));
        set("description_key", Packed::optional(description.as_deref().map(fold)));
    }
    if let Some(scopes) = scopes {
        set("scopes", Packed::text(scopes.to_string()));
    }
    if let Some(resources) = resources {
        set("resources", json(resources));
    }
    if let Some(places) = places {
        set("networks", networks(places));
    }
    if let Some(expires_at) = expires_at {
        set("expires_at", instant(*expires_at));
    }
    if let Some(metadata) = metadata {
        set("metadata", Packed::text(metadata.as_json()));
    }
    if let Some(set_aside) = set_aside {
        let columns = ["suspended_at", "suspended_by"];
        for (column, value) in columns.into_iter().zip(suspension(set_aside.as_ref())) {
            set(column, value);
        }
    }
    if let Some(digest) = digest {
        set("digest", Packed::text(digest.to_stored()));
    }
    if let Some(superseded) = superseded {
        set("superseded", Packed::optional(superseded.as_ref().map(TokenDigest::to_stored)));
    }
    if let Some(rotated) = rotated {
        let columns = ["rotated_at", "superseded_at", "grace_until", "first_used_at"];
        for (column, value) in columns.into_iter().zip(rotation(*rotated)) {
            set(column, value);
        }
    }
    if let Some(notices) = notices {
        set("notices", Packed::text(notices.given.to_string()));
        set("notices_claimed_at", instant(notices.claimed_at));
    }
    pack(&values)
}

/// Reads a record as it is stored. `key` names it where its own id cannot be read.
pub(super) fn read(packed: &[u8], key: &str) -> Result<Record, StoreError> {
    let mut columns = Columns { list: Unpack::list(packed), next: 0, id: key.to_owned() };
    let columns = &mut columns;
    let id: TokenId = columns.parsed()?;
    columns.id = id.to_string();
    let kind = columns.required(Kind::from_text)?;
    let tenant: Tenant = columns.parsed()?;
    let owner: Owner = columns.parsed()?;
    let name: TokenName = columns.parsed()?;
    columns.text()?;
    let description = columns.text()?;
    columns.text()?;
    // Scopes that cannot be read grant nothing.
    let scopes = columns.text().ok().flatten().and_then(read_scopes).unwrap_or_default();
    let resources = columns.required(read_resources)?;
    let networks = columns.required(read_networks)?;
    let audience = columns.required(read_list)?;
    let created_at = columns.instant()?.ok_or_else(|| columns.corrupt())?;
    let mut token = Token::new(id, kind, owner, name, scopes, created_at);
    token.tenant = tenant;
    token.description = description.map(str::to_owned);
    token.resources = resources;
    token.networks = networks;
    token.audience = audience;
    token.created_by = columns.parsed()?;
    token.not_before = columns.instant()?;
    token.expires_at = columns.instant()?;
    let used_at = columns.instant()?;
    let ip = columns.maybe(|text| text.parse().ok())?;
    let agent = columns.text()?;
    token.last_use = used_at.map(|at| LastUse { at, ip, agent: agent.map(Into::into) });
    token.rotation = match columns.instant()? {
        Some(rotated_at) => Some(Rotation {
            rotated_at,
            superseded_at: columns.instant()?.ok_or_else(|| columns.corrupt())?,
            grace_until: columns.instant()?.ok_or_else(|| columns.corrupt())?,
            first_used_at: columns.instant()?,
        }),
        None => columns.skip(3)?,
    };
    token.suspension = match columns.instant()? {
        Some(at) => Some(Suspension { at, by: columns.parsed()? }),
        None => columns.skip(1)?,
    };
    token.revocation = match columns.instant()? {
        Some(at) => Some(Revocation {
            at,
            by: columns.parsed::<Actor>()?,
            reason: columns.required(RevocationReason::from_text)?,
        }),
        None => columns.skip(2)?,
    };
    token.parent = columns.maybe(|text| text.parse().ok())?;
    token.client = columns.text()?.map(str::to_owned);
    token.metadata = columns.required(read_metadata)?;
    token.notices = Notices { given: columns.parsed()?, claimed_at: columns.instant()? };
    token.version = columns.parsed()?;
    let digest = columns.required(|text| Some(TokenDigest::from_stored(text)))?;
    let mut record = Record::new(token, digest);
    record.superseded = columns.text()?.map(TokenDigest::from_stored);
    record.idempotency = match columns.maybe(unhex)? {
        Some(key) => Some(IdempotencyKey { key, request: columns.required(unhex)? }),
        None => None,
    };
    Ok(record)
}

fn read_scopes(text: &str) -> Option<ScopeList> {
    if text.is_empty() {
        return Some(ScopeList::default());
    }
    ScopeList::parse(text.split(' ')).ok()
}

fn read_resources(text: &str) -> Option<Resources> {
    match text {
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

/// Reads column by column. What is not as it was written is named.
struct Columns<'a> {
    list: Option<Unpack<'a>>,
    next: usize,
    id: String,
}

impl<'a> Columns<'a> {
    /// That the column read last cannot be understood.
    fn corrupt(&self) -> StoreError {
        let column = COLUMNS.get(self.next.saturating_sub(1)).copied().unwrap_or("id");
        StoreError::Corrupt { id: self.id.clone(), column }
    }

    fn text(&mut self) -> Result<Option<&'a str>, StoreError> {
        self.next += 1;
        let value = self.list.as_mut().and_then(Unpack::next).ok_or_else(|| self.corrupt())?;
        let text = value.map(std::str::from_utf8).transpose();
        text.map_err(|_| self.corrupt())
    }

    fn skip<T>(&mut self, columns: usize) -> Result<Option<T>, StoreError> {
        for _ in 0..columns {
            self.text()?;
        }
        Ok(None)
    }

    /// A text that may be absent.
    fn maybe<T>(&mut self, read: impl FnOnce(&str) -> Option<T>) -> Result<Option<T>, StoreError> {
        let Some(text) = self.text()? else {
            return Ok(None);
        };
        read(text).map(Some).ok_or_else(|| self.corrupt())
    }

    /// A text that must be there.
    fn required<T>(&mut self, read: impl FnOnce(&str) -> Option<T>) -> Result<T, StoreError> {
        self.maybe(read)?.ok_or_else(|| self.corrupt())
    }

    fn parsed<T: FromStr>(&mut self) -> Result<T, StoreError> {
        self.required(|text| text.parse().ok())
    }

    fn instant(&mut self) -> Result<Option<Timestamp>, StoreError> {
        self.maybe(|text| Timestamp::from_micros(text.parse().ok()?))
    }
}
