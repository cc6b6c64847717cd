//! The management API against Schemathesis, a tool that nobody here wrote: it reads the OpenAPI
//! document that the demo serves, makes requests of it over a real socket, good ones and bad ones,
//! and holds every response against the document. It is looked for in a virtual environment that
//! `python3 -m venv target/schemathesis` makes and
//! `target/schemathesis/bin/pip install -r tests/schemathesis/requirements.txt` fills. Where it is
//! missing, the tests are ignored; under `CI=true` they fail.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "../../examples/demo/main.rs"]
#[expect(dead_code, unused_imports, reason = "the tests take the place of `main` and of its own")]
mod demo;

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use argon2::{Argon2, Params};
use axum::body::Body;
use axum::http::{Request, header};
use hallpass::{Issue, MemoryStore, Tenant};
use http_body_util::BodyExt as _;
use libtest_mimic::{Arguments, Failed, Trial};
use tokio::runtime::{Builder, Runtime};
use tower::ServiceExt as _;

use crate::demo::app::{App, Settings};

const MISSING: &str = "Schemathesis is not installed in target/schemathesis";
/// Requests that are made up for each operation, beside those that it derives from the document.
const EXAMPLES: &str = "25";
/// Makes a run repeatable.
const SEED: &str = "20261122";

/// What refuses data that the document does not allow: among it a query too long for any URI.
const REFUSALS: &str = "
[checks.negative_data_rejection]
expected-statuses = ['400', '401', '403', '404', '405', '406', '409', '414', '415', '422', '428', '429']
";

/// What JSON Schema cannot say, so that data which the document allows can be refused: an instant
/// must be between 1970 and 9999, and where policy lets a token end, a name must show something, `1.0` is not `1`, a cursor
/// must come from the list, and an `ETag` must be the token's.
const BEYOND_SCHEMAS: &str = "
[[operations]]
include-operation-id = ['Create', 'Edit', 'Rotate', 'RotateOwn', 'List', 'ListAny', 'RevokeMany', 'RevokeManyAny']
checks.positive_data_acceptance.expected-statuses = ['2xx', '400', '401', '403', '404', '409', '412', '422']
";

/// What is run: the name of the test, who is signed in, and which operations.
const CASES: [(&str, &str, &[&str]); 3] = [
    ("what_an_owner_can_ask_is_as_described", "alice", &["--include-tag", "session"]),
    ("what_an_administrator_can_ask_is_as_described", "root", &["--include-tag", "administrator"]),
    (
        "what_a_token_can_ask_is_as_described",
        "alice",
        // No response leads to another request.
        &["--include-tag", "token", "--phases", "examples,coverage,fuzzing"],
    ),
];

/// A demo of a test's own, on a free port.
struct Server {
    app: App,
    origin: String,
    runtime: Runtime,
}

impl Server {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let settings = Settings {
            origin: origin.clone(),
            let_sessions_finish: false,
            data_lifetime: None,
            passwords: ["a", "b", "r", "c"].map(str::to_owned),
            argon2: Argon2::from(Params::new(8, 1, 1, None).unwrap()),
        };
        let app = App::new(MemoryStore::new(), &settings).unwrap();
        let service = app.router().unwrap().into_make_service_with_connect_info::<SocketAddr>();
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        listener.set_nonblocking(true).unwrap();
        runtime.spawn(async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            axum::serve(listener, service).await
        });
        Self { app, origin, runtime }
    }

    /// Signs somebody in, whose password is the first letter of their name, and returns the value
    /// of the session's cookie and a CSRF token.
    fn sign_in(&self, name: &str) -> (String, String) {
        let password = name.split_at(1).0;
        let form = Request::post("/login")
            .header(header::ORIGIN, &self.origin)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Body::from(format!("name={name}&password={password}&next=/")))
            .unwrap();
        let app = self.app.router().unwrap();
        self.runtime.block_on(async {
            let signed_in = app.clone().oneshot(form).await.unwrap();
            let cookie = signed_in.headers()[header::SET_COOKIE].to_str().unwrap();
            let (cookie, _) = cookie.split_once(';').unwrap();
            let session = Request::get("/api/pat/session").header(header::COOKIE, cookie);
            let session = app.oneshot(session.body(Body::empty()).unwrap()).await.unwrap();
            let body = session.into_body().collect().await.unwrap().to_bytes();
            let session: serde_json::Value = serde_json::from_slice(&body).unwrap();
            let csrf = session.get("csrf_token").unwrap().as_str().unwrap().to_owned();
            (cookie.split_once('=').unwrap().1.to_owned(), csrf)
        })
    }

    /// A token of bob's.
    fn token(&self) -> String {
        let tenant = Tenant::parse("automation").unwrap();
        let issue = Issue::new("CI").owner("bob").tenant(tenant).scopes(["write"]);
        let issued = self.runtime.block_on(self.app.hallpass.issue(issue));
        issued.unwrap().plain.expose().to_owned()
    }
}

fn check(program: &Path, (name, who, operations): (&str, &str, &[&str])) -> Result<(), Failed> {
    let server = Server::start();
    let (session, csrf) = server.sign_in(who);
    let token = server.token();
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::create_dir_all(&folder)?;
    let configuration = folder.join("schemathesis.toml");
    fs::write(
        &configuration,
        format!(
            "[auth.openapi.session]\napi_key = \"{session}\"\n\n\
             [auth.openapi.csrf]\napi_key = \"{csrf}\"\n\n\
             [auth.openapi.token]\nbearer = \"{token}\"\n{REFUSALS}{BEYOND_SCHEMAS}"
        ),
    )?;
    let output = Command::new(program)
        .current_dir(&folder)
        .arg("--config-file")
        .arg(&configuration)
        .arg("run")
        .arg(format!("{}/api/pat/openapi.json", server.origin))
        .args(["--checks", "all", "--max-examples", EXAMPLES, "--seed", SEED])
        .args(["--continue-on-failure", "--no-color", "--request-timeout", "10"])
        .args(operations)
        .stdin(Stdio::null())
        .output()?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stdout);
    let complained = String::from_utf8_lossy(&output.stderr);
    Err(format!("{said}\n{complained}").into())
}

/// The program, if it is installed.
fn program() -> Option<PathBuf> {
    // Cargo keeps a folder for tests inside the target directory.
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent()?;
    let program = target.join("schemathesis/bin/schemathesis");
    let runs = Command::new(&program).arg("--version").stdout(Stdio::null()).status();
    runs.is_ok_and(|status| status.success()).then_some(program)
}

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let program = program();
    let in_ci = std::env::var("CI").is_ok_and(|ci| ci == "true");
    let trials = CASES.map(|case| match program.clone() {
        Some(program) => Trial::test(case.0, move || check(&program, case)),
        None => {
            Trial::test(case.0, || Err(MISSING.into())).with_ignored_flag(!in_ci).with_kind(MISSING)
        }
    });
    libtest_mimic::run(&arguments, trials.into()).exit_code()
}
