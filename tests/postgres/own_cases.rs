//! What only this store does.

use std::collections::HashSet;
use std::sync::Barrier;
use std::task::Poll;
use std::thread;
use std::time::Duration;

use deadpool_postgres::{Manager, Pool};
use hallpass::store::{Change, Changes, Conflict, Filter, Notice, Purge, Reach, SortKey, Use};
use hallpass::{
    LastUse, PostgresOptions, PostgresStore, ScopeList, Status, StoreError, Tenant, TokenStore,
};
use tokio_postgres::NoTls;

use crate::{HOME, SHARED, fresh};
use hallpass::conformance::support::{
    SORTS, anything, at, id, key, mark, only, owner, page, position, record, record_with,
};

pub(crate) const CASES: &[(&str, fn())] = &[
    ("many_nodes_migrate_an_empty_database_at_once", many_nodes_migrate_an_empty_database_at_once),
    ("the_printed_script_makes_the_same_schema", the_printed_script_makes_the_same_schema),
    ("other_schemas_are_refused", other_schemas_are_refused),
    ("nodes_hear_of_each_others_changes", nodes_hear_of_each_others_changes),
    ("revocations_that_are_not_told_are_noticed", revocations_that_are_not_told_are_noticed),
    ("an_interrupted_channel_tells_of_a_gap", an_interrupted_channel_tells_of_a_gap),
    ("steps_are_repeated_when_the_server_asks", steps_are_repeated_when_the_server_asks),
    ("steps_that_lock_each_other_out_succeed", steps_that_lock_each_other_out_succeed),
    ("finds_at_once_are_all_answered", finds_at_once_are_all_answered),
    ("damaged_rows_are_told_apart", damaged_rows_are_told_apart),
    ("a_slow_database_is_an_outage", a_slow_database_is_an_outage),
    ("more_steps_than_fit_are_turned_away", more_steps_than_fit_are_turned_away),
    ("no_step_reads_the_whole_table", no_step_reads_the_whole_table),
];

pub(crate) fn on_a_pool_of_the_host() -> PostgresStore {
    HOME.block_on(async {
        let database = SHARED.database().await;
        let config = SHARED.url(&database).parse().unwrap();
        let pool = Pool::builder(Manager::new(config, NoTls)).max_size(4).build().unwrap();
        // The host's pool makes connections where a step asks for one: here, now.
        let clients = futures(4, |_| pool.get()).await;
        drop(clients);
        PostgresOptions::new().without_changes().use_pool(pool).await.unwrap()
    })
}

/// What that many futures give that run at once.
async fn futures<F: Future>(count: usize, make: impl Fn(usize) -> F) -> Vec<F::Output> {
    let mut running: Vec<_> = (0..count).map(|number| Box::pin(make(number))).collect();
    let mut outputs = Vec::new();
    std::future::poll_fn(move |context| {
        running.retain_mut(|future| match future.as_mut().poll(context) {
            std::task::Poll::Ready(output) => {
                outputs.push(output);
                false
            }
            std::task::Poll::Pending => true,
        });
        if running.is_empty() {
            return std::task::Poll::Ready(std::mem::take(&mut outputs));
        }
        std::task::Poll::Pending
    })
    .await
}

fn many_nodes_migrate_an_empty_database_at_once() {
    for options in [PostgresOptions::new(), PostgresOptions::new().with_schema("auth")] {
        let database = HOME.block_on(SHARED.database());
        let url = SHARED.url(&database);
        let barrier = Barrier::new(8);
        thread::scope(|scope| {
            for number in 0..8 {
                let (barrier, options, url) = (&barrier, &options, &url);
                scope.spawn(move || {
                    barrier.wait();
                    HOME.block_on(async {
                        let store = options.connect(url).await.unwrap();
                        store.insert(&record(number), &anything()).await.unwrap();
                    });
                });
            }
        });
        HOME.block_on(async {
            let store = options.clone().without_migrations().connect(&url).await.unwrap();
            let everything = Filter::new(Reach::All);
            let request = page(SortKey::Name, false, 10);
            assert_eq!(store.list(&everything, &request, at(0)).await.unwrap().len(), 8);
        });
    }
}

fn the_printed_script_makes_the_same_schema() {
    let dump = "SELECT concat_ws(' ', table_name, column_name, data_type, collation_name, is_nullable) \
                FROM information_schema.columns WHERE table_name LIKE 'hallpass%' \
                UNION ALL SELECT indexdef FROM pg_indexes WHERE tablename LIKE 'hallpass%' \
                UNION ALL SELECT version::text FROM hallpass_schema \
                UNION ALL SELECT count(*)::text FROM hallpass_locks ORDER BY 1";
    let (_, migrated) = fresh(&PostgresOptions::new());
    HOME.block_on(async {
        let scripted = SHARED.database().await;
        SHARED.execute(&scripted, &PostgresStore::schema_sql()).await;
        let options = PostgresOptions::new().without_migrations();
        options.connect(&SHARED.url(&scripted)).await.unwrap();
        assert_eq!(SHARED.select(&migrated, dump).await, SHARED.select(&scripted, dump).await);
        let named = PostgresOptions::new().with_schema("a\"b");
        SHARED.execute(&scripted, &named.schema_sql().unwrap()).await;
        named.without_migrations().connect(&SHARED.url(&scripted)).await.unwrap();
    });
}

fn other_schemas_are_refused() {
    let (_, database) = fresh(&PostgresOptions::new());
    HOME.block_on(async {
        let refused = |error: Result<PostgresStore, StoreError>| {
            let error = error.unwrap_err();
            assert!(matches!(error, StoreError::Schema(_)), "{error:?}");
        };
        SHARED.execute(&database, "UPDATE hallpass_schema SET version = 1000").await;
        refused(PostgresStore::connect(&SHARED.url(&database)).await);
        SHARED.execute(&database, "UPDATE hallpass_schema SET version = -1").await;
        refused(PostgresStore::connect(&SHARED.url(&database)).await);
        SHARED.execute(&database, "DELETE FROM hallpass_schema").await;
        refused(PostgresStore::connect(&SHARED.url(&database)).await);
        let empty = SHARED.url(&SHARED.database().await);
        refused(PostgresOptions::new().without_migrations().connect(&empty).await);
        refused(PostgresOptions::new().with_schema("").connect(&empty).await);
    });
}

/// The changes that are told, up to and with this one.
async fn told_until(changes: &mut dyn Changes, last: Notice) -> Vec<Notice> {
    let mut told = Vec::new();
    loop {
        let notice = changes.next().await.unwrap();
        told.push(notice);
        if notice == last {
            return told;
        }
    }
}

fn changed(number: u32, version: u64) -> Notice {
    Notice::Changed { id: id(number), version }
}

fn nodes_hear_of_each_others_changes() {
    let (one, database) = fresh(&PostgresOptions::new());
    HOME.block_on(async {
        let other = PostgresStore::connect(&SHARED.url(&database)).await.unwrap();
        let mut changes = other.changes().await.unwrap().unwrap();
        assert_eq!(changes.next().await.unwrap(), Notice::Gap);
        one.insert(&record(1), &anything()).await.unwrap();
        let change = Change { description: Some(None), ..Change::default() };
        one.update(&id(1), 1, &change, at(0)).await.unwrap();
        let renamed = Change { name: Some(("x".parse().unwrap(), true)), ..Change::default() };
        one.update(&id(1), 2, &renamed, at(0)).await.unwrap();
        one.revoke(&only([1]), &mark(1)).await.unwrap();
        let told = told_until(&mut *changes, changed(1, 4)).await;
        for version in 1..=4 {
            assert!(told.contains(&changed(1, version)), "{told:?}");
        }
        // What was refused is not told, and a channel with nothing to tell is alive.
        one.update(&id(1), 4, &renamed, at(0)).await.unwrap_err();
        one.insert(&record(1), &anything()).await.unwrap_err();
        assert_eq!(changes.next().await.unwrap(), Notice::Alive);
        // More than one payload holds.
        for number in 100..900 {
            one.insert(&record(number), &anything()).await.unwrap();
        }
        told_until(&mut *changes, changed(899, 1)).await;
        assert_eq!(one.revoke(&Filter::new(Reach::All), &mark(2)).await.unwrap().len(), 800);
        let mut missing: HashSet<u32> = (100..900).collect();
        while !missing.is_empty() {
            let Notice::Changed { id, version: 2 } = changes.next().await.unwrap() else {
                continue;
            };
            missing.remove(&id.as_str().parse().unwrap());
        }
        // Stores in other schemas say nothing here.
        let apart = PostgresOptions::new().with_schema("apart");
        let apart = apart.connect(&SHARED.url(&database)).await.unwrap();
        apart.insert(&record(7), &anything()).await.unwrap();
        assert_eq!(changes.next().await.unwrap(), Notice::Alive);
        let silent = PostgresOptions::new().without_changes();
        let silent = silent.connect(&SHARED.url(&database)).await.unwrap();
        assert!(silent.changes().await.unwrap().is_none());
    });
}

fn revocations_that_are_not_told_are_noticed() {
    let (store, database) = fresh(&PostgresOptions::new());
    HOME.block_on(async {
        let deaf = PostgresOptions::new().without_changes();
        let mute = deaf.connect(&SHARED.url(&database)).await.unwrap();
        mute.insert(&record(1), &anything()).await.unwrap();
        let mut changes = store.changes().await.unwrap().unwrap();
        assert_eq!(changes.next().await.unwrap(), Notice::Gap);
        assert_eq!(changes.next().await.unwrap(), Notice::Alive);
        mute.revoke(&only([1]), &mark(1)).await.unwrap();
        let mut signs = 0;
        while changes.next().await.unwrap() != Notice::Gap {
            signs += 1;
            assert!(signs < 4, "nothing is noticed");
        }
        // Once is enough.
        assert_eq!(changes.next().await.unwrap(), Notice::Alive);
        assert_eq!(changes.next().await.unwrap(), Notice::Alive);
    });
}

fn an_interrupted_channel_tells_of_a_gap() {
    let (store, database) = fresh(&PostgresOptions::new());
    HOME.block_on(async {
        let mut changes = store.changes().await.unwrap().unwrap();
        assert_eq!(changes.next().await.unwrap(), Notice::Gap);
        assert_eq!(changes.next().await.unwrap(), Notice::Alive);
        let end = "SELECT pg_terminate_backend(pid)::text FROM pg_stat_activity \
                   WHERE datname = current_database() AND query LIKE 'SELECT sum(counted)%'";
        SHARED.select(&database, end).await;
        let error = changes.next().await.unwrap_err();
        assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
        assert_eq!(changes.next().await.unwrap(), Notice::Gap);
        store.insert(&record(1), &anything()).await.unwrap();
        told_until(&mut *changes, changed(1, 1)).await;
        // Dropping what waits loses nothing.
        store.insert(&record(2), &anything()).await.unwrap();
        for _ in 0..100 {
            let mut next = changes.next();
            let polled =
                std::future::poll_fn(|context| std::task::Poll::Ready(next.as_mut().poll(context)));
            if let std::task::Poll::Ready(notice) = polled.await {
                assert_eq!(notice.unwrap(), changed(2, 1));
                return;
            }
        }
        assert_eq!(changes.next().await.unwrap(), changed(2, 1));
    });
}

fn steps_are_repeated_when_the_server_asks() {
    let (store, database) = fresh(&PostgresOptions::new());
    HOME.block_on(async {
        store.insert(&record(1), &anything()).await.unwrap();
        // Refuses the first two attempts, then one in three. A sequence is not rolled back.
        let refusing = "CREATE SEQUENCE attempts;
            CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                IF nextval('attempts') % 3 <> 0 THEN
                    RAISE EXCEPTION USING ERRCODE = TG_ARGV[0];
                END IF;
                RETURN coalesce(NEW, OLD);
            END $$;";
        SHARED.execute(&database, refusing).await;
        for code in ["40001", "40P01"] {
            let trigger = format!(
                "DROP TRIGGER IF EXISTS refuse ON hallpass_tokens;
                 CREATE TRIGGER refuse BEFORE INSERT OR UPDATE OR DELETE ON hallpass_tokens
                 FOR EACH ROW EXECUTE FUNCTION refuse('{code}')"
            );
            SHARED.execute(&database, &trigger).await;
            let version = store.find(&id(1)).await.unwrap().unwrap().token.version;
            let change = Change { description: Some(None), ..Change::default() };
            let updated = store.update(&id(1), version, &change, at(0)).await.unwrap().unwrap();
            assert_eq!(updated.token.version, version + 1);
            let number = if code == "40001" { 2 } else { 3 };
            store.insert(&record(number), &anything()).await.unwrap();
            let last_use = LastUse { at: at(1), ip: None, agent: None };
            store.touch(&[Use { id: id(number), last_use }]).await.unwrap();
            assert_eq!(store.revoke(&only([number]), &mark(1)).await.unwrap(), [id(number)]);
        }
        // Where it never ends, the step fails, and nothing is left of it.
        SHARED.execute(&database, "ALTER SEQUENCE attempts INCREMENT BY 3 RESTART WITH 1").await;
        let error = store.insert(&record(9), &anything()).await.unwrap_err();
        assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
        assert_eq!(store.find(&id(9)).await.unwrap(), None);
    });
}

fn steps_that_lock_each_other_out_succeed() {
    let (store, _) = fresh(&PostgresOptions::new());
    HOME.block_on(async {
        for number in 0..200 {
            store.insert(&record(number), &anything()).await.unwrap();
        }
    });
    thread::scope(|scope| {
        for task in 0..8_i64 {
            let store = &store;
            scope.spawn(move || {
                HOME.block_on(async {
                    for round in 0..10_u32 {
                        let uses: Vec<Use> = (0..200)
                            .map(|number| {
                                let last_use = LastUse {
                                    at: at(i64::from(round) * 8 + task),
                                    ip: None,
                                    agent: None,
                                };
                                Use { id: id(number), last_use }
                            })
                            .collect();
                        store.touch(&uses).await.unwrap();
                        let some = (0..5).map(|place| (199 - place * 40) - round * 2);
                        store.revoke(&only(some), &mark(round.into())).await.unwrap();
                    }
                });
            });
        }
    });
}

fn finds_at_once_are_all_answered() {
    let (store, _) = fresh(&PostgresOptions::new());
    HOME.block_on(async {
        for number in 0..50 {
            store.insert(&record(number), &anything()).await.unwrap();
        }
        let mut running = Vec::new();
        for number in 0..2_000_u32 {
            let store = store.clone();
            running.push(tokio::spawn(async move {
                let number = number * 7 % 60;
                let found = store.find(&id(number)).await.unwrap();
                assert_eq!(found, (number < 50).then(|| record(number)));
            }));
            // Some callers go away, whether they lead or follow.
            if number % 5 == 0 {
                running[number as usize].abort();
            }
        }
        for running in running {
            if let Err(ended) = running.await {
                assert!(ended.is_cancelled());
            }
        }
        assert_eq!(store.find(&id(1)).await.unwrap(), Some(record(1)));
    });
}

fn damaged_rows_are_told_apart() {
    let (store, database) = fresh(&PostgresOptions::new());
    HOME.block_on(async {
        for number in 1..=5 {
            store.insert(&record(number), &anything()).await.unwrap();
        }
        let damage = format!(
            "ALTER TABLE hallpass_tokens ALTER scopes DROP NOT NULL;
             UPDATE hallpass_tokens SET scopes = NULL WHERE id = '{}';
             UPDATE hallpass_tokens SET scopes = 'a  \"b' WHERE id = '{}';
             UPDATE hallpass_tokens SET scopes = '' WHERE id = '{}';
             UPDATE hallpass_tokens SET digest = 'v99$?' WHERE id = '{}';
             UPDATE hallpass_tokens SET created_at = -1 WHERE id = '{}';",
            id(1),
            id(2),
            id(3),
            id(4),
            id(5)
        );
        SHARED.execute(&database, &damage).await;
        for number in 1..=3 {
            let found = store.find(&id(number)).await.unwrap().unwrap();
            assert_eq!(found.token.scopes, ScopeList::default());
        }
        let found = store.find(&id(4)).await.unwrap().unwrap();
        assert_eq!(found.digest.to_stored(), "v99$?");
        let error = store.find(&id(5)).await.unwrap_err();
        let StoreError::Corrupt { id: named, column: "created_at" } = error else {
            panic!("{error:?}");
        };
        assert_eq!(named, id(5).as_str());
        // It can still be revoked.
        assert_eq!(store.revoke(&only([5]), &mark(0)).await.unwrap(), [id(5)]);
    });
}

fn a_slow_database_is_an_outage() {
    let options = PostgresOptions::new().with_timeout(Duration::from_millis(300));
    let (store, database) = fresh(&options.with_pool_size(2));
    HOME.block_on(async {
        store.insert(&record(1), &anything()).await.unwrap();
        let mut other = SHARED.client(&database).await;
        let lock = other.transaction().await.unwrap();
        lock.batch_execute("LOCK TABLE hallpass_tokens").await.unwrap();
        let outage = |error: StoreError| assert!(matches!(error, StoreError::Unavailable(_)));
        let first = id(1);
        for error in futures(10, |_| store.find(&first)).await {
            outage(error.unwrap_err());
        }
        outage(store.insert(&record(2), &anything()).await.unwrap_err());
        outage(store.revoke(&only([1]), &mark(1)).await.unwrap_err());
        lock.rollback().await.unwrap();
        assert_eq!(store.find(&id(1)).await.unwrap(), Some(record(1)));
        store.insert(&record(2), &anything()).await.unwrap();
    });
}

fn more_steps_than_fit_are_turned_away() {
    let (store, database) = fresh(&PostgresOptions::new().with_max_steps(4));
    HOME.block_on(async {
        store.insert(&record(1), &anything()).await.unwrap();
        let mut other = SHARED.client(&database).await;
        let lock = other.transaction().await.unwrap();
        lock.batch_execute("LOCK TABLE hallpass_tokens").await.unwrap();
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
        lock.rollback().await.unwrap();
        for step in waiting {
            assert_eq!(step.await.unwrap(), Some(record(1)));
        }
        store.revoke(&only([1]), &mark(1)).await.unwrap();
    });
}

/// Has the server explain every statement, and looks for one that reads more than it needs.
fn no_step_reads_the_whole_table() {
    let (filled, database) = fresh(&PostgresOptions::new());
    HOME.block_on(async {
        filled.insert(&record(0), &anything()).await.unwrap();
        let fill = format!(
            "INSERT INTO hallpass_tokens
             SELECT (jsonb_populate_record(token, jsonb_build_object(
                 'id', lpad((n + 1000)::text, 16, '0'), 'owner', 'u' || n % 200,
                 'name_key', '\\x' || encode(n::text::bytea, 'hex'),
                 'created_at', {start} + n, 'expires_at', {start} + 1000000::bigint * (n % 9000),
                 'idempotency_key', '\\x' || encode(lpad(n::text, 16, '0')::bytea, 'hex'),
                 'idempotency_request', '\\x' || encode(lpad(n::text, 16, '0')::bytea, 'hex'),
                 'parent', CASE WHEN n % 5 = 0 THEN lpad((n / 2)::text, 16, '0') END,
                 'revoked_by', 'owner', 'revoked_reason', 'requested',
                 'revoked_at', CASE WHEN n % 7 = 0 THEN {start} END))).*
             FROM hallpass_tokens AS token, generate_series(1, 30000) AS n;
             INSERT INTO hallpass_uses (token, last_used_at, closed)
             SELECT id, {start} + 86400000000 * (created_at % 500), revoked_at IS NOT NULL
             FROM hallpass_tokens WHERE id >= lpad('1001', 16, '0');
             ALTER DATABASE {database} SET session_preload_libraries = 'auto_explain';
             ALTER DATABASE {database} SET auto_explain.log_min_duration = 0;
             ALTER DATABASE {database} SET auto_explain.log_analyze = on;
             ALTER DATABASE {database} SET plan_cache_mode = 'force_generic_plan';",
            start = at(0).as_micros(),
        );
        SHARED.execute(&database, &fill).await;
        SHARED.execute(&database, "VACUUM ANALYZE hallpass_tokens, hallpass_uses").await;
        drop(filled);
        let store = PostgresStore::connect(&SHARED.url(&database)).await.unwrap();
        let mine = Reach::Owner(Tenant::DEFAULT, owner("u7"));
        let mut live = Filter::new(mine.clone());
        live.statuses = Some(vec![Status::Active, Status::Suspended]);
        let mut ending = Filter::new(Reach::All);
        ending.expires_from = Some(at(100));
        ending.expires_before = Some(at(101));
        // A few of all, and most of them.
        let day = chrono::TimeDelta::days(1);
        let [few, many] = [2, 400].map(|days| {
            let mut unused = Filter::new(Reach::All);
            unused.unused_since = at(0).checked_add(day * days);
            unused
        });
        for (filter, sorts) in [
            (few, &SORTS[..]),
            (many, &[SortKey::CreatedAt, SortKey::LastUsedAt]),
            (Filter::new(mine), &SORTS[..]),
            (live, &SORTS[..]),
            (
                Filter::new(Reach::All),
                &[SortKey::CreatedAt, SortKey::ExpiresAt, SortKey::LastUsedAt],
            ),
            (ending, &[SortKey::ExpiresAt]),
        ] {
            for &sort in sorts {
                for descending in [false, true] {
                    let mut request = page(sort, descending, 10);
                    let first = store.list(&filter, &request, at(50)).await.unwrap();
                    request.after = first.last().map(|last| position(sort, last));
                    store.list(&filter, &request, at(50)).await.unwrap();
                }
            }
        }
        store.find(&id(1001)).await.unwrap().unwrap();
        let strict = hallpass::store::Admission { now: at(50), quota: Some(3), unique_name: true };
        let mut issued = record_with(1, |token| token.owner = owner("u7"));
        issued.idempotency = Some(key(9));
        let full = store.insert(&issued, &strict).await.unwrap_err();
        assert!(matches!(full, StoreError::Conflict(Conflict::QuotaFull { .. })), "{full:?}");
        let change = Change { name: Some(("x".parse().unwrap(), true)), ..Change::default() };
        store.update(&id(1001), 1, &change, at(0)).await.unwrap().unwrap();
        store
            .list(&Filter::new(Reach::Family(id(1001))), &page(SortKey::Name, false, 10), at(0))
            .await
            .unwrap();
        store.revoke(&only([1001, 1002]), &mark(1)).await.unwrap();
        store.revoke(&Filter::new(Reach::Family(id(1003))), &mark(1)).await.unwrap();
        let last_use = LastUse { at: at(9_000_000), ip: None, agent: None };
        store.touch(&[Use { id: id(1004), last_use }]).await.unwrap();
        let purge = Purge {
            now: at(500),
            retention: chrono::TimeDelta::seconds(300),
            exchange_retention: chrono::TimeDelta::zero(),
            limit: 20,
        };
        assert_eq!(store.purge(&purge).await.unwrap(), 20);
        // Everything was written to the log before this is.
        let end = format!("DO $$ BEGIN RAISE LOG 'end of {database}'; END $$");
        SHARED.execute(&database, &end).await;
        let log = loop {
            let log = SHARED.log();
            if log.iter().any(|line| line.contains(&format!("end of {database}"))) {
                break log;
            }
            tokio::task::yield_now().await;
        };
        let plans: Vec<&String> =
            log.iter().filter(|line| !line.contains("ms  statement")).collect();
        let planned = plans.iter().filter(|line| line.contains("Index")).count();
        assert!(planned > 30, "{planned}");
        for line in plans {
            assert!(!line.contains("Seq Scan on hallpass_"), "{}", log.join("\n"));
            if let Some((_, removed)) = line.split_once("Rows Removed by Filter: ") {
                assert!(removed.trim().parse::<u32>().unwrap() < 500, "{}", log.join("\n"));
            }
        }
    });
}
