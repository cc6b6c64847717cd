//! Stores that are servers of their own: the driver alone beside the store beside the cached store,
//! with one, 16 and 64 reads in flight; an owner's page and batches of last uses beside the least
//! SQL that does the same; how long another node takes to hear of a revocation; and by how much all
//! of it grows with the number of tokens.
//!
//! It starts a PostgreSQL and a Redis server of its own, and says so where there is none. Rows that
//! are compared take turns. Measured are two sizes, and with `HALLPASS_BENCH_LARGE=1` ten million
//! tokens in PostgreSQL too, which takes 15 GB of disk. A word after `--` picks rows, `postgres`,
//! `redis`, `reads`, `pages`, `uses` or `heard`:
//! `cargo bench --features postgres,redis,cache,conformance --bench stores -- uses`.

#![expect(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::cast_precision_loss,
    clippy::indexing_slicing,
    reason = "a bench that cannot be set up must stop"
)]

#[path = "../../tests/postgres/server.rs"]
#[expect(dead_code, reason = "the tests need more of it")]
mod postgres_server;
#[path = "../../tests/redis/server.rs"]
#[expect(dead_code, reason = "the tests need more of it")]
mod redis_server;

mod load;
mod postgres;
mod redis_rows;
mod table;

use tokio::runtime::Builder;

/// Whether this is only to show that it runs.
fn is_test() -> bool {
    let given = |name: &str| std::env::args().any(|arg| arg == name);
    given("--test") || !given("--bench")
}

/// Whether rows of this name are asked for.
fn wanted(name: &str) -> bool {
    let mut words = std::env::args().skip(1).filter(|word| !word.starts_with("--")).peekable();
    words.peek().is_none() || words.any(|word| name.contains(&word))
}

/// The numbers of tokens to measure with.
fn sizes(large: bool) -> Vec<u32> {
    match is_test() {
        true => vec![100],
        false if large && std::env::var_os("HALLPASS_BENCH_LARGE").is_some() => {
            vec![10_000, 1_000_000, 10_000_000]
        }
        false => vec![10_000, 1_000_000],
    }
}

fn main() {
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    if ["postgres reads", "postgres pages", "postgres uses", "postgres heard"]
        .iter()
        .any(|row| wanted(row))
    {
        match postgres_server::Server::binaries() {
            Some(_) => runtime.block_on(postgres::measure()),
            None => println!("postgres: not measured, postgresql is not installed"),
        }
    }
    if wanted("redis") {
        match redis_server::missing() {
            None => runtime.block_on(redis_rows::measure()),
            Some(missing) => println!("redis: not measured, {missing}"),
        }
    }
    table::growth();
    postgres_server::stop_all();
}
