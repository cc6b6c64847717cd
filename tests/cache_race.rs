//! The cache's races, run through many schedules by a model checker: the table itself, with the
//! checker's locks and atomics in the place of the real ones.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

#[expect(dead_code, reason = "the model uses its part")]
#[path = "../src/store/cached/table.rs"]
mod table;

/// What the table is synchronized by, here: all of it the checker's.
mod sync {
    use std::collections::HashMap;
    use std::hash::Hash;

    pub(super) use shuttle::sync::atomic::{AtomicU64, Ordering};
    pub(super) use shuttle::sync::{Mutex, MutexGuard};

    pub(super) struct Map<K, V>(Mutex<HashMap<K, std::sync::Arc<V>>>);

    impl<K: Hash + Eq, V> Map<K, V> {
        pub(super) fn new() -> Self {
            Self(Mutex::new(HashMap::new()))
        }

        /// A value that was found may be looked at long after it was replaced, as in the real map.
        pub(super) fn with<R>(&self, key: &K, look: impl FnOnce(&V) -> R) -> Option<R> {
            let value = self.0.lock().unwrap().get(key).cloned()?;
            shuttle::thread::yield_now();
            Some(look(&value))
        }

        pub(super) fn insert(&self, key: K, value: V) {
            self.0.lock().unwrap().insert(key, std::sync::Arc::new(value));
        }

        pub(super) fn remove(&self, key: &K) {
            self.0.lock().unwrap().remove(key);
        }
    }

    pub(super) fn lock<T>(mutex: &Mutex<T>) -> (MutexGuard<'_, T>, bool) {
        (mutex.lock().unwrap(), false)
    }
}

use shuttle::rand::{Rng, thread_rng};
use shuttle::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use shuttle::sync::{Arc, Mutex};
use shuttle::thread;

use table::{Joined, Limits, Remembered, Table};

/// What is stored of the one token: its version, and whether it is revoked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Row {
    version: u64,
    revoked: bool,
}

impl Remembered for Row {
    fn version(&self) -> u64 {
        self.version
    }

    fn is_terminal(&self) -> bool {
        self.revoked
    }

    fn groups(&self) -> [u64; 3] {
        [1, 2, 3]
    }
}

const KEY: u8 = 1;

/// A node with a cache, its database, and what it has acknowledged.
struct Node {
    table: Table<u8, Row, ()>,
    database: Mutex<Row>,
    revoked: AtomicBool,
    version: AtomicU64,
}

impl Node {
    fn new() -> Arc<Self> {
        let limits = Limits { stripes: 1, entries: 4, ttl: 10, absences: 4, absence_ttl: 5 };
        let table = Table::new(limits);
        table.open(0, u64::MAX);
        Arc::new(Self {
            table,
            database: Mutex::new(Row { version: 1, revoked: false }),
            revoked: AtomicBool::new(false),
            version: AtomicU64::new(1),
        })
    }

    fn read(&self) -> Row {
        *self.database.lock().unwrap()
    }

    /// As `CachedStore::find` for one that leads its flight.
    fn find(&self) {
        let Joined::Flight(ticket, ()) = self.table.join(&KEY, 0, || ()) else {
            panic!("the token is there");
        };
        let row = self.read();
        if thread_rng().gen_bool(0.1) {
            // Dropped between reading and landing.
            self.table.leave(&KEY, ticket);
            return;
        }
        self.table.land(&KEY, ticket, 0, Some(row));
        self.table.leave(&KEY, ticket);
    }

    fn find_twice(&self) {
        self.find();
        self.find();
    }

    /// As `CachedStore::revoke`, told as committed where it returns.
    fn revoke(&self) {
        let won = {
            let mut row = self.database.lock().unwrap();
            let won = !row.revoked;
            *row = Row { version: row.version + u64::from(won), revoked: true };
            won
        };
        if won {
            let revoked = |row: &Row| Some(Row { version: row.version + 1, revoked: true });
            self.table.amend(&KEY, revoked);
        }
        self.table.doubt(&KEY);
        self.table.doubt_all(Some(3));
        self.revoked.store(true, Ordering::SeqCst);
    }

    /// As `CachedStore::update`.
    fn update(&self) {
        let updated = {
            let mut row = self.database.lock().unwrap();
            if row.revoked {
                None
            } else {
                row.version += 1;
                Some(*row)
            }
        };
        match updated {
            Some(row) => {
                self.table.put(&KEY, 0, row);
                self.version.fetch_max(row.version, Ordering::SeqCst);
            }
            None => self.table.doubt(&KEY),
        }
    }

    /// As `CachedStore::resident`: never older than what was acknowledged before.
    fn look(&self) {
        let (revoked, version) =
            (self.revoked.load(Ordering::SeqCst), self.version.load(Ordering::SeqCst));
        if let Some(row) = self.table.look(&KEY, 0, |row| *row) {
            assert!(row.revoked || !revoked, "a revoked token is told as live");
            assert!(row.revoked || row.version >= version, "an older version is told");
        }
    }
}

fn check(model: fn()) {
    shuttle::check_random(model, 4000);
    shuttle::check_pct(model, 4000, 3);
}

fn run(steps: Vec<Box<dyn FnOnce() + Send>>) {
    let running: Vec<_> = steps.into_iter().map(thread::spawn).collect();
    for thread in running {
        thread.join().unwrap();
    }
}

fn step(node: &Arc<Node>, step: impl FnOnce(&Node) + Send + 'static) -> Box<dyn FnOnce() + Send> {
    let node = node.clone();
    Box::new(move || step(&node))
}

fn two_loaders_a_revoker_and_a_reader() {
    let node = Node::new();
    run(vec![
        step(&node, Node::find_twice),
        step(&node, Node::find_twice),
        step(&node, Node::revoke),
        step(&node, |node| (0..3).for_each(|_| node.look())),
    ]);
    node.look();
    node.find();
    node.look();
}

#[test]
fn no_read_in_flight_undoes_a_revocation() {
    check(two_loaders_a_revoker_and_a_reader);
}

#[test]
fn no_read_in_flight_undoes_an_update() {
    check(|| {
        let node = Node::new();
        run(vec![
            step(&node, Node::find_twice),
            step(&node, |node| (0..2).for_each(|_| node.update())),
            step(&node, Node::update),
            step(&node, |node| (0..3).for_each(|_| node.look())),
        ]);
        node.look();
    });
}

#[test]
fn updates_and_revocations_at_once_end_revoked() {
    check(|| {
        let node = Node::new();
        node.find();
        run(vec![
            step(&node, Node::update),
            step(&node, Node::revoke),
            step(&node, Node::revoke),
            step(&node, Node::find),
            step(&node, |node| (0..2).for_each(|_| node.look())),
        ]);
        node.look();
    });
}

#[test]
fn nothing_read_before_a_flush_is_told_after_it() {
    check(|| {
        let node = Node::new();
        let other = |node: &Node| {
            // Another node revokes, its notice is lost, and the gap is noticed.
            *node.database.lock().unwrap() = Row { version: 2, revoked: true };
            node.table.flush();
            node.revoked.store(true, Ordering::SeqCst);
        };
        run(vec![
            step(&node, Node::find_twice),
            step(&node, Node::update),
            step(&node, other),
            step(&node, |node| {
                // An update of this node cannot raise what the flush has forgotten.
                let revoked = node.revoked.load(Ordering::SeqCst);
                let told = node.table.look(&KEY, 0, |row| *row);
                assert!(!revoked || told.is_none_or(|row| row.revoked || row.version > 2));
            }),
        ]);
    });
}

#[test]
fn notices_reach_what_is_in_flight() {
    check(|| {
        let node = Node::new();
        let other = |node: &Node| {
            *node.database.lock().unwrap() = Row { version: 2, revoked: true };
            node.table.heard_of(&KEY, 2);
            node.revoked.store(true, Ordering::SeqCst);
            // Late and double.
            node.table.heard_of(&KEY, 1);
            node.table.heard_of(&KEY, 2);
        };
        run(vec![
            step(&node, Node::find_twice),
            step(&node, Node::find_twice),
            step(&node, other),
            step(&node, |node| (0..3).for_each(|_| node.look())),
        ]);
        node.look();
    });
}

/// The checker can find the race that it looks for: a read is kept whatever happened meanwhile.
#[test]
fn the_checker_finds_an_unfenced_read() {
    let found = std::panic::catch_unwind(|| {
        shuttle::check_random(
            || {
                let node = Node::new();
                let unfenced = |node: &Node| {
                    let row = node.read();
                    let Joined::Flight(ticket, ()) = node.table.join(&KEY, 0, || ()) else {
                        panic!("the token is there");
                    };
                    node.table.land(&KEY, ticket, 0, Some(row));
                };
                run(vec![step(&node, unfenced), step(&node, Node::revoke)]);
                node.look();
            },
            4000,
        );
    });
    assert!(found.is_err());
}
