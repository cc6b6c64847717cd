//! What a verification needs of a record.

use std::hint::black_box;
use std::sync::Arc;

use crate::clock::Timestamp;
use crate::scope::{Resources, ScopeCatalog, ScopeSet};
use crate::token::{
    Kind, Lifecycle, Networks, Owner, Record, RevocationReason, Rotation, Tenant, TokenDigest,
    TokenId,
};

/// What a verification needs of a record, kept together and cheap to copy: in the common case a
/// copy touches no shared count and allocates nothing.
///
/// Facts may be cached; verdicts may not.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Facts {
    /// The public id.
    pub id: TokenId,
    /// The kind.
    pub kind: Kind,
    /// Why it was revoked, if it was.
    pub revoked_for: Option<RevocationReason>,
    /// The digest of the current secret.
    pub digest: TokenDigest,
    /// The instants that decide the status.
    pub lifecycle: Lifecycle,
    /// Whose token it is.
    pub owner: Owner,
    /// What its scopes amount to.
    pub scopes: ScopeSet,
    /// When its last use was noted.
    pub last_used_at: Option<Timestamp>,
    /// The record's version.
    pub version: u64,
    /// What most tokens do not have.
    pub rare: Option<Arc<RareFacts>>,
}

/// What a verification needs of a record that most do not have.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct RareFacts {
    /// The organisation the owner belongs to.
    pub tenant: Tenant,
    /// Which named things the token reaches.
    pub resources: Resources,
    /// From which addresses it may be used.
    pub networks: Networks,
    /// Whom it is for.
    pub audience: Vec<String>,
    /// The token it was made from.
    pub parent: Option<TokenId>,
    /// The registered client it was issued to.
    pub client: Option<String>,
    /// Its last rotation.
    pub rotation: Option<Rotation>,
    /// The digest of the older secret.
    pub superseded: Option<TokenDigest>,
}

impl Facts {
    /// The facts of a record, its scopes resolved by a catalog.
    #[must_use]
    pub fn of(record: &Record, catalog: &ScopeCatalog) -> Self {
        Self::with(record, catalog.resolve(&record.token.scopes))
    }

    /// The facts of a record whose scopes amount to this.
    pub(crate) fn with(record: &Record, scopes: ScopeSet) -> Self {
        let token = &record.token;
        Self {
            id: token.id,
            kind: token.kind,
            revoked_for: token.revocation.as_ref().map(|revocation| revocation.reason),
            digest: record.digest.clone(),
            lifecycle: token.lifecycle(),
            owner: token.owner.clone(),
            scopes,
            last_used_at: token.last_use.as_ref().map(|used| used.at),
            version: token.version,
            rare: RareFacts::of(record).map(Arc::new),
        }
    }
}

impl Facts {
    /// The organisation the owner belongs to.
    #[must_use]
    pub fn tenant(&self) -> &Tenant {
        tenant(self.rare.as_deref())
    }

    /// Reads a word of every part, so that all of the facts are on their way from memory while
    /// the secret is hashed.
    pub(crate) fn fetch_early(&self) {
        black_box((self.kind, self.digest.is_usable(), self.lifecycle.issued_at));
        black_box((self.last_used_at, self.version, self.rare.is_some()));
    }

    fn rotation(&self) -> Option<Rotation> {
        self.rare.as_ref()?.rotation
    }

    /// Whether the older secret, if there is one, is refused at `now`.
    pub(crate) fn grace_is_over(&self, now: Timestamp) -> bool {
        self.rotation().is_none_or(|rotation| now >= rotation.grace_until)
    }

    /// Whether the current secret came by rotation and was never used.
    pub(crate) fn awaits_first_use(&self) -> bool {
        self.rotation().is_some_and(|rotation| rotation.first_used_at.is_none())
    }
}

/// The organisation that these facts tell of; the default one is not rare.
pub(crate) fn tenant(rare: Option<&RareFacts>) -> &Tenant {
    const DEFAULT: &Tenant = &Tenant::DEFAULT;
    rare.map_or(DEFAULT, |rare| &rare.tenant)
}

impl RareFacts {
    fn of(record: &Record) -> Option<Self> {
        let token = &record.token;
        let common = token.tenant == Tenant::DEFAULT
            && token.resources == Resources::none()
            && token.networks == Networks::Anywhere
            && token.audience.is_empty()
            && token.parent.is_none()
            && token.client.is_none()
            && token.rotation.is_none()
            && record.superseded.is_none();
        (!common).then(|| Self {
            tenant: token.tenant.clone(),
            resources: token.resources.clone(),
            networks: token.networks.clone(),
            audience: token.audience.clone(),
            parent: token.parent,
            client: token.client.clone(),
            rotation: token.rotation,
            superseded: record.superseded.clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_fit_four_cache_lines() {
        assert!(size_of::<Facts>() <= 256, "{}", size_of::<Facts>());
    }
}
