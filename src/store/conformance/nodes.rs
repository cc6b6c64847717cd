//! Two stores on the same data, as two nodes have them. A backend that cannot give a second is
//! tried with the same store twice.

use super::changes::{listening, told};
use super::harness::Store;
use super::races::{one_rotation, rotations};
use super::support::{
    at, at_once, conflict, everything, fine, found, id, mark, named, only, put, record, revoked,
    updated, used,
};
use crate::store::{Admission, Change, Conflict};

/// What one store acknowledged, the other finds when it is first asked.
pub async fn two_stores_share_their_data(first: Store, second: Store) {
    put(&first, &record(1)).await;
    let rule = "what one store acknowledged is there for every store";
    assert_eq!(found(&second, 1).await, record(1), "{rule}");
    put(&second, &record(2)).await;
    assert_eq!(everything(&first).await, [record(1), record(2)], "{rule}");
    let strict = Admission { now: at(0), quota: Some(2), unique_name: true };
    let full = conflict(rule, first.insert(&record(3), &strict).await);
    assert_eq!(full, Conflict::QuotaFull { limit: 2 }, "{rule}");
    updated(&second, 2, 1, &named("another", true)).await;
    let rule = "an update that expects a version from before another store's update is stale";
    let stale = first.update(&id(2), 1, &Change::default(), at(0)).await;
    assert_eq!(conflict(rule, stale), Conflict::Stale { current: 2 }, "{rule}");
}

/// Inserts at once through both stores respect one quota.
pub async fn two_stores_respect_one_quota(first: Store, second: Store) {
    let admission = Admission { now: at(0), quota: Some(3), unique_name: true };
    let stores = [first.clone(), second];
    let results = at_once(40, move |number| {
        let store = stores[number as usize % 2].clone();
        async move { store.insert(&record(number), &admission).await }
    })
    .await;
    let rule = "the quota is checked in the same atomic step as the insert, for all stores";
    let taken = results.iter().filter(|result| result.is_ok()).count();
    assert_eq!(taken, 3, "{rule}");
    for refused in results.into_iter().filter(Result::is_err) {
        assert_eq!(conflict(rule, refused), Conflict::QuotaFull { limit: 3 }, "{rule}");
    }
    assert_eq!(everything(&first).await.len(), 3, "{rule}");
}

/// Of 64 rotations at one version through both stores, one is taken.
pub async fn one_rotation_at_once_succeeds_on_two_stores(first: Store, second: Store) {
    let (stores, rotation) = ([first.clone(), second], rotations());
    let turn = move |number| (stores[number as usize % 2].clone(), rotation(number));
    one_rotation(&first, turn).await;
}

/// What one store revoked, no other changes.
pub async fn a_revocation_binds_every_store(first: Store, second: Store) {
    put(&first, &record(1)).await;
    assert_eq!(found(&second, 1).await, record(1), "what one store acknowledged is there for all");
    revoked(&first, &only([1]), &mark(1)).await;
    let before = found(&first, 1).await;
    let rule = "a revocation through one store is final for every store";
    for version in [1, 2] {
        let refused = second.update(&id(1), version, &Change::default(), at(0)).await;
        assert_eq!(conflict(rule, refused), Conflict::Revoked, "{rule}");
    }
    fine("a touch", second.touch(&[used(1, 10)]).await);
    assert_eq!(revoked(&second, &only([1]), &mark(9)).await, [], "{rule}");
    assert_eq!(everything(&first).await, [before], "{rule}");
}

/// What one store commits is told to a subscription of the other, where the backend can.
pub async fn changes_are_told_to_the_other_store(first: Store, second: Store) {
    let Some(mut changes) = listening(&second).await else {
        return;
    };
    put(&first, &record(1)).await;
    told(&mut *changes, id(1), 1).await;
    updated(&first, 1, 1, &Change::default()).await;
    told(&mut *changes, id(1), 2).await;
    revoked(&first, &only([1]), &mark(1)).await;
    told(&mut *changes, id(1), 3).await;
}
