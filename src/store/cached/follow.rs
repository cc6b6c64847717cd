//! Hears what other nodes do.

use std::time::Duration;

use super::store::{Cache, CachedStore};
use crate::store::{Notice, TokenStore};

/// How long to wait before a channel that broke is tried again: at first, and at most.
const PAUSES: [Duration; 2] = [Duration::from_millis(50), Duration::from_secs(2)];

impl<S: TokenStore> CachedStore<S> {
    /// Listens to what other nodes do, and forgets what they changed. Spawn it beside the server
    /// and let it run; with feature `tokio` on, it needs a Tokio runtime with its timer.
    ///
    /// Where the store has no channel, this ends at once, and from then on records are kept for
    /// the TTL. Otherwise it never ends: a channel that breaks is tried again, and one that is not
    /// heard for longer than the TTL turns the cache off until it is. Dropping the future turns
    /// the cache off a TTL later.
    #[cfg(feature = "tokio")]
    pub fn follow(&self) -> impl Future<Output = ()> + Send + use<S> {
        self.follow_with(tokio::time::sleep)
    }

    /// The same on any runtime, given how to wait.
    pub fn follow_with<F, P>(&self, pause: F) -> impl Future<Output = ()> + Send + use<S, F, P>
    where
        F: Fn(Duration) -> P + Send + Sync,
        P: Future<Output = ()> + Send,
    {
        let cache = self.0.clone();
        async move {
            let [first, most] = PAUSES;
            let mut wait = first;
            let mut channel = None;
            loop {
                let heard = match &mut channel {
                    None => match cache.inner.changes().await {
                        Ok(None) => return cache.keep_without_channel(),
                        Ok(Some(opened)) => {
                            channel = Some(opened);
                            continue;
                        }
                        Err(error) => Err(error),
                    },
                    Some(changes) => changes.next().await,
                };
                match heard {
                    Ok(notice) => {
                        cache.hear(notice);
                        wait = first;
                    }
                    Err(_) => {
                        pause(wait).await;
                        wait = most.min(wait * 2);
                    }
                }
            }
        }
    }
}

impl<S: TokenStore> Cache<S> {
    fn keep_without_channel(&self) {
        if self.ttl > 0 {
            self.table.open(self.now(), u64::MAX);
        }
    }

    fn hear(&self, notice: Notice) {
        match notice {
            Notice::Changed { id, version } => self.table.heard_of(&id, version),
            Notice::Gap => self.table.flush(),
            Notice::Alive => {}
        }
        let now = self.now();
        self.table.open(now, now.saturating_add(self.ttl));
    }
}
