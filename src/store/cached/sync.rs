//! What the table is synchronized by. The model check in `tests/cache_race.rs` puts a checker's
//! equivalents in place of this file.

use std::hash::Hash;

use foldhash::fast::RandomState;

pub(super) use std::sync::atomic::{AtomicU64, Ordering};
pub(super) use std::sync::{Mutex, MutexGuard};

/// A map that is read without a lock. Values never change, they are replaced.
pub(super) struct Map<K, V>(papaya::HashMap<K, V, RandomState>);

impl<K: Hash + Eq, V> Map<K, V> {
    pub(super) fn new() -> Self {
        Self(papaya::HashMap::default())
    }

    /// Looks at a value where it lies.
    pub(super) fn with<R>(&self, key: &K, look: impl FnOnce(&V) -> R) -> Option<R> {
        self.0.pin().get(key).map(look)
    }

    pub(super) fn insert(&self, key: K, value: V) {
        self.0.pin().insert(key, value);
    }

    pub(super) fn remove(&self, key: &K) {
        self.0.pin().remove(key);
    }
}

/// Takes a lock; says whether somebody panicked while holding it.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> (MutexGuard<'_, T>, bool) {
    match mutex.lock() {
        Ok(guard) => (guard, false),
        Err(poisoned) => {
            mutex.clear_poison();
            (poisoned.into_inner(), true)
        }
    }
}
