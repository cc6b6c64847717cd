//! A record, packed.

use crate::clock::Timestamp;
use crate::scope::{Resources, ScopeCatalog, ScopeList};
use crate::store::{Facts, RareFacts};
use crate::token::{
    Actor, IdempotencyKey, LastUse, Metadata, Networks, Record, Revocation, RevocationReason,
    Token, TokenName,
};

/// A record as the memory store keeps it: the facts a verification needs in front, the rest
/// behind, and what few tokens have in a box of its own.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) facts: Facts,
    name: TokenName,
    scopes: ScopeList,
    rest: Option<Box<Rest>>,
}

#[derive(Debug)]
struct Rest {
    created_at: Timestamp,
    created_by: Actor,
    description: Option<String>,
    last_use: Option<LastUse>,
    revoked_by: Actor,
    metadata: Metadata,
    notices: u8,
    idempotency: Option<IdempotencyKey>,
}

impl Entry {
    /// Packs a record with a list of scopes equal to its own.
    pub(super) fn pack(record: &Record, scopes: ScopeList, catalog: &ScopeCatalog) -> Self {
        let facts = Facts::of(record, catalog);
        let Record { token, idempotency, .. } = record;
        let plain = token.created_at == facts.lifecycle.issued_at
            && token.created_by == Actor::System
            && token.description.is_none()
            && token.last_use.is_none()
            && token.revocation.is_none()
            && token.metadata.is_empty()
            && token.notices == 0
            && idempotency.is_none();
        let rest = (!plain).then(|| {
            let revoked_by = token.revocation.as_ref().map(|revocation| revocation.by.clone());
            Box::new(Rest {
                created_at: token.created_at,
                created_by: token.created_by.clone(),
                description: token.description.clone(),
                last_use: token.last_use.clone(),
                revoked_by: revoked_by.unwrap_or(Actor::System),
                metadata: token.metadata.clone(),
                notices: token.notices,
                idempotency: *idempotency,
            })
        });
        Self { facts, name: token.name.clone(), scopes, rest }
    }

    pub(super) fn name(&self) -> &TokenName {
        &self.name
    }

    pub(super) fn idempotency(&self) -> Option<IdempotencyKey> {
        self.rest.as_ref()?.idempotency
    }

    pub(super) fn unpack(&self) -> Record {
        let facts = &self.facts;
        let rare = facts.rare.as_deref();
        let rest = self.rest.as_deref();
        let mut token = Token::new(
            facts.id,
            facts.kind,
            facts.owner.clone(),
            self.name.clone(),
            self.scopes.clone(),
            rest.map_or(facts.lifecycle.issued_at, |rest| rest.created_at),
        );
        token.tenant = facts.tenant().clone();
        token.not_before = facts.lifecycle.not_before;
        token.expires_at = facts.lifecycle.expires_at;
        token.suspended_at = facts.lifecycle.suspended_at;
        token.version = facts.version;
        token.resources = rare.map_or_else(Resources::none, |rare| rare.resources.clone());
        token.networks = rare.map_or(Networks::Anywhere, |rare| rare.networks.clone());
        if let Some(RareFacts { audience, parent, client, rotation, .. }) = rare {
            token.audience.clone_from(audience);
            token.parent = *parent;
            token.client.clone_from(client);
            token.rotation = *rotation;
        }
        if let Some(rest) = rest {
            token.created_by = rest.created_by.clone();
            token.description.clone_from(&rest.description);
            token.last_use.clone_from(&rest.last_use);
            token.metadata = rest.metadata.clone();
            token.notices = rest.notices;
        }
        token.revocation = facts.lifecycle.revoked_at.map(|at| Revocation {
            at,
            by: rest.map_or(Actor::System, |rest| rest.revoked_by.clone()),
            reason: facts.revoked_for.unwrap_or(RevocationReason::Requested),
        });
        let mut record = Record::new(token, facts.digest.clone());
        record.superseded = rare.and_then(|rare| rare.superseded.clone());
        record.idempotency = self.idempotency();
        record
    }
}
