//! Servers that fail.

use std::time::{Duration, Instant};

use hallpass::store::{Notice, StoreError};
use hallpass::{PostgresOptions, PostgresStore, TokenStore};

use crate::HOME;
use crate::server::Server;
use hallpass::conformance::support::{anything, id, mark, only, record};

pub(crate) const CASES: &[(&str, fn())] = &[
    ("a_killed_server_loses_nothing_acknowledged", a_killed_server_loses_nothing_acknowledged),
    ("what_cannot_be_reached_is_unavailable", what_cannot_be_reached_is_unavailable),
];

pub(crate) const THROUGH_PGBOUNCER: &[(&str, fn())] = &[(
    "a_read_through_a_pooler_is_given_up_by_the_server",
    a_read_through_a_pooler_is_given_up_by_the_server,
)];

fn outage<T: std::fmt::Debug>(result: &Result<T, StoreError>) {
    assert!(matches!(result, Err(StoreError::Unavailable(_))), "{result:?}");
}

fn a_killed_server_loses_nothing_acknowledged() {
    let mut server = Server::start(&["fsync=on"]);
    let store = HOME.block_on(PostgresStore::connect(&server.url("postgres"))).unwrap();
    let mut changes = HOME.block_on(store.changes()).unwrap().unwrap();
    assert_eq!(HOME.block_on(changes.next()).unwrap(), Notice::Gap);
    for round in 0..3_u32 {
        // Writers that go on until the server is gone, each telling what was acknowledged.
        let acknowledged: Vec<(u32, bool)> = HOME.block_on(async {
            let writers: Vec<_> = (0..4)
                .map(|writer| {
                    let store = store.clone();
                    tokio::spawn(async move {
                        let mut done = Vec::new();
                        for count in 0.. {
                            let number = round * 1_000_000 + writer * 100_000 + count;
                            if store.insert(&record(number), &anything()).await.is_err() {
                                break;
                            }
                            let revoked = count % 2 == 0;
                            if revoked && store.revoke(&only([number]), &mark(1)).await.is_err() {
                                break;
                            }
                            done.push((number, revoked));
                        }
                        done
                    })
                })
                .collect();
            // The server dies in the midst of their work.
            while store.find(&id(round * 1_000_000 + 5)).await.unwrap().is_none() {}
            server.kill();
            let mut done = Vec::new();
            for writer in writers {
                done.extend(writer.await.unwrap());
            }
            done
        });
        assert!(!acknowledged.is_empty());
        HOME.block_on(async {
            // Its processes may outlive it for a moment, and finish what they had begun.
            while store.find(&id(1)).await.is_ok() {}
            let insert = async || store.insert(&record(1), &anything()).await;
            while matches!(insert().await, Ok(()) | Err(StoreError::Conflict(_))) {}
            outage(&store.find(&id(1)).await);
            outage(&insert().await);
            // What was told before the end can still be heard.
            let ended = loop {
                if let Err(ended) = changes.next().await {
                    break ended;
                }
            };
            outage::<()>(&Err(ended));
            outage(&changes.next().await);
        });
        server.restart();
        HOME.block_on(async {
            for (number, revoked) in acknowledged {
                let kept = store.find(&id(number)).await.unwrap().unwrap();
                assert_eq!(kept.token.revocation.is_some(), revoked);
            }
            assert_eq!(changes.next().await.unwrap(), Notice::Gap);
        });
    }
}

fn what_cannot_be_reached_is_unavailable() {
    HOME.block_on(async {
        for url in [
            "",
            "not a URL",
            "postgres://hallpass@127.0.0.1:1/x",
            "postgres://hallpass@127.0.0.1:1/x?sslmode=sometimes",
        ] {
            outage(&PostgresStore::connect(url).await.map(|_| ()));
        }
        let shared = crate::SHARED.url("postgres");
        outage(&PostgresStore::connect(&crate::SHARED.url("no_such_database")).await.map(|_| ()));
        for mode in ["require", "verify-full"] {
            outage(&PostgresStore::connect(&format!("{shared}?sslmode={mode}")).await.map(|_| ()));
        }
    });
    // Outside of a runtime.
    outage(&crate::HOME.block_on(async {
        std::thread::spawn(|| futures_free(PostgresStore::connect("postgres://x@127.0.0.1/x")))
            .join()
            .unwrap()
    }));
}

/// Nobody but the server can end what it does for a client of a pooler.
fn a_read_through_a_pooler_is_given_up_by_the_server() {
    HOME.block_on(async {
        let database = crate::SHARED.database().await;
        let options = PostgresOptions::new().with_transaction_pooler();
        let options = options.with_timeout(Duration::from_millis(300));
        let store = options.connect(&crate::BOUNCER.url(&database)).await.unwrap();
        store.insert(&record(1), &anything()).await.unwrap();
        let mut other = crate::SHARED.client(&database).await;
        let lock = other.transaction().await.unwrap();
        lock.batch_execute("LOCK TABLE hallpass_tokens").await.unwrap();
        outage(&store.find(&id(1)).await);
        let began = Instant::now();
        let running = "SELECT pid::text FROM pg_stat_activity WHERE datname = current_database() \
                       AND state = 'active' AND wait_event_type = 'Lock'";
        while !crate::SHARED.select(&database, running).await.is_empty() {
            assert!(began.elapsed() < Duration::from_secs(20), "it goes on at the server");
        }
        lock.rollback().await.unwrap();
        assert_eq!(store.find(&id(1)).await.unwrap(), Some(record(1)));
        // Nothing of the settings is left to whoever has the connection next.
        let next = async {
            let url = crate::BOUNCER.url(&database);
            let (client, connection) =
                tokio_postgres::connect(&url, tokio_postgres::NoTls).await.unwrap();
            tokio::spawn(connection);
            let shown = client.simple_query("SHOW statement_timeout").await.unwrap();
            shown.iter().find_map(|message| match message {
                tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
                _ => None,
            })
        };
        assert_eq!(next.await.as_deref(), Some("0"));
    });
}

/// Polls a future once where there is no runtime.
fn futures_free<T: std::fmt::Debug>(
    future: impl Future<Output = Result<T, StoreError>>,
) -> Result<(), StoreError> {
    let mut future = std::pin::pin!(future);
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match future.as_mut().poll(&mut context) {
        std::task::Poll::Ready(result) => result.map(|_| ()),
        std::task::Poll::Pending => panic!("waited"),
    }
}
