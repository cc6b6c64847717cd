//! Secrets that were found in public.

use std::sync::Arc;

use chrono::TimeDelta;
use hallpass::{
    Actor, Brands, Context, DenialReason, Event, Exchange, Leak, Outage, PepperRing,
    RevocationReason, Rotate, SecretMatch, Subject, TokenId,
};

use crate::world::{Fault, Step, World, ci, owner, run, secret_of, text_of};

fn reported(world: &World, text: &str) -> Result<Option<TokenId>, Outage> {
    let scanner = owner("github");
    let leak = Leak::found_by(&scanner).url("https://github.com/a/b/blob/1/c").source("commit");
    run(world.hallpass.report_leak(text, leak))
}

/// Who was told, and of which secret.
fn told(world: &World) -> Vec<(Subject, SecretMatch)> {
    let leaked = |event| match event {
        Event::Leaked { token, secret, .. } => Some((token, secret)),
        _ => None,
    };
    world.events.take().into_iter().filter_map(leaked).collect()
}

#[test]
fn a_leaked_token_ends_and_its_owner_is_told_once() {
    let world = World::new();
    let token = world.token("ci");
    let id = token.token.id;
    world.events.take();
    assert_eq!(reported(&world, token.plain.expose()).unwrap(), Some(id));
    assert_eq!(world.refusal(token.plain.expose()), DenialReason::Revoked);
    let revocation = world.get(&token).revocation.unwrap();
    let by = Actor::Scanner(owner("github"));
    assert_eq!((revocation.by.clone(), revocation.reason), (by.clone(), RevocationReason::Leaked));
    assert_eq!(revocation.by.to_string(), "scanner:github");
    assert_eq!(world.get(&token).last_use, None);
    let events = world.events.take();
    let reason = RevocationReason::Leaked;
    assert_eq!(events[0], Event::Revoked { ids: vec![id], by: by.clone(), reason });
    let url = Some("https://github.com/a/b/blob/1/c".to_owned());
    let source = Some("commit".to_owned());
    let subject = Subject::from(&token.token);
    let leaked = Event::Leaked { token: subject, by, secret: SecretMatch::Current, url, source };
    assert_eq!(events[1], leaked);
    // The third is the refusal above.
    assert_eq!(events.len(), 3);
    // Again, and years later.
    for _ in 0..2 {
        assert_eq!(reported(&world, token.plain.expose()).unwrap(), Some(id));
        world.advance(TimeDelta::days(800));
    }
    assert!(world.events.take().is_empty());
}

#[test]
fn what_is_made_from_it_ends_too_and_what_it_is_made_from_does_not() {
    let world = World::with(|policy| policy.let_sessions_finish = true);
    let parent = world.token("ci");
    let exchange = || {
        let text = parent.plain.expose();
        run(world.hallpass.exchange(text, &Context::default(), Exchange::new())).unwrap()
    };
    let (first, second) = (exchange(), exchange());
    assert_eq!(reported(&world, first.plain.expose()).unwrap(), Some(first.token.id));
    assert!(!world.accepts(&first) && world.accepts(&second) && world.accepts(&parent));
    // Revoked already, in a way that let its sessions finish: now they may not.
    run(world.hallpass.revoke(&parent.token.id, RevocationReason::Requested)).unwrap();
    assert!(world.accepts(&second));
    told(&world);
    assert_eq!(reported(&world, parent.plain.expose()).unwrap(), Some(parent.token.id));
    assert!(!world.accepts(&second));
    assert_eq!(told(&world), [(Subject::from(&parent.token), SecretMatch::Current)]);
    assert_eq!(reported(&world, parent.plain.expose()).unwrap(), Some(parent.token.id));
    assert!(told(&world).is_empty());
}

#[test]
fn a_leaked_refresh_token_ends_its_grant() {
    let world = World::new();
    let granted = run(world.hallpass.issue_with_refresh(ci("app").for_client("reader"))).unwrap();
    let refresh = &granted.refresh;
    assert_eq!(reported(&world, refresh.plain.expose()).unwrap(), Some(refresh.token.id));
    assert!(!world.accepts(&granted.access));
    assert!(world.get(refresh).revocation.is_some());
}

/// A token rotates itself, so whoever found the older secret may have made the current one.
#[test]
fn a_replaced_secret_ends_the_token_in_the_overlap_and_after_it() {
    for (overlap, later) in [(1, 0), (1, 2), (0, 0)] {
        let world = World::new();
        let old = world.token("ci");
        let rotate = Rotate::new().overlap(TimeDelta::hours(overlap));
        let here = Context::default();
        let thief = run(world.hallpass.rotate_presented(old.plain.expose(), &here, rotate));
        let thief = thief.unwrap();
        assert!(world.accepts(&thief));
        world.advance(TimeDelta::hours(later));
        told(&world);
        assert_eq!(reported(&world, old.plain.expose()).unwrap(), Some(old.token.id));
        assert!(!world.accepts(&thief) && !world.accepts(&old));
        assert_eq!(told(&world), [(Subject::from(&old.token), SecretMatch::Superseded)]);
        assert_eq!(world.get(&old).revocation.unwrap().reason, RevocationReason::Leaked);
    }
}

#[test]
fn what_is_no_secret_of_a_token_changes_nothing() {
    let world = World::new();
    let token = world.token("ci");
    let text = token.plain.expose();
    world.events.take();
    let id = token.token.id;
    let secret = secret_of(text);
    for noise in [
        text_of("pat", id.as_str(), &"q".repeat(43)),
        text_of("at", id.as_str(), secret),
        text_of("pat", "0000000000000000", secret),
        text.to_uppercase(),
        format!("{text}\n"),
        format!(" {text}"),
        text[..text.len() - 1].to_owned(),
        String::new(),
        id.to_string(),
    ] {
        assert_eq!(reported(&world, &noise).unwrap(), None, "{noise}");
    }
    // Anybody can put noise in public, so nobody is told of it.
    assert!(world.events.take().is_empty());
    assert!(world.accepts(&token));
}

#[test]
fn an_outage_is_told_and_nothing_is_lost_by_it() {
    let world = World::new();
    let token = world.token("ci");
    let text = token.plain.expose();
    world.store.cool();
    for step in [Step::Find, Step::Revoke] {
        world.store.breaks(step, Fault::Fails);
        assert!(matches!(reported(&world, text), Err(Outage::Store(_))));
        world.store.heals();
        assert!(world.accepts(&token));
    }
    assert!(told(&world).is_empty());
    assert_eq!(reported(&world, text).unwrap(), Some(token.token.id));
    assert_eq!(told(&world).len(), 1);

    let pepper: Vec<u8> = (0..40).collect();
    let ring = PepperRing::none().with_current(1, &pepper).unwrap();
    let store = Arc::new(hallpass::MemoryStore::new());
    let world = World::build(store, |builder| builder.peppers(ring));
    let token = world.token("ci");
    let without = world.again(|builder| builder);
    let scanner = owner("github");
    let told = run(without.report_leak(token.plain.expose(), Leak::found_by(&scanner)));
    assert!(matches!(told, Err(Outage::MissingPepper { .. })));
    assert!(world.accepts(&token));
}

#[test]
fn no_event_tells_the_secret() {
    let world = World::new();
    let scanner = owner("github");
    for (number, written) in [
        |text: &str| format!("https://a.example/{text}"),
        |text: &str| format!("https://a.example/?x={text}"),
        |text: &str| format!("https://a.example/{}", text.replace('_', "%5F")),
        |text: &str| text.to_owned(),
    ]
    .into_iter()
    .enumerate()
    {
        let token = world.token(&format!("ci {number}"));
        let text = token.plain.expose();
        let url = written(text);
        let leak = Leak::found_by(&scanner).url(&url).source(text);
        run(world.hallpass.report_leak(text, leak)).unwrap();
        let events = format!("{:?}", world.events.take());
        assert!(events.contains("Leaked") && !events.contains(secret_of(text)), "{number}");
    }
}

#[test]
fn the_pattern_finds_the_tokens_of_every_brand() {
    let world = World::new();
    let pattern = r"\bacme_(pat|app|at|rt)_[0-9A-Za-z]{16}_[0-9A-Za-z]{49}\b";
    assert_eq!(world.hallpass.token_pattern(), pattern);
    let brands = Brands::new("acme".parse().unwrap()).with_retired("x2".parse().unwrap());
    let both = r"\b(acme|x2)_(pat|app|at|rt)_[0-9A-Za-z]{16}_[0-9A-Za-z]{49}\b";
    assert_eq!(brands.pattern(), both);
}
