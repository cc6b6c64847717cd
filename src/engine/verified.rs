//! Proof that a presented token passed.

use std::net::IpAddr;
use std::sync::Arc;

use super::denial::Forbidden;
use super::judge::Rest;
use crate::clock::Timestamp;
use crate::scope::{Resources, ScopeSet};
use crate::store::{Facts, RareFacts, tenant};
use crate::token::{Actor, Kind, KindSet, Owner, Tenant, TokenId};

/// What is known of a presentation beside the text.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    /// The instant; the engine's clock if absent.
    pub now: Option<Timestamp>,
    /// The client's address, from a source the app trusts.
    pub ip: Option<IpAddr>,
    /// The client's `User-Agent`.
    pub agent: Option<&'a str>,
    /// The kinds accepted here; [`KindSet::CALLING`] unless set.
    pub kinds: KindSet,
    /// As whom the app accepts tokens. Unless set, only tokens without audience are accepted:
    /// those meant for the app that issued them.
    pub audience: Option<&'a str>,
}

impl Default for Context<'_> {
    fn default() -> Self {
        Self { now: None, ip: None, agent: None, kinds: KindSet::CALLING, audience: None }
    }
}

/// Proof that a presented token passed every check. Only the engine can make one.
///
/// What it grants is the token's scopes, less what its owner may not do any more, less what
/// policy takes away.
///
/// ```
/// # use hallpass::{Verified, Forbidden};
/// fn may_push(token: &Verified) -> Result<(), Forbidden> {
///     token.require("repo:write")?.on("org/project")?;
///     Ok(())
/// }
/// ```
#[derive(Debug, Clone)]
pub struct Verified {
    id: TokenId,
    kind: Kind,
    owner: Owner,
    scopes: ScopeSet,
    expires_at: Option<Timestamp>,
    rare: Option<Arc<RareFacts>>,
}

impl Verified {
    #[inline]
    pub(super) fn new(facts: &Facts, Rest { scopes, expires_at }: Rest) -> Self {
        Self {
            id: facts.id,
            kind: facts.kind,
            owner: facts.owner.clone(),
            scopes,
            expires_at,
            rare: facts.rare.clone(),
        }
    }

    /// The token's public id.
    #[must_use]
    pub fn id(&self) -> &TokenId {
        &self.id
    }

    /// The token's kind.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The organisation of the owner.
    #[must_use]
    pub fn tenant(&self) -> &Tenant {
        tenant(self.rare.as_deref())
    }

    /// Whom the token speaks for.
    #[must_use]
    pub fn owner(&self) -> &Owner {
        &self.owner
    }

    /// What the token grants, implied scopes too.
    #[must_use]
    pub fn scopes(&self) -> &ScopeSet {
        &self.scopes
    }

    /// When the token ends, by its own end or by policy; never if absent.
    #[must_use]
    pub fn expires_at(&self) -> Option<Timestamp> {
        self.expires_at
    }

    /// The token it was exchanged from.
    #[must_use]
    pub fn parent(&self) -> Option<TokenId> {
        self.rare.as_ref()?.parent
    }

    /// Whom the token is for; the app that issued it if empty.
    #[must_use]
    pub fn audience(&self) -> &[String] {
        self.rare.as_ref().map(|rare| rare.audience.as_slice()).unwrap_or_default()
    }

    /// The registered client it was issued to.
    #[must_use]
    pub fn client(&self) -> Option<&str> {
        self.rare.as_ref()?.client.as_deref()
    }

    /// As records name whoever presented the token.
    #[must_use]
    pub fn actor(&self) -> Actor {
        Actor::Token(self.id)
    }

    /// Whether the token grants this scope.
    #[must_use]
    pub fn grants(&self, scope: &str) -> bool {
        self.scopes.grants(scope)
    }

    /// Goes on only if the token grants this scope.
    ///
    /// # Errors
    /// [`Forbidden::Scope`] if it does not.
    pub fn require(&self, scope: &str) -> Result<&Self, Forbidden> {
        if self.grants(scope) {
            Ok(self)
        } else {
            Err(Forbidden::Scope { scope: scope.to_owned() })
        }
    }

    /// Goes on only if the token reaches this resource.
    ///
    /// # Errors
    /// [`Forbidden::Resource`] if it does not.
    pub fn on(&self, resource: &str) -> Result<&Self, Forbidden> {
        if self.resources().is_some_and(|resources| resources.reach(resource)) {
            Ok(self)
        } else {
            Err(Forbidden::Resource)
        }
    }

    /// Which resources the token reaches; none if absent.
    #[must_use]
    pub fn resources(&self) -> Option<&Resources> {
        self.rare.as_ref().map(|rare| &rare.resources)
    }
}
