//! What other nodes did, as a backend tells it.

use std::fmt;

use async_trait::async_trait;

use super::error::StoreError;
use crate::token::TokenId;

/// Something a backend tells every node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Notice {
    /// The record has this version now, or a later one; or it was issued with this id.
    Changed {
        /// The token.
        id: TokenId,
        /// The record's version after the change.
        version: u64,
    },
    /// Notices may have been lost. Whatever was read before may be stale.
    Gap,
    /// Nothing happened, and the channel works.
    Alive,
}

/// The notices of a backend, from one subscription on.
///
/// # Contract
/// - A change that was committed after the first [`Notice::Gap`] is told, or another `Gap` is.
/// - Notices may be repeated and come in another order than the changes they tell of.
/// - The first notice of a subscription, and the first after any interruption, is `Gap`.
/// - A working channel gives a notice at least once a second, `Alive` if nothing else; so a
///   channel that is silent for longer is broken.
#[async_trait]
pub trait Changes: fmt::Debug + Send {
    /// Waits for the next notice. Dropping the future loses none.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if the channel broke; the next call tries to connect again.
    async fn next(&mut self) -> Result<Notice, StoreError>;
}
