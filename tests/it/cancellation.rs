//! Futures dropped at every await point: the state is that before or that after, never between.

use std::sync::Arc;

use hallpass::store::{Filter, Reach};
use hallpass::{
    Context, Edit, Ensured, Exchange, Issued, OwnerChange, Record, RevocationReason, Rotate,
    Tenant, TokenStore,
};

use crate::world::{World, ci, owner, poll_once, run, stores};

/// All that is stored.
fn state(world: &World) -> Vec<Record> {
    let page = hallpass::store::PageRequest {
        sort: hallpass::store::SortKey::Name,
        descending: false,
        after: None,
        limit: 100,
    };
    run(world.store.list(&Filter::new(Reach::All), &page, world.now())).unwrap()
}

/// Runs an operation again and again, dropped one await point later each time, and looks at what
/// each left behind: whether it is the state before, or one that `done` takes for the one after.
fn drop_everywhere<T>(
    prepare: impl Fn(&World) -> T,
    operate: impl AsyncFn(&World, &T),
    done: impl Fn(&World, &T) -> bool,
) {
    for store in stores() {
        drop_everywhere_on(store, &prepare, &operate, &done);
    }
}

fn drop_everywhere_on<T>(
    store: fn() -> Arc<dyn TokenStore>,
    prepare: &impl Fn(&World) -> T,
    operate: &impl AsyncFn(&World, &T),
    done: &impl Fn(&World, &T) -> bool,
) {
    let mut seen = (false, false);
    for polls in 0..100 {
        let world = World::on(store(), |_| {});
        let prepared = prepare(&world);
        let before = state(&world);
        world.store.yields(true);
        let mut operation = Box::pin(operate(&world, &prepared));
        let finished = (0..polls).any(|_| poll_once(&mut operation).is_ready());
        drop(operation);
        world.store.yields(false);
        if state(&world) == before {
            assert!(!finished, "the operation ended and did nothing");
            seen.0 = true;
        } else {
            assert!(done(&world, &prepared), "half done after {polls} polls");
            seen.1 |= !finished;
        }
        if finished {
            assert!(polls >= 2, "the operation never waited");
            assert!(seen.0 && seen.1);
            return;
        }
    }
    panic!("the operation never ended");
}

fn one(world: &World) -> Issued {
    world.token("ci")
}

fn family(world: &World) -> (Issued, Issued) {
    let parent = one(world);
    let context = Context::default();
    let child = run(world.hallpass.exchange(parent.plain.expose(), &context, Exchange::new()));
    (parent, child.unwrap())
}

#[test]
fn an_issue_dropped_midway_gave_a_whole_token_or_none() {
    drop_everywhere(
        |_| (),
        async |world, ()| drop(world.hallpass.issue(ci("ci")).await.unwrap()),
        |world, ()| {
            let [record] = &state(world)[..] else { return false };
            // Repeating the request leads to that one, which nobody has used.
            let Ensured::Existing(token) = run(world.hallpass.issue_if_absent(ci("ci"))).unwrap()
            else {
                return false;
            };
            *token == record.token && token.last_use.is_none() && token.version == 1
        },
    );
}

#[test]
fn a_rotation_dropped_midway_leaves_the_older_secret_good() {
    drop_everywhere(
        one,
        async |world, old| {
            drop(world.hallpass.rotate(&old.token.id, Rotate::new()).await.unwrap());
        },
        |world, old| {
            let again = run(world.hallpass.rotate(&old.token.id, Rotate::new())).unwrap();
            world.accepts(old) && world.accepts(&again) && state(world).len() == 1
        },
    );
}

#[test]
fn a_rotation_by_the_token_itself_dropped_midway_leaves_it_good() {
    drop_everywhere(
        one,
        async |world, old| {
            let text = old.plain.expose();
            let context = Context::default();
            let rotated = world.hallpass.rotate_presented(text, &context, Rotate::new()).await;
            drop(rotated.unwrap());
        },
        |world, old| {
            let text = old.plain.expose();
            let context = Context::default();
            let again = run(world.hallpass.rotate_presented(text, &context, Rotate::new()));
            world.accepts(old) && world.accepts(&again.unwrap())
        },
    );
}

#[test]
fn a_revocation_dropped_midway_took_all_or_nothing() {
    drop_everywhere(
        family,
        async |world, (parent, _)| {
            let reason = RevocationReason::Requested;
            assert!(world.hallpass.revoke(&parent.token.id, reason).await.unwrap());
        },
        |world, (parent, child)| !world.accepts(parent) && !world.accepts(child),
    );
    drop_everywhere(
        family,
        async |world, (parent, _)| {
            let text = parent.plain.expose();
            world.hallpass.revoke_text(text, RevocationReason::Leaked).await.unwrap();
        },
        |world, (parent, child)| !world.accepts(parent) && !world.accepts(child),
    );
    drop_everywhere(
        family,
        async |world, _| {
            let change = OwnerChange::Deleted;
            let (tenant, owner) = (Tenant::DEFAULT, owner("u1"));
            world.hallpass.owner_changed(&tenant, &owner, change).await.unwrap();
        },
        |world, _| state(world).iter().all(|record| record.token.revocation.is_some()),
    );
}

#[test]
fn a_change_dropped_midway_was_made_or_not() {
    drop_everywhere(
        one,
        async |world, issued| {
            let edit = Edit::new().name("new").scopes(["hooks"]);
            world.hallpass.update(&issued.token.id, edit).await.unwrap();
        },
        |world, issued| {
            let token = world.get(issued);
            token.name.as_str() == "new" && token.scopes.to_string() == "hooks"
        },
    );
    drop_everywhere(
        one,
        async |world, issued| {
            world.hallpass.suspend(&issued.token.id).await.unwrap();
        },
        |world, issued| world.get(issued).suspension.is_some(),
    );
}

#[test]
fn an_exchange_dropped_midway_gave_a_whole_token_or_none() {
    drop_everywhere(
        one,
        async |world, parent| {
            let text = parent.plain.expose();
            let exchange = Exchange::new();
            drop(world.hallpass.exchange(text, &Context::default(), exchange).await.unwrap());
        },
        |world, parent| {
            let children = state(world).into_iter().filter(|record| record.token.parent.is_some());
            let children: Vec<_> = children.collect();
            world.accepts(parent)
                && matches!(&children[..], [child] if child.token.expires_at.is_some())
        },
    );
}

#[test]
fn a_verification_dropped_while_it_notes_the_first_use_harms_nothing() {
    drop_everywhere(
        |world| {
            let old = one(world);
            run(world.hallpass.rotate(&old.token.id, Rotate::new())).unwrap()
        },
        async |world, new| {
            world.hallpass.verify(new.plain.expose(), &Context::default()).await.unwrap();
        },
        World::accepts,
    );
}
