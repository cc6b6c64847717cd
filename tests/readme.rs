//! README.md: every integration in a few lines, all of them tested.

const README: &str = include_str!("../README.md");

/// Most lines of a block, those aside that rustdoc hides.
const MOST: usize = 15;

/// A word of each integration, which a block of Rust holds.
const INTEGRATIONS: [&str; 16] = [
    "axum::GuardedRouter",
    "actix::GuardedRoutes",
    "rocket::GuardedRoutes",
    "tonic::{GuardedMethods",
    "service_fn(notes",
    "console::Console",
    "api::Api",
    "axum::oauth",
    "jwt::{",
    "client::{Client",
    "cli::Cli",
    "SqliteStore::open",
    "PostgresStore::connect",
    "RedisStore::connect",
    "CachedStore::new",
    "issue_if_absent",
];

/// The language of each block and its lines.
fn blocks() -> Vec<(&'static str, Vec<&'static str>)> {
    let mut blocks = Vec::new();
    let mut open: Option<(&str, Vec<&str>)> = None;
    for line in README.lines() {
        match (line.strip_prefix("```"), &mut open) {
            (Some(language), None) => open = Some((language, Vec::new())),
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (None, Some((_, lines))) => lines.push(line),
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "a block does not end");
    blocks
}

fn rust() -> Vec<Vec<&'static str>> {
    let rust = blocks().into_iter().filter(|(language, _)| language.starts_with("rust"));
    rust.map(|(_, lines)| {
        lines.into_iter().filter(|line| *line != "#" && !line.starts_with("# ")).collect()
    })
    .collect()
}

#[test]
fn no_block_is_longer_than_it_may_be() {
    for lines in rust() {
        let shown = lines.join("\n");
        assert!(lines.len() <= MOST, "{} lines:\n{shown}", lines.len());
        assert!(lines.iter().all(|line| line.len() <= 100), "a line is too long:\n{shown}");
    }
}

#[test]
fn every_integration_is_shown() {
    let rust: Vec<String> = rust().iter().map(|lines| lines.join("\n")).collect();
    for word in INTEGRATIONS {
        assert!(rust.iter().any(|block| block.contains(word)), "{word}");
    }
}

#[test]
fn every_block_of_rust_is_compiled() {
    for (language, lines) in blocks() {
        let known = ["rust", "rust,no_run", "toml", "sh", "text"];
        assert!(known.contains(&language), "`{language}`: {lines:?}");
    }
    // By rustdoc, with everything on.
    let lib = include_str!("../src/lib.rs");
    assert!(lib.contains("#[doc = include_str!(\"../README.md\")]"));
    let condition = lib.split("#[doc = include_str!(\"../README.md\")]").next().unwrap();
    let condition = condition.rsplit("#[cfg(").next().unwrap();
    assert!(condition.contains("doctest"), "{condition}");
}
