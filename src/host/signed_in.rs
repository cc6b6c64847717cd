//! Who is signed in, as the host's own session tells.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use http::request::Parts;

use crate::caller::Caller;
use crate::clock::Timestamp;
use crate::token::{Owner, Tenant};

/// Tells from a request who is signed in to the host app.
///
/// # Contract
/// `Ok(None)` means nobody is. An error means "unknown", and is an outage. An account that is
/// deactivated is nobody. A token of the app is never looked at: requests that carry one do not
/// come here.
#[async_trait]
pub trait CallerResolver: fmt::Debug + Send + Sync + 'static {
    /// Who makes the request.
    ///
    /// # Errors
    /// [`HostOutage`] if the host cannot tell.
    async fn signed_in(&self, head: &Parts) -> Result<Option<SignedIn>, HostOutage>;
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<R: CallerResolver + ?Sized> CallerResolver for Arc<R> {
    async fn signed_in(&self, head: &Parts) -> Result<Option<SignedIn>, HostOutage> {
        (**self).signed_in(head).await
    }
}

/// The host app could not tell. The answer is an outage, never a denial.
#[derive(Debug, thiserror::Error)]
#[error("the host app cannot tell right now")]
pub struct HostOutage(#[source] pub Box<dyn std::error::Error + Send + Sync>);

impl HostOutage {
    /// An outage with this cause.
    pub fn new(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self(cause.into())
    }
}

/// Whose tokens somebody looks after, beside its own.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Administers {
    /// Nobody else's.
    #[default]
    Nothing,
    /// Those of a tenant.
    Tenant(Tenant),
    /// Everybody's.
    Everything,
}

/// Somebody who is signed in to the host app.
#[derive(Clone)]
pub struct SignedIn {
    tenant: Tenant,
    owner: Owner,
    session: [u8; 32],
    administers: Administers,
    name: Option<Box<str>>,
}

impl SignedIn {
    /// An owner of the default tenant who is signed in with this session.
    ///
    /// `session` is what the host knows the session by: at least as hard to guess as the session
    /// cookie, and another one after every sign-in, sign-out and change of the password. CSRF
    /// tokens and confirmations are bound to a digest of it; it is not kept itself.
    ///
    /// Give the id that the host has stored, always in one spelling, and the same until then.
    /// Wrong passwords are counted by it: whoever could change it, say by sending the cookie in
    /// other letters, would guess on for ever.
    #[must_use]
    pub fn new(owner: Owner, session: impl AsRef<[u8]>) -> Self {
        let session = blake3::derive_key("hallpass 2026-11-22 host session v1", session.as_ref());
        Self {
            tenant: Tenant::DEFAULT,
            owner,
            session,
            administers: Administers::Nothing,
            name: None,
        }
    }

    /// Of this tenant.
    #[must_use]
    pub fn in_tenant(mut self, tenant: Tenant) -> Self {
        self.tenant = tenant;
        self
    }

    /// Somebody who also looks after other owners' tokens.
    #[must_use]
    pub fn administers(mut self, administers: Administers) -> Self {
        self.administers = administers;
        self
    }

    /// What people call them; the owner's id unless given.
    #[must_use]
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into().into());
        self
    }

    /// The organisation.
    #[must_use]
    pub fn tenant(&self) -> &Tenant {
        &self.tenant
    }

    /// Whose tokens are theirs.
    #[must_use]
    pub fn owner(&self) -> &Owner {
        &self.owner
    }

    /// What people call them.
    #[must_use]
    pub fn name(&self) -> &str {
        self.name.as_deref().unwrap_or(self.owner.as_str())
    }

    /// Whose tokens they look after beside their own.
    #[must_use]
    pub fn administered(&self) -> &Administers {
        &self.administers
    }

    /// A digest of the session, the same for as long as the session is.
    #[must_use]
    pub fn session(&self) -> &[u8; 32] {
        &self.session
    }

    /// As the owner of their own tokens.
    #[must_use]
    pub fn as_owner(&self, confirmed_at: Option<Timestamp>) -> Caller {
        confirmed(Caller::owner_in(self.tenant.clone(), self.owner.clone()), confirmed_at)
    }

    /// As an administrator, if they are one.
    #[must_use]
    pub fn as_administrator(&self, confirmed_at: Option<Timestamp>) -> Option<Caller> {
        let caller = match &self.administers {
            Administers::Nothing => return None,
            Administers::Tenant(tenant) => Caller::admin_in(tenant.clone(), self.owner.clone()),
            Administers::Everything => Caller::admin(self.owner.clone()),
        };
        Some(confirmed(caller, confirmed_at))
    }
}

fn confirmed(caller: Caller, at: Option<Timestamp>) -> Caller {
    match at {
        Some(at) => caller.confirmed_at(at),
        None => caller,
    }
}

impl fmt::Debug for SignedIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignedIn")
            .field("tenant", &self.tenant)
            .field("owner", &self.owner)
            .field("administers", &self.administers)
            .finish_non_exhaustive()
    }
}
