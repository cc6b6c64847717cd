//! A record, packed.

use std::net::IpAddr;

use crate::clock::Timestamp;
use crate::scope::{Resources, ScopeList, ScopeSet};
use crate::store::Facts;
use crate::store::filter::Outline;
use crate::token::{
    Actor, IdempotencyKey, LastUse, Metadata, Networks, Notices, Record, Revocation,
    RevocationReason, Suspension, Token, TokenName,
};

/// A record as the memory store keeps it: the facts a verification needs in front, the rest
/// behind, and what few tokens have in a box of its own.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) facts: Facts,
    name: TokenName,
    scopes: ScopeList,
    used_by: Option<Box<UsedBy>>,
    rest: Option<Box<Rest>>,
}

/// Who used a token last; when is one of the facts.
#[derive(Debug)]
struct UsedBy {
    ip: Option<IpAddr>,
    agent: Option<Box<str>>,
}

#[derive(Debug)]
struct Rest {
    created_at: Timestamp,
    created_by: Actor,
    description: Option<String>,
    suspended_by: Actor,
    revoked_by: Actor,
    metadata: Metadata,
    notices: Notices,
    idempotency: Option<IdempotencyKey>,
}

impl Entry {
    /// Packs a record with a list of scopes equal to its own, and what it amounts to.
    pub(super) fn pack(record: &Record, (scopes, set): (ScopeList, ScopeSet)) -> Self {
        let facts = Facts::with(record, set);
        let Record { token, idempotency, .. } = record;
        let plain = token.created_at == facts.lifecycle.issued_at
            && token.created_by == Actor::System
            && token.description.is_none()
            && token.suspension.is_none()
            && token.revocation.is_none()
            && token.metadata.is_empty()
            && token.notices == Notices::default()
            && idempotency.is_none();
        let rest = (!plain).then(|| {
            let suspended_by = token.suspension.as_ref().map(|suspension| suspension.by.clone());
            let revoked_by = token.revocation.as_ref().map(|revocation| revocation.by.clone());
            Box::new(Rest {
                created_at: token.created_at,
                created_by: token.created_by.clone(),
                description: token.description.clone(),
                suspended_by: suspended_by.unwrap_or(Actor::System),
                revoked_by: revoked_by.unwrap_or(Actor::System),
                metadata: token.metadata.clone(),
                notices: token.notices,
                idempotency: *idempotency,
            })
        });
        let known = |used: &&LastUse| used.ip.is_some() || used.agent.is_some();
        let used_by = token
            .last_use
            .as_ref()
            .filter(known)
            .map(|used| Box::new(UsedBy { ip: used.ip, agent: used.agent.clone() }));
        Self { facts, name: token.name.clone(), scopes, used_by, rest }
    }

    /// What filters and sort keys look at.
    #[inline]
    pub(super) fn outline(&self) -> Outline<'_> {
        let facts = &self.facts;
        let rare = facts.rare.as_deref();
        Outline {
            id: facts.id,
            kind: facts.kind,
            tenant: facts.tenant(),
            owner: &facts.owner,
            name: &self.name,
            description: self.rest.as_ref().and_then(|rest| rest.description.as_deref()),
            scopes: &self.scopes,
            created_at: self.created_at(),
            lifecycle: facts.lifecycle,
            last_used_at: facts.last_used_at,
            parent: rare.and_then(|rare| rare.parent),
            client: rare.and_then(|rare| rare.client.as_deref()),
        }
    }

    /// Whether it is live and counts against the same quota and for the same names as `token`.
    pub(super) fn counts_with(&self, token: &Token, now: Timestamp) -> bool {
        let facts = &self.facts;
        facts.kind == token.kind
            && facts.owner == token.owner
            && *facts.tenant() == token.tenant
            && facts.lifecycle.status(now).is_live()
    }

    fn created_at(&self) -> Timestamp {
        self.rest.as_ref().map_or(self.facts.lifecycle.issued_at, |rest| rest.created_at)
    }

    fn last_use(&self) -> Option<LastUse> {
        let at = self.facts.last_used_at?;
        let (ip, agent) = match &self.used_by {
            Some(by) => (by.ip, by.agent.clone()),
            None => (None, None),
        };
        Some(LastUse { at, ip, agent })
    }

    pub(super) fn name(&self) -> &TokenName {
        &self.name
    }

    pub(super) fn idempotency(&self) -> Option<IdempotencyKey> {
        self.rest.as_ref()?.idempotency
    }

    pub(super) fn unpack(&self) -> Record {
        Record {
            token: self.token(),
            digest: self.facts.digest.clone(),
            superseded: self.facts.rare.as_ref().and_then(|rare| rare.superseded.clone()),
            idempotency: self.idempotency(),
        }
    }

    // Written out, so that a token is made where it is put and not moved there.
    #[inline(always)]
    pub(super) fn token(&self) -> Token {
        let facts = &self.facts;
        let lifecycle = &facts.lifecycle;
        let rare = facts.rare.as_deref();
        let rest = self.rest.as_deref();
        Token {
            id: facts.id,
            kind: facts.kind,
            tenant: facts.tenant().clone(),
            owner: facts.owner.clone(),
            name: self.name.clone(),
            description: rest.and_then(|rest| rest.description.clone()),
            scopes: self.scopes.clone(),
            resources: rare.map_or_else(Resources::none, |rare| rare.resources.clone()),
            networks: rare.map_or(Networks::Anywhere, |rare| rare.networks.clone()),
            audience: rare.map(|rare| rare.audience.clone()).unwrap_or_default(),
            created_at: self.created_at(),
            created_by: rest.map_or(Actor::System, |rest| rest.created_by.clone()),
            not_before: lifecycle.not_before,
            expires_at: lifecycle.expires_at,
            last_use: self.last_use(),
            rotation: rare.and_then(|rare| rare.rotation),
            suspension: lifecycle.suspended_at.map(|at| Suspension {
                at,
                by: rest.map_or(Actor::System, |rest| rest.suspended_by.clone()),
            }),
            revocation: lifecycle.revoked_at.map(|at| Revocation {
                at,
                by: rest.map_or(Actor::System, |rest| rest.revoked_by.clone()),
                reason: facts.revoked_for.unwrap_or(RevocationReason::Requested),
            }),
            parent: rare.and_then(|rare| rare.parent),
            client: rare.and_then(|rare| rare.client.clone()),
            metadata: rest.map(|rest| rest.metadata.clone()).unwrap_or_default(),
            notices: rest.map(|rest| rest.notices).unwrap_or_default(),
            version: facts.version,
        }
    }
}
