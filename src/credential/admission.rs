//! A request that was let in.

use std::net::IpAddr;

use super::duties::Duties;
use crate::engine::Verified;

/// A request that was let in: whose token it carries, and what its response must say.
#[derive(Debug, Clone)]
pub struct Admitted {
    verified: Verified,
    duties: Duties,
}

impl Admitted {
    pub(super) fn new(verified: Verified, duties: Duties) -> Self {
        Self { verified, duties }
    }

    /// The token.
    #[must_use]
    pub fn verified(&self) -> &Verified {
        &self.verified
    }

    /// The token, for the handler, and what to [apply](Duties::apply) to its response.
    #[must_use]
    pub fn into_parts(self) -> (Verified, Duties) {
        (self.verified, self.duties)
    }
}

/// The address of the client, in the extensions of a request.
///
/// Something that the app trusts puts it there: the listener, or a layer that reads a header which
/// the app's own proxy sets. The boundary itself believes no header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Peer(pub IpAddr);
