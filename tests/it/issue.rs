//! Issuing tokens: what is granted, and what is refused.

use std::sync::Arc;

use chrono::TimeDelta;
use hallpass::store::{Filter, Reach};
use hallpass::{
    Caller, Ensured, Entropy, EntropyError, Event, Expiry, Issue, IssueError, Kind, MemoryStore,
    OwnerError, OwnerKind, RevocationReason, ScopeCatalog, ScopeDefinition, SettingsError, Status,
};

use crate::world::{
    Answer, Fault, Step, World, catalog, ci, owner, run, start, stores, tenant, together,
};

fn refusal(world: &World, issue: Issue) -> IssueError {
    let before = world.all().len();
    let error = run(world.hallpass.issue(issue)).unwrap_err();
    assert_eq!(world.all().len(), before, "a refused request stored something");
    error
}

#[test]
fn an_issued_token_is_accepted_and_is_what_was_asked_for() {
    let world = World::new();
    let issued = world.issue(ci("ci").description("nightly").on(["org/*"]));
    let token = world.get(&issued);
    assert_eq!(token, issued.token);
    assert_eq!(token.scopes.to_string(), "repo:read");
    assert_eq!(token.created_at, start());
    assert_eq!(token.expires_at, Some(start().saturating_add(TimeDelta::days(30))));
    assert_eq!(token.kind, Kind::Personal);
    let verified = world.verify(issued.plain.expose()).unwrap();
    assert_eq!(verified.owner().as_str(), "u1");
    assert!(verified.require("repo:read").unwrap().on("org/x").is_ok());
    assert!(verified.require("repo:write").is_err() && verified.on("other").is_err());
    assert!(matches!(&world.events.take()[..], [Event::Issued { token, .. }]
        if token.id == issued.token.id));
}

#[test]
fn absent_and_empty_scopes_never_mean_all() {
    let world = World::new();
    let bare = || Issue::new("x").owner("u1");
    for issue in [bare(), bare().scopes(Vec::<String>::new())] {
        assert!(matches!(refusal(&world, issue), IssueError::Settings(SettingsError::NoScope)));
    }
}

#[test]
fn scopes_that_are_not_declared_are_refused() {
    let world = World::new();
    let long = "x".repeat(129);
    for scope in [
        "",
        "*",
        "repo:*",
        "all",
        "REPO:READ",
        "Repo:read",
        "repo:read ",
        "repo",
        "repo:readonly",
        "repo:read repo:write",
        "a\"b",
        "a\\b",
        "a\0b",
        "a\tb",
        "é",
        &long,
    ] {
        let error = refusal(&world, ci("x").scopes([scope]));
        assert!(
            matches!(
                error,
                IssueError::Settings(SettingsError::Scope(_) | SettingsError::Unknown { .. })
            ),
            "{scope:?}: {error:?}"
        );
    }
    let error = refusal(&world, Issue::new("x").owner("u1").preset("ci"));
    assert!(matches!(error, IssueError::Settings(SettingsError::Unknown { .. })));
}

#[test]
fn repeated_scopes_are_stored_once() {
    let world = World::new();
    let issued = world.issue(ci("x").scopes(vec!["repo:read"; 200]));
    assert_eq!(issued.token.scopes.len(), 1);
}

#[test]
fn sixty_four_scopes_fit_and_one_more_does_not() {
    let names = |count: usize| (0..count).map(|number| format!("s{number}"));
    let many = ScopeCatalog::of(names(70)).unwrap();
    let world = World::build(Arc::new(MemoryStore::new()), |builder| builder.catalog(many));
    let asking = |count| Issue::new(format!("n{count}")).owner("u1").scopes(names(count));
    assert_eq!(world.issue(asking(64)).token.scopes.len(), 64);
    assert!(matches!(refusal(&world, asking(65)), IssueError::Settings(SettingsError::Scope(_))));
}

#[test]
fn a_preset_gives_its_scopes() {
    let world = World::new();
    let issued = world.issue(Issue::new("x").owner("u1").preset("CI"));
    assert_eq!(issued.token.scopes.to_string(), "hooks repo:write");
}

#[test]
fn scopes_that_every_token_has_come_along_but_do_not_make_a_request() {
    let catalog = ScopeCatalog::builder()
        .scope(ScopeDefinition::new("profile"))
        .scope(ScopeDefinition::new("repo:read"))
        .always(["profile"])
        .build()
        .unwrap();
    let world = World::build(Arc::new(MemoryStore::new()), |builder| builder.catalog(catalog));
    let issued = world.token("ci");
    assert_eq!(issued.token.scopes.to_string(), "profile repo:read");
    assert!(world.verify(issued.plain.expose()).unwrap().grants("profile"));
    let error = refusal(&world, Issue::new("x").owner("u1"));
    assert!(matches!(error, IssueError::Settings(SettingsError::NoScope)));
}

#[test]
fn a_scope_for_other_kinds_is_refused() {
    let world = World::new();
    world.issue(ci("pat").scopes(["session"]));
    let error = refusal(&world, ci("app").for_client("c1").scopes(["session"]));
    assert!(matches!(error, IssueError::Settings(SettingsError::NotForKind { .. })));
}

#[test]
fn nobody_is_granted_more_than_the_owner_has() {
    let world = World::new();
    world.owners.limit("u1", &["repo:write"]);
    world.token("read");
    let error = refusal(&world, ci("x").scopes(["repo:admin"]));
    assert!(matches!(&error, IssueError::Owner(OwnerError::Beyond { scope })
        if scope.as_str() == "repo:admin"));
    let admin = Caller::admin(owner("root")).confirmed_at(world.now());
    let asked = run(world.hallpass.on_behalf_of(admin).issue(ci("y").scopes(["hooks"])));
    assert!(matches!(asked, Err(IssueError::Owner(OwnerError::Beyond { .. }))));
}

#[test]
fn a_ceiling_limits_what_is_granted_and_one_that_panics_grants_nothing() {
    let limited = World::with(|policy| {
        policy.ceiling =
            Some(Arc::new(|_| hallpass::Rights::Only(catalog().set(["repo:read"]).unwrap())));
    });
    limited.token("ci");
    let error = refusal(&limited, ci("x").scopes(["hooks"]));
    assert!(matches!(error, IssueError::Owner(OwnerError::Beyond { .. })));
    let broken = World::with(|policy| policy.ceiling = Some(Arc::new(|_| panic!("broken"))));
    let error = refusal(&broken, ci("x"));
    assert!(matches!(error, IssueError::Owner(OwnerError::Unavailable(_))));
}

#[test]
fn owners_who_may_not_hold_tokens_get_none_and_are_told_why() {
    let world = World::new();
    world.owners.facts("u1", |facts| facts.kind = OwnerKind::External);
    let error = refusal(&world, ci("x"));
    assert!(matches!(error, IssueError::Owner(OwnerError::Kind(OwnerKind::External))));
    assert!(error.to_string().contains("external identity provider"), "{error}");
    world.owners.facts("u1", |facts| facts.active = false);
    assert!(matches!(refusal(&world, ci("x")), IssueError::Owner(OwnerError::Inactive)));
    world.owners.say("u1", Answer::Unknown);
    assert!(matches!(refusal(&world, ci("x")), IssueError::Owner(OwnerError::Unknown)));
    for broken in [Answer::Fails, Answer::Panics] {
        world.owners.say("u1", broken);
        assert!(matches!(refusal(&world, ci("x")), IssueError::Owner(OwnerError::Unavailable(_))));
    }
    world.owners.facts("u1", |facts| facts.kind = OwnerKind::Service);
    world.token("x");
}

#[test]
fn a_name_is_taken_until_its_token_ends() {
    let world = World::new();
    let first = world.token("Ci");
    for same in ["Ci", "ci", "CI"] {
        assert!(matches!(refusal(&world, ci(same)),
            IssueError::NameTaken { by } if by == first.token.id));
    }
    // Suspended is not ended; another owner, kind or tenant is another list of names.
    run(world.hallpass.suspend(&first.token.id)).unwrap();
    assert!(matches!(refusal(&world, ci("ci")), IssueError::NameTaken { .. }));
    world.issue(ci("ci").owner("u2"));
    world.issue(ci("ci").for_client("c1"));
    world.issue(ci("ci").tenant(tenant("other")));

    run(world.hallpass.revoke(&first.token.id, RevocationReason::Requested)).unwrap();
    let second = world.token("ci");
    world.clock.set(second.token.expires_at.unwrap().saturating_sub(TimeDelta::microseconds(1)));
    assert!(matches!(refusal(&world, ci("ci")), IssueError::NameTaken { .. }));
    world.advance(TimeDelta::microseconds(1));
    world.token("ci");
}

#[test]
fn composed_and_decomposed_names_are_the_same_name() {
    let world = World::new();
    world.token("caf\u{e9}");
    assert!(matches!(refusal(&world, ci("CAFE\u{301}")), IssueError::NameTaken { .. }));
}

#[test]
fn the_quota_counts_live_tokens_of_the_kind() {
    let world = World::with(|policy| policy.quota = Some(3));
    let tokens: Vec<_> = ["a", "b", "c"].map(|name| world.token(name)).into();
    assert!(matches!(refusal(&world, ci("d")), IssueError::QuotaFull { limit: 3 }));
    world.issue(ci("d").owner("u2"));
    world.issue(ci("d").for_client("c1"));
    run(world.hallpass.suspend(&tokens[0].token.id)).unwrap();
    assert!(matches!(refusal(&world, ci("d")), IssueError::QuotaFull { .. }));
    run(world.hallpass.revoke(&tokens[0].token.id, RevocationReason::Requested)).unwrap();
    world.token("d");
    assert!(matches!(refusal(&world, ci("e")), IssueError::QuotaFull { .. }));
    world.clock.set(tokens[1].token.expires_at.unwrap());
    world.token("e");
}

#[test]
fn of_twenty_at_once_below_the_quota_exactly_one_gets_through() {
    for store in stores() {
        let world = World::on(store(), |policy| policy.quota = Some(5));
        for number in 0..4 {
            world.token(&format!("n{number}"));
        }
        let asked = |number| run(world.hallpass.issue(ci(&format!("parallel {number}"))));
        let answers = together(20, asked);
        assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1);
        let full =
            |answer: &&Result<_, _>| matches!(answer, Err(IssueError::QuotaFull { limit: 5 }));
        assert_eq!(answers.iter().filter(full).count(), 19);
        assert_eq!(world.all().len(), 5);
    }
}

#[test]
fn of_twenty_at_once_with_one_name_exactly_one_gets_through() {
    for store in stores() {
        let world = World::on(store(), |_| {});
        let answers = together(20, |_| run(world.hallpass.issue(ci("ci"))));
        assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1);
        assert_eq!(world.all().len(), 1);
        let ensured = together(20, |_| run(world.hallpass.issue_if_absent(ci("other"))));
        let made = |answer: &&Result<_, _>| matches!(answer, Ok(Ensured::Issued(_)));
        assert_eq!(ensured.iter().filter(made).count(), 1);
        assert!(ensured.iter().all(Result::is_ok));
    }
}

#[test]
fn a_repeated_request_gives_the_same_token_and_no_second_secret() {
    let world = World::new();
    let asking = || ci("ci").idempotency_key("k");
    let first = world.issue(asking());
    let IssueError::Replayed(token) = refusal(&world, asking()) else { panic!() };
    assert_eq!(*token, first.token);
    // A name that is taken and a quota that is full do not hide that it is the same request.
    run(world.hallpass.revoke(&first.token.id, RevocationReason::Requested)).unwrap();
    let IssueError::Replayed(token) = refusal(&world, asking()) else { panic!() };
    assert_eq!(Status::at(&token, world.now()), Status::Revoked);
}

#[test]
fn a_key_stands_for_one_request_of_one_owner() {
    let world = World::new();
    world.issue(ci("ci").idempotency_key("k"));
    let other = ci("other").idempotency_key("k");
    assert!(matches!(refusal(&world, other), IssueError::IdempotencyKey));
    world.issue(ci("ci").owner("u2").idempotency_key("k"));
    world.issue(ci("ci").tenant(tenant("t2")).idempotency_key("k"));
    for key in ["", &"k".repeat(256)] {
        let error = refusal(&world, ci("x").idempotency_key(key));
        assert!(matches!(error, IssueError::IdempotencyKey));
    }
    world.issue(ci("x").idempotency_key("k".repeat(255)));
}

#[test]
fn a_double_submit_gives_one_token() {
    for store in stores() {
        let world = World::on(store(), |policy| policy.unique_names = false);
        let asked = |_| run(world.hallpass.issue(ci("ci").idempotency_key("k")));
        let answers = together(16, asked);
        assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1);
        let replayed = |answer: &&Result<_, _>| matches!(answer, Err(IssueError::Replayed(_)));
        assert_eq!(answers.iter().filter(replayed).count(), 15);
        assert_eq!(world.all().len(), 1);
    }
}

#[test]
fn a_token_that_is_there_is_not_issued_again() {
    let world = World::with(|policy| policy.unique_names = false);
    let ensure = || run(world.hallpass.issue_if_absent(ci("ci"))).unwrap();
    let Ensured::Issued(first) = ensure() else { panic!() };
    let Ensured::Existing(token) = ensure() else { panic!() };
    assert_eq!(*token, first.token);
    run(world.hallpass.revoke(&first.token.id, RevocationReason::Requested)).unwrap();
    assert!(matches!(ensure(), Ensured::Issued(_)));
    assert_eq!(world.all().len(), 2);
}

#[test]
fn people_confirm_their_presence_before_they_get_a_token() {
    let world = World::new();
    let asked = |caller: Caller, name: &str| {
        let issue = Issue::new(name).owner("u1").scopes(["repo:read"]);
        run(world.hallpass.on_behalf_of(caller).issue(issue))
    };
    let ago = |seconds| world.now().saturating_sub(TimeDelta::seconds(seconds));
    for caller in [Caller::owner(owner("u1")), Caller::admin(owner("root"))] {
        let unconfirmed = |answer| matches!(answer, Err(IssueError::Unconfirmed));
        assert!(unconfirmed(asked(caller.clone(), "x")));
        assert!(unconfirmed(asked(caller.clone().confirmed_at(ago(301)), "x")));
        assert!(unconfirmed(asked(caller.clone().confirmed_at(ago(-1)), "x")));
        let name = format!("{:?}", caller.actor());
        assert!(asked(caller.confirmed_at(ago(300)), &name).is_ok());
    }
}

#[test]
fn owners_reach_only_their_own_tokens() {
    let world = World::new();
    let own = world.token("ci");
    let strangers = [
        world.caller("u2"),
        Caller::owner_in(tenant("t2"), owner("u1")).confirmed_at(world.now()),
        Caller::admin_in(tenant("t2"), owner("root")).confirmed_at(world.now()),
    ];
    for stranger in strangers {
        let id = &own.token.id;
        let them = world.hallpass.on_behalf_of(stranger);
        assert_eq!(run(them.get(id)).unwrap(), None);
        assert!(matches!(
            run(them.issue(ci("x").tenant(hallpass::Tenant::DEFAULT))),
            Err(IssueError::NotFound)
        ));
        assert!(matches!(run(them.duplicate(id, "copy")), Err(IssueError::NotFound)));
        let edit = hallpass::Edit::new().name("mine");
        assert!(matches!(run(them.update(id, edit)), Err(hallpass::UpdateError::NotFound)));
        assert!(matches!(run(them.suspend(id)), Err(hallpass::UpdateError::NotFound)));
        assert!(matches!(run(them.resume(id)), Err(hallpass::UpdateError::NotFound)));
        let rotate = hallpass::Rotate::new();
        assert!(matches!(run(them.rotate(id, rotate)), Err(hallpass::RotateError::NotFound)));
        let revoked = run(them.revoke(id, RevocationReason::Requested));
        assert!(matches!(revoked, Err(hallpass::RevokeError::NotFound)));
        let mut filter = Filter::new(Reach::All);
        filter.ids = Some(vec![*id]);
        let revoked = run(them.revoke_matching(filter, RevocationReason::Requested));
        assert_eq!(revoked.unwrap(), []);
        for reach in [
            Reach::Owner(hallpass::Tenant::DEFAULT, owner("u1")),
            Reach::Tenant(hallpass::Tenant::DEFAULT),
            Reach::Family(*id),
        ] {
            let request = hallpass::ListRequest::new(Filter::new(reach.clone()));
            match run(them.list(&request)) {
                Err(hallpass::ListError::NotFound) => {}
                Ok(page) => assert!(page.tokens.is_empty(), "{reach:?}"),
                Err(other) => panic!("{other:?}"),
            }
        }
    }
    assert_eq!(world.get(&own), own.token);
    assert!(world.accepts(&own));
}

#[test]
fn somebody_must_be_named_and_named_rightly() {
    let world = World::new();
    let nobody = Issue::new("x").scopes(["repo:read"]);
    assert!(matches!(refusal(&world, nobody), IssueError::OwnerMissing));
    let bad = Issue::new("x").owner("u\0").scopes(["repo:read"]);
    assert!(matches!(refusal(&world, bad), IssueError::OwnerLabel(_)));
    let own = Issue::new("x").scopes(["repo:read"]);
    let caller = Caller::owner_in(tenant("t2"), owner("u9")).confirmed_at(world.now());
    let issued = run(world.hallpass.on_behalf_of(caller).issue(own)).unwrap();
    assert_eq!((issued.token.tenant.as_str(), issued.token.owner.as_str()), ("t2", "u9"));
}

#[test]
fn settings_out_of_bounds_are_refused() {
    let world = World::new();
    let net: ipnet::IpNet = "10.0.0.0/8".parse().unwrap();
    for issue in [
        ci(""),
        ci(" x"),
        ci("a\u{202e}b"),
        ci("a\nb"),
        ci(&"x".repeat(101)),
        ci("x").description("x".repeat(1001)),
        ci("x").description("a\u{1b}b"),
        ci("x").on(["*"]),
        ci("x").on(["a b"]),
        ci("x").networks(vec![net; 65]),
        ci("x").audience([""]),
        ci("x").audience(["a b"]),
        ci("x").audience((0..9).map(|number| format!("a{number}"))),
        ci("x").for_client("x".repeat(257)),
    ] {
        assert!(matches!(refusal(&world, issue), IssueError::Settings(_)));
    }
    world.issue(ci(&"x".repeat(100)).description("x".repeat(1000)).networks(vec![net; 64]));
}

#[derive(Debug)]
struct Broken;

impl Entropy for Broken {
    fn fill(&self, _: &mut [u8]) -> Result<(), EntropyError> {
        Err(EntropyError)
    }
}

#[test]
fn without_randomness_nothing_is_issued_or_rotated() {
    let world = World::new();
    let first = world.token("ci");
    let broken = world.again(|builder| builder.danger_entropy(Broken));
    assert!(matches!(run(broken.issue(ci("x"))), Err(IssueError::Entropy(_))));
    let rotated = run(broken.rotate(&first.token.id, hallpass::Rotate::new()));
    assert!(matches!(rotated, Err(hallpass::RotateError::Entropy(_))));
    assert_eq!(world.all().len(), 1);
    assert_eq!(world.get(&first), first.token);
    assert!(world.accepts(&first));
}

/// Gives the same digits whenever it is asked.
#[derive(Debug)]
struct Stuck;

impl Entropy for Stuck {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), EntropyError> {
        bytes.fill(1);
        Ok(())
    }
}

#[test]
fn a_stuck_generator_never_takes_over_a_token() {
    let world = World::new();
    let stuck = world.again(|builder| builder.danger_entropy(Stuck));
    let first = run(stuck.issue(ci("first"))).unwrap();
    let second = run(stuck.issue(ci("second").owner("u2")));
    assert!(matches!(second, Err(IssueError::Store(_))), "{second:?}");
    assert_eq!(world.get(&first), first.token);
}

#[test]
fn a_store_that_fails_is_an_error_and_nothing_is_half_done() {
    let world = World::new();
    world.store.breaks(Step::Insert, Fault::Fails);
    assert!(matches!(run(world.hallpass.issue(ci("x"))), Err(IssueError::Store(_))));
    assert!(world.all().is_empty() && world.events.take().is_empty());
    // The answer is lost after the insert: the row is there as never used, and can be revoked.
    world.store.breaks(Step::Insert, Fault::Loses);
    assert!(matches!(run(world.hallpass.issue(ci("x"))), Err(IssueError::Store(_))));
    world.store.heals();
    let [token] = &world.all()[..] else { panic!() };
    assert_eq!(token.last_use, None);
    assert!(run(world.hallpass.revoke(&token.id, RevocationReason::Requested)).unwrap());
}

#[test]
fn a_copy_is_a_new_request_with_the_same_settings() {
    let world = World::with(|policy| policy.quota = Some(3));
    let source = world
        .issue(ci("ci").scopes(["hooks"]).on(["org/*"]).expiry(Expiry::In(TimeDelta::days(10))));
    world.advance(TimeDelta::days(1));
    let copy = run(world.hallpass.duplicate(&source.token.id, "copy")).unwrap();
    assert_ne!(copy.token.id, source.token.id);
    assert_eq!(copy.token.scopes, source.token.scopes);
    assert_eq!(copy.token.resources, source.token.resources);
    let ten_days = world.now().saturating_add(TimeDelta::days(10));
    assert_eq!(copy.token.expires_at, Some(ten_days));
    assert!(world.accepts(&copy) && world.accepts(&source));

    let again = |name: &str| run(world.hallpass.duplicate(&source.token.id, name));
    assert!(matches!(again("copy"), Err(IssueError::NameTaken { .. })));
    assert!(matches!(again(""), Err(IssueError::Settings(_))));
    world.owners.limit("u1", &["repo:read"]);
    assert!(matches!(again("x"), Err(IssueError::Owner(OwnerError::Beyond { .. }))));
    world.owners.facts("u1", |_| {});
    run(world.hallpass.revoke(&source.token.id, RevocationReason::Requested)).unwrap();
    assert!(again("third").is_ok());
    assert!(again("fourth").is_ok());
    assert!(matches!(again("fifth"), Err(IssueError::QuotaFull { .. })));
    let unconfirmed = world.hallpass.on_behalf_of(Caller::owner(owner("u1")));
    let copied = run(unconfirmed.duplicate(&source.token.id, "x"));
    assert!(matches!(copied, Err(IssueError::Unconfirmed)));
}

#[test]
fn a_copy_does_not_revive_a_scope_that_is_no_longer_declared() {
    let world = World::new();
    let source = world.issue(ci("ci").scopes(["hooks"]));
    let fewer = ScopeCatalog::of(["repo:read"]).unwrap();
    let later = world.again(|builder| builder.catalog(fewer));
    let copied = run(later.duplicate(&source.token.id, "copy"));
    assert!(matches!(copied, Err(IssueError::Settings(SettingsError::Unknown { .. }))));
}

#[test]
fn a_copy_of_a_token_that_was_rotated_lives_as_long_as_the_rotation_gave() {
    let world = World::new();
    let source = world.issue(ci("ci").expiry(Expiry::In(TimeDelta::days(300))));
    world.advance(TimeDelta::days(299));
    let rotate = hallpass::Rotate::new().expiry(Expiry::In(TimeDelta::days(200)));
    run(world.hallpass.rotate(&source.token.id, rotate)).unwrap();
    let copy = run(world.hallpass.duplicate(&source.token.id, "copy")).unwrap();
    let end = world.now().saturating_add(TimeDelta::days(200));
    assert_eq!(copy.token.expires_at, Some(end));
}
