//! What changes tokens.

use serde::{Deserialize, Deserializer, Serialize};

use super::list::Filter;
use super::token::{Networks, Resources};
use crate::clock::Timestamp;
use crate::token::TokenId;

/// A token to be made. Ask for scopes, for presets, or for both; or for a copy.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "api", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct NewToken {
    /// What to call it: 1 to 100 characters.
    #[cfg_attr(feature = "api", schema(min_length = 1, max_length = 100))]
    pub name: String,
    /// What to say of it: at most 1,000 characters.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "api", schema(nullable = false, max_length = 1000))]
    pub description: Option<String>,
    /// The scopes to grant.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "api", schema(nullable = false, min_items = 1, max_items = 64))]
    pub scopes: Option<Vec<String>>,
    /// The presets whose scopes to grant.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "api", schema(nullable = false, min_items = 1, max_items = 64))]
    pub presets: Option<Vec<String>>,
    /// Which named things it reaches; none unless given.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "api", schema(nullable = false))]
    pub resources: Option<Resources>,
    /// From where it may be used; from anywhere unless given.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "api", schema(nullable = false))]
    pub networks: Option<Networks>,
    /// For how long it lives, in seconds; policy's default unless given. Not together with
    /// `expires_at`.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "api", schema(nullable = false, minimum = 1))]
    pub lifetime_seconds: Option<i64>,
    /// When it ends: an instant, or `never` where policy allows that.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "api", schema(nullable = false))]
    pub expires_at: Option<String>,
    /// From when it is usable; at once unless given.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "api", schema(value_type = Option<String>, format = DateTime, nullable = false))]
    pub not_before: Option<Timestamp>,
    /// What the app keeps with it: at most 4,096 bytes of JSON.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "api", schema(nullable = false))]
    pub metadata: Option<serde_json::Map<String, serde_json::Value>>,
    /// The token to copy. A copy has the settings of the other and a life as long as the other
    /// was given; only the name is said anew.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "api", schema(value_type = Option<String>, pattern = "^[0-9A-Za-z]{16}$", nullable = false))]
    pub copy_of: Option<TokenId>,
}

/// New settings of a token. What is not given stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "api", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Edit {
    /// A new name: 1 to 100 characters.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "api", schema(nullable = false, min_length = 1, max_length = 100))]
    pub name: Option<String>,
    /// A new description, at most 1,000 characters; `null` for none.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "api", schema(value_type = Option<String>, max_length = 1000))]
    pub description: Option<Option<String>>,
    /// The scopes in place of the old ones.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "api", schema(nullable = false, min_items = 1, max_items = 64))]
    pub scopes: Option<Vec<String>>,
    /// The presets whose scopes are in place of the old ones.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "api", schema(nullable = false, min_items = 1, max_items = 64))]
    pub presets: Option<Vec<String>>,
    /// Other resources.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "api", schema(nullable = false))]
    pub resources: Option<Resources>,
    /// Other networks.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "api", schema(nullable = false))]
    pub networks: Option<Networks>,
    /// A new life, in seconds from now on. Not together with `expires_at`.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "api", schema(nullable = false, minimum = 1))]
    pub lifetime_seconds: Option<i64>,
    /// Another end: an instant, or `never` where policy allows that.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "api", schema(nullable = false))]
    pub expires_at: Option<String>,
    /// Other metadata, at most 4,096 bytes of JSON; it replaces the old whole.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "api", schema(nullable = false))]
    pub metadata: Option<serde_json::Map<String, serde_json::Value>>,
}

/// How to rotate a token.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "api", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Rotate {
    /// How long the older secret stays good, in seconds; policy's default unless given, `0` ends
    /// it at once.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "api", schema(nullable = false, minimum = 0))]
    pub overlap_seconds: Option<i64>,
    /// A new life of the token, in seconds from now on; its end stays as it is unless given. Not
    /// together with `expires_at`.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "api", schema(nullable = false, minimum = 1))]
    pub lifetime_seconds: Option<i64>,
    /// A new end of the token: an instant, or `never` where policy allows that.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "api", schema(nullable = false))]
    pub expires_at: Option<String>,
}

/// Which tokens to revoke: these ids, or all that a filter admits. One of them must be given.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "api", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Revoke {
    /// These tokens, 1 to 100.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "api", schema(value_type = Option<Vec<String>>, nullable = false, min_items = 1, max_items = 100))]
    pub ids: Option<Vec<TokenId>>,
    /// All of these. An empty filter admits all live tokens in the caller's reach.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "api", schema(nullable = false))]
    pub filter: Option<Filter>,
}

/// Which tokens were revoked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "api", derive(utoipa::ToSchema))]
pub struct Revoked {
    /// Those that were not revoked before, what was made from them included, in any order.
    #[cfg_attr(feature = "api", schema(value_type = Vec<String>))]
    pub revoked: Vec<TokenId>,
}

/// Reads a member that is there. Where it cannot be `null`, `null` is refused and is not as good
/// as absent.
pub(super) fn given<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    T::deserialize(deserializer).map(Some)
}
