//! The command-line tools among the examples, as people drive them, with the demo running.
//!
//! This program is those programs too: under the name of one it is that one, so that what is tested
//! is what was built with the tests.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails"
)]

#[path = "../../examples/demo/main.rs"]
#[expect(dead_code, unused_imports, reason = "this file takes the place of `main` and of tests")]
mod demo;
#[path = "../../examples/hallpass_admin/main.rs"]
#[expect(dead_code, reason = "this file takes the place of `main`")]
mod hallpass_admin;
#[path = "../../examples/playground/main.rs"]
#[expect(dead_code, reason = "this file takes the place of `main`")]
mod playground;

#[cfg(all(feature = "postgres", feature = "redis"))]
#[path = "../postgres/server.rs"]
#[expect(dead_code, reason = "other tests do more with it")]
mod postgres;
#[cfg(all(feature = "postgres", feature = "redis"))]
#[path = "../redis/server.rs"]
#[expect(dead_code, reason = "other tests do more with it")]
mod redis;

mod acme;
mod admin;
mod commands;
mod refusals;
#[path = "../client/server.rs"]
#[expect(dead_code, reason = "other tests do more with it")]
mod server;
#[cfg(all(feature = "postgres", feature = "redis"))]
mod servers;
mod terminal;
mod world;

use std::path::Path;
use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};
use tokio::runtime::Builder;

use crate::world::World;

fn main() -> ExitCode {
    let called = std::env::args_os().next().unwrap();
    let called = Path::new(&called).file_name().unwrap().to_str().unwrap().to_owned();
    let run = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    match called.as_str() {
        "demo" => {
            let options = demo::options::Options::parse(std::env::args().skip(1), None);
            run.block_on(demo::run(options.unwrap().unwrap())).unwrap();
            return ExitCode::SUCCESS;
        }
        "acme" => return run.block_on(acme::program()),
        "hallpass_admin" => return run.block_on(hallpass_admin::run()),
        "playground" => return run.block_on(playground::run()),
        _ => {}
    }
    let arguments = Arguments::from_args();
    let mut trials = Vec::new();
    let cases = [commands::CASES, refusals::CASES, terminal::CASES, admin::CASES, acme::CASES];
    for &(name, test) in cases.into_iter().flatten() {
        trials.push(Trial::test(name, move || {
            test(&World::enter());
            Ok(())
        }));
    }
    #[cfg(all(feature = "postgres", feature = "redis"))]
    {
        let missing = postgres::Server::binaries().is_none().then(|| "postgresql".to_owned());
        trials.push(needing(missing, "operators_work_on_postgresql", || {
            servers::on_postgres(&World::enter(), &postgres::Server::start(&["fsync=off"]));
        }));
        trials.push(needing(redis::missing(), "operators_work_on_redis", || {
            servers::on_redis(&World::enter(), &redis::Server::start(&redis::DURABLE));
        }));
    }
    let conclusion = libtest_mimic::run(&arguments, trials);
    world::leave();
    #[cfg(all(feature = "postgres", feature = "redis"))]
    postgres::stop_all();
    conclusion.exit_code()
}

/// A test that needs a program, which is ignored where that is missing, and fails under `CI=true`.
#[cfg(all(feature = "postgres", feature = "redis"))]
fn needing(missing: Option<String>, name: &str, run: fn()) -> Trial {
    let Some(missing) = missing else {
        return Trial::test(name, move || {
            run();
            Ok(())
        });
    };
    let in_ci = std::env::var("CI").is_ok_and(|ci| ci == "true");
    let reason = format!("{missing} is not installed");
    let failed = reason.clone();
    Trial::test(name, move || Err(failed.into())).with_ignored_flag(!in_ci).with_kind(reason)
}
