//! What can go wrong in a store.

use crate::token::TokenId;

/// Why a store did not do what it was asked.
///
/// An error means that the answer is unknown. It never means that a token is denied.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The step was refused because of what is stored; nothing was changed.
    #[error(transparent)]
    Conflict(#[from] Conflict),
    /// A stored row cannot be understood.
    #[error("the record of token {id} is corrupt in `{column}`")]
    Corrupt {
        /// The row, as the store names it.
        id: String,
        /// The part that cannot be understood.
        column: &'static str,
    },
    /// The store's tables are not those of this version.
    #[error("the store's schema does not fit: {0}")]
    Schema(String),
    /// The store cannot be reached, is overloaded, or failed. Whether a change took place is
    /// unknown.
    #[error("the store is unavailable")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl StoreError {
    /// An outage with this cause.
    pub fn unavailable(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Unavailable(cause.into())
    }
}

/// What is already stored that stands against a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Conflict {
    /// There is a record with this id. A store may remember the ids it purged and refuse them too.
    #[error("the token id is taken")]
    IdTaken,
    /// A live token of the owner has this name.
    #[error("token {by} of the owner has this name")]
    NameTaken {
        /// The token that has the name.
        by: TokenId,
    },
    /// The owner holds as many live tokens of the kind as allowed.
    #[error("the owner holds {limit} live tokens, the most allowed")]
    QuotaFull {
        /// The most live tokens allowed.
        limit: u32,
    },
    /// The same issue was asked for before.
    #[error("the request was made before and gave token {id}")]
    Replayed {
        /// The token it gave.
        id: TokenId,
    },
    /// The record was changed since it was read.
    #[error("the token was changed in the meantime")]
    Stale {
        /// The record's version now.
        current: u64,
    },
    /// The record is revoked and cannot change any more.
    #[error("the token is revoked")]
    Revoked,
}
