//! Stores behind caches, for the conformance cases.

use std::time::Duration;

use hallpass::conformance::Fixture;
use hallpass::{CachedStore, TokenStore};
use tokio::task::JoinHandle;

/// Two nodes that share their data: each has a store of its own behind a cache, which hears what
/// the other does.
pub(crate) async fn two_nodes<S: TokenStore>(first: S, second: S) -> Fixture {
    let (first, hearing) = node(first).await;
    let (second, heard) = node(second).await;
    Fixture::new(first).with_second(second).with_guard((hearing, heard))
}

async fn node<S: TokenStore>(store: S) -> (CachedStore<S>, Following) {
    let cached = CachedStore::new(store);
    let following = Following(tokio::spawn(cached.follow_with(tokio::time::sleep)));
    let hears = async {
        while !cached.is_caching() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), hears).await.unwrap();
    (cached, following)
}

/// Ends with the test.
struct Following(JoinHandle<()>);

impl Drop for Following {
    fn drop(&mut self) {
        self.0.abort();
    }
}
