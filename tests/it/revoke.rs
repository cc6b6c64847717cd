//! Ending tokens: terminal, idempotent, with all that was made from them.

use chrono::TimeDelta;
use hallpass::store::{Filter, Reach};
use hallpass::{
    Actor, Caller, Context, DenialReason, Event, Exchange, Expiry, Issued, KindSet, Owner,
    OwnerChange, Revocation, RevocationReason, RevokeError, Scope, StoreError, Tenant, TokenId,
};

use crate::world::{
    Answer, Fault, Step, World, ci, owner, run, start, stores, tenant, text_of, together,
};

fn exchange(world: &World, parent: &Issued) -> Issued {
    let context = Context::default();
    run(world.hallpass.exchange(parent.plain.expose(), &context, Exchange::new())).unwrap()
}

fn revoke(world: &World, issued: &Issued, reason: RevocationReason) -> bool {
    run(world.hallpass.revoke(&issued.token.id, reason)).unwrap()
}

fn changed(world: &World, change: OwnerChange) -> Result<Vec<TokenId>, StoreError> {
    run(world.hallpass.owner_changed(&Tenant::DEFAULT, &owner("u1"), change))
}

#[test]
fn the_first_revocation_stands() {
    let world = World::new();
    let token = world.token("ci");
    world.advance(TimeDelta::seconds(1));
    let me = world.hallpass.on_behalf_of(Caller::owner(owner("u1")));
    assert!(run(me.revoke(&token.token.id, RevocationReason::Requested)).unwrap());
    let first = world.get(&token);
    let at = start().saturating_add(TimeDelta::seconds(1));
    let mark = Revocation { at, by: Actor::Owner, reason: RevocationReason::Requested };
    assert_eq!(first.revocation, Some(mark));
    world.advance(TimeDelta::hours(1));
    assert!(!revoke(&world, &token, RevocationReason::Leaked));
    assert_eq!(world.get(&token), first);
    assert_eq!(world.events.count(|event| matches!(event, Event::Revoked { .. })), 1);
    assert_eq!(world.refusal(token.plain.expose()), DenialReason::Revoked);
}

#[test]
fn a_token_that_does_not_exist_is_not_found() {
    let world = World::new();
    let nobody = "0000000000000000".parse().unwrap();
    let revoked = run(world.hallpass.revoke(&nobody, RevocationReason::Requested));
    assert!(matches!(revoked, Err(RevokeError::NotFound)));
}

#[test]
fn success_is_told_only_after_the_store_did_it() {
    let world = World::new();
    let token = world.token("ci");
    let id = &token.token.id;
    for step in [Step::Revoke, Step::Find] {
        world.store.breaks(step, Fault::Fails);
        let revoked = run(world.hallpass.revoke(id, RevocationReason::Requested));
        assert!(matches!(revoked, Err(RevokeError::Store(_))));
        world.store.heals();
        assert!(world.accepts(&token));
    }
    world.events.take();
    world.store.breaks(Step::Revoke, Fault::Fails);
    let all = Filter::new(Reach::All);
    let reason = RevocationReason::Leaked;
    assert!(run(world.hallpass.revoke_matching(all, reason)).is_err());
    assert!(run(world.hallpass.revoke_text(token.plain.expose(), reason)).is_err());
    assert!(changed(&world, OwnerChange::Deleted).is_err());
    assert!(world.events.take().is_empty());
    assert!(world.accepts(&token));
    // Done, but the answer was lost: asking again is harmless.
    world.store.breaks(Step::Revoke, Fault::Loses);
    assert!(run(world.hallpass.revoke(id, reason)).is_err());
    world.store.heals();
    assert!(!world.accepts(&token));
    assert!(!revoke(&world, &token, reason));
}

#[test]
fn every_way_to_revoke_works_on_tokens_that_never_expire() {
    let reason = RevocationReason::Requested;
    let reaches = |token: &Issued| {
        let own = Reach::Owner(Tenant::DEFAULT, token.token.owner.clone());
        [Reach::All, Reach::Tenant(Tenant::DEFAULT), own, Reach::Family(token.token.id)]
    };
    for way in 0..7 {
        let world = World::with(|policy| policy.allow_never = true);
        let token = world.issue(ci("ci").expiry(Expiry::Never));
        let child = exchange(&world, &token);
        assert_eq!(token.token.expires_at, None);
        match way {
            0 => assert!(revoke(&world, &token, reason)),
            1 => {
                let text = token.plain.expose();
                let found = run(world.hallpass.revoke_text(text, reason)).unwrap();
                assert_eq!(found, Some(token.token.id));
            }
            2 => {
                let done = changed(&world, OwnerChange::Deleted).unwrap();
                assert_eq!(done.len(), 2);
            }
            _ => {
                let filter = Filter::new(reaches(&token)[way - 3].clone());
                let done = run(world.hallpass.revoke_matching(filter, reason)).unwrap();
                assert_eq!(done.len(), 2);
            }
        }
        assert!(!world.accepts(&token) && !world.accepts(&child), "{way}");
    }
}

#[test]
fn a_filter_revokes_what_it_names_and_nothing_else() {
    let world = World::new();
    let plain = world.token("plain");
    world.advance(TimeDelta::hours(1));
    let hooks = world.issue(ci("hooks").scopes(["hooks"]));
    let other = world.issue(ci("other").owner("u2"));
    let foreign = world.issue(ci("foreign").tenant(tenant("t2")));
    let revoke = |filter| {
        let mut done =
            run(world.hallpass.revoke_matching(filter, RevocationReason::Requested)).unwrap();
        done.sort_unstable();
        done
    };
    let mut none = Filter::new(Reach::All);
    none.ids = Some(Vec::new());
    assert_eq!(revoke(none.clone()), []);
    none.ids = None;
    none.kinds = KindSet::NONE;
    assert_eq!(revoke(none), []);
    let mut by_scope = Filter::new(Reach::All);
    by_scope.scope = Some("hooks".parse::<Scope>().unwrap());
    assert_eq!(revoke(by_scope), [hooks.token.id]);
    let mut older = Filter::new(Reach::Tenant(Tenant::DEFAULT));
    older.created_before = Some(world.now());
    assert_eq!(revoke(older), [plain.token.id]);
    assert!(world.accepts(&other) && world.accepts(&foreign));
    assert_eq!(revoke(Filter::new(Reach::Tenant(tenant("t2")))), [foreign.token.id]);
    assert_eq!(revoke(Filter::new(Reach::All)), [other.token.id]);
    assert_eq!(revoke(Filter::new(Reach::All)), []);
}

#[test]
fn an_owner_revokes_its_own_and_only_after_confirming_in_bulk() {
    let world = World::new();
    let (own, other) = (world.token("own"), world.issue(ci("other").owner("u2")));
    let all = || Filter::new(Reach::All);
    let reason = RevocationReason::Requested;
    let unconfirmed = world.hallpass.on_behalf_of(Caller::owner(owner("u1")));
    let revoked = run(unconfirmed.revoke_matching(all(), reason));
    assert!(matches!(revoked, Err(RevokeError::Unconfirmed)));
    let me = world.hallpass.on_behalf_of(world.caller("u1"));
    assert_eq!(run(me.revoke_matching(all(), reason)).unwrap(), [own.token.id]);
    assert!(world.accepts(&other));
    let family = Filter::new(Reach::Family(other.token.id));
    assert!(matches!(run(me.revoke_matching(family, reason)), Err(RevokeError::NotFound)));
}

#[test]
fn whoever_holds_the_secret_may_end_the_token() {
    let world = World::new();
    let token = world.token("ci");
    let end = |text: &str| run(world.hallpass.revoke_text(text, RevocationReason::Leaked));
    let zeros = text_of("pat", token.token.id.as_str(), &"0".repeat(43));
    let other_kind = token.plain.expose().replace("_pat_", "_at_");
    let unknown = text_of("pat", "0000000000000000", &"0".repeat(43));
    for text in ["", "x", &zeros, &other_kind, &unknown, token.token.id.as_str()] {
        assert_eq!(end(text).unwrap(), None);
    }
    let refused = |event: &Event| matches!(event, Event::Denied { .. });
    assert_eq!(world.events.count(refused), 6);
    assert!(world.accepts(&token));
    assert_eq!(end(token.plain.expose()).unwrap(), Some(token.token.id));
    assert!(!world.accepts(&token));
    let record = world.get(&token);
    assert_eq!(record.revocation.as_ref().unwrap().by, Actor::Token(token.token.id));
    // It was that token whether or not it lived.
    assert_eq!(end(token.plain.expose()).unwrap(), Some(token.token.id));
    assert_eq!(world.get(&token), record);
}

#[test]
fn a_replaced_secret_that_leaked_ends_the_token_too() {
    let world = World::new();
    let old = world.token("ci");
    let rotate = hallpass::Rotate::new().overlap(TimeDelta::zero());
    let new = run(world.hallpass.rotate(&old.token.id, rotate)).unwrap();
    let found = run(world.hallpass.revoke_text(old.plain.expose(), RevocationReason::Leaked));
    assert_eq!(found.unwrap(), Some(old.token.id));
    assert!(!world.accepts(&new));
}

#[test]
fn children_end_with_their_parent() {
    let world = World::new();
    let parent = world.token("ci");
    let (one, two) = (exchange(&world, &parent), exchange(&world, &parent));
    assert!(revoke(&world, &one, RevocationReason::Requested));
    assert!(!world.accepts(&one) && world.accepts(&two) && world.accepts(&parent));
    assert!(revoke(&world, &parent, RevocationReason::Requested));
    assert!(!world.accepts(&two));
    assert!(world.get(&two).revocation.is_some());
}

#[test]
fn children_are_refused_even_if_only_their_parent_was_marked() {
    let world = World::new();
    let parent = world.token("ci");
    let child = exchange(&world, &parent);
    let mut filter = Filter::new(Reach::All);
    filter.ids = Some(vec![parent.token.id]);
    run(world.hallpass.revoke_matching(filter, RevocationReason::Requested)).unwrap();
    assert_eq!(world.get(&child).revocation, None);
    assert_eq!(world.refusal(child.plain.expose()), DenialReason::ParentEnded);
}

#[test]
fn a_child_without_its_parent_is_refused() {
    let world = World::new();
    let parent = world.token("ci");
    let child = exchange(&world, &parent);
    let orphaned = World::new();
    let record = world.record(&child);
    orphaned.plant(&record);
    assert_eq!(orphaned.refusal(child.plain.expose()), DenialReason::ParentEnded);
    // A token that claims to descend from itself has no end of ancestors.
    let circular = World::new();
    let mut record = record;
    record.token.parent = Some(record.token.id);
    circular.plant(&record);
    assert_eq!(circular.refusal(child.plain.expose()), DenialReason::ParentEnded);
}

#[test]
fn sessions_finish_where_policy_lets_them_but_not_after_a_compromise() {
    let lenient = || World::with(|policy| policy.let_sessions_finish = true);
    for (reason, spared) in [
        (RevocationReason::Requested, true),
        (RevocationReason::Idle, true),
        (RevocationReason::Leaked, false),
        (RevocationReason::Reused, false),
        (RevocationReason::OwnerDeleted, false),
        (RevocationReason::PasswordChanged, false),
    ] {
        let world = lenient();
        let parent = world.token("ci");
        let child = exchange(&world, &parent);
        assert!(revoke(&world, &parent, reason));
        assert!(!world.accepts(&parent));
        assert_eq!(world.accepts(&child), spared, "{reason}");
    }
    let world = lenient();
    let parent = world.token("ci");
    let child = exchange(&world, &parent);
    revoke(&world, &parent, RevocationReason::Requested);
    assert!(world.accepts(&child));
    changed(&world, OwnerChange::Deleted).unwrap();
    assert!(!world.accepts(&child));
}

#[test]
fn a_leak_that_is_told_after_a_revocation_ends_the_spared_children() {
    let leaked = RevocationReason::Leaked;
    for way in 0..3 {
        let world = World::with(|policy| policy.let_sessions_finish = true);
        let parent = world.token("ci");
        let child = exchange(&world, &parent);
        revoke(&world, &parent, RevocationReason::Requested);
        assert!(world.accepts(&child));
        match way {
            0 => assert!(!revoke(&world, &parent, leaked)),
            1 => {
                let text = parent.plain.expose();
                assert!(run(world.hallpass.revoke_text(text, leaked)).unwrap().is_some());
            }
            _ => {
                let mut filter = Filter::new(Reach::All);
                filter.ids = Some(vec![parent.token.id]);
                run(world.hallpass.revoke_matching(filter, leaked)).unwrap();
            }
        }
        assert!(!world.accepts(&child), "{way}");
    }
}

#[test]
fn a_suspended_parent_suspends_its_children() {
    let world = World::with(|policy| policy.let_sessions_finish = true);
    let parent = world.token("ci");
    let child = exchange(&world, &parent);
    run(world.hallpass.suspend(&parent.token.id)).unwrap();
    assert_eq!(world.refusal(child.plain.expose()), DenialReason::ParentEnded);
    run(world.hallpass.resume(&parent.token.id)).unwrap();
    assert!(world.accepts(&child));
}

#[test]
fn what_happens_to_an_owner_happens_to_its_tokens() {
    let world = World::new();
    let (kept, other) = (world.token("kept"), world.issue(ci("other").owner("u2")));
    let child = exchange(&world, &kept);
    world.owners.facts("u1", |facts| facts.active = false);
    assert_eq!(changed(&world, OwnerChange::Suspended).unwrap(), []);
    assert!(!world.accepts(&kept) && !world.accepts(&child));
    world.owners.facts("u1", |_| {});
    assert_eq!(changed(&world, OwnerChange::Reinstated).unwrap(), []);
    assert!(world.accepts(&kept) && world.accepts(&child));
    assert_eq!(changed(&world, OwnerChange::PasswordChanged).unwrap(), [child.token.id]);
    assert!(world.accepts(&kept) && !world.accepts(&child));
    assert_eq!(changed(&world, OwnerChange::Deleted).unwrap(), [kept.token.id]);
    assert_eq!(changed(&world, OwnerChange::Deleted).unwrap(), []);
    assert_eq!(changed(&world, OwnerChange::Reinstated).unwrap(), []);
    assert!(!world.accepts(&kept) && world.accepts(&other));
    let elsewhere = Owner::parse("u2").unwrap();
    let done = run(world.hallpass.owner_changed(&tenant("t2"), &elsewhere, OwnerChange::Deleted));
    assert_eq!(done.unwrap(), []);
    assert!(world.accepts(&other));
}

#[test]
fn a_broken_owner_directory_does_not_keep_tokens_alive() {
    let world = World::new();
    let token = world.token("ci");
    world.owners.say("u1", Answer::Fails);
    assert!(revoke(&world, &token, RevocationReason::Requested));
}

#[test]
fn an_exchange_that_races_a_revocation_never_outlives_it() {
    for store in stores() {
        for _ in 0..20 {
            let world = World::on(store(), |_| {});
            let parent = world.token("ci");
            let answers = together(8, |number| {
                if number == 0 {
                    revoke(&world, &parent, RevocationReason::Requested);
                    return None;
                }
                let (text, context) = (parent.plain.expose(), Context::default());
                run(world.hallpass.exchange(text, &context, Exchange::new())).ok()
            });
            assert!(answers.iter().flatten().all(|child| !world.accepts(child)));
        }
    }
}
