//! Servers with a replica that takes over.

use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use deadpool_postgres::{Manager, ManagerConfig, Pool, RecyclingMethod};
use hallpass::store::{Filter, PageRequest, Reach, SortKey};
use hallpass::{
    Hallpass, Issued, PostgresOptions, PostgresStore, RedisOptions, RestoreGuard, RevocationReason,
    StoreError, TokenStore,
};
use tempfile::TempDir;
use tokio_postgres::NoTls;

use crate::place::{
    Backend, Node, REVOKED, Verdict, engine, is_changed, issue, open, revoke, start, until, verdict,
};
use crate::postgres::{Bouncer, Server, free_port, own, unprivileged};
use crate::proxy::{Fate, Proxy, When};
use crate::{Test, redis, run, test};

pub(crate) fn tests() -> Vec<Test> {
    let needs = &[Backend::Postgres];
    let synchronous = f11_a_synchronous_standby_loses_nothing;
    let gone = f11_f12_a_primary_that_is_gone_and_a_standby_that_lagged;
    let behind = f12_a_standby_behind_a_pooler_or_a_pool;
    let lagged = f11_a_redis_replica_that_lagged;
    vec![
        test("f11_a_synchronous_standby_loses_nothing", needs, synchronous),
        test("f11_f12_a_primary_that_is_gone_and_a_standby_that_lagged", needs, gone),
        test(
            "f12_a_standby_behind_a_pooler_or_a_pool",
            &[Backend::Postgres, Backend::Bouncer],
            behind,
        ),
        test("f11_a_redis_replica_that_lagged", &[Backend::Redis], lagged),
    ]
}

fn primary() -> Server {
    Server::start(&["fsync=off", "wal_level=replica", "max_wal_senders=4"])
}

/// A standby of a server, which it reaches by this port.
fn standby_of(primary: &Server, port: u16) -> Server {
    let directory = TempDir::new().unwrap();
    own(directory.path());
    let mut copy = unprivileged(&primary.bin.join("pg_basebackup"));
    copy.args(["-h", "127.0.0.1", "-p", &primary.port.to_string(), "-U", "hallpass"]);
    copy.args(["--checkpoint=fast", "--wal-method=stream", "--write-recovery-conf", "-D"]);
    let output = copy.arg(directory.path().join("data")).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let primary_conninfo = format!(
        "primary_conninfo=host=127.0.0.1 port={port} user=hallpass application_name=standby"
    );
    let mut standby = Server {
        bin: primary.bin.clone(),
        directory,
        port: free_port(),
        settings: vec![primary_conninfo, "fsync=off".to_owned(), "hot_standby=on".to_owned()],
        process: None,
        log: Arc::default(),
        databases: AtomicU32::new(0),
    };
    standby.restart();
    standby
}

fn promote(standby: &Server) {
    let mut promote = unprivileged(&standby.bin.join("pg_ctl"));
    promote
        .args(["promote", "--wait", "--timeout=60", "-D"])
        .arg(standby.directory.path().join("data"));
    assert!(promote.stdout(Stdio::null()).status().unwrap().success());
}

async fn first(server: &Server, sql: &str) -> String {
    // A standby may not even have the tables yet.
    let found = server.client("postgres").await.query(sql, &[]).await.unwrap_or_default();
    found.first().map(|row| row.get(0)).unwrap_or_default()
}

/// A primary with a standby that has every commit before it is acknowledged is killed at work, and
/// the standby promoted. I5, I6, I7: what was acknowledged is in force there, an outage is told as
/// one, and the nodes find the new primary and hear of each other by themselves.
fn f11_a_synchronous_standby_loses_nothing() {
    run(async {
        let mut primary = primary();
        let standby = standby_of(&primary, primary.port);
        let must = "ALTER SYSTEM SET synchronous_standby_names = 'standby'";
        primary.execute("postgres", must).await;
        primary.execute("postgres", "ALTER SYSTEM SET synchronous_commit = 'remote_apply'").await;
        primary.execute("postgres", "SELECT pg_reload_conf()").await;
        let state = "SELECT sync_state FROM pg_stat_replication";
        until("the standby is waited for", async || first(&primary, state).await == "sync").await;

        let ports = [primary.port, standby.port].map(|port| format!("127.0.0.1:{port}"));
        let url = format!("postgres://hallpass@{}/postgres", ports.join(","));
        let (here, there) = (Node::on(&url).await, Node::on(&url).await);
        let known = issue(&here.hallpass, "known").await;
        there.remembers(&known).await;
        let over = Arc::new(AtomicBool::new(false));
        let workers =
            (0..3).map(|worker| tokio::spawn(work(here.hallpass.clone(), worker, over.clone())));
        let workers: Vec<_> = workers.collect();
        let count = "SELECT count(*)::text FROM hallpass_tokens WHERE revoked_at IS NOT NULL";
        until("there is work", async || first(&primary, count).await.parse::<u32>().unwrap() > 20)
            .await;
        primary.kill();
        promote(&standby);
        over.store(true, Ordering::SeqCst);
        let mut acknowledged = Vec::new();
        for worker in workers {
            acknowledged.extend(worker.await.unwrap());
        }
        assert!(acknowledged.len() > 20);
        for node in [&here, &there] {
            until("the new primary is found", async || {
                let told = verdict(&node.hallpass, known.plain.expose()).await;
                assert!(!matches!(told, Verdict::Denied(_)), "{told:?}");
                told == Verdict::Accepted && is_changed(&node.hallpass, &known.token.id).await
            })
            .await;
        }
        for (token, revoked) in &acknowledged {
            let told = verdict(&there.hallpass, token.plain.expose()).await;
            assert_eq!(told, if *revoked { REVOKED } else { Verdict::Accepted });
        }
        there.hears().await;
        there.remembers(&known).await;
        revoke(&here.hallpass, &known.token.id).await;
        until("it is heard of", async || {
            verdict(&there.hallpass, known.plain.expose()).await == REVOKED
        })
        .await;
    });
}

/// The host's own pool.
fn pool(url: &str) -> Pool {
    let manager = ManagerConfig { recycling_method: RecyclingMethod::Verified };
    let manager = Manager::from_config(url.parse().unwrap(), NoTls, manager);
    Pool::builder(manager).max_size(2).build().unwrap()
}

/// A standby that is reached through a pooler or by the host's own pool, which greet nobody. I7: at
/// the start it is refused. Where it takes the primary's address later, every read is an outage and
/// nothing that it does not know any more is said, until it is promoted.
fn f12_a_standby_behind_a_pooler_or_a_pool() {
    run(async {
        let primary = primary();
        let replication = Proxy::before(primary.port).await;
        let standby = standby_of(&primary, replication.port());
        let direct = |port: u16| format!("postgres://hallpass@127.0.0.1:{port}/postgres");
        let options = PostgresOptions::new().with_timeout(Duration::from_secs(2));
        let by_pooler = options.clone().with_transaction_pooler();
        let store = options.connect(&direct(primary.port)).await.unwrap();
        let kept = issue(&engine(Arc::new(store)), "kept").await;
        let there = format!("SELECT id FROM hallpass_tokens WHERE id = '{}'", kept.token.id);
        until("the standby has it", async || !first(&standby, &there).await.is_empty()).await;
        let refused = |refused: Result<PostgresStore, StoreError>| {
            let Err(StoreError::Unavailable(cause)) = refused else { panic!("{refused:?}") };
            assert!(cause.to_string().contains("is a standby"), "{cause}");
        };
        let pooler = Bouncer::start(&standby);
        refused(by_pooler.connect(&pooler.url("postgres")).await);
        refused(by_pooler.clone().without_migrations().connect(&pooler.url("postgres")).await);
        refused(options.use_pool(pool(&direct(standby.port))).await);

        // Each reaches the primary, by a way that leads to the standby later.
        let way = Proxy::before(primary.port).await;
        let pooler = Bouncer::before(way.port());
        let mut stores = Vec::new();
        stores.push(by_pooler.connect(&pooler.url("postgres")).await.unwrap());
        stores.push(options.use_pool(pool(&direct(way.port()))).await.unwrap());
        let nodes: Vec<Hallpass> =
            stores.iter().map(|store| engine(Arc::new(store.clone()))).collect();
        replication.fail(When::Always, Fate::Hang);
        let (lost, new) = (issue(&nodes[0], "lost").await, issue(&nodes[1], "new").await);
        revoke(&nodes[0], &kept.token.id).await;
        way.lead_to(standby.port);
        way.fail(When::Made, Fate::Cut);
        for node in &nodes {
            for _ in 0..20 {
                // A connection may not yet have been cut.
                for (token, then) in [(&kept, REVOKED), (&new, Verdict::Accepted)] {
                    let told = verdict(node, token.plain.expose()).await;
                    assert!(told == then || told == Verdict::Unavailable, "{told:?}");
                }
            }
            assert_eq!(verdict(node, lost.plain.expose()).await, Verdict::Unavailable);
        }
        for store in &stores {
            let listed = store.list(&Filter::new(Reach::All), &anything_first(), start()).await;
            assert!(matches!(listed, Err(StoreError::Unavailable(_))), "{listed:?}");
        }
        replication.fail(When::Always, Fate::Cut);
        promote(&standby);
        // It has the say now, and never heard of what came last.
        for node in &nodes {
            until("it is promoted", async || {
                verdict(node, kept.plain.expose()).await == Verdict::Accepted
            })
            .await;
        }
    });
}

fn anything_first() -> PageRequest {
    PageRequest { sort: SortKey::CreatedAt, descending: true, after: None, limit: 10 }
}

/// A Redis server dies before its last commits were at its replica, which nobody waited for; the
/// replica is promoted and gets its address. More happens there than was lost before anybody looks.
/// I1: it is noticed by the count of revocations alone, and every token is an outage until what was
/// lost is revoked again, which then holds. I5 is given up by `danger_allow_lossy`, and not silently.
fn f11_a_redis_replica_that_lagged() {
    run(async {
        let mut master = redis::Server::start(&redis::DURABLE);
        let replica = redis::Server::start(&redis::DURABLE);
        let (way, replication) =
            (Proxy::before(master.port()).await, Proxy::before(master.port()).await);
        replica.cli(&["REPLICAOF", "127.0.0.1", &replication.port().to_string()]);
        until("the copy", async || replica.cli(&["INFO"]).contains("master_link_status:up")).await;

        let url = format!("redis://127.0.0.1:{}", way.port());
        let refused = RedisOptions::new().connect(url.as_str()).await;
        assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
        let options = RedisOptions::new().danger_allow_lossy().with_timeout(Duration::from_secs(2));
        let store: Arc<dyn TokenStore> = Arc::new(options.connect(url).await.unwrap());
        let kept_apart = TempDir::new().unwrap();
        let file = kept_apart.path().join("generation");
        let guard = Arc::new(RestoreGuard::open(store.clone(), &file).await.unwrap());
        let (guarded, unguarded) = (engine(guard.clone()), engine(store));
        let (kept, lost) = (issue(&guarded, "kept").await, issue(&guarded, "lost").await);
        let there = format!("hallpass:{{0}}:token:{}", lost.token.id);
        until("the replica has both", async || replica.cli(&["EXISTS", &there]).contains('1'))
            .await;
        replication.fail(When::Always, Fate::Hang);
        revoke(&guarded, &lost.token.id).await;
        assert_eq!(verdict(&unguarded, lost.plain.expose()).await, REVOKED);

        master.kill();
        replica.cli(&["REPLICAOF", "NO", "ONE"]);
        way.lead_to(replica.port());
        way.fail(When::Made, Fate::Cut);
        until("the new master is found", async || {
            let told = verdict(&unguarded, kept.plain.expose()).await;
            assert!(!matches!(told, Verdict::Denied(_)), "{told:?}");
            told == Verdict::Accepted
        })
        .await;
        // By itself it says what is no longer true, and changes go on.
        assert_eq!(verdict(&unguarded, lost.plain.expose()).await, Verdict::Accepted);
        for number in 0..5 {
            issue(&unguarded, &format!("more {number}")).await;
        }
        assert!(guarded.maintain().await.is_err());
        assert!(guard.is_behind());
        for token in [&kept, &lost] {
            assert_eq!(verdict(&guarded, token.plain.expose()).await, Verdict::Unavailable);
        }
        // Also for a node that starts now.
        drop((guarded, guard));
        let store = options.connect(format!("redis://127.0.0.1:{}", way.port())).await.unwrap();
        let guard = Arc::new(RestoreGuard::open(store, file).await.unwrap());
        let guarded = engine(guard.clone());
        assert_eq!(verdict(&guarded, kept.plain.expose()).await, Verdict::Unavailable);
        let mut again = Filter::new(Reach::All);
        again.ids = Some(vec![lost.token.id]);
        let revoked = guarded.revoke_matching(again, RevocationReason::Requested).await;
        assert_eq!(revoked.unwrap(), [lost.token.id]);
        guard.accept().await.unwrap();
        assert_eq!(verdict(&guarded, kept.plain.expose()).await, Verdict::Accepted);
        for node in [&guarded, &unguarded] {
            assert_eq!(verdict(node, lost.plain.expose()).await, REVOKED);
        }
    });
}

/// Issues and revokes until that fails or all is over, and returns what was acknowledged.
async fn work(hallpass: Hallpass, worker: u32, over: Arc<AtomicBool>) -> Vec<(Issued, bool)> {
    let mut done = Vec::new();
    for count in 0.. {
        if over.load(Ordering::SeqCst) {
            return done;
        }
        let wanted = hallpass::Issue::new(format!("{worker}-{count}"));
        let wanted = wanted.owner(format!("u{worker}-{}", count / 40)).scopes(["repo:read"]);
        let Ok(issued) = hallpass.issue(wanted).await else {
            return done;
        };
        let id = issued.token.id;
        if count % 3 == 0 {
            done.push((issued, false));
        } else if hallpass.revoke(&id, RevocationReason::Requested).await.is_ok() {
            done.push((issued, true));
        } else {
            return done;
        }
    }
    done
}

/// A standby is never asked, however far it lags. Then the primary's machine is gone without a
/// word, before its last commits were at the standby, and that is promoted. I7: nodes pass over
/// the silent host and find the new primary. What the standby had not got is lost, as it is for
/// everything in that database: a revocation among it has to be made again, and then holds.
fn f11_f12_a_primary_that_is_gone_and_a_standby_that_lagged() {
    run(async {
        let mut primary = primary();
        let way = Proxy::before(primary.port).await;
        let replication = Proxy::before(primary.port).await;
        let standby = standby_of(&primary, replication.port());
        let url = |hosts: &str| format!("postgres://hallpass@{hosts}/postgres");
        let options = PostgresOptions::new().with_timeout(Duration::from_secs(2));
        let mut nodes = Vec::new();
        for [first, second] in [[way.port(), standby.port], [standby.port, way.port()]] {
            let both = format!("127.0.0.1:{first},127.0.0.1:{second}");
            let store: Arc<dyn TokenStore> = Arc::new(options.connect(&url(&both)).await.unwrap());
            nodes.push(store);
        }
        let kept_apart = TempDir::new().unwrap();
        let generation = kept_apart.path().join("generation");
        let guard = Arc::new(RestoreGuard::open(nodes[0].clone(), generation).await.unwrap());
        let guarded = engine(guard.clone());
        let nodes: Vec<Hallpass> = nodes.into_iter().map(engine).collect();
        let hallpass = &nodes[0];
        let kept = issue(hallpass, "kept").await;
        let lost = issue(hallpass, "lost").await;
        let there = format!("SELECT id FROM hallpass_tokens WHERE id = '{}'", lost.token.id);
        until("the standby has both", async || !first(&standby, &there).await.is_empty()).await;

        // Alone it is refused, and by itself it would say something that is no longer true.
        let alone = url(&format!("127.0.0.1:{}", standby.port));
        for options in [options.clone(), options.clone().without_migrations()] {
            let refused = options.connect(&alone).await.unwrap_err();
            let StoreError::Unavailable(cause) = refused else { panic!("{refused:?}") };
            assert!(cause.to_string().contains("is a standby"), "{cause}");
        }
        replication.fail(When::Always, Fate::Hang);
        let new = issue(hallpass, "new").await;
        revoke(&guarded, &lost.token.id).await;
        for node in &nodes {
            assert_eq!(verdict(node, new.plain.expose()).await, Verdict::Accepted);
            assert_eq!(verdict(node, lost.plain.expose()).await, REVOKED);
        }

        way.fail(When::Always, Fate::Hang);
        replication.fail(When::Always, Fate::Cut);
        primary.kill();
        promote(&standby);
        for node in &nodes {
            until("the new primary is found", async || {
                let told = verdict(node, kept.plain.expose()).await;
                assert!(!matches!(told, Verdict::Denied(_)), "{told:?}");
                told == Verdict::Accepted
            })
            .await;
        }
        // Who guards the store notices, and lets nobody in until it was revoked again.
        assert!(guard.check().await.unwrap());
        for token in [&kept, &lost] {
            assert_eq!(verdict(&guarded, token.plain.expose()).await, Verdict::Unavailable);
        }
        let mut again = Filter::new(Reach::All);
        again.ids = Some(vec![lost.token.id]);
        let revoked = guarded.revoke_matching(again, RevocationReason::Requested).await;
        assert_eq!(revoked.unwrap(), [lost.token.id]);
        guard.accept().await.unwrap();
        assert_eq!(verdict(&guarded, kept.plain.expose()).await, Verdict::Accepted);
        assert_eq!(verdict(hallpass, lost.plain.expose()).await, REVOKED);
        let again = engine(open(&alone).await);
        assert_eq!(verdict(&again, lost.plain.expose()).await, REVOKED);
    });
}
