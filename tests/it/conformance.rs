//! The stores of the crate keep the contract.

#![cfg_attr(
    feature = "sqlite",
    expect(clippy::unwrap_used, reason = "a test that cannot go on fails")
)]

use hallpass::MemoryStore;
use hallpass::conformance::{CASES, Case, model};

async fn memory() -> MemoryStore {
    MemoryStore::new()
}

#[cfg(feature = "sqlite")]
async fn sqlite() -> hallpass::conformance::Fixture {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("tokens");
    let open = || hallpass::SqliteStore::open(&path).unwrap();
    hallpass::conformance::Fixture::new(open()).with_second(open()).with_guard(directory)
}

#[cfg(feature = "sqlite")]
async fn sqlite_in_memory() -> hallpass::SqliteStore {
    hallpass::SqliteStore::open_in_memory().unwrap()
}

#[cfg(feature = "cache")]
async fn cached_memory() -> std::sync::Arc<dyn hallpass::TokenStore> {
    crate::cached_support::coherent(MemoryStore::new())
}

#[cfg(all(feature = "cache", feature = "sqlite"))]
async fn cached_sqlite() -> hallpass::conformance::Fixture {
    let directory = tempfile::tempdir().unwrap();
    let store = hallpass::SqliteStore::open(directory.path().join("tokens")).unwrap();
    let store = crate::cached_support::coherent(store);
    hallpass::conformance::Fixture::new(store).with_guard(directory)
}

hallpass::conformance_tests! {
    memory,
    #[cfg(feature = "cache")]
    cached_memory,
    #[cfg(all(feature = "cache", feature = "sqlite"))]
    cached_sqlite,
    #[cfg(feature = "sqlite")]
    sqlite,
    #[cfg(feature = "sqlite")]
    sqlite_in_memory,
}

#[tokio::test]
async fn many_random_walks_agree_with_the_model() {
    for seed in 0..200 {
        model::random_steps(std::sync::Arc::new(memory().await), seed, 40).await;
        #[cfg(feature = "sqlite")]
        model::random_steps(std::sync::Arc::new(sqlite_in_memory().await), seed, 40).await;
    }
}

#[test]
fn cases_have_names_of_their_own() {
    let mut names: Vec<_> = CASES.iter().map(Case::name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), CASES.len());
}
