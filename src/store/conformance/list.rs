//! Lists: what [`Filter::admits`], by [`SortKey::value_of`](crate::store::SortKey::value_of), in
//! pages that hold.

use std::collections::HashSet;

use chrono::TimeDelta;

use super::harness::Store;
use super::support::{
    SORTS, all, at, fine, ids, mark, owner, page, position, put, put_all, record_with, used,
};
use super::zoo::{filters, zoo};
use crate::clock::Timestamp;
use crate::store::{Filter, Purge, Reach, SortKey};
use crate::token::{Record, Status, Tenant};

fn admitted(records: &[Record], filter: &Filter, now: Timestamp) -> Vec<Record> {
    records.iter().filter(|record| filter.admits(record, now)).cloned().collect()
}

/// Asserts that the pages of a list are what the filter admits, up and down.
async fn lists(store: &Store, records: &[Record], filter: &Filter, sort: SortKey, now: Timestamp) {
    let mut expected = admitted(records, filter, now);
    expected.sort_by_key(|record| position(sort, record));
    let rule = "a list is what `Filter::admits`, sorted by `SortKey::value_of` and id";
    let up = all(&**store, filter, page(sort, false, 7), now).await;
    assert_eq!(up, expected, "{rule}: {sort:?} {filter:?}");
    let mut down = all(&**store, filter, page(sort, true, 25), now).await;
    down.reverse();
    assert_eq!(down, expected, "{rule}: {sort:?} descending {filter:?}");
}

/// Every filter in every order.
pub async fn lists_admit_what_the_filter_admits(store: Store) {
    let records = zoo();
    put_all(&store, &records).await;
    for filter in filters() {
        for sort in SORTS {
            lists(&store, &records, &filter, sort, at(49)).await;
        }
    }
}

/// Statuses are those at the instant the list is given, and the order is the same at any.
pub async fn the_filter_decides_at_the_instant_it_is_given(store: Store) {
    let records = zoo();
    put_all(&store, &records).await;
    let of_status = |status: Status| {
        let mut filter = Filter::new(Reach::All);
        filter.statuses = Some(vec![status]);
        filter
    };
    for now in [Timestamp::MIN, at(0), at(41), at(50), at(59), at(69), at(70), Timestamp::MAX] {
        for (filter, sort) in Status::ALL.map(of_status).iter().zip(SORTS.iter().cycle()) {
            lists(&store, &records, filter, *sort, now).await;
        }
    }
}

/// A record that is there all the time is in exactly one page, whatever comes and goes between the
/// pages.
pub async fn pages_hold_while_records_come_and_go(store: Store) {
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
                let read = fine("a list", store.list(&filter, &request, at(0)).await);
                let Some(last) = read.last() else {
                    break;
                };
                request.after = Some(position(sort, last));
                seen.extend(ids(&read));
                // One comes, at any place, and one that was seen goes.
                put(&store, &mine(2 * (round * 7 % 30) + 1)).await;
                let mut gone = filter.clone();
                gone.ids = Some(vec![read[0].token.id]);
                fine("a revocation", store.revoke(&gone, &mark(0)).await);
                let purge = Purge {
                    now: at(100),
                    retention: TimeDelta::zero(),
                    exchange_retention: TimeDelta::zero(),
                    limit: 10,
                };
                let removed = fine("a purge", store.purge(&purge).await);
                assert_eq!(removed, 1, "a purge removes what was revoked long ago");
                round += 1;
            }
            let unique: HashSet<_> = seen.iter().collect();
            assert_eq!(unique.len(), seen.len(), "no record is in two pages: {sort:?}");
            for number in (0..60).step_by(2) {
                let rule = "a record that was there all the time is in a page";
                assert!(unique.contains(&mine(number).token.id), "{rule}: {sort:?} {number}");
            }
        }
    }
}
