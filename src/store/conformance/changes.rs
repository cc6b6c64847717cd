//! Notices, where a backend gives them: a change is told, or that some may be missing.
//!
//! A store whose [`changes`](crate::store::TokenStore::changes) is `None` passes: it promises
//! nothing.

use std::time::Duration;

use tokio::time::timeout;

use super::harness::Store;
use super::support::{
    dropped_after, fine, id, mark, named, only, owner, put, record, record_with, revoked, updated,
};
use crate::store::{Changes, Filter, Notice, Reach};
use crate::token::{Tenant, TokenId};

/// A channel gives a notice each second; another second is for a slow machine.
const SECOND: Duration = Duration::from_secs(2);
/// How many notices there may be between a change and its own.
const MOST_NOTICES: usize = 1000;
/// How often a channel may be quiet between a change and its notice.
const MOST_ALIVE: usize = 5;

async fn subscribed(store: &Store) -> Option<Box<dyn Changes>> {
    fine("a subscription", store.changes().await)
}

async fn next(changes: &mut dyn Changes) -> Notice {
    let rule = "a working channel gives a notice at least once a second";
    let notice = timeout(SECOND, changes.next()).await.unwrap_or_else(|_| panic!("{rule}"));
    fine("the wait for a notice", notice)
}

/// A subscription from its first gap on.
pub(super) async fn listening(store: &Store) -> Option<Box<dyn Changes>> {
    let mut changes = subscribed(store).await?;
    let first = next(&mut *changes).await;
    assert_eq!(first, Notice::Gap, "the first notice of a subscription is `Gap`");
    Some(changes)
}

/// Asserts that a record's change to this version is told, or a gap.
pub(super) async fn told(changes: &mut dyn Changes, wanted: TokenId, least: u64) {
    let mut alive = 0;
    for _ in 0..MOST_NOTICES {
        match next(changes).await {
            Notice::Gap => return,
            Notice::Changed { id, version } if id == wanted && version >= least => return,
            Notice::Changed { .. } => {}
            Notice::Alive if alive < MOST_ALIVE => alive += 1,
            Notice::Alive => break,
        }
    }
    panic!("a committed change is told, or a gap: {wanted} at version {least}");
}

/// The first notice of a subscription is a gap, of each subscription its own.
pub async fn the_first_notice_is_a_gap(store: Store) {
    put(&store, &record(1)).await;
    let first = listening(&store).await;
    let second = listening(&store).await;
    assert_eq!(first.is_some(), second.is_some(), "a backend can tell of changes, or it cannot");
}

/// Inserts, updates and revocations are told with the version they made, to every subscription.
pub async fn what_is_committed_is_told(store: Store) {
    let (Some(mut left), Some(mut right)) = (listening(&store).await, listening(&store).await)
    else {
        return;
    };
    put(&store, &record(1)).await;
    told(&mut *left, id(1), 1).await;
    updated(&store, 1, 1, &named("another", true)).await;
    told(&mut *left, id(1), 2).await;
    revoked(&store, &only([1]), &mark(1)).await;
    told(&mut *left, id(1), 3).await;
    told(&mut *right, id(1), 3).await;
    for number in 10..40 {
        put(&store, &record_with(number, |token| token.owner = owner("u2"))).await;
    }
    let filter = Filter::new(Reach::Owner(Tenant::DEFAULT, owner("u2")));
    revoked(&store, &filter, &mark(1)).await;
    let mut missing: Vec<TokenId> = (10..40).map(id).collect();
    let mut alive = 0;
    for _ in 0..MOST_NOTICES {
        match next(&mut *right).await {
            Notice::Gap => return,
            Notice::Changed { id, version } if version >= 2 => missing.retain(|other| *other != id),
            Notice::Changed { .. } => {}
            Notice::Alive if alive < MOST_ALIVE => alive += 1,
            Notice::Alive => break,
        }
        if missing.is_empty() {
            return;
        }
    }
    panic!("a revocation of many tokens is told for each, or a gap: {missing:?}");
}

/// A wait for a notice can be dropped at any time, and none is lost.
pub async fn a_dropped_wait_loses_no_notice(store: Store) {
    let Some(mut changes) = listening(&store).await else {
        return;
    };
    for number in 1..30 {
        put(&store, &record(number)).await;
        let mut seen = false;
        for polls in [0, 1, 1] {
            match dropped_after(polls, changes.next()).await {
                Some(notice) => {
                    let notice = fine("the wait for a notice", notice);
                    let changed =
                        matches!(notice, Notice::Changed { id: of, .. } if of == id(number));
                    seen = seen || changed || notice == Notice::Gap;
                }
                None => tokio::task::yield_now().await,
            }
        }
        if !seen {
            told(&mut *changes, id(number), 1).await;
        }
    }
}

/// A channel without changes gives a notice each second all the same.
pub async fn a_quiet_channel_says_that_it_is_alive(store: Store) {
    let Some(mut changes) = listening(&store).await else {
        return;
    };
    for _ in 0..3 {
        next(&mut *changes).await;
    }
}
