//! Who is signed in, and what a token can be given.

use bytes::Bytes;
use http::Response;

use super::answer::{nothing, ok};
use super::problem::{Code, Failure};
use super::request;
use super::service::{Asked, Inner};
use crate::engine::OwnerError;
use crate::host::Administers;
use crate::scope::ScopeSet;
use crate::token::Kind;
use crate::wire;

type Answered = Result<Response<Bytes>, Failure>;

pub(super) async fn session(api: &Inner, asked: &Asked<'_>) -> Answered {
    let who = asked.who;
    let policy = api.hallpass().policy();
    let confirmed_at = api.host.confirmed_at(asked.head, who).await?;
    let now = api.hallpass().now();
    let confirmed_until = confirmed_at
        .filter(|_| policy.is_confirmed(&who.as_owner(confirmed_at), now))
        .zip(policy.confirmation)
        .map(|(at, longest)| at.saturating_add(longest));
    let administered_tenant = match who.administered() {
        Administers::Tenant(tenant) => Some(tenant.to_string()),
        Administers::Nothing | Administers::Everything => None,
    };
    Ok(ok(&wire::Session {
        tenant: who.tenant().to_string(),
        owner: who.owner().to_string(),
        name: who.name().to_owned(),
        is_administrator: *who.administered() != Administers::Nothing,
        administered_tenant,
        confirmed_until,
        confirmation_page: api.host.confirmation_page().map(str::to_owned),
        csrf_token: api.host.csrf_token(who)?,
    }))
}

pub(super) async fn confirm(api: &Inner, asked: &Asked<'_>) -> Answered {
    let body: wire::ConfirmSession = request::body(asked.head, asked.body)?;
    api.host.confirm(asked.head, asked.who, body.secret.expose()).await?;
    Ok(nothing())
}

/// What the caller may grant to a personal token; nothing if it may not hold any.
async fn grantable(api: &Inner, asked: &Asked<'_>) -> Result<Option<ScopeSet>, Failure> {
    let tokens = api.hallpass().on_behalf_of(asked.caller.clone());
    match tokens.grantable(Kind::Personal).await {
        Ok(scopes) => Ok(Some(scopes)),
        Err(OwnerError::Unavailable(_)) => Err(Code::Unavailable.into()),
        Err(_) => Ok(None),
    }
}

pub(super) async fn scopes(api: &Inner, asked: &Asked<'_>) -> Answered {
    let catalog = api.hallpass().catalog();
    let may = grantable(api, asked).await?.unwrap_or_else(|| catalog.nothing());
    let scopes = catalog.iter().map(|declared| {
        let scope = declared.scope();
        let closure = declared.closure();
        let others = closure.iter().filter(|other| *other != scope);
        wire::Scope {
            scope: scope.to_string(),
            title: declared.title().to_owned(),
            description: declared.description().to_owned(),
            group: declared.group().to_owned(),
            implies: others.map(ToString::to_string).collect(),
            kinds: declared.kinds().iter().collect(),
            always: catalog.always().any(|always| always == scope),
            grantable: may.contains(&closure),
        }
    });
    let presets = catalog.presets().iter().map(|preset| wire::Preset {
        name: preset.name().to_owned(),
        scopes: preset.scopes().iter().map(ToString::to_string).collect(),
        grantable: may.contains(&catalog.resolve(preset.scopes())),
    });
    Ok(ok(&wire::Catalog { scopes: scopes.collect(), presets: presets.collect() }))
}

pub(super) async fn policy(api: &Inner, asked: &Asked<'_>) -> Answered {
    let may_hold_tokens = grantable(api, asked).await?.is_some();
    let policy = api.hallpass().policy();
    Ok(ok(&wire::Policy {
        brand: api.hallpass().brand().as_str().to_owned(),
        default_lifetime_seconds: policy.default_lifetime.num_seconds(),
        min_lifetime_seconds: policy.min_lifetime.num_seconds(),
        max_lifetime_seconds: policy.max_lifetime.num_seconds(),
        allow_never: policy.allow_never,
        quota: policy.quota,
        unique_names: policy.unique_names,
        overlap_seconds: policy.overlap.num_seconds(),
        max_overlap_seconds: policy.max_overlap.num_seconds(),
        max_idle_seconds: policy.max_idle.map(|longest| longest.num_seconds()),
        confirmation_seconds: policy.confirmation.map(|longest| longest.num_seconds()),
        may_hold_tokens,
    }))
}
