//! Servers and networks that stop, hang and break between a node and its store.

use std::pin::pin;
use std::time::Duration;

use hallpass::{Hallpass, Issued, RevocationReason, RevokeError, Rotate, StoreError};

use crate::place::{
    Backend, Node, Place, REVOKED, TTL, Verdict, engine, is_changed, issue, open, open_within,
    revoke, until, verdict,
};
use crate::proxy::{Fate, Proxy, When};
use crate::{Case, Test, on_each, run};

pub(crate) fn tests() -> Vec<Test> {
    let servers: [Case; 6] = [
        ("f10_a_server_restarted_while_idle", f10_a_server_restarted_while_idle),
        ("f10_a_server_killed_in_a_step", f10_a_server_killed_in_a_step),
        ("f13_a_store_that_hangs", f13_a_store_that_hangs),
        ("f19_cut_off_from_the_store", f19_cut_off_from_the_store),
        ("f19_connections_that_lead_nowhere", f19_connections_that_lead_nowhere),
        ("f32_dropped_while_the_store_hangs", f32_dropped_while_the_store_hangs),
    ];
    servers.into_iter().flat_map(|(name, run)| on_each(name, Backend::SERVERS, run)).collect()
}

/// A step that takes longer fails in the tests in which stores hang.
const SHORT: Duration = Duration::from_secs(1);

/// A place, a proxy before it, a node behind that, which knows a token, and one that goes around.
struct Bench {
    _place: Place,
    proxy: Proxy,
    node: Node,
    elsewhere: Hallpass,
    token: Issued,
}

impl Bench {
    async fn new(backend: Backend) -> Self {
        let place = Place::new(backend).await;
        let elsewhere = engine(open(&place.url()).await);
        let token = issue(&elsewhere, "ci").await;
        let proxy = Proxy::before(place.port()).await;
        let node = Node::over(open_within(&place.url_by(proxy.port()), SHORT).await).await;
        Self { _place: place, proxy, node, elsewhere, token }
    }
}

/// Waits until the store behind an engine is reached again. Until then nobody is denied (I7).
async fn is_back(hallpass: &Hallpass, token: &Issued) {
    until("the store is reached again", async || {
        match verdict(hallpass, token.plain.expose()).await {
            Verdict::Accepted => true,
            Verdict::Unavailable => false,
            denied @ Verdict::Denied(_) => panic!("{denied:?}"),
        }
    })
    .await;
}

/// Nobody asks while the server is killed and started again. I5, I7.
fn f10_a_server_restarted_while_idle(backend: Backend) {
    run(async {
        let mut place = Place::to_kill(backend);
        let hallpass = engine(open(&place.url()).await);
        let (token, gone) = (issue(&hallpass, "ci").await, issue(&hallpass, "gone").await);
        revoke(&hallpass, &gone.token.id).await;
        place.kill();
        place.restart();
        is_back(&hallpass, &token).await;
        assert_eq!(verdict(&hallpass, gone.plain.expose()).await, REVOKED);
    });
}

/// The server dies with a question before it, with a commit before it, and after a commit of which
/// it told nobody. I5, I6, I7: each is an outage, whatever it did is whole, and it can be repeated.
fn f10_a_server_killed_in_a_step(backend: Backend) {
    run(async {
        let mut place = Place::to_kill(backend);
        let proxy = Proxy::before(place.port()).await;
        let hallpass = engine(open(&place.url_by(proxy.port())).await);
        let decisive = match backend {
            Backend::Postgres => "COMMIT\0",
            _ => "EVALSHA",
        };
        for when in [When::Asked(decisive.to_owned()), When::Answered(decisive.to_owned(), 0)] {
            let done = matches!(when, When::Answered(..));
            let token = issue(&hallpass, &format!("{done}")).await;
            let (id, text) = (token.token.id, token.plain.expose().to_owned());

            proxy.fail(When::Asked(id.to_string()), Fate::Lose);
            let asked = dies_in(&mut place, &proxy, async || verdict(&hallpass, &text).await).await;
            assert_eq!(asked, Verdict::Unavailable);
            place.restart();
            proxy.heal();
            is_back(&hallpass, &token).await;

            // Once restarted, Redis must be told its scripts again.
            let warm = issue(&hallpass, "warm").await;
            revoke(&hallpass, &warm.token.id).await;
            proxy.fail(when, Fate::Lose);
            let revoked = dies_in(&mut place, &proxy, async || {
                hallpass.revoke(&id, RevocationReason::Requested).await
            })
            .await;
            let outage = matches!(revoked, Err(RevokeError::Store(StoreError::Unavailable(_))));
            assert!(outage, "{revoked:?}");
            place.restart();
            proxy.heal();
            until("the store is reached again", async || {
                verdict(&hallpass, &text).await != Verdict::Unavailable
            })
            .await;
            let told = verdict(&hallpass, &text).await;
            assert!(if done { told == REVOKED } else { told == Verdict::Accepted }, "{told:?}");
            revoke(&hallpass, &id).await;
            assert_eq!(verdict(&hallpass, &text).await, REVOKED);
        }
    });
}

/// Takes a step until a request of it is swallowed, kills the server, and returns what became of
/// the step. One on a connection that was lost with the server before fails without a request.
async fn dies_in<T>(place: &mut Place, proxy: &Proxy, step: impl AsyncFn() -> T) -> T {
    loop {
        let mut taken = pin!(step());
        tokio::select! {
            biased;
            () = until("a request is swallowed", async || proxy.struck()) => {
                place.kill();
                return taken.await;
            }
            _ = &mut taken => {}
        }
    }
}

/// The store takes requests and answers none. I1, I7: what is remembered is good for the TTL,
/// everything else is an outage after the time limit, and when the store answers again all is well
/// at once: no connection is lost to those that gave up.
fn f13_a_store_that_hangs(backend: Backend) {
    run(async {
        let bench = Bench::new(backend).await;
        let cold = issue(&bench.elsewhere, "cold").await;
        bench.node.remembers(&bench.token).await;
        bench.proxy.fail(When::Always, Fate::Hang);
        // Many more than there are connections.
        let asked: Vec<_> = (0..40)
            .map(|_| {
                let (hallpass, text) =
                    (bench.node.hallpass.clone(), cold.plain.expose().to_owned());
                tokio::spawn(async move { verdict(&hallpass, &text).await })
            })
            .collect();
        assert_eq!(
            verdict(&bench.node.hallpass, bench.token.plain.expose()).await,
            Verdict::Accepted
        );
        for asked in asked {
            assert_eq!(asked.await.unwrap(), Verdict::Unavailable);
        }
        let reason = RevocationReason::Requested;
        assert!(bench.node.hallpass.revoke(&cold.token.id, reason).await.is_err());
        bench.node.age.advance(TTL);
        let told = verdict(&bench.node.hallpass, bench.token.plain.expose()).await;
        assert_eq!(told, Verdict::Unavailable);
        bench.proxy.heal();
        is_back(&bench.node.hallpass, &bench.token).await;
        is_back(&bench.node.hallpass, &cold).await;
        bench.node.hears().await;
    });
}

/// The node is cut off from its store, channel and all. I1, I7: it goes on for the TTL and not a
/// moment longer, and a revocation elsewhere is in force by then.
fn f19_cut_off_from_the_store(backend: Backend) {
    run(async {
        let bench = Bench::new(backend).await;
        let good = issue(&bench.elsewhere, "good").await;
        bench.node.remembers(&bench.token).await;
        bench.node.remembers(&good).await;
        bench.proxy.fail(When::Always, Fate::Cut);
        revoke(&bench.elsewhere, &bench.token.token.id).await;
        // Not yet heard of; but never past the TTL.
        bench.node.age.advance(TTL - Duration::from_nanos(1));
        for token in [&bench.token, &good] {
            let told = verdict(&bench.node.hallpass, token.plain.expose()).await;
            assert_eq!(told, Verdict::Accepted);
        }
        bench.node.age.advance(Duration::from_nanos(1));
        for token in [&bench.token, &good] {
            let told = verdict(&bench.node.hallpass, token.plain.expose()).await;
            assert_eq!(told, Verdict::Unavailable);
        }
        assert!(!bench.node.cache.is_caching());
        bench.proxy.heal();
        is_back(&bench.node.hallpass, &good).await;
        assert_eq!(verdict(&bench.node.hallpass, bench.token.plain.expose()).await, REVOKED);
        bench.node.hears().await;
    });
}

/// The server's machine is gone without a word and another one has its address: every connection
/// there is leads nowhere, and new ones work. I7: the node finds its way back by itself, soon.
fn f19_connections_that_lead_nowhere(backend: Backend) {
    run(async {
        let bench = Bench::new(backend).await;
        // As many connections as the pool has.
        let busy: Vec<_> = (0..8)
            .map(|_| {
                let (hallpass, id) = (bench.node.hallpass.clone(), bench.token.token.id);
                tokio::spawn(async move { is_changed(&hallpass, &id).await })
            })
            .collect();
        for busy in busy {
            let _ = busy.await;
        }
        bench.node.cache.flush();
        bench.proxy.fail(When::Made, Fate::Hang);
        // Clients that do not wait until the store gives up leave nothing hanging either.
        let impatient = SHORT * 3 / 8;
        let mut tries = 0;
        while tokio::time::timeout(impatient, is_back(&bench.node.hallpass, &bench.token))
            .await
            .is_err()
        {
            tries += 1;
            assert!(tries < 100, "nothing makes it look for another connection");
        }
        bench.node.age.advance(TTL);
        bench.node.hears().await;
        bench.node.remembers(&bench.token).await;
        revoke(&bench.elsewhere, &bench.token.token.id).await;
        until("it is heard of", async || {
            verdict(&bench.node.hallpass, bench.token.plain.expose()).await == REVOKED
        })
        .await;
    });
}

/// Requests are dropped by their clients while the store hangs. I6, I7: no connection, permit or
/// place in a queue is lost with them.
fn f32_dropped_while_the_store_hangs(backend: Backend) {
    run(async {
        let bench = Bench::new(backend).await;
        for _ in 0..3 {
            bench.node.cache.flush();
            bench.proxy.fail(When::Always, Fate::Hang);
            let asked: Vec<_> = (0..30)
                .map(|number| {
                    let hallpass = bench.node.hallpass.clone();
                    let (text, id) = (bench.token.plain.expose().to_owned(), bench.token.token.id);
                    tokio::spawn(async move {
                        match number % 3 {
                            0 => drop(is_changed(&hallpass, &id).await),
                            1 => drop(hallpass.rotate(&id, Rotate::new()).await),
                            _ => drop(verdict(&hallpass, &text).await),
                        }
                    })
                })
                .collect();
            tokio::task::yield_now().await;
            for asked in asked {
                asked.abort();
                let _ = asked.await;
            }
            bench.proxy.heal();
            until("the store answers", async || {
                is_changed(&bench.node.hallpass, &bench.token.token.id).await
            })
            .await;
            let told = verdict(&bench.node.hallpass, bench.token.plain.expose()).await;
            assert_eq!(told, Verdict::Accepted);
        }
    });
}
