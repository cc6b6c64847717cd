//! What every store does. A case is a plain function of an empty store; each store gets one test
//! for each case.

use std::collections::HashSet;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

use chrono::TimeDelta;
use hallpass::store::{
    Admission, Change, Conflict, Filter, Purge, Reach, SortKey, StoreError, Use,
};
use hallpass::{
    Actor, IdempotencyKey, Kind, KindSet, LastUse, MemoryStore, Metadata, Networks, Record,
    Resources, Revocation, RevocationReason, Rotation, ScopeList, Status, Tenant, Timestamp,
    TokenName, TokenStore,
};

use crate::support::{
    SORTS, all, anything, at, at_once, digest, full_record, id, ids, key, mark, only, owner, page,
    position, record, record_with, sorted,
};

macro_rules! on_every_store {
    ($($case:ident,)*) => {
        mod memory {
            $(#[tokio::test]
            async fn $case() {
                super::$case(super::Arc::new(super::MemoryStore::new())).await;
            })*
        }

        #[cfg(feature = "sqlite")]
        mod sqlite {
            $(#[tokio::test]
            async fn $case() {
                let directory = tempfile::tempdir().unwrap();
                let store = hallpass::SqliteStore::open(directory.path().join("tokens")).unwrap();
                super::$case(super::Arc::new(store)).await;
            })*
        }

        #[cfg(feature = "cache")]
        mod cached_memory {
            $(#[tokio::test]
            async fn $case() {
                super::$case(crate::cached_support::coherent(super::MemoryStore::new())).await;
            })*
        }

        #[cfg(all(feature = "cache", feature = "sqlite"))]
        mod cached_sqlite {
            $(#[tokio::test]
            async fn $case() {
                let directory = tempfile::tempdir().unwrap();
                let store = hallpass::SqliteStore::open(directory.path().join("tokens")).unwrap();
                super::$case(crate::cached_support::coherent(store)).await;
            })*
        }

        #[cfg(feature = "sqlite")]
        mod sqlite_in_memory {
            $(#[tokio::test]
            async fn $case() {
                let store = hallpass::SqliteStore::open_in_memory().unwrap();
                super::$case(super::Arc::new(store)).await;
            })*
        }
    };
}

on_every_store! {
    every_field_comes_back,
    absence_is_no_error,
    hostile_text_is_only_text,
    conflicts_are_told_in_order,
    ended_tokens_free_their_names_and_places,
    a_hundred_inserts_at_once_respect_the_quota,
    one_of_many_at_once_gets_a_name,
    one_of_many_at_once_gets_an_idempotency_key,
    a_dropped_insert_is_all_or_nothing,
    an_update_changes_what_it_names,
    every_field_of_a_change_arrives,
    stale_and_late_updates_are_refused,
    a_new_name_must_be_free_if_asked_for,
    one_of_many_rotations_at_once_succeeds,
    no_update_undoes_a_revocation,
    uses_only_move_forward,
    uses_of_revoked_tokens_are_passed_over,
    revocation_reaches_what_it_names,
    the_first_revocation_is_kept,
    lists_admit_what_the_filter_admits,
    pages_hold_while_records_come_and_go,
    text_is_searched_literally,
    purge_removes_what_ended_long_ago,
    purge_keeps_parents,
    a_purge_has_a_limit,
}

type Store = Arc<dyn TokenStore>;

async fn put(store: &Store, record: &Record) {
    store.insert(record, &anything()).await.unwrap();
}

async fn found(store: &Store, number: u32) -> Record {
    store.find(&id(number)).await.unwrap().unwrap()
}

fn conflict<T>(result: Result<T, StoreError>) -> Conflict {
    match result {
        Err(StoreError::Conflict(conflict)) => conflict,
        Err(error) => panic!("{error:?}"),
        Ok(_) => panic!("no conflict"),
    }
}

fn named(name: &str, unique: bool) -> Change {
    Change { name: Some((name.parse().unwrap(), unique)), ..Change::default() }
}

fn used(number: u32, second: i64) -> Use {
    let last_use = LastUse { at: at(second), ip: None, agent: Some(second.to_string().into()) };
    Use { id: id(number), last_use }
}

async fn every_field_comes_back(store: Store) {
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
        assert_eq!(store.find(&record.token.id).await.unwrap(), Some(record));
    }
    let mut bare = record(4);
    bare.superseded = Some(digest(5));
    put(&store, &bare).await;
    assert_eq!(found(&store, 4).await, bare);
}

async fn absence_is_no_error(store: Store) {
    assert_eq!(store.find(&id(1)).await.unwrap(), None);
    assert_eq!(store.update(&id(1), 1, &Change::default(), at(0)).await.unwrap(), None);
    assert_eq!(store.update(&id(1), 1, &named("a", true), at(0)).await.unwrap(), None);
    assert_eq!(store.revoke(&only([1]), &mark(0)).await.unwrap(), []);
    let request = page(SortKey::Name, false, 10);
    assert_eq!(store.list(&Filter::new(Reach::All), &request, at(0)).await.unwrap(), []);
    store.touch(&[used(1, 1)]).await.unwrap();
    store.touch(&[]).await.unwrap();
    let lower = record_with(1, |token| token.id = "abcdefghijklmnop".parse().unwrap());
    put(&store, &lower).await;
    assert_eq!(store.find(&"ABCDEFGHIJKLMNOP".parse().unwrap()).await.unwrap(), None);
}

const HOSTILE: [&str; 12] = [
    "'; DROP TABLE tokens; --",
    "\" OR 1=1 --",
    "?1 :a @b $c",
    "%_\\",
    "<script>alert(1)</script>",
    "{{7*7}} ${7*7}",
    "żółw 🐢 👩‍💻",
    "null",
    "[\"a\"]",
    "=cmd|' /C calc'!A0",
    "a\u{1f}b\0c\r\n\u{7f}",
    "\u{202e}\u{feff}\u{fffd}",
];

async fn hostile_text_is_only_text(store: Store) {
    for (number, text) in (1..).zip(HOSTILE) {
        let hostile = record_with(number, |token| {
            if let Ok(name) = text.parse::<TokenName>() {
                token.name = name;
                token.owner = owner(text);
                token.tenant = Tenant::parse(text).unwrap();
                token.created_by = Actor::Admin(owner(text));
            }
            token.description = Some(text.to_owned());
            token.audience = vec![text.to_owned(), String::new()];
            token.client = Some(text.to_owned());
            let agent = Some(text.into());
            token.last_use = Some(LastUse { at: at(1), ip: None, agent });
            let object = [(text.to_owned(), text.into())].into_iter().collect();
            token.metadata = Metadata::new(&object).unwrap();
        });
        put(&store, &hostile).await;
        assert_eq!(found(&store, number).await, hostile);
        let token = &hostile.token;
        let mut filter = Filter::new(Reach::Owner(token.tenant.clone(), token.owner.clone()));
        filter.client = Some(text.to_owned());
        filter.text = Some(text.to_owned());
        let listed = all(&*store, &filter, page(SortKey::Name, false, 10), at(0)).await;
        assert_eq!(listed, std::slice::from_ref(&hostile), "{text:?}");
        let description = Some(Some(format!("{text}{text}")));
        let change = Change { description, ..Change::default() };
        let changed = store.update(&id(number), 1, &change, at(0)).await.unwrap().unwrap();
        assert_eq!(changed.token.description, Some(format!("{text}{text}")));
    }
    let everything = Filter::new(Reach::All);
    let listed = all(&*store, &everything, page(SortKey::Name, false, 100), at(0)).await;
    assert_eq!(listed.len(), HOSTILE.len());
}

async fn conflicts_are_told_in_order(store: Store) {
    let mut first = record(1);
    first.idempotency = Some(key(1));
    put(&store, &first).await;
    let strict = Admission { now: at(0), quota: Some(1), unique_name: true };
    assert_eq!(conflict(store.insert(&first, &strict).await), Conflict::Replayed { id: id(1) });
    let mut again = first.clone();
    again.idempotency = Some(key(2));
    assert_eq!(conflict(store.insert(&again, &strict).await), Conflict::IdTaken);
    again.token.id = id(2);
    again.token.name = "TOKEN 1".parse().unwrap();
    let taken = Conflict::NameTaken { by: id(1) };
    assert_eq!(conflict(store.insert(&again, &strict).await), taken);
    again.token.name = "another".parse().unwrap();
    let full = Conflict::QuotaFull { limit: 1 };
    assert_eq!(conflict(store.insert(&again, &strict).await), full);
    let none = Admission { quota: Some(0), ..strict };
    let elsewhere = record_with(3, |token| token.owner = owner("u2"));
    assert_eq!(conflict(store.insert(&elsewhere, &none).await), Conflict::QuotaFull { limit: 0 });
    // Nothing of what was refused is left behind.
    assert_eq!(store.find(&id(2)).await.unwrap(), None);
    assert_eq!(found(&store, 1).await, first);
    let roomy = Admission { quota: Some(2), ..strict };
    store.insert(&again, &roomy).await.unwrap();
    // Keys and ids of other owners: an id is taken for all, a key only within its owner.
    let mut other = record_with(4, |token| token.owner = owner("u2"));
    other.idempotency = Some(key(1));
    store.insert(&other, &strict).await.unwrap();
    other.token.tenant = Tenant::parse("acme").unwrap();
    assert_eq!(conflict(store.insert(&other, &strict).await), Conflict::IdTaken);
}

async fn ended_tokens_free_their_names_and_places(store: Store) {
    let strict = |second| Admission { now: at(second), quota: Some(1), unique_name: true };
    let same = |number| {
        record_with(number, |token| {
            token.name = "Straße".parse().unwrap();
            token.expires_at = Some(at(10));
        })
    };
    store.insert(&same(1), &strict(0)).await.unwrap();
    let taken = Conflict::NameTaken { by: id(1) };
    assert_eq!(conflict(store.insert(&same(2), &strict(9)).await), taken);
    store.insert(&same(2), &strict(10)).await.unwrap();
    store.revoke(&only([2]), &mark(0)).await.unwrap();
    store.insert(&same(3), &strict(0)).await.unwrap_err();
    store.revoke(&only([1]), &mark(0)).await.unwrap();
    store.insert(&same(3), &strict(0)).await.unwrap();
    // Suspended and future tokens are live; other kinds, owners and tenants count for themselves.
    let change = Change { suspended_at: Some(Some(at(1))), ..Change::default() };
    store.update(&id(3), 1, &change, at(1)).await.unwrap();
    assert_eq!(
        conflict(store.insert(&same(4), &strict(2)).await),
        Conflict::NameTaken { by: id(3) }
    );
    for (number, place) in (5..).zip(["kind", "owner", "tenant"]) {
        let other = {
            let mut other = same(number);
            match place {
                "kind" => other.token.kind = Kind::Application,
                "owner" => other.token.owner = owner("u2"),
                _ => other.token.tenant = Tenant::parse("acme").unwrap(),
            }
            other.token.not_before = Some(at(5));
            other
        };
        store.insert(&other, &strict(2)).await.unwrap();
        let mut twin = other.clone();
        twin.token.id = id(number + 10);
        assert_eq!(
            conflict(store.insert(&twin, &strict(2)).await),
            Conflict::NameTaken { by: id(number) }
        );
        twin.token.name = "other".parse().unwrap();
        assert_eq!(
            conflict(store.insert(&twin, &strict(2)).await),
            Conflict::QuotaFull { limit: 1 }
        );
    }
}

async fn a_hundred_inserts_at_once_respect_the_quota(store: Store) {
    let admission = Admission { now: at(0), quota: Some(5), unique_name: true };
    for number in 0..4 {
        store.insert(&record(number), &admission).await.unwrap();
    }
    let results = at_once(100, |number| {
        let store = store.clone();
        async move { store.insert(&record(100 + number), &admission).await }
    });
    let refused: Vec<Conflict> = results.into_iter().filter(Result::is_err).map(conflict).collect();
    assert_eq!(refused, [Conflict::QuotaFull { limit: 5 }; 99]);
    let everything = Filter::new(Reach::All);
    assert_eq!(all(&*store, &everything, page(SortKey::Name, false, 50), at(0)).await.len(), 5);
}

async fn one_of_many_at_once_gets_a_name(store: Store) {
    let admission = Admission { now: at(0), quota: None, unique_name: true };
    let results = at_once(32, |number| {
        let store = store.clone();
        async move {
            let name = if number % 2 == 0 { "CAFE\u{301}" } else { "caf\u{e9}" };
            let record = record_with(number, |token| token.name = name.parse().unwrap());
            store.insert(&record, &admission).await
        }
    });
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1);
    let everything = Filter::new(Reach::All);
    let listed = all(&*store, &everything, page(SortKey::Name, false, 50), at(0)).await;
    assert_eq!(listed.len(), 1);
    for refused in results.into_iter().filter(Result::is_err) {
        assert_eq!(conflict(refused), Conflict::NameTaken { by: listed[0].token.id });
    }
}

async fn one_of_many_at_once_gets_an_idempotency_key(store: Store) {
    let results = at_once(32, |number| {
        let store = store.clone();
        async move {
            let mut record = record(number);
            record.idempotency = Some(IdempotencyKey { request: key(number).request, ..key(7) });
            store.insert(&record, &anything()).await
        }
    });
    let mut numbered = (0..).zip(&results);
    let issued = numbered.find_map(|(number, result)| result.is_ok().then_some(number)).unwrap();
    for (number, result) in (0..).zip(results) {
        if number != issued {
            assert_eq!(conflict(result), Conflict::Replayed { id: id(issued) });
        }
    }
}

async fn a_dropped_insert_is_all_or_nothing(store: Store) {
    for number in 0..20 {
        let full = full_record(number);
        let admission = anything();
        let mut insert = store.insert(&full, &admission);
        poll_fn(|context| {
            let _ = insert.as_mut().poll(context);
            Poll::Ready(())
        })
        .await;
        drop(insert);
        // A later write waits for the dropped one, if it goes on.
        put(&store, &record(100 + number)).await;
        if let Some(kept) = store.find(&id(number)).await.unwrap() {
            assert_eq!(kept, full);
        }
    }
}

async fn an_update_changes_what_it_names(store: Store) {
    let mut before = full_record(1);
    before.token.revocation = None;
    put(&store, &before).await;
    put(&store, &record(2)).await;
    let mut expected = before.clone();
    let changes = [
        Change::default(),
        named("new name", true),
        Change { description: Some(None), ..Change::default() },
        Change { expires_at: Some(None), notices: Some(3), ..Change::default() },
        Change { suspended_at: Some(None), superseded: Some(None), ..Change::default() },
        Change { rotation: Some(None), networks: Some(Networks::Anywhere), ..Change::default() },
        Change { superseded: Some(Some(digest(9))), ..Change::default() },
    ];
    for (version, change) in (7..).zip(changes) {
        change.apply_to(&mut expected);
        let returned = store.update(&id(1), version, &change, at(0)).await.unwrap();
        assert_eq!(returned.as_ref(), Some(&expected), "{change:?}");
        assert_eq!(found(&store, 1).await, expected);
    }
    assert_eq!(found(&store, 2).await, record(2));
}

async fn every_field_of_a_change_arrives(store: Store) {
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
        suspended_at: Some(Some(at(2))),
        digest: Some(digest(77)),
        superseded: Some(Some(digest(1))),
        rotation: Some(Some(rotation)),
        notices: Some(255),
    };
    let mut expected = record(1);
    change.apply_to(&mut expected);
    let returned = store.update(&id(1), 1, &change, at(0)).await.unwrap();
    assert_eq!(returned, Some(expected.clone()));
    assert_eq!(found(&store, 1).await, expected);
    assert_eq!(expected.token.version, 2);
}

async fn stale_and_late_updates_are_refused(store: Store) {
    put(&store, &record(1)).await;
    let change = named("a", false);
    store.update(&id(1), 1, &change, at(0)).await.unwrap().unwrap();
    for version in [0, 1, 3, u64::MAX] {
        let refused = store.update(&id(1), version, &named("b", true), at(0)).await;
        assert_eq!(conflict(refused), Conflict::Stale { current: 2 });
    }
    store.revoke(&only([1]), &mark(5)).await.unwrap();
    for version in [2, 3] {
        let refused = store.update(&id(1), version, &named("b", true), at(0)).await;
        assert_eq!(conflict(refused), Conflict::Revoked);
    }
    let kept = found(&store, 1).await;
    assert_eq!((kept.token.name.as_str(), kept.token.version), ("a", 3));
}

async fn a_new_name_must_be_free_if_asked_for(store: Store) {
    put(&store, &record(1)).await;
    put(&store, &record_with(2, |token| token.expires_at = Some(at(10)))).await;
    let taken = store.update(&id(1), 1, &named("Token 2", true), at(9)).await;
    assert_eq!(conflict(taken), Conflict::NameTaken { by: id(2) });
    // Before that, a stale version is told.
    let stale = store.update(&id(1), 4, &named("Token 2", true), at(9)).await;
    assert_eq!(conflict(stale), Conflict::Stale { current: 1 });
    // Its own name, a name that is free again, and a name that need not be free.
    store.update(&id(1), 1, &named("TOKEN 1", true), at(9)).await.unwrap();
    store.update(&id(1), 2, &named("Token 2", true), at(10)).await.unwrap();
    store.update(&id(1), 3, &named("token 1", true), at(0)).await.unwrap();
    store.update(&id(1), 4, &named("token 2", false), at(0)).await.unwrap();
    // The name that was given up is free.
    let admission = Admission { now: at(0), quota: None, unique_name: true };
    store
        .insert(&record_with(3, |token| token.name = "token 1".parse().unwrap()), &admission)
        .await
        .unwrap();
}

async fn one_of_many_rotations_at_once_succeeds(store: Store) {
    put(&store, &record(1)).await;
    let results = at_once(64, |number| {
        let store = store.clone();
        async move {
            let rotation = Rotation {
                rotated_at: at(i64::from(number)),
                superseded_at: at(i64::from(number)),
                grace_until: at(100),
                first_used_at: None,
            };
            let change = Change {
                digest: Some(digest(100 + number)),
                superseded: Some(Some(digest(1))),
                rotation: Some(Some(rotation)),
                ..Change::default()
            };
            store.update(&id(1), 1, &change, at(0)).await
        }
    });
    let (done, refused): (Vec<_>, Vec<_>) = results.into_iter().partition(Result::is_ok);
    assert_eq!(done.len(), 1);
    let kept = found(&store, 1).await;
    assert_eq!(done.into_iter().next().unwrap().unwrap(), Some(kept));
    for refused in refused {
        assert_eq!(conflict(refused), Conflict::Stale { current: 2 });
    }
}

async fn no_update_undoes_a_revocation(store: Store) {
    for round in 0..10 {
        put(&store, &record(round)).await;
        at_once(8, |number| {
            let store = store.clone();
            async move {
                if number == 4 {
                    store.revoke(&only([round]), &mark(1)).await.unwrap();
                } else {
                    let read = store.find(&id(round)).await.unwrap().unwrap();
                    let change = Change {
                        suspended_at: Some(None),
                        expires_at: Some(None),
                        ..Change::default()
                    };
                    let version = read.token.version;
                    let _ = store.update(&id(round), version, &change, at(0)).await;
                    store.touch(&[used(round, i64::from(number))]).await.unwrap();
                }
            }
        });
        let kept = found(&store, round).await;
        assert_eq!(kept.token.revocation, Some(mark(1)));
        let refused = store.update(&id(round), kept.token.version, &Change::default(), at(0)).await;
        assert_eq!(conflict(refused), Conflict::Revoked);
    }
}

async fn uses_only_move_forward(store: Store) {
    put(&store, &record(1)).await;
    put(&store, &record(2)).await;
    store.touch(&[used(1, 10), used(7, 10), used(2, 5), used(1, 8)]).await.unwrap();
    store.touch(&[used(1, 9), used(2, 6)]).await.unwrap();
    let same_instant = Use { last_use: LastUse { agent: None, ..used(1, 10).last_use }, id: id(1) };
    store.touch(&[same_instant]).await.unwrap();
    let kept = found(&store, 1).await;
    assert_eq!(kept.token.last_use, Some(used(1, 10).last_use));
    assert_eq!(kept.token.version, 1);
    assert_eq!(found(&store, 2).await.token.last_use, Some(used(2, 6).last_use));
    let address = LastUse { at: at(20), ip: Some("::1".parse().unwrap()), agent: None };
    store.touch(&[Use { id: id(1), last_use: address.clone() }]).await.unwrap();
    assert_eq!(found(&store, 1).await.token.last_use, Some(address));
}

async fn uses_of_revoked_tokens_are_passed_over(store: Store) {
    put(&store, &record(1)).await;
    put(&store, &record(2)).await;
    store.touch(&[used(1, 1)]).await.unwrap();
    store.revoke(&only([1]), &mark(2)).await.unwrap();
    let revoked = found(&store, 1).await;
    store.touch(&[used(1, 10), used(2, 10)]).await.unwrap();
    assert_eq!(found(&store, 1).await, revoked);
    assert_eq!(found(&store, 2).await.token.last_use, Some(used(2, 10).last_use));
}

/// Tokens of two tenants and three owners, of every kind and in every status.
fn zoo() -> Vec<Record> {
    (0..72)
        .map(|number| {
            let mut record = record_with(number, |token| {
                let place = i64::from(number);
                token.kind = Kind::ALL[number as usize % 4];
                token.owner = owner(["u1", "u2", "u10"][number as usize % 3]);
                if number % 5 == 0 {
                    token.tenant = Tenant::parse("acme").unwrap();
                }
                token.name = ["alpha", "Beta", "żółw", "BETA", "%x", "a_b"][number as usize % 6]
                    .parse()
                    .unwrap();
                token.description = (number % 7 == 0).then(|| format!("Nightly No. {number}"));
                token.created_at = at(place / 3);
                token.expires_at = (number % 4 != 1).then(|| at(40 + place % 30));
                token.not_before = (number % 9 == 0).then(|| at(40 + place % 20));
                token.suspended_at = (number % 8 == 3).then(|| at(1));
                token.revocation = (number % 11 == 0).then(|| mark(place));
                token.last_use = (number % 3 != 0).then(|| used(number, place / 4).last_use);
                token.parent = (number % 10 == 9).then(|| id(number / 10));
                token.client = (number % 6 == 0).then(|| format!("client{}", number % 4));
                token.scopes = ScopeList::parse(match number % 4 {
                    0 => &["repo:read", "repo:write"][..],
                    1 => &["repo", "a,"],
                    2 => &[",", "read"],
                    _ => &[],
                })
                .unwrap();
            });
            record.superseded = (number % 13 == 0).then(|| digest(number + 1000));
            record
        })
        .collect()
}

fn filters() -> Vec<Filter> {
    let everything = || Filter::new(Reach::All);
    let of = |tenant: &str, name: &str| {
        Filter::new(Reach::Owner(Tenant::parse(tenant).unwrap(), owner(name)))
    };
    let mut filters = vec![
        everything(),
        Filter::new(Reach::Tenant(Tenant::DEFAULT)),
        Filter::new(Reach::Tenant(Tenant::parse("acme").unwrap())),
        Filter::new(Reach::Tenant(Tenant::parse("nobody").unwrap())),
        of("default", "u1"),
        of("acme", "u1"),
        of("default", "u"),
        Filter::new(Reach::Family(id(1))),
        Filter::new(Reach::Family(id(19))),
        Filter::new(Reach::Family(id(5000))),
        only([1, 2, 2, 70, 900]),
        only([]),
    ];
    let mut with = |change: &dyn Fn(&mut Filter)| {
        for mut filter in [everything(), of("default", "u1")] {
            change(&mut filter);
            filters.push(filter);
        }
    };
    for status in Status::ALL {
        with(&|filter| filter.statuses = Some(vec![status]));
    }
    with(&|filter| filter.statuses = Some(vec![]));
    with(&|filter| filter.statuses = Some(vec![Status::Expired, Status::Active, Status::Revoked]));
    with(&|filter| filter.kinds = KindSet::NONE);
    with(&|filter| filter.kinds = KindSet::CALLING);
    with(&|filter| filter.kinds = KindSet::only(Kind::Refresh));
    with(&|filter| filter.ids = Some((0..30).map(id).collect()));
    for text in ["", "ALPHA", "beta", "ŻÓŁW", "%", "_", "nightly no. 7", "0000042", "\\", "\0"] {
        with(&|filter| filter.text = Some(text.to_owned()));
    }
    for scope in ["repo:read", "repo", ",", "read", "Repo", "a,"] {
        with(&|filter| filter.scope = Some(scope.parse().unwrap()));
    }
    with(&|filter| filter.created_before = Some(at(10)));
    with(&|filter| filter.expires_from = Some(at(50)));
    with(&|filter| filter.expires_before = Some(at(50)));
    with(&|filter| filter.expires_before = Some(Timestamp::MAX));
    with(&|filter| filter.expires_from = Some(Timestamp::MIN));
    with(&|filter| {
        filter.expires_from = Some(at(45));
        filter.expires_before = Some(at(50));
    });
    with(&|filter| filter.unused_since = Some(at(10)));
    with(&|filter| filter.client = Some("client2".to_owned()));
    with(&|filter| filter.client = Some("Client2".to_owned()));
    filters
}

fn admitted(records: &[Record], filter: &Filter, now: Timestamp) -> Vec<Record> {
    records.iter().filter(|record| filter.admits(record, now)).cloned().collect()
}

async fn revocation_reaches_what_it_names(store: Store) {
    let mut records = zoo();
    for record in &records {
        put(&store, record).await;
    }
    // The narrow ones first, so that there is something left for each.
    for (second, filter) in (45..).zip(filters().into_iter().rev()) {
        let mark = mark(second);
        let revoked = sorted(store.revoke(&filter, &mark).await.unwrap());
        let mut expected = Vec::new();
        for record in &mut records {
            if record.token.revocation.is_none() && filter.admits(record, mark.at) {
                record.token.revocation = Some(mark.clone());
                record.token.version += 1;
                expected.push(record.token.id);
            }
        }
        assert_eq!(revoked, sorted(expected), "{filter:?}");
    }
    for record in &records {
        assert_eq!(store.find(&record.token.id).await.unwrap().as_ref(), Some(record));
    }
}

async fn the_first_revocation_is_kept(store: Store) {
    put(&store, &record(1)).await;
    let first = mark(5);
    assert_eq!(store.revoke(&only([1]), &first).await.unwrap(), [id(1)]);
    let later = Revocation { at: at(3), by: Actor::System, reason: RevocationReason::Leaked };
    assert_eq!(store.revoke(&only([1]), &later).await.unwrap(), []);
    assert_eq!(store.revoke(&Filter::new(Reach::All), &later).await.unwrap(), []);
    let kept = found(&store, 1).await;
    assert_eq!((kept.token.revocation, kept.token.version), (Some(first), 2));
    let marked = at_once(8, |number| {
        let store = store.clone();
        async move {
            if number == 0 {
                put(&store, &record(2)).await;
            }
            store.revoke(&only([2]), &mark(i64::from(number))).await.unwrap()
        }
    });
    assert!(marked.into_iter().flatten().count() == 1);
}

async fn lists_admit_what_the_filter_admits(store: Store) {
    let records = zoo();
    for record in &records {
        put(&store, record).await;
    }
    for filter in filters() {
        for now in [at(0), at(49), at(50), Timestamp::MAX] {
            let mut expected = admitted(&records, &filter, now);
            for sort in SORTS {
                expected.sort_by_key(|record| position(sort, record));
                let up = all(&*store, &filter, page(sort, false, 7), now).await;
                assert_eq!(up, expected, "{sort:?} {filter:?}");
                let mut down = all(&*store, &filter, page(sort, true, 5), now).await;
                down.reverse();
                assert_eq!(down, expected, "{sort:?} descending {filter:?}");
            }
        }
    }
}

async fn pages_hold_while_records_come_and_go(store: Store) {
    for sort in SORTS {
        for descending in [false, true] {
            let reach = format!("{sort:?}{descending}");
            let mine = |number: u32| {
                let base = 1000 * (sort as u32 + 1) + 500 * u32::from(descending);
                record_with(base + number, |token| {
                    token.owner = owner(&reach);
                    token.created_at = at(i64::from(number / 4));
                    token.name = format!("{:03}", number / 2).parse().unwrap();
                    token.expires_at = Some(at(1000 + i64::from(number / 3)));
                    token.last_use = Some(used(number, i64::from(number / 5)).last_use);
                })
            };
            for number in (0..60).step_by(2) {
                put(&store, &mine(number)).await;
            }
            let filter = Filter::new(Reach::Owner(Tenant::DEFAULT, owner(&reach)));
            let mut request = page(sort, descending, 4);
            let mut seen = Vec::new();
            let mut round = 0;
            loop {
                let read = store.list(&filter, &request, at(0)).await.unwrap();
                let Some(last) = read.last() else {
                    break;
                };
                request.after = Some(position(sort, last));
                seen.extend(ids(&read));
                // One comes, at any place, and one that was seen goes.
                put(&store, &mine(2 * (round * 7 % 30) + 1)).await;
                let mut gone = filter.clone();
                gone.ids = Some(vec![read[0].token.id]);
                store.revoke(&gone, &mark(0)).await.unwrap();
                let purge = Purge {
                    now: at(100),
                    retention: TimeDelta::zero(),
                    exchange_retention: TimeDelta::zero(),
                    limit: 10,
                };
                assert_eq!(store.purge(&purge).await.unwrap(), 1);
                round += 1;
            }
            let unique: HashSet<_> = seen.iter().collect();
            assert_eq!(unique.len(), seen.len(), "{sort:?}");
            for number in (0..60).step_by(2) {
                assert!(unique.contains(&mine(number).token.id), "{sort:?} {number}");
            }
        }
    }
}

async fn text_is_searched_literally(store: Store) {
    let names = ["100%", "100x", "a_b", "aXb", "back\\slash", "Straße", "caf\u{e9}"];
    for (number, name) in (1..).zip(names) {
        put(&store, &record_with(number, |token| token.name = name.parse().unwrap())).await;
    }
    let described = record_with(8, |token| token.description = Some("É: 50%\nof_all".to_owned()));
    put(&store, &described).await;
    let letters = "abCDefghijklmnop".parse().unwrap();
    put(&store, &record_with(9, |token| token.id = letters)).await;
    let searches: [(&str, &[u32]); 11] = [
        ("%", &[1, 8]),
        ("_", &[3, 8]),
        ("\\", &[5]),
        ("A_B", &[3]),
        ("STRASSE", &[6]),
        ("CAFE\u{301}", &[7]),
        ("e\u{301}: 50%\nOF", &[8]),
        ("%_", &[]),
        ("' OR '1'='1", &[]),
        ("0000000008", &[8]),
        ("token 9\0", &[]),
    ];
    for (text, expected) in searches {
        let mut filter = Filter::new(Reach::All);
        filter.text = Some(text.to_owned());
        let listed = all(&*store, &filter, page(SortKey::CreatedAt, false, 3), at(0)).await;
        let expected: Vec<_> = expected.iter().copied().map(id).collect();
        assert_eq!(ids(&listed), expected, "{text:?}");
    }
    let mut filter = Filter::new(Reach::All);
    filter.text = Some("ABCDEFGHIJKLMNOP".to_owned());
    let listed = all(&*store, &filter, page(SortKey::Name, false, 3), at(0)).await;
    assert_eq!(ids(&listed), [letters]);
}

fn purge_at(second: i64) -> Purge {
    Purge {
        now: at(second),
        retention: TimeDelta::seconds(100),
        exchange_retention: TimeDelta::seconds(10),
        limit: 1000,
    }
}

async fn purge_removes_what_ended_long_ago(store: Store) {
    let mut records = zoo();
    for record in &records {
        put(&store, record).await;
    }
    let mut steps = Vec::new();
    for second in [0, 60, 100, 150, 165, 500, 500] {
        let purge = purge_at(second);
        let kept = after_purge(&records, &purge);
        let removed = records.len() - kept.len();
        assert_eq!(store.purge(&purge).await.unwrap(), removed as u64, "{second}");
        for record in &records {
            let found = store.find(&record.token.id).await.unwrap();
            assert_eq!(found.as_ref(), kept.contains(record).then_some(record), "{second}");
        }
        records = kept;
        steps.push(removed);
    }
    assert!(steps[1..6].iter().all(|removed| *removed > 0), "{steps:?}");
    // What neither expires nor is revoked stays.
    assert!(records.iter().any(|record| record.token.expires_at.is_none()));
}

/// What a purge without a limit leaves of these records.
fn after_purge(records: &[Record], purge: &Purge) -> Vec<Record> {
    let made_from =
        |record: &Record| records.iter().any(|other| other.token.parent == Some(record.token.id));
    let stays = |record: &&Record| {
        !purge.admits(record.token.kind, &record.token.lifecycle()) || made_from(record)
    };
    records.iter().filter(stays).cloned().collect()
}

async fn purge_keeps_parents(store: Store) {
    put(&store, &record_with(1, |token| token.expires_at = Some(at(10)))).await;
    let child = record_with(2, |token| {
        token.kind = Kind::Access;
        token.parent = Some(id(1));
        token.expires_at = Some(at(190));
    });
    put(&store, &child).await;
    // The edge: exactly as long ago as records are kept is not longer.
    assert_eq!(store.purge(&purge_at(110)).await.unwrap(), 0);
    assert_eq!(store.purge(&purge_at(200)).await.unwrap(), 0);
    // First the child goes, then the parent.
    assert_eq!(store.purge(&purge_at(201)).await.unwrap(), 1);
    assert_eq!(store.find(&id(2)).await.unwrap(), None);
    assert!(store.find(&id(1)).await.unwrap().is_some());
    assert_eq!(store.purge(&purge_at(201)).await.unwrap(), 1);
    assert_eq!(store.find(&id(1)).await.unwrap(), None);
    assert_eq!(store.purge(&purge_at(201)).await.unwrap(), 0);
}

async fn a_purge_has_a_limit(store: Store) {
    for number in 0..10 {
        let mut ended = record_with(number, |token| token.expires_at = Some(at(10)));
        ended.idempotency = Some(key(number));
        put(&store, &ended).await;
    }
    let limited = |limit| Purge { limit, ..purge_at(1000) };
    assert_eq!(store.purge(&limited(0)).await.unwrap(), 0);
    for removed in [4, 4, 2, 0] {
        assert_eq!(store.purge(&limited(4)).await.unwrap(), removed);
    }
    // Nothing of a purged record stands in the way of a new one.
    let mut again = record(11);
    again.idempotency = Some(key(1));
    put(&store, &again).await;
}
