//! The console in headless Chromium, driven by WebDriver. Where Chromium, its driver, or the npm
//! packages that check pages are missing, the tests are ignored; under `CI=true` they fail.
//!
//! `HALLPASS_SCREENSHOTS=1` takes the pictures of `docs/screenshots` anew and does nothing else.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails"
)]

mod access;
mod app;
mod browser;
mod demo;
mod flows;
mod keyboard;
mod pictures;
mod tools;

use std::process::ExitCode;
use std::sync::LazyLock;

use libtest_mimic::{Arguments, Trial};
use tokio::runtime::{Builder, Runtime};

use crate::browser::Driver;

/// Where the servers and the connections to the driver live.
static HOME: LazyLock<Runtime> =
    LazyLock::new(|| Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap());

/// The driver that all tests share; each has a browser of its own.
static DRIVER: LazyLock<Driver> = LazyLock::new(Driver::start);

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
    let mut arguments = Arguments::from_args();
    // Each test has a browser of its own, of several processes.
    arguments.test_threads = arguments.test_threads.or(Some(2));
    let browser = Driver::missing();
    let axe = browser.or_else(|| tools::axe().is_none().then_some("axe-core (npm)"));
    let validator =
        browser.or_else(|| tools::validator().is_none().then_some("html-validate (npm)"));
    let mut trials = Vec::new();
    for &(name, run) in flows::CASES {
        for script in [true, false] {
            let how = if script { "with_script" } else { "without_script" };
            trials
                .push(trial(format!("{how}::{name}"), browser, move || HOME.block_on(run(script))));
        }
    }
    for &(name, run) in keyboard::CASES.iter().chain(demo::CASES).chain(access::PHONE) {
        trials.push(trial(name.to_owned(), browser, move || HOME.block_on(run())));
    }
    for &(name, run) in access::AXE {
        trials.push(trial(name.to_owned(), axe, move || HOME.block_on(run())));
    }
    for &(name, run) in access::HTML {
        trials.push(trial(name.to_owned(), validator, move || HOME.block_on(run())));
    }
    if std::env::var_os("HALLPASS_SCREENSHOTS").is_some() {
        let take = move || HOME.block_on(pictures::take());
        trials = vec![trial("screenshots".to_owned(), browser, take)];
    }
    // The driver ends with the thread that starts it, and tests run on threads of their own.
    if !arguments.list && browser.is_none() {
        LazyLock::force(&DRIVER);
    }
    let conclusion = libtest_mimic::run(&arguments, trials);
    if !arguments.list && browser.is_none() {
        DRIVER.stop();
    }
    conclusion.exit_code()
}
