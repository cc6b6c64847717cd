//! Which records a list or a revocation is about, and in which order.

use crate::clock::Timestamp;
use crate::scope::{Scope, ScopeList};
use crate::token::{
    Kind, KindSet, Lifecycle, Owner, Record, Status, Tenant, Token, TokenId, TokenName, fold,
};

/// How far a filter reaches. Everything is a value somebody wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reach {
    /// Every token.
    All,
    /// The tokens of a tenant.
    Tenant(Tenant),
    /// The tokens of an owner.
    Owner(Tenant, Owner),
    /// A token and what was made from it.
    Family(TokenId),
}

/// Some records: those in reach for which every given condition holds.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Filter {
    /// How far the filter reaches.
    pub reach: Reach,
    /// Only these ids.
    pub ids: Option<Vec<TokenId>>,
    /// Only these kinds.
    pub kinds: KindSet,
    /// Only these statuses, at the instant the operation is given.
    pub statuses: Option<Vec<Status>>,
    /// Only tokens whose name, description or id contains this text, whatever its case. The
    /// characters `%`, `_` and `\` have no meaning.
    pub text: Option<String>,
    /// Only tokens to which this very scope was granted.
    pub scope: Option<Scope>,
    /// Only tokens issued before this instant.
    pub created_before: Option<Timestamp>,
    /// Only tokens that end at or after this instant.
    pub expires_from: Option<Timestamp>,
    /// Only tokens that end before this instant.
    pub expires_before: Option<Timestamp>,
    /// Only tokens last used before this instant, or never.
    pub unused_since: Option<Timestamp>,
    /// Only tokens of this client.
    pub client: Option<String>,
}

impl Filter {
    /// Every record in reach.
    #[must_use]
    pub fn new(reach: Reach) -> Self {
        Self {
            reach,
            ids: None,
            kinds: KindSet::ALL,
            statuses: None,
            text: None,
            scope: None,
            created_before: None,
            expires_from: None,
            expires_before: None,
            unused_since: None,
            client: None,
        }
    }

    /// Whether a record is one of those meant, at `now`: the reference for every store.
    #[must_use]
    pub fn admits(&self, record: &Record, now: Timestamp) -> bool {
        self.admits_outline(&Outline::from(&record.token), now)
    }

    pub(super) fn admits_outline(&self, token: &Outline<'_>, now: Timestamp) -> bool {
        let in_reach = match &self.reach {
            Reach::All => true,
            Reach::Tenant(tenant) => tenant == token.tenant,
            Reach::Owner(tenant, owner) => tenant == token.tenant && owner == token.owner,
            Reach::Family(root) => *root == token.id || Some(*root) == token.parent,
        };
        fn holds<T>(condition: Option<&T>, check: impl FnOnce(&T) -> bool) -> bool {
            condition.is_none_or(check)
        }
        in_reach
            && self.kinds.contains(token.kind)
            && holds(self.ids.as_ref(), |ids| ids.contains(&token.id))
            && holds(self.statuses.as_ref(), |some| some.contains(&token.lifecycle.status(now)))
            && holds(self.text.as_ref(), |text| {
                let text = fold(text);
                token.name.key().contains(&text)
                    || token.description.is_some_and(|said| fold(said).contains(&text))
                    || fold(token.id.as_str()).contains(&text)
            })
            && holds(self.scope.as_ref(), |scope| token.scopes.contains(scope.as_str()))
            && holds(self.created_before.as_ref(), |instant| token.created_at < *instant)
            && holds(self.expires_from.as_ref(), |instant| {
                token.lifecycle.expires_at.is_some_and(|end| end >= *instant)
            })
            && holds(self.expires_before.as_ref(), |instant| {
                token.lifecycle.expires_at.is_some_and(|end| end < *instant)
            })
            && holds(self.unused_since.as_ref(), |instant| {
                token.last_used_at.is_none_or(|used| used < *instant)
            })
            && holds(self.client.as_ref(), |client| token.client == Some(client))
    }
}

/// What filters and sort keys look at, wherever it lies.
pub(super) struct Outline<'a> {
    pub(super) id: TokenId,
    pub(super) kind: Kind,
    pub(super) tenant: &'a Tenant,
    pub(super) owner: &'a Owner,
    pub(super) name: &'a TokenName,
    pub(super) description: Option<&'a str>,
    pub(super) scopes: &'a ScopeList,
    pub(super) created_at: Timestamp,
    pub(super) lifecycle: Lifecycle,
    pub(super) last_used_at: Option<Timestamp>,
    pub(super) parent: Option<TokenId>,
    pub(super) client: Option<&'a str>,
}

impl<'a> From<&'a Token> for Outline<'a> {
    fn from(token: &'a Token) -> Self {
        Self {
            id: token.id,
            kind: token.kind,
            tenant: &token.tenant,
            owner: &token.owner,
            name: &token.name,
            description: token.description.as_deref(),
            scopes: &token.scopes,
            created_at: token.created_at,
            lifecycle: token.lifecycle(),
            last_used_at: token.last_use.as_ref().map(|used| used.at),
            parent: token.parent,
            client: token.client.as_deref(),
        }
    }
}

/// By what a list is sorted. Records that are equal in it are sorted by id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SortKey {
    /// When the token was issued.
    CreatedAt,
    /// The name's [key](crate::TokenName::key), by bytes.
    Name,
    /// When the token ends; those that never do are last.
    ExpiresAt,
    /// When the token was last used; those that never were are first.
    LastUsedAt,
}

impl SortKey {
    /// The value a record is sorted by.
    #[must_use]
    pub fn value_of(self, record: &Record) -> SortValue {
        self.value_of_token(&record.token)
    }

    /// The value a token is sorted by: that of its record.
    #[must_use]
    pub fn value_of_token(self, token: &Token) -> SortValue {
        self.value_in(&Outline::from(token))
    }

    #[inline]
    pub(super) fn value_in(self, token: &Outline<'_>) -> SortValue {
        match self {
            Self::CreatedAt => SortValue::Number(token.created_at.as_micros()),
            Self::Name => SortValue::Text(token.name.key()),
            Self::ExpiresAt => {
                SortValue::Number(token.lifecycle.expires_at.map_or(i64::MAX, Timestamp::as_micros))
            }
            Self::LastUsedAt => {
                SortValue::Number(token.last_used_at.map_or(0, Timestamp::as_micros))
            }
        }
    }
}

/// A value records are sorted by.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum SortValue {
    /// Microseconds since the Unix epoch; `0` for never used, `i64::MAX` for no end.
    Number(i64),
    /// A name's key.
    Text(String),
}

/// The place of one record in a sorted list.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// What it is sorted by.
    pub value: SortValue,
    /// Its id.
    pub id: TokenId,
}

/// One page of a sorted list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageRequest {
    /// By what the list is sorted.
    pub sort: SortKey,
    /// Whether it runs backwards, ids too.
    pub descending: bool,
    /// After which record the page starts.
    pub after: Option<Position>,
    /// Most records of the page; at least 1.
    pub limit: u32,
}
