//! From the driver's errors to the store's.

use redis::{ErrorKind, RedisError, ServerErrorKind};

use crate::store::StoreError;

/// What a script says before the id of a record that it cannot read.
const CORRUPT: &str = "CORRUPT ";

pub(super) fn outage(error: RedisError) -> StoreError {
    let corrupt = error.detail().and_then(|detail| detail.split_once(CORRUPT));
    if let Some(id) = corrupt.and_then(|(_, rest)| rest.split(' ').next()) {
        return StoreError::Corrupt { id: id.to_owned(), column: "id" };
    }
    StoreError::unavailable(error)
}

/// Whether the server does not know the script yet.
pub(super) fn is_unknown_script(error: &RedisError) -> bool {
    error.kind() == ErrorKind::Server(ServerErrorKind::NoScript)
}

/// An answer that no script gives.
pub(super) fn unexpected() -> StoreError {
    StoreError::unavailable("the server gave an unexpected answer")
}
