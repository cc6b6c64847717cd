//! What the benches share: tokens by number, the floor, and a way to run ready futures.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "a bench that cannot be set up must stop"
)]

use std::collections::HashMap;
use std::fs;
use std::hint::black_box;
use std::path::PathBuf;
use std::pin::pin;
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use chrono::TimeDelta;
use criterion::Bencher;
use foldhash::fast::RandomState;
use hallpass::store::Admission;
use hallpass::{
    Clock, Context, Hallpass, Kind, LastUse, MemoryStore, Owner, Record, ScopeCatalog, ScopeList,
    SystemClock, Timestamp, Token, TokenDigest, TokenId, TokenStore,
};

pub(crate) type FastMap<K, V> = HashMap<K, V, RandomState>;

/// Whether the benches are only to show that they run.
pub(crate) fn is_test() -> bool {
    let given = |name: &str| std::env::args().any(|arg| arg == name);
    given("--test") || !given("--bench")
}

/// The number of rows to measure with; few where the benches are only to show that they run.
pub(crate) fn rows(count: u64) -> u64 {
    if is_test() { count.min(100) } else { count }
}

/// Keeps figures that are not criterion's, beside those that are.
pub(crate) fn write_figures(name: &str, figures: &serde_json::Value) {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or("target".into(), PathBuf::from);
    let folder = target.join("criterion");
    fs::create_dir_all(&folder).expect("a folder");
    fs::write(folder.join(name), figures.to_string()).expect("a file");
}

/// Drives a future that never waits, as every in-memory operation is one.
pub(crate) fn ready<T>(future: impl Future<Output = T>) -> T {
    let mut context = std::task::Context::from_waker(Waker::noop());
    match pin!(future).poll(&mut context) {
        Poll::Ready(value) => value,
        Poll::Pending => unreachable!("the store is in memory"),
    }
}

const TEXT_LEN: usize = 75;
const PREFIX: &[u8; 9] = b"acme_pat_";
const SECRET: &[u8; 43] = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFG";
const KEY_CONTEXT: &str = "hallpass 2026-11-22 token digest v1";

/// The instant at which everything is measured.
pub(crate) fn now() -> Timestamp {
    "2026-11-22T09:00:00Z".parse().expect("an instant")
}

/// A place for token texts.
///
/// The text of any token is computed from its number, so that a walk over a million tokens reads
/// the store and not a list of texts. Floor and hallpass both pay for the writing.
pub(crate) struct Text([u8; TEXT_LEN]);

impl Text {
    pub(crate) fn new() -> Self {
        let mut text = [b'_'; TEXT_LEN];
        text[..9].copy_from_slice(PREFIX);
        text[26..69].copy_from_slice(SECRET);
        Self(text)
    }

    /// The text of the token with this number.
    pub(crate) fn of(&mut self, number: u64) -> &str {
        self.0[9..25].copy_from_slice(&id_bytes(number));
        let mut rest = crc32fast::hash(&self.0[..69]);
        for digit in self.0[69..].iter_mut().rev() {
            *digit = BASE62[(rest % 62) as usize];
            rest /= 62;
        }
        std::str::from_utf8(&self.0).expect("ASCII")
    }
}

pub(crate) const BASE62: &[u8; 62] =
    b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Sixteen digits for a number: all different, all over the place.
pub(crate) fn id_bytes(number: u64) -> [u8; 16] {
    let mixed = mix(number);
    std::array::from_fn(|place| b"0123456789abcdef"[(mixed >> (place * 4)) as usize & 15])
}

pub(crate) fn id(number: u64) -> TokenId {
    TokenId::from_bytes(id_bytes(number)).expect("digits")
}

/// `SplitMix64`'s finalizer: one to one.
pub(crate) fn mix(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// A walk in which every step depends on the last answer.
pub(crate) struct Walk {
    state: u64,
    rows: u64,
}

impl Walk {
    pub(crate) fn over(rows: u64) -> Self {
        Self { state: 1, rows }
    }

    /// The number to look up after this answer.
    pub(crate) fn after(&mut self, answer: u64) -> u64 {
        self.state = mix(self.state ^ answer);
        self.state % self.rows
    }
}

/// A presentation at that instant.
pub(crate) fn at_now() -> Context<'static> {
    Context { now: Some(now()), ..Context::default() }
}

/// When the token with this number ends; also the answer by which a walk goes on.
pub(crate) fn end(number: u64) -> Timestamp {
    let seconds = i64::try_from(number % 1_000_000).expect("small");
    now().saturating_add(TimeDelta::days(30) + TimeDelta::seconds(seconds))
}

pub(crate) fn answer(end: Option<Timestamp>) -> u64 {
    end.map_or(0, |end| end.as_micros().unsigned_abs())
}

/// The digest of a token's text, by hand.
pub(crate) fn digest(key: &[u8; 32], text: &[u8]) -> [u8; 32] {
    let mut message = [0; 64];
    message[..16].copy_from_slice(&text[9..25]);
    message[16..59].copy_from_slice(&text[26..69]);
    message[59..62].copy_from_slice(&text[5..8]);
    *blake3::keyed_hash(key, &message).as_bytes()
}

/// The key that digests without pepper are made with.
pub(crate) fn key() -> [u8; 32] {
    blake3::derive_key(KEY_CONTEXT, b"")
}

/// Compares digests as words, without a branch.
pub(crate) fn same(left: &[u8; 32], right: &[u8; 32]) -> bool {
    let (left, right) = (left.as_chunks::<8>().0, right.as_chunks::<8>().0);
    let differ = left.iter().zip(right).fold(0, |differ, (left, right)| {
        differ | (u64::from_ne_bytes(*left) ^ u64::from_ne_bytes(*right))
    });
    black_box(differ) == 0
}

/// Tokens that an owner has.
pub(crate) const PER_OWNER: u64 = 4;

pub(crate) fn owner(number: u64) -> Owner {
    Owner::parse(&format!("user:{:09}", number / PER_OWNER)).expect("an owner")
}

pub(crate) fn catalog() -> ScopeCatalog {
    ScopeCatalog::of(["repo:read", "repo:write", "issue:read", "issue:write"]).expect("a catalog")
}

/// The record of the token with this number. Its use was noted already, so that what is measured is
/// the steady state.
pub(crate) fn record(key: &[u8; 32], number: u64) -> Record {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    let name = format!("ci build {number}").parse().expect("a name");
    let scopes = ScopeList::parse(["repo:read", "issue:read"]).expect("scopes");
    let mut token = Token::new(id(number), Kind::Personal, owner(number), name, scopes, now());
    token.expires_at = Some(end(number));
    token.last_use = Some(LastUse { at: now(), ip: None, agent: None });
    let mut text = Text::new();
    let digest = digest(key, text.of(number).as_bytes());
    let stored = format!("v1$0${}", URL_SAFE_NO_PAD.encode(digest));
    Record::new(token, TokenDigest::from_stored(&stored))
}

/// Costs what the system clock costs and tells the instant at which everything is measured.
#[derive(Debug)]
struct BenchClock(Timestamp);

impl Clock for BenchClock {
    fn now(&self) -> Timestamp {
        black_box(SystemClock.now());
        self.0
    }
}

/// An engine on a memory store that holds the first so many tokens.
pub(crate) fn populated(rows: u64) -> Hallpass {
    let builder = Hallpass::builder(store(rows)).brand("acme").catalog(catalog());
    builder.clock(BenchClock(now())).build().expect("an engine")
}

pub(crate) fn store(rows: u64) -> MemoryStore {
    let store = MemoryStore::new();
    store.attach(&catalog());
    let admission = Admission { now: now(), quota: None, unique_name: false };
    let key = key();
    for number in 0..rows {
        ready(store.insert(&record(&key, number), &admission)).expect("an insert");
    }
    store
}

/// The least that any verification of these tokens has to do: hash one block, look the row up,
/// compare.
pub(crate) struct Floor {
    key: [u8; 32],
    map: FastMap<[u8; 16], Row>,
}

struct Row {
    digest: [u8; 32],
    end: Timestamp,
}

impl Floor {
    pub(crate) fn of(rows: u64) -> Self {
        let key = key();
        let mut text = Text::new();
        let row = |number| {
            let digest = digest(&key, text.of(number).as_bytes());
            (id_bytes(number), Row { digest, end: end(number) })
        };
        Self { key, map: (0..rows).map(row).collect() }
    }

    pub(crate) fn verify(&self, text: &str) -> Option<Timestamp> {
        let text = text.as_bytes();
        let digest = digest(&self.key, text);
        let row = self.map.get(text.get(9..25)?)?;
        same(&digest, &row.digest).then_some(row.end)
    }
}

/// Times one of several steps that all have their turn, so that each finds the caches as the
/// others leave them, whichever is measured first.
pub(crate) fn in_turns(bencher: &mut Bencher<'_>, timed: usize, steps: &mut [&mut dyn FnMut()]) {
    const TURN: u64 = 64;
    bencher.iter_custom(|iterations| {
        let mut spent = Duration::ZERO;
        let mut left = iterations;
        while left > 0 {
            let turn = left.min(TURN);
            for (place, step) in steps.iter_mut().enumerate() {
                let started = Instant::now();
                (0..turn).for_each(|_| step());
                if place == timed {
                    spent += started.elapsed();
                }
            }
            left -= turn;
        }
        spent
    });
}

/// Most tokens issued into one store, so that memory stays bounded.
const ISSUES: u64 = 20_000;

/// Times a step that fills a store, with a fresh store every so many steps.
pub(crate) fn in_batches<S, T>(
    bencher: &mut Bencher<'_>,
    fresh: impl Fn() -> S,
    step: impl Fn(&mut S, (&str, &str)) -> T,
) {
    let count = rows(ISSUES);
    let labels: Vec<(String, String)> = (0..count)
        .map(|number| (owner(number).to_string(), format!("ci {}", number % PER_OWNER)))
        .collect();
    bencher.iter_custom(|iterations| {
        let mut spent = Duration::ZERO;
        let mut left = iterations;
        while left > 0 {
            let mut store = fresh();
            let batch = left.min(count);
            let started = Instant::now();
            for ((owner, name), _) in labels.iter().zip(0..batch) {
                black_box(step(&mut store, (owner, name)));
            }
            spent += started.elapsed();
            left -= batch;
        }
        spent
    });
}
