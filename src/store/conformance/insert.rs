//! Inserts: every field is kept, and every condition is part of the step.

use std::sync::Arc;

use super::harness::Store;
use super::support::{
    anything, at, conflict, digest, fine, found, full_record, id, key, mark, only, owner, put,
    record, record_with, revoked, suspension, updated,
};
use crate::clock::Timestamp;
use crate::scope::{Resources, ScopeList};
use crate::store::{Admission, Change, Conflict};
use crate::token::{Kind, Networks, Tenant};

/// A record is found exactly as it was inserted, whatever is in it.
pub async fn every_field_comes_back(store: Store) {
    for record in [
        record(1),
        full_record(2),
        record_with(3, |token| {
            token.networks = Networks::Listed(Arc::default());
            token.resources = Resources::All;
            token.scopes = ScopeList::default();
            token.created_at = Timestamp::MIN;
            token.expires_at = Some(Timestamp::MAX);
            token.not_before = Some(Timestamp::MAX);
        }),
    ] {
        put(&store, &record).await;
        let found = fine("a find", store.find(&record.token.id).await);
        assert_eq!(found, Some(record), "every field of a record comes back as it was inserted");
    }
    let mut bare = record(4);
    bare.superseded = Some(digest(5));
    put(&store, &bare).await;
    let kept = found(&store, 4).await;
    assert_eq!(kept, bare, "an older digest is kept, also without a rotation");
}

/// The conditions of an insert are checked in the contract's order, and a refused insert leaves
/// nothing behind.
pub async fn conflicts_are_told_in_order(store: Store) {
    let mut first = record(1);
    first.idempotency = Some(key(1));
    put(&store, &first).await;
    let strict = Admission { now: at(0), quota: Some(1), unique_name: true };
    let rule = "a known idempotency key is told before anything else";
    let refused = store.insert(&first, &strict).await;
    assert_eq!(conflict(rule, refused), Conflict::Replayed { id: id(1) }, "{rule}");
    let mut again = first.clone();
    again.idempotency = Some(key(2));
    let rule = "a taken id is told before a taken name and a full quota";
    assert_eq!(conflict(rule, store.insert(&again, &strict).await), Conflict::IdTaken, "{rule}");
    again.token.id = id(2);
    again.token.name = "TOKEN 1".parse().unwrap();
    let rule = "a taken name is told before a full quota, and names are compared by their keys";
    let taken = Conflict::NameTaken { by: id(1) };
    assert_eq!(conflict(rule, store.insert(&again, &strict).await), taken, "{rule}");
    again.token.name = "another".parse().unwrap();
    let rule = "an owner holds at most as many live tokens of a kind as the quota says";
    let full = Conflict::QuotaFull { limit: 1 };
    assert_eq!(conflict(rule, store.insert(&again, &strict).await), full, "{rule}");
    let none = Admission { quota: Some(0), ..strict };
    let elsewhere = record_with(3, |token| token.owner = owner("u2"));
    let rule = "a quota of 0 admits nothing";
    let refused = store.insert(&elsewhere, &none).await;
    assert_eq!(conflict(rule, refused), Conflict::QuotaFull { limit: 0 }, "{rule}");
    let left = fine("a find", store.find(&id(2)).await);
    assert_eq!(left, None, "a refused insert stores nothing");
    assert_eq!(found(&store, 1).await, first, "a refused insert changes nothing");
    let roomy = Admission { quota: Some(2), ..strict };
    let admitted = store.insert(&again, &roomy).await;
    fine("an insert with the id, name and key of refused ones", admitted);
    // Keys and ids of other owners: an id is taken for all, a key only within its owner.
    let mut other = record_with(4, |token| token.owner = owner("u2"));
    other.idempotency = Some(key(1));
    let admitted = store.insert(&other, &strict).await;
    fine("an insert with the key, name and quota of another owner", admitted);
    other.token.tenant = Tenant::parse("acme").unwrap();
    let rule = "an id is taken for all tenants, an idempotency key only within tenant and owner";
    assert_eq!(conflict(rule, store.insert(&other, &strict).await), Conflict::IdTaken, "{rule}");
}

/// Names and places in the quota are held by live tokens alone, of one tenant, owner and kind; what
/// is live is decided by the instant the step is given.
pub async fn ended_tokens_free_their_names_and_places(store: Store) {
    let strict = |second| Admission { now: at(second), quota: Some(1), unique_name: true };
    let same = |number| {
        record_with(number, |token| {
            token.name = "Straße".parse().unwrap();
            token.expires_at = Some(at(10));
        })
    };
    fine("an insert", store.insert(&same(1), &strict(0)).await);
    let rule = "a token is live until just before it expires";
    let refused = store.insert(&same(2), &strict(9)).await;
    assert_eq!(conflict(rule, refused), Conflict::NameTaken { by: id(1) }, "{rule}");
    let admitted = store.insert(&same(2), &strict(10)).await;
    fine("an insert at the instant the name's holder expires", admitted);
    revoked(&store, &only([2]), &mark(0)).await;
    let rule =
        "an expired token holds its name again for an earlier instant: the step's alone counts";
    let refused = store.insert(&same(3), &strict(0)).await;
    assert_eq!(conflict(rule, refused), Conflict::NameTaken { by: id(1) }, "{rule}");
    revoked(&store, &only([1]), &mark(0)).await;
    let admitted = store.insert(&same(3), &strict(0)).await;
    fine("an insert with the name of revoked tokens", admitted);
    let suspended = Change { suspension: Some(Some(suspension(1))), ..Change::default() };
    updated(&store, 3, 1, &suspended).await;
    let rule = "a suspended token is live";
    let refused = store.insert(&same(4), &strict(2)).await;
    assert_eq!(conflict(rule, refused), Conflict::NameTaken { by: id(3) }, "{rule}");
    for (number, place) in (5..).zip(["kind", "owner", "tenant"]) {
        let mut other = same(number);
        match place {
            "kind" => other.token.kind = Kind::Application,
            "owner" => other.token.owner = owner("u2"),
            _ => other.token.tenant = Tenant::parse("acme").unwrap(),
        }
        other.token.not_before = Some(at(5));
        let admitted = store.insert(&other, &strict(2)).await;
        fine(&format!("an insert with the name and quota of another {place}"), admitted);
        let mut twin = other.clone();
        twin.token.id = id(number + 10);
        let rule = "a token that is not yet usable is live and holds its name";
        let refused = store.insert(&twin, &strict(2)).await;
        assert_eq!(conflict(rule, refused), Conflict::NameTaken { by: id(number) }, "{rule}");
        twin.token.name = "other".parse().unwrap();
        let rule = "a token that is not yet usable is live and counts for the quota";
        let refused = store.insert(&twin, &strict(2)).await;
        assert_eq!(conflict(rule, refused), Conflict::QuotaFull { limit: 1 }, "{rule}");
    }
    // Without the conditions nothing of this matters.
    fine("an insert without conditions", store.insert(&same(30), &anything()).await);
}
