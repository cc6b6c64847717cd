//! Which tokens a list or a bulk revocation is about.

use serde::{Deserialize, Serialize};

use super::change::given;
use super::token::Token;
use crate::clock::Timestamp;
use crate::token::{Kind, Status, TokenId};

/// Some tokens: those in the caller's reach for which every given condition holds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "api", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Filter {
    /// Only these statuses. Unless given, all but `revoked` in a list, and all that are live in a
    /// revocation.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "api", schema(value_type = Option<Vec<String>>, nullable = false, min_items = 1))]
    pub status: Option<Vec<Status>>,
    /// Only these kinds; `pat` and `app` unless given.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "api", schema(value_type = Option<Vec<String>>, nullable = false, min_items = 1))]
    pub kind: Option<Vec<Kind>>,
    /// Only tokens whose name, description or id contains this text, whatever its case; 2 to 100
    /// characters. No character has a meaning of its own.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "api", schema(nullable = false, min_length = 2, max_length = 100))]
    pub q: Option<String>,
    /// Only tokens to which this very scope was granted.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "api", schema(nullable = false))]
    pub scope: Option<String>,
    /// Only tokens issued before this instant.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "api", schema(value_type = Option<String>, format = DateTime, nullable = false))]
    pub created_before: Option<Timestamp>,
    /// Only tokens that end at or after this instant.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "api", schema(value_type = Option<String>, format = DateTime, nullable = false))]
    pub expires_from: Option<Timestamp>,
    /// Only tokens that end before this instant.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "api", schema(value_type = Option<String>, format = DateTime, nullable = false))]
    pub expires_before: Option<Timestamp>,
    /// Only tokens last used before this instant, or never.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "api", schema(value_type = Option<String>, format = DateTime, nullable = false))]
    pub unused_since: Option<Timestamp>,
    /// Only tokens of this client.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "api", schema(nullable = false))]
    pub client: Option<String>,
    /// Only tokens of this owner, of the default tenant unless `tenant` is given too. For
    /// administrators.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "api", schema(nullable = false))]
    pub owner: Option<String>,
    /// Only tokens of this tenant. For administrators.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "api", schema(nullable = false))]
    pub tenant: Option<String>,
    /// Only this token and what was made from it.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "api", schema(value_type = Option<String>, nullable = false))]
    pub family: Option<TokenId>,
}

/// By what a list is sorted. A minus sign before it turns the order round.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sort {
    /// When the token was issued.
    #[default]
    CreatedAt,
    /// The name.
    Name,
    /// When the token ends.
    ExpiresAt,
    /// When the token was last used.
    LastUsedAt,
}

impl Sort {
    /// Every order.
    pub const ALL: [Self; 4] = [Self::CreatedAt, Self::Name, Self::ExpiresAt, Self::LastUsedAt];

    /// The word for it in a query.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::CreatedAt => "created_at",
            Self::Name => "name",
            Self::ExpiresAt => "expires_at",
            Self::LastUsedAt => "last_used_at",
        }
    }
}

/// The query of a list.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ListQuery {
    /// Which tokens.
    pub filter: Filter,
    /// In which order, and whether backwards; the newest first unless given.
    pub sort: Option<(Sort, bool)>,
    /// Tokens a page, 1 to 100; 25 unless given.
    pub limit: Option<u32>,
    /// Where the page starts: what the page before it gave as `next`.
    pub cursor: Option<String>,
}

impl ListQuery {
    /// Names and values of the query, to be percent-encoded by whoever sends it.
    #[must_use]
    pub fn pairs(&self) -> Vec<(&'static str, String)> {
        let words = |words: &[&str]| words.join(",");
        let filter = &self.filter;
        let instant = |at: Option<Timestamp>| at.map(|at| at.to_string());
        let statuses = filter
            .status
            .as_ref()
            .map(|some| words(&some.iter().map(|one| one.as_str()).collect::<Vec<_>>()));
        let kinds = filter
            .kind
            .as_ref()
            .map(|some| words(&some.iter().map(|one| one.as_str()).collect::<Vec<_>>()));
        let sort = self.sort.map(|(sort, descending)| {
            format!("{}{}", if descending { "-" } else { "" }, sort.as_str())
        });
        let all = [
            ("status", statuses),
            ("kind", kinds),
            ("q", filter.q.clone()),
            ("scope", filter.scope.clone()),
            ("created_before", instant(filter.created_before)),
            ("expires_from", instant(filter.expires_from)),
            ("expires_before", instant(filter.expires_before)),
            ("unused_since", instant(filter.unused_since)),
            ("client", filter.client.clone()),
            ("owner", filter.owner.clone()),
            ("tenant", filter.tenant.clone()),
            ("family", filter.family.map(|id| id.to_string())),
            ("sort", sort),
            ("limit", self.limit.map(|limit| limit.to_string())),
            ("cursor", self.cursor.clone()),
        ];
        all.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
    }
}

/// A page of tokens.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "api", derive(utoipa::ToSchema))]
pub struct Page {
    /// The tokens.
    pub tokens: Vec<Token>,
    /// What to give as `cursor` for the next page, with everything else but `limit` as it was;
    /// `null` on the last one. Good for a day.
    #[cfg_attr(feature = "api", schema(required))]
    pub next: Option<String>,
}
