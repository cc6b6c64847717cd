//! Dropped futures: whenever a caller goes away, the state is that before or after the step, and
//! the step can be taken again.
//!
//! Each case drops a step before its first poll, after its first, after its second, and so on until
//! the step is done before it is dropped.

use super::harness::Store;
use super::purge::{purge_at, purged};
use super::support::{
    all, anything, at, conflict, dropped_after, everything, fine, found, full_record, id, mark,
    named, only, owner, page, put, record, record_with, revoked, suspension, used,
};
use crate::store::{Admission, Change, Conflict, Filter, Reach, SortKey, StoreError};
use crate::token::{Owner, Tenant};

/// Most polls a step is given before it is dropped.
const MOST_POLLS: u32 = 100;

fn holder(round: u32) -> Owner {
    owner(&format!("holder {round}"))
}

/// After a dropped insert the record is there whole or not at all, and nothing else of it is.
pub async fn a_dropped_insert_is_all_or_nothing(store: Store) {
    for round in 0..MOST_POLLS {
        let mut full = full_record(round);
        full.token.owner = holder(round);
        full.token.revocation = None;
        let strict = Admission { now: at(0), quota: Some(1), unique_name: true };
        let done = dropped_after(round, store.insert(&full, &strict)).await;
        let finished = done.is_some();
        if let Some(done) = done {
            fine("an insert", done);
        }
        let check = |kept| match kept {
            Some(kept) => assert_eq!(kept, full, "a dropped insert stores all or nothing"),
            None => assert!(!finished, "an acknowledged insert is seen by every later call"),
        };
        check(fine("a find", store.find(&id(round)).await));
        put(&store, &record(1000 + round)).await;
        check(fine("a find", store.find(&id(round)).await));
        // A caller that got no answer asks again.
        match store.insert(&full, &strict).await {
            Ok(()) => assert!(!finished, "an idempotency key is taken once"),
            Err(StoreError::Conflict(Conflict::Replayed { id })) => {
                assert_eq!(id, full.token.id, "a replayed insert tells the first one's id");
            }
            Err(error) => panic!("an insert that is taken again is taken or replayed: {error:?}"),
        }
        assert_eq!(found(&store, round).await, full, "an insert that was taken again is whole");
        // It holds one place and its name, and gives them back.
        let mut next = full.clone();
        next.token.id = id(2000 + round);
        next.idempotency = None;
        let rule = "a dropped insert leaves names and places as they are";
        let refused = conflict(rule, store.insert(&next, &strict).await);
        assert_eq!(refused, Conflict::NameTaken { by: id(round) }, "{rule}");
        revoked(&store, &only([round]), &mark(2)).await;
        fine("an insert once the place is free", store.insert(&next, &strict).await);
        if finished {
            return;
        }
    }
}

/// After a dropped update the record is that before or after it.
pub async fn a_dropped_update_is_all_or_nothing(store: Store) {
    for round in 0..MOST_POLLS {
        let before = record_with(round, |token| token.owner = holder(round));
        put(&store, &before).await;
        let change = Change {
            description: Some(Some("changed".to_owned())),
            suspension: Some(Some(suspension(1))),
            ..named("changed", true)
        };
        let mut after = before.clone();
        change.apply_to(&mut after);
        let done = dropped_after(round, store.update(&id(round), 1, &change, at(0))).await;
        let finished = done.is_some();
        if let Some(done) = done {
            assert_eq!(
                fine("an update", done).as_ref(),
                Some(&after),
                "an update returns its record"
            );
        }
        let kept = found(&store, round).await;
        let whole = kept == after || (kept == before && !finished);
        assert!(whole, "a dropped update is all or nothing: {kept:?}");
        match store.update(&id(round), 1, &change, at(0)).await {
            Ok(Some(_)) if !finished => {}
            Err(StoreError::Conflict(Conflict::Stale { current: 2 })) => {}
            other => panic!("an update that is taken again is taken or stale: {other:?}"),
        }
        assert_eq!(found(&store, round).await, after, "an update that was taken again is whole");
        let unique = Admission { now: at(0), quota: None, unique_name: true };
        let heir = record_with(1000 + round, |token| {
            token.owner = holder(round);
            token.name = before.token.name.clone();
        });
        fine("an insert with the name that was given up", store.insert(&heir, &unique).await);
        if finished {
            return;
        }
    }
}

/// After a dropped revocation of an owner all of its tokens are revoked, or none is.
pub async fn a_dropped_revocation_is_all_or_nothing(store: Store) {
    for round in 0..MOST_POLLS {
        for number in 0..3 {
            let own = record_with(round * 3 + number, |token| token.owner = holder(round));
            put(&store, &own).await;
        }
        let filter = Filter::new(Reach::Owner(Tenant::DEFAULT, holder(round)));
        let first = mark(5);
        let done = dropped_after(round, store.revoke(&filter, &first)).await;
        let finished = done.is_some();
        if let Some(done) = done {
            let ids = fine("a revocation", done);
            assert_eq!(ids.len(), 3, "a revocation returns what it revoked");
        }
        let tokens = all(&*store, &filter, page(SortKey::Name, false, 10), at(0)).await;
        let ended = tokens.iter().filter(|record| record.token.revocation.is_some()).count();
        let whole = ended == 3 || (ended == 0 && !finished);
        assert!(whole, "a dropped revocation is all or nothing: {ended} of 3 are revoked");
        revoked(&store, &filter, &first).await;
        for record in all(&*store, &filter, page(SortKey::Name, false, 10), at(0)).await {
            let rule = "a revocation that was taken again is whole, and counts once";
            assert_eq!(record.token.revocation.as_ref(), Some(&first), "{rule}");
            assert_eq!(record.token.version, 2, "{rule}");
        }
        if finished {
            return;
        }
    }
}

/// After a dropped touch each use is noted or not, and noting them again is harmless.
pub async fn a_dropped_touch_can_be_taken_again(store: Store) {
    for round in 0..MOST_POLLS {
        let numbers = [round * 2, round * 2 + 1];
        let uses = numbers.map(|number| used(number, 7));
        for number in numbers {
            put(&store, &record(number)).await;
        }
        let done = dropped_after(round, store.touch(&uses)).await;
        let finished = done.is_some();
        if let Some(done) = done {
            fine("a touch", done);
        }
        for (number, noted) in numbers.into_iter().zip(&uses) {
            match found(&store, number).await.token.last_use {
                Some(kept) => assert_eq!(kept, noted.last_use, "a use is noted whole"),
                None => assert!(!finished, "an acknowledged touch is seen by every later call"),
            }
        }
        fine("a touch that is taken again", store.touch(&uses).await);
        for (number, noted) in numbers.into_iter().zip(&uses) {
            let mut expected = record(number);
            expected.token.last_use = Some(noted.last_use.clone());
            assert_eq!(found(&store, number).await, expected, "a touch taken again is noted");
        }
        if finished {
            return;
        }
    }
}

/// After a dropped purge each record is there whole or gone without a trace.
pub async fn a_dropped_purge_can_be_taken_again(store: Store) {
    for round in 0..MOST_POLLS {
        let ended = |number: u32| {
            let mut ended = record_with(number, |token| {
                token.owner = holder(round);
                token.expires_at = Some(at(10));
            });
            ended.idempotency = Some(super::support::key(number));
            ended
        };
        let records = [0, 1, 2].map(|number| ended(round * 10 + number));
        for record in &records {
            put(&store, record).await;
        }
        let purge = purge_at(1000);
        let done = dropped_after(round, store.purge(&purge)).await;
        let finished = done.is_some();
        if let Some(done) = done {
            assert_eq!(fine("a purge", done), 3, "a purge returns how many it removed");
        }
        let left = everything(&store).await;
        let whole = left.iter().all(|left| records.contains(left));
        assert!(whole, "a dropped purge leaves records whole: {left:?}");
        assert!(left.is_empty() || !finished, "an acknowledged purge is seen by every later call");
        let again = purged(&store, &purge).await;
        assert!(again <= left.len() as u64, "a purge that is taken again removes what is left");
        assert_eq!(everything(&store).await, [], "a purge that was taken again is whole");
        for (record, place) in records.iter().zip(500_000..) {
            let mut again = record.clone();
            again.token.id = id(place + 10 * round);
            fine(
                "an insert with the key of a purged token",
                store.insert(&again, &anything()).await,
            );
        }
        purged(&store, &purge).await;
        assert_eq!(everything(&store).await, [], "what was inserted since is purged too");
        if finished {
            return;
        }
    }
}

/// A reader that goes away disturbs neither the records nor the answers to others.
pub async fn a_dropped_read_disturbs_nothing(store: Store) {
    for number in 0..20 {
        put(&store, &record(number)).await;
    }
    let filter = Filter::new(Reach::All);
    let request = page(SortKey::Name, false, 100);
    let rule = "a reader gets the answer to its own question, whoever went away";
    for round in 0..MOST_POLLS {
        let finding = dropped_after(round, store.find(&id(1))).await.is_some();
        assert_eq!(found(&store, 2).await, record(2), "{rule}");
        let listing = dropped_after(round, store.list(&filter, &request, at(0))).await.is_some();
        assert_eq!(found(&store, 3).await, record(3), "{rule}");
        assert_eq!(found(&store, 1).await, record(1), "{rule}");
        assert_eq!(everything(&store).await.len(), 20, "{rule}");
        if finding && listing {
            return;
        }
    }
}
