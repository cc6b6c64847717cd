//! Which peppers are still needed.

use std::sync::Arc;

use chrono::TimeDelta;
use hallpass::{MemoryStore, PepperId, PepperRing, RevocationReason, Rotate};

use crate::world::{Fault, Step, World, ci, run};

fn pepper(first: u8) -> Vec<u8> {
    (first..first + 32).collect()
}

/// The peppers in use: number, tokens, and whether they are accepted.
fn used(hallpass: &hallpass::Hallpass) -> Vec<(u32, u64, bool)> {
    let uses = run(hallpass.peppers_in_use()).unwrap();
    let number = |pepper: Option<PepperId>| pepper.map_or(0, PepperId::number);
    uses.iter().map(|need| (number(need.pepper), need.tokens, need.accepted)).collect()
}

#[test]
fn a_retired_pepper_is_needed_until_nobody_has_it() {
    let world = World::new();
    assert_eq!(used(&world.hallpass), []);
    let bare = world.token("bare");
    let one = world
        .again(|builder| builder.peppers(PepperRing::none().with_current(1, &pepper(7)).unwrap()));
    run(one.issue(ci("a"))).unwrap();
    let b = run(one.issue(ci("b"))).unwrap();
    let gone = run(one.issue(ci("gone"))).unwrap();
    run(one.revoke(&gone.token.id, RevocationReason::Requested)).unwrap();
    assert_eq!(used(&one), [(0, 1, true), (1, 2, true)]);

    let ring = || PepperRing::none().with_retired(1, &pepper(7)).unwrap();
    let two = world.again(|builder| builder.peppers(ring().with_current(2, &pepper(50)).unwrap()));
    // In the overlap a token needs both.
    run(two.rotate(&b.token.id, Rotate::default())).unwrap();
    assert_eq!(used(&two), [(0, 1, true), (1, 2, true), (2, 1, true)]);
    world.advance(TimeDelta::hours(25));
    assert_eq!(used(&two), [(0, 1, true), (1, 1, true), (2, 1, true)]);
    // Without the retired one, and where a pepper is required, some cannot be verified.
    let strict = PepperRing::none().with_current(2, &pepper(50)).unwrap().require();
    let strict = world.again(|builder| builder.peppers(strict));
    assert_eq!(used(&strict), [(0, 1, false), (1, 1, false), (2, 1, true)]);
    // One that is used moves.
    run(two.verify(bare.plain.expose(), &hallpass::Context::default())).unwrap();
    assert_eq!(used(&two), [(1, 1, true), (2, 2, true)]);
    world.advance(TimeDelta::days(31));
    assert_eq!(used(&two), []);
}

#[test]
fn many_tokens_are_counted_in_pages() {
    let world = World::build(Arc::new(MemoryStore::new()), |builder| builder);
    for number in 0..1_003 {
        world.issue(ci("x").owner(format!("u{number}")));
    }
    assert_eq!(used(&world.hallpass), [(0, 1_003, true)]);
    world.store.breaks(Step::List, Fault::Fails);
    assert!(run(world.hallpass.peppers_in_use()).is_err());
}
