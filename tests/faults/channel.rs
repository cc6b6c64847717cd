//! Nodes that hear of each other by the store's channel, and by no clock: in these tests a cache
//! grows old only where it is told to.

use std::time::{Duration, Instant};

use hallpass::OwnerChange;
use hallpass::store::{Changes, Notice};

use crate::place::{
    Backend, Node, Place, REVOKED, TTL, Verdict, engine, issue, open, revoke, until, verdict,
};
use crate::process::Process;
use crate::proxy::{Fate, Proxy, When};
use crate::{Case, Test, on_each, run, test};

pub(crate) fn tests() -> Vec<Test> {
    let servers: [Case; 4] = [
        ("f16_three_nodes_hear_of_each_other", f16_three_nodes_hear_of_each_other),
        ("f16_f20_a_channel_that_is_silent", f16_f20_a_channel_that_is_silent),
        ("f17_a_revocation_in_a_gap", f17_a_revocation_in_a_gap),
        ("f18_messages_late_twice_and_out_of_order", f18_messages_late_twice_and_out_of_order),
    ];
    let mut tests: Vec<Test> =
        servers.into_iter().flat_map(|(name, run)| on_each(name, Backend::SERVERS, run)).collect();
    let postgres = &[Backend::Postgres];
    let together = f17_a_notice_together_with_an_answer;
    tests.push(test("f17_a_notice_together_with_an_answer", postgres, together));
    let file = &[Backend::Sqlite];
    tests.push(test("f16_three_processes_on_one_file", file, f16_three_processes_on_one_file));
    tests
}

/// Healthy, it takes milliseconds, and a second is promised. A busy machine may need longer.
const SOON: Duration = Duration::from_secs(5);

/// What a node says on the connection by which it listens.
fn listening(backend: Backend) -> When {
    When::Said(if backend == Backend::Postgres { "LISTEN" } else { "SUBSCRIBE" })
}

async fn told(node: &Node, text: &str) -> Verdict {
    verdict(&node.hallpass, text).await
}

/// Each of three nodes revokes, one token or all of an owner. I1: at once there, soon elsewhere.
fn f16_three_nodes_hear_of_each_other(backend: Backend) {
    run(async {
        let place = Place::new(backend).await;
        let mut nodes = Vec::new();
        for _ in 0..3 {
            nodes.push(Node::on(&place.url()).await);
        }
        for (number, here) in nodes.iter().enumerate() {
            let one = issue(&here.hallpass, &format!("one {number}")).await;
            let other = issue(&here.hallpass, &format!("other {number}")).await;
            for node in &nodes {
                node.remembers(&one).await;
                node.remembers(&other).await;
            }
            let began = Instant::now();
            revoke(&here.hallpass, &one.token.id).await;
            assert_eq!(told(here, one.plain.expose()).await, REVOKED);
            let tenant = &one.token.tenant;
            let change = OwnerChange::Deleted;
            here.hallpass.owner_changed(tenant, &one.token.owner, change).await.unwrap();
            assert_eq!(told(here, other.plain.expose()).await, REVOKED);
            for node in &nodes {
                until("it is heard of", async || {
                    told(node, one.plain.expose()).await == REVOKED
                        && told(node, other.plain.expose()).await == REVOKED
                })
                .await;
            }
            assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
        }
    });
}

/// A node's channel hangs, and its store does not. I1: it refuses when the TTL is over, forgets
/// everything, remembers nothing while the channel is silent, and is itself again when it heals.
fn f16_f20_a_channel_that_is_silent(backend: Backend) {
    run(async {
        let place = Place::new(backend).await;
        let proxy = Proxy::before(place.port()).await;
        let here = Node::on(&place.url()).await;
        let there = Node::on(&place.url_by(proxy.port())).await;
        let token = issue(&here.hallpass, "ci").await;
        let good = issue(&here.hallpass, "good").await;
        there.remembers(&token).await;
        there.remembers(&good).await;
        proxy.fail(listening(backend), Fate::Hang);
        until("the channel hangs", async || proxy.struck()).await;
        revoke(&here.hallpass, &token.token.id).await;
        assert_eq!(told(&here, token.plain.expose()).await, REVOKED);
        there.age.advance(TTL);
        assert_eq!(told(&there, token.plain.expose()).await, REVOKED);
        // A sign of life may just have come in.
        until("the cache is off", async || {
            there.age.advance(TTL);
            !there.cache.is_caching()
        })
        .await;
        // Without its channel it asks the store each time, and so knows everything at once.
        let last = issue(&here.hallpass, "last").await;
        for token in [&good, &last] {
            assert_eq!(told(&there, token.plain.expose()).await, Verdict::Accepted);
            let mut remembered = false;
            hallpass::TokenStore::resident(&there.cache, &token.token.id, &mut |_| {
                remembered = true;
            });
            assert!(!remembered);
        }
        revoke(&here.hallpass, &last.token.id).await;
        assert_eq!(told(&there, last.plain.expose()).await, REVOKED);
        proxy.heal();
        there.hears().await;
        there.remembers(&good).await;
        revoke(&here.hallpass, &good.token.id).await;
        until("it is heard of", async || told(&there, good.plain.expose()).await == REVOKED).await;
    });
}

/// A node's channel breaks, a token is revoked before it is made anew. I1: the node forgets
/// everything as soon as it listens again.
fn f17_a_revocation_in_a_gap(backend: Backend) {
    run(async {
        let place = Place::new(backend).await;
        let proxy = Proxy::before(place.port()).await;
        let there = Node::on(&place.url_by(proxy.port())).await;
        let elsewhere = engine(open(&place.url()).await);
        for number in 0..3 {
            let token = issue(&elsewhere, &format!("ci {number}")).await;
            there.hears().await;
            there.remembers(&token).await;
            proxy.fail(listening(backend), Fate::Cut);
            until("the channel is cut", async || proxy.struck()).await;
            revoke(&elsewhere, &token.token.id).await;
            proxy.heal();
            until("the gap is noticed", async || {
                told(&there, token.plain.expose()).await == REVOKED
            })
            .await;
        }
    });
}

/// The server is asked whether it is there, and its answer comes in the midst of many notices. I1:
/// none is lost, and the channel goes on.
fn f17_a_notice_together_with_an_answer() {
    run(async {
        let place = Place::new(Backend::Postgres).await;
        let proxy = Proxy::before(place.port()).await;
        let elsewhere = engine(open(&place.url()).await);
        let id = issue(&elsewhere, "ci").await.token.id;
        let twice = async || {
            elsewhere.suspend(&id).await.unwrap();
            elsewhere.resume(&id).await.unwrap();
        };
        let listening = open(&place.url_by(proxy.port())).await;
        let mut changes = listening.changes().await.unwrap().unwrap();
        assert_eq!(changes.next().await.unwrap(), Notice::Gap);
        for _ in 0..4 {
            proxy.fail(When::Answered("hallpass_revocations".to_owned(), 0), Fate::Hang);
            tokio::select! {
                biased;
                () = until("the answer hangs", async || proxy.struck()) => {}
                // What was said last, and signs of life.
                () = until_told(&mut *changes, Notice::Gap) => panic!("a gap"),
            }
            // Nobody listens for a moment, so that it comes with the notices before and after it.
            twice().await;
            proxy.heal();
            twice().await;
            assert_ne!(changes.next().await.unwrap(), Notice::Gap);
            twice().await;
            until_told(&mut *changes, Notice::Alive).await;
        }
        let version = elsewhere.get(&id).await.unwrap().unwrap().version + 1;
        revoke(&elsewhere, &id).await;
        until_told(&mut *changes, Notice::Changed { id, version }).await;
    });
}

/// Listens until something is told, and hears of no outage, nor of a gap that is not wanted.
async fn until_told(changes: &mut dyn Changes, wanted: Notice) {
    loop {
        let notice = changes.next().await.unwrap();
        if notice == wanted {
            return;
        }
        assert_ne!(notice, Notice::Gap);
    }
}

/// Messages come late, twice, and after newer ones. I1: nothing older takes the place of anything
/// newer, and what is revoked stays revoked.
fn f18_messages_late_twice_and_out_of_order(backend: Backend) {
    run(async {
        let place = Place::new(backend).await;
        let proxy = Proxy::before(place.port()).await;
        let elsewhere = engine(open(&place.url()).await);
        let there = Node::on(&place.url_by(proxy.port())).await;
        let token = issue(&elsewhere, "ci").await;
        let good = issue(&elsewhere, "good").await;
        let (id, text) = (token.token.id, token.plain.expose());
        there.remembers(&token).await;
        // A few changes are told late, while the node makes the last one itself.
        proxy.fail(listening(backend), Fate::Hang);
        until("the channel hangs", async || proxy.struck()).await;
        for _ in 0..3 {
            elsewhere.suspend(&id).await.unwrap();
            elsewhere.resume(&id).await.unwrap();
        }
        revoke(&there.hallpass, &id).await;
        assert_eq!(told(&there, text).await, REVOKED);
        proxy.heal();
        there.hears().await;
        there.remembers(&good).await;
        for version in [1, 7, 2, 8, 8, 1] {
            match backend {
                Backend::Postgres => {
                    let notify =
                        format!("SELECT 'told' FROM pg_notify('hallpass', '{id}:{version}')");
                    place.sql(&notify).await;
                }
                _ => {
                    let message = format!("0 {version} {id} {version}");
                    place.redis(&["PUBLISH", "hallpass:changes", &message]);
                }
            }
            assert_eq!(told(&there, text).await, REVOKED);
        }
        // After all that it hears of what is new, and knows what is good.
        let last = issue(&elsewhere, "last").await;
        there.remembers(&last).await;
        revoke(&elsewhere, &last.token.id).await;
        until("it is heard of", async || told(&there, last.plain.expose()).await == REVOKED).await;
        assert_eq!(told(&there, text).await, REVOKED);
        assert_eq!(told(&there, good.plain.expose()).await, Verdict::Accepted);
    });
}

/// Three processes share a file, each revokes. I1: at once there, soon elsewhere, told by SQLite's
/// count of commits.
fn f16_three_processes_on_one_file() {
    run(async {
        let place = Place::new(Backend::Sqlite).await;
        let mut nodes: Vec<Process> = (0..3).map(|_| Process::start(&place.url())).collect();
        for number in 0..3 {
            let answer = nodes[number].ask(&format!("issue {number} {number}"));
            let words: Vec<&str> = answer.split(' ').collect();
            let verify = format!("verify {}", words[2]);
            for node in &mut nodes {
                assert_eq!(node.ask(&verify), "accepted");
            }
            let began = Instant::now();
            assert_eq!(nodes[number].ask(&format!("revoke {}", words[1])), "revoked true");
            assert_eq!(nodes[number].ask(&verify), "Revoked");
            for node in &mut nodes {
                while node.ask(&verify) != "Revoked" {
                    assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
                }
            }
        }
    });
}
