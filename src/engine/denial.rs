//! Why a presented text was not accepted.

use std::fmt;

use crate::owner::OwnerDirectoryError;
use crate::store::StoreError;
use crate::token::TokenId;

/// Why verification gave no [`Verified`](super::Verified): a denial or an outage, never mixed up.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// The text is refused. Answer 401.
    #[error(transparent)]
    Denied(#[from] Denial),
    /// It cannot be told whether the text is good. Answer 503: a client that is told 401 throws a
    /// good token away.
    #[error("tokens cannot be verified right now")]
    Unavailable(#[from] Outage),
}

/// A refusal. Its text is the same for every reason; [`reason`](Self::reason) is for the app's own
/// eyes.
#[derive(Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the access token is invalid")]
pub struct Denial {
    pub(super) reason: DenialReason,
    pub(super) id: Option<TokenId>,
}

impl Denial {
    /// The exact reason. Telling it to the client helps whoever is guessing.
    #[must_use]
    pub fn reason(&self) -> DenialReason {
        self.reason
    }

    /// The id in the text, if it was a token's text.
    #[must_use]
    pub fn id(&self) -> Option<TokenId> {
        self.id
    }
}

impl fmt::Debug for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Denial").field("reason", &self.reason).field("id", &self.id).finish()
    }
}

/// The refusal of a text with this id for this reason.
pub(super) fn denied(id: Option<&TokenId>, reason: DenialReason) -> VerifyError {
    VerifyError::Denied(Denial { reason, id: id.copied() })
}

/// Exactly why a text was refused.
///
/// As wide as a word, as [`Kind`](crate::Kind) is: what is returned either with a reason or with a
/// value is then copied as words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u64)]
#[non_exhaustive]
pub enum DenialReason {
    /// Not a token of this app: grammar, brand or checksum.
    Malformed,
    /// A kind that is not accepted here.
    WrongKind,
    /// No such token.
    Unknown,
    /// The token exists, the secret is wrong.
    WrongSecret,
    /// The stored digest cannot be used.
    UnusableDigest,
    /// The secret was replaced, and the overlap is over.
    Superseded,
    /// The token is revoked.
    Revoked,
    /// The token is suspended.
    Suspended,
    /// Before the token's not-before instant.
    NotYetValid,
    /// At or after the token's end, or the end that policy sets.
    Expired,
    /// The owner does not exist.
    OwnerUnknown,
    /// The owner is not active.
    OwnerInactive,
    /// The owner's sort of account may not hold tokens.
    OwnerKind,
    /// The token it was made from is gone, revoked, suspended or expired.
    ParentEnded,
    /// The token is for somebody else.
    WrongAudience,
    /// The address is not in the token's networks, or not known.
    WrongNetwork,
    /// The token was issued to another client.
    WrongClient,
}

impl DenialReason {
    /// Every reason, in order of declaration.
    pub(super) const ALL: [Self; 17] = [
        Self::Malformed,
        Self::WrongKind,
        Self::Unknown,
        Self::WrongSecret,
        Self::UnusableDigest,
        Self::Superseded,
        Self::Revoked,
        Self::Suspended,
        Self::NotYetValid,
        Self::Expired,
        Self::OwnerUnknown,
        Self::OwnerInactive,
        Self::OwnerKind,
        Self::ParentEnded,
        Self::WrongAudience,
        Self::WrongNetwork,
        Self::WrongClient,
    ];
}

/// What is out of order.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Outage {
    /// The store.
    #[error("the token store failed")]
    Store(#[from] StoreError),
    /// The owner directory.
    #[error("the owner directory failed")]
    Owners(#[from] OwnerDirectoryError),
    /// A pepper that a stored digest names is not in the ring.
    #[error("the pepper of token {id} is missing")]
    MissingPepper {
        /// The token.
        id: TokenId,
    },
}

/// A valid token may not do this. Answer 403.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Forbidden {
    /// The token lacks a scope, or its owner no longer has the right.
    #[error("the scope `{scope}` is missing")]
    Scope {
        /// The scope that was asked for.
        scope: String,
    },
    /// The token does not reach the resource.
    #[error("the token does not reach this resource")]
    Resource,
}
