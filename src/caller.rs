//! Who performs a management operation.

use crate::clock::Timestamp;
use crate::token::{Actor, Owner, Tenant};

/// Who performs a management operation, and when that was last confirmed.
///
/// A presented token is not a caller: tokens do not manage tokens. The host app makes a caller of
/// its own session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    role: Role,
    confirmed_at: Option<Timestamp>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Role {
    System,
    Admin { id: Owner, tenant: Option<Tenant> },
    Owner { tenant: Tenant, owner: Owner },
}

impl Caller {
    /// The app itself. It reaches every token and needs no confirmation.
    #[must_use]
    pub fn system() -> Self {
        Self { role: Role::System, confirmed_at: None }
    }

    /// A signed-in owner of the default tenant. It reaches its own tokens only.
    #[must_use]
    pub fn owner(owner: Owner) -> Self {
        Self::owner_in(Tenant::DEFAULT, owner)
    }

    /// A signed-in owner of a tenant. It reaches its own tokens only.
    #[must_use]
    pub fn owner_in(tenant: Tenant, owner: Owner) -> Self {
        Self { role: Role::Owner { tenant, owner }, confirmed_at: None }
    }

    /// An administrator of every tenant, by the host app's id.
    #[must_use]
    pub fn admin(id: Owner) -> Self {
        Self { role: Role::Admin { id, tenant: None }, confirmed_at: None }
    }

    /// An administrator of one tenant, by the host app's id.
    #[must_use]
    pub fn admin_in(tenant: Tenant, id: Owner) -> Self {
        Self { role: Role::Admin { id, tenant: Some(tenant) }, confirmed_at: None }
    }

    /// Notes when the caller last proved to be present, by password or passkey.
    #[must_use]
    pub fn confirmed_at(mut self, instant: Timestamp) -> Self {
        self.confirmed_at = Some(instant);
        self
    }

    /// As records and events name the caller.
    #[must_use]
    pub fn actor(&self) -> Actor {
        match &self.role {
            Role::System => Actor::System,
            Role::Admin { id, .. } => Actor::Admin(id.clone()),
            Role::Owner { .. } => Actor::Owner,
        }
    }

    /// Whether the caller may see and touch this owner's tokens.
    #[must_use]
    pub fn reaches(&self, tenant: &Tenant, owner: &Owner) -> bool {
        match &self.role {
            Role::System => true,
            Role::Admin { tenant: own, .. } => own.as_ref().is_none_or(|own| own == tenant),
            Role::Owner { tenant: own_tenant, owner: own } => own_tenant == tenant && own == owner,
        }
    }

    /// The one owner the caller is bound to, if it is an owner.
    #[must_use]
    pub fn bound_owner(&self) -> Option<(&Tenant, &Owner)> {
        match &self.role {
            Role::Owner { tenant, owner } => Some((tenant, owner)),
            _ => None,
        }
    }

    /// The one tenant the caller is bound to, if any.
    #[must_use]
    pub fn bound_tenant(&self) -> Option<&Tenant> {
        match &self.role {
            Role::System => None,
            Role::Admin { tenant, .. } => tenant.as_ref(),
            Role::Owner { tenant, .. } => Some(tenant),
        }
    }

    /// Whether the caller is the app itself.
    #[must_use]
    pub fn is_system(&self) -> bool {
        self.role == Role::System
    }

    /// When the caller last proved to be present.
    #[must_use]
    pub fn last_confirmation(&self) -> Option<Timestamp> {
        self.confirmed_at
    }
}
