//! A token as pages show it.

use chrono::TimeDelta;

use super::span::{When, minute};
use super::texts::Texts;
use super::visit::{Role, Visit};
use crate::clock::Timestamp;
use crate::scope::Resources;
use crate::token::{Actor, Networks, RevocationReason, Status, Tenant, Token};

/// How long before its end a token is about to expire, at least.
const SOON: TimeDelta = TimeDelta::days(7);

/// What ends before this instant is about to expire: the end of a day, so that the pages of one
/// list agree on it.
pub(super) fn soon_before(now: Timestamp) -> Timestamp {
    const DAY: i64 = 24 * 60 * 60 * 1_000_000;
    let before = now.saturating_add(SOON).as_micros();
    let end_of_day = before.saturating_add(DAY - before.rem_euclid(DAY));
    Timestamp::from_micros(end_of_day).unwrap_or(Timestamp::MAX)
}

/// Scopes that a list shows of each token.
const FEW: usize = 3;

/// A token as pages show it: everything but its secret, which nobody has.
pub(super) struct Row {
    pub(super) id: String,
    /// The part of its text that may be seen.
    pub(super) visible_id: String,
    pub(super) url: String,
    pub(super) name: String,
    pub(super) description: Option<String>,
    pub(super) owner: String,
    pub(super) tenant: Option<String>,
    pub(super) show_owner: bool,
    /// The first few scopes.
    pub(super) scopes: Vec<String>,
    pub(super) more_scopes: usize,
    pub(super) all_scopes: String,
    pub(super) full_scopes: Vec<String>,
    pub(super) resources: String,
    pub(super) networks: String,
    pub(super) expires: Option<When>,
    pub(super) soon: bool,
    pub(super) used: Option<When>,
    pub(super) used_ip: Option<String>,
    pub(super) used_agent: Option<String>,
    pub(super) status: &'static str,
    pub(super) status_label: String,
    pub(super) live: bool,
    pub(super) suspended: Option<When>,
    pub(super) suspended_by: String,
    /// What to know of its suspension.
    pub(super) suspended_note: String,
    pub(super) can_suspend: bool,
    pub(super) can_resume: bool,
    pub(super) created: When,
    pub(super) created_by: String,
    pub(super) rotated: Option<When>,
    /// Until when the old secret works, if it does.
    pub(super) grace: Option<String>,
    pub(super) revoked: Option<When>,
    pub(super) revoked_why: String,
}

impl Row {
    pub(super) fn new(visit: &Visit, role: Role, token: &Token) -> Self {
        let (console, now) = (&visit.console, visit.now());
        let t = &console.texts;
        let hallpass = console.hallpass();
        let mut lifecycle = token.lifecycle();
        lifecycle.expires_at = hallpass.policy().end_at_use(&lifecycle);
        let status = lifecycle.status(now);
        let ends_soon = lifecycle.expires_at.is_some_and(|end| end < soon_before(now));
        let soon = status.is_live() && ends_soon;
        let below = match role {
            Role::Owner => format!("/{}", token.id),
            Role::Administrator => format!("/admin/{}", token.id),
        };
        let when = |instant| When::new(instant, now, t);
        let scopes: Vec<String> = token.scopes.iter().map(ToString::to_string).collect();
        let grace = token.rotation.filter(|last| status.is_live() && now < last.grace_until);
        let grace = grace.map(|last| {
            let until = t.fill(&t.old_secret_until, "instant", &minute(last.grace_until));
            format!("{}: {until}", t.old_secret)
        });
        let (label, class) = label(status, soon, t);
        let suspension = token.suspension.as_ref();
        let by_owner = suspension.is_some_and(|suspension| suspension.by == Actor::Owner);
        let for_all = role == Role::Administrator;
        Self {
            id: token.id.to_string(),
            visible_id: format!("{}_{}_{}", hallpass.brand(), token.kind, token.id),
            url: console.mount.join(&below),
            name: token.name.to_string(),
            description: token.description.clone(),
            owner: token.owner.to_string(),
            tenant: (token.tenant != Tenant::DEFAULT).then(|| token.tenant.to_string()),
            show_owner: for_all,
            more_scopes: scopes.len().saturating_sub(FEW),
            all_scopes: scopes.join(" "),
            scopes: scopes.iter().take(FEW).cloned().collect(),
            full_scopes: scopes,
            resources: resources(&token.resources, t),
            networks: networks(&token.networks, t),
            expires: lifecycle.expires_at.map(when),
            soon,
            used: token.last_use.as_ref().map(|used| when(used.at)),
            used_ip: token.last_use.as_ref().and_then(|used| used.ip).map(|ip| ip.to_string()),
            used_agent: token.last_use.as_ref().and_then(|used| used.agent.clone()).map(Into::into),
            status: class,
            status_label: label.to_owned(),
            live: status.is_live(),
            suspended: suspension.map(|suspension| when(suspension.at)),
            suspended_by: suspension.map(|suspension| by(&suspension.by, t)).unwrap_or_default(),
            suspended_note: match suspension.map(|suspension| &suspension.by) {
                Some(Actor::Admin(_)) => t.banner_suspended_by_admin.to_string(),
                Some(Actor::System) => t.banner_suspended_by_app.to_string(),
                _ => t.banner_suspended.to_string(),
            },
            can_suspend: status.is_live() && (suspension.is_none() || for_all && by_owner),
            can_resume: status.is_live() && suspension.is_some() && (for_all || by_owner),
            created: when(token.created_at),
            created_by: by(&token.created_by, t),
            rotated: token.rotation.map(|last| when(last.rotated_at)),
            grace,
            revoked: token.revocation.as_ref().map(|revocation| when(revocation.at)),
            revoked_why: token
                .revocation
                .as_ref()
                .map(|revocation| reason(revocation.reason, t).to_owned())
                .unwrap_or_default(),
        }
    }
}

fn label(status: Status, soon: bool, t: &Texts) -> (&str, &'static str) {
    match status {
        Status::Active if soon => (&t.status_soon, "soon"),
        Status::Active => (&t.status_active, "active"),
        Status::NotYetValid => (&t.status_not_yet_valid, "not_yet_valid"),
        Status::Suspended => (&t.status_suspended, "suspended"),
        Status::Expired => (&t.status_expired, "expired"),
        Status::Revoked => (&t.status_revoked, "revoked"),
    }
}

fn resources(resources: &Resources, t: &Texts) -> String {
    match resources {
        Resources::All => t.resources_all.to_string(),
        Resources::Listed(listed) if listed.is_empty() => t.resources_none.to_string(),
        Resources::Listed(listed) => join(listed.iter()),
    }
}

fn networks(networks: &Networks, t: &Texts) -> String {
    match networks {
        Networks::Anywhere => t.networks_anywhere.to_string(),
        Networks::Listed(listed) => join(listed.iter()),
    }
}

fn join<T: ToString>(items: impl Iterator<Item = T>) -> String {
    items.map(|item| item.to_string()).collect::<Vec<_>>().join(", ")
}

fn by(actor: &Actor, t: &Texts) -> String {
    match actor {
        Actor::System => t.created_by_app.to_string(),
        Actor::Owner => t.created_by_owner.to_string(),
        Actor::Admin(id) => t.fill(&t.created_by_admin, "id", id.as_str()),
        Actor::Token(id) => t.fill(&t.created_by_token, "id", id.as_str()),
    }
}

fn reason(reason: RevocationReason, t: &Texts) -> &str {
    match reason {
        RevocationReason::Requested => &t.reason_requested,
        RevocationReason::PasswordChanged => &t.reason_password_changed,
        RevocationReason::OwnerDeleted => &t.reason_owner_deleted,
        RevocationReason::Idle => &t.reason_idle,
        RevocationReason::Reused => &t.reason_reused,
        RevocationReason::Leaked => &t.reason_leaked,
    }
}
