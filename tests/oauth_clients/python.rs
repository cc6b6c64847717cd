//! The clients from Python. What they do is in `clients.py`.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::json;

use crate::Server;

/// Why the cases are ignored.
pub(crate) const MISSING: &str = "Authlib and PyJWT are not installed in target/oauth-clients";

const SCRIPT: &str = include_str!("clients.py");

/// The Python that has the clients.
pub(crate) fn interpreter() -> Option<PathBuf> {
    // Cargo keeps a folder for tests inside the target directory.
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent()?;
    let python = target.join("oauth-clients/bin/python");
    let has_clients = Command::new(&python)
        .args(["-c", "import authlib, jwt, requests, cryptography"])
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    has_clients.then_some(python)
}

/// The names in the script's list of cases.
pub(crate) fn cases() -> Vec<String> {
    let (_, list) = SCRIPT.split_once("CASES = [\n").unwrap();
    let (list, _) = list.split_once("\n]").unwrap();
    list.lines().map(|line| line.trim().trim_end_matches(',').to_owned()).collect()
}

pub(crate) fn run(python: &Path, case: &str, server: &Server) -> Result<(), String> {
    let given = json!({
        "issuer": server.issuer,
        "personal": server.personal(),
        "refresh_token": server.refresh_token(),
        "partner_keys": server.keys.path().join("keys.json"),
        "gateway": { "id": "gateway", "secret": server.gateway().expose() },
        "nightly": { "id": "2", "secret": server.nightly().expose() },
    });
    // From its text, so that no bytecode is left beside the script.
    let mut child = Command::new(python)
        .args(["-c", SCRIPT, case])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(given.to_string().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    match output.status.success() {
        true => Ok(()),
        false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
    }
}
