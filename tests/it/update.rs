//! Changing tokens: narrowing is free, widening needs what issuing needs.

use chrono::TimeDelta;
use hallpass::store::Change;
use hallpass::{
    Actor, Caller, DenialReason, Edit, Event, Expiry, ExpiryError, Issue, Issued, Metadata,
    OnBehalf, OwnerError, Policy, Resources, RevocationReason, Rotate, RotateError, SettingsError,
    Status, Token, TokenStore, Update, UpdateError,
};

use crate::world::{Fault, Step, World, after, ci, micro, owner, run};

fn update(world: &World, issued: &Issued, edit: Edit) -> Result<Token, UpdateError> {
    run(world.hallpass.update(&issued.token.id, edit))
}

/// An owner who has not confirmed its presence.
fn unconfirmed(world: &World) -> OnBehalf<'_> {
    world.hallpass.on_behalf_of(Caller::owner(owner("u1")))
}

fn wide(world: &World) -> Issued {
    let networks = ["10.0.0.0/8".parse().unwrap()];
    world
        .issue(Issue::new("ci").owner("u1").scopes(["repo:write"]).on(["org/*"]).networks(networks))
}

#[test]
fn what_is_not_named_stays() {
    let world = World::new();
    let issued = wide(&world);
    let metadata = Metadata::from_json("{\"a\":1}").unwrap();
    let edit =
        Edit::new().name("new").description(Some("said".to_owned())).metadata(metadata.clone());
    let token = update(&world, &issued, edit).unwrap();
    let mut expected = issued.token.clone();
    expected.name = "new".parse().unwrap();
    expected.description = Some("said".to_owned());
    expected.metadata = metadata;
    expected.version = 2;
    assert_eq!(token, expected);
    assert_eq!(world.get(&issued), expected);
    let told = |event: &Event| matches!(event, Event::Updated { what: Update::Settings, .. });
    assert_eq!(world.events.count(told), 1);
}

#[test]
fn narrowing_is_free_and_takes_effect_at_once() {
    let world = World::new();
    let issued = wide(&world);
    let edit = Edit::new()
        .scopes(["repo:read"])
        .resources(Resources::listed(["org/x"]).unwrap())
        .networks(Some(vec!["10.1.0.0/16".parse().unwrap()]))
        .expiry(Expiry::In(TimeDelta::days(1)));
    run(unconfirmed(&world).update(&issued.token.id, edit)).unwrap();
    let context =
        hallpass::Context { ip: Some("10.1.2.3".parse().unwrap()), ..hallpass::Context::default() };
    let verified = run(world.hallpass.verify(issued.plain.expose(), &context)).unwrap();
    assert!(!verified.grants("repo:write") && verified.on("org/y").is_err());
    assert_eq!(world.refusal(issued.plain.expose()), DenialReason::WrongNetwork);
}

#[test]
fn widening_needs_a_confirmation() {
    let world = World::new();
    let issued = wide(&world);
    let all_wider = || {
        [
            Edit::new().scopes(["repo:admin"]),
            Edit::new().scopes(["repo:read", "hooks"]),
            Edit::new().preset("CI"),
            Edit::new().resources(Resources::All),
            Edit::new().resources(Resources::listed(["org/x", "other"]).unwrap()),
            Edit::new().networks(None),
            Edit::new().networks(Some(vec!["0.0.0.0/0".parse().unwrap()])),
            Edit::new().expiry(Expiry::In(TimeDelta::days(31))),
        ]
    };
    for edit in all_wider() {
        let answer = run(unconfirmed(&world).update(&issued.token.id, edit));
        assert!(matches!(answer, Err(UpdateError::Unconfirmed)));
    }
    assert_eq!(world.get(&issued), issued.token);
    for edit in all_wider() {
        let issued = world.issue(
            Issue::new(format!("n{}", world.all().len()))
                .owner("u1")
                .scopes(["repo:write"])
                .on(["org/*"])
                .networks(["10.0.0.0/8".parse().unwrap()]),
        );
        let me = world.hallpass.on_behalf_of(world.caller("u1"));
        assert!(run(me.update(&issued.token.id, edit)).is_ok());
    }
}

#[test]
fn nobody_widens_beyond_the_owners_rights() {
    let world = World::new();
    world.owners.limit("u1", &["repo:write"]);
    let issued = wide(&world);
    let answer = update(&world, &issued, Edit::new().scopes(["repo:admin"]));
    assert!(matches!(answer, Err(UpdateError::Owner(OwnerError::Beyond { .. }))));
    world.owners.facts("u1", |facts| facts.active = false);
    let answer = update(&world, &issued, Edit::new().resources(Resources::All));
    assert!(matches!(answer, Err(UpdateError::Owner(OwnerError::Inactive))));
    // Narrowing goes on, whatever became of the owner.
    assert!(update(&world, &issued, Edit::new().scopes(["repo:read"])).is_ok());
}

#[test]
fn settings_out_of_bounds_are_refused() {
    let world = World::new();
    let issued = wide(&world);
    for edit in [
        Edit::new().name(""),
        Edit::new().name("a\u{202e}"),
        Edit::new().description(Some("x".repeat(1001))),
        Edit::new().scopes(["*"]),
        Edit::new().scopes(Vec::<String>::new()),
        Edit::new().preset("nothing"),
        Edit::new().networks(Some(vec!["10.0.0.0/8".parse().unwrap(); 65])),
    ] {
        let answer = update(&world, &issued, edit);
        assert!(matches!(answer, Err(UpdateError::Settings(_))), "{answer:?}");
    }
    let app = world.issue(ci("app").for_client("c1"));
    let answer = update(&world, &app, Edit::new().scopes(["session"]));
    let not_for_kind = SettingsError::NotForKind {
        scope: "session".parse().unwrap(),
        kind: hallpass::Kind::Application,
    };
    assert!(matches!(answer, Err(UpdateError::Settings(why)) if why == not_for_kind));
    assert_eq!(world.get(&issued), issued.token);
}

#[test]
fn an_end_stays_inside_the_longest_life_from_issue() {
    let world = World::new();
    let issued = world.token("ci");
    world.advance(TimeDelta::days(10));
    let longest = after(TimeDelta::days(366)).to_utc();
    let too_long = |edit| {
        let answer = update(&world, &issued, edit);
        assert!(matches!(answer, Err(UpdateError::Expiry(ExpiryError::TooLong))), "{answer:?}");
    };
    too_long(Edit::new().expiry(Expiry::At(longest + micro())));
    too_long(Edit::new().expiry(Expiry::In(TimeDelta::days(366))));
    assert!(update(&world, &issued, Edit::new().expiry(Expiry::At(longest))).is_ok());
    let answer = update(&world, &issued, Edit::new().expiry(Expiry::Never));
    assert!(matches!(answer, Err(UpdateError::Expiry(ExpiryError::Never))));
    for past in [world.now(), after(TimeDelta::zero())] {
        let answer = update(&world, &issued, Edit::new().expiry(Expiry::At(past.to_utc())));
        assert!(matches!(answer, Err(UpdateError::Expiry(ExpiryError::TooShort))));
    }
}

#[test]
fn a_name_of_another_live_token_is_taken() {
    let world = World::new();
    let (a, b) = (world.token("a"), world.token("b"));
    let taken = update(&world, &a, Edit::new().name("B"));
    assert!(matches!(taken, Err(UpdateError::NameTaken { by }) if by == b.token.id));
    // Its own name in another spelling is free, and what it left is free too.
    assert!(update(&world, &a, Edit::new().name("A")).is_ok());
    assert!(update(&world, &a, Edit::new().name("c")).is_ok());
    assert!(update(&world, &b, Edit::new().name("a")).is_ok());
    let taken = update(&world, &a, Edit::new().name("a"));
    assert!(matches!(taken, Err(UpdateError::NameTaken { .. })));
    run(world.hallpass.revoke(&b.token.id, RevocationReason::Requested)).unwrap();
    assert!(update(&world, &a, Edit::new().name("a")).is_ok());
}

#[test]
fn a_stale_copy_changes_nothing() {
    let world = World::new();
    let issued = world.token("ci");
    let edit = |version| Edit::new().name(format!("v{version}")).if_version(version);
    assert_eq!(update(&world, &issued, edit(1)).unwrap().version, 2);
    for stale in [0, 1, 3, u64::MAX] {
        let answer = update(&world, &issued, edit(stale));
        assert!(matches!(answer, Err(UpdateError::Stale { current: 2 })));
    }
    assert_eq!(world.get(&issued).name.as_str(), "v1");
}

#[test]
fn a_stale_copy_never_undoes_a_revocation() {
    let world = World::new();
    let issued = world.token("ci");
    let stale = world.record(&issued).token.version;
    run(world.hallpass.revoke(&issued.token.id, RevocationReason::Leaked)).unwrap();
    let revoked = world.record(&issued);
    for version in [stale, revoked.token.version] {
        let change = Change { suspension: Some(None), ..Change::default() };
        let answer = run(world.store.update(&issued.token.id, version, &change, world.now()));
        assert!(answer.is_err());
    }
    for answer in [
        update(&world, &issued, Edit::new().name("x")),
        run(world.hallpass.suspend(&issued.token.id)),
        run(world.hallpass.resume(&issued.token.id)),
    ] {
        assert!(matches!(answer, Err(UpdateError::Ended(Status::Revoked))));
    }
    assert_eq!(world.record(&issued), revoked);
}

#[test]
fn what_is_over_is_over() {
    let world = World::new();
    let issued = world.issue(ci("ci").expiry(Expiry::In(TimeDelta::hours(1))));
    let longer = || Edit::new().expiry(Expiry::In(TimeDelta::days(1)));
    world.clock.set(issued.token.expires_at.unwrap());
    for answer in [
        update(&world, &issued, longer()),
        run(world.hallpass.suspend(&issued.token.id)),
        run(world.hallpass.resume(&issued.token.id)),
    ] {
        assert!(matches!(answer, Err(UpdateError::Ended(Status::Expired))));
    }
    world.advance(-micro());
    assert!(update(&world, &issued, longer()).is_ok());
}

#[test]
fn a_token_past_policys_end_is_not_changed() {
    let world = World::with(|policy| policy.allow_never = true);
    let issued = world.issue(ci("ci").expiry(Expiry::Never));
    let strict = world.again(|builder| builder.policy(Policy::default()));
    world.advance(TimeDelta::days(366));
    let answer = run(strict.update(&issued.token.id, Edit::new().name("x")));
    assert!(matches!(answer, Err(UpdateError::Ended(Status::Expired))));
}

#[test]
fn a_suspended_token_rests_until_it_is_resumed() {
    let world = World::new();
    let issued = world.token("ci");
    let id = &issued.token.id;
    let suspended = run(unconfirmed(&world).suspend(id)).unwrap();
    let suspension = suspended.suspension.clone().unwrap();
    assert_eq!((suspension.at, suspension.by), (world.now(), Actor::Owner));
    assert_eq!(world.refusal(issued.plain.expose()), DenialReason::Suspended);
    world.advance(TimeDelta::hours(1));
    assert_eq!(run(unconfirmed(&world).suspend(id)).unwrap(), suspended);
    let answer = run(unconfirmed(&world).resume(id));
    assert!(matches!(answer, Err(UpdateError::Unconfirmed)));
    let resumed = run(world.hallpass.resume(id)).unwrap();
    assert_eq!(run(world.hallpass.resume(id)).unwrap(), resumed);
    assert!(world.accepts(&issued));
    assert_eq!(world.events.count(|event| matches!(event, Event::Updated { .. })), 2);
}

#[test]
fn an_owner_cannot_take_back_what_somebody_else_suspended() {
    let world = World::new();
    let issued = world.token("ci");
    let id = &issued.token.id;
    let root = Caller::admin(owner("root")).confirmed_at(world.now());
    let admin = world.hallpass.on_behalf_of(root);
    let by = |token: &Token| token.suspension.as_ref().map(|suspension| suspension.by.clone());
    let refused = |answer| assert!(matches!(answer, Err(UpdateError::NotOwnSuspension)));
    let own = || world.hallpass.on_behalf_of(world.caller("u1"));
    let root = Some(Actor::Admin(owner("root")));
    assert_eq!(by(&run(admin.suspend(id)).unwrap()), root);
    refused(run(own().resume(id)));
    // Suspending it too does not make it the owner's.
    assert_eq!(by(&run(own().suspend(id)).unwrap()), root);
    refused(run(own().resume(id)));
    assert_eq!(world.refusal(issued.plain.expose()), DenialReason::Suspended);
    run(admin.resume(id)).unwrap();
    assert!(world.accepts(&issued));
    // What the owner suspended, an administrator can take over.
    assert_eq!(by(&run(own().suspend(id)).unwrap()), Some(Actor::Owner));
    let since = world.get(&issued).suspension.map(|suspension| suspension.at);
    world.advance(TimeDelta::hours(1));
    let taken = run(admin.suspend(id)).unwrap();
    assert_eq!((by(&taken), taken.suspension.map(|suspension| suspension.at)), (root, since));
    refused(run(own().resume(id)));
    // So can the app, and either takes back what the other did.
    run(world.hallpass.resume(id)).unwrap();
    assert_eq!(by(&run(world.hallpass.suspend(id)).unwrap()), Some(Actor::System));
    refused(run(own().resume(id)));
    run(admin.suspend(id)).unwrap();
    let later = Caller::admin(owner("root")).confirmed_at(world.now());
    run(world.hallpass.on_behalf_of(later).resume(id)).unwrap();
    assert!(world.accepts(&issued));
}

#[test]
fn a_store_that_fails_is_an_error() {
    let world = World::new();
    let issued = world.token("ci");
    world.store.breaks(Step::Update, Fault::Fails);
    world.events.take();
    for answer in [
        update(&world, &issued, Edit::new().name("x")),
        run(world.hallpass.suspend(&issued.token.id)),
    ] {
        assert!(matches!(answer, Err(UpdateError::Store(_))));
    }
    assert_eq!(world.get(&issued), issued.token);
    assert!(world.events.take().is_empty());
}

#[test]
fn no_new_end_comes_before_the_beginning() {
    let world = World::new();
    let begin = after(TimeDelta::days(10));
    let issued = world.issue(ci("later").not_before(begin.to_utc()));
    for end in [TimeDelta::days(1), TimeDelta::days(10)] {
        let refused = update(&world, &issued, Edit::new().expiry(Expiry::In(end)));
        assert!(matches!(refused, Err(UpdateError::Expiry(ExpiryError::TooShort))), "{refused:?}");
        let refused =
            run(world.hallpass.rotate(&issued.token.id, Rotate::new().expiry(Expiry::In(end))));
        assert!(matches!(refused, Err(RotateError::Expiry(ExpiryError::TooShort))), "{refused:?}");
    }
    let end = Expiry::In(TimeDelta::days(10) + micro());
    assert_eq!(
        update(&world, &issued, Edit::new().expiry(end)).unwrap().expires_at,
        Some(begin.saturating_add(micro()))
    );
    run(world.hallpass.rotate(&issued.token.id, Rotate::new())).unwrap();
}
