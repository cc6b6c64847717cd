//! Redis.

use std::num::NonZeroUsize;
use std::process::{Command, Stdio};
use std::sync::Arc;

use hallpass::conformance::support::{anything, id, record};
use hallpass::store::CacheOptions;
use hallpass::{RedisOptions, RedisStore, TokenStore};
use redis::AsyncCommands as _;

use crate::load::{Step, in_turns};
use crate::postgres::{finding, heard, looking};
use crate::redis_server::Server;
use crate::{sizes, table};

/// How many tokens are put in at a time.
const AT_ONCE: u32 = 256;

pub(crate) async fn measure() {
    for tokens in sizes(false) {
        // What is written is not measured here.
        let server = Server::start(&["--appendonly", "no"]);
        let options = RedisOptions::new().danger_allow_lossy();
        let store = options.connect(server.url()).await.unwrap();
        let empty = used(&server);
        fill(&store, tokens).await;
        let each = (used(&server) - empty) / u64::from(tokens);
        println!("\n- Redis: memory for each of {} tokens: {each} bytes", table::short(tokens));
        let cached = CacheOptions::new()
            .with_ttl(CacheOptions::MAX_TTL)
            .with_capacity(1_000_000)
            .without_channel()
            .wrap(store.clone());
        let steps = [bare(&server).await, finding(store.clone()), looking(Arc::new(cached))];
        let title = "Redis: a token by its id";
        table::head(title);
        for in_flight in [1, 16, 64] {
            let apart = (in_flight == 1).then(|| Apart::keep(&server));
            let taken = in_turns(in_flight, tokens, &steps).await;
            drop(apart);
            table::rows(title, tokens, in_flight, &["driver", "store", "cached store"], &taken);
        }
        if tokens <= 10_000 {
            let other = options.connect(server.url()).await.unwrap();
            let changes = other.changes().await.unwrap().unwrap();
            println!();
            table::figure(
                "Redis: a revocation is heard of by another node after",
                &heard(&store, changes).await,
                ("ms", 1e6),
            );
        }
    }
}

/// How much memory a server uses, in bytes.
fn used(server: &Server) -> u64 {
    told(server, "used_memory:")
}

/// A number that a server tells of itself.
fn told(server: &Server, name: &str) -> u64 {
    let told = server.cli(&["INFO"]);
    let told = told.lines().find_map(|line| line.strip_prefix(name));
    told.expect("a line with this name").trim().parse().expect("a number")
}

/// Keeps the server on one core and its client on another, where `taskset` can: a lone client that
/// now and then shares the server's core is answered several times as fast then, and the rows of a
/// table could not be compared.
struct Apart {
    server: u64,
    cores: usize,
}

impl Apart {
    fn keep(server: &Server) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let apart = Self { server: told(server, "process_id:"), cores };
        if cores > 1 {
            apart.pin("0", &format!("1-{}", cores - 1));
        }
        apart
    }

    fn pin(&self, client: &str, server: &str) {
        let here = u64::from(std::process::id());
        for (cores, process) in [(client, here), (server, self.server)] {
            let pinned = Command::new("taskset")
                .args(["-a", "-c", "-p", cores, &process.to_string()])
                .stdout(Stdio::null())
                .status();
            if !pinned.is_ok_and(|status| status.success()) {
                println!("without taskset, one in flight cannot be compared");
            }
        }
    }
}

impl Drop for Apart {
    fn drop(&mut self) {
        let all = format!("0-{}", self.cores - 1);
        self.pin(&all, &all);
    }
}

async fn fill(store: &RedisStore, tokens: u32) {
    for first in (0..tokens).step_by(AT_ONCE as usize) {
        let inserts = (first..tokens.min(first + AT_ONCE)).map(|number| {
            let store = store.clone();
            tokio::spawn(async move {
                let mut record = record(number);
                record.token.owner =
                    hallpass::conformance::support::owner(&format!("u{}", number / 20));
                store.insert(&record, &anything()).await.unwrap();
            })
        });
        for insert in inserts.collect::<Vec<_>>() {
            insert.await.unwrap();
        }
    }
}

/// The driver alone: `GET` on a connection that many use at a time.
async fn bare(server: &Server) -> Step {
    let client = redis::Client::open(server.url()).unwrap();
    let connection = redis::aio::ConnectionManager::new(client).await.unwrap();
    Arc::new(move |number| {
        let mut connection = connection.clone();
        Box::pin(async move {
            let key = format!("hallpass:{{0}}:token:{}", id(number));
            let found: Vec<u8> = connection.get(key).await.unwrap();
            assert!(!found.is_empty());
        })
    })
}
