//! OAuth clients that nobody here wrote, against the demo over a real socket: `oauth2`, and from
//! Python `Authlib` and `PyJWT`; and a partner that reports leaked tokens with Python's
//! `cryptography`. Those from Python are looked for in a virtual environment that
//! `python3 -m venv target/oauth-clients` makes and
//! `target/oauth-clients/bin/pip install -r tests/oauth_clients/requirements.txt` fills. Where it
//! is missing, their tests are ignored; under `CI=true` they fail.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

#[path = "../../examples/demo/main.rs"]
#[expect(dead_code, unused_imports, reason = "the tests take the place of `main` and of its own")]
mod demo;
mod python;
mod rust;

use std::net::{SocketAddr, TcpListener};
use std::process::ExitCode;
use std::sync::Arc;

use argon2::{Argon2, Params};
use hallpass::fetch::LocalFile;
use hallpass::oauth::ClientSecret;
use hallpass::{Issue, MemoryStore, Tenant};
use libtest_mimic::{Arguments, Trial};
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};

use crate::demo::app::{App, Settings};

/// A demo of a test's own, on a free port.
struct Server {
    app: App,
    issuer: String,
    address: SocketAddr,
    runtime: Runtime,
    /// Where a partner publishes its keys.
    keys: TempDir,
}

impl Server {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let issuer = format!("http://{address}");
        let keys = tempfile::tempdir().unwrap();
        let settings = Settings {
            origin: issuer.clone(),
            let_sessions_finish: false,
            data_lifetime: None,
            passwords: ["a", "b", "c", "d"].map(str::to_owned),
            argon2: Argon2::from(Params::new(8, 1, 1, None).unwrap()),
            partner_keys: Some(Arc::new(LocalFile::new(keys.path().join("keys.json")))),
        };
        let app = App::new(MemoryStore::new(), &settings).unwrap();
        let service = app.router().unwrap().into_make_service_with_connect_info::<SocketAddr>();
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        listener.set_nonblocking(true).unwrap();
        runtime.spawn(async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            axum::serve(listener, service).await
        });
        Self { app, issuer, address, runtime, keys }
    }

    fn alices(name: &str) -> Issue {
        let tenant = Tenant::parse("automation").unwrap();
        Issue::new(name).owner("alice").tenant(tenant).scopes(["write"])
    }

    /// A personal token of alice's on the automation platform.
    fn personal(&self) -> String {
        let issued = self.runtime.block_on(self.app.hallpass.issue(Self::alices("CI")));
        issued.unwrap().plain.expose().to_owned()
    }

    /// A refresh token of the client that runs nightly.
    fn refresh_token(&self) -> String {
        let issue = Self::alices("jobs").for_client("2");
        let granted = self.runtime.block_on(self.app.hallpass.issue_with_refresh(issue));
        granted.unwrap().refresh.plain.expose().to_owned()
    }

    fn gateway(&self) -> &ClientSecret {
        &self.app.endpoints.registered.gateway
    }

    fn nightly(&self) -> &ClientSecret {
        &self.app.endpoints.registered.nightly
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let mut trials = Vec::new();
    for &(name, run) in rust::CASES {
        trials.push(Trial::test(name, move || {
            run(&Server::start());
            Ok(())
        }));
    }
    let interpreter = python::interpreter();
    let in_ci = std::env::var("CI").is_ok_and(|ci| ci == "true");
    for name in python::cases() {
        let case = name.clone();
        trials.push(match interpreter.clone() {
            Some(interpreter) => Trial::test(name, move || {
                python::run(&interpreter, &case, &Server::start()).map_err(Into::into)
            }),
            None => Trial::test(name, || Err(python::MISSING.into()))
                .with_ignored_flag(!in_ci)
                .with_kind(python::MISSING),
        });
    }
    libtest_mimic::run(&arguments, trials).exit_code()
}
