//! A token, as the API shows it.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zeroize::Zeroizing;

use crate::clock::Timestamp;
use crate::token::{Actor, Kind, RevocationReason, Status, TokenId};

/// Everything a caller may know of a token. Neither its secret nor a digest of it is part of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "api", derive(utoipa::ToSchema))]
pub struct Token {
    /// The public id, 16 letters and digits.
    #[cfg_attr(feature = "api", schema(value_type = String, pattern = "^[0-9A-Za-z]{16}$"))]
    pub id: TokenId,
    /// What the token is for.
    #[cfg_attr(feature = "api", schema(value_type = String, example = "pat"))]
    pub kind: Kind,
    /// The organisation the owner belongs to.
    pub tenant: String,
    /// Whose token it is.
    pub owner: String,
    /// What the owner calls it.
    pub name: String,
    /// What the owner says of it.
    #[cfg_attr(feature = "api", schema(required))]
    pub description: Option<String>,
    /// The granted scopes.
    pub scopes: Vec<String>,
    /// Those of them that the app does not declare any more; they grant nothing.
    pub unknown_scopes: Vec<String>,
    /// Which named things it reaches.
    pub resources: Resources,
    /// From where it may be used.
    pub networks: Networks,
    /// Whom it is for; the app itself if empty.
    pub audience: Vec<String>,
    /// What it is now.
    #[cfg_attr(feature = "api", schema(value_type = String, example = "active"))]
    pub status: Status,
    /// When it was issued.
    #[cfg_attr(feature = "api", schema(value_type = String, format = DateTime))]
    pub created_at: Timestamp,
    /// Who issued it: `system`, `owner`, `admin:ID` or `token:ID`.
    #[cfg_attr(feature = "api", schema(value_type = String, example = "owner"))]
    pub created_by: Actor,
    /// From when it is usable; at once if `null`.
    #[cfg_attr(feature = "api", schema(value_type = Option<String>, format = DateTime, required))]
    pub not_before: Option<Timestamp>,
    /// The first instant at which it is no longer usable, by its own end or by policy's; never if
    /// `null`.
    #[cfg_attr(feature = "api", schema(value_type = Option<String>, format = DateTime, required))]
    pub expires_at: Option<Timestamp>,
    /// Its last noted use.
    #[cfg_attr(feature = "api", schema(required))]
    pub last_use: Option<LastUse>,
    /// Its last rotation.
    #[cfg_attr(feature = "api", schema(required))]
    pub rotation: Option<Rotation>,
    /// Since when and by whom it is set aside.
    #[cfg_attr(feature = "api", schema(required))]
    pub suspension: Option<Suspension>,
    /// When, by whom and why it was revoked.
    #[cfg_attr(feature = "api", schema(required))]
    pub revocation: Option<Revocation>,
    /// The token it was made from by exchange or refresh.
    #[cfg_attr(feature = "api", schema(value_type = Option<String>, required))]
    pub parent: Option<TokenId>,
    /// The registered client it was issued to.
    #[cfg_attr(feature = "api", schema(required))]
    pub client: Option<String>,
    /// What the app keeps with it.
    pub metadata: serde_json::Map<String, serde_json::Value>,
    /// Counts its changes, from 1; the `ETag` is this number in quotes.
    pub version: u64,
}

/// The last noted use of a token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "api", derive(utoipa::ToSchema))]
pub struct LastUse {
    /// When, at most a minute or so behind.
    #[cfg_attr(feature = "api", schema(value_type = String, format = DateTime))]
    pub at: Timestamp,
    /// From where, if the app knows.
    #[cfg_attr(feature = "api", schema(required))]
    pub ip: Option<String>,
    /// The client's `User-Agent`.
    #[cfg_attr(feature = "api", schema(required))]
    pub agent: Option<String>,
}

/// The last rotation of a token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "api", derive(utoipa::ToSchema))]
pub struct Rotation {
    /// When the current secret was made.
    #[cfg_attr(feature = "api", schema(value_type = String, format = DateTime))]
    pub rotated_at: Timestamp,
    /// The first instant at which the older secret is refused.
    #[cfg_attr(feature = "api", schema(value_type = String, format = DateTime))]
    pub overlap_until: Timestamp,
    /// When the current secret was first used.
    #[cfg_attr(feature = "api", schema(value_type = Option<String>, format = DateTime, required))]
    pub first_used_at: Option<Timestamp>,
}

/// Since when and by whom a token is set aside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "api", derive(utoipa::ToSchema))]
pub struct Suspension {
    /// Since when.
    #[cfg_attr(feature = "api", schema(value_type = String, format = DateTime))]
    pub at: Timestamp,
    /// By whom: `system`, `owner` or `admin:ID`. An owner can resume what `owner` suspended.
    #[cfg_attr(feature = "api", schema(value_type = String, example = "owner"))]
    pub by: Actor,
}

/// When, by whom and why a token was revoked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "api", derive(utoipa::ToSchema))]
pub struct Revocation {
    /// When.
    #[cfg_attr(feature = "api", schema(value_type = String, format = DateTime))]
    pub at: Timestamp,
    /// By whom: `system`, `owner`, `admin:ID` or `token:ID`.
    #[cfg_attr(feature = "api", schema(value_type = String, example = "owner"))]
    pub by: Actor,
    /// Why.
    #[cfg_attr(feature = "api", schema(value_type = String, example = "requested"))]
    pub reason: RevocationReason,
}

/// Which named things a token reaches: `"all"`, or a list of exact names and of prefixes followed
/// by `*`. An empty list reaches nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "api", derive(utoipa::ToSchema))]
#[serde(untagged, expecting = "`\"all\"` or a list of names")]
pub enum Resources {
    /// Everything.
    All(All),
    /// These.
    Listed(Vec<String>),
}

/// The word `all`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "api", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum All {
    /// The word `all`.
    All,
}

/// From where a token may be used: `"anywhere"`, or a list of networks in CIDR notation. An empty
/// list lets nobody use it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "api", derive(utoipa::ToSchema))]
#[serde(untagged, expecting = "`\"anywhere\"` or a list of networks")]
pub enum Networks {
    /// From anywhere.
    Anywhere(Anywhere),
    /// From these, such as `10.0.0.0/8`.
    Listed(Vec<String>),
}

/// The word `anywhere`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "api", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Anywhere {
    /// The word `anywhere`.
    Anywhere,
}

/// The answer that shows a new secret, the one time it is shown.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "api", derive(utoipa::ToSchema))]
pub struct Issued {
    /// The whole text of the token. It is absent where an idempotency key was used before: the
    /// secret was shown then, and nobody knows it any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "api", schema(value_type = Option<String>, nullable = false))]
    pub secret: Option<Secret>,
    /// The token.
    pub token: Token,
}

/// The text of a token on its way. It is shown by `Debug` as what it is, not as what it says, and
/// wiped from memory when dropped.
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes the text.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    /// The text.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // What stands there instead may be a secret too, and is not repeated.
        let text = String::deserialize(deserializer);
        text.map(Self::new).map_err(|_| serde::de::Error::custom("expected a string"))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(redacted)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_in_the_place_of_a_secret_is_not_repeated() {
        for json in
            ["53", "-5.3", "true", "null", r#"["53cret"]"#, r#"{"53cret":1}"#, r#""53\ud800""#]
        {
            let error = serde_json::from_str::<Secret>(json).unwrap_err().to_string();
            assert!(error.starts_with("expected a string") && !error.contains("53"), "{error}");
        }
        let whole = r#"{"secret":["53cret"],"token":{}}"#;
        let error = serde_json::from_str::<Issued>(whole).unwrap_err().to_string();
        assert!(!error.contains("53cret"), "{error}");
        assert_eq!(serde_json::from_str::<Secret>("\"x\"").unwrap().expose(), "x");
    }
}
