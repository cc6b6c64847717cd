//! PostgreSQL.

use std::sync::Arc;
use std::time::Instant;

use hallpass::conformance::support::{anything, at, id, mark, only, owner, page, record};
use hallpass::store::{CacheOptions, Changes, Filter, Notice, Reach, SortKey, Use};
use hallpass::{LastUse, PostgresStore, Tenant, TokenStore};
use tokio_postgres::Client;
use tokio_postgres::types::Type;

use crate::load::{Step, Taken, in_turns};
use crate::postgres_server::Server;
use crate::{is_test, sizes, table, wanted};

/// How many connections the driver alone is given for many reads, as many as serve it best.
const LINES: usize = 4;
/// How many tokens an owner has.
const EACH: u32 = 20;

pub(crate) async fn measure() {
    // Where the machine stands still while it writes, the disk would be measured.
    let server = Server::start(&["shared_buffers=1GB", "autovacuum=off", "jit=off"]);
    for tokens in sizes(true) {
        let database = server.database().await;
        let store = PostgresStore::connect(&server.url(&database)).await.unwrap();
        fill(&server, &database, &store, tokens).await;
        if wanted("postgres reads") {
            reads(&server, &database, &store, tokens).await;
        }
        if wanted("postgres pages") {
            pages(&store, tokens).await;
        }
        if wanted("postgres uses") {
            uses(&server, &database, &store, tokens).await;
        }
        if tokens <= 10_000 && wanted("postgres heard") {
            let other = PostgresStore::connect(&server.url(&database)).await.unwrap();
            let changes = other.changes().await.unwrap().unwrap();
            table::figure(
                "PostgreSQL: a revocation is heard of by another node after",
                &heard(&store, changes).await,
                ("ms", 1e6),
            );
        }
    }
}

/// Puts in tokens as the store does, but without their indexes, which are made again afterwards.
async fn fill(server: &Server, database: &str, store: &PostgresStore, tokens: u32) {
    store.insert(&record(tokens), &anything()).await.unwrap();
    let client = server.client(database).await;
    let columns: Vec<String> = column(
        &client,
        "SELECT column_name::text FROM information_schema.columns \
         WHERE table_name = 'hallpass_tokens' ORDER BY ordinal_position",
    )
    .await;
    let values: Vec<String> = columns
        .iter()
        .map(|column| match column.as_str() {
            "id" => "lpad(n::text, 16, '0')".to_owned(),
            "owner" => format!("'u' || n / {EACH}"),
            "name" => "'token ' || n".to_owned(),
            "name_key" => "('token ' || n)::bytea".to_owned(),
            "created_at" => "created_at + n".to_owned(),
            column => column.to_owned(),
        })
        .collect();
    let indexes =
        "FROM pg_indexes WHERE tablename LIKE 'hallpass_%' AND indexname NOT LIKE '%_pkey'";
    let made = column(&client, &format!("SELECT indexdef {indexes}")).await;
    for index in column(&client, &format!("SELECT indexname::text {indexes}")).await {
        client.batch_execute(&format!("DROP INDEX {index}")).await.unwrap();
    }
    let fill = format!(
        "SET synchronous_commit = off;
         INSERT INTO hallpass_tokens ({}) SELECT {} FROM hallpass_tokens AS token,
             generate_series(0, {tokens} - 1) AS n WHERE id = '{}';
         INSERT INTO hallpass_uses (token, closed)
             SELECT id, FALSE FROM hallpass_tokens WHERE id < '{}';
         CREATE TABLE floor (id TEXT COLLATE \"C\" NOT NULL PRIMARY KEY, at BIGINT NOT NULL)
             WITH (fillfactor = 50);
         INSERT INTO floor SELECT id, 0 FROM hallpass_tokens;",
        columns.join(", "),
        values.join(", "),
        id(tokens),
        id(tokens),
    );
    client.batch_execute(&fill).await.unwrap();
    for index in made {
        client.batch_execute(&index).await.unwrap();
    }
    for sql in ["VACUUM ANALYZE", "CHECKPOINT"] {
        client.batch_execute(sql).await.unwrap();
    }
    let size = "SELECT pg_total_relation_size('hallpass_tokens'), \
                pg_total_relation_size('hallpass_uses')";
    let size = client.query_one(size, &[]).await.unwrap();
    let each = |place| size.get::<_, i64>(place) / i64::from(tokens);
    let among = table::short(tokens);
    println!(
        "\n- PostgreSQL: disk for each of {among} tokens: {} bytes, last uses {}",
        each(0),
        each(1)
    );
}

async fn column(client: &Client, sql: &str) -> Vec<String> {
    client.query(sql, &[]).await.unwrap().iter().map(|row| row.get(0)).collect()
}

/// The driver alone: the store's own statement, prepared once for each of a few connections, on
/// which as many as come are under way at a time.
async fn bare(server: &Server, database: &str, connections: usize) -> Step {
    let mut lines = Vec::new();
    let columns = "id, kind, tenant, owner, name, description, scopes, resources, networks, \
         audience, created_at, created_by, not_before, expires_at, last_used_at, last_used_ip, \
         last_used_agent, rotated_at, superseded_at, grace_until, first_used_at, suspended_at, \
         revoked_at, revoked_by, revoked_reason, parent, client, metadata, notices, version, \
         digest, superseded, idempotency_key, idempotency_request";
    for _ in 0..connections {
        let client = server.client(database).await;
        let sql = format!(
            "SELECT {columns} FROM hallpass_tokens LEFT JOIN hallpass_uses ON token = id \
             WHERE id = $1"
        );
        let find = client.prepare_typed(&sql, &[Type::TEXT]).await.unwrap();
        lines.push((client, find));
    }
    let lines = Arc::new(lines);
    Arc::new(move |number| {
        let lines = lines.clone();
        Box::pin(async move {
            let (client, find) = &lines[number as usize % lines.len()];
            let found = client.query(find, &[&id(number).as_str()]).await.unwrap();
            assert_eq!(found.len(), 1);
        })
    })
}

async fn reads(server: &Server, database: &str, store: &PostgresStore, tokens: u32) {
    let cached = CacheOptions::new()
        .with_ttl(CacheOptions::MAX_TTL)
        .with_capacity(1_000_000)
        .without_channel()
        .wrap(store.clone());
    let cached = Arc::new(cached);
    table::head("PostgreSQL: a token by its id");
    for in_flight in [1, 16, 64] {
        let connections = if in_flight == 1 { 1 } else { LINES };
        let alone = bare(server, database, connections).await;
        let steps = [alone, finding(store.clone()), looking(cached.clone())];
        let taken = in_turns(in_flight, tokens.min(1_000_000), &steps).await;
        table::rows(tokens, in_flight, &["driver", "store", "cached store"], &taken);
    }
}

/// A read of the store.
pub(crate) fn finding(store: impl TokenStore + Clone) -> Step {
    Arc::new(move |number| {
        let store = store.clone();
        Box::pin(async move { assert!(store.find(&id(number)).await.unwrap().is_some()) })
    })
}

/// What the engine does: a look at what is in memory, and a read where that tells nothing.
pub(crate) fn looking(store: Arc<dyn TokenStore>) -> Step {
    Arc::new(move |number| {
        let store = store.clone();
        Box::pin(async move {
            let (id, mut seen) = (id(number), false);
            store.resident(&id, &mut |_| seen = true);
            assert!(seen || store.find(&id).await.unwrap().is_some());
        })
    })
}

async fn pages(store: &PostgresStore, tokens: u32) {
    println!();
    for sort in [SortKey::CreatedAt, SortKey::Name, SortKey::ExpiresAt, SortKey::LastUsedAt] {
        let store = store.clone();
        let list: Step = Arc::new(move |number| {
            let store = store.clone();
            Box::pin(async move {
                let name = owner(&format!("u{}", number / EACH));
                let filter = Filter::new(Reach::Owner(Tenant::DEFAULT, name));
                let listed = store.list(&filter, &page(sort, true, EACH), at(0)).await.unwrap();
                assert_eq!(listed.len(), EACH as usize);
            })
        });
        let taken = in_turns(1, tokens / EACH * EACH, &[list]).await;
        let name = format!("an owner's page by {sort:?} among {}", table::short(tokens));
        table::figure(&name, &taken[0], ("us", 1e3));
    }
}

/// Batches of a thousand uses, beside the least that writes them.
async fn uses(server: &Server, database: &str, store: &PostgresStore, tokens: u32) {
    let client = server.client(database).await;
    let sql = "UPDATE floor SET at = noted.at FROM UNNEST($1, $2) AS noted (id, at) \
               WHERE floor.id = noted.id AND floor.at < noted.at";
    let floor = client.prepare_typed(sql, &[Type::TEXT_ARRAY, Type::INT8_ARRAY]).await.unwrap();
    let batch = 1_000.min(tokens);
    // Whoever is used is used again and again, and lies all over the table.
    let sets: u32 = 4;
    let (mut bare, mut first, mut further) = (Taken::default(), Taken::default(), Taken::default());
    for round in 0..if is_test() { 1 + sets } else { 60 + sets } {
        let numbers: Vec<u32> = (0..batch)
            .map(|place| (place * (tokens / batch) + round % sets * 3) % tokens)
            .collect();
        let now = at(i64::from(round) + 1);
        let ids: Vec<_> = numbers.iter().map(|number| id(*number)).collect();
        let texts: Vec<&str> = ids.iter().map(hallpass::TokenId::as_str).collect();
        let instants = vec![now.as_micros(); ids.len()];
        let start = Instant::now();
        let written = client.execute(&floor, &[&texts, &instants]).await.unwrap();
        let alone = start.elapsed() / batch;
        assert_eq!(written, u64::from(batch));
        let last_use =
            LastUse { at: now, ip: Some([10, 0, 0, 1].into()), agent: Some("curl/8.5".into()) };
        let uses: Vec<Use> =
            ids.iter().map(|id| Use { id: *id, last_use: last_use.clone() }).collect();
        let start = Instant::now();
        store.touch(&uses).await.unwrap();
        let taken = start.elapsed() / batch;
        if round < sets {
            first.add([taken]);
        } else {
            bare.add([alone]);
            further.add([taken]);
        }
    }
    println!();
    let among = table::short(tokens);
    for (name, taken) in
        [("narrowest table", bare), ("store", further), ("store, first of a day", first)]
    {
        table::figure(&format!("a last use, {name}, among {among}"), &taken, ("us", 1e3));
    }
}

/// How long after a revocation is asked for another node has heard of it, the commit included.
pub(crate) async fn heard(store: &impl TokenStore, mut changes: Box<dyn Changes>) -> Taken {
    let mut taken = Taken::default();
    assert_eq!(changes.next().await.unwrap(), Notice::Gap);
    for number in 0..if is_test() { 3 } else { 500 } {
        let start = Instant::now();
        store.revoke(&only([number]), &mark(1)).await.unwrap();
        loop {
            match changes.next().await.unwrap() {
                Notice::Changed { id: told, .. } if told == id(number) => break,
                _ => {}
            }
        }
        taken.add([start.elapsed()]);
    }
    taken
}
