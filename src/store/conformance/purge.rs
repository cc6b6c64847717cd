//! Purges: what ended long ago goes, parents after their children.

use chrono::TimeDelta;

use super::harness::Store;
use super::support::{
    at, everything, fine, found, id, key, mark, only, put, put_all, record, record_with, revoked,
};
use super::zoo::zoo;
use crate::store::{Admission, Filter, Purge, Reach};
use crate::token::{Kind, Record, Tenant};

pub(super) fn purge_at(second: i64) -> Purge {
    Purge {
        now: at(second),
        retention: TimeDelta::seconds(100),
        exchange_retention: TimeDelta::seconds(10),
        limit: 1000,
    }
}

pub(super) async fn purged(store: &Store, purge: &Purge) -> u64 {
    fine("a purge", store.purge(purge).await)
}

/// What a purge without a limit removes of these records.
pub(super) fn purgeable<'a>(records: &'a [Record], purge: &Purge) -> Vec<&'a Record> {
    let made_from =
        |record: &Record| records.iter().any(|other| other.token.parent == Some(record.token.id));
    let goes = |record: &&Record| {
        purge.admits(record.token.kind, &record.token.lifecycle()) && !made_from(record)
    };
    records.iter().filter(goes).collect()
}

/// A purge removes what [`Purge::admits`] and has no child, and nothing else.
pub async fn purge_removes_what_ended_long_ago(store: Store) {
    let mut records = zoo();
    put_all(&store, &records).await;
    let mut steps = Vec::new();
    for second in [0, 60, 100, 150, 165, 500, 500] {
        let purge = purge_at(second);
        let gone: Vec<Record> = purgeable(&records, &purge).into_iter().cloned().collect();
        let removed = purged(&store, &purge).await;
        assert_eq!(removed, gone.len() as u64, "a purge returns how many it removed: at {second}");
        for record in &records {
            let found = fine("a find", store.find(&record.token.id).await);
            let kept = (!gone.contains(record)).then_some(record);
            let rule = "a purge removes what `Purge::admits` and has no child";
            assert_eq!(found.as_ref(), kept, "{rule}: at {second}");
        }
        records.retain(|record| !gone.contains(record));
        steps.push(removed);
    }
    assert!(steps[1..6].iter().all(|removed| *removed > 0), "{steps:?}");
    let endless = records.iter().any(|record| record.token.expires_at.is_none());
    assert!(endless, "what neither expires nor is revoked stays");
}

/// A record stays as long as one that was made from it.
pub async fn purge_keeps_parents(store: Store) {
    put(&store, &record_with(1, |token| token.expires_at = Some(at(10)))).await;
    let child = record_with(2, |token| {
        token.kind = Kind::Access;
        token.parent = Some(id(1));
        token.expires_at = Some(at(190));
    });
    put(&store, &child).await;
    let rule = "what ended exactly as long ago as it is kept stays";
    assert_eq!(purged(&store, &purge_at(110)).await, 0, "{rule}");
    let rule = "a record stays as long as one that was made from it";
    assert_eq!(purged(&store, &purge_at(200)).await, 0, "{rule}");
    assert_eq!(purged(&store, &purge_at(201)).await, 1, "{rule}");
    assert_eq!(fine("a find", store.find(&id(2)).await), None, "the child goes first");
    found(&store, 1).await;
    assert_eq!(purged(&store, &purge_at(201)).await, 1, "a parent goes after its last child");
    assert_eq!(fine("a find", store.find(&id(1)).await), None, "a purged record is gone");
    assert_eq!(purged(&store, &purge_at(201)).await, 0, "nothing is removed twice");
}

/// A purge removes at most as many as its limit, and as many as that if there are.
pub async fn a_purge_has_a_limit(store: Store) {
    for number in 0..10 {
        let mut ended = record_with(number, |token| token.expires_at = Some(at(10)));
        ended.idempotency = Some(key(number));
        put(&store, &ended).await;
    }
    let limited = |limit| Purge { limit, ..purge_at(1000) };
    let rule = "a purge removes at most `limit` records, and that many while there are";
    assert_eq!(purged(&store, &limited(0)).await, 0, "{rule}");
    for removed in [4, 4, 2, 0] {
        assert_eq!(purged(&store, &limited(4)).await, removed, "{rule}");
    }
    // Nothing of a purged record stands in the way of a new one.
    let mut again = record(11);
    again.idempotency = Some(key(1));
    put(&store, &again).await;
}

/// A purged record leaves neither a name, a place, a key, a family nor a line in a list behind.
pub async fn nothing_of_a_purged_record_is_left(store: Store) {
    let strict = Admission { now: at(0), quota: Some(2), unique_name: true };
    let family = |number: u32| {
        let parent = record(number);
        let mut child = record_with(number + 1, |token| token.parent = Some(id(number)));
        child.idempotency = Some(key(7));
        [parent, child]
    };
    // Once more with other ids: a store may refuse those that it purged.
    for round in [1, 11, 21] {
        for (mut record, name) in family(round).into_iter().zip(["a", "b"]) {
            record.token.name = name.parse().unwrap();
            let admitted = store.insert(&record, &strict).await;
            fine("an insert with the name, place and key of a purged token", admitted);
        }
        let ids = revoked(&store, &Filter::new(Reach::Family(id(round))), &mark(1)).await;
        assert_eq!(
            ids,
            [id(round), id(round + 1)],
            "a family is a token and what it was made into"
        );
        assert_eq!(purged(&store, &purge_at(1000)).await, 1, "the child goes first");
        assert_eq!(purged(&store, &purge_at(1000)).await, 1, "then its parent");
        assert_eq!(everything(&store).await, [], "a purged record is in no list");
        for reach in [Reach::Family(id(round)), Reach::Tenant(Tenant::DEFAULT)] {
            let reached = revoked(&store, &Filter::new(reach), &mark(2)).await;
            assert_eq!(reached, [], "a purged record is reached by no filter");
        }
        let reached = revoked(&store, &only([round, round + 1]), &mark(2)).await;
        assert_eq!(reached, [], "a purged record is not revoked");
    }
}
