//! Instants: the edges of every life, and wishes that must not overflow.

use chrono::{DateTime, TimeDelta, Utc};
use hallpass::{
    Context, DenialReason, Expiry, ExpiryError, IssueError, Rotate, RotateError, Timestamp,
};
use proptest::prelude::*;

use crate::world::{World, ci, denial, micro, run, start};

fn refusal(world: &World, expiry: Expiry) -> ExpiryError {
    match run(world.hallpass.issue(ci("x").expiry(expiry))) {
        Err(IssueError::Expiry(why)) => why,
        other => panic!("{expiry:?}: {other:?}"),
    }
}

#[test]
fn a_token_lives_up_to_and_not_including_its_end() {
    let world = World::new();
    let issued = world.token("ci");
    let end = issued.token.expires_at.unwrap();
    let cold = world.again(|builder| builder);
    let at = |instant: Timestamp| {
        let context = Context { now: Some(instant), ..Context::default() };
        [&world.hallpass, &cold].map(|engine| run(engine.verify(issued.plain.expose(), &context)))
    };
    for cold_store in [false, true] {
        if cold_store {
            world.store.cool();
        }
        assert!(at(end.saturating_sub(micro())).iter().all(Result::is_ok));
        for instant in [end, end.saturating_add(micro()), Timestamp::MAX] {
            for answer in at(instant) {
                assert_eq!(denial(answer).reason(), DenialReason::Expired);
            }
        }
    }
}

#[test]
fn a_token_lives_from_its_start_on() {
    let world = World::new();
    let later = start().saturating_add(TimeDelta::hours(1));
    let issued = world.issue(ci("ci").not_before(later.to_utc()));
    world.clock.set(later.saturating_sub(micro()));
    assert_eq!(world.refusal(issued.plain.expose()), DenialReason::NotYetValid);
    world.clock.set(later);
    assert!(world.accepts(&issued));
}

#[test]
fn a_token_starts_before_it_ends_and_inside_the_calendar() {
    let world = World::new();
    let hour = start().saturating_add(TimeDelta::hours(1)).to_utc();
    let asked = |begin: DateTime<Utc>| {
        let expiry = Expiry::In(TimeDelta::hours(1));
        run(world.hallpass.issue(ci("x").expiry(expiry).not_before(begin)))
    };
    for begin in [hour, hour + micro(), DateTime::<Utc>::MAX_UTC, DateTime::<Utc>::MIN_UTC] {
        assert!(matches!(asked(begin), Err(IssueError::Window)), "{begin}");
    }
    assert!(asked(hour - micro()).is_ok());
}

#[test]
fn lifetimes_out_of_bounds_are_refused_and_nothing_overflows() {
    let world = World::new();
    for delta in [
        TimeDelta::zero(),
        -micro(),
        TimeDelta::seconds(-1),
        TimeDelta::seconds(1) - micro(),
        TimeDelta::nanoseconds(999_999_999),
        TimeDelta::MIN,
    ] {
        assert_eq!(refusal(&world, Expiry::In(delta)), ExpiryError::TooShort, "{delta}");
    }
    for delta in [
        TimeDelta::days(366) + micro(),
        TimeDelta::seconds(1 << 31),
        TimeDelta::seconds(1 << 32),
        TimeDelta::seconds((1 << 53) + 1),
        TimeDelta::MAX,
    ] {
        assert_eq!(refusal(&world, Expiry::In(delta)), ExpiryError::TooLong, "{delta}");
    }
    assert_eq!(refusal(&world, Expiry::Never), ExpiryError::Never);
    for (delta, name) in [(TimeDelta::seconds(1), "least"), (TimeDelta::days(366), "most")] {
        assert!(run(world.hallpass.issue(ci(name).expiry(Expiry::In(delta)))).is_ok());
    }
}

#[test]
fn ends_out_of_bounds_are_refused() {
    let world = World::new();
    let now = world.now().to_utc();
    let at = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
    for (end, expected) in [
        (now, ExpiryError::TooShort),
        (now - micro(), ExpiryError::TooShort),
        (at("1970-01-02T00:00:00Z"), ExpiryError::TooShort),
        (at("1969-12-31T23:59:59Z"), ExpiryError::OutOfRange),
        (now + TimeDelta::days(366) + micro(), ExpiryError::TooLong),
        (at("9999-12-31T23:59:59Z"), ExpiryError::TooLong),
        (at("+10000-01-01T00:00:00Z"), ExpiryError::OutOfRange),
        (DateTime::<Utc>::MAX_UTC, ExpiryError::OutOfRange),
        (DateTime::<Utc>::MIN_UTC, ExpiryError::OutOfRange),
    ] {
        assert_eq!(refusal(&world, Expiry::At(end)), expected, "{end}");
    }
    let longest = Expiry::At(now + TimeDelta::days(366));
    assert!(run(world.hallpass.issue(ci("most").expiry(longest))).is_ok());
}

#[test]
fn at_the_end_of_time_nothing_panics() {
    let world = World::with(|policy| policy.allow_never = true);
    let never = world.issue(ci("never").expiry(Expiry::Never));
    let second = TimeDelta::seconds(1);
    world.clock.set(Timestamp::MAX.saturating_sub(second));
    assert!(run(world.hallpass.issue(ci("x"))).is_err());
    let last = world.issue(ci("last").expiry(Expiry::In(second)));
    assert_eq!(last.token.expires_at, Some(Timestamp::MAX));
    let rotated = run(world.hallpass.rotate(&never.token.id, Rotate::new())).unwrap();
    assert_eq!(rotated.token.rotation.unwrap().grace_until, Timestamp::MAX);
    world.clock.set(Timestamp::MAX);
    assert!(world.accepts(&rotated) && !world.accepts(&last) && !world.accepts(&never));
    run(world.hallpass.maintain()).unwrap();
    world.clock.set(Timestamp::MIN);
    assert!(world.accepts(&rotated));
    run(world.hallpass.maintain()).unwrap();
}

#[test]
fn a_clock_that_jumps_writes_no_lasting_harm() {
    let world = World::new();
    let issued = world.token("ci");
    world.advance(TimeDelta::days(3650));
    assert!(!world.accepts(&issued));
    let rotated = run(world.hallpass.rotate(&issued.token.id, Rotate::new()));
    assert!(matches!(rotated, Err(RotateError::Ended(_))));
    world.clock.set(start());
    assert!(world.accepts(&issued));
    world.advance(TimeDelta::hours(-1));
    assert!(world.accepts(&issued));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Whatever the wish and the hour, a token that is issued is accepted before its end, refused
    /// from then on, and no arithmetic panics.
    #[test]
    fn every_granted_end_holds(
        clock in 1..=Timestamp::MAX.as_micros(),
        seconds in any::<i64>(),
        small in 1..40_000_000_i64,
        use_small in any::<bool>(),
        overlap in any::<i64>(),
    ) {
        let world = World::new();
        world.clock.set(Timestamp::from_micros(clock).unwrap());
        let wish = if use_small { small } else { seconds };
        let Some(delta) = TimeDelta::try_seconds(wish) else { return Ok(()) };
        if let Ok(issued) = run(world.hallpass.issue(ci("x").expiry(Expiry::In(delta)))) {
            let end = issued.token.expires_at.unwrap();
            prop_assert!(world.accepts(&issued));
            let overlap = Rotate::new().overlap(TimeDelta::microseconds(overlap));
            if let Ok(rotated) = run(world.hallpass.rotate(&issued.token.id, overlap)) {
                prop_assert!(rotated.token.rotation.unwrap().grace_until <= end);
            }
            world.clock.set(end);
            prop_assert!(!world.accepts(&issued));
        }
    }
}
