//! One server.

use std::sync::Mutex;
use std::task::Poll;
use std::time::{Duration, Instant};

use hallpass::store::{Changes, Conflict, Filter, Notice, Reach, SortKey};
use hallpass::{RedisOptions, RedisStore, ScopeList, StoreError, TokenStore};

use crate::server::{DURABLE, Server, wait_until};
use crate::{Test, run, test};
use hallpass::conformance::support::{
    all, anything, at, id, ids, mark, only, owner, page, record, record_with,
};
use hallpass::conformance::{CASES, Fixture};

static SHARED: Mutex<Option<Server>> = Mutex::new(None);

/// The server that tests share which let it live.
fn shared() -> String {
    let mut shared = SHARED.lock().unwrap();
    shared.get_or_insert_with(|| Server::start(&DURABLE)).url()
}

pub(crate) fn stop() {
    SHARED.lock().unwrap().take();
}

pub(crate) fn tests() -> Vec<Test> {
    let mut tests = vec![
        test("single::two_stores_see_each_others_changes", two_stores_see_each_others_changes),
        test("single::a_lost_message_is_a_gap", a_lost_message_is_a_gap),
        test("single::a_broken_subscription_is_told", a_broken_subscription_is_told),
        test(
            "single::what_was_acknowledged_survives_a_kill",
            what_was_acknowledged_survives_a_kill,
        ),
        test(
            "single::servers_that_may_lose_steps_are_refused",
            servers_that_may_lose_steps_are_refused,
        ),
        test("single::replicas_are_refused", replicas_are_refused),
        test(
            "single::a_master_that_becomes_a_replica_is_an_outage",
            a_master_that_becomes_a_replica_is_an_outage,
        ),
        test("single::unknown_settings_are_refused", unknown_settings_are_refused),
        test("single::keys_of_others_are_refused", keys_of_others_are_refused),
        test("single::damaged_records_are_told", damaged_records_are_told),
        test("single::a_stopped_server_is_an_outage", a_stopped_server_is_an_outage),
        test("single::more_steps_than_fit_are_turned_away", more_steps_than_fit_are_turned_away),
        test("single::finds_at_once_are_all_answered", finds_at_once_are_all_answered),
        test("single::a_forgotten_script_is_told_again", a_forgotten_script_is_told_again),
        test("single::many_records_are_walked_in_pieces", many_records_are_walked_in_pieces),
    ];
    for case in CASES {
        tests.push(test(&format!("single::{case:?}"), move || {
            run(async {
                let name = case.name();
                let store = Fixture::new(on_shared(name).await);
                case.run(store.with_second(on_shared(name).await)).await;
            });
        }));
        #[cfg(feature = "cache")]
        tests.push(test(&format!("single::cached::{case:?}"), move || {
            run(async {
                let name = format!("cached {}", case.name());
                let store = on_shared(&name).await;
                let second = on_shared(&name).await;
                case.run(crate::cached::two_nodes(store, second).await).await;
            });
        }));
    }
    tests
}

async fn on_shared(prefix: &str) -> RedisStore {
    RedisOptions::new().with_prefix(format!("{prefix}:")).connect(shared()).await.unwrap()
}

/// The next notice that something happened.
pub(crate) async fn told(changes: &mut Box<dyn Changes>) -> Notice {
    loop {
        let next = tokio::time::timeout(Duration::from_secs(10), changes.next());
        match next.await.expect("a notice").unwrap() {
            Notice::Alive => {}
            notice => return notice,
        }
    }
}

fn two_stores_see_each_others_changes() {
    run(async {
        let (here, there) = (on_shared("changes").await, on_shared("changes").await);
        let elsewhere = on_shared("other changes").await;
        let mut changes = here.changes().await.unwrap().unwrap();
        assert_eq!(changes.next().await.unwrap(), Notice::Gap);
        elsewhere.insert(&record(9), &anything()).await.unwrap();
        there.insert(&record(1), &anything()).await.unwrap();
        assert_eq!(told(&mut changes).await, Notice::Changed { id: id(1), version: 1 });
        let changed = there.update(&id(1), 1, &Default::default(), at(0)).await.unwrap().unwrap();
        assert_eq!(here.find(&id(1)).await.unwrap(), Some(changed));
        assert_eq!(told(&mut changes).await, Notice::Changed { id: id(1), version: 2 });
        there.revoke(&only([1]), &mark(1)).await.unwrap();
        assert_eq!(told(&mut changes).await, Notice::Changed { id: id(1), version: 3 });
        // Noting a use is no change. A channel on which nothing happens is heard of.
        there.touch(&[]).await.unwrap();
        for _ in 0..3 {
            let next = tokio::time::timeout(Duration::from_secs(1), changes.next());
            assert_eq!(next.await.expect("a sign of life").unwrap(), Notice::Alive);
        }
        // A future that is dropped loses nothing.
        there.insert(&record(2), &anything()).await.unwrap();
        for _ in 0..100 {
            let _ = tokio::time::timeout(Duration::ZERO, async {
                tokio::task::yield_now().await;
            })
            .await;
            let mut next = changes.next();
            let polled =
                std::future::poll_fn(|context| std::task::Poll::Ready(next.as_mut().poll(context)))
                    .await;
            match polled {
                std::task::Poll::Ready(Ok(Notice::Changed { id: changed, .. })) => {
                    assert_eq!(changed, id(2));
                    return;
                }
                std::task::Poll::Ready(Ok(Notice::Alive)) | std::task::Poll::Pending => {}
                std::task::Poll::Ready(other) => panic!("{other:?}"),
            }
        }
        assert_eq!(told(&mut changes).await, Notice::Changed { id: id(2), version: 1 });
    });
}

fn more_steps_than_fit_are_turned_away() {
    let server = Server::start(&DURABLE);
    run(async {
        let options = RedisOptions::new().with_max_steps(4).with_timeout(Duration::from_secs(60));
        let store = options.connect(server.url()).await.unwrap();
        store.insert(&record(1), &anything()).await.unwrap();
        server.pause(true);
        let first = id(1);
        let mut waiting: Vec<_> = (0..4).map(|_| store.find(&first)).collect();
        for step in &mut waiting {
            let once = std::future::poll_fn(|context| Poll::Ready(step.as_mut().poll(context)));
            assert!(once.await.is_pending());
        }
        // The next are told at once, whatever they want.
        assert!(matches!(store.find(&first).await, Err(StoreError::Unavailable(_))));
        let error = store.revoke(&only([1]), &mark(1)).await.unwrap_err();
        let cause = std::error::Error::source(&error).unwrap().to_string();
        assert_eq!(cause, "4 steps are under way already");
        // One that gives up makes room, and none of the others is lost.
        drop(waiting.pop());
        server.pause(false);
        for step in waiting {
            assert_eq!(step.await.unwrap(), Some(record(1)));
        }
        store.revoke(&only([1]), &mark(1)).await.unwrap();
    });
}

fn finds_at_once_are_all_answered() {
    run(async {
        let store = on_shared("finds at once").await;
        for number in 0..40 {
            store.insert(&record(number), &anything()).await.unwrap();
        }
        // Some more than once, some that are not there.
        let wanted: Vec<u32> = (0..300).map(|place| place * 7 % 60).collect();
        let finds = wanted.iter().map(|number| {
            let (store, number) = (store.clone(), *number);
            tokio::spawn(async move { store.find(&id(number)).await.unwrap() })
        });
        let finds: Vec<_> = finds.collect();
        for (number, find) in wanted.iter().zip(finds) {
            let there = (*number < 40).then(|| record(*number));
            assert_eq!(find.await.unwrap(), there, "{number}");
        }
    });
}

fn a_lost_message_is_a_gap() {
    let server = Server::start(&DURABLE);
    run(async {
        let store = RedisStore::connect(server.url()).await.unwrap();
        let mut changes = store.changes().await.unwrap().unwrap();
        assert_eq!(told(&mut changes).await, Notice::Gap);
        // A change whose message never arrives, and one that tells so.
        server.cli(&["INCR", "hallpass:{0}:changes"]);
        store.insert(&record(1), &anything()).await.unwrap();
        assert_eq!(told(&mut changes).await, Notice::Gap);
        store.insert(&record(2), &anything()).await.unwrap();
        assert_eq!(told(&mut changes).await, Notice::Changed { id: id(2), version: 1 });
        // One after which nothing happens; and a server that has forgotten some.
        for number in ["100", "1"] {
            server.cli(&["SET", "hallpass:{0}:changes", number]);
            assert_eq!(told(&mut changes).await, Notice::Gap, "{number}");
        }
        server.cli(&["PUBLISH", "hallpass:changes", "nonsense"]);
        assert_eq!(told(&mut changes).await, Notice::Gap);
    });
}

fn a_broken_subscription_is_told() {
    let server = Server::start(&DURABLE);
    run(async {
        let store = RedisStore::connect(server.url()).await.unwrap();
        let mut changes = store.changes().await.unwrap().unwrap();
        assert_eq!(told(&mut changes).await, Notice::Gap);
        server.cli(&["CLIENT", "KILL", "TYPE", "pubsub"]);
        let error = loop {
            match changes.next().await {
                Ok(Notice::Alive) => {}
                Ok(notice) => panic!("{notice:?}"),
                Err(error) => break error,
            }
        };
        assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
        assert_eq!(changes.next().await.unwrap(), Notice::Gap);
        store.insert(&record(1), &anything()).await.unwrap();
        assert_eq!(told(&mut changes).await, Notice::Changed { id: id(1), version: 1 });
    });
}

fn what_was_acknowledged_survives_a_kill() {
    let mut server = Server::start(&DURABLE);
    run(async {
        let store = RedisStore::connect(server.url()).await.unwrap();
        let mut changes = store.changes().await.unwrap().unwrap();
        assert_eq!(told(&mut changes).await, Notice::Gap);
        let (mut inserted, mut revoked) = (0, 0);
        for round in 1..=3_u32 {
            let first = inserted + 1000 * round;
            let writer = {
                let store = store.clone();
                tokio::spawn(async move {
                    let mut done = (Vec::new(), Vec::new());
                    for number in first.. {
                        if store.insert(&record(number), &anything()).await.is_err() {
                            return done;
                        }
                        done.0.push(number);
                        match store.revoke(&only([number]), &mark(1)).await {
                            Ok(_) => done.1.push(number),
                            Err(_) => return done,
                        }
                    }
                    done
                })
            };
            let grown = async {
                while store.find(&id(first + 50)).await.unwrap().is_none() {
                    tokio::task::yield_now().await;
                }
            };
            grown.await;
            server.kill();
            let (written, ended) = writer.await.unwrap();
            // An outage is no answer.
            for _ in 0..3 {
                let error = store.find(&id(first)).await.unwrap_err();
                assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
                let error = store.revoke(&only([first]), &mark(1)).await.unwrap_err();
                assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
            }
            server.restart();
            while store.find(&id(first)).await.is_err() {}
            for number in &written {
                assert!(store.find(&id(*number)).await.unwrap().is_some(), "{number}");
            }
            for number in &ended {
                let found = store.find(&id(*number)).await.unwrap().unwrap();
                assert_eq!(found.token.revocation, Some(mark(1)), "{number}");
            }
            inserted += u32::try_from(written.len()).unwrap();
            revoked += ended.len();
            // Somewhere between those that were told of and the next gap lies the outage.
            while changes.next().await.is_ok() {}
            while changes.next().await.is_err() {}
        }
        assert!(inserted >= 150 && revoked >= 150);
    });
}

fn servers_that_may_lose_steps_are_refused() {
    for (setting, value) in [
        ("--appendonly", "no"),
        ("--appendfsync", "everysec"),
        ("--maxmemory-policy", "allkeys-lru"),
    ] {
        let mut settings = DURABLE;
        let place = settings.iter().position(|known| *known == setting).unwrap();
        settings[place + 1] = value;
        let server = Server::start(&settings);
        run(async {
            let error = RedisStore::connect(server.url()).await.unwrap_err();
            let StoreError::Unavailable(cause) = error else { panic!("{error:?}") };
            let text = cause.to_string();
            let setting = setting.trim_start_matches('-');
            assert!(text.contains(&format!("`{setting}` is `{value}`")), "{text}");
            let lossy = RedisOptions::new().danger_allow_lossy().connect(server.url()).await;
            lossy.unwrap().insert(&record(1), &anything()).await.unwrap();
        });
    }
    let server = Server::start(&DURABLE);
    run(async {
        let store = RedisOptions::new().with_replicas(1).danger_allow_lossy();
        let store = store.with_timeout(Duration::from_millis(200)).connect(server.url()).await;
        let error = store.unwrap_err();
        assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
    });
}

/// F12: what a replica answers may be older than a revocation.
fn replicas_are_refused() {
    let (master, replica) = (Server::start(&DURABLE), Server::start(&DURABLE));
    run(async {
        RedisStore::connect(master.url())
            .await
            .unwrap()
            .insert(&record(1), &anything())
            .await
            .unwrap();
        replica.cli(&["replicaof", "127.0.0.1", &master.port().to_string()]);
        wait_until("the copy", || replica.cli(&["INFO"]).contains("master_link_status:up"));
        for options in [RedisOptions::new(), RedisOptions::new().danger_allow_lossy()] {
            let error = options.connect(replica.url()).await.unwrap_err();
            let StoreError::Unavailable(cause) = error else { panic!("{error:?}") };
            assert!(cause.to_string().contains("is a replica"), "{cause}");
        }
    });
}

/// F12: the server becomes a replica while the store is connected to it, as when another one took
/// over. I7: from then on it is an outage, and not asked what it no longer knows.
fn a_master_that_becomes_a_replica_is_an_outage() {
    let (server, master) = (Server::start(&DURABLE), Server::start(&DURABLE));
    run(async {
        let store = RedisStore::connect(server.url()).await.unwrap();
        let mut changes = store.changes().await.unwrap().unwrap();
        store.insert(&record(1), &anything()).await.unwrap();
        assert_eq!(store.find(&id(1)).await.unwrap(), Some(record(1)));
        server.cli(&["CONFIG", "SET", "replica-serve-stale-data", "yes"]);
        server.cli(&["REPLICAOF", "127.0.0.1", &master.port().to_string()]);
        let began = Instant::now();
        let refused = loop {
            match store.find(&id(1)).await {
                Ok(_) => assert!(began.elapsed() < Duration::from_secs(5), "it is asked for ever"),
                Err(error) => break error,
            }
        };
        let StoreError::Unavailable(cause) = refused else { panic!("{refused:?}") };
        assert!(cause.to_string().contains("is a replica"), "{cause}");
        for _ in 0..10 {
            store.find(&id(1)).await.unwrap_err();
            store.list(&only([1]), &page(SortKey::Name, false, 1), at(0)).await.unwrap_err();
            store.revoke(&only([1]), &mark(1)).await.unwrap_err();
        }
        while changes.next().await.is_ok() {}
        server.cli(&["REPLICAOF", "NO", "ONE"]);
        store.find(&id(1)).await.unwrap();
        store.insert(&record(2), &anything()).await.unwrap();
    });
}

fn unknown_settings_are_refused() {
    let server = Server::start(&DURABLE);
    server.cli(&["ACL", "SETUSER", "app", "on", ">secret", "~*", "&*", "+@all", "-config"]);
    let url = format!("redis://app:secret@127.0.0.1:{}", server.port());
    run(async {
        let error = RedisStore::connect(url.as_str()).await.unwrap_err();
        let StoreError::Unavailable(cause) = error else { panic!("{error:?}") };
        assert!(cause.to_string().contains("its settings cannot be read"), "{cause}");
        let store = RedisOptions::new().danger_allow_lossy().connect(url).await.unwrap();
        store.insert(&record(1), &anything()).await.unwrap();
        assert!(!format!("{store:?}").contains("secret"));
        let wrong = format!("redis://app:wrong@127.0.0.1:{}", server.port());
        let error = RedisStore::connect(wrong).await.unwrap_err();
        assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
    });
}

fn keys_of_others_are_refused() {
    run(async {
        let options = RedisOptions::new().with_prefix("sharded:").with_shards(4);
        let first = options.connect(shared()).await.unwrap();
        first.insert(&record(1), &anything()).await.unwrap();
        let error = options.clone().with_shards(5).connect(shared()).await.unwrap_err();
        assert!(matches!(error, StoreError::Schema(_)), "{error:?}");
        // One that does not say how many there are follows the first.
        let follower = on_shared("sharded").await;
        assert_eq!(follower.find(&id(1)).await.unwrap(), Some(record(1)));
        let braces = RedisOptions::new().with_prefix("{a}").connect(shared()).await.unwrap_err();
        assert!(matches!(braces, StoreError::Schema(_)), "{braces:?}");
    });
}

fn damaged_records_are_told() {
    let server = Server::start(&DURABLE);
    run(async {
        let store = RedisStore::connect(server.url()).await.unwrap();
        for number in 1..4 {
            let scoped = record_with(number, |token| {
                token.scopes = ScopeList::parse(["repo:read"]).unwrap();
            });
            store.insert(&scoped, &anything()).await.unwrap();
        }
        let change = |number: u32, script: &str| {
            let key = format!("hallpass:{{0}}:token:{}", id(number));
            let script = format!(
                "local r = cmsgpack.unpack(redis.call('GET', KEYS[1])) {script} \
                 redis.call('SET', KEYS[1], cmsgpack.pack(r))"
            );
            server.cli(&["EVAL", &script, "1", &key]);
        };
        // Scopes that cannot be read grant nothing; a digest of tomorrow is kept.
        change(1, "r[7] = 'a  b' r[33] = 'v7$x'");
        let found = store.find(&id(1)).await.unwrap().unwrap();
        assert_eq!(found.token.scopes, ScopeList::default());
        assert_eq!(found.digest.to_stored(), "v7$x");
        change(2, "r[14] = 'soon'");
        for _ in 0..2 {
            match store.find(&id(2)).await.unwrap_err() {
                StoreError::Corrupt { id: corrupt, column } => {
                    assert_eq!((corrupt, column), (id(2).to_string(), "expires_at"));
                }
                error => panic!("{error:?}"),
            }
        }
        server.cli(&["SET", &format!("hallpass:{{0}}:token:{}", id(3)), "nonsense"]);
        let expected = id(3).to_string();
        let error = store.find(&id(3)).await.unwrap_err();
        assert!(matches!(error, StoreError::Corrupt { id, .. } if id == expected));
        let error = store.revoke(&only([3]), &mark(1)).await.unwrap_err();
        assert!(matches!(&error, StoreError::Corrupt { id, .. } if *id == expected), "{error:?}");
    });
}

fn a_stopped_server_is_an_outage() {
    let server = Server::start(&DURABLE);
    run(async {
        let options = RedisOptions::new().with_timeout(Duration::from_millis(300));
        let store = options.connect(server.url()).await.unwrap();
        store.insert(&record(1), &anything()).await.unwrap();
        let mut changes = store.changes().await.unwrap().unwrap();
        assert_eq!(changes.next().await.unwrap(), Notice::Gap);
        server.pause(true);
        let error = store.find(&id(1)).await.unwrap_err();
        assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
        while changes.next().await.is_ok() {}
        server.pause(false);
        while store.find(&id(1)).await.is_err() {}
        assert_eq!(store.find(&id(1)).await.unwrap(), Some(record(1)));
        while changes.next().await.is_err() {}
    });
}

fn a_forgotten_script_is_told_again() {
    let server = Server::start(&DURABLE);
    run(async {
        let store = RedisStore::connect(server.url()).await.unwrap();
        store.insert(&record(1), &anything()).await.unwrap();
        server.cli(&["SCRIPT", "FLUSH"]);
        let again = store.insert(&record(1), &anything()).await.unwrap_err();
        assert!(matches!(again, StoreError::Conflict(Conflict::IdTaken)), "{again:?}");
        store.insert(&record(2), &anything()).await.unwrap();
    });
}

fn many_records_are_walked_in_pieces() {
    run(async {
        let store = on_shared("many").await;
        for number in 0..2500 {
            let many =
                record_with(number, |token| token.owner = owner(&format!("u{}", number % 700)));
            store.insert(&many, &anything()).await.unwrap();
        }
        let mut filter = Filter::new(Reach::All);
        filter.text = Some("token 24".to_owned());
        let listed = all(&store, &filter, page(SortKey::CreatedAt, false, 7), at(0)).await;
        let expected: Vec<_> = [24].into_iter().chain(240..250).chain(2400..2500).map(id).collect();
        assert_eq!(ids(&listed), expected);
        let revoked = store.revoke(&filter, &mark(1)).await.unwrap();
        assert_eq!(revoked.len(), expected.len());
        let rest = store.revoke(&Filter::new(Reach::All), &mark(2)).await.unwrap();
        assert_eq!(rest.len(), 2500 - expected.len());
    });
}
