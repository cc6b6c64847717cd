//! What happens to owners.

/// What happened to an owner, as the host app tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum OwnerChange {
    /// The password or another factor was changed.
    PasswordChanged,
    /// The account was deactivated; the owner directory now says so.
    Suspended,
    /// The account was activated again. Revoked tokens stay revoked.
    Reinstated,
    /// The account is gone; its tokens are revoked.
    Deleted,
}
