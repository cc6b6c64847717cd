//! The PostgreSQL store on real servers, which the tests start from the binaries installed here.
//! Where there are none, the tests are ignored; under `CI=true` they fail.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails"
)]

#[cfg(feature = "cache")]
mod cached;
#[cfg(feature = "sqlite")]
mod moving;
mod outages;
mod own_cases;
mod revoking;
mod server;
#[cfg(feature = "postgres-tls")]
mod tls;

use std::process::ExitCode;
use std::sync::LazyLock;

use hallpass::conformance::{CASES, Fixture};
use hallpass::{PostgresOptions, PostgresStore};
use libtest_mimic::{Arguments, Trial};
use tokio::runtime::{Builder, Runtime};

use crate::server::{Bouncer, Server};

/// Where the stores' connections live. The cases run on other runtimes, without timers and I/O.
static HOME: LazyLock<Runtime> =
    LazyLock::new(|| Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap());

/// The server that most tests share; each has a database of its own.
static SHARED: LazyLock<Server> =
    LazyLock::new(|| Server::start(&["fsync=off", "deadlock_timeout=20ms"]));

static BOUNCER: LazyLock<Bouncer> = LazyLock::new(|| Bouncer::start(&SHARED));

/// A store with these options in a new database, whose name is returned too.
fn fresh(options: &PostgresOptions) -> (PostgresStore, String) {
    HOME.block_on(async {
        let database = SHARED.database().await;
        (options.connect(&SHARED.url(&database)).await.unwrap(), database)
    })
}

/// A test that needs a program, which is ignored where it is missing.
fn trial(name: String, missing: Option<&str>, run: impl FnOnce() + Send + 'static) -> Trial {
    let Some(missing) = missing else {
        return Trial::test(name, move || {
            run();
            Ok(())
        });
    };
    let reason = format!("{missing} is not installed");
    let in_ci = std::env::var("CI").is_ok_and(|ci| ci == "true");
    let failed = reason.clone();
    Trial::test(name, move || Err(failed.into())).with_ignored_flag(!in_ci).with_kind(reason)
}

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let postgres = Server::binaries().is_none().then_some("postgresql");
    let bouncer = postgres.or_else(|| Bouncer::binary().is_none().then_some("pgbouncer"));
    let mut trials = Vec::new();
    for case in CASES {
        let on = move |fixture: Fixture| HOME.block_on(case.run(fixture));
        trials.push(trial(format!("direct::{case:?}"), postgres, move || {
            let options = PostgresOptions::new().with_schema("auth \"x\"");
            let (store, database) = fresh(&options);
            let second = HOME.block_on(options.connect(&SHARED.url(&database))).unwrap();
            on(Fixture::new(store).with_second(second));
        }));
        #[cfg(feature = "cache")]
        trials.push(trial(format!("cached::{case:?}"), postgres, move || {
            let options = PostgresOptions::new();
            let (store, database) = fresh(&options);
            on(HOME.block_on(async {
                let second = options.connect(&SHARED.url(&database)).await.unwrap();
                cached::two_nodes(store, second).await
            }));
        }));
        trials.push(trial(format!("host_pool::{case:?}"), postgres, move || {
            on(Fixture::new(own_cases::on_a_pool_of_the_host()));
        }));
        trials.push(trial(format!("through_pgbouncer::{case:?}"), bouncer, move || {
            let store = HOME.block_on(async {
                let database = SHARED.database().await;
                let options = PostgresOptions::new().with_transaction_pooler();
                options.connect(&BOUNCER.url(&database)).await.unwrap()
            });
            on(Fixture::new(store));
        }));
    }
    for &(name, run) in outages::THROUGH_PGBOUNCER {
        trials.push(trial(name.to_owned(), bouncer, run));
    }
    for &(name, run) in own_cases::CASES.iter().chain(outages::CASES).chain(revoking::CASES) {
        trials.push(trial(name.to_owned(), postgres, run));
    }
    #[cfg(feature = "sqlite")]
    for &(name, run) in moving::CASES {
        trials.push(trial(name.to_owned(), postgres, run));
    }
    #[cfg(feature = "postgres-tls")]
    for &(name, run) in tls::CASES {
        trials.push(trial(name.to_owned(), postgres, run));
    }
    // The servers end with the thread that starts them, and tests run on threads of their own.
    if !arguments.list && postgres.is_none() {
        LazyLock::force(&SHARED);
        if bouncer.is_none() {
            LazyLock::force(&BOUNCER);
        }
    }
    let conclusion = libtest_mimic::run(&arguments, trials);
    server::stop_all();
    conclusion.exit_code()
}
