//! PostgreSQL.

use std::sync::{Arc, Mutex};
use std::time::Instant;

use hallpass::conformance::support::{anything, at, id, mark, only, owner, page, record};
use hallpass::store::{CacheOptions, Changes, Filter, Notice, Reach, SortKey, Use};
use hallpass::{LastUse, PostgresStore, Tenant, TokenStore};
use tokio::sync::Semaphore;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Statement};

use crate::load::{Step, Taken, in_turns};
use crate::postgres_server::Server;
use crate::{is_test, sizes, table, wanted};

/// How many connections the driver alone is given for many reads, as many as serve it best.
const LINES: usize = 4;
/// How many it is given where each serves one at a time, as many as the store's own pool has.
const POOL: usize = 16;
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
            pages(&server, &database, &store, tokens).await;
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

/// What the store reads of a token.
async fn columns(client: &Client) -> String {
    let read = "SELECT string_agg(column_name, ', ') FROM information_schema.columns \
                WHERE table_name IN ('hallpass_tokens', 'hallpass_uses') AND column_name NOT IN \
                ('name_key', 'description_key', 'token', 'last_used_day', 'closed')";
    column(client, read).await.remove(0)
}

/// A connection with a prepared statement.
type Line = (Client, Statement);

async fn lines(server: &Server, database: &str, count: usize) -> Vec<Line> {
    let mut lines = Vec::new();
    for _ in 0..count {
        let client = server.client(database).await;
        let sql = format!(
            "SELECT {} FROM hallpass_tokens LEFT JOIN hallpass_uses ON token = id WHERE id = $1",
            columns(&client).await
        );
        let find = client.prepare_typed(&sql, &[Type::TEXT]).await.unwrap();
        lines.push((client, find));
    }
    lines
}

async fn find(line: &Line, number: u32) {
    let found = line.0.query(&line.1, &[&id(number).as_str()]).await.unwrap();
    assert_eq!(found.len(), 1);
}

/// The driver alone: the store's own statement, prepared once for each of a few connections, on
/// which as many as come are under way at a time.
async fn pipelined(server: &Server, database: &str, connections: usize) -> Step {
    let lines = Arc::new(lines(server, database, connections).await);
    Arc::new(move |number| {
        let lines = lines.clone();
        Box::pin(async move { find(&lines[number as usize % lines.len()], number).await })
    })
}

/// The driver alone, as pools use it: one at a time on each connection.
async fn pooled(server: &Server, database: &str, connections: usize) -> Step {
    let free = Arc::new(Semaphore::new(connections));
    let idle = Arc::new(Mutex::new(lines(server, database, connections).await));
    Arc::new(move |number| {
        let (free, idle) = (free.clone(), idle.clone());
        Box::pin(async move {
            let _one = free.acquire().await.unwrap();
            let line = idle.lock().unwrap().pop().unwrap();
            find(&line, number).await;
            idle.lock().unwrap().push(line);
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
    let title = "PostgreSQL: a token by its id";
    table::head(title);
    let among = tokens.min(1_000_000);
    let ours = || [finding(store.clone()), looking(cached.clone())];
    let alone = pipelined(server, database, 1).await;
    let taken = in_turns(1, among, &[&[alone][..], &ours()].concat()).await;
    table::rows(title, tokens, 1, &["driver", "store", "cached store"], &taken);
    let alone = [pipelined(server, database, LINES).await, pooled(server, database, POOL).await];
    for in_flight in [16, 64] {
        let taken = in_turns(in_flight, among, &[&alone[..], &ours()].concat()).await;
        let names = ["driver, pipelined", "driver, pooled", "store", "cached store"];
        table::rows(title, tokens, in_flight, &names, &taken);
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

/// The least that reads an owner's newest tokens whole.
async fn bare_page(server: &Server, database: &str) -> Step {
    let client = server.client(database).await;
    let sql = format!(
        "SELECT {} FROM hallpass_tokens LEFT JOIN hallpass_uses ON token = id \
         WHERE tenant = 'default' AND owner = $1 ORDER BY created_at DESC, id DESC LIMIT {EACH}",
        columns(&client).await
    );
    let list = client.prepare_typed(&sql, &[Type::TEXT]).await.unwrap();
    let line = Arc::new((client, list));
    Arc::new(move |number| {
        let line = line.clone();
        Box::pin(async move {
            let owner = format!("u{}", number / EACH);
            let listed = line.0.query(&line.1, &[&owner]).await.unwrap();
            assert_eq!(listed.len(), EACH as usize);
        })
    })
}

async fn pages(server: &Server, database: &str, store: &PostgresStore, tokens: u32) {
    let title = "PostgreSQL: an owner's page";
    table::head(title);
    let page_by = |sort: SortKey| -> Step {
        let store = store.clone();
        Arc::new(move |number| {
            let store = store.clone();
            Box::pin(async move {
                let name = owner(&format!("u{}", number / EACH));
                let filter = Filter::new(Reach::Owner(Tenant::DEFAULT, name));
                let listed = store.list(&filter, &page(sort, true, EACH), at(0)).await.unwrap();
                assert_eq!(listed.len(), EACH as usize);
            })
        })
    };
    let sorts = [SortKey::CreatedAt, SortKey::Name, SortKey::ExpiresAt, SortKey::LastUsedAt];
    let mut steps = vec![bare_page(server, database).await];
    steps.extend(sorts.map(page_by));
    let taken = in_turns(1, tokens / EACH * EACH, &steps).await;
    let names = ["driver, newest", "newest first", "by name", "by end", "by last use"];
    table::rows(title, tokens, 1, &names, &taken);
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
        let last_use =
            LastUse { at: now, ip: Some([10, 0, 0, 1].into()), agent: Some("curl/8.5".into()) };
        let uses: Vec<Use> =
            ids.iter().map(|id| Use { id: *id, last_use: last_use.clone() }).collect();
        let alone = async || {
            let start = Instant::now();
            let written = client.execute(&floor, &[&texts, &instants]).await.unwrap();
            assert_eq!(written, u64::from(batch));
            start.elapsed() / batch
        };
        let ours = async || {
            let start = Instant::now();
            store.touch(&uses).await.unwrap();
            start.elapsed() / batch
        };
        // Neither always comes first.
        let (alone, ours) = if round % 2 == 0 {
            let alone = alone().await;
            (alone, ours().await)
        } else {
            let ours = ours().await;
            (alone().await, ours)
        };
        if round < sets {
            first.add([ours]);
        } else {
            bare.add([alone]);
            further.add([ours]);
        }
    }
    println!();
    let among = table::short(tokens);
    let ratio = further.quantile(0.5) / bare.quantile(0.5);
    for (name, taken) in
        [("narrowest table", bare), ("store", further), ("store, first of a day", first)]
    {
        table::figure(&format!("a last use, {name}, among {among}"), &taken, ("us", 1e3));
        table::note(&format!("PostgreSQL: a last use, {name}"), tokens, &taken);
    }
    println!("- a last use, store to narrowest table, among {among}: {ratio:.2}");
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
