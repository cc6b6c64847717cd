//! The cache as a store: races, cancellation, what it hears of other nodes, and how it fails.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::TimeDelta;
use hallpass::store::{
    CacheOptions, CachedStore, Change, Filter, Notice, Purge, Reach, StoreError, Use,
};
use hallpass::{LastUse, Revocation, Tenant, TokenStore};

use crate::cached_support::{Bed, Bus, HandClock, Point, Run, Scripted, now, resident};
use hallpass::conformance::support::{anything, at, id, mark, only, owner, record, record_with};

fn revocation(bed: &Bed, filter: Filter) -> Run<'_, ()> {
    Run::new(async move {
        bed.store.revoke(&filter, &mark(5)).await.unwrap();
    })
}

fn described() -> Change {
    Change { description: Some(Some("new".to_owned())), ..Change::default() }
}

const POINTS: [Point; 4] =
    [Point::BeforeRead, Point::AfterRead, Point::BeforeWrite, Point::AfterWrite];

/// Every filter by which token 1 may be meant.
fn filters() -> Vec<Filter> {
    vec![
        only([1]),
        Filter::new(Reach::Family(id(1))),
        Filter::new(Reach::Owner(Tenant::DEFAULT, owner("u1"))),
        Filter::new(Reach::Tenant(Tenant::DEFAULT)),
        Filter::new(Reach::All),
    ]
}

/// Every order in which two futures of that many steps can take turns.
fn turns(left: usize, right: usize) -> Vec<Vec<bool>> {
    match (left, right) {
        (0, 0) => vec![Vec::new()],
        _ => {
            let mut all = Vec::new();
            for (first, left, right) in [
                (true, left.checked_sub(1), Some(right)),
                (false, Some(left), right.checked_sub(1)),
            ] {
                if let (Some(left), Some(right)) = (left, right) {
                    all.extend(turns(left, right).into_iter().map(|mut rest| {
                        rest.insert(0, first);
                        rest
                    }));
                }
            }
            all
        }
    }
}

/// Runs a read in turns with a change: each starts, does its work in the store, and returns.
fn in_turns<'a>(bed: &Bed, order: &[bool], read: &mut Run<'a, ()>, change: &mut Run<'a, ()>) {
    POINTS.iter().for_each(|point| bed.script.stop(*point));
    let [mut reading, mut writing] = [0_usize, 0];
    for turn in order {
        let (run, step, points) = if *turn {
            (&mut *read, &mut reading, [Point::BeforeRead, Point::AfterRead])
        } else {
            (&mut *change, &mut writing, [Point::BeforeWrite, Point::AfterWrite])
        };
        if let Some(point) = step.checked_sub(1).and_then(|done| points.get(done)) {
            bed.script.go(*point);
        }
        *step += 1;
        run.poll();
    }
    POINTS.iter().for_each(|point| bed.script.go(*point));
}

#[test]
fn no_read_in_flight_undoes_a_revocation_in_any_order() {
    for filter in filters() {
        for warm in [false, true] {
            for order in turns(3, 3) {
                let bed = Bed::with_tokens(1);
                if warm {
                    bed.find(1);
                }
                let mut read = Run::new(async { drop(bed.store.find(&id(1)).await.unwrap()) });
                let mut change = revocation(&bed, filter.clone());
                in_turns(&bed, &order, &mut read, &mut change);
                let told = bed.told(1);
                assert!(told.is_none_or(|(_, revoked)| revoked), "{filter:?} {warm} {order:?}");
                let found = bed.find(1).unwrap();
                assert!(found.token.revocation.is_some(), "{filter:?} {warm} {order:?}");
                assert_eq!(bed.told(1), Some((2, true)), "{filter:?} {warm} {order:?}");
            }
        }
    }
}

#[test]
fn no_read_in_flight_undoes_another_change_in_any_order() {
    for warm in [false, true] {
        for order in turns(3, 3) {
            let bed = Bed::with_tokens(1);
            if warm {
                bed.find(1);
            }
            let mut read = Run::new(async { drop(bed.store.find(&id(1)).await.unwrap()) });
            let mut change = Run::new(async {
                bed.store.update(&id(1), 1, &described(), at(1)).await.unwrap().unwrap();
            });
            in_turns(&bed, &order, &mut read, &mut change);
            assert!(bed.told(1).is_none_or(|(version, _)| version == 2), "{warm} {order:?}");
            assert_eq!(bed.find(1).unwrap().token.version, 2);

            // An insert, and a read that found nothing.
            let bed = Bed::new();
            let mut read = Run::new(async { drop(bed.store.find(&id(1)).await.unwrap()) });
            let mut change =
                Run::new(async { bed.store.insert(&record(1), &anything()).await.unwrap() });
            in_turns(&bed, &order, &mut read, &mut change);
            assert!(bed.find(1).is_some(), "{order:?}");
        }
    }
}

#[test]
fn a_read_begun_after_a_change_returned_is_not_given_what_was_read_before() {
    let bed = Bed::with_tokens(1);
    bed.script.stop(Point::AfterRead);
    let mut early = bed.finding(1);
    assert!(early.poll().is_none());
    now(bed.store.revoke(&only([1]), &mark(5))).unwrap();
    let mut late = bed.finding(1);
    assert!(late.poll().is_none());
    bed.script.go(Point::AfterRead);
    assert!(late.poll().unwrap().unwrap().unwrap().token.revocation.is_some());
    assert!(early.poll().unwrap().unwrap().unwrap().token.revocation.is_none());
    assert_eq!(bed.told(1), Some((2, true)));
}

#[test]
fn a_revoked_token_is_told_at_once_without_asking_the_store() {
    for filter in filters() {
        let bed = Bed::with_tokens(1);
        bed.find(1);
        assert_eq!(bed.told(1), Some((1, false)));
        let reads = bed.script.reads();
        now(bed.store.revoke(&filter, &mark(5))).unwrap();
        let facts = resident(&bed.store, &id(1)).unwrap();
        assert_eq!(facts.lifecycle.revoked_at, Some(at(5)));
        assert_eq!(facts.revoked_for, Some(mark(5).reason));
        assert_eq!(bed.script.reads(), reads);
    }
}

#[test]
fn what_another_node_revoked_first_is_not_told_as_live_after_revoking_it_here() {
    for filter in filters() {
        let bed = Bed::with_tokens(2);
        bed.find(1);
        now(bed.script.database().revoke(&only([1]), &mark(3))).unwrap();
        assert_eq!(bed.told(1), Some((1, false)));
        // Nothing is returned, because it was revoked already.
        let mut filter = filter;
        filter.created_before = Some(at(1));
        now(bed.script.database().revoke(&filter, &mark(4))).unwrap();
        assert_eq!(now(bed.store.revoke(&filter, &mark(5))).unwrap(), []);
        assert_eq!(bed.told(1), None, "{filter:?}");
    }
    // A child, by its family.
    let bed = Bed::new();
    now(bed.script.database().insert(&record(1), &anything())).unwrap();
    let child = record_with(2, |token| token.parent = Some(id(1)));
    now(bed.script.database().insert(&child, &anything())).unwrap();
    bed.find(2);
    now(bed.script.database().revoke(&only([2]), &mark(3))).unwrap();
    now(bed.store.revoke(&Filter::new(Reach::Family(id(1))), &mark(5))).unwrap();
    assert_eq!(bed.told(2), None);
}

#[test]
fn a_revocation_sticks_whatever_the_store_says_afterwards() {
    let bed = Bed::with_tokens(1);
    bed.find(1);
    now(bed.store.revoke(&only([1]), &mark(5))).unwrap();
    for version in [1, 2, 3, 100] {
        bed.script.answer(Ok(Some(record_with(1, |token| token.version = version))));
        bed.find(1);
        assert_eq!(bed.told(1), Some((2, true)));
    }
    bed.script.answer(Ok(None));
    bed.find(1);
    assert_eq!(bed.told(1), Some((2, true)));
}

#[test]
fn an_older_version_never_replaces_a_newer_one() {
    let bed = Bed::with_tokens(1);
    bed.find(1);
    now(bed.store.update(&id(1), 1, &described(), at(1))).unwrap();
    assert_eq!(bed.told(1), Some((2, false)));
    bed.script.answer(Ok(Some(record(1))));
    bed.find(1);
    assert_eq!(bed.told(1), Some((2, false)));
}

#[test]
fn a_refused_change_makes_what_is_kept_doubtful() {
    let bed = Bed::with_tokens(1);
    bed.find(1);
    now(bed.script.database().update(&id(1), 1, &described(), at(1))).unwrap();
    // Stale here, too.
    assert!(now(bed.store.update(&id(1), 1, &described(), at(1))).is_err());
    assert_eq!(bed.told(1), None);
    bed.find(1);
    now(bed.script.database().revoke(&only([1]), &mark(5))).unwrap();
    assert!(now(bed.store.update(&id(1), 2, &described(), at(1))).is_err());
    assert_eq!(bed.told(1), None);
}

#[test]
fn an_entry_lives_for_the_ttl_counted_from_before_the_read() {
    let bed = Bed::with(CacheOptions::new().with_ttl(Duration::from_secs(3)).without_channel());
    bed.put_tokens(1);
    bed.script.stop(Point::AfterRead);
    let mut read = bed.finding(1);
    assert!(read.poll().is_none());
    bed.clock.advance(1000);
    bed.script.go(Point::AfterRead);
    assert!(read.poll().is_some());
    bed.clock.advance(1999);
    assert_eq!(bed.told(1), Some((1, false)));
    bed.clock.advance(1);
    assert_eq!(bed.told(1), None);
}

#[test]
fn the_ttl_has_a_cap_and_zero_is_off() {
    let bed = Bed::with(CacheOptions::new().with_ttl(Duration::MAX).without_channel());
    bed.put_tokens(1);
    bed.find(1);
    bed.clock.advance(59_999);
    assert!(bed.told(1).is_some());
    bed.clock.advance(1);
    assert!(bed.told(1).is_none());
    for options in
        [CacheOptions::new().with_ttl(Duration::ZERO), CacheOptions::new().with_capacity(0)]
    {
        let bed = Bed::with(options.without_channel());
        bed.put_tokens(1);
        bed.find(1);
        assert_eq!(bed.told(1), None);
    }
}

#[test]
fn absence_is_kept_briefly_and_ends_with_an_insert() {
    let bed = Bed::new();
    assert!(bed.find(1).is_none());
    assert!(bed.find(1).is_none());
    assert_eq!(bed.script.reads(), 1);
    bed.clock.advance(4999);
    assert!(bed.find(1).is_none());
    assert_eq!(bed.script.reads(), 1);
    bed.clock.advance(1);
    assert!(bed.find(1).is_none());
    assert_eq!(bed.script.reads(), 2);
    now(bed.store.insert(&record(1), &anything())).unwrap();
    assert!(bed.find(1).is_some());
}

#[test]
fn a_flood_of_unknown_ids_pushes_no_record_out() {
    let bed = Bed::with(CacheOptions::new().with_capacity(10).without_channel());
    bed.put_tokens(10);
    for number in 1..=10 {
        bed.find(number);
    }
    for number in 1000..20_000 {
        assert!(bed.find(number).is_none());
    }
    assert!((1..=10).all(|number| bed.told(number).is_some()));
    // Most of the flood is not remembered either.
    let reads = bed.script.reads();
    for number in 1000..2000 {
        assert!(bed.find(number).is_none());
    }
    assert_eq!(bed.script.reads(), reads + 1000);
}

#[test]
fn who_waits_for_the_same_record_waits_for_one_read() {
    let bed = Bed::with_tokens(1);
    bed.script.stop(Point::AfterRead);
    let mut runs: Vec<_> = (0..64).map(|_| bed.finding(1)).collect();
    assert!(runs.iter_mut().all(|run| run.poll().is_none()));
    bed.script.go(Point::AfterRead);
    for run in &mut runs {
        assert_eq!(run.poll().unwrap().unwrap(), Some(record(1)));
    }
    assert_eq!(bed.script.reads(), 1);
}

#[test]
fn a_dropped_leader_strands_nobody() {
    for point in [Point::BeforeRead, Point::AfterRead] {
        let bed = Bed::with_tokens(1);
        bed.script.stop(point);
        let mut runs: Vec<_> = (0..8).map(|_| bed.finding(1)).collect();
        assert!(runs.iter_mut().all(|run| run.poll().is_none()));
        drop(runs.remove(0));
        drop(runs.remove(6));
        assert!(runs.iter_mut().all(|run| run.poll().is_none()));
        bed.script.go(point);
        let mut done = 0;
        for _ in 0..2 {
            runs.retain_mut(|run| match run.poll() {
                Some(found) => {
                    assert!(found.unwrap().is_some());
                    done += 1;
                    false
                }
                None => true,
            });
        }
        assert_eq!(done, 6);
        assert_eq!(bed.script.reads(), 2);
        assert!(bed.told(1).is_some());
    }
}

#[tokio::test]
async fn followers_are_woken() {
    let bed = Arc::new(Bed::with_tokens(1));
    bed.script.stop(Point::AfterRead);
    let find = |bed: &Arc<Bed>| {
        let bed = bed.clone();
        tokio::spawn(async move { bed.store.find(&id(1)).await.unwrap().is_some() })
    };
    // Polled by hand, so that it holds the lead without being woken by anybody.
    let mut leader = bed.finding(1);
    assert!(leader.poll().is_none());
    let followers: Vec<_> = (0..16).map(|_| find(&bed)).collect();
    tokio::task::yield_now().await;
    bed.script.go(Point::AfterRead);
    drop(leader);
    for follower in followers {
        assert!(follower.await.unwrap());
    }
    assert_eq!(bed.script.reads(), 2);
}

#[test]
fn an_error_is_shared_and_not_kept() {
    let bed = Bed::with_tokens(1);
    bed.script.stop(Point::AfterRead);
    bed.script.answer(Err(StoreError::unavailable("the disk is gone")));
    let mut runs: Vec<_> = (0..16).map(|_| bed.finding(1)).collect();
    assert!(runs.iter_mut().all(|run| run.poll().is_none()));
    bed.script.go(Point::AfterRead);
    for run in &mut runs {
        let error = run.poll().unwrap().unwrap_err();
        let StoreError::Unavailable(cause) = error else { panic!("{error:?}") };
        assert_eq!(cause.to_string(), "the disk is gone");
    }
    assert_eq!(bed.script.reads(), 1);
    assert_eq!(bed.told(1), None);
    for error in [
        StoreError::Corrupt { id: "x".to_owned(), column: "owner" },
        StoreError::Schema("another".to_owned()),
    ] {
        let text = error.to_string();
        bed.script.answer(Err(error));
        assert_eq!(now(bed.store.find(&id(1))).unwrap_err().to_string(), text);
    }
    assert!(bed.find(1).is_some());
    assert!(bed.told(1).is_some());
}

#[test]
fn a_panic_in_the_store_is_not_the_end() {
    let bed = Bed::with_tokens(1);
    bed.find(1);
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        bed.store.resident(&id(1), &mut |_| panic!("while looking"));
    }));
    assert!(panicked.is_err());
    assert!(bed.told(1).is_some());
    now(bed.store.revoke(&only([1]), &mark(5))).unwrap();
    assert_eq!(bed.told(1), Some((2, true)));
}

/// A step of the contract that is dropped at some await.
type Step = fn(&Bed) -> Run<'_, ()>;

const STEPS: [(&str, Step); 9] = [
    ("find", |bed| Run::new(async { drop(bed.store.find(&id(1)).await) })),
    ("insert", |bed| Run::new(async { drop(bed.store.insert(&record(3), &anything()).await) })),
    ("update", |bed| {
        Run::new(async { drop(bed.store.update(&id(1), 1, &described(), at(1)).await) })
    }),
    ("revoke by id", |bed| revocation(bed, only([1]))),
    ("revoke by family", |bed| revocation(bed, Filter::new(Reach::Family(id(1))))),
    ("revoke by owner", |bed| {
        revocation(bed, Filter::new(Reach::Owner(Tenant::DEFAULT, owner("u1"))))
    }),
    ("revoke all", |bed| revocation(bed, Filter::new(Reach::All))),
    ("touch", |bed| {
        Run::new(async {
            let last_use = LastUse { at: at(9), ip: None, agent: None };
            drop(bed.store.touch(&[Use { id: id(1), last_use }]).await);
        })
    }),
    ("purge", |bed| {
        Run::new(async {
            let purge = Purge {
                now: at(10_000),
                retention: TimeDelta::zero(),
                exchange_retention: TimeDelta::zero(),
                limit: 10,
            };
            drop(bed.store.purge(&purge).await);
        })
    }),
];

#[test]
fn a_step_dropped_at_any_await_leaves_nothing_older_than_the_store() {
    for (name, step) in STEPS {
        for warm in [false, true] {
            for point in POINTS {
                let bed = Bed::with_tokens(1);
                let ended = record_with(2, |token| token.expires_at = Some(at(1)));
                now(bed.script.database().insert(&ended, &anything())).unwrap();
                assert!(bed.find(3).is_none());
                if warm {
                    bed.find(1);
                    bed.find(2);
                }
                bed.script.stop(point);
                let mut run = step(&bed);
                run.poll();
                drop(run);
                bed.script.go(point);
                let case = format!("{name}, warm {warm}, at {point:?}");
                // No flight is left over.
                assert!(format!("{:?}", bed.store).contains("in_flight: 0"), "{case}");
                for number in [1, 2, 3] {
                    let stored = now(bed.script.database().find(&id(number))).unwrap();
                    if let Some((version, revoked)) = bed.told(number) {
                        let stored = stored.as_ref().expect(&case);
                        assert_eq!(version, stored.token.version, "{case}");
                        assert_eq!(revoked, stored.token.revocation.is_some(), "{case}");
                    }
                    assert_eq!(bed.find(number), stored, "{case}");
                }
            }
        }
    }
}

fn listening(bed: &Bed) -> Run<'static, ()> {
    Run::new(bed.store.follow_with(|_| std::future::ready(())))
}

fn bus_bed() -> (Bed, Bus) {
    let bus = Bus::default();
    let bed = Bed::on(Scripted::with_bus(&bus), CacheOptions::new());
    bed.put_tokens(3);
    (bed, bus)
}

/// The same, with the channel heard.
fn heard_bed() -> (Bed, Bus, Run<'static, ()>) {
    let (bed, bus) = bus_bed();
    let mut follow = listening(&bed);
    bus.say(Notice::Gap);
    assert!(follow.poll().is_none());
    assert!(bed.store.is_caching());
    (bed, bus, follow)
}

#[test]
fn nothing_is_kept_while_nobody_follows() {
    let (bed, bus) = bus_bed();
    bus.say(Notice::Gap);
    bed.find(1);
    assert_eq!(bed.told(1), None);
    assert!(!bed.store.is_caching());
    let mut follow = listening(&bed);
    assert!(follow.poll().is_none());
    bed.find(1);
    assert_eq!(bed.told(1), Some((1, false)));
    // Nor once nobody follows any more.
    drop(follow);
    bus.say(Notice::Alive);
    bed.clock.advance(10_000);
    bed.find(1);
    assert_eq!(bed.told(1), None);
    assert!(!bed.store.is_caching());
}

#[test]
fn without_a_channel_following_ends_and_records_are_kept_for_the_ttl() {
    let bed = Bed::with(CacheOptions::new());
    bed.put_tokens(1);
    bed.find(1);
    assert_eq!(bed.told(1), None);
    assert!(listening(&bed).poll().is_some());
    bed.find(1);
    bed.clock.advance(9_999);
    assert_eq!(bed.told(1), Some((1, false)));
    bed.clock.advance(1);
    assert_eq!(bed.told(1), None);
    assert!(bed.store.is_caching());
}

#[test]
fn a_notice_ends_what_is_older_and_nothing_else() {
    let (bed, bus, mut follow) = heard_bed();
    for number in [1, 2] {
        bed.find(number);
    }
    now(bed.script.database().update(&id(1), 1, &described(), at(1))).unwrap();
    bus.say_changed(1, 2);
    follow.poll();
    assert_eq!((bed.told(1), bed.told(2)), (None, Some((1, false))));
    bed.find(1);
    // Double, late, and of what is not kept.
    for (number, version) in [(1, 2), (1, 1), (1, 2), (3, 9), (7, 1)] {
        bus.say_changed(number, version);
    }
    follow.poll();
    assert_eq!((bed.told(1), bed.told(2)), (Some((2, false)), Some((1, false))));
    // Delayed for longer than anything is kept.
    bed.clock.advance(5_000);
    bed.find(1);
    bus.say_changed(1, 1);
    follow.poll();
    assert_eq!(bed.told(1), Some((2, false)));
}

#[test]
fn a_notice_of_a_new_token_ends_its_absence() {
    let (bed, bus, mut follow) = heard_bed();
    assert!(bed.find(9).is_none());
    now(bed.script.database().insert(&record(9), &anything())).unwrap();
    assert!(bed.find(9).is_none());
    bus.say_changed(9, 1);
    follow.poll();
    assert!(bed.find(9).is_some());
}

#[test]
fn a_notice_reaches_what_is_in_flight() {
    let (bed, bus, mut follow) = heard_bed();
    bed.script.stop(Point::AfterRead);
    let mut read = bed.finding(1);
    assert!(read.poll().is_none());
    now(bed.script.database().revoke(&only([1]), &mark(5))).unwrap();
    bus.say_changed(1, 2);
    follow.poll();
    bed.script.go(Point::AfterRead);
    assert!(read.poll().is_some());
    assert_eq!(bed.told(1), None);
}

#[test]
fn a_gap_flushes_everything() {
    let (bed, bus, mut follow) = heard_bed();
    for number in [1, 2] {
        bed.find(number);
    }
    bed.find(9);
    bed.script.stop(Point::AfterRead);
    let mut read = bed.finding(3);
    assert!(read.poll().is_none());
    bus.say(Notice::Gap);
    follow.poll();
    bed.script.go(Point::AfterRead);
    assert!(read.poll().is_some());
    assert_eq!((bed.told(1), bed.told(2), bed.told(3)), (None, None, None));
    let reads = bed.script.reads();
    bed.find(9);
    assert_eq!(bed.script.reads(), reads + 1);
}

#[test]
fn a_silent_channel_turns_the_cache_off_until_it_is_heard() {
    let (bed, bus, mut follow) = heard_bed();
    bed.clock.advance(9_000);
    bed.find(1);
    bed.clock.advance(999);
    assert_eq!(bed.told(1), Some((1, false)));
    bed.clock.advance(1);
    assert_eq!(bed.told(1), None);
    assert!(!bed.store.is_caching());
    bed.find(2);
    assert_eq!(bed.told(2), None);
    assert!(bed.find(9).is_none());
    let reads = bed.script.reads();
    assert!(bed.find(9).is_none());
    assert_eq!(bed.script.reads(), reads + 1);
    // Heard again: what was kept before is not trusted, even if it is young enough.
    bus.say(Notice::Alive);
    follow.poll();
    assert!(bed.store.is_caching());
    assert_eq!(bed.told(1), None);
    bed.find(1);
    assert_eq!(bed.told(1), Some((1, false)));
    // As long as it is heard, it stays on.
    for _ in 0..30 {
        bed.clock.advance(1_000);
        bus.say(Notice::Alive);
        follow.poll();
    }
    assert!(bed.store.is_caching());
}

#[test]
fn a_broken_channel_is_tried_again_after_growing_pauses() {
    let (bed, bus) = bus_bed();
    let pauses = Arc::new(Mutex::new(Vec::new()));
    let noted = pauses.clone();
    let mut follow = Run::new(bed.store.follow_with(move |pause| {
        noted.lock().unwrap().push(pause.as_millis());
        // Each pause ends at the second poll.
        let mut over = false;
        std::future::poll_fn(move |_| {
            if std::mem::replace(&mut over, true) {
                std::task::Poll::Ready(())
            } else {
                std::task::Poll::Pending
            }
        })
    }));
    bus.refuse(true);
    for _ in 0..8 {
        assert!(follow.poll().is_none());
    }
    assert_eq!(*pauses.lock().unwrap(), [50, 100, 200, 400, 800, 1600, 2000, 2000]);
    assert!(!bed.store.is_caching());
    bus.refuse(false);
    bus.say(Notice::Gap);
    follow.poll();
    assert!(bed.store.is_caching());
    bed.find(1);
    bus.break_down();
    bus.say(Notice::Gap);
    follow.poll();
    // Still there, as it is younger than the TTL, until the gap is told.
    assert_eq!(bed.told(1), Some((1, false)));
    follow.poll();
    assert_eq!(bed.told(1), None);
    assert_eq!(pauses.lock().unwrap().last(), Some(&50));
}

/// A node of several over one database.
fn node(script: &Scripted, clock: &HandClock) -> CachedStore<Scripted> {
    CacheOptions::new().with_clock(clock.clone()).wrap(script.clone())
}

#[test]
fn whatever_is_lost_another_node_refuses_within_the_ttl() {
    // What becomes of the notice of the revocation, and of the channel.
    for fate in ["told", "lost", "late", "gap", "cut", "silent"] {
        let bus = Bus::default();
        let script = Scripted::with_bus(&bus);
        let clock = HandClock::default();
        let [here, there] = [node(&script, &clock), node(&script, &clock)];
        now(here.insert(&record(1), &anything())).unwrap();
        let mut follow = Run::new(there.follow_with(|_| std::future::ready(())));
        bus.say(Notice::Gap);
        follow.poll();
        now(there.find(&id(1))).unwrap();
        now(here.revoke(&only([1]), &mark(5))).unwrap();
        let accepts = || {
            if resident(&there, &id(1)).is_some_and(|facts| facts.revoked_for.is_none()) {
                return true;
            }
            now(there.find(&id(1))).unwrap().unwrap().token.revocation.is_none()
        };
        match fate {
            "told" => bus.say_changed(1, 2),
            "gap" => bus.say(Notice::Gap),
            "cut" => bus.break_down(),
            _ => {}
        }
        let mut last_accepted = 0;
        for millis in (0..12_000).step_by(250) {
            if fate != "silent" && fate != "cut" {
                bus.say(Notice::Alive);
            }
            if fate == "late" && millis == 11_000 {
                bus.say_changed(1, 2);
            }
            follow.poll();
            if accepts() {
                last_accepted = millis;
            }
            clock.advance(250);
        }
        assert!(last_accepted < 10_000, "{fate}: {last_accepted}");
        if fate == "told" || fate == "gap" {
            assert_eq!(last_accepted, 0, "{fate}");
        }
    }
}

#[test]
fn a_cache_goes_before_any_store_and_before_another_cache() {
    let inner: Arc<dyn TokenStore> =
        Arc::new(CacheOptions::new().without_channel().wrap(Scripted::default()));
    let store = CachedStore::new(inner);
    assert!(!store.is_caching());
    now(store.insert(&record(1), &anything())).unwrap();
    assert!(now(store.find(&id(1))).unwrap().is_some());
    let text = format!("{store:?}");
    assert!(text.starts_with("CachedStore") && text.contains("is_caching: false"), "{text}");
    store.flush();
    assert!(now(store.changes()).unwrap().is_none());
}

#[test]
fn a_use_is_told_and_moves_nothing_else() {
    let bed = Bed::with_tokens(1);
    bed.find(1);
    let used =
        |second| Use { id: id(1), last_use: LastUse { at: at(second), ip: None, agent: None } };
    now(bed.store.touch(&[used(9), used(4)])).unwrap();
    let facts = resident(&bed.store, &id(1)).unwrap();
    assert_eq!((facts.last_used_at, facts.version), (Some(at(9)), 1));
    let marked = Revocation { at: at(10), ..mark(10) };
    now(bed.store.revoke(&only([1]), &marked)).unwrap();
    now(bed.store.touch(&[used(20)])).unwrap();
    assert_eq!(resident(&bed.store, &id(1)).unwrap().last_used_at, Some(at(9)));
}

#[cfg(all(feature = "sqlite", feature = "tokio"))]
mod several_processes {
    use hallpass::SqliteStore;
    use hallpass::store::Changes;

    use super::*;

    async fn next(changes: &mut Box<dyn Changes>) -> Notice {
        changes.next().await.unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn every_commit_to_the_file_is_told_as_a_gap() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("tokens");
        let [here, there] = [(), ()].map(|()| SqliteStore::open(&path).unwrap());
        let mut changes = here.changes().await.unwrap().unwrap();
        assert_eq!(next(&mut changes).await, Notice::Gap);
        assert_eq!(next(&mut changes).await, Notice::Alive);
        for store in [&there, &here] {
            let number = if std::ptr::eq(store, &here) { 1 } else { 2 };
            store.insert(&record(number), &anything()).await.unwrap();
            assert_eq!(next(&mut changes).await, Notice::Gap);
            assert_eq!(next(&mut changes).await, Notice::Alive);
        }
        // What changes nothing is no change.
        assert!(there.find(&id(1)).await.unwrap().is_some());
        there.revoke(&only([77]), &mark(5)).await.unwrap();
        assert_eq!(next(&mut changes).await, Notice::Alive);
        // A future that is dropped loses nothing.
        there.revoke(&only([1]), &mark(5)).await.unwrap();
        drop(changes.next());
        assert_eq!(next(&mut changes).await, Notice::Gap);
    }

    #[tokio::test(start_paused = true)]
    async fn a_working_channel_says_something_every_second() {
        let directory = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(directory.path().join("tokens")).unwrap();
        let mut changes = store.changes().await.unwrap().unwrap();
        for _ in 0..20 {
            let told = tokio::time::timeout(Duration::from_secs(1), changes.next()).await;
            assert!(told.unwrap().is_ok());
        }
        let memory = SqliteStore::open_in_memory().unwrap();
        assert!(memory.changes().await.unwrap().is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn another_process_revokes_and_the_cache_hears_of_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("tokens");
        let there = SqliteStore::open(&path).unwrap();
        let clock = HandClock::default();
        let here =
            CacheOptions::new().with_clock(clock.clone()).wrap(SqliteStore::open(&path).unwrap());
        there.insert(&record(1), &anything()).await.unwrap();
        let follow = tokio::spawn(here.follow());
        tokio::time::sleep(Duration::from_millis(500)).await;
        assert!(here.is_caching());
        here.find(&id(1)).await.unwrap();
        assert!(resident(&here, &id(1)).is_some());
        there.revoke(&only([1]), &mark(5)).await.unwrap();
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert!(resident(&here, &id(1)).is_none());
        assert!(here.find(&id(1)).await.unwrap().unwrap().token.revocation.is_some());
        follow.abort();
    }
}
