//! The picture of docs/ARCHITECTURE.md, held true: modules import downward only.

#![expect(clippy::unwrap_used, reason = "a test says so by failing")]

use std::fs;
use std::path::{Path, PathBuf};

/// The floors, from the ground up; a module imports from its own floor or from below.
///
/// On the floor of the adapters and above, modules that stand side by side do not know each other,
/// but for those in `BESIDE`.
const FLOORS: [&[&str]; 7] = [
    &["token", "scope", "clock"],
    &["policy", "caller", "owner"],
    &["store"],
    &["engine"],
    &["credential", "oauth", "jwt", "host", "wire", "fetch"],
    &["tower", "axum", "actix", "rocket", "tonic"],
    &["api", "console", "client", "cli"],
];

/// The lowest floor on which modules that stand side by side do not know each other.
const ADAPTERS: usize = 5;

/// What a module may know of another beside it.
const BESIDE: [(&str, &str); 3] = [("axum", "tower"), ("tonic", "tower"), ("cli", "client")];

/// What ends up in programs that have neither engine nor store.
const REMOTE: [&str; 2] = ["client", "cli"];
/// All that these may know of the floors below.
const KNOWN_REMOTELY: [&str; 4] = ["token", "clock", "wire", "fetch"];

fn floor_of(module: &str) -> Option<usize> {
    FLOORS.iter().position(|floor| floor.contains(&module))
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}

/// The top-level modules that a file names behind `crate::`, its tests aside.
fn imports(text: &str) -> Vec<String> {
    let code = text.split("#[cfg(test)]\nmod tests").next().unwrap();
    code.lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        // What a macro names is imported where the macro is used.
        .map(|line| line.replace("$crate::", ""))
        .flat_map(|line| line.split("crate::").skip(1).map(str::to_owned).collect::<Vec<_>>())
        .map(|rest| rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect())
        .collect()
}

#[test]
fn modules_import_downward_only() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut wrong = Vec::new();
    for file in sources(&root) {
        let inner = file.strip_prefix(&root).unwrap();
        let own = inner.iter().next().unwrap().to_str().unwrap().trim_end_matches(".rs");
        if own == "lib" {
            continue;
        }
        let floor = floor_of(own).unwrap_or_else(|| panic!("{own} stands on no floor"));
        for import in imports(&fs::read_to_string(&file).unwrap()) {
            let allowed = import == own
                || BESIDE.contains(&(own, import.as_str()))
                || floor_of(&import)
                    .is_some_and(|other| other < floor || (other == floor && floor < ADAPTERS));
            let allowed = allowed
                && (!REMOTE.contains(&own)
                    || REMOTE.contains(&import.as_str())
                    || KNOWN_REMOTELY.contains(&import.as_str()));
            if !allowed {
                wrong.push(format!("{} imports crate::{import}", inner.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn no_file_grows_past_one_idea() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for file in sources(&root) {
        let text = fs::read_to_string(&file).unwrap();
        let code = text.split("#[cfg(test)]\nmod tests").next().unwrap();
        assert!(code.lines().count() <= 600, "{} is too long", file.display());
    }
}
