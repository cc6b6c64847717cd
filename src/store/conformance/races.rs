//! Steps at once: each sees the state before or after another, never between.

use std::sync::{Arc, Mutex};

use super::harness::Store;
use super::purge::{purge_at, purged};
use super::support::{
    anything, at, at_once, conflict, digest, everything, fine, found, id, key, mark, named, only,
    owner, put, record, record_with, revoked, used,
};
use crate::store::{Admission, Change, Conflict, Filter, Purge, Reach, StoreError};
use crate::token::{IdempotencyKey, Metadata, Record, Rotation, Tenant};

/// A hundred inserts at once, with one place left in the quota, are one insert.
pub async fn a_hundred_inserts_at_once_respect_the_quota(store: Store) {
    let admission = Admission { now: at(0), quota: Some(5), unique_name: true };
    for number in 0..4 {
        fine("an insert", store.insert(&record(number), &admission).await);
    }
    let many = store.clone();
    let results = at_once(100, move |number| {
        let store = many.clone();
        async move { store.insert(&record(100 + number), &admission).await }
    })
    .await;
    let rule = "the quota is checked in the same atomic step as the insert";
    let taken = results.iter().filter(|result| result.is_ok()).count();
    assert_eq!(taken, 1, "{rule}: one place was left");
    for refused in results.into_iter().filter(Result::is_err) {
        assert_eq!(conflict(rule, refused), Conflict::QuotaFull { limit: 5 }, "{rule}");
    }
    assert_eq!(everything(&store).await.len(), 5, "{rule}");
}

/// Of many inserts of one name at once, one is taken, and the others are told which.
pub async fn one_of_many_at_once_gets_a_name(store: Store) {
    let admission = Admission { now: at(0), quota: None, unique_name: true };
    let many = store.clone();
    let results = at_once(32, move |number| {
        let store = many.clone();
        async move {
            let name = if number % 2 == 0 { "CAFE\u{301}" } else { "caf\u{e9}" };
            let record = record_with(number, |token| token.name = name.parse().unwrap());
            store.insert(&record, &admission).await
        }
    })
    .await;
    let rule = "the name is checked in the same atomic step as the insert";
    let taken = results.iter().filter(|result| result.is_ok()).count();
    assert_eq!(taken, 1, "{rule}");
    let listed = everything(&store).await;
    assert_eq!(listed.len(), 1, "{rule}");
    let by = listed[0].token.id;
    for refused in results.into_iter().filter(Result::is_err) {
        assert_eq!(conflict(rule, refused), Conflict::NameTaken { by }, "{rule}");
    }
}

/// Of many inserts with one idempotency key at once, one is taken, and the others are told which.
pub async fn one_of_many_at_once_gets_an_idempotency_key(store: Store) {
    let many = store.clone();
    let results = at_once(32, move |number| {
        let store = many.clone();
        async move {
            let mut record = record(number);
            record.idempotency = Some(IdempotencyKey { request: key(number).request, ..key(7) });
            store.insert(&record, &anything()).await
        }
    })
    .await;
    let rule = "the idempotency key is checked in the same atomic step as the insert";
    let listed = everything(&store).await;
    assert_eq!(listed.len(), 1, "{rule}");
    let issued = listed[0].token.id;
    for (number, result) in (0..).zip(results) {
        if id(number) == issued {
            fine("the insert that is stored", result);
        } else {
            assert_eq!(conflict(rule, result), Conflict::Replayed { id: issued }, "{rule}");
        }
    }
}

/// Of many updates to one name at once, one is taken.
pub async fn one_of_many_renames_at_once_gets_the_name(store: Store) {
    for number in 0..16 {
        put(&store, &record(number)).await;
    }
    let many = store.clone();
    let results = at_once(16, move |number| {
        let store = many.clone();
        async move { store.update(&id(number), 1, &named("the one", true), at(0)).await }
    })
    .await;
    let rule = "the name is checked in the same atomic step as the update";
    let all = everything(&store).await;
    let holders: Vec<_> =
        all.iter().filter(|record| record.token.name.as_str() == "the one").collect();
    assert_eq!(holders.len(), 1, "{rule}");
    let by = holders[0].token.id;
    for (number, result) in (0..).zip(results) {
        if id(number) == by {
            fine("the update that is stored", result);
        } else {
            assert_eq!(conflict(rule, result), Conflict::NameTaken { by }, "{rule}");
        }
    }
}

fn rotation(number: u32) -> Change {
    let rotation = Rotation {
        rotated_at: at(i64::from(number)),
        superseded_at: at(i64::from(number)),
        grace_until: at(100),
        first_used_at: None,
    };
    Change {
        digest: Some(digest(100 + number)),
        superseded: Some(Some(digest(1))),
        rotation: Some(Some(rotation)),
        ..Change::default()
    }
}

/// Asserts that of rotations at one version exactly one was taken, and it is what `store` has.
pub(super) async fn one_rotation(
    store: &Store,
    rotate: impl Fn(u32) -> (Store, Change) + Send + Sync + 'static,
) {
    put(store, &record(1)).await;
    let results = at_once(64, move |number| {
        let (store, change) = rotate(number);
        async move { store.update(&id(1), 1, &change, at(0)).await }
    })
    .await;
    let rule = "of many updates that expect one version exactly one is taken";
    let (done, refused): (Vec<_>, Vec<_>) = results.into_iter().partition(Result::is_ok);
    assert_eq!(done.len(), 1, "{rule}");
    let kept = found(store, 1).await;
    for done in done {
        assert_eq!(fine("an update", done), Some(kept.clone()), "{rule}, and that one is kept");
    }
    for refused in refused {
        assert_eq!(conflict(rule, refused), Conflict::Stale { current: 2 }, "{rule}");
    }
}

/// Of 64 rotations at one version, one is taken.
pub async fn one_of_many_rotations_at_once_succeeds(store: Store) {
    let many = store.clone();
    one_rotation(&store, move |number| (many.clone(), rotation(number))).await;
}

pub(super) fn rotations() -> impl Fn(u32) -> Change + Send + Sync + 'static {
    rotation
}

/// A revocation among updates and uses of one record stays.
pub async fn no_update_undoes_a_revocation(store: Store) {
    for round in 0..10 {
        put(&store, &record(round)).await;
        let many = store.clone();
        at_once(8, move |number| {
            let store = many.clone();
            async move {
                if number == 4 {
                    let ids = revoked(&store, &only([round]), &mark(1)).await;
                    assert_eq!(ids, [id(round)], "a revocation returns what it revoked");
                } else {
                    let version = found(&store, round).await.token.version;
                    let change = Change {
                        suspension: Some(None),
                        expires_at: Some(None),
                        ..Change::default()
                    };
                    let updated = store.update(&id(round), version, &change, at(0)).await;
                    if !matches!(updated, Ok(Some(_)) | Err(StoreError::Conflict(_))) {
                        panic!("an update beside others is taken or a conflict: {updated:?}");
                    }
                    fine("a touch", store.touch(&[used(round, i64::from(number))]).await);
                }
            }
        })
        .await;
        let kept = found(&store, round).await;
        let rule = "no update undoes a revocation";
        assert_eq!(kept.token.revocation, Some(mark(1)), "{rule}");
        let version = kept.token.version;
        let refused = store.update(&id(round), version, &Change::default(), at(0)).await;
        assert_eq!(conflict(rule, refused), Conflict::Revoked, "{rule}");
    }
}

/// A revocation of everything, or of a tenant, takes all that was stored before it, whole. What is
/// stored while it runs is stored before it or after it.
pub async fn a_bulk_revocation_beside_inserts_takes_all_that_came_before(store: Store) {
    for (round, reach) in [Reach::All, Reach::Tenant(Tenant::DEFAULT)].into_iter().enumerate() {
        let first = u32::try_from(round * 1_000).unwrap();
        let filter = Filter::new(reach);
        let inserted = Arc::new(Mutex::new(Vec::new()));
        let (many, bulk) = (store.clone(), filter.clone());
        let results = at_once(6, move |thread| {
            let (store, filter, inserted) = (many.clone(), bulk.clone(), inserted.clone());
            async move {
                let mut done = (Vec::new(), Vec::new());
                for count in 0..20 {
                    if thread == 0 && count == 3 {
                        done.0.clone_from(&inserted.lock().unwrap());
                        done.1 = revoked(&store, &filter, &mark(1)).await;
                    }
                    let number = first + thread * 100 + count;
                    let of = owner(&format!("u{number}"));
                    put(&store, &record_with(number, |token| token.owner = of)).await;
                    inserted.lock().unwrap().push(number);
                }
                done
            }
        })
        .await;
        let (before, taken) = results.into_iter().next().unwrap_or_default();
        let rule = "a revocation takes all that was stored before it";
        for number in before {
            assert!(taken.contains(&id(number)), "{rule}: {number}");
        }
        for record in
            everything(&store).await.into_iter().filter(|kept| taken.contains(&kept.token.id))
        {
            assert_eq!(record.token.revocation, Some(mark(1)), "{rule}, whole");
            assert_eq!(record.token.version, 2, "{rule}, once");
        }
        let left = revoked(&store, &filter, &mark(2)).await;
        assert!(left.iter().all(|id| !taken.contains(id)), "{rule}, once");
        assert_eq!(left.len() + taken.len(), 120, "{rule}, or is left for the next");
    }
}

/// What the record is when its revocation returns, it stays, whatever uses are under way.
pub async fn a_use_beside_a_revocation_changes_nothing_afterwards(store: Store) {
    for round in 0..10 {
        put(&store, &record(round)).await;
        let many = store.clone();
        let seen = at_once(8, move |number| {
            let store = many.clone();
            async move {
                if number != 4 {
                    for second in 0..5 {
                        let noted = used(round, i64::from(number) + 10 * second);
                        fine("a touch", store.touch(&[noted]).await);
                    }
                    return None;
                }
                revoked(&store, &only([round]), &mark(1)).await;
                Some(found(&store, round).await)
            }
        })
        .await;
        let seen = seen.into_iter().flatten().next();
        let kept = found(&store, round).await;
        assert_eq!(kept.token.revocation, Some(mark(1)), "no use undoes a revocation");
        assert_eq!(seen, Some(kept), "no use is noted after the revocation returned");
    }
}

/// Of uses at once the newest stays.
pub async fn uses_at_once_only_move_forward(store: Store) {
    put(&store, &record(1)).await;
    put(&store, &record(2)).await;
    let many = store.clone();
    at_once(16, move |number| {
        let store = many.clone();
        async move {
            for step in 0..8 {
                let second = i64::from(step * 16 + number);
                // In both orders, which must not lock each other out.
                let mut batch = [used(1, second), used(2, 1000 - second)];
                if number % 2 == 0 {
                    batch.reverse();
                }
                fine("a touch beside others", store.touch(&batch).await);
            }
        }
    })
    .await;
    let rule = "an older use never replaces a newer one";
    for (number, newest) in [(1, 127), (2, 1000)] {
        let kept = found(&store, number).await.token;
        assert_eq!(kept.last_use, Some(used(number, newest).last_use), "{rule}");
        assert_eq!(kept.version, 1, "noting a use leaves the version as it is");
    }
}

/// Purges and revocations at once: each record is revoked and removed at most once, and what is
/// gone does not come back.
pub async fn a_purge_beside_a_revocation_removes_each_record_once(store: Store) {
    for round in 0..10_u32 {
        let holder = owner(&format!("holder {round}"));
        for number in 0..6 {
            let ended = record_with(round * 10 + number, |token| {
                token.owner = holder.clone();
                token.expires_at = Some(at(1));
            });
            put(&store, &ended).await;
        }
        let many = store.clone();
        let results = at_once(6, move |number| {
            let (store, holder) = (many.clone(), holder.clone());
            async move {
                if number % 2 == 0 {
                    return (
                        purged(&store, &Purge { limit: 4, ..purge_at(1000) }).await,
                        Vec::new(),
                    );
                }
                let filter = Filter::new(Reach::Owner(Tenant::DEFAULT, holder));
                (0, revoked(&store, &filter, &mark(i64::from(number))).await)
            }
        })
        .await;
        let removed: u64 = results.iter().map(|(removed, _)| removed).sum();
        assert_eq!(removed, 6, "purges at once remove and count each record once");
        let mut ids: Vec<_> = results.into_iter().flat_map(|(_, ids)| ids).collect();
        let told = ids.len();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), told, "revocations at once return each id once");
        let left = everything(&store).await;
        assert_eq!(left, [], "a revocation does not bring back what a purge removed");
    }
}

/// Whoever reads beside updates sees a record before or after each, and never an older one than
/// before.
pub async fn readers_see_no_half_of_a_change(store: Store) {
    put(&store, &version(1)).await;
    let many = store.clone();
    at_once(4, move |number| {
        let store = many.clone();
        async move {
            let mut last = 1;
            for now in 1..40 {
                if number == 0 {
                    let next = version(now + 1);
                    let change = Change {
                        name: Some((next.token.name, true)),
                        description: Some(next.token.description),
                        metadata: Some(next.token.metadata),
                        digest: Some(next.digest),
                        ..Change::default()
                    };
                    let taken = store.update(&id(1), now, &change, at(0)).await;
                    fine("the only update under way", taken);
                    continue;
                }
                let seen = match number {
                    1 => vec![found(&store, 1).await],
                    _ => everything(&store).await,
                };
                let [seen] = seen.as_slice() else {
                    panic!("a record is in a list while it changes: {seen:?}");
                };
                let current = seen.token.version;
                assert_eq!(*seen, version(current), "a reader sees no half of a change");
                assert!(current >= last, "a reader sees nothing older than before");
                last = current;
            }
        }
    })
    .await;
    assert_eq!(found(&store, 1).await, version(40), "every change is kept");
}

/// Record 1 as it is at this version.
fn version(version: u64) -> Record {
    let number = u32::try_from(version).unwrap();
    let mut record = record_with(1, |token| {
        token.name = format!("version {version}").parse().unwrap();
        token.description = Some(version.to_string());
        token.metadata = Metadata::from_json(&format!("{{\"version\":{version}}}")).unwrap();
        token.version = version;
    });
    record.digest = digest(number);
    record
}
