//! Application grants: refreshed, retried, reused, ended.

use chrono::TimeDelta;
use hallpass::{
    Context, DenialReason, Edit, Event, Exchange, Expiry, Granted, Issue, IssueError, Issued, Kind,
    KindSet, Metadata, Refresh, RefreshError, RevocationReason, Rotate, RotateError, Status,
    UpdateError,
};
use proptest::prelude::*;

use crate::world::{Fault, Step, World, after, ci, micro, run, start, stores, together};

fn app(name: &str) -> Issue {
    ci(name).scopes(["repo:write"]).for_client("reader")
}

fn grant(world: &World) -> Granted {
    run(world.hallpass.issue_with_refresh(app("reader"))).unwrap()
}

fn refresh(world: &World, with: &Issued) -> Result<Granted, RefreshError> {
    refresh_as(world, with, Refresh::new("reader"))
}

fn refresh_as(world: &World, with: &Issued, how: Refresh) -> Result<Granted, RefreshError> {
    run(world.hallpass.refresh(with.plain.expose(), &Context::default(), how))
}

fn reason(answer: Result<Granted, RefreshError>) -> DenialReason {
    match answer {
        Err(RefreshError::Denied(denial)) => denial.reason(),
        other => panic!("not refused: {other:?}"),
    }
}

fn reuses(world: &World) -> usize {
    world.events.count(|event| matches!(event, Event::Reused { .. }))
}

#[test]
fn a_grant_is_an_access_token_and_a_refresh_token() {
    let world = World::new();
    let Granted { access, refresh: first, .. } = grant(&world);
    assert!(access.plain.expose().starts_with("acme_app_"));
    assert!(first.plain.expose().starts_with("acme_rt_"));
    assert_eq!((access.token.parent, first.token.parent), (Some(first.token.id), None));
    assert_eq!(access.token.expires_at, Some(after(TimeDelta::hours(1))));
    assert_eq!(first.token.expires_at, Some(after(TimeDelta::days(90))));
    assert_eq!(access.token.client.as_deref(), Some("reader"));
    assert!(world.verify(access.plain.expose()).unwrap().grants("repo:write"));
    // A refresh token is good for refreshing, never for calling.
    assert_eq!(world.refusal(first.plain.expose()), DenialReason::WrongKind);
    let without = run(world.hallpass.issue_with_refresh(ci("x")));
    assert!(matches!(without, Err(IssueError::ClientMissing)));
}

#[test]
fn a_refresh_gives_a_new_pair_and_spends_the_old_one() {
    let world = World::new();
    let first = grant(&world);
    world.advance(TimeDelta::minutes(50));
    let second = refresh(&world, &first.refresh).unwrap();
    assert_eq!(second.refresh.token.parent, Some(first.refresh.token.id));
    assert_ne!(second.refresh.token.id, first.refresh.token.id);
    // However often it is refreshed, the grant ends when it was to end.
    assert_eq!(second.refresh.token.expires_at, first.refresh.token.expires_at);
    assert_eq!(second.access.token.expires_at, Some(after(TimeDelta::minutes(110))));
    assert!(world.accepts(&first.access) && world.accepts(&second.access));
    world.advance(TimeDelta::minutes(10));
    assert_eq!(world.refusal(first.access.plain.expose()), DenialReason::Expired);
    let third = refresh(&world, &second.refresh).unwrap();
    assert_eq!(Status::at(&world.get(&second.refresh), world.now()), Status::Expired);
    assert!(world.accepts(&third.access));
    assert_eq!(reuses(&world), 0);
}

#[test]
fn nothing_outlives_the_grant() {
    let world = World::new();
    let issue = app("reader").expiry(Expiry::In(TimeDelta::minutes(90)));
    let first = run(world.hallpass.issue_with_refresh(issue)).unwrap();
    world.advance(TimeDelta::minutes(60));
    let second = refresh(&world, &first.refresh).unwrap();
    assert_eq!(second.access.token.expires_at, Some(after(TimeDelta::minutes(90))));
    world.advance(TimeDelta::minutes(30) - TimeDelta::seconds(5) + micro());
    assert!(matches!(refresh(&world, &second.refresh), Err(RefreshError::Expiry(_))));
    world.advance(TimeDelta::seconds(5));
    assert_eq!(reason(refresh(&world, &second.refresh)), DenialReason::Expired);
    assert_eq!(reason(refresh(&world, &first.refresh)), DenialReason::Expired);
}

#[test]
fn a_lost_reply_is_forgiven_until_somebody_used_it() {
    let world = World::new();
    let first = grant(&world);
    let lost = refresh(&world, &first.refresh).unwrap();
    world.advance(TimeDelta::minutes(1));
    let lost_again = refresh(&world, &first.refresh).unwrap();
    let heard = refresh(&world, &first.refresh).unwrap();
    assert_eq!(reuses(&world), 0);
    let next = refresh(&world, &heard.refresh).unwrap();
    assert!(world.accepts(&next.access));
    // Now that the reply was used, its predecessor is in two hands.
    world.events.take();
    assert_eq!(reason(refresh(&world, &first.refresh)), DenialReason::Superseded);
    assert_eq!(reuses(&world), 1);
    for dead in [&first, &lost, &lost_again, &heard, &next] {
        assert!(!world.accepts(&dead.access));
        assert!(matches!(refresh(&world, &dead.refresh), Err(RefreshError::Denied(_))));
    }
    assert_eq!(reuses(&world), 1, "a revoked grant is not revoked again");
}

#[test]
fn what_is_suspended_is_not_replaced_by_presenting_its_predecessor() {
    let world = World::new();
    let first = grant(&world);
    let second = refresh(&world, &first.refresh).unwrap();
    run(world.hallpass.suspend(&second.refresh.token.id)).unwrap();
    for spent in [&first.refresh, &second.refresh] {
        assert_eq!(reason(refresh(&world, spent)), DenialReason::Suspended);
    }
    assert_eq!(reuses(&world), 0);
    run(world.hallpass.resume(&second.refresh.token.id)).unwrap();
    let heard = refresh(&world, &first.refresh).unwrap();
    assert!(world.accepts(&heard.access));
}

#[test]
fn the_key_of_a_grant_is_no_key_of_a_token() {
    let world = World::new();
    let asked = || app("reader").expiry(Expiry::In(TimeDelta::days(1))).idempotency_key("k");
    let grant = run(world.hallpass.issue_with_refresh(asked())).unwrap();
    let token = run(world.hallpass.issue(asked()));
    assert!(matches!(token, Err(IssueError::IdempotencyKey)), "{token:?}");
    match run(world.hallpass.issue_with_refresh(asked())) {
        Err(IssueError::Replayed(token)) => assert_eq!(token.id, grant.refresh.token.id),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_reply_that_was_not_lost_gives_the_thief_away() {
    // The thief presents the spent token before the client has used the new one.
    let world = World::new();
    let first = grant(&world);
    let honest = refresh(&world, &first.refresh).unwrap();
    let thief = refresh(&world, &first.refresh).unwrap();
    let thief = refresh(&world, &thief.refresh).unwrap();
    assert!(world.accepts(&thief.access));
    assert_eq!(reason(refresh(&world, &honest.refresh)), DenialReason::Superseded);
    assert_eq!(reuses(&world), 1);
    assert!(!world.accepts(&thief.access) && !world.accepts(&honest.access));
}

#[test]
fn the_oldest_spent_token_is_recognised() {
    let world = World::new();
    let stolen = grant(&world);
    let mut current = refresh(&world, &stolen.refresh).unwrap();
    for _ in 0..40 {
        current = refresh(&world, &current.refresh).unwrap();
    }
    assert_eq!(reason(refresh(&world, &stolen.refresh)), DenialReason::Superseded);
    assert!(!world.accepts(&current.access));
    let events = world.events.take();
    let revoked = events.iter().find_map(|event| match event {
        Event::Revoked { ids, reason: RevocationReason::Reused, .. } => Some(ids.len()),
        _ => None,
    });
    assert_eq!(revoked, Some(84), "42 pairs");
}

#[test]
fn a_retry_comes_soon_or_is_a_reuse() {
    for (late, forgiven) in [(-micro(), true), (TimeDelta::zero(), false)] {
        let world = World::new();
        let first = grant(&world);
        refresh(&world, &first.refresh).unwrap();
        world.advance(TimeDelta::hours(1) + late);
        assert_eq!(refresh(&world, &first.refresh).is_ok(), forgiven);
    }
}

#[test]
fn a_wrong_secret_or_client_ends_nothing() {
    let world = World::new();
    let first = grant(&world);
    let second = refresh(&world, &first.refresh).unwrap();
    let forged = crate::world::text_of("rt", first.refresh.token.id.as_str(), &"0".repeat(43));
    let answer = run(world.hallpass.refresh(&forged, &Context::default(), Refresh::new("reader")));
    assert_eq!(reason(answer), DenialReason::WrongSecret);
    for spent_or_not in [&first.refresh, &second.refresh] {
        let answer = refresh_as(&world, spent_or_not, Refresh::new("writer"));
        assert_eq!(reason(answer), DenialReason::WrongClient);
    }
    assert_eq!(reason(refresh(&world, &first.access)), DenialReason::WrongKind);
    assert_eq!(reason(refresh(&world, &world.token("ci"))), DenialReason::WrongKind);
    assert_eq!(reuses(&world), 0);
    assert!(refresh(&world, &second.refresh).is_ok());
}

#[test]
fn of_many_refreshes_at_once_one_goes_through() {
    for store in stores() {
        let world = World::on(store(), |_| {});
        let first = grant(&world);
        let answers = together(8, |_| refresh(&world, &first.refresh));
        // Those that came after the first one finished are retries of a lost reply.
        let good: Vec<_> = answers.iter().filter_map(|answer| answer.as_ref().ok()).collect();
        assert!(!good.is_empty());
        assert!(answers.iter().all(|answer| matches!(answer, Ok(_) | Err(RefreshError::Stale))));
        let usable = good
            .iter()
            .filter(|granted| {
                let record = world.record(&granted.refresh);
                record.token.revocation.is_none() && record.token.rotation.is_none()
            })
            .count();
        assert_eq!(usable, 1);
        assert_eq!(reuses(&world), 0);
    }
}

#[test]
fn a_refresh_that_failed_half_way_can_be_tried_again() {
    for fault in [Fault::Fails, Fault::Loses] {
        for step in [Step::Insert, Step::Update, Step::Find] {
            let world = World::new();
            let first = grant(&world);
            world.store.breaks(step, fault);
            let answer = refresh(&world, &first.refresh);
            assert!(matches!(answer, Err(RefreshError::Unavailable(_))), "{step:?} {answer:?}");
            world.store.heals();
            let second = refresh(&world, &first.refresh).unwrap();
            assert!(refresh(&world, &second.refresh).is_ok());
            assert_eq!(reuses(&world), 0);
        }
    }
}

#[test]
fn scopes_only_narrow() {
    let world = World::new();
    let first = grant(&world);
    let narrow = Refresh::new("reader").scopes(["repo:read"]);
    let second = refresh_as(&world, &first.refresh, narrow).unwrap();
    let verified = world.verify(second.access.plain.expose()).unwrap();
    assert!(verified.grants("repo:read") && !verified.grants("repo:write"));
    let wider = Refresh::new("reader").scopes(["repo:admin"]);
    assert!(matches!(refresh_as(&world, &second.refresh, wider), Err(RefreshError::Wider { .. })));
    // The refresh token keeps what was granted, and a refused wish does not spend it.
    let third = refresh(&world, &second.refresh).unwrap();
    assert!(world.verify(third.access.plain.expose()).unwrap().grants("repo:write"));
    world.owners.limit("u1", &["repo:read"]);
    let fourth = refresh(&world, &third.refresh).unwrap();
    assert_eq!(fourth.access.token.scopes.to_string(), "repo:read");
    world.owners.limit("u1", &[]);
    assert!(matches!(refresh(&world, &fourth.refresh), Err(RefreshError::Settings(_))));
    world.owners.facts("u1", |facts| facts.active = false);
    assert_eq!(reason(refresh(&world, &fourth.refresh)), DenialReason::OwnerInactive);
}

#[test]
fn revoking_any_refresh_token_ends_the_grant() {
    for by_text in [false, true] {
        let world = World::new();
        let first = grant(&world);
        let second = refresh(&world, &first.refresh).unwrap();
        let third = refresh(&world, &second.refresh).unwrap();
        let requested = RevocationReason::Requested;
        if by_text {
            let text = third.refresh.plain.expose();
            let revoked = run(world.hallpass.revoke_text(text, requested)).unwrap();
            assert_eq!(revoked, Some(third.refresh.token.id));
        } else {
            assert!(run(world.hallpass.revoke(&third.refresh.token.id, requested)).unwrap());
        }
        for dead in [&first, &second, &third] {
            assert!(!world.accepts(&dead.access));
            assert_eq!(reason(refresh(&world, &dead.refresh)), DenialReason::Revoked);
        }
        assert_eq!(reuses(&world), 0);
    }
}

#[test]
fn a_revoked_grant_is_not_refreshed_even_if_sessions_may_finish() {
    let world = World::with(|policy| policy.let_sessions_finish = true);
    let first = grant(&world);
    let second = refresh(&world, &first.refresh).unwrap();
    run(world.hallpass.revoke(&first.refresh.token.id, RevocationReason::Requested)).unwrap();
    assert!(world.accepts(&second.access), "the session goes on");
    assert_eq!(reason(refresh(&world, &second.refresh)), DenialReason::ParentEnded);
    let looked = run(world.hallpass.introspect(second.refresh.plain.expose())).unwrap();
    assert!(looked.is_none());
}

#[test]
fn an_access_token_of_a_grant_is_exchanged_by_its_client_and_ends_with_the_grant() {
    let world = World::new();
    let first = grant(&world);
    let text = first.access.plain.expose();
    let exchange = |client: &str| {
        let how = Exchange::new().for_client(client);
        run(world.hallpass.exchange(text, &Context::default(), how))
    };
    assert!(exchange("writer").is_err());
    let child = exchange("reader").unwrap();
    assert!(world.accepts(&child));
    run(world.hallpass.revoke(&first.refresh.token.id, RevocationReason::Requested)).unwrap();
    assert_eq!(world.refusal(child.plain.expose()), DenialReason::ParentEnded);
}

#[test]
fn parts_of_a_grant_are_not_edited_copied_or_rotated() {
    let world = World::new();
    let first = grant(&world);
    for id in [&first.access.token.id, &first.refresh.token.id] {
        let edited = run(world.hallpass.update(id, Edit::new().name("x")));
        assert!(matches!(edited, Err(UpdateError::Exchanged)));
        assert!(matches!(run(world.hallpass.duplicate(id, "x")), Err(IssueError::NotFound)));
        let rotated = run(world.hallpass.rotate(id, Rotate::new()));
        assert!(matches!(rotated, Err(RotateError::Kind(_))));
    }
    let text = first.access.plain.expose();
    let rotated = run(world.hallpass.rotate_presented(text, &Context::default(), Rotate::new()));
    assert!(matches!(rotated, Err(RotateError::Kind(Kind::Application))));
}

#[test]
fn the_apps_metadata_stays() {
    let world = World::new();
    let metadata = Metadata::from_json("{\"device\":\"phone\"}").unwrap();
    let issue = app("reader").metadata(metadata.clone());
    let first = run(world.hallpass.issue_with_refresh(issue)).unwrap();
    let second = refresh(&world, &first.refresh).unwrap();
    let third = refresh(&world, &second.refresh).unwrap();
    assert_eq!(third.access.token.metadata, metadata);
    assert_eq!(world.get(&first.refresh).metadata.to_map().get("device").unwrap(), "phone");
}

#[test]
fn grants_have_a_quota_that_refreshing_does_not_use_up() {
    let world = World::with(|policy| policy.refresh_quota = Some(3));
    let mut current = grant(&world);
    for _ in 0..10 {
        current = refresh(&world, &current.refresh).unwrap();
    }
    assert!(run(world.hallpass.issue_with_refresh(app("other"))).is_ok());
    let full = run(world.hallpass.issue_with_refresh(app("third")));
    assert!(matches!(full, Err(IssueError::QuotaFull { limit: 3 })));
}

#[test]
fn a_full_quota_spends_no_refresh_token() {
    let world = World::with(|policy| policy.exchange_quota = Some(1));
    let first = grant(&world);
    for _ in 0..3 {
        let refused = refresh(&world, &first.refresh);
        let full = matches!(refused, Err(RefreshError::QuotaFull { limit: 1 }));
        assert!(full, "{refused:?}");
        world.advance(TimeDelta::minutes(15));
    }
    world.advance(TimeDelta::minutes(15));
    assert!(refresh(&world, &first.refresh).is_ok());
    assert_eq!(reuses(&world), 0);
}

#[test]
fn looking_at_a_token_leaves_no_trace() {
    let world = World::new();
    let parent =
        world.issue(ci("ci").audience(["elsewhere"]).networks(["10.0.0.0/8".parse().unwrap()]));
    let before = world.record(&parent);
    world.events.take();
    let looked = run(world.hallpass.introspect(parent.plain.expose())).unwrap().unwrap();
    assert_eq!(looked.verified.audience(), ["elsewhere"]);
    assert_eq!(looked.issued_at, start());
    for junk in ["junk", "", "acme_pat_x"] {
        assert!(run(world.hallpass.introspect(junk)).unwrap().is_none());
    }
    // A rotated token's first use is a use, not a look; a replaced secret is no news to the sink.
    let rotated = world.token("rotated");
    let rotate = Rotate::new().overlap(TimeDelta::zero());
    let fresh = run(world.hallpass.rotate(&rotated.token.id, rotate)).unwrap();
    world.events.take();
    assert!(run(world.hallpass.introspect(fresh.plain.expose())).unwrap().is_some());
    assert!(run(world.hallpass.introspect(rotated.plain.expose())).unwrap().is_none());
    assert_eq!(world.get(&fresh).rotation.unwrap().first_used_at, None);
    world.advance(TimeDelta::minutes(5));
    run(world.hallpass.maintain()).unwrap();
    assert_eq!(world.record(&parent), before);
    assert_eq!(world.events.take(), []);
    world.store.cool();
    world.store.breaks(Step::Find, Fault::Fails);
    assert!(run(world.hallpass.introspect(parent.plain.expose())).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Whatever is presented in whatever order, at most one refresh token of a grant is good, no
    /// access token has more than was granted, and none outlives the grant.
    #[test]
    fn at_most_one_refresh_token_is_good(
        steps in prop::collection::vec((any::<prop::sample::Index>(), 0_i64..4000), 1..20),
    ) {
        let world = World::new();
        let first = grant(&world);
        let end = first.refresh.token.expires_at;
        let mut all = vec![first];
        for (which, seconds) in steps {
            world.advance(TimeDelta::seconds(seconds));
            if let Ok(next) = refresh(&world, &which.get(&all).refresh) {
                prop_assert!(next.access.token.expires_at <= end);
                prop_assert_eq!(next.access.token.scopes.to_string(), "repo:write");
                all.push(next);
            }
            let good = all.iter().filter(|granted| {
                let text = granted.refresh.plain.expose();
                run(world.hallpass.introspect(text)).unwrap().is_some()
            });
            prop_assert!(good.count() <= 1);
        }
        let context = Context { kinds: KindSet::ALL, ..Context::default() };
        for granted in &all {
            let access = run(world.hallpass.verify(granted.access.plain.expose(), &context));
            prop_assert!(access.is_err() || world.now() < granted.access.token.expires_at.unwrap());
        }
    }
}
