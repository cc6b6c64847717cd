//! Resident facts: never behind a change whose step returned.

use super::harness::Store;
use super::purge::{purge_at, purged};
use super::support::{
    at, at_once, digest, fine, found, full_record, id, mark, named, only, put, record, record_with,
    resident, revoked, suspension, updated, used,
};
use crate::scope::{ScopeCatalog, ScopeDefinition, ScopeList};
use crate::store::{Change, Facts, RareFacts};
use crate::token::{Record, TokenId};

fn catalog() -> ScopeCatalog {
    ScopeCatalog::of(["repo:read", "repo:write"]).unwrap()
}

/// Asserts that facts, if there are any, are those of the record.
fn agree(resident: Option<Facts>, record: Option<&Record>, catalog: &ScopeCatalog, step: &str) {
    let Some(resident) = resident else {
        return;
    };
    let rule = format!("a change is resident before its step returns: {step}");
    let record = record.unwrap_or_else(|| panic!("{rule}: there is no such record any more"));
    let facts = Facts::of(record, catalog);
    let plain = |facts: &Facts| {
        let Facts { id, kind, revoked_for, digest, lifecycle, owner, version, .. } = facts;
        (
            (*id, *kind, *revoked_for, digest.to_stored(), format!("{lifecycle:?}")),
            (facts.tenant().clone(), owner.clone(), *version),
        )
    };
    let rare = |facts: &Facts| {
        facts.rare.as_deref().map(|rare| {
            let RareFacts {
                tenant,
                resources,
                networks,
                audience,
                parent,
                client,
                rotation,
                superseded,
            } = rare.clone();
            (
                (tenant, resources, networks, audience, parent),
                (client, rotation, superseded.map(|digest| digest.to_stored().to_string())),
            )
        })
    };
    assert_eq!(plain(&resident), plain(&facts), "{rule}");
    assert_eq!(rare(&resident), rare(&facts), "{rule}");
    assert_eq!(resident.scopes, facts.scopes, "{rule}: scopes are those of the attached catalog");
    let ahead = resident.last_used_at > facts.last_used_at;
    assert!(!ahead, "{rule}: no use is resident that was not noted");
}

async fn coherent(store: &Store, id: TokenId, catalog: &ScopeCatalog, step: &str) {
    let first = resident(store, &id);
    let record = fine("a find", store.find(&id).await);
    agree(first, record.as_ref(), catalog, step);
    // A store that keeps what was found has it now.
    agree(resident(store, &id), record.as_ref(), catalog, step);
}

/// Each step's change is resident when it returns, or nothing of the record is.
pub async fn a_change_is_resident_before_its_step_returns(store: Store) {
    let catalog = catalog();
    store.attach(&catalog);
    coherent(&store, id(1), &catalog, "nothing is there yet").await;
    put(&store, &record(1)).await;
    coherent(&store, id(1), &catalog, "an insert").await;
    let changes = [
        named("another", true),
        Change { digest: Some(digest(8)), superseded: Some(Some(digest(1))), ..Change::default() },
        Change { suspension: Some(Some(suspension(3))), ..Change::default() },
        Change { scopes: Some(ScopeList::parse(["repo:write"]).unwrap()), ..Change::default() },
        Change { expires_at: Some(Some(at(50))), suspension: Some(None), ..Change::default() },
    ];
    for (version, change) in (1..).zip(changes) {
        updated(&store, 1, version, &change).await;
        coherent(&store, id(1), &catalog, &format!("{change:?}")).await;
    }
    fine("a touch", store.touch(&[used(1, 9)]).await);
    coherent(&store, id(1), &catalog, "a touch").await;
    revoked(&store, &only([1]), &mark(1)).await;
    coherent(&store, id(1), &catalog, "a revocation").await;
    assert_eq!(purged(&store, &purge_at(1000)).await, 1, "a purge removes what ended long ago");
    coherent(&store, id(1), &catalog, "a purge").await;
    let full = full_record(2);
    put(&store, &full).await;
    coherent(&store, id(2), &catalog, "an insert of a record with everything").await;
}

/// A change is resident when its step returns, also if readers fetch the record all the while.
pub async fn a_change_is_resident_whoever_reads_meanwhile(store: Store) {
    store.attach(&catalog());
    for round in 0..10_u32 {
        put(&store, &record(round)).await;
        let many = store.clone();
        at_once(4, move |number| {
            let store = many.clone();
            async move {
                let rule = "nothing older than a step that returned is resident";
                if number != 0 {
                    for _ in 0..30 {
                        found(&store, round).await;
                    }
                    return;
                }
                for version in 1..10 {
                    updated(&store, round, version, &Change::default()).await;
                    let resident = resident(&store, &id(round));
                    let behind = resident.is_some_and(|facts| facts.version <= version);
                    assert!(!behind, "{rule}: an update");
                    assert_eq!(found(&store, round).await.token.version, version + 1, "{rule}");
                }
                revoked(&store, &only([round]), &mark(1)).await;
                let resident = resident(&store, &id(round));
                let alive = resident.is_some_and(|facts| facts.revoked_for.is_none());
                assert!(!alive, "{rule}: a revocation");
            }
        })
        .await;
        let resident = resident(&store, &id(round));
        let alive = resident.is_some_and(|facts| facts.revoked_for.is_none());
        assert!(!alive, "a reader that started earlier does not make a revoked token resident");
    }
}

/// Scopes of resident facts are resolved by the catalog that was attached last.
pub async fn resident_scopes_are_those_of_the_attached_catalog(store: Store) {
    let scopes = ["repo:read", "repo:write", "unknown"];
    let wide = ScopeCatalog::builder()
        .scope(ScopeDefinition::new("repo:write").implies(["repo:read"]))
        .scope(ScopeDefinition::new("repo:read"))
        .build()
        .unwrap();
    let catalogs = [catalog(), wide, ScopeCatalog::of(["other"]).unwrap(), catalog()];
    for (number, catalog) in (1..).zip(&catalogs) {
        store.attach(catalog);
        for known in 1..number {
            coherent(&store, id(known), catalog, "another catalog was attached").await;
        }
        let listed = ScopeList::parse(scopes).unwrap();
        put(&store, &record_with(number, |token| token.scopes = listed)).await;
        coherent(&store, id(number), catalog, "an insert after a catalog was attached").await;
    }
}
