//! What npm has to check pages with. `.ci/run` puts it under `target`, in versions it names.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::browser::found;

fn modules() -> PathBuf {
    let own = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("browser-tools/node_modules");
    std::env::var_os("HALLPASS_NODE_MODULES").map_or(own, PathBuf::from)
}

/// The script of axe-core, which finds what keeps people out.
pub(crate) fn axe() -> Option<String> {
    std::fs::read_to_string(modules().join("axe-core/axe.min.js")).ok()
}

/// The program html-validate.
pub(crate) fn validator() -> Option<PathBuf> {
    let program = modules().join("html-validate/bin/html-validate.mjs");
    (program.is_file() && found("node").is_some()).then_some(program)
}

/// What html-validate says of a page; nothing if it is well-formed.
pub(crate) fn validate(page: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("page.html");
    std::fs::write(&file, page).unwrap();
    let rules = folder.path().join(".htmlvalidate.json");
    std::fs::write(&rules, include_str!("htmlvalidate.json")).unwrap();
    let mut command = Command::new(found("node").unwrap());
    command.arg(validator().unwrap()).arg("--config").arg(&rules).arg(&file);
    let output = command.stdin(Stdio::null()).output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    if output.status.success() { String::new() } else { String::from_utf8(said).unwrap() }
}
