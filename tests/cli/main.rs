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
#[path = "../../examples/playground/main.rs"]
#[expect(dead_code, reason = "this file takes the place of `main`")]
mod playground;

mod commands;
mod refusals;
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
        "playground" => return run.block_on(playground::run()),
        _ => {}
    }
    let arguments = Arguments::from_args();
    let mut trials = Vec::new();
    for &(name, test) in commands::CASES.iter().chain(refusals::CASES).chain(terminal::CASES) {
        trials.push(Trial::test(name, move || {
            test(&World::enter());
            Ok(())
        }));
    }
    let conclusion = libtest_mimic::run(&arguments, trials);
    world::leave();
    conclusion.exit_code()
}
