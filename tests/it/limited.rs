//! A store that is slow, behind limits.

use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use hallpass::store::{Filter, PageRequest, Reach, SortKey};
use hallpass::{
    Context, Hallpass, LimitedStore, MemoryStore, Outage, RevocationReason, RevokeError,
    StoreError, TokenStore, VerifyError,
};
use tokio::time::Instant;

use crate::world::{Fault, Probe, Step, catalog, ci, start};

type Limited = Arc<LimitedStore<Arc<Probe>>>;

/// A store of at most two steps of a second each, the probe inside, and an engine on it.
fn limited() -> (Limited, Arc<Probe>, Hallpass) {
    let probe = Arc::new(Probe::around(Arc::new(MemoryStore::new())));
    let store =
        LimitedStore::new(probe.clone()).with_timeout(Duration::from_secs(1)).with_max_steps(2);
    let store: Limited = Arc::new(store);
    let builder = Hallpass::builder(store.clone()).brand("acme").catalog(catalog());
    (store, probe, builder.build().unwrap())
}

#[tokio::test(start_paused = true)]
async fn a_step_that_takes_too_long_is_an_outage() {
    let (_, probe, hallpass) = limited();
    let issued = hallpass.issue(ci("a")).await.unwrap();
    probe.cool();
    let context = Context::default();
    let verify = || hallpass.verify(issued.plain.expose(), &context);
    assert!(verify().await.is_ok());
    probe.breaks(Step::Find, Fault::Hangs);
    probe.breaks(Step::Revoke, Fault::Hangs);
    let begin = Instant::now();
    let refused = verify().await;
    let outage =
        matches!(refused, Err(VerifyError::Unavailable(Outage::Store(StoreError::Unavailable(_)))));
    assert!(outage, "{refused:?}");
    assert_eq!(begin.elapsed().as_secs(), 1);
    let refused = hallpass.revoke_matching(Filter::new(Reach::All), RevocationReason::Leaked).await;
    assert!(matches!(refused, Err(RevokeError::Store(StoreError::Unavailable(_)))), "{refused:?}");
    probe.heals();
    assert!(verify().await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn steps_for_which_there_is_no_room_are_turned_away_at_once() {
    let (store, probe, hallpass) = limited();
    let id = hallpass.issue(ci("a")).await.unwrap().token.id;
    probe.breaks(Step::Find, Fault::Hangs);
    let begin = Instant::now();
    {
        let (mut one, mut two) = (pin!(store.find(&id)), pin!(store.find(&id)));
        std::future::poll_fn(|context| {
            assert!(one.as_mut().poll(context).is_pending());
            assert!(two.as_mut().poll(context).is_pending());
            Poll::Ready(())
        })
        .await;
        let everything = Filter::new(Reach::All);
        let page = PageRequest { sort: SortKey::Name, descending: false, after: None, limit: 10 };
        for _ in 0..10 {
            let refused = store.list(&everything, &page, start()).await;
            assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
        }
        assert_eq!((probe.calls(Step::List), begin.elapsed().as_secs()), (0, 0));
    }
    // Those that were given up have made room.
    probe.heals();
    assert!(store.find(&id).await.unwrap().is_some());
}
