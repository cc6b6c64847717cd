//! Tokens as the API shows them.

use crate::engine::{Hallpass, Issued};
use crate::scope;
use crate::token::{self, Lifecycle};
use crate::wire;

pub(super) fn token(hallpass: &Hallpass, token: &token::Token) -> wire::Token {
    let lifecycle = token.lifecycle();
    // Policy may have ended it already.
    let expires_at = hallpass.policy().end_at_use(&lifecycle);
    let status = Lifecycle { expires_at, ..lifecycle }.status(hallpass.now());
    let texts = |scopes: &mut dyn Iterator<Item = &scope::Scope>| -> Vec<String> {
        scopes.map(|scope| scope.as_str().to_owned()).collect()
    };
    wire::Token {
        id: token.id,
        kind: token.kind,
        tenant: token.tenant.to_string(),
        owner: token.owner.to_string(),
        name: token.name.to_string(),
        description: token.description.clone(),
        scopes: texts(&mut token.scopes.iter()),
        unknown_scopes: texts(&mut hallpass.catalog().unknown(&token.scopes)),
        resources: resources(Some(&token.resources)),
        networks: networks(&token.networks),
        audience: token.audience.clone(),
        status,
        created_at: token.created_at,
        created_by: token.created_by.clone(),
        not_before: token.not_before,
        expires_at,
        last_use: token.last_use.as_ref().map(|used| wire::LastUse {
            at: used.at,
            ip: used.ip.map(|ip| ip.to_string()),
            agent: used.agent.as_deref().map(str::to_owned),
        }),
        rotation: token.rotation.map(|rotation| wire::Rotation {
            rotated_at: rotation.rotated_at,
            overlap_until: rotation.grace_until,
            first_used_at: rotation.first_used_at,
        }),
        suspension: token
            .suspension
            .clone()
            .map(|suspension| wire::Suspension { at: suspension.at, by: suspension.by }),
        revocation: token.revocation.clone().map(|revocation| wire::Revocation {
            at: revocation.at,
            by: revocation.by,
            reason: revocation.reason,
        }),
        parent: token.parent,
        client: token.client.clone(),
        metadata: token.metadata.to_map(),
        version: token.version,
    }
}

pub(super) fn issued(hallpass: &Hallpass, issued: &Issued) -> wire::Issued {
    wire::Issued {
        secret: Some(wire::Secret::new(issued.plain.expose())),
        token: token(hallpass, &issued.token),
    }
}

pub(super) fn resources(resources: Option<&scope::Resources>) -> wire::Resources {
    match resources {
        Some(scope::Resources::All) => wire::Resources::All(wire::All::All),
        Some(scope::Resources::Listed(patterns)) => {
            wire::Resources::Listed(patterns.iter().map(ToString::to_string).collect())
        }
        None => wire::Resources::Listed(Vec::new()),
    }
}

fn networks(networks: &token::Networks) -> wire::Networks {
    match networks {
        token::Networks::Anywhere => wire::Networks::Anywhere(wire::Anywhere::Anywhere),
        token::Networks::Listed(networks) => {
            wire::Networks::Listed(networks.iter().map(ToString::to_string).collect())
        }
    }
}
