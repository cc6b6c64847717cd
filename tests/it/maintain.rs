//! Maintenance: what is removed, when, and what is kept.

use chrono::TimeDelta;
use hallpass::{
    Context, Event, Exchange, Expiry, Issued, Maintenance, RevocationReason, TokenStore as _,
};

use crate::world::{Fault, Step, World, ci, micro, run};

fn maintain(world: &World) -> Maintenance {
    run(world.hallpass.maintain()).unwrap()
}

fn is_kept(world: &World, issued: &Issued) -> bool {
    run(world.store.find(&issued.token.id)).unwrap().is_some()
}

#[test]
fn what_ended_is_kept_for_the_retention_and_no_longer() {
    let world = World::new();
    let expiring = world.issue(ci("expiring").expiry(Expiry::In(TimeDelta::days(1))));
    let revoked = world.token("revoked");
    let live = world.issue(ci("live").expiry(Expiry::In(TimeDelta::days(300))));
    run(world.hallpass.revoke(&revoked.token.id, RevocationReason::Requested)).unwrap();
    world.advance(TimeDelta::days(90));
    assert_eq!(maintain(&world).purged, 0);
    world.advance(micro());
    assert_eq!(maintain(&world).purged, 1);
    assert!(!is_kept(&world, &revoked) && is_kept(&world, &expiring));
    world.advance(TimeDelta::days(1) - micro());
    assert_eq!(maintain(&world).purged, 0);
    world.advance(micro());
    assert_eq!(maintain(&world).purged, 1);
    assert!(!is_kept(&world, &expiring) && is_kept(&world, &live));
    assert!(world.accepts(&live));
    assert_eq!(world.events.count(|event| matches!(event, Event::Purged { count: 1 })), 2);
}

#[test]
fn a_suspended_token_that_never_ends_is_never_removed() {
    let world = World::with(|policy| policy.allow_never = true);
    let never = world.issue(ci("never").expiry(Expiry::Never));
    run(world.hallpass.suspend(&never.token.id)).unwrap();
    world.advance(TimeDelta::days(10_000));
    assert_eq!(maintain(&world).purged, 0);
}

#[test]
fn a_parent_is_kept_while_a_child_is() {
    let world = World::with(|policy| {
        policy.retention = TimeDelta::zero();
        policy.exchange_retention = TimeDelta::days(2);
    });
    let parent = world.token("ci");
    let context = Context::default();
    let exchange = Exchange::new();
    let child = run(world.hallpass.exchange(parent.plain.expose(), &context, exchange)).unwrap();
    run(world.hallpass.revoke(&parent.token.id, RevocationReason::Requested)).unwrap();
    world.advance(TimeDelta::days(1));
    maintain(&world);
    assert!(is_kept(&world, &parent) && is_kept(&world, &child));
    world.advance(TimeDelta::days(2));
    maintain(&world);
    assert!(!is_kept(&world, &child));
    maintain(&world);
    assert!(!is_kept(&world, &parent));
}

#[test]
fn what_was_removed_leaves_its_name_key_and_place_free() {
    let world = World::with(|policy| policy.quota = Some(1));
    let asked = || ci("ci").idempotency_key("k");
    let first = world.issue(asked());
    run(world.hallpass.revoke(&first.token.id, RevocationReason::Requested)).unwrap();
    world.advance(TimeDelta::days(91));
    assert_eq!(maintain(&world).purged, 1);
    let second = world.issue(asked());
    assert_ne!(second.token.id, first.token.id);
    assert!(!world.accepts(&first) && world.accepts(&second));
}

#[test]
fn more_than_one_step_of_records_is_removed_in_one_round() {
    let world = World::with(|policy| {
        policy.quota = None;
        policy.unique_names = false;
    });
    for _ in 0..2100 {
        world.token("ci");
    }
    world.advance(TimeDelta::days(121));
    assert_eq!(maintain(&world).purged, 2100);
    assert_eq!(world.store.calls(Step::Purge), 3);
}

#[test]
fn a_store_that_fails_is_an_error_and_the_next_round_goes_on() {
    let world = World::new();
    let issued = world.token("ci");
    world.advance(TimeDelta::days(121));
    world.store.breaks(Step::Purge, Fault::Fails);
    assert!(run(world.hallpass.maintain()).is_err());
    assert!(is_kept(&world, &issued));
    world.store.heals();
    assert_eq!(maintain(&world).purged, 1);
}

#[test]
fn uses_that_cannot_be_written_keep_nothing_from_being_removed() {
    let world = World::new();
    let gone = world.token("gone");
    run(world.hallpass.revoke(&gone.token.id, RevocationReason::Requested)).unwrap();
    world.advance(TimeDelta::days(91));
    let used = world.issue(ci("later").expiry(Expiry::In(TimeDelta::days(3)))).plain;
    assert!(world.verify(used.expose()).is_ok());
    world.store.breaks(Step::Touch, Fault::Fails);
    assert!(run(world.hallpass.maintain()).is_err());
    assert!(!is_kept(&world, &gone));
    world.store.heals();
    assert_eq!(maintain(&world).uses, 1);
}
