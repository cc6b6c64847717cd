//! Last uses: gathered, written forward, and never in the way.

use chrono::TimeDelta;
use hallpass::store::{Filter, Reach, SortKey};
use hallpass::{Context, Issued, LastUse, ListRequest, RevocationReason, Timestamp};

use crate::world::{Fault, Step, World, ci, poll_once, run, start};

fn last(world: &World, issued: &Issued) -> Option<Timestamp> {
    world.get(issued).last_use.map(|used| used.at)
}

#[test]
fn a_use_is_shown_at_once_by_get_and_list() {
    let world = World::new();
    let issued = world.token("ci");
    assert_eq!(last(&world, &issued), None);
    let context = Context {
        ip: Some("192.0.2.1".parse().unwrap()),
        agent: Some("curl/8\r\nX-Evil: 1"),
        ..Context::default()
    };
    run(world.hallpass.verify(issued.plain.expose(), &context)).unwrap();
    let used = LastUse { at: start(), ip: context.ip, agent: Some("curl/8X-Evil: 1".into()) };
    let request = ListRequest::new(Filter::new(Reach::All)).sort(SortKey::LastUsedAt);
    let page = run(world.hallpass.list(&request)).unwrap();
    assert_eq!(page.tokens[0].last_use, Some(used.clone()));
    assert_eq!(world.get(&issued).last_use, Some(used));
    assert_eq!(world.get(&issued).version, 1);
}

#[test]
fn many_uses_in_a_minute_are_one_write() {
    let world = World::new();
    let issued = world.token("ci");
    for second in 0..59 {
        world.clock.set(start().saturating_add(TimeDelta::seconds(second)));
        for _ in 0..5 {
            assert!(world.accepts(&issued));
        }
        run(world.hallpass.maintain()).unwrap();
    }
    assert_eq!(world.store.calls(Step::Touch), 1);
    assert_eq!(last(&world, &issued), Some(start()));
    world.clock.set(start().saturating_add(TimeDelta::seconds(61)));
    assert!(world.accepts(&issued));
    assert_eq!(last(&world, &issued), Some(world.now()));
    assert_eq!(world.store.calls(Step::Touch), 1);
    run(world.hallpass.maintain()).unwrap();
    assert_eq!(last(&world, &issued), Some(world.now()));
    assert_eq!(world.store.calls(Step::Touch), 2);
}

#[test]
fn no_store_is_asked_on_the_way_of_a_hot_token() {
    let world = World::new();
    let issued = world.token("ci");
    assert!(world.accepts(&issued));
    for step in [Step::Find, Step::Update, Step::Touch] {
        assert_eq!(world.store.calls(step), 0);
    }
}

#[test]
fn a_last_use_only_moves_forward() {
    let world = World::new();
    let issued = world.token("ci");
    world.advance(TimeDelta::hours(1));
    assert!(world.accepts(&issued));
    let later = world.now();
    assert_eq!(last(&world, &issued), Some(later));
    for ago in [TimeDelta::minutes(30), TimeDelta::seconds(1)] {
        let context = Context { now: Some(later.saturating_sub(ago)), ..Context::default() };
        run(world.hallpass.verify(issued.plain.expose(), &context)).unwrap();
        assert_eq!(last(&world, &issued), Some(later));
    }
}

#[test]
fn uses_that_could_not_be_written_are_written_later() {
    for fault in [Fault::Fails, Fault::Loses] {
        let world = World::new();
        let issued = world.token("ci");
        world.store.breaks(Step::Touch, fault);
        assert!(world.accepts(&issued));
        assert!(run(world.hallpass.maintain()).is_err());
        // A list is shown all the same, and a token verified.
        assert!(run(world.hallpass.list(&ListRequest::new(Filter::new(Reach::All)))).is_ok());
        assert!(world.accepts(&issued));
        world.store.heals();
        assert_eq!(run(world.hallpass.maintain()).unwrap().uses, 1);
        assert_eq!(last(&world, &issued), Some(start()));
        assert_eq!(run(world.hallpass.maintain()).unwrap().uses, 0);
    }
}

#[test]
fn uses_outlive_a_writer_that_gave_up() {
    let world = World::new();
    let issued = world.token("ci");
    assert!(world.accepts(&issued));
    world.store.breaks(Step::Touch, Fault::Hangs);
    let mut writing = Box::pin(world.hallpass.maintain());
    assert!(poll_once(&mut writing).is_pending());
    assert!(world.accepts(&issued), "nobody waits for the writer");
    drop(writing);
    world.store.heals();
    assert_eq!(last(&world, &issued), Some(start()));
}

#[test]
fn a_refused_text_and_a_revoked_token_leave_no_use() {
    let world = World::new();
    let (refused, revoked) = (world.token("a"), world.token("b"));
    world.owners.facts("u1", |facts| facts.active = false);
    assert!(!world.accepts(&refused));
    world.owners.facts("u1", |_| {});
    assert!(world.accepts(&revoked));
    run(world.hallpass.revoke(&revoked.token.id, RevocationReason::Requested)).unwrap();
    for issued in [&refused, &revoked] {
        assert_eq!(last(&world, issued), None);
    }
}

#[test]
fn an_exchange_is_a_use_of_the_parent() {
    let world = World::new();
    let issued = world.issue(ci("ci"));
    let text = issued.plain.expose();
    let context = Context::default();
    run(world.hallpass.exchange(text, &context, hallpass::Exchange::new())).unwrap();
    assert_eq!(last(&world, &issued), Some(start()));
}
