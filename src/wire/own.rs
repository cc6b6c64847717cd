//! What a token may know and ask of itself, and what an administrator may ask of a text.

use serde::{Deserialize, Serialize};

use super::change::given;
use super::token::{Resources, Secret, Token};
use crate::clock::Timestamp;
use crate::token::{Kind, TokenId};

/// What a token is good for now, as whoever holds it may know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "api", derive(utoipa::ToSchema))]
pub struct Own {
    /// The public id.
    #[cfg_attr(feature = "api", schema(value_type = String, pattern = "^[0-9A-Za-z]{16}$"))]
    pub id: TokenId,
    /// What the token is for.
    #[cfg_attr(feature = "api", schema(value_type = String, example = "pat"))]
    pub kind: Kind,
    /// The organisation of the owner.
    pub tenant: String,
    /// Whom it speaks for.
    pub owner: String,
    /// What it grants now, implied scopes too.
    pub scopes: Vec<String>,
    /// Which named things it reaches.
    pub resources: Resources,
    /// Whom it is for; the app itself if empty.
    pub audience: Vec<String>,
    /// When it ends; never if `null`.
    #[cfg_attr(feature = "api", schema(value_type = Option<String>, format = DateTime, required))]
    pub expires_at: Option<Timestamp>,
}

/// What a token may be good for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "api", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Check {
    /// Scopes of the app, at most 64.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "api", schema(nullable = false, max_items = 64))]
    pub scopes: Option<Vec<String>>,
    /// Names of things, at most 64 of 1 to 256 characters.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "api", schema(nullable = false, max_items = 64))]
    pub resources: Option<Vec<String>>,
}

/// What a token would be refused for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "api", derive(utoipa::ToSchema))]
pub struct Checked {
    /// Whether nothing is missing.
    pub passes: bool,
    /// The scopes that it does not grant now.
    pub missing_scopes: Vec<String>,
    /// The things that it does not reach.
    pub missing_resources: Vec<String>,
}

/// A token that somebody came across.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "api", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Lookup {
    /// Its id, or its whole text.
    #[cfg_attr(feature = "api", schema(value_type = String, min_length = 16, max_length = 128))]
    pub text: Secret,
}

/// Whose token it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "api", derive(utoipa::ToSchema))]
pub struct Found {
    /// The token.
    pub token: Token,
    /// Whether the secret in the text is the token's; `null` if only an id was given.
    #[cfg_attr(feature = "api", schema(required))]
    pub secret: Option<SecretMatch>,
}

/// What a secret is to a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "api", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum SecretMatch {
    /// Its secret.
    Current,
    /// The secret it had before its last rotation.
    Superseded,
    /// Not a secret of it.
    Wrong,
}
