//! What the lines of the file hold.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize};

use crate::clock::Timestamp;
use crate::scope::{Resources, ScopeList};
use crate::token::{
    Actor, Brand, IdempotencyKey, Kind, LastUse, Metadata, Networks, Notices, Owner, PepperId,
    Record, Revocation, Rotation, Suspension, Tenant, Token, TokenDigest, TokenId, TokenName,
};

/// The version of the file that this version of the crate writes, and the only one it reads.
pub const FORMAT: u32 = 1;

/// The first line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Head {
    hallpass: Content,
    pub(super) format: u32,
    #[serde(deserialize_with = "present")]
    pub(super) brand: Option<String>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Content {
    Tokens,
}

impl Head {
    pub(super) fn new(brand: Option<&Brand>) -> Self {
        let brand = brand.map(ToString::to_string);
        Self { hallpass: Content::Tokens, format: FORMAT, brand }
    }
}

/// How the last line begins, and no other.
pub(super) const END: &str = "{\"end\":";

/// The last line.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct End {
    #[serde(rename = "end")]
    pub(super) tokens: u64,
    pub(super) peppers: BTreeMap<u32, u64>,
}

/// What is in a file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Tally {
    /// How many tokens.
    pub tokens: u64,
    /// How many of them have their secret's digest under each pepper, by the pepper's number; `0`
    /// is none. Whoever verifies the tokens needs these peppers.
    pub peppers: BTreeMap<u32, u64>,
}

impl Tally {
    pub(super) fn count(&mut self, record: &Record) {
        self.tokens += 1;
        let pepper = record.digest.pepper().map_or(0, PepperId::number);
        *self.peppers.entry(pepper).or_default() += 1;
    }

    pub(super) fn end(&self) -> End {
        End { tokens: self.tokens, peppers: self.peppers.clone() }
    }
}

/// A record. A field that is not in the line is an error, also one that may be `null`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Line {
    id: TokenId,
    kind: Kind,
    tenant: Tenant,
    owner: Owner,
    name: TokenName,
    #[serde(deserialize_with = "present")]
    description: Option<String>,
    scopes: ScopeList,
    resources: Resources,
    networks: Places,
    audience: Vec<String>,
    created_at: Timestamp,
    created_by: Actor,
    #[serde(deserialize_with = "present")]
    not_before: Option<Timestamp>,
    #[serde(deserialize_with = "present")]
    expires_at: Option<Timestamp>,
    #[serde(deserialize_with = "present")]
    last_use: Option<Used>,
    #[serde(deserialize_with = "present")]
    rotation: Option<Rotated>,
    #[serde(deserialize_with = "present")]
    suspension: Option<Suspension>,
    #[serde(deserialize_with = "present")]
    revocation: Option<Revocation>,
    #[serde(deserialize_with = "present")]
    parent: Option<TokenId>,
    #[serde(deserialize_with = "present")]
    client: Option<String>,
    metadata: String,
    notices: u8,
    #[serde(deserialize_with = "present")]
    notices_claimed_at: Option<Timestamp>,
    version: u64,
    digest: String,
    #[serde(deserialize_with = "present")]
    superseded: Option<String>,
    #[serde(deserialize_with = "present")]
    idempotency: Option<Idempotency>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Used {
    at: Timestamp,
    #[serde(deserialize_with = "present")]
    ip: Option<IpAddr>,
    #[serde(deserialize_with = "present")]
    agent: Option<Box<str>>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rotated {
    rotated_at: Timestamp,
    superseded_at: Timestamp,
    grace_until: Timestamp,
    #[serde(deserialize_with = "present")]
    first_used_at: Option<Timestamp>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Idempotency {
    key: [u8; 16],
    request: [u8; 16],
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
enum Places {
    Everywhere(Everywhere),
    Listed(Vec<String>),
}

#[derive(Debug, Serialize, Deserialize)]
enum Everywhere {
    #[serde(rename = "anywhere")]
    Anywhere,
}

/// An optional value whose field must be there.
fn present<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    value: D,
) -> Result<Option<T>, D::Error> {
    Option::deserialize(value)
}

impl Line {
    pub(super) fn of(record: &Record) -> Self {
        let Record { token, digest, superseded, idempotency } = record.clone();
        Self {
            id: token.id,
            kind: token.kind,
            tenant: token.tenant,
            owner: token.owner,
            name: token.name,
            description: token.description,
            scopes: token.scopes,
            resources: token.resources,
            networks: match token.networks {
                Networks::Anywhere => Places::Everywhere(Everywhere::Anywhere),
                Networks::Listed(listed) => {
                    Places::Listed(listed.iter().map(ToString::to_string).collect())
                }
            },
            audience: token.audience,
            created_at: token.created_at,
            created_by: token.created_by,
            not_before: token.not_before,
            expires_at: token.expires_at,
            last_use: token.last_use.map(|LastUse { at, ip, agent }| Used { at, ip, agent }),
            rotation: token.rotation.map(|rotation| Rotated {
                rotated_at: rotation.rotated_at,
                superseded_at: rotation.superseded_at,
                grace_until: rotation.grace_until,
                first_used_at: rotation.first_used_at,
            }),
            suspension: token.suspension,
            revocation: token.revocation,
            parent: token.parent,
            client: token.client,
            metadata: token.metadata.as_json().to_owned(),
            notices: token.notices.given,
            notices_claimed_at: token.notices.claimed_at,
            version: token.version,
            digest: digest.to_stored(),
            superseded: superseded.as_ref().map(TokenDigest::to_stored),
            idempotency: idempotency
                .map(|IdempotencyKey { key, request }| Idempotency { key, request }),
        }
    }

    /// The record, or what is wrong with the line.
    pub(super) fn into_record(self) -> Result<Record, String> {
        let Self { id, kind, owner, name, scopes, created_at, .. } = self;
        let mut token = Token::new(id, kind, owner, name, scopes, created_at);
        token.tenant = self.tenant;
        token.description = self.description;
        token.resources = self.resources;
        token.networks = match self.networks {
            Places::Everywhere(Everywhere::Anywhere) => Networks::Anywhere,
            Places::Listed(listed) => {
                let listed: Option<Arc<[_]>> = listed.iter().map(|one| one.parse().ok()).collect();
                Networks::Listed(listed.ok_or("a network in `networks` is not one")?)
            }
        };
        token.audience = self.audience;
        token.created_by = self.created_by;
        token.not_before = self.not_before;
        token.expires_at = self.expires_at;
        token.last_use = self.last_use.map(|Used { at, ip, agent }| LastUse { at, ip, agent });
        token.rotation = self.rotation.map(|rotation| Rotation {
            rotated_at: rotation.rotated_at,
            superseded_at: rotation.superseded_at,
            grace_until: rotation.grace_until,
            first_used_at: rotation.first_used_at,
        });
        token.suspension = self.suspension;
        token.revocation = self.revocation;
        token.parent = self.parent;
        token.client = self.client;
        token.metadata =
            Metadata::from_stored(&self.metadata).map_err(|error| error.to_string())?;
        token.notices = Notices { given: self.notices, claimed_at: self.notices_claimed_at };
        token.version = self.version;
        if token.version == 0 || i64::try_from(token.version).is_err() {
            return Err("`version` is out of range".to_owned());
        }
        let mut record = Record::new(token, TokenDigest::from_stored(&self.digest));
        record.superseded = self.superseded.as_deref().map(TokenDigest::from_stored);
        record.idempotency =
            self.idempotency.map(|Idempotency { key, request }| IdempotencyKey { key, request });
        Ok(record)
    }
}

/// What is wrong with a text that should be JSON. Values are not quoted: they may be digests.
pub(super) fn problem(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match (text.split_once(':'), text.split_once(", expected ")) {
        (Some((wrong, _)), Some((_, expected))) if wrong.starts_with("invalid ") => {
            format!("{wrong}, expected {expected}")
        }
        _ => text,
    }
    .replace(" at line 1 column", " at column")
}
