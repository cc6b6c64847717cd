//! The Redis store on servers that are started here: one server, and a cluster of three masters
//! with a replica each. Where Redis and Valkey are both installed, each is tested; `HALLPASS_REDIS`
//! (`redis` or `valkey`) picks one. Where there is neither, the tests are reported as ignored, under
//! `CI=true` as failed.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test says so by failing"
)]

#[cfg(feature = "cache")]
#[path = "../postgres/cached.rs"]
mod cached;
mod cluster;
mod server;
mod single;

use std::env;
use std::process::{Command, ExitCode};

use libtest_mimic::{Arguments, Failed, Trial};

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let missing = server::missing();
    let required = env::var("CI").is_ok_and(|ci| ci == "true");
    let mut tests = single::tests();
    tests.extend(cluster::tests());
    let trials = tests.into_iter().map(|(name, test)| {
        let Some(missing) = missing.clone() else {
            return Trial::test(name, move || {
                test();
                Ok(())
            });
        };
        if required {
            return Trial::test(name, move || Err(Failed::from(missing)));
        }
        Trial::test(name, || Ok(())).with_ignored_flag(true).with_kind(missing)
    });
    let conclusion = libtest_mimic::run(&arguments, trials.collect());
    single::stop();
    cluster::stop();
    if conclusion.has_failed() { conclusion.exit_code() } else { on_the_other(&arguments) }
}

/// Everything again on the other server, where both are installed and none was asked for.
fn on_the_other(arguments: &Arguments) -> ExitCode {
    let [_, other, ..] = server::installed() else {
        return ExitCode::SUCCESS;
    };
    if arguments.list || env::var_os(server::KIND).is_some() {
        return ExitCode::SUCCESS;
    }
    println!("\non {other}:");
    let mut again = Command::new(env::current_exe().unwrap());
    let status = again.args(env::args_os().skip(1)).env(server::KIND, other).status().unwrap();
    if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// A test by its name.
type Test = (String, Box<dyn FnOnce() + Send>);

fn test(name: &str, run: impl FnOnce() + Send + 'static) -> Test {
    (name.to_owned(), Box::new(run))
}

/// Runs a future on a runtime of its own, whose other threads serve the connections while this
/// one is held up.
fn run<F: Future>(future: F) -> F::Output {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    runtime.worker_threads(2).enable_all().build().unwrap().block_on(future)
}
