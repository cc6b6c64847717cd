//! Commands that change what is stored, once they are confirmed.

use hallpass::cli::{Class, Failure, confirm, print, say};
use hallpass::store::{self, Filter, Reach};
use hallpass::{Actor, Revocation, RevocationReason, Status, Tenant, Timestamp, TokenStore};

use super::arguments::{How, Purge, Revoke, RevokeOwner};
use super::database::of_store;
use super::looks::{all, as_table, each, find, hint_at_tenants};

/// Most records that one step removes.
const STEP: u32 = 1000;

pub(crate) async fn revoke(
    store: &dyn TokenStore,
    revoke: &Revoke,
    now: Timestamp,
) -> Result<(), Failure> {
    let mut filters = Vec::new();
    for id in &revoke.ids {
        // An id with a slip in it is told before anything is done.
        find(store, id).await?;
        filters.push(Filter::new(Reach::Family(*id)));
    }
    revoke_all(store, filters, revoke.reason, &revoke.how, now).await
}

pub(crate) async fn revoke_owner(
    store: &dyn TokenStore,
    revoke: &RevokeOwner,
    now: Timestamp,
) -> Result<(), Failure> {
    let tenant = revoke.tenant.clone().unwrap_or(Tenant::DEFAULT);
    let filter = Filter::new(Reach::Owner(tenant, revoke.owner.clone()));
    revoke_all(store, vec![filter], revoke.reason, &revoke.how, now).await?;
    if revoke.tenant.is_none() {
        hint_at_tenants(store, &revoke.owner, now).await?;
    }
    Ok(())
}

async fn revoke_all(
    store: &dyn TokenStore,
    filters: Vec<Filter>,
    reason: RevocationReason,
    how: &How,
    now: Timestamp,
) -> Result<(), Failure> {
    let mut meant = Vec::new();
    for filter in &filters {
        let mut filter = filter.clone();
        filter.statuses = Some(Status::ALL.into_iter().filter(|s| *s != Status::Revoked).collect());
        for token in all(store, &filter, now, usize::MAX).await? {
            if meant.iter().all(|other: &hallpass::Token| other.id != token.id) {
                meant.push(token);
            }
        }
    }
    if meant.is_empty() {
        say("There is nothing to revoke.");
        return Ok(());
    }
    print(&as_table(&meant, now))?;
    if !go_on(how, &format!("Revoke {} for good?", tokens(meant.len())))? {
        return Ok(());
    }
    let mark = Revocation { at: now, by: Actor::System, reason };
    let mut revoked = 0;
    for filter in &filters {
        revoked += store.revoke(filter, &mark).await.map_err(|error| of_store(&error))?.len();
    }
    say(&format!("Revoked {}.", tokens(revoked)));
    Ok(())
}

pub(crate) async fn purge(
    store: &dyn TokenStore,
    purge: &Purge,
    now: Timestamp,
) -> Result<(), Failure> {
    let step =
        store::Purge { now, retention: purge.keep, exchange_retention: purge.keep, limit: STEP };
    let mut ended = Filter::new(Reach::All);
    ended.statuses = Some(Status::ALL.into_iter().filter(|status| !status.is_live()).collect());
    let mut found = 0;
    each(store, &ended, now, |token| {
        found += usize::from(step.admits(token.kind, &token.lifecycle()));
        true
    })
    .await?;
    if found == 0 {
        say("There is nothing to remove.");
        return Ok(());
    }
    if !go_on(&purge.how, &format!("Remove the records of {}?", tokens(found)))? {
        return Ok(());
    }
    let mut removed = 0;
    loop {
        let gone = store.purge(&step).await.map_err(|error| of_store(&error))?;
        removed += gone;
        if gone == 0 {
            break;
        }
    }
    say(&format!("Removed {removed}."));
    Ok(())
}

/// Whether to do it.
fn go_on(how: &How, question: &str) -> Result<bool, Failure> {
    if how.dry_run {
        say("Nothing was changed.");
        return Ok(false);
    }
    if how.yes {
        return Ok(true);
    }
    if confirm(question, "add --yes, or --dry-run to see what would be done")? {
        return Ok(true);
    }
    Err(Failure::new(Class::Other, "not confirmed, so nothing was changed"))
}

fn tokens(number: usize) -> String {
    if number == 1 { "1 token".to_owned() } else { format!("{number} tokens") }
}
