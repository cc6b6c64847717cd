//! Exchanging tokens: everything only narrows.

use std::sync::Arc;

use chrono::TimeDelta;
use hallpass::{
    Caller, Context, DenialReason, Edit, Exchange, ExchangeError, Expiry, ExpiryError, Issue,
    IssueError, Issued, Kind, KindSet, MemoryStore, Resources, RevocationReason, Rotate,
    RotateError, ScopeCatalog, ScopeDefinition, SettingsError, UpdateError,
};
use proptest::prelude::*;

use crate::world::{Fault, Step, World, after, catalog, ci, micro, owner, run, start};

fn exchange(world: &World, parent: &Issued, exchange: Exchange) -> Result<Issued, ExchangeError> {
    run(world.hallpass.exchange(parent.plain.expose(), &Context::default(), exchange))
}

fn reason(answer: Result<Issued, ExchangeError>) -> DenialReason {
    match answer {
        Err(ExchangeError::Denied(denial)) => denial.reason(),
        other => panic!("not refused: {other:?}"),
    }
}

#[test]
fn an_exchanged_token_is_a_short_lived_part_of_its_parent() {
    let world = World::new();
    let parent =
        world.issue(Issue::new("ci").owner("u1").scopes(["repo:write", "session"]).on(["org/*"]));
    let child = exchange(&world, &parent, Exchange::new()).unwrap();
    assert!(child.plain.expose().starts_with("acme_at_"));
    let token = &child.token;
    assert_eq!((token.kind, token.parent), (Kind::Access, Some(parent.token.id)));
    assert_eq!(token.scopes.to_string(), "repo:write");
    assert_eq!(token.resources, parent.token.resources);
    assert_eq!(token.expires_at, Some(after(TimeDelta::minutes(15))));
    let verified = world.verify(child.plain.expose()).unwrap();
    assert!(verified.grants("repo:read") && !verified.grants("session"));
    assert_eq!(verified.parent(), Some(parent.token.id));
    assert!(world.accepts(&parent));
}

#[test]
fn more_than_the_parent_grants_is_refused_not_narrowed() {
    let world = World::new();
    let parent = world.issue(Issue::new("ci").owner("u1").scopes(["repo:write", "session"]));
    for scopes in [vec!["repo:admin"], vec!["repo:read", "hooks"]] {
        let answer = exchange(&world, &parent, Exchange::new().scopes(scopes));
        assert!(matches!(answer, Err(ExchangeError::Wider { .. })));
    }
    for scopes in [vec!["*"], vec!["repo"], vec![""], vec!["repo:read "], vec![]] {
        let answer = exchange(&world, &parent, Exchange::new().scopes::<&str>(scopes));
        assert!(matches!(answer, Err(ExchangeError::Settings(_))), "{answer:?}");
    }
    let answer = exchange(&world, &parent, Exchange::new().scopes(["session"]));
    assert!(matches!(answer, Err(ExchangeError::Settings(SettingsError::NotForKind { .. }))));
    let read = exchange(&world, &parent, Exchange::new().scopes(["repo:read"])).unwrap();
    assert!(!world.verify(read.plain.expose()).unwrap().grants("repo:write"));
    // What the owner lost is not handed on.
    world.owners.limit("u1", &["repo:read"]);
    let answer = exchange(&world, &parent, Exchange::new().scopes(["repo:write"]));
    assert!(matches!(answer, Err(ExchangeError::Wider { .. })));
    world.owners.limit("u1", &[]);
    let answer = exchange(&world, &parent, Exchange::new());
    assert!(matches!(answer, Err(ExchangeError::Settings(SettingsError::NoScope))));
}

#[test]
fn a_scope_that_implies_what_access_tokens_may_not_have_is_not_handed_on() {
    let catalog = ScopeCatalog::builder()
        .scope(ScopeDefinition::new("keys").kinds([Kind::Personal]))
        .scope(ScopeDefinition::new("deploy").implies(["keys"]))
        .scope(ScopeDefinition::new("repo:read"))
        .build()
        .unwrap();
    let world = World::build(Arc::new(MemoryStore::new()), |builder| builder.catalog(catalog));
    let parent = world.issue(ci("ci").scopes(["deploy"]));
    let child = exchange(&world, &parent, Exchange::new()).unwrap();
    assert_eq!(child.token.scopes.to_string(), "repo:read");
    assert!(!world.verify(child.plain.expose()).unwrap().grants("keys"));
}

#[test]
fn a_limit_leaves_what_every_token_has_and_nothing_else() {
    let catalog = ScopeCatalog::builder()
        .scope(ScopeDefinition::new("repo:read"))
        .scope(ScopeDefinition::new("hooks"))
        .scope(ScopeDefinition::new("profile"))
        .always(["profile"])
        .build()
        .unwrap();
    let limit = catalog.set(["repo:read"]).unwrap();
    let world = World::build(Arc::new(MemoryStore::new()), |builder| builder.catalog(catalog));
    let parent = world.issue(Issue::new("ci").owner("u1").scopes(["repo:read", "hooks"]));
    for limited in [Exchange::new(), Exchange::new().scopes(["repo:read"])] {
        let child = exchange(&world, &parent, limited.at_most(limit)).unwrap();
        let granted = world.verify(child.plain.expose()).unwrap();
        assert!(granted.grants("repo:read") && granted.grants("profile"));
        assert!(!granted.grants("hooks"));
    }
    // What is not asked for is listed whole.
    let child = exchange(&world, &parent, Exchange::new().at_most(limit)).unwrap();
    assert!(child.token.scopes.contains("repo:read") && child.token.scopes.contains("profile"));
    let wider = exchange(&world, &parent, Exchange::new().scopes(["hooks"]).at_most(limit));
    assert!(matches!(wider, Err(ExchangeError::Wider { .. })), "{wider:?}");
    // What every token has is no reason for one that has nothing else.
    let parent = world.issue(Issue::new("other").owner("u1").scopes(["hooks"]));
    let nothing = exchange(&world, &parent, Exchange::new().at_most(limit));
    assert!(matches!(nothing, Err(ExchangeError::Settings(SettingsError::NoScope))), "{nothing:?}");
}

#[test]
fn a_token_with_many_implied_scopes_can_be_exchanged() {
    let names: Vec<_> = (0..200).map(|number| format!("s{number}")).collect();
    let builder = names
        .iter()
        .fold(ScopeCatalog::builder(), |builder, name| builder.scope(ScopeDefinition::new(name)));
    let catalog = builder.scope(ScopeDefinition::new("all").implies(&names)).build().unwrap();
    let world = World::build(Arc::new(MemoryStore::new()), |builder| builder.catalog(catalog));
    let parent = world.issue(Issue::new("ci").owner("u1").scopes(["all"]));
    let child = exchange(&world, &parent, Exchange::new()).unwrap();
    assert_eq!(child.token.scopes.to_string(), "all");
    assert!(world.verify(child.plain.expose()).unwrap().grants("s199"));
}

#[test]
fn resources_only_narrow() {
    let world = World::new();
    let parent = world.issue(ci("ci").on(["org/*", "team/a"]));
    for wider in [
        Resources::All,
        Resources::listed(["org*"]).unwrap(),
        Resources::listed(["team/*"]).unwrap(),
        Resources::listed(["org/x", "team/b"]).unwrap(),
    ] {
        let answer = exchange(&world, &parent, Exchange::new().resources(wider));
        assert!(matches!(answer, Err(ExchangeError::WiderResources)));
    }
    let narrow = Exchange::new().resources(Resources::listed(["org/x"]).unwrap());
    let child = exchange(&world, &parent, narrow).unwrap();
    let verified = world.verify(child.plain.expose()).unwrap();
    assert!(verified.on("org/x").is_ok() && verified.on("org/y").is_err());
    // Nothing is reached by a child of one that reaches nothing.
    let bare = world.token("bare");
    let child = exchange(&world, &bare, Exchange::new()).unwrap();
    assert!(world.verify(child.plain.expose()).unwrap().on("org/x").is_err());
}

#[test]
fn audiences_come_from_a_list_and_only_narrow() {
    let world = World::with(|policy| policy.exchange_audiences = vec!["a".into(), "b".into()]);
    let parent = world.token("ci");
    for unknown in ["c", "*", "", "A"] {
        let answer = exchange(&world, &parent, Exchange::new().audience(["a", unknown]));
        assert!(matches!(answer, Err(ExchangeError::Audience)), "{unknown}");
    }
    let child = exchange(&world, &parent, Exchange::new().audience(vec!["a"; 100])).unwrap();
    assert_eq!(child.token.audience, ["a"]);
    let as_whom = |issued: &Issued, us: Option<&str>| {
        let context = Context { audience: us, ..Context::default() };
        run(world.hallpass.verify(issued.plain.expose(), &context)).is_ok()
    };
    assert!(as_whom(&child, Some("a")) && !as_whom(&child, Some("b")) && !as_whom(&child, None));

    let meant = world.issue(ci("meant").audience(["a", "x"]));
    let context = Context { audience: Some("a"), ..Context::default() };
    let ask = |asked: Exchange| run(world.hallpass.exchange(meant.plain.expose(), &context, asked));
    let child = ask(Exchange::new()).unwrap();
    assert_eq!(child.token.audience, ["a", "x"]);
    assert!(!as_whom(&child, None));
    assert_eq!(ask(Exchange::new().audience(["x"])).unwrap().token.audience, ["x"]);
    assert!(matches!(ask(Exchange::new().audience(["b"])), Err(ExchangeError::Audience)));
}

#[test]
fn a_child_never_outlives_its_parent() {
    let world = World::new();
    let parent = world.issue(ci("ci").expiry(Expiry::In(TimeDelta::seconds(60))));
    let child = exchange(&world, &parent, Exchange::new()).unwrap();
    assert_eq!(child.token.expires_at, parent.token.expires_at);
    world.advance(TimeDelta::seconds(55));
    assert!(exchange(&world, &parent, Exchange::new()).is_ok());
    world.advance(micro());
    for asked in [Exchange::new(), Exchange::new().lifetime(TimeDelta::seconds(30))] {
        let answer = exchange(&world, &parent, asked);
        assert!(matches!(answer, Err(ExchangeError::Expiry(ExpiryError::TooShort))));
    }
    world.clock.set(parent.token.expires_at.unwrap());
    assert_eq!(reason(exchange(&world, &parent, Exchange::new())), DenialReason::Expired);
    assert_eq!(world.refusal(child.plain.expose()), DenialReason::Expired);
}

#[test]
fn a_child_never_outlives_the_end_that_policy_set_or_the_overlap() {
    let world = World::with(|policy| {
        policy.allow_never = true;
    });
    let parent = world.issue(ci("ci").expiry(Expiry::Never));
    let strict = world.again(|builder| builder.policy(hallpass::Policy::default()));
    let end = after(TimeDelta::days(366));
    world.clock.set(end.saturating_sub(TimeDelta::seconds(60)));
    let context = Context::default();
    let child = run(strict.exchange(parent.plain.expose(), &context, Exchange::new())).unwrap();
    assert_eq!(child.token.expires_at, Some(end));

    let world = World::new();
    let old = world.token("ci");
    let rotate = Rotate::new().overlap(TimeDelta::seconds(60));
    run(world.hallpass.rotate(&old.token.id, rotate)).unwrap();
    let child = exchange(&world, &old, Exchange::new()).unwrap();
    assert_eq!(child.token.expires_at, Some(after(TimeDelta::seconds(60))));
}

#[test]
fn a_parent_whose_end_is_moved_ends_its_children() {
    let world = World::new();
    let parent = world.token("ci");
    let child = exchange(&world, &parent, Exchange::new()).unwrap();
    let sooner = Edit::new().expiry(Expiry::In(TimeDelta::seconds(30)));
    run(world.hallpass.update(&parent.token.id, sooner)).unwrap();
    world.clock.set(after(TimeDelta::seconds(30)).saturating_sub(micro()));
    assert!(world.accepts(&child));
    world.advance(micro());
    assert_eq!(world.refusal(child.plain.expose()), DenialReason::ParentEnded);
}

#[test]
fn lifetimes_are_bounded() {
    let world = World::new();
    let parent = world.token("ci");
    for (life, expected) in [
        (TimeDelta::zero(), ExpiryError::TooShort),
        (TimeDelta::seconds(-1), ExpiryError::TooShort),
        (TimeDelta::MIN, ExpiryError::TooShort),
        (TimeDelta::seconds(5) - micro(), ExpiryError::TooShort),
        (TimeDelta::hours(1) + micro(), ExpiryError::TooLong),
        (TimeDelta::MAX, ExpiryError::TooLong),
    ] {
        let answer = exchange(&world, &parent, Exchange::new().lifetime(life));
        assert!(matches!(answer, Err(ExchangeError::Expiry(why)) if why == expected), "{life}");
    }
    let hour = exchange(&world, &parent, Exchange::new().lifetime(TimeDelta::hours(1))).unwrap();
    assert_eq!(hour.token.expires_at, Some(after(TimeDelta::hours(1))));
}

#[test]
fn what_was_exchanged_is_an_end_of_the_line() {
    let world = World::new();
    let parent = world.token("ci");
    let child = exchange(&world, &parent, Exchange::new()).unwrap();
    assert_eq!(reason(exchange(&world, &child, Exchange::new())), DenialReason::WrongKind);
    let id = &child.token.id;
    let all = Context { kinds: KindSet::ALL, ..Context::default() };
    let text = child.plain.expose();
    let again = run(world.hallpass.exchange(text, &all, Exchange::new()));
    assert_eq!(reason(again), DenialReason::WrongKind);
    let rotated = run(world.hallpass.rotate_presented(text, &all, Rotate::new()));
    assert!(matches!(rotated, Err(RotateError::Denied(_))));
    let rotated = run(world.hallpass.rotate(id, Rotate::new()));
    assert!(matches!(rotated, Err(RotateError::Kind(Kind::Access))));
    let edited = run(world.hallpass.update(id, Edit::new().name("x")));
    assert!(matches!(edited, Err(UpdateError::Exchanged)));
    let copied = run(world.hallpass.duplicate(id, "copy"));
    assert!(matches!(copied, Err(IssueError::NotFound)));
    assert_eq!(world.get(&child), child.token);
}

#[test]
fn a_subject_that_is_not_good_is_refused() {
    let world = World::new();
    let parent = world.token("ci");
    let context = Context::default();
    let junk = run(world.hallpass.exchange("junk", &context, Exchange::new()));
    assert_eq!(reason(junk), DenialReason::Malformed);
    world.owners.facts("u1", |facts| facts.active = false);
    assert_eq!(reason(exchange(&world, &parent, Exchange::new())), DenialReason::OwnerInactive);
    world.owners.facts("u1", |_| {});
    run(world.hallpass.suspend(&parent.token.id)).unwrap();
    assert_eq!(reason(exchange(&world, &parent, Exchange::new())), DenialReason::Suspended);
    run(world.hallpass.resume(&parent.token.id)).unwrap();
    run(world.hallpass.revoke(&parent.token.id, RevocationReason::Requested)).unwrap();
    assert_eq!(reason(exchange(&world, &parent, Exchange::new())), DenialReason::Revoked);
    let kinds = KindSet::only(Kind::Access);
    let narrow = Context { kinds, ..Context::default() };
    let other = world.token("other");
    let answer = run(world.hallpass.exchange(other.plain.expose(), &narrow, Exchange::new()));
    assert_eq!(reason(answer), DenialReason::WrongKind);
}

#[test]
fn a_child_is_bound_to_its_parents_networks() {
    let world = World::new();
    let parent = world.issue(ci("ci").networks(["10.0.0.0/8".parse().unwrap()]));
    let near = Context { ip: Some("10.0.0.1".parse().unwrap()), ..Context::default() };
    let text = parent.plain.expose();
    let child = run(world.hallpass.exchange(text, &near, Exchange::new())).unwrap();
    assert_eq!(world.refusal(child.plain.expose()), DenialReason::WrongNetwork);
    assert!(run(world.hallpass.verify(child.plain.expose(), &near)).is_ok());
}

#[test]
fn access_tokens_have_a_quota_of_their_own() {
    let world = World::with(|policy| {
        policy.quota = Some(1);
        policy.exchange_quota = Some(2);
    });
    let parent = world.token("ci");
    let first = exchange(&world, &parent, Exchange::new()).unwrap();
    exchange(&world, &parent, Exchange::new()).unwrap();
    let full = exchange(&world, &parent, Exchange::new());
    assert!(matches!(full, Err(ExchangeError::QuotaFull { limit: 2 })));
    world.clock.set(first.token.expires_at.unwrap());
    assert!(exchange(&world, &parent, Exchange::new()).is_ok());
}

#[test]
fn an_exchange_that_was_not_stored_is_an_outage() {
    let world = World::new();
    let parent = world.token("ci");
    for fault in [Fault::Fails, Fault::Loses] {
        world.store.breaks(Step::Insert, fault);
        let answer = exchange(&world, &parent, Exchange::new());
        assert!(matches!(answer, Err(ExchangeError::Unavailable(_))));
    }
    world.store.heals();
    world.store.breaks(Step::Find, Fault::Fails);
    let answer = exchange(&world, &parent, Exchange::new());
    assert!(matches!(answer, Err(ExchangeError::Unavailable(_))));
}

#[test]
fn an_admins_reach_over_children_is_that_over_parents() {
    let world = World::new();
    let parent = world.token("ci");
    let child = exchange(&world, &parent, Exchange::new()).unwrap();
    let me = world.hallpass.on_behalf_of(Caller::owner(owner("u1")));
    assert!(run(me.revoke(&child.token.id, RevocationReason::Requested)).unwrap());
    assert!(!world.accepts(&child) && world.accepts(&parent));
}

const SCOPES: [&str; 5] = ["repo:read", "repo:write", "repo:admin", "hooks", "session"];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// Whatever is asked for, what comes out is part of what went in.
    #[test]
    fn nothing_widens(
        held in prop::sample::subsequence(&SCOPES[..], 1..=5),
        owned in prop::sample::subsequence(&SCOPES[..], 0..=5),
        asked in prop::option::of(prop::sample::subsequence(&SCOPES[..], 0..=5)),
        reach in prop::collection::vec("[ab]{1,2}\\*?", 0..3),
        asked_reach in prop::option::of(prop::collection::vec("[ab]{1,2}\\*?", 0..3)),
        left in 1..7200_i64,
        life in prop::option::of(-10..7200_i64),
    ) {
        let world = World::new();
        let seconds = TimeDelta::seconds;
        let parent = world.issue(
            Issue::new("ci")
                .owner("u1")
                .scopes(held)
                .on(&reach)
                .expiry(Expiry::In(seconds(left))),
        );
        world.owners.limit("u1", &owned);
        let mut wish = Exchange::new();
        if let Some(asked) = &asked {
            wish = wish.scopes(asked.iter().copied());
        }
        if let Some(reach) = &asked_reach {
            wish = wish.resources(Resources::listed(reach).unwrap());
        }
        if let Some(life) = life {
            wish = wish.lifetime(seconds(life));
        }
        if let Ok(child) = exchange(&world, &parent, wish) {
            let above = world.verify(parent.plain.expose()).unwrap();
            let below = world.verify(child.plain.expose()).unwrap();
            let stored = catalog().resolve(&child.token.scopes);
            prop_assert!(above.scopes().contains(below.scopes()));
            prop_assert!(above.scopes().contains(&stored) && !stored.is_empty());
            prop_assert!(catalog().grantable(Kind::Access).contains(&stored));
            prop_assert!(parent.token.resources.contains(&child.token.resources));
            let end = child.token.expires_at.unwrap();
            prop_assert!(end <= parent.token.expires_at.unwrap());
            prop_assert!(end <= start().saturating_add(TimeDelta::hours(1)));
            prop_assert!(end.since(start()) >= seconds(5));
        }
    }
}
