//! Expiry notices, and tokens that nobody uses.

use std::sync::Arc;

use chrono::TimeDelta;
use hallpass::{
    Actor, BuildError, Edit, Event, EventSink, Exchange, Expiry, Hallpass, Issued, ManualClock,
    Policy, PolicyError, RevocationReason, Rotate, ScopeCatalog, Timestamp,
};

use crate::world::{
    Fault, Probe, Recorder, Step, World, ci, micro, poll_once, run, stores, together,
};

/// No notice.
const NOTHING: [i64; 0] = [];

fn days(days: i64) -> TimeDelta {
    TimeDelta::days(days)
}

fn living(world: &World, name: &str, days: i64) -> Issued {
    world.issue(ci(name).expiry(Expiry::In(TimeDelta::days(days))))
}

/// A round of maintenance, and which notices it gave: the days before the end.
fn round(world: &World) -> Vec<i64> {
    world.events.take();
    run(world.hallpass.maintain()).unwrap();
    told(&world.events)
}

fn told(events: &Recorder) -> Vec<i64> {
    let told = events.take().into_iter().filter_map(|event| match event {
        Event::Expiring { lead, .. } => Some(lead.num_days()),
        _ => None,
    });
    told.collect()
}

#[test]
fn each_notice_is_given_once_and_at_its_time() {
    for store in stores() {
        let world = World::on(store(), |_| {});
        let issued = living(&world, "ci", 100);
        assert_eq!(round(&world), NOTHING);
        for (wait, notice) in [(70, 30), (23, 7), (6, 1), (1, 0)] {
            world.advance(days(wait) - micro());
            assert_eq!(round(&world), NOTHING, "{notice}");
            world.advance(micro());
            run(world.hallpass.maintain()).unwrap();
            let event = world.events.take().into_iter().find_map(|event| match event {
                Event::Expiring { token, name, expires_at, lead } => {
                    Some((token.id, name.to_string(), Some(expires_at), lead))
                }
                _ => None,
            });
            let Some(end) = issued.token.expires_at else { panic!("it ends") };
            let expected = (issued.token.id, "ci".to_owned(), Some(end), days(notice));
            assert_eq!(event, Some(expected));
            assert_eq!(round(&world), NOTHING, "{notice}");
            // An engine that starts now looks at everything, and finds it was given.
            run(world.again(|builder| builder).maintain()).unwrap();
            assert_eq!(told(&world.events), NOTHING, "{notice}");
        }
        assert_eq!(run(world.hallpass.maintain()).unwrap().notices, 0);
    }
}

#[test]
fn a_notice_that_is_late_gives_way_to_the_next() {
    let world = World::new();
    living(&world, "ci", 100);
    world.advance(days(94));
    assert_eq!(round(&world), [7]);
    world.advance(days(7) - micro());
    assert_eq!(round(&world), [0]);
    living(&world, "late", 40);
    // The last one is given for a day.
    world.advance(days(41));
    assert_eq!(round(&world), NOTHING);
}

#[test]
fn nobody_is_told_of_an_end_that_was_just_set() {
    let world = World::new();
    let issued = living(&world, "ci", 30);
    living(&world, "short", 5);
    assert_eq!(round(&world), NOTHING);
    world.advance(days(23));
    // `short` has ended long ago; `ci` has a week left.
    assert_eq!(round(&world), [7]);
    let id = &issued.token.id;
    let edit = |end| Edit::new().expiry(Expiry::In(days(end)));
    run(world.hallpass.update(id, edit(5))).unwrap();
    run(world.again(|builder| builder).maintain()).unwrap();
    assert_eq!(told(&world.events), NOTHING);
    world.advance(days(4));
    assert_eq!(round(&world), [1]);
    // Another end is told of anew.
    run(world.hallpass.update(id, edit(8))).unwrap();
    assert_eq!(round(&world), NOTHING);
    world.advance(days(1));
    assert_eq!(round(&world), [7]);
    // So is one that comes with a new secret.
    run(world.hallpass.rotate(id, Rotate::new().expiry(Expiry::In(days(40))))).unwrap();
    assert_eq!(round(&world), NOTHING);
    for (wait, notice) in [(10, 30), (23, 7)] {
        world.advance(days(wait));
        assert_eq!(round(&world), [notice]);
    }
}

#[test]
fn a_notice_that_somebody_else_is_giving_is_looked_at_again() {
    let world = World::new();
    living(&world, "ci", 100);
    let other = world.again(|builder| builder);
    run(other.maintain()).unwrap();
    // The first round after a long pause claims the notice and is lost; the other node looks while
    // the claim holds, and next when it is long over.
    world.advance(days(70) + TimeDelta::hours(5));
    world.store.breaks(Step::Update, Fault::Loses);
    assert!(run(world.hallpass.maintain()).is_err());
    world.store.heals();
    assert_eq!(run(other.maintain()).unwrap().notices, 0);
    world.advance(TimeDelta::hours(1));
    assert_eq!(run(other.maintain()).unwrap().notices, 1);
}

#[test]
fn a_token_that_was_regenerated_meanwhile_is_not_told_of() {
    let world = World::new();
    let issued = living(&world, "ci", 100);
    world.advance(days(71));
    run(world.hallpass.rotate(&issued.token.id, Rotate::new())).unwrap();
    assert_eq!(round(&world), NOTHING);
    world.advance(days(22));
    assert_eq!(round(&world), [7]);
}

#[test]
fn only_standing_tokens_that_still_live_or_just_ended_are_told_of() {
    let world = World::new();
    let parent = living(&world, "parent", 100);
    let revoked = living(&world, "revoked", 100);
    let suspended = living(&world, "suspended", 100);
    run(world.hallpass.revoke(&revoked.token.id, RevocationReason::Requested)).unwrap();
    run(world.hallpass.suspend(&suspended.token.id)).unwrap();
    let text = parent.plain.expose();
    run(world.hallpass.exchange(text, &hallpass::Context::default(), Exchange::new())).unwrap();
    world.advance(TimeDelta::hours(1));
    assert_eq!(round(&world), NOTHING);
    world.advance(days(70));
    assert_eq!(round(&world), [30, 30]);
}

#[test]
fn of_many_nodes_one_gives_a_notice() {
    for store in stores() {
        let world = World::on(store(), |_| {});
        for number in 0..5 {
            living(&world, &number.to_string(), 100);
        }
        world.advance(days(70));
        let nodes: Vec<Hallpass> = (0..6).map(|_| world.again(|builder| builder)).collect();
        let given = together(nodes.len(), |node| run(nodes[node].maintain()).unwrap().notices);
        assert_eq!(given.iter().sum::<u64>(), 5);
        assert_eq!(told(&world.events), [30; 5]);
    }
}

#[test]
fn a_notice_is_not_lost_with_the_node_that_took_it_on_itself() {
    let world = World::new();
    living(&world, "ci", 100);
    world.advance(days(70));
    world.events.take();
    world.store.breaks(Step::Update, Fault::Loses);
    assert!(run(world.hallpass.maintain()).is_err());
    world.store.heals();
    let other = world.again(|builder| builder);
    for (wait, given) in [(TimeDelta::minutes(5) - micro(), 0), (micro(), 1), (micro(), 0)] {
        world.advance(wait);
        assert_eq!(run(other.maintain()).unwrap().notices, given);
    }
    assert_eq!(told(&world.events), [30]);
}

#[test]
fn a_claim_of_a_node_whose_clock_is_ahead_holds() {
    // A claim as far ahead as it lasts is nobody's, or it would hold for ever.
    for (ahead, waits) in [(2, vec![(0, 0), (6, 0), (1, 1)]), (5, vec![(0, 1)])] {
        let world = World::new();
        living(&world, "ci", 100);
        world.advance(days(70));
        let clock = ManualClock::at(world.now().saturating_add(TimeDelta::minutes(ahead)));
        let other = world.again(|builder| builder.clock(clock));
        world.store.breaks(Step::Update, Fault::Loses);
        assert!(run(other.maintain()).is_err());
        world.store.heals();
        for (wait, given) in waits {
            world.advance(TimeDelta::minutes(wait));
            assert_eq!(run(world.hallpass.maintain()).unwrap().notices, given, "{ahead} {wait}");
        }
    }
}

/// Breaks the store once a notice was given, as a node does that ends right then.
#[derive(Debug)]
struct Last(Arc<Probe>, Recorder);

impl EventSink for Last {
    fn emit(&self, at: Timestamp, event: &Event) {
        if let Event::Expiring { .. } = event {
            self.0.breaks(Step::Update, Fault::Fails);
        }
        self.1.emit(at, event);
    }
}

#[test]
fn a_notice_is_given_again_where_that_it_was_could_not_be_noted() {
    let world = World::new();
    living(&world, "ci", 100);
    world.advance(days(70));
    let sink = Arc::new(Last(Arc::clone(&world.store), Recorder::default()));
    let node = world.again(|builder| builder.events(Arc::clone(&sink)));
    assert!(run(node.maintain()).is_err());
    assert_eq!(told(&sink.1), [30]);
    world.store.heals();
    assert_eq!(round(&world), NOTHING);
    world.advance(TimeDelta::minutes(5));
    assert_eq!(round(&world), [30]);
    world.advance(TimeDelta::minutes(5));
    assert_eq!(round(&world), NOTHING);
}

#[test]
fn an_engine_that_nobody_listens_to_leaves_notices_to_others() {
    let world = World::new();
    living(&world, "ci", 100);
    world.advance(days(70));
    let silent = Hallpass::builder(Arc::clone(&world.store))
        .brand("acme")
        .catalog(crate::world::catalog())
        .clock(Arc::clone(&world.clock))
        .build()
        .unwrap();
    assert_eq!(run(silent.maintain()).unwrap().notices, 0);
    assert_eq!(round(&world), [30]);
}

#[test]
fn what_changes_meanwhile_is_kept() {
    let world = World::new();
    let issued = living(&world, "ci", 100);
    world.advance(days(70));
    assert_eq!(round(&world), [30]);
    let token = world.get(&issued);
    assert_eq!((token.notices.given, token.notices.claimed_at), (1, None));
    // An edit of something else leaves the notices as they are.
    run(world.hallpass.update(&token.id, Edit::new().name("other"))).unwrap();
    assert_eq!(world.get(&issued).notices, token.notices);
}

#[test]
fn a_look_back_is_short_and_a_start_looks_at_all() {
    let world = World::with(|policy| policy.quota = None);
    for number in 0..1200 {
        living(&world, &number.to_string(), 100);
    }
    world.advance(days(70));
    assert_eq!(run(world.hallpass.maintain()).unwrap().notices, 1200);
    let lists = |engine: &Hallpass| {
        let before = world.store.calls(Step::List);
        assert_eq!(run(engine.maintain()).unwrap().notices, 0);
        world.store.calls(Step::List) - before
    };
    world.advance(TimeDelta::minutes(20));
    assert_eq!(lists(&world.hallpass), 4 + 2);
    world.advance(TimeDelta::minutes(20));
    assert_eq!(lists(&world.hallpass), 4);
    assert_eq!(lists(&world.again(|builder| builder)), 4 + 2);
}

#[test]
fn idle_tokens_are_revoked() {
    for store in stores() {
        let world = World::on(store(), |policy| policy.max_idle = Some(days(90)));
        let (unused, used) = (living(&world, "unused", 300), living(&world, "used", 300));
        let rotated = living(&world, "rotated", 300);
        let suspended = living(&world, "suspended", 300);
        run(world.hallpass.suspend(&suspended.token.id)).unwrap();
        world.advance(days(50));
        assert!(world.accepts(&used));
        run(world.hallpass.rotate(&rotated.token.id, Rotate::new())).unwrap();
        world.advance(days(40));
        assert_eq!(run(world.hallpass.maintain()).unwrap().idle, 0);
        world.advance(TimeDelta::hours(1));
        world.events.take();
        assert_eq!(run(world.hallpass.maintain()).unwrap().idle, 2);
        let revocation = world.get(&unused).revocation.unwrap();
        let expected = (Actor::System, RevocationReason::Idle);
        assert_eq!((revocation.by, revocation.reason), expected);
        assert!(world.get(&suspended).revocation.is_some());
        assert!(world.events.take().into_iter().any(|event| matches!(
            event,
            Event::Revoked { ids, reason: RevocationReason::Idle, .. } if ids.len() == 2
        )));
        world.advance(days(50));
        assert_eq!(run(world.hallpass.maintain()).unwrap().idle, 2);
        assert!(!world.accepts(&used) && world.get(&rotated).revocation.is_some());
    }
}

#[test]
fn a_use_that_is_not_yet_written_counts() {
    let world = World::with(|policy| policy.max_idle = Some(days(1)));
    let issued = living(&world, "ci", 300);
    world.advance(days(2));
    assert!(world.accepts(&issued));
    world.store.breaks(Step::Touch, Fault::Fails);
    assert!(run(world.hallpass.maintain()).is_err());
    world.store.heals();
    assert_eq!(run(world.hallpass.maintain()).unwrap().idle, 0);
    assert!(world.accepts(&issued));
}

#[test]
fn a_use_on_another_node_counts_once_that_node_wrote_it() {
    let policy = Policy { max_idle: Some(days(1)), ..Policy::default() };
    for (writes, idle) in [(true, 0), (false, 1)] {
        let world = World::with(|own| *own = policy.clone());
        let issued = living(&world, "ci", 300);
        let other = world.again(|builder| builder.policy(policy.clone()));
        world.advance(days(2));
        let context = hallpass::Context::default();
        assert!(run(other.verify(issued.plain.expose(), &context)).is_ok());
        if writes {
            run(other.maintain()).unwrap();
        }
        assert_eq!(run(world.hallpass.maintain()).unwrap().idle, idle);
    }
}

#[test]
fn a_token_is_not_idle_before_it_is_valid() {
    for store in stores() {
        let world = World::on(store(), |policy| policy.max_idle = Some(days(90)));
        let later = world.now().saturating_add(days(100));
        let late = |name| ci(name).expiry(Expiry::In(days(300))).not_before(later.to_utc());
        let (waiting, suspended) = (world.issue(late("waiting")), world.issue(late("suspended")));
        run(world.hallpass.suspend(&suspended.token.id)).unwrap();
        for (wait, idle) in [(days(95), 0), (days(95), 0), (micro(), 2)] {
            world.advance(wait);
            let another = world.again(|builder| builder.policy(world.hallpass.policy().clone()));
            assert_eq!(run(another.maintain()).unwrap().idle, idle);
        }
        assert!(world.get(&waiting).revocation.is_some());
    }
}

#[test]
fn a_token_that_is_regenerated_between_two_looks_is_not_revoked() {
    let world = World::with(|policy| {
        policy.max_idle = Some(days(90));
        policy.expiry_notices = Vec::new();
    });
    let (unused, rotated) = (living(&world, "unused", 300), living(&world, "rotated", 300));
    world.advance(days(91));
    world.store.yields(true);
    let mut round = Box::pin(world.hallpass.maintain());
    // The first look waits before its answer is read.
    for _ in 0..2 {
        assert!(poll_once(&mut round).is_pending());
    }
    assert_eq!((world.store.calls(Step::List), world.store.calls(Step::Revoke)), (1, 0));
    let fresh = run(world.hallpass.rotate(&rotated.token.id, Rotate::new())).unwrap();
    assert_eq!(run(round).unwrap().idle, 1);
    assert!(world.get(&unused).revocation.is_some());
    assert!(world.verify(fresh.plain.expose()).is_ok());
}

#[test]
fn nothing_is_idle_unless_policy_says_so_and_exchanged_tokens_never_are() {
    let world = World::new();
    living(&world, "ci", 300);
    world.advance(days(299));
    assert_eq!(run(world.hallpass.maintain()).unwrap().idle, 0);
    let world = World::with(|policy| {
        policy.exchange_lifetime = days(3);
        policy.max_exchange_lifetime = days(3);
    });
    let parent = living(&world, "parent", 300);
    let context = hallpass::Context::default();
    let child =
        run(world.hallpass.exchange(parent.plain.expose(), &context, Exchange::new())).unwrap();
    world.advance(days(1) + micro());
    assert!(world.accepts(&parent));
    run(world.hallpass.maintain()).unwrap();
    let policy = Policy { max_idle: Some(days(1)), ..Policy::default() };
    let stricter = world.again(|builder| builder.policy(policy));
    assert_eq!(run(stricter.maintain()).unwrap().idle, 0);
    assert!(world.accepts(&child));
}

#[test]
fn a_policy_that_tells_nonsense_is_refused() {
    let refused = |change: fn(&mut Policy)| {
        let mut policy = Policy::default();
        change(&mut policy);
        let builder = Hallpass::builder(hallpass::MemoryStore::new()).brand("acme");
        let catalog = ScopeCatalog::of(["a"]).unwrap();
        match builder.catalog(catalog).policy(policy).build() {
            Err(BuildError::Policy(error)) => error,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(refused(|p| p.expiry_notices = vec![days(1), days(7)]), PolicyError::Notices);
    assert_eq!(refused(|p| p.expiry_notices = vec![days(1), days(1)]), PolicyError::Notices);
    assert_eq!(refused(|p| p.expiry_notices = vec![days(1), -micro()]), PolicyError::Notices);
    let nine = |p: &mut Policy| p.expiry_notices = (0..9).rev().map(TimeDelta::days).collect();
    assert_eq!(refused(nine), PolicyError::Notices);
    assert_eq!(refused(|p| p.max_idle = Some(days(1) - micro())), PolicyError::Idle);
    // What is used all the time must not look idle.
    let idle = |p: fn(&mut Policy)| {
        let mut policy = Policy { max_idle: Some(days(7)), ..Policy::default() };
        p(&mut policy);
        policy.check()
    };
    assert_eq!(idle(|p| p.max_exchange_lifetime = days(7)), Err(PolicyError::Idle));
    assert_eq!(idle(|p| p.max_exchange_lifetime = days(7) - micro()), Ok(()));
    assert_eq!(
        idle(|p| p.last_use_interval = days(7) - TimeDelta::hours(1)),
        Err(PolicyError::Idle)
    );
    assert_eq!(idle(|p| p.last_use_interval = TimeDelta::MAX), Err(PolicyError::Idle));
    assert_eq!(idle(|p| p.last_use_interval = days(7) - TimeDelta::hours(1) - micro()), Ok(()));
    let late = |p: &mut Policy| p.confirmation = Some(TimeDelta::minutes(5) + micro());
    assert_eq!(refused(late), PolicyError::Confirmation);
    let none = Policy { expiry_notices: Vec::new(), confirmation: None, ..Policy::default() };
    assert_eq!(none.check(), Ok(()));
}
