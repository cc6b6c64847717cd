//! Revocations: they reach what a filter admits, are final, and the first is kept.

use super::harness::Store;
use super::support::{
    at, at_once, conflict, everything, fine, found, id, mark, named, only, put, put_all, record,
    revoked, sorted, used,
};
use super::zoo::{filters, zoo};
use crate::store::{Change, Conflict, Filter, Reach};
use crate::token::{Actor, Revocation, RevocationReason};

/// A revocation reaches what [`Filter::admits`] at its instant and nothing else, and returns the
/// ids of what was not revoked before.
pub async fn revocation_reaches_what_it_names(store: Store) {
    let mut records = zoo();
    put_all(&store, &records).await;
    // The narrow ones first, so that there is something left for each.
    for (second, filter) in (45..).zip(filters().into_iter().rev()) {
        let mark = mark(second);
        let told = revoked(&store, &filter, &mark).await;
        let mut expected = Vec::new();
        for record in &mut records {
            if record.token.revocation.is_none() && filter.admits(record, mark.at) {
                record.token.revocation = Some(mark.clone());
                record.token.version += 1;
                expected.push(record.token.id);
            }
        }
        let rule = "a revocation returns what `Filter::admits` and was not revoked";
        assert_eq!(told, sorted(expected), "{rule}: {filter:?}");
    }
    for record in &records {
        let kept = fine("a find", store.find(&record.token.id).await);
        let rule = "a revocation writes its mark, counts the version up, and nothing else";
        assert_eq!(kept.as_ref(), Some(record), "{rule}");
    }
}

/// A later revocation does not replace the first, and one of many at once is the first.
pub async fn the_first_revocation_is_kept(store: Store) {
    put(&store, &record(1)).await;
    let first = mark(5);
    assert_eq!(revoked(&store, &only([1]), &first).await, [id(1)], "a revocation returns its ids");
    let later = Revocation { at: at(3), by: Actor::System, reason: RevocationReason::Leaked };
    for filter in [only([1]), Filter::new(Reach::All)] {
        let again = revoked(&store, &filter, &later).await;
        assert_eq!(again, [], "what was revoked before is not returned again");
    }
    let kept = found(&store, 1).await.token;
    let rule = "the first revocation is kept, its instant, author and reason";
    assert_eq!((kept.revocation, kept.version), (Some(first), 2), "{rule}");
    put(&store, &record(2)).await;
    let many = store.clone();
    let told = at_once(8, move |number| {
        let store = many.clone();
        async move { revoked(&store, &only([2]), &mark(i64::from(number))).await }
    })
    .await;
    let winners: Vec<usize> = told
        .iter()
        .enumerate()
        .filter(|(_, ids)| !ids.is_empty())
        .map(|(place, _)| place)
        .collect();
    assert_eq!(winners.len(), 1, "one of many revocations at once returns the id: {told:?}");
    let kept = found(&store, 2).await.token;
    let first = mark(i64::try_from(winners[0]).unwrap());
    let rule = "the revocation that returned the id is the one that is kept";
    assert_eq!((kept.revocation, kept.version), (Some(first), 2), "{rule}");
}

/// Where a store counts revocations, every one is counted, nothing else is, and no count shrinks.
pub async fn every_revocation_is_counted(store: Store) {
    let mut before = fine("a generation", store.generation().await);
    if before.is_empty() {
        return;
    }
    put_all(&store, &[record(1), record(2), record(3)]).await;
    let issued = fine("a generation", store.generation().await);
    assert_eq!(issued, before, "nothing but revocations is counted");
    for number in [1, 2, 1, 3] {
        let count = revoked(&store, &only([number]), &mark(1)).await.len();
        fine("a touch", store.touch(&[used(number, 1)]).await);
        let after = fine("a generation", store.generation().await);
        assert_eq!(after.len(), before.len(), "there are always as many counts");
        assert!(before.iter().zip(&after).all(|(before, after)| before <= after), "none shrinks");
        let more = before.iter().zip(&after).filter(|(before, after)| before < after).count();
        assert_eq!(more, count, "a count grows with every revocation, and with nothing else");
        before = after;
    }
}

/// Nothing changes a revoked record: no update, no use, no insert, no other revocation.
pub async fn no_later_step_changes_a_revoked_record(store: Store) {
    put(&store, &record(1)).await;
    revoked(&store, &only([1]), &mark(1)).await;
    let before = found(&store, 1).await;
    let rule = "no later step changes a revoked record";
    let changes = [
        Change::default(),
        Change { suspension: Some(None), expires_at: Some(None), ..Change::default() },
        named("fresh", true),
    ];
    for (version, change) in
        [1, 2, 3].into_iter().flat_map(|version| changes.each_ref().map(|change| (version, change)))
    {
        let refused = store.update(&id(1), version, change, at(2)).await;
        assert_eq!(conflict(rule, refused), Conflict::Revoked, "{rule}");
    }
    fine("a touch", store.touch(&[used(1, 10)]).await);
    let refused = store.insert(&record(1), &super::support::anything()).await;
    let stored = "an insert never replaces a record, nor brings a revoked one back";
    assert_eq!(conflict(stored, refused), Conflict::IdTaken, "{stored}");
    revoked(&store, &Filter::new(Reach::All), &mark(9)).await;
    assert_eq!(everything(&store).await, [before], "{rule}");
}
