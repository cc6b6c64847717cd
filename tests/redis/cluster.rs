//! A cluster of three masters with a replica each.

use std::sync::Mutex;
use std::time::Duration;

use hallpass::store::{Changes, Filter, Notice, Reach};
use hallpass::{RedisOptions, RedisStore, StoreError, TokenStore};

use crate::server::{DURABLE, Server, cli, free_port, wait_until};
use crate::single::told;
use crate::{Test, run, test};
use hallpass::conformance::support::{anything, id, mark, only, owner, record_with};
use hallpass::conformance::{CASES, Fixture};

struct Cluster {
    nodes: Vec<Server>,
}

impl Cluster {
    fn start() -> Self {
        let node = |_| {
            let bus = free_port().to_string();
            let own = ["--cluster-enabled", "yes", "--cluster-node-timeout", "2000"];
            let bus = ["--cluster-port", bus.as_str()];
            Server::start(&[&DURABLE[..], &own, &bus].concat())
        };
        let nodes: Vec<Server> = (0..6).map(node).collect();
        let addresses: Vec<String> =
            nodes.iter().map(|node| format!("127.0.0.1:{}", node.port())).collect();
        let mut command = vec!["--cluster", "create"];
        command.extend(addresses.iter().map(String::as_str));
        command.extend(["--cluster-replicas", "1", "--cluster-yes"]);
        cli(&command);
        let cluster = Self { nodes };
        wait_until("the cluster", || {
            cluster.nodes.iter().all(|node| {
                let state = node.cli(&["CLUSTER", "INFO"]);
                let replication = node.cli(&["INFO", "replication"]);
                state.contains("cluster_state:ok")
                    && (replication.contains("state=online")
                        || replication.contains("master_link_status:up"))
            })
        });
        cluster
    }

    fn urls(&self) -> Vec<String> {
        self.nodes.iter().map(Server::url).collect()
    }

    /// The master that has the slot of a key.
    fn master_of(&mut self, key: &str) -> &mut Server {
        let slot = self.nodes[0].cli(&["CLUSTER", "KEYSLOT", key]);
        let slot: u32 = slot.trim().parse().unwrap();
        let owns = |node: &Server| {
            let nodes = node.cli(&["CLUSTER", "NODES"]);
            let own = nodes.lines().find(|line| line.contains("myself")).unwrap();
            own.split(' ').skip(8).any(|range| {
                let (first, last) = range.split_once('-').unwrap_or((range, range));
                (first.parse().unwrap()..=last.parse::<u32>().unwrap()).contains(&slot)
            })
        };
        self.nodes.iter_mut().find(|node| owns(node)).unwrap()
    }
}

static SHARED: Mutex<Option<Cluster>> = Mutex::new(None);

fn shared() -> Vec<String> {
    SHARED.lock().unwrap().get_or_insert_with(Cluster::start).urls()
}

pub(crate) fn stop() {
    SHARED.lock().unwrap().take();
}

pub(crate) fn tests() -> Vec<Test> {
    let mut tests = vec![
        test("cluster::nodes_of_a_cluster_tell_changes", nodes_of_a_cluster_tell_changes),
        test(
            "cluster::a_cluster_with_replicas_must_be_waited_for",
            a_cluster_with_replicas_must_be_waited_for,
        ),
        test(
            "cluster::a_pointer_without_a_record_is_absence",
            a_pointer_without_a_record_is_absence,
        ),
        test(
            "cluster::a_killed_master_is_an_outage_and_no_loss",
            a_killed_master_is_an_outage_and_no_loss,
        ),
        test(
            "cluster::f11_a_master_killed_while_tokens_are_revoked",
            f11_a_master_killed_while_tokens_are_revoked,
        ),
        test("cluster::f19_a_master_that_hangs", f19_a_master_that_hangs),
    ];
    for case in CASES {
        tests.push(test(&format!("cluster::{case:?}"), move || {
            run(async {
                let name = case.name();
                let store = Fixture::new(on_shared(name, 4).await);
                case.run(store.with_second(on_shared(name, 4).await)).await;
            });
        }));
        #[cfg(feature = "cache")]
        tests.push(test(&format!("cluster::cached::{case:?}"), move || {
            run(async {
                let name = format!("cached {}", case.name());
                let store = on_shared(&name, 4).await;
                let second = on_shared(&name, 4).await;
                case.run(crate::cached::two_nodes(store, second).await).await;
            });
        }));
    }
    tests
}

async fn on_shared(prefix: &str, shards: u32) -> RedisStore {
    let options = RedisOptions::new().with_prefix(format!("{prefix}:"));
    options.with_shards(shards).with_replicas(1).connect_cluster(shared()).await.unwrap()
}

fn nodes_of_a_cluster_tell_changes() {
    run(async {
        // As many shards as a cluster has by itself.
        let (here, there) = (on_shared("changes", 256).await, on_shared("changes", 256).await);
        let mut subscribed: Vec<Box<dyn Changes>> = Vec::new();
        for _ in 0..3 {
            let mut changes = here.changes().await.unwrap().unwrap();
            assert_eq!(told(&mut changes).await, Notice::Gap);
            subscribed.push(changes);
        }
        for number in 0..20 {
            let mine = record_with(number, |token| token.owner = owner(&number.to_string()));
            there.insert(&mine, &anything()).await.unwrap();
            for changes in &mut subscribed {
                let notice = told(changes).await;
                assert_eq!(notice, Notice::Changed { id: id(number), version: 1 });
            }
        }
        for changes in &mut subscribed {
            assert_eq!(changes.next().await.unwrap(), Notice::Alive);
        }
        let revoked = there.revoke(&Filter::new(Reach::All), &mark(1)).await.unwrap();
        assert_eq!(revoked.len(), 20);
    });
}

fn a_cluster_with_replicas_must_be_waited_for() {
    run(async {
        let error = RedisStore::connect_cluster(shared()).await.unwrap_err();
        let StoreError::Unavailable(cause) = error else { panic!("{error:?}") };
        assert!(cause.to_string().contains("replica"), "{cause}");
        // More replicas than there are never have a change.
        let options = RedisOptions::new().with_prefix("lonely:").with_replicas(2);
        let error = options.connect_cluster(shared()).await.unwrap_err();
        assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
    });
}

fn a_pointer_without_a_record_is_absence() {
    run(async {
        let store = on_shared("pointers", 4).await;
        let mine = record_with(1, |token| token.owner = owner("u1"));
        store.insert(&mine, &anything()).await.unwrap();
        // Crashed between the pointer and the record.
        let urls = shared();
        let port = urls[0].rsplit(':').next().unwrap();
        for (number, shard) in [(2, 0), (3, 1), (4, 2), (5, 3)] {
            let key = format!("pointers:at:{}", id(number));
            cli(&["-c", "-p", port, "SET", &key, &shard.to_string()]);
            assert_eq!(store.find(&id(number)).await.unwrap(), None);
            assert_eq!(store.revoke(&only([number]), &mark(1)).await.unwrap(), []);
            let change = Default::default();
            assert_eq!(
                store
                    .update(&id(number), 1, &change, hallpass::conformance::support::at(0))
                    .await
                    .unwrap(),
                None
            );
        }
        let mut free = 0;
        for number in 2..6 {
            let again = record_with(number, |token| token.owner = owner("u1"));
            match store.insert(&again, &anything()).await {
                Ok(()) => free += 1,
                Err(error) => assert!(matches!(error, StoreError::Conflict(_)), "{error:?}"),
            }
        }
        assert_eq!(free, 1);
        assert_eq!(store.find(&id(1)).await.unwrap(), Some(mine));
    });
}

fn a_killed_master_is_an_outage_and_no_loss() {
    let mut cluster = Cluster::start();
    run(async {
        let options = RedisOptions::new().with_shards(4).with_replicas(1);
        let store = options.connect_cluster(cluster.urls()).await.unwrap();
        let mine =
            |number: u32| record_with(number, |token| token.owner = owner(&number.to_string()));
        for number in 0..40 {
            store.insert(&mine(number), &anything()).await.unwrap();
            if number % 2 == 0 {
                store.revoke(&only([number]), &mark(1)).await.unwrap();
            }
        }
        let mut changes = store.changes().await.unwrap().unwrap();
        assert_eq!(told(&mut changes).await, Notice::Gap);
        cluster.master_of("hallpass:{0}").kill();
        // Until the replica has taken over, and after that, there is no wrong answer.
        let mut outages = 0;
        loop {
            let mut answered = 0;
            for number in 0..40 {
                match store.find(&id(number)).await {
                    Ok(found) => {
                        let found = found.expect("the record");
                        assert_eq!(found.token.revocation.is_some(), number % 2 == 0, "{number}");
                        answered += 1;
                    }
                    Err(error) => {
                        assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
                        outages += 1;
                        break;
                    }
                }
            }
            if answered == 40 {
                break;
            }
        }
        assert!(outages > 0);
        // The promoted replica has no replica itself: nothing is acknowledged there, and what is
        // not acknowledged may have happened.
        let revoked = store.revoke(&Filter::new(Reach::All), &mark(2)).await;
        assert!(matches!(revoked, Err(StoreError::Unavailable(_))), "{revoked:?}");
        // Whatever became of the subscription, it is told, and the channel works in the end.
        loop {
            let next = tokio::time::timeout(Duration::from_secs(10), changes.next());
            if let Ok(Notice::Alive) = next.await.expect("a notice or an error") {
                break;
            }
        }
    });
}

/// A record in whichever shard its number leads to.
fn of_anybody(number: u32) -> hallpass::Record {
    record_with(number, |token| token.owner = owner(&number.to_string()))
}

/// A master dies in the midst of work on all shards. What was acknowledged is in force after its
/// replica took over (I1, I5), what was not is an outage (I7).
fn f11_a_master_killed_while_tokens_are_revoked() {
    let mut cluster = Cluster::start();
    run(async {
        let options = RedisOptions::new().with_shards(16).with_replicas(1);
        let store = options.connect_cluster(cluster.urls()).await.unwrap();
        let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
        for worker in 1..=3_u32 {
            let (store, tell) = (store.clone(), tell.clone());
            tokio::spawn(async move {
                let outage = |error: &StoreError| matches!(error, StoreError::Unavailable(_));
                for number in worker * 100_000.. {
                    match store.insert(&of_anybody(number), &anything()).await {
                        Ok(()) => {}
                        Err(error) => {
                            assert!(outage(&error), "{error:?}");
                            continue;
                        }
                    }
                    let revoked = match store.revoke(&only([number]), &mark(1)).await {
                        Ok(_) => true,
                        Err(error) => {
                            assert!(outage(&error), "{error:?}");
                            false
                        }
                    };
                    if tell.send((number, revoked)).is_err() {
                        return;
                    }
                }
            });
        }
        let mut acknowledged = Vec::new();
        while acknowledged.len() < 200 {
            acknowledged.push(told.recv().await.unwrap());
        }
        cluster.master_of("hallpass:{0}").kill();
        // On the other masters work goes on.
        while acknowledged.len() < 400 {
            acknowledged.push(told.recv().await.unwrap());
        }
        told.close();
        while let Some(last) = told.recv().await {
            acknowledged.push(last);
        }
        for (number, revoked) in acknowledged {
            let found = found_at_last(&store, number).await;
            assert!(found.token.revocation.is_some() || !revoked, "{number}");
        }
    });
}

/// A master hangs and its replica takes over; every connection to the old one leads nowhere. I7:
/// the store finds the new one by itself, and says nothing wrong meanwhile.
fn f19_a_master_that_hangs() {
    let mut cluster = Cluster::start();
    run(async {
        let options = RedisOptions::new().with_shards(16).with_replicas(1);
        let options = options.with_timeout(Duration::from_secs(1));
        let store = options.connect_cluster(cluster.urls()).await.unwrap();
        for number in 0..32 {
            store.insert(&of_anybody(number), &anything()).await.unwrap();
            store.revoke(&only([number]), &mark(1)).await.unwrap();
        }
        let master = cluster.master_of("hallpass:{0}");
        master.pause(true);
        for number in 0..32 {
            let found = found_at_last(&store, number).await;
            assert_eq!(found.token.revocation, Some(mark(1)));
        }
    });
}

/// The record, once the store can be asked. Until then it says that it cannot.
async fn found_at_last(store: &RedisStore, number: u32) -> hallpass::Record {
    let began = std::time::Instant::now();
    loop {
        match store.find(&id(number)).await {
            Ok(found) => return found.expect("the record"),
            Err(error) => assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}"),
        }
        assert!(began.elapsed() < Duration::from_secs(60), "the store is not back");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
