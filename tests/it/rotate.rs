//! Rotating tokens: the overlap, lost replies, reuse, and races.

use chrono::TimeDelta;
use hallpass::{
    Caller, Context, DenialReason, Edit, Event, Exchange, Expiry, ExpiryError, Issued, OwnerError,
    Policy, RevocationReason, Rotate, RotateError, Status,
};

use crate::world::{
    Answer, Fault, Step, World, after, ci, micro, owner, run, start, stores, text_of, together,
};

fn rotate(world: &World, issued: &Issued) -> Issued {
    run(world.hallpass.rotate(&issued.token.id, Rotate::new())).unwrap()
}

fn try_rotate(world: &World, issued: &Issued, rotate: Rotate) -> Result<Issued, RotateError> {
    run(world.hallpass.rotate(&issued.token.id, rotate))
}

fn present(world: &World, text: &str, rotate: Rotate) -> Result<Issued, RotateError> {
    run(world.hallpass.rotate_presented(text, &Context::default(), rotate))
}

fn overlap(delta: TimeDelta) -> Rotate {
    Rotate::new().overlap(delta)
}

#[test]
fn a_rotation_changes_the_secret_and_nothing_else() {
    let world = World::new();
    let old = world.issue(ci("ci").on(["org/*"]).description("nightly"));
    world.advance(TimeDelta::days(1));
    let new = rotate(&world, &old);
    assert_ne!(new.plain.expose(), old.plain.expose());
    let mut expected = old.token.clone();
    expected.version += 1;
    expected.rotation = new.token.rotation;
    assert_eq!(new.token, expected);
    let rotation = new.token.rotation.unwrap();
    assert_eq!(rotation.rotated_at, world.now());
    assert_eq!(rotation.grace_until, world.now().saturating_add(TimeDelta::hours(24)));
    assert_eq!(rotation.first_used_at, None);
    assert!(world.accepts(&old) && world.accepts(&new));
    let told = |event: &Event| {
        matches!(event, Event::Rotated { grace_until, .. }
        if *grace_until == rotation.grace_until)
    };
    assert_eq!(world.events.count(told), 1);
}

#[test]
fn the_overlap_ends_to_the_microsecond() {
    for hours in [1, 24, 7 * 24] {
        let world = World::new();
        let old = world.token("ci");
        let new = try_rotate(&world, &old, overlap(TimeDelta::hours(hours))).unwrap();
        let end = after(TimeDelta::hours(hours));
        world.clock.set(end.saturating_sub(micro()));
        assert_eq!(world.verify(old.plain.expose()).unwrap().expires_at(), Some(end));
        world.clock.set(end);
        assert_eq!(world.refusal(old.plain.expose()), DenialReason::Superseded);
        assert!(world.accepts(&new));
    }
}

#[test]
fn no_overlap_ends_the_older_secret_at_once() {
    let world = World::new();
    let old = world.token("ci");
    let new = try_rotate(&world, &old, overlap(TimeDelta::zero())).unwrap();
    assert_eq!(world.refusal(old.plain.expose()), DenialReason::Superseded);
    assert!(world.accepts(&new));
}

#[test]
fn an_overlap_beyond_the_bounds_is_refused() {
    let world = World::new();
    let old = world.token("ci");
    for (delta, expected) in [
        (TimeDelta::days(7) + micro(), ExpiryError::TooLong),
        (TimeDelta::MAX, ExpiryError::TooLong),
        (-micro(), ExpiryError::TooShort),
        (TimeDelta::MIN, ExpiryError::TooShort),
    ] {
        let error = try_rotate(&world, &old, overlap(delta)).unwrap_err();
        assert!(matches!(error, RotateError::Expiry(why) if why == expected), "{error:?}");
    }
    assert_eq!(world.get(&old), old.token);
}

#[test]
fn an_overlap_never_goes_past_the_end_the_secret_had() {
    let world = World::new();
    let old = world.issue(ci("ci").expiry(Expiry::In(TimeDelta::hours(2))));
    let later = Rotate::new().expiry(Expiry::In(TimeDelta::days(90)));
    let new = try_rotate(&world, &old, later).unwrap();
    let end = after(TimeDelta::hours(2));
    assert_eq!(new.token.rotation.unwrap().grace_until, end);
    world.clock.set(end);
    assert!(!world.accepts(&old) && world.accepts(&new));
}

#[test]
fn an_overlap_never_goes_past_the_end_that_policy_set() {
    let world = World::with(|policy| policy.allow_never = true);
    let old = world.issue(ci("ci").expiry(Expiry::Never));
    let strict = world.again(|builder| builder.policy(Policy::default()));
    let end = after(TimeDelta::days(366));
    world.clock.set(end.saturating_sub(TimeDelta::hours(1)));
    let new = run(strict.rotate(&old.token.id, Rotate::new())).unwrap();
    assert_eq!(new.token.rotation.unwrap().grace_until, end);
}

#[test]
fn a_token_past_policys_end_is_not_brought_back_by_a_rotation() {
    let world = World::with(|policy| policy.allow_never = true);
    let old = world.issue(ci("ci").expiry(Expiry::Never));
    let strict = world.again(|builder| builder.policy(Policy::default()));
    world.advance(TimeDelta::days(366));
    let rotated = run(strict.rotate(&old.token.id, Rotate::new()));
    assert!(matches!(rotated, Err(RotateError::Ended(Status::Expired))));
}

#[test]
fn a_lost_reply_locks_nobody_out() {
    let world = World::new();
    let old = world.token("ci");
    let lost = rotate(&world, &old);
    world.advance(TimeDelta::hours(1));
    let new = rotate(&world, &old);
    assert!(world.accepts(&old) && world.accepts(&new));
    assert_eq!(world.refusal(lost.plain.expose()), DenialReason::WrongSecret);
    // The older secret keeps the overlap of the first rotation.
    assert_eq!(new.token.rotation.unwrap().grace_until, after(TimeDelta::hours(24)));
    assert_eq!(new.token.rotation.unwrap().superseded_at, start());
    world.clock.set(after(TimeDelta::hours(24)));
    assert_eq!(world.refusal(old.plain.expose()), DenialReason::Superseded);
    assert!(world.accepts(&new));
}

#[test]
fn a_lost_answer_of_the_store_locks_nobody_out() {
    let world = World::new();
    let old = world.token("ci");
    world.store.breaks(Step::Update, Fault::Loses);
    assert!(matches!(try_rotate(&world, &old, Rotate::new()), Err(RotateError::Store(_))));
    world.store.heals();
    assert!(world.accepts(&old));
    let new = rotate(&world, &old);
    assert!(world.accepts(&old) && world.accepts(&new));
    world.store.breaks(Step::Update, Fault::Fails);
    let before = world.record(&old);
    assert!(matches!(try_rotate(&world, &old, Rotate::new()), Err(RotateError::Store(_))));
    assert_eq!(world.record(&old), before);
}

#[test]
fn the_older_secret_can_be_ended_before_the_new_one_is_used() {
    let world = World::new();
    let old = world.token("ci");
    let unused = rotate(&world, &old);
    let new = try_rotate(&world, &old, overlap(TimeDelta::zero())).unwrap();
    assert!(!world.accepts(&old) && !world.accepts(&unused) && world.accepts(&new));
    // A longer overlap is not to be had this way.
    let world = World::new();
    let old = world.token("ci");
    try_rotate(&world, &old, overlap(TimeDelta::hours(1))).unwrap();
    let new = try_rotate(&world, &old, overlap(TimeDelta::days(7))).unwrap();
    assert_eq!(new.token.rotation.unwrap().grace_until, after(TimeDelta::hours(1)));
}

#[test]
fn after_its_first_use_a_secret_is_replaced_like_any_other() {
    let world = World::new();
    let first = world.token("ci");
    let second = rotate(&world, &first);
    assert!(world.accepts(&second));
    assert_eq!(world.get(&first).rotation.unwrap().first_used_at, Some(start()));
    world.advance(TimeDelta::hours(1));
    let third = rotate(&world, &first);
    assert!(world.accepts(&second) && world.accepts(&third));
    assert_eq!(world.refusal(first.plain.expose()), DenialReason::WrongSecret);
}

#[test]
fn the_first_use_ends_the_overlap_where_policy_says_so() {
    let world = World::with(|policy| policy.first_use_ends_overlap = true);
    let old = world.token("ci");
    let new = rotate(&world, &old);
    assert!(world.accepts(&old));
    world.advance(TimeDelta::hours(1));
    assert!(world.accepts(&new));
    assert_eq!(world.refusal(old.plain.expose()), DenialReason::Superseded);
    assert!(world.accepts(&new));
    assert_eq!(world.get(&old).rotation.unwrap().grace_until, world.now());
}

#[test]
fn a_first_use_that_cannot_be_noted_is_noted_by_the_next() {
    let world = World::with(|policy| policy.first_use_ends_overlap = true);
    let old = world.token("ci");
    let new = rotate(&world, &old);
    world.store.breaks(Step::Update, Fault::Fails);
    assert!(world.accepts(&new) && world.accepts(&old));
    world.store.heals();
    assert!(world.accepts(&new) && !world.accepts(&old));
}

#[test]
fn of_many_rotations_of_one_version_exactly_one_gets_through() {
    for store in stores() {
        let world = World::on(store(), |_| {});
        let old = world.token("ci");
        let asked = Rotate::new().if_version(old.token.version);
        let answers = together(64, |_| try_rotate(&world, &old, asked));
        let (won, lost): (Vec<_>, Vec<_>) = answers.into_iter().partition(Result::is_ok);
        assert_eq!((won.len(), lost.len()), (1, 63));
        let stale = |answer| matches!(answer, &Err(RotateError::Stale { current: 2 }));
        assert!(lost.iter().all(stale));
        assert!(won.iter().flatten().all(|issued| world.accepts(issued)));
        assert!(world.accepts(&old));
    }
}

#[test]
fn rotations_without_a_version_that_race_leave_one_secret_and_the_older_one() {
    for store in stores() {
        let world = World::on(store(), |_| {});
        let old = world.token("ci");
        let answers = together(16, |_| {
            let text = old.plain.expose();
            run(world.hallpass.rotate_presented(text, &Context::default(), Rotate::new()))
        });
        let good = answers.iter().flatten().filter(|issued| {
            // Looked at without being used, so that none of them is the first to be.
            world.record(issued).token.version == issued.token.version
        });
        assert_eq!(good.count(), 1);
        let live = answers.iter().flatten().filter(|issued| world.accepts(issued)).count();
        assert_eq!(live, 1);
        assert!(world.accepts(&old));
    }
}

#[test]
fn a_rotation_that_races_a_revocation_never_outlives_it() {
    for store in stores() {
        for _ in 0..20 {
            let world = World::on(store(), |_| {});
            let old = world.token("ci");
            let answers = together(8, |number| {
                if number == 0 {
                    run(world.hallpass.revoke(&old.token.id, RevocationReason::Leaked)).unwrap();
                    return None;
                }
                try_rotate(&world, &old, Rotate::new()).ok()
            });
            assert!(answers.iter().flatten().all(|issued| !world.accepts(issued)));
            assert!(!world.accepts(&old));
        }
    }
}

#[test]
fn what_ended_is_not_rotated() {
    let world = World::new();
    let expired = world.issue(ci("expired").expiry(Expiry::In(TimeDelta::hours(1))));
    let revoked = world.token("revoked");
    run(world.hallpass.revoke(&revoked.token.id, RevocationReason::Requested)).unwrap();
    world.clock.set(after(TimeDelta::hours(1)).saturating_sub(micro()));
    assert!(try_rotate(&world, &expired, Rotate::new()).is_ok());
    world.advance(micro());
    let ended = |issued, status| {
        let later = Rotate::new().expiry(Expiry::In(TimeDelta::days(1)));
        let plain = try_rotate(&world, issued, Rotate::new());
        assert!(matches!(plain, Err(RotateError::Ended(why)) if why == status));
        let later = try_rotate(&world, issued, later);
        assert!(matches!(later, Err(RotateError::Ended(why)) if why == status));
    };
    ended(&expired, Status::Expired);
    ended(&revoked, Status::Revoked);
    let nobody = "0000000000000000".parse().unwrap();
    let absent = run(world.hallpass.rotate(&nobody, Rotate::new()));
    assert!(matches!(absent, Err(RotateError::NotFound)));
}

#[test]
fn people_confirm_their_presence_before_they_rotate() {
    let world = World::new();
    let token = world.token("ci");
    let them = world.hallpass.on_behalf_of(Caller::owner(owner("u1")));
    let rotated = run(them.rotate(&token.token.id, Rotate::new()));
    assert!(matches!(rotated, Err(RotateError::Unconfirmed)));
    let them = world.hallpass.on_behalf_of(world.caller("u1"));
    assert!(run(them.rotate(&token.token.id, Rotate::new())).is_ok());
}

#[test]
fn owners_who_may_not_hold_tokens_rotate_none() {
    let world = World::new();
    let token = world.token("ci");
    world.owners.facts("u1", |facts| facts.active = false);
    let rotated = try_rotate(&world, &token, Rotate::new());
    assert!(matches!(rotated, Err(RotateError::Owner(OwnerError::Inactive))));
    world.owners.say("u1", Answer::Fails);
    let rotated = try_rotate(&world, &token, Rotate::new());
    assert!(matches!(rotated, Err(RotateError::Owner(OwnerError::Unavailable(_)))));
    assert_eq!(world.get(&token), token.token);
}

#[test]
fn a_suspended_token_stays_suspended() {
    let world = World::new();
    let old = world.token("ci");
    run(world.hallpass.suspend(&old.token.id)).unwrap();
    let new = rotate(&world, &old);
    for issued in [&old, &new] {
        assert_eq!(world.refusal(issued.plain.expose()), DenialReason::Suspended);
    }
    run(world.hallpass.resume(&old.token.id)).unwrap();
    assert!(world.accepts(&old) && world.accepts(&new));
}

#[test]
fn revoking_ends_the_overlap_at_once() {
    let world = World::new();
    let old = world.token("ci");
    let new = rotate(&world, &old);
    run(world.hallpass.revoke(&old.token.id, RevocationReason::Requested)).unwrap();
    for issued in [&old, &new] {
        assert_eq!(world.refusal(issued.plain.expose()), DenialReason::Revoked);
    }
    assert_eq!(world.events.count(|event| matches!(event, Event::Reused { .. })), 0);
}

#[test]
fn reuse_is_reported_and_by_default_revokes_nothing_on_ordinary_routes() {
    let world = World::new();
    let old = world.token("ci");
    let new = rotate(&world, &old);
    world.advance(TimeDelta::hours(24));
    let reused = |event: &Event| {
        matches!(event, Event::Reused { token, .. }
        if token.id == old.token.id)
    };
    assert_eq!(world.refusal(old.plain.expose()), DenialReason::Superseded);
    assert_eq!(world.events.count(reused), 1);
    assert!(world.accepts(&new));
    // Neither does a suspension hide it.
    run(world.hallpass.suspend(&old.token.id)).unwrap();
    assert_eq!(world.refusal(old.plain.expose()), DenialReason::Superseded);
    assert_eq!(world.events.count(reused), 2);
    assert_eq!(world.refusal(new.plain.expose()), DenialReason::Suspended);
}

#[test]
fn reuse_revokes_the_family_where_policy_says_so() {
    let world = World::with(|policy| {
        policy.reuse_revokes = true;
        policy.let_sessions_finish = true;
    });
    let old = world.token("ci");
    let new = rotate(&world, &old);
    let child =
        run(world.hallpass.exchange(new.plain.expose(), &Context::default(), Exchange::new()))
            .unwrap();
    world.advance(TimeDelta::minutes(1));
    let zeros = text_of("pat", old.token.id.as_str(), &"0".repeat(43));
    assert_eq!(world.refusal(&zeros), DenialReason::WrongSecret);
    assert!(world.accepts(&new) && world.accepts(&old));

    let ended = try_rotate(&world, &old, overlap(TimeDelta::zero())).unwrap();
    assert_eq!(world.refusal(&zeros), DenialReason::WrongSecret);
    assert!(world.accepts(&ended) && world.accepts(&child));
    assert_eq!(world.refusal(new.plain.expose()), DenialReason::Superseded);
    for issued in [&ended, &child, &new] {
        assert!(!world.accepts(issued));
    }
    let revocation = world.get(&old).revocation.unwrap();
    assert_eq!(revocation.reason, RevocationReason::Reused);
}

#[test]
fn reuse_that_cannot_be_acted_on_is_an_outage() {
    let world = World::with(|policy| policy.reuse_revokes = true);
    let old = world.token("ci");
    let new = try_rotate(&world, &old, overlap(TimeDelta::zero())).unwrap();
    world.store.breaks(Step::Revoke, Fault::Fails);
    let answer = world.verify(old.plain.expose());
    assert!(matches!(answer, Err(hallpass::VerifyError::Unavailable(_))));
    world.store.heals();
    assert!(world.accepts(&new));
}

#[test]
fn a_presented_token_rotates_itself() {
    let world = World::new();
    let old = world.token("ci");
    let new = present(&world, old.plain.expose(), Rotate::new()).unwrap();
    assert!(world.accepts(&old) && world.accepts(&new));
    assert_eq!(new.token.id, old.token.id);
    for text in ["x", &text_of("pat", old.token.id.as_str(), &"0".repeat(43))] {
        assert!(matches!(present(&world, text, Rotate::new()), Err(RotateError::Denied(_))));
    }
}

#[test]
fn a_token_alone_does_not_lengthen_its_own_life() {
    let world = World::new();
    let old = world.token("ci");
    let end = old.token.expires_at.unwrap();
    for expiry in [Expiry::At(end.to_utc() + micro()), Expiry::In(TimeDelta::days(300))] {
        let asked = present(&world, old.plain.expose(), Rotate::new().expiry(expiry));
        assert!(matches!(asked, Err(RotateError::Unconfirmed)));
    }
    assert_eq!(world.get(&old).version, 1);
    let same = Rotate::new().expiry(Expiry::At(end.to_utc()));
    let new = present(&world, old.plain.expose(), same).unwrap();
    assert_eq!(new.token.expires_at, Some(end));
    let sooner = Rotate::new().expiry(Expiry::In(TimeDelta::days(1)));
    let new = present(&world, new.plain.expose(), sooner).unwrap();
    assert_eq!(new.token.expires_at, Some(after(TimeDelta::days(1))));
}

#[test]
fn a_token_alone_keeps_the_end_that_policy_set() {
    let world = World::with(|policy| policy.allow_never = true);
    let old = world.issue(ci("never").expiry(Expiry::Never));
    let strict = world.again(|builder| builder);
    let rotate = |text: &str, rotate: Rotate| {
        run(strict.rotate_presented(text, &Context::default(), rotate))
    };
    let end = after(TimeDelta::days(366));
    world.clock.set(after(TimeDelta::days(360)));
    let later = Rotate::new().expiry(Expiry::At(end.to_utc() + micro()));
    let asked = rotate(old.plain.expose(), later);
    assert!(matches!(asked, Err(RotateError::Unconfirmed)), "{asked:?}");
    let new = rotate(old.plain.expose(), Rotate::new()).unwrap();
    assert_eq!(new.token.expires_at, Some(end));
    world.clock.set(end);
    assert!(run(strict.verify(new.plain.expose(), &Context::default())).is_err());
}

#[test]
fn the_older_secret_rotates_only_until_the_new_one_is_used() {
    let world = World::new();
    let old = world.token("ci");
    let lost = present(&world, old.plain.expose(), Rotate::new()).unwrap();
    let new = present(&world, old.plain.expose(), Rotate::new()).unwrap();
    assert!(!world.accepts(&lost) && world.accepts(&new));
    world.events.take();
    let second = present(&world, old.plain.expose(), Rotate::new());
    assert!(matches!(second, Err(RotateError::Denied(denial))
        if denial.reason() == DenialReason::Superseded));
    assert!(matches!(world.events.take()[..],
        [Event::Denied { id: Some(id), reason: DenialReason::Superseded, .. }]
        if id == old.token.id));
    // It still calls until the overlap ends, and the one in use is not disturbed.
    assert!(world.accepts(&old) && world.accepts(&new));
}

#[test]
fn a_replaced_secret_that_comes_to_rotate_after_the_overlap_ends_the_family() {
    let world = World::with(|policy| policy.let_sessions_finish = true);
    let old = world.token("ci");
    let new = rotate(&world, &old);
    world.clock.set(after(TimeDelta::hours(24)));
    let child =
        run(world.hallpass.exchange(new.plain.expose(), &Context::default(), Exchange::new()))
            .unwrap();
    let zeros = text_of("pat", old.token.id.as_str(), &"0".repeat(43));
    assert!(matches!(present(&world, &zeros, Rotate::new()), Err(RotateError::Denied(_))));
    assert!(world.accepts(&new) && world.accepts(&child));

    let reused = present(&world, old.plain.expose(), Rotate::new());
    assert!(matches!(reused, Err(RotateError::Denied(denial))
        if denial.reason() == DenialReason::Superseded));
    assert!(!world.accepts(&new) && !world.accepts(&child));
    assert_eq!(world.get(&old).revocation.unwrap().reason, RevocationReason::Reused);
}

#[test]
fn rotation_never_revives() {
    let world = World::new();
    let old = world.token("ci");
    run(world.hallpass.revoke(&old.token.id, RevocationReason::Leaked)).unwrap();
    let revoked = world.record(&old);
    let _ = try_rotate(&world, &old, Rotate::new());
    let _ = present(&world, old.plain.expose(), Rotate::new());
    let _ = run(world.hallpass.resume(&old.token.id));
    let _ = run(world.hallpass.suspend(&old.token.id));
    let _ = run(world.hallpass.update(&old.token.id, Edit::new().name("alive")));
    world.advance(TimeDelta::seconds(61));
    let _ = run(world.hallpass.maintain());
    assert_eq!(world.record(&old), revoked);
}
