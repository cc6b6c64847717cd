//! Verifying presented texts: every reason to refuse, the order of checks, and outages.

use std::sync::Arc;

use chrono::TimeDelta;
use hallpass::store::{Change, Conflict};
use hallpass::{
    BuildError, Context, DenialReason, Event, Expiry, Hallpass, Issue, Issued, Kind, KindSet,
    MemoryStore, Outage, OwnerKind, PepperRing, Record, Resources, RevocationReason, Rights,
    Rotate, ScopeCatalog, ScopeList, Status, StoreError, Token, TokenDigest, TokenStore,
    VerifyError,
};

use crate::world::{
    Answer, Fault, Step, World, catalog, ci, denial, micro, owner, poll_once, run, secret_of,
    start, text_of,
};

const V2: &str = "acme_pat_ABCDEFGHIJKLMNOP_0123456789abcdefghijklmnopqrstuvwxyzABCDEFG4RAzs0";
const V3: &str = "acme_at_ABCDEFGHIJKLMNOP_0123456789abcdefghijklmnopqrstuvwxyzABCDEFG4gHy2a";

fn put_digest(world: &World, issued: &Issued, digest: &TokenDigest) {
    let version = world.record(issued).token.version;
    let change = Change { digest: Some(digest.clone()), ..Change::default() };
    run(world.store.update(&issued.token.id, version, &change, world.now())).unwrap();
}

fn with_context(world: &World, text: &str, context: &Context<'_>) -> DenialReason {
    denial(run(world.hallpass.verify(text, context))).reason()
}

#[test]
fn text_that_is_no_token_reaches_no_store() {
    let world = World::new();
    let issued = world.token("ci");
    let good = issued.plain.expose();
    let mut bad = vec![
        String::new(),
        "null".to_owned(),
        "undefined".to_owned(),
        "Bearer".to_owned(),
        "[object Object]".to_owned(),
        format!("ghp_{}", "a".repeat(36)),
        "a".repeat(1 << 20),
        good.to_uppercase(),
        good.to_lowercase(),
        good.replace("acme", "Acme"),
        good.replace("acme", "emca"),
        format!("{good}\0"),
        format!("{good}\n"),
        format!(" {good}"),
        format!("{good}\u{a0}"),
        format!("\u{feff}{good}"),
        format!("\"{good}\""),
        format!("secret-token:{good}"),
        good.replace('_', "%5F"),
        format!("{V2}0"),
        V3.replace("acme_at", "acme_pat"),
        issued.token.id.to_string(),
        world.record(&issued).digest.to_stored(),
    ];
    bad.extend((0..good.len()).map(|cut| good[..cut].to_owned()));
    bad.extend((1..good.len()).map(|cut| good[cut..].to_owned()));
    for place in 0..good.len() {
        for byte in *b"0aZ_" {
            let mut text = good.as_bytes().to_vec();
            text[place] = byte;
            let text = String::from_utf8(text).unwrap();
            if text != good {
                bad.push(text);
            }
        }
    }
    let before = world.store.lookups();
    for text in &bad {
        assert_eq!(world.refusal(text), DenialReason::Malformed);
    }
    assert_eq!(world.store.lookups(), before);
    assert!(world.accepts(&issued));
}

#[test]
fn an_unknown_id_costs_exactly_one_lookup() {
    let world = World::new();
    assert_eq!(world.refusal(V2), DenialReason::Unknown);
    assert_eq!(world.store.lookups(), 1);
    assert_eq!(world.store.calls(Step::Find), 1);
}

#[test]
fn a_wrong_secret_is_refused_as_often_as_it_comes_and_harms_nobody() {
    let world = World::with(|policy| policy.reuse_revokes = true);
    let (a, b) = (world.token("a"), world.token("b"));
    let crossed = text_of("pat", a.token.id.as_str(), secret_of(b.plain.expose()));
    let zeros = text_of("pat", a.token.id.as_str(), &"0".repeat(43));
    for text in [crossed, zeros] {
        for _ in 0..1000 {
            assert_eq!(world.refusal(&text), DenialReason::WrongSecret);
        }
    }
    assert!(world.accepts(&a) && world.accepts(&b));
    assert_eq!(world.events.count(|event| matches!(event, Event::Reused { .. })), 0);
}

#[test]
fn the_answer_says_the_same_for_every_reason() {
    let world = World::new();
    let issued = world.token("ci");
    run(world.hallpass.revoke(&issued.token.id, RevocationReason::Leaked)).unwrap();
    let texts = ["x", V2, issued.plain.expose()];
    let answers = texts.map(|text| world.verify(text).unwrap_err().to_string());
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
}

#[test]
fn digests_do_not_move_between_rows() {
    let world = World::new();
    let (a, b) = (world.token("a"), world.token("b"));
    let (digest_a, digest_b) = (world.record(&a).digest, world.record(&b).digest);
    put_digest(&world, &a, &digest_b);
    put_digest(&world, &b, &digest_a);
    assert_eq!(world.refusal(a.plain.expose()), DenialReason::WrongSecret);
    assert_eq!(world.refusal(b.plain.expose()), DenialReason::WrongSecret);
    put_digest(&world, &a, &digest_a);
    assert!(world.accepts(&a));
}

#[test]
fn a_token_is_not_accepted_as_another_kind() {
    let world = World::new();
    let pat = world.token("ci");
    let at = run(world.hallpass.exchange(
        pat.plain.expose(),
        &Context::default(),
        hallpass::Exchange::new(),
    ))
    .unwrap();
    for issued in [&pat, &at] {
        let id = issued.token.id.as_str();
        let secret = secret_of(issued.plain.expose());
        for kind in ["pat", "app", "at"].iter().filter(|kind| **kind != issued.token.kind.as_str())
        {
            assert_eq!(world.refusal(&text_of(kind, id, secret)), DenialReason::WrongSecret);
        }
        // A refresh token never calls.
        assert_eq!(world.refusal(&text_of("rt", id, secret)), DenialReason::WrongKind);
    }
    let only = |kind| Context { kinds: KindSet::only(kind), ..Context::default() };
    let lookups = world.store.lookups();
    for (issued, kind) in [(&at, Kind::Personal), (&pat, Kind::Access)] {
        let reason = with_context(&world, issued.plain.expose(), &only(kind));
        assert_eq!(reason, DenialReason::WrongKind);
    }
    let none = Context { kinds: KindSet::NONE, ..Context::default() };
    assert_eq!(with_context(&world, pat.plain.expose(), &none), DenialReason::WrongKind);
    assert_eq!(world.store.lookups(), lookups);
}

#[test]
fn a_digest_that_cannot_be_used_is_refused_and_reported() {
    for stored in ["", "v2$0$AAAA", "v1$0$AAAA", "v1$0$", "plain", "v1$1$x", "v1$00$AAAA"] {
        let world = World::new();
        let issued = world.token("ci");
        put_digest(&world, &issued, &TokenDigest::from_stored(stored));
        world.events.take();
        assert_eq!(world.refusal(issued.plain.expose()), DenialReason::UnusableDigest);
        let id = issued.token.id;
        assert!(world.events.take().contains(&Event::UnusableDigest { id }), "{stored}");
        // What is stored is never what is presented.
        assert_eq!(world.refusal(stored), DenialReason::Malformed);
    }
}

#[test]
fn a_digest_that_is_one_byte_off_is_refused() {
    let world = World::new();
    let issued = world.token("ci");
    let stored = world.record(&issued).digest.to_stored();
    let longer = format!("{stored}A");
    for wrong in [&stored[..stored.len() - 1], &longer] {
        put_digest(&world, &issued, &TokenDigest::from_stored(wrong));
        assert_eq!(world.refusal(issued.plain.expose()), DenialReason::UnusableDigest);
    }
    put_digest(&world, &issued, &TokenDigest::from_stored(&stored));
    assert!(world.accepts(&issued));
}

fn pepper(first: u8) -> Vec<u8> {
    (first..first + 32).collect()
}

fn ring(current: u32, retired: &[u32]) -> PepperRing {
    let of = |number: u32| pepper(u8::try_from(number).unwrap() * 40);
    let ring = PepperRing::none().with_current(current, &of(current)).unwrap();
    retired.iter().fold(ring, |ring, number| ring.with_retired(*number, &of(*number)).unwrap())
}

#[test]
fn a_missing_pepper_is_an_outage_and_is_reported() {
    let world = World::build(Arc::new(MemoryStore::new()), |b| b.peppers(ring(1, &[])));
    let issued = world.token("ci");
    world.events.take();
    let without = world.again(|builder| builder.peppers(ring(2, &[])));
    let answer = run(without.verify(issued.plain.expose(), &Context::default()));
    assert!(matches!(answer, Err(VerifyError::Unavailable(Outage::MissingPepper { id }))
        if id == issued.token.id));
    assert_eq!(world.events.take(), [Event::MissingPepper { id: issued.token.id }]);
    assert!(world.accepts(&issued));
}

#[test]
fn the_pepper_of_a_replaced_secret_is_missed_no_longer_than_the_overlap() {
    let world = World::build(Arc::new(MemoryStore::new()), |b| b.peppers(ring(1, &[])));
    let old = world.token("ci");
    let both = world.again(|builder| builder.peppers(ring(2, &[1])));
    let new = run(both.rotate(&old.token.id, Rotate::new())).unwrap();
    let without = world.again(|builder| builder.peppers(ring(2, &[])));
    let verify = |text: &str| run(without.verify(text, &Context::default()));
    let wrong = text_of("pat", old.token.id.as_str(), &"0".repeat(43));
    for text in [old.plain.expose(), &wrong] {
        assert!(matches!(verify(text), Err(VerifyError::Unavailable(_))));
    }
    world.advance(TimeDelta::hours(24));
    for text in [old.plain.expose(), &wrong] {
        assert_eq!(denial(verify(text)).reason(), DenialReason::WrongSecret);
    }
    assert!(verify(new.plain.expose()).is_ok());
}

#[test]
fn a_new_pepper_takes_over_at_the_next_use_and_old_ones_stay_good() {
    let world = World::new();
    let issued = world.token("ci");
    let verify = |engine: &hallpass::Hallpass| {
        run(engine.verify(issued.plain.expose(), &Context::default()))
    };
    let pepper_of = || world.record(&issued).digest.pepper().map(|id| id.to_string());
    assert_eq!(pepper_of(), None);
    let first = world.again(|builder| builder.peppers(ring(1, &[])));
    assert!(verify(&first).is_ok());
    assert_eq!(pepper_of().as_deref(), Some("1"));
    let second = world.again(|builder| builder.peppers(ring(2, &[1])));
    assert!(verify(&second).is_ok());
    assert_eq!(pepper_of().as_deref(), Some("2"));
    assert!(verify(&second).is_ok());
    let redigested = |event: &Event| matches!(event, Event::Redigested { .. });
    assert_eq!(world.events.count(redigested), 2);
    // Without the new pepper it is unknown whether the secret is right.
    assert!(matches!(verify(&first), Err(VerifyError::Unavailable(_))));
    let required = world.again(|builder| builder.peppers(ring(2, &[1]).require()));
    assert!(verify(&required).is_ok());
}

#[test]
fn a_bare_digest_is_refused_where_a_pepper_is_required() {
    let world = World::new();
    let issued = world.token("ci");
    let required = world.again(|builder| builder.peppers(ring(1, &[]).require()));
    let answer = run(required.verify(issued.plain.expose(), &Context::default()));
    assert_eq!(denial(answer).reason(), DenialReason::WrongSecret);
}

#[test]
fn an_engine_that_would_refuse_its_own_tokens_is_not_built() {
    let build = |ring| {
        Hallpass::builder(MemoryStore::new()).brand("acme").catalog(catalog()).peppers(ring).build()
    };
    let retired = PepperRing::none().with_retired(1, &pepper(40)).unwrap();
    for ring in [PepperRing::none().require(), retired.require()] {
        assert_eq!(build(ring).unwrap_err(), BuildError::PepperMissing);
    }
    assert!(build(ring(1, &[]).require()).is_ok());
}

#[test]
fn a_digest_that_cannot_be_replaced_verifies_all_the_same() {
    for fault in [Fault::Fails, Fault::Loses] {
        let world = World::new();
        let issued = world.token("ci");
        let peppered = world.again(|builder| builder.peppers(ring(1, &[])));
        world.store.breaks(Step::Update, fault);
        let verify = || run(peppered.verify(issued.plain.expose(), &Context::default()));
        assert!(verify().is_ok() && verify().is_ok());
        world.store.heals();
        assert!(verify().is_ok());
        assert!(world.record(&issued).digest.pepper().is_some());
    }
}

#[test]
fn an_outage_is_never_a_denial() {
    let world = World::new();
    let issued = world.token("ci");
    world.owners.say("u1", Answer::Fails);
    assert!(matches!(
        world.verify(issued.plain.expose()),
        Err(VerifyError::Unavailable(Outage::Owners(_)))
    ));
    world.owners.facts("u1", |_| {});
    world.store.cool();
    world.store.breaks(Step::Find, Fault::Fails);
    for text in [issued.plain.expose(), V2] {
        assert!(matches!(
            world.verify(text),
            Err(VerifyError::Unavailable(Outage::Store(StoreError::Unavailable(_))))
        ));
    }
    let outages = world.events.count(|event| matches!(event, Event::Unavailable { .. }));
    assert_eq!(outages, 3);
    world.store.heals();
    assert!(world.accepts(&issued));
}

#[test]
fn a_panic_in_a_callback_accepts_nobody_and_breaks_nothing_else() {
    let world = World::new();
    let issued = world.token("ci");
    world.owners.say("u1", Answer::Panics);
    assert!(matches!(
        world.verify(issued.plain.expose()),
        Err(VerifyError::Unavailable(Outage::Owners(_)))
    ));
    world.owners.facts("u1", |_| {});
    assert!(world.accepts(&issued));
    let broken = world.again(|builder| {
        builder.policy(hallpass::Policy {
            ceiling: Some(Arc::new(|_| panic!("a broken ceiling"))),
            ..hallpass::Policy::default()
        })
    });
    let answer = run(broken.verify(issued.plain.expose(), &Context::default()));
    assert!(matches!(answer, Err(VerifyError::Unavailable(Outage::Owners(_)))));
}

#[test]
fn a_callback_that_hangs_holds_up_nobody_else() {
    let world = World::new();
    let (stuck, other) = (world.token("a"), world.issue(ci("b").owner("u2")));
    world.owners.say("u1", Answer::Hangs);
    let context = Context::default();
    let mut waiting = Box::pin(world.hallpass.verify(stuck.plain.expose(), &context));
    assert!(poll_once(&mut waiting).is_pending());
    assert!(world.accepts(&other));
    assert!(poll_once(&mut waiting).is_pending());
    drop(waiting);
    world.owners.facts("u1", |_| {});
    assert!(world.accepts(&stuck));
}

#[test]
fn the_owner_is_asked_at_every_use() {
    let world = World::new();
    let issued = world.issue(ci("ci").scopes(["repo:write"]));
    let text = issued.plain.expose();
    assert!(world.verify(text).unwrap().grants("repo:write"));
    world.owners.limit("u1", &["repo:read"]);
    let verified = world.verify(text).unwrap();
    assert!(verified.grants("repo:read") && !verified.grants("repo:write"));
    world.owners.facts("u1", |facts| facts.active = false);
    assert_eq!(world.refusal(text), DenialReason::OwnerInactive);
    world.owners.facts("u1", |facts| facts.kind = OwnerKind::External);
    assert_eq!(world.refusal(text), DenialReason::OwnerKind);
    world.owners.say("u1", Answer::Unknown);
    assert_eq!(world.refusal(text), DenialReason::OwnerUnknown);
    world.owners.facts("u1", |_| {});
    assert!(world.verify(text).unwrap().grants("repo:write"));
}

#[test]
fn rights_of_another_catalog_are_no_rights() {
    let world = World::new();
    let issued = world.token("ci");
    let other = ScopeCatalog::of(["repo:read"]).unwrap();
    world.owners.facts("u1", |facts| facts.rights = Rights::Only(other.everything()));
    assert!(!world.verify(issued.plain.expose()).unwrap().grants("repo:read"));
}

#[test]
fn a_tightened_policy_holds_for_tokens_that_are_out() {
    let world = World::with(|policy| policy.allow_never = true);
    let never = world.issue(ci("never").expiry(Expiry::Never));
    let long = world.issue(ci("long").expiry(Expiry::In(TimeDelta::days(300))));
    let strict = world.again(|builder| {
        builder.policy(hallpass::Policy {
            max_lifetime: TimeDelta::days(40),
            ..hallpass::Policy::default()
        })
    });
    let verify = |issued: &Issued| run(strict.verify(issued.plain.expose(), &Context::default()));
    let end = start().saturating_add(TimeDelta::days(40));
    world.clock.set(end.saturating_sub(micro()));
    for issued in [&never, &long] {
        assert_eq!(verify(issued).unwrap().expires_at(), Some(end));
    }
    world.clock.set(end);
    for issued in [&never, &long] {
        assert_eq!(denial(verify(issued)).reason(), DenialReason::Expired);
        assert!(world.accepts(issued), "the looser engine still accepts it");
    }
    let ceiling = world.again(|builder| {
        builder.policy(hallpass::Policy {
            ceiling: Some(Arc::new(|_| Rights::Only(catalog().nothing()))),
            allow_never: true,
            ..hallpass::Policy::default()
        })
    });
    let verified = run(ceiling.verify(never.plain.expose(), &Context::default())).unwrap();
    assert!(verified.scopes().is_empty());
}

#[test]
fn a_scope_that_is_gone_from_the_catalog_grants_nothing() {
    let world = World::new();
    let issued = world.issue(ci("ci").scopes(["hooks"]));
    let fewer = ScopeCatalog::of(["repo:read", "repo:readonly"]).unwrap();
    let later = world.again(|builder| builder.catalog(fewer.clone()));
    let verified = run(later.verify(issued.plain.expose(), &Context::default())).unwrap();
    assert!(!verified.grants("hooks") && verified.grants("repo:read"));
    assert!(!verified.grants("repo:readonly") && !verified.grants("repo"));
    let token = run(later.get(&issued.token.id)).unwrap().unwrap();
    let gone: Vec<_> = later.catalog().unknown(&token.scopes).map(ToString::to_string).collect();
    assert_eq!(gone, ["hooks"]);
}

#[test]
fn facts_resolved_by_another_catalog_are_not_trusted() {
    // The last engine that is built attaches its catalog to the store both share.
    let world = World::new();
    let issued = world.issue(Issue::new("ci").owner("u1").scopes(["repo:write"]));
    let swapped = ScopeCatalog::of(["hooks", "repo:write", "repo:admin", "repo:read"]).unwrap();
    let other = world.again(|builder| builder.catalog(swapped));
    let verified = world.verify(issued.plain.expose()).unwrap();
    assert!(verified.grants("repo:read") && !verified.grants("repo:admin"));
    let verified = run(other.verify(issued.plain.expose(), &Context::default())).unwrap();
    assert!(verified.grants("repo:write") && !verified.grants("repo:read"));
}

fn planted(world: &World, scopes: &[&str], change: impl FnOnce(&mut Token)) -> (Record, String) {
    let issued = world.token("template");
    let mut token = issued.token.clone();
    token.scopes = ScopeList::parse(scopes).unwrap();
    change(&mut token);
    let record = Record::new(token, world.record(&issued).digest);
    let store: Arc<dyn TokenStore> = Arc::new(MemoryStore::new());
    let other = World::on(Arc::clone(&store), |_| {});
    other.plant(&record);
    let text = issued.plain.expose().to_owned();
    let verified = other.verify(&text).unwrap();
    assert!(verified.scopes().is_empty(), "{:?}", verified.scopes());
    assert!(verified.require("repo:read").is_err());
    (record, text)
}

#[test]
fn a_row_without_declared_scopes_grants_nothing() {
    let world = World::new();
    planted(&world, &[], |_| {});
    let world = World::new();
    planted(&world, &["repo", "repo:readonly", "*"], |token| token.resources = Resources::All);
}

#[test]
fn a_token_is_used_from_its_networks_only() {
    let world = World::new();
    let networks = ["10.0.0.0/8".parse().unwrap(), "2001:db8::/32".parse().unwrap()];
    let bound = world.issue(ci("bound").networks(networks));
    let nowhere = world.issue(ci("nowhere").networks([]));
    let from = |issued: &Issued, ip: &str| {
        let context = Context { ip: Some(ip.parse().unwrap()), ..Context::default() };
        run(world.hallpass.verify(issued.plain.expose(), &context)).map(|_| ())
    };
    for good in ["10.0.0.1", "10.255.255.255", "::ffff:10.9.9.9", "2001:db8::1"] {
        assert!(from(&bound, good).is_ok(), "{good}");
        assert!(from(&nowhere, good).is_err());
    }
    for bad in ["11.0.0.0", "9.255.255.255", "::ffff:11.0.0.1", "2001:db9::", "::1"] {
        assert!(from(&bound, bad).is_err(), "{bad}");
    }
    assert_eq!(world.refusal(bound.plain.expose()), DenialReason::WrongNetwork);
}

#[test]
fn a_token_is_accepted_by_whom_it_is_for() {
    let world = World::new();
    let own = world.token("own");
    let meant = world.issue(ci("meant").audience(["a", "b"]));
    let as_whom = |issued: &Issued, us| {
        let context = Context { audience: us, ..Context::default() };
        run(world.hallpass.verify(issued.plain.expose(), &context))
    };
    assert!(as_whom(&own, None).is_ok());
    assert!(as_whom(&meant, Some("a")).is_ok() && as_whom(&meant, Some("b")).is_ok());
    for (issued, us) in [
        (&own, Some("a")),
        (&own, Some("")),
        (&meant, None),
        (&meant, Some("c")),
        (&meant, Some("A")),
        (&meant, Some("")),
        (&meant, Some("a b")),
    ] {
        assert_eq!(denial(as_whom(issued, us)).reason(), DenialReason::WrongAudience);
    }
}

#[test]
fn checks_come_in_the_order_that_gives_nothing_away() {
    let world = World::new();
    let networks = ["10.0.0.0/8".parse().unwrap()];
    let later = start().saturating_add(TimeDelta::hours(1));
    let issued =
        world.issue(ci("ci").networks(networks).audience(["a"]).not_before(later.to_utc()));
    let text = issued.plain.expose();
    world.owners.say("u1", Answer::Unknown);
    run(world.hallpass.suspend(&issued.token.id)).unwrap();
    let zeros = text_of("pat", issued.token.id.as_str(), &"0".repeat(43));
    assert_eq!(world.refusal(&zeros), DenialReason::WrongSecret);
    // One obstacle is taken away after the other.
    assert_eq!(world.refusal(text), DenialReason::Suspended);
    run(world.hallpass.resume(&issued.token.id)).unwrap();
    assert_eq!(world.refusal(text), DenialReason::NotYetValid);
    world.clock.set(later);
    assert_eq!(world.refusal(text), DenialReason::OwnerUnknown);
    world.owners.facts("u1", |_| {});
    assert_eq!(world.refusal(text), DenialReason::WrongNetwork);
    let ip = Some("10.0.0.1".parse().unwrap());
    let near = Context { ip, ..Context::default() };
    assert_eq!(with_context(&world, text, &near), DenialReason::WrongAudience);
    let right = Context { audience: Some("a"), ..near };
    assert!(run(world.hallpass.verify(text, &right)).is_ok());
    // What ended stays ended whatever else is the matter with it.
    run(world.hallpass.suspend(&issued.token.id)).unwrap();
    world.clock.set(issued.token.expires_at.unwrap());
    assert_eq!(world.refusal(text), DenialReason::Expired);
    run(world.hallpass.revoke(&issued.token.id, RevocationReason::Requested)).unwrap();
    assert_eq!(world.refusal(text), DenialReason::Revoked);
    assert_eq!(Status::at(&world.get(&issued), world.now()), Status::Revoked);
}

#[test]
fn retired_brands_are_accepted_until_they_are_not() {
    let world = World::new();
    let issued = world.token("ci");
    let renamed = world.again(|builder| builder.brand("newco").retired_brand("acme"));
    assert!(run(renamed.verify(issued.plain.expose(), &Context::default())).is_ok());
    let rotated = run(renamed.rotate(&issued.token.id, Rotate::new())).unwrap();
    assert!(rotated.plain.expose().starts_with("newco_pat_"));
    assert!(run(renamed.verify(rotated.plain.expose(), &Context::default())).is_ok());
    let gone = world.again(|builder| builder.brand("newco"));
    let answer = run(gone.verify(issued.plain.expose(), &Context::default()));
    assert_eq!(denial(answer).reason(), DenialReason::Malformed);
}

#[test]
fn refusals_are_reported_with_their_exact_reason() {
    let world = World::new();
    let issued = world.token("ci");
    world.events.take();
    let zeros = text_of("pat", issued.token.id.as_str(), &"0".repeat(43));
    let ip = Some("192.0.2.1".parse().unwrap());
    let context = Context { ip, ..Context::default() };
    assert_eq!(with_context(&world, &zeros, &context), DenialReason::WrongSecret);
    let reported = Event::Denied {
        id: Some(issued.token.id),
        reason: DenialReason::WrongSecret,
        ip,
        unreported: 0,
    };
    assert_eq!(world.events.take(), [reported]);
    for _ in 0..1000 {
        world.refusal("x");
    }
    assert_eq!(world.events.take().len(), 20);
    world.advance(TimeDelta::seconds(1));
    world.refusal("x");
    assert!(matches!(&world.events.take()[..], [Event::Denied { unreported: 980, id: None, .. }]));
}

#[test]
fn an_id_is_never_taken_over() {
    let world = World::new();
    let issued = world.token("ci");
    let record = world.record(&issued);
    let admission =
        hallpass::store::Admission { now: world.now(), quota: None, unique_name: false };
    let mut foreign = record.clone();
    foreign.token.owner = owner("u2");
    let taken = run(world.store.insert(&foreign, &admission));
    assert!(matches!(taken, Err(StoreError::Conflict(Conflict::IdTaken))));
    assert_eq!(world.record(&issued), record);
}
