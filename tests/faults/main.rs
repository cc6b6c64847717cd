//! Faults of real servers, networks and processes, by the numbers of `docs/FAULTS.md`. Every test
//! starts what it breaks: servers, nodes as processes of their own that are killed, and proxies
//! that cut them off. Where a server is not installed its tests are ignored; under `CI=true` they
//! fail.
//!
//! What must hold whatever fails: no token is accepted that was revoked longer ago than the bound
//! (I1) or that ended itself or by its parent (I2); none grants more than it was given (I3), which
//! is looked at wherever one is accepted; a token has one current secret (I4); what was acknowledged
//! is durable (I5), what was not is all or nothing (I6); on doubt nobody is let in, and nobody is
//! told that a good token is bad (I7); no secret is anywhere but in the answer that gave it (I8).
//! Each test says which of the others it looks at.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails"
)]

mod anytime;
mod channel;
mod keys;
mod kills;
mod network;
mod place;
#[path = "../postgres/server.rs"]
#[expect(dead_code, reason = "the store's own tests use the rest")]
mod postgres;
mod process;
mod proxy;
#[path = "../redis/server.rs"]
#[expect(dead_code, reason = "the store's own tests use the rest")]
mod redis;
mod replica;
mod scan;
mod store;

use std::process::ExitCode;
use std::time::Duration;

use libtest_mimic::{Arguments, Trial};

use crate::place::Backend;

/// A test by its name, and what it needs.
struct Test {
    name: String,
    needs: &'static [Backend],
    run: Box<dyn FnOnce() + Send>,
}

fn test(name: &str, needs: &'static [Backend], run: impl FnOnce() + Send + 'static) -> Test {
    Test { name: name.to_owned(), needs, run: Box::new(run) }
}

/// A test that a backend is put through, and its name.
type Case = (&'static str, fn(Backend));

/// One test for each of these backends.
fn on_each(name: &str, backends: &'static [Backend], run: fn(Backend)) -> Vec<Test> {
    let one = |backend: &'static Backend| {
        let name = format!("{name}::{}", backend.name());
        test(&name, std::slice::from_ref(backend), move || run(*backend))
    };
    backends.iter().map(one).collect()
}

fn main() -> ExitCode {
    if process::is_asked_for() {
        return process::main();
    }
    let mut arguments = Arguments::from_args();
    // What is measured is not measured beside others, and only where it is asked for by its name.
    let measures = arguments.filter.as_deref().is_some_and(|filter| filter.contains("in_time"));
    if measures {
        arguments.test_threads = Some(1);
    }
    let required = std::env::var("CI").is_ok_and(|ci| ci == "true");
    let tests = [
        keys::tests(),
        kills::tests(),
        anytime::tests(),
        network::tests(),
        channel::tests(),
        replica::tests(),
        scan::tests(),
        if measures { scan::measured() } else { Vec::new() },
        store::tests(),
    ];
    let trials = tests.into_iter().flatten().map(|Test { name, needs, run }| {
        let missing = needs.iter().find_map(|backend| backend.missing());
        let Some(missing) = missing else {
            return Trial::test(name, || {
                run();
                Ok(())
            });
        };
        let failed = missing.clone();
        let failing = Trial::test(name, move || Err(failed.into()));
        failing.with_ignored_flag(!required).with_kind(missing)
    });
    let trials = trials.collect();
    if !arguments.list {
        // The server ends with the thread that starts it, and tests run on threads of their own.
        place::start_shared();
    }
    let conclusion = libtest_mimic::run(&arguments, trials);
    postgres::stop_all();
    conclusion.exit_code()
}

/// Runs a test's future on a runtime of its own, whose other threads serve the connections while
/// this one waits for a process. One that hangs has failed.
fn run<F: Future>(future: F) -> F::Output {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(2).enable_all().build().unwrap();
    let timed = async { tokio::time::timeout(Duration::from_secs(120), future).await };
    runtime.block_on(timed).expect("a test that ends")
}
