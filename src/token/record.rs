//! The record of a token.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::sync::Arc;

use ipnet::IpNet;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::digest::TokenDigest;
use super::id::TokenId;
use super::kind::Kind;
use super::label::{Owner, ParseLabelError, Tenant};
use super::name::TokenName;
use super::status::Lifecycle;
use crate::clock::Timestamp;
use crate::scope::{Resources, ScopeList};

/// Everything known of a token except its secret and the digest of it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Token {
    /// The public id, part of the token's text.
    pub id: TokenId,
    /// What the token is for.
    pub kind: Kind,
    /// The organisation the owner belongs to.
    pub tenant: Tenant,
    /// Whose token it is.
    pub owner: Owner,
    /// What the owner calls it; unique among the owner's live tokens of this kind if policy asks so.
    pub name: TokenName,
    /// What the owner says of it; at most 1,000 characters.
    pub description: Option<String>,
    /// The granted scopes by name.
    pub scopes: ScopeList,
    /// Which named things it reaches.
    pub resources: Resources,
    /// From which addresses it may be used.
    pub networks: Networks,
    /// Whom it is for, if not the app that issued it.
    pub audience: Vec<String>,
    /// When it was issued.
    pub created_at: Timestamp,
    /// Who issued it.
    pub created_by: Actor,
    /// From when it is usable; at once if absent.
    pub not_before: Option<Timestamp>,
    /// The first instant at which it is no longer usable; never if absent.
    pub expires_at: Option<Timestamp>,
    /// Its last noted use, at most a minute or so behind.
    pub last_use: Option<LastUse>,
    /// Its last rotation.
    pub rotation: Option<Rotation>,
    /// Since when and by whom it is set aside.
    pub suspension: Option<Suspension>,
    /// When, by whom and why it was revoked.
    pub revocation: Option<Revocation>,
    /// The token it was made from by exchange or refresh.
    pub parent: Option<TokenId>,
    /// The registered client it was issued to.
    pub client: Option<String>,
    /// What the app keeps with it.
    pub metadata: Metadata,
    /// Which expiry notices were given.
    pub notices: Notices,
    /// Counts the changes of the record, from 1; noting a use is no change.
    pub version: u64,
}

impl Token {
    /// A token with nothing but what every token has. The other fields can be set afterwards.
    #[must_use]
    #[inline]
    pub fn new(
        id: TokenId,
        kind: Kind,
        owner: Owner,
        name: TokenName,
        scopes: ScopeList,
        created_at: Timestamp,
    ) -> Self {
        Self {
            id,
            kind,
            tenant: Tenant::DEFAULT,
            owner,
            name,
            description: None,
            scopes,
            resources: Resources::none(),
            networks: Networks::Anywhere,
            audience: Vec::new(),
            created_at,
            created_by: Actor::System,
            not_before: None,
            expires_at: None,
            last_use: None,
            rotation: None,
            suspension: None,
            revocation: None,
            parent: None,
            client: None,
            metadata: Metadata::default(),
            notices: Notices::default(),
            version: 1,
        }
    }

    /// Whether it belongs to what it was made from, by exchange or refresh, or others belong to
    /// it: such tokens are not edited, copied or rotated by themselves.
    #[must_use]
    pub fn is_derived(&self) -> bool {
        self.parent.is_some() || matches!(self.kind, Kind::Access | Kind::Refresh)
    }

    /// The instants that decide its status.
    #[must_use]
    pub fn lifecycle(&self) -> Lifecycle {
        Lifecycle {
            issued_at: self.rotation.map_or(self.created_at, |rotation| rotation.rotated_at),
            not_before: self.not_before,
            expires_at: self.expires_at,
            suspended_at: self.suspension.as_ref().map(|suspension| suspension.at),
            revoked_at: self.revocation.as_ref().map(|revocation| revocation.at),
        }
    }
}

/// A token's record as a store keeps it: the token and what its secrets are checked against.
///
/// Only stores and the engine handle records; apps get the [`Token`] inside, which holds no
/// digest.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Record {
    /// The token.
    pub token: Token,
    /// The digest of the current secret.
    pub digest: TokenDigest,
    /// The digest of the secret before the last rotation; [`Token::rotation`] tells until when it
    /// is good.
    pub superseded: Option<TokenDigest>,
    /// What makes a repeated issue find this record.
    pub idempotency: Option<IdempotencyKey>,
}

impl Record {
    /// The record of a newly issued token.
    #[must_use]
    #[inline]
    pub fn new(token: Token, digest: TokenDigest) -> Self {
        Self { token, digest, superseded: None, idempotency: None }
    }
}

/// From which addresses a token may be used.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Networks {
    /// From anywhere, and where the address is not known.
    #[default]
    Anywhere,
    /// Only from an address in one of these networks; from nowhere if there is none.
    Listed(Arc<[IpNet]>),
}

impl Networks {
    /// Whether a request from this address may use the token. An unknown address is in no
    /// network.
    #[must_use]
    pub fn admit(&self, address: Option<IpAddr>) -> bool {
        match self {
            Self::Anywhere => true,
            // An IPv4 address that arrived on an IPv6 socket is the IPv4 address.
            Self::Listed(networks) => address.is_some_and(|address| {
                let address = address.to_canonical();
                networks.iter().any(|network| network.contains(&address))
            }),
        }
    }

    /// Whether every address that `other` admits is admitted here, as the networks tell.
    #[must_use]
    pub fn contains(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Anywhere, _) => true,
            (Self::Listed(_), Self::Anywhere) => false,
            (Self::Listed(wide), Self::Listed(narrow)) => {
                narrow.iter().all(|inner| wide.iter().any(|outer| outer.contains(inner)))
            }
        }
    }
}

/// The last noted use of a token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastUse {
    /// When.
    pub at: Timestamp,
    /// From where, if the app knows.
    pub ip: Option<IpAddr>,
    /// The client's `User-Agent`, without control characters, cut to 200 bytes.
    pub agent: Option<Box<str>>,
}

/// The last rotation of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rotation {
    /// When the current secret was made.
    pub rotated_at: Timestamp,
    /// When the older secret was replaced. Rotating again before the new secret is ever used
    /// leaves this as it was.
    pub superseded_at: Timestamp,
    /// The first instant at which the older secret is refused.
    pub grace_until: Timestamp,
    /// When the current secret was first used.
    pub first_used_at: Option<Timestamp>,
}

/// Since when and by whom a token is set aside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Suspension {
    /// Since when.
    pub at: Timestamp,
    /// By whom. What was not the owner's doing, the owner cannot undo.
    pub by: Actor,
}

/// Which [expiry notices](crate::Policy::expiry_notices) of a token were given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Notices {
    /// A bit for each: bit 0 for the first in policy's list, and so on.
    pub given: u8,
    /// When a node last took it on itself to give the one that is due.
    pub claimed_at: Option<Timestamp>,
}

/// When, by whom and why a token was revoked. The first revocation is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revocation {
    /// When.
    pub at: Timestamp,
    /// By whom.
    pub by: Actor,
    /// Why.
    pub reason: RevocationReason,
}

/// Why a token was revoked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RevocationReason {
    /// Somebody asked for it.
    Requested,
    /// The owner changed the password or another factor.
    PasswordChanged,
    /// The owner no longer exists.
    OwnerDeleted,
    /// It was not used for longer than policy allows.
    Idle,
    /// A secret that had been replaced was presented again.
    Reused,
    /// The secret was found where it must not be.
    Leaked,
}

impl RevocationReason {
    const ALL: [Self; 6] = [
        Self::Requested,
        Self::PasswordChanged,
        Self::OwnerDeleted,
        Self::Idle,
        Self::Reused,
        Self::Leaked,
    ];

    /// The reason in lower case with underscores.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::PasswordChanged => "password_changed",
            Self::OwnerDeleted => "owner_deleted",
            Self::Idle => "idle",
            Self::Reused => "reused",
            Self::Leaked => "leaked",
        }
    }

    /// The reason with this spelling.
    #[must_use]
    pub fn from_text(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == text)
    }

    /// Whether somebody else may hold the secret, so that nothing made from the token may live
    /// on.
    #[must_use]
    pub const fn is_compromise(self) -> bool {
        !matches!(self, Self::Requested | Self::Idle)
    }
}

impl fmt::Display for RevocationReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Who did something.
///
/// As text: `system`, `owner`, `admin:ID` or `token:ID`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Actor {
    /// The app itself.
    System,
    /// The token's owner.
    Owner,
    /// An administrator, by the host app's id.
    Admin(Owner),
    /// Whoever presented this token.
    Token(TokenId),
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::System => f.write_str("system"),
            Self::Owner => f.write_str("owner"),
            Self::Admin(id) => write!(f, "admin:{id}"),
            Self::Token(id) => write!(f, "token:{id}"),
        }
    }
}

impl FromStr for Actor {
    type Err = ParseLabelError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once(':') {
            None if text == "system" => Ok(Self::System),
            None if text == "owner" => Ok(Self::Owner),
            Some(("admin", id)) => Ok(Self::Admin(Owner::parse(id)?)),
            Some(("token", id)) => {
                id.parse().map(Self::Token).map_err(|_| ParseLabelError::Character)
            }
            _ => Err(ParseLabelError::Character),
        }
    }
}

impl Serialize for Actor {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Actor {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'_, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// A JSON object that the app keeps with a token; at most 4,096 bytes as text.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Metadata(Option<Box<str>>);

impl Metadata {
    /// Longest text, in bytes.
    pub const MAX_LEN: usize = 4096;

    /// Takes a JSON object.
    ///
    /// # Errors
    /// [`MetadataError::TooLong`] if its text is longer than 4,096 bytes.
    pub fn new(object: &serde_json::Map<String, serde_json::Value>) -> Result<Self, MetadataError> {
        if object.is_empty() {
            return Ok(Self(None));
        }
        let text = serde_json::to_string(object).map_err(|_| MetadataError::NotAnObject)?;
        if text.len() > Self::MAX_LEN {
            return Err(MetadataError::TooLong);
        }
        Ok(Self(Some(text.into())))
    }

    /// Takes the text of a JSON object.
    ///
    /// # Errors
    /// [`MetadataError`] if it is longer than 4,096 bytes or no JSON object.
    pub fn from_json(text: &str) -> Result<Self, MetadataError> {
        if text.len() > Self::MAX_LEN {
            return Err(MetadataError::TooLong);
        }
        Self::new(&serde_json::from_str(text).map_err(|_| MetadataError::NotAnObject)?)
    }

    /// Takes the text of a JSON object that was [`as_json`](Self::as_json), and keeps it as it
    /// is. Reading numbers and writing them again could change them.
    pub(crate) fn from_stored(text: &str) -> Result<Self, MetadataError> {
        if text.len() > Self::MAX_LEN {
            return Err(MetadataError::TooLong);
        }
        serde_json::from_str::<std::collections::HashMap<String, serde::de::IgnoredAny>>(text)
            .map_err(|_| MetadataError::NotAnObject)?;
        Ok(Self((text != "{}").then(|| text.into())))
    }

    /// The JSON object as text.
    #[must_use]
    pub fn as_json(&self) -> &str {
        self.0.as_deref().unwrap_or("{}")
    }

    /// The JSON object.
    #[must_use]
    pub fn to_map(&self) -> serde_json::Map<String, serde_json::Value> {
        serde_json::from_str(self.as_json()).unwrap_or_default()
    }

    /// Whether the object has no member.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }
}

impl fmt::Debug for Metadata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_json())
    }
}

/// Why a value cannot be a token's metadata.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MetadataError {
    /// Longer than 4,096 bytes as text.
    #[error("metadata is at most 4096 bytes of JSON")]
    TooLong,
    /// Not a JSON object.
    #[error("metadata is a JSON object")]
    NotAnObject,
}

/// What a repeated issue is recognised by: digests of the caller's key, bound to the owner, and
/// of the request.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct IdempotencyKey {
    /// Digest of tenant, owner and the key the caller gave.
    pub key: [u8; 16],
    /// Digest of what was asked for, so that one key cannot stand for two requests.
    pub request: [u8; 16],
}

impl fmt::Debug for IdempotencyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IdempotencyKey(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_admit_what_they_list() {
        let some = Networks::Listed(Arc::from(["10.0.0.0/8".parse().unwrap()]));
        assert!(some.admit(Some("10.1.2.3".parse().unwrap())));
        assert!(some.admit(Some("::ffff:10.1.2.3".parse().unwrap())));
        assert!(!some.admit(Some("11.0.0.1".parse().unwrap())));
        assert!(!some.admit(None));
        assert!(!Networks::Listed(Arc::default()).admit(Some("10.1.2.3".parse().unwrap())));
        assert!(Networks::Anywhere.admit(None));
        assert!(Networks::Anywhere.contains(&some) && !some.contains(&Networks::Anywhere));
    }

    #[test]
    fn actors_are_read_back() {
        let admin = Actor::Admin(Owner::parse("root:1").unwrap());
        let token = Actor::Token("0000000000000001".parse().unwrap());
        for actor in [Actor::System, Actor::Owner, admin, token] {
            assert_eq!(actor.to_string().parse(), Ok(actor));
        }
        for text in ["", "root", "admin:", "token:x", "system:1"] {
            assert!(text.parse::<Actor>().is_err(), "{text}");
        }
    }

    #[test]
    fn metadata_is_a_small_object() {
        assert_eq!(Metadata::from_json("{}").unwrap(), Metadata::default());
        let kept = Metadata::from_json("{ \"a\": [1] }").unwrap();
        assert_eq!(kept.as_json(), "{\"a\":[1]}");
        for text in ["", "[]", "null", "\"x\"", "{\"a\":}"] {
            assert_eq!(Metadata::from_json(text), Err(MetadataError::NotAnObject), "{text}");
        }
        let long = format!("{{\"a\":\"{}\"}}", "x".repeat(Metadata::MAX_LEN));
        assert_eq!(Metadata::from_json(&long), Err(MetadataError::TooLong));
    }

    #[test]
    fn every_reason_has_one_spelling() {
        for reason in RevocationReason::ALL {
            assert_eq!(RevocationReason::from_text(reason.as_str()), Some(reason));
        }
        assert_eq!(RevocationReason::from_text("REUSED"), None);
        assert!(RevocationReason::Leaked.is_compromise());
        assert!(!RevocationReason::Requested.is_compromise());
    }
}
