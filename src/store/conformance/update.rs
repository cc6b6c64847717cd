//! Updates: compare-and-set of what a change names.

use std::sync::Arc;

use super::harness::Store;
use super::support::{
    at, conflict, digest, fine, found, full_record, id, mark, named, only, put, record,
    record_with, revoked, suspension, updated,
};
use crate::scope::{Resources, ScopeList};
use crate::store::{Admission, Change, Conflict};
use crate::token::{Metadata, Networks, Notices, Rotation};

/// An update does what [`Change::apply_to`] does and nothing else, to one record.
pub async fn an_update_changes_what_it_names(store: Store) {
    let mut before = full_record(1);
    before.token.revocation = None;
    put(&store, &before).await;
    put(&store, &record(2)).await;
    let mut expected = before.clone();
    let changes = [
        Change::default(),
        named("new name", true),
        Change { description: Some(None), ..Change::default() },
        Change {
            expires_at: Some(None),
            notices: Some(Notices { given: 3, claimed_at: None }),
            ..Change::default()
        },
        Change { suspension: Some(None), superseded: Some(None), ..Change::default() },
        Change { rotation: Some(None), networks: Some(Networks::Anywhere), ..Change::default() },
        Change { superseded: Some(Some(digest(9))), ..Change::default() },
    ];
    for (version, change) in (7..).zip(changes) {
        change.apply_to(&mut expected);
        let returned = updated(&store, 1, version, &change).await;
        assert_eq!(returned, expected, "an update returns the record afterwards: {change:?}");
        let kept = found(&store, 1).await;
        assert_eq!(kept, expected, "an update does what `Change::apply_to` does: {change:?}");
    }
    assert_eq!(found(&store, 2).await, record(2), "an update changes no other record");
}

/// Every field that a change can name is written.
pub async fn every_field_of_a_change_arrives(store: Store) {
    put(&store, &record(1)).await;
    let rotation = Rotation {
        rotated_at: at(5),
        superseded_at: at(5),
        grace_until: at(6),
        first_used_at: None,
    };
    let change = Change {
        name: Some(("Ελλάς".parse().unwrap(), true)),
        description: Some(Some("d".to_owned())),
        scopes: Some(ScopeList::parse(["x", "y"]).unwrap()),
        resources: Some(Resources::All),
        networks: Some(Networks::Listed(Arc::from(["127.0.0.1/32".parse().unwrap()]))),
        expires_at: Some(Some(at(50))),
        metadata: Some(Metadata::from_json(r#"{"a":1}"#).unwrap()),
        suspension: Some(Some(suspension(2))),
        digest: Some(digest(77)),
        superseded: Some(Some(digest(1))),
        rotation: Some(Some(rotation)),
        notices: Some(Notices { given: 255, claimed_at: Some(at(3)) }),
    };
    let mut expected = record(1);
    change.apply_to(&mut expected);
    let rule = "every field of a change is written, and the version counts up by one";
    assert_eq!(updated(&store, 1, 1, &change).await, expected, "{rule}");
    assert_eq!(found(&store, 1).await, expected, "{rule}");
    assert_eq!(expected.token.version, 2, "{rule}");
}

/// An update needs the version the record has; a revoked record takes none.
pub async fn stale_and_late_updates_are_refused(store: Store) {
    put(&store, &record(1)).await;
    updated(&store, 1, 1, &named("a", false)).await;
    for version in [0, 1, 3, u64::MAX] {
        let rule = format!("an update that expects version {version} of a record at 2 is stale");
        let refused = store.update(&id(1), version, &named("b", true), at(0)).await;
        assert_eq!(conflict(&rule, refused), Conflict::Stale { current: 2 }, "{rule}");
    }
    revoked(&store, &only([1]), &mark(5)).await;
    for version in [2, 3] {
        let rule = "a revoked record takes no update, and that is told before a stale version";
        let refused = store.update(&id(1), version, &named("b", true), at(0)).await;
        assert_eq!(conflict(rule, refused), Conflict::Revoked, "{rule}");
    }
    let kept = found(&store, 1).await.token;
    assert_eq!((kept.name.as_str(), kept.version), ("a", 3), "a refused update changes nothing");
}

/// A name that must be free must be free at the step's instant, other than for the token itself.
pub async fn a_new_name_must_be_free_if_asked_for(store: Store) {
    put(&store, &record(1)).await;
    put(&store, &record_with(2, |token| token.expires_at = Some(at(10)))).await;
    let rule = "a name that a live token of the owner has is taken";
    let taken = store.update(&id(1), 1, &named("Token 2", true), at(9)).await;
    assert_eq!(conflict(rule, taken), Conflict::NameTaken { by: id(2) }, "{rule}");
    let rule = "a stale version is told before a taken name";
    let stale = store.update(&id(1), 4, &named("Token 2", true), at(9)).await;
    assert_eq!(conflict(rule, stale), Conflict::Stale { current: 1 }, "{rule}");
    let allowed = [
        ("an update to its own name", "TOKEN 1", true, 9),
        ("an update to a name that is free again", "Token 2", true, 10),
        ("an update to a name that was given up", "token 1", true, 0),
        ("an update to a name that need not be free", "token 2", false, 0),
    ];
    for (version, (what, name, unique, second)) in (1..).zip(allowed) {
        let change = named(name, unique);
        let updated = fine(what, store.update(&id(1), version, &change, at(second)).await);
        assert!(updated.is_some(), "an update of a stored record returns the record");
    }
    let admission = Admission { now: at(0), quota: None, unique_name: true };
    let heir = record_with(3, |token| token.name = "token 1".parse().unwrap());
    fine("an insert with a name that was given up", store.insert(&heir, &admission).await);
    let rule = "a name that was given up and taken by another is taken";
    let taken = store.update(&id(1), 5, &named("Token 1", true), at(0)).await;
    assert_eq!(conflict(rule, taken), Conflict::NameTaken { by: id(3) }, "{rule}");
}
