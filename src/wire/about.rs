//! What a client has to know before it makes a token.

use serde::{Deserialize, Serialize};

use super::token::Secret;
use crate::clock::Timestamp;
use crate::token::Kind;

/// All scopes of the app.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "api", derive(utoipa::ToSchema))]
pub struct Catalog {
    /// The scopes in the order in which to offer them.
    pub scopes: Vec<Scope>,
    /// Sets of scopes that are offered as one choice.
    pub presets: Vec<Preset>,
}

/// One scope.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "api", derive(utoipa::ToSchema))]
pub struct Scope {
    /// The scope.
    pub scope: String,
    /// What people see in place of it.
    pub title: String,
    /// One sentence on what it allows; may be empty.
    pub description: String,
    /// The heading under which to offer it; may be empty.
    pub group: String,
    /// The other scopes that it includes.
    pub implies: Vec<String>,
    /// The kinds of token that may be granted it.
    #[cfg_attr(feature = "api", schema(value_type = Vec<String>))]
    pub kinds: Vec<Kind>,
    /// Whether every token has it.
    pub always: bool,
    /// Whether the caller may grant it to a personal token now.
    pub grantable: bool,
}

/// A set of scopes that is offered as one choice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "api", derive(utoipa::ToSchema))]
pub struct Preset {
    /// Its name.
    pub name: String,
    /// The scopes it stands for.
    pub scopes: Vec<String>,
    /// Whether the caller may grant all of it to a personal token now.
    pub grantable: bool,
}

/// What the app allows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "api", derive(utoipa::ToSchema))]
pub struct Policy {
    /// The brand that every token starts with.
    pub brand: String,
    /// How long a token lives if nobody says, in seconds.
    pub default_lifetime_seconds: i64,
    /// Shortest life of a token, in seconds.
    pub min_lifetime_seconds: i64,
    /// Longest life of a token, in seconds.
    pub max_lifetime_seconds: i64,
    /// Whether a token may live for ever.
    pub allow_never: bool,
    /// Most live personal tokens of an owner; any number if `null`.
    #[cfg_attr(feature = "api", schema(required))]
    pub quota: Option<u32>,
    /// Whether an owner's live tokens have different names.
    pub unique_names: bool,
    /// How long the older secret stays good after a rotation if nobody says, in seconds.
    pub overlap_seconds: i64,
    /// Longest overlap, in seconds.
    pub max_overlap_seconds: i64,
    /// How long a token may go unused before it is revoked, in seconds; for as long as it lives if
    /// `null`.
    #[cfg_attr(feature = "api", schema(required))]
    pub max_idle_seconds: Option<i64>,
    /// How old a confirmation may be, in seconds; none is needed if `null`.
    #[cfg_attr(feature = "api", schema(required))]
    pub confirmation_seconds: Option<i64>,
    /// Whether the caller may hold tokens at all.
    pub may_hold_tokens: bool,
}

/// Who is signed in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "api", derive(utoipa::ToSchema))]
pub struct Session {
    /// The organisation.
    pub tenant: String,
    /// Whose tokens are theirs.
    pub owner: String,
    /// What people call them.
    pub name: String,
    /// Whether they look after other owners' tokens.
    pub is_administrator: bool,
    /// The one tenant they look after; every one if `null`.
    #[cfg_attr(feature = "api", schema(required))]
    pub administered_tenant: Option<String>,
    /// Until when what needs a confirmation can be done; `null` if it must be confirmed first.
    #[cfg_attr(feature = "api", schema(value_type = Option<String>, format = DateTime, required))]
    pub confirmed_until: Option<Timestamp>,
    /// Where to confirm who one is, if that is not done by `POST /session/confirm`.
    #[cfg_attr(feature = "api", schema(required))]
    pub confirmation_page: Option<String>,
    /// What to send as `X-CSRF-Token` with every request that changes something.
    pub csrf_token: String,
}

/// A proof that whoever is signed in is present.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "api", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct ConfirmSession {
    /// The password, or whatever the host app asks for; 1 to 1,024 bytes.
    #[cfg_attr(feature = "api", schema(value_type = String, format = Password, min_length = 1, max_length = 1024))]
    pub secret: Secret,
}
