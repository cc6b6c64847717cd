//! What a hit of the cache costs, beside the same verification in memory, and what its lookup
//! costs beside other caches'. Compare figures of one run only.

#![expect(clippy::expect_used, reason = "a bench that cannot be set up must stop")]

#[expect(dead_code, reason = "each bench uses its part")]
mod support;

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use hallpass::store::{AgeClock, CacheOptions, CachedStore, Facts, SystemAgeClock};
use hallpass::{Hallpass, MemoryStore, TokenId, TokenStore};

use support::{
    Text, Walk, answer, at_now, catalog, id, key, populated, ready, record, rows, store,
};

criterion_group!(benches, clock, verify, lookup, load);
criterion_main!(benches);

/// A clock that costs nothing.
#[derive(Debug)]
struct Still;

impl AgeClock for Still {
    fn elapsed(&self) -> Duration {
        Duration::ZERO
    }
}

fn clock(c: &mut Criterion) {
    let clock = SystemAgeClock::new();
    c.bench_function("cached/clock", |b| b.iter(|| clock.elapsed()));
}

/// A cache that holds all tokens, for as long as it may.
fn options(count: u64) -> CacheOptions {
    let room = usize::try_from(count).expect("in memory") * 2;
    CacheOptions::new()
        .with_ttl(CacheOptions::MAX_TTL)
        .with_capacity(room.max(100_000))
        .without_channel()
}

fn engine(store: CachedStore<MemoryStore>) -> Hallpass {
    Hallpass::builder(store).brand("acme").catalog(catalog()).build().expect("an engine")
}

/// Has every token read once, and its use noted.
fn warm(hallpass: &Hallpass, count: u64) {
    let mut text = Text::new();
    for number in 0..count {
        ready(hallpass.verify(text.of(number), &at_now())).expect("good");
    }
}

fn verify(c: &mut Criterion) {
    let context = at_now();
    for count in [1_000, 1_000_000] {
        let count = rows(count);
        let memory = populated(count);
        // Entries that never end, so that what is measured is a hit every time; the second one
        // pays for the clock as well, with a cache small enough to be read again within its TTL.
        let still = engine(options(count).with_clock(Still).wrap(store(count)));
        let timed = engine(options(count).wrap(store(count)));
        let engines = [("memory", &memory), ("cached", &timed), ("cached, free clock", &still)];
        for (_, hallpass) in engines {
            warm(hallpass, count);
        }
        let mut group = c.benchmark_group(format!("cached/verify hot of {count}"));
        for (name, hallpass) in engines {
            let mut text = Text::new();
            let text = text.of(7);
            group.bench_function(name, |b| {
                b.iter(|| ready(hallpass.verify(black_box(text), &context)).expect("good"));
            });
        }
        group.finish();
        let mut group = c.benchmark_group(format!("cached/verify random of {count}"));
        for (name, hallpass) in engines {
            // Read anew what grew old while others were measured.
            warm(hallpass, count);
            group.bench_function(name, |b| {
                let (mut text, mut walk, mut last) = (Text::new(), Walk::over(count), 0);
                b.iter(|| {
                    let number = walk.after(last);
                    let verified = ready(hallpass.verify(text.of(number), &context));
                    last = answer(verified.expect("good").expires_at());
                });
            });
        }
        group.finish();
    }
}

/// The lookup alone, chained.
fn lookup(c: &mut Criterion) {
    for count in [1_000, 1_000_000] {
        let count = rows(count);
        let key = key();
        let catalog = catalog();
        let room = usize::try_from(count).expect("in memory") * 2;
        let cached = options(count).with_clock(Still).wrap(store(count));
        let quick = quick_cache::sync::Cache::<TokenId, Arc<Facts>>::new(room);
        let moka = moka::sync::Cache::<TokenId, Arc<Facts>>::builder()
            .max_capacity(count * 2)
            .time_to_live(Duration::from_secs(60 * 60))
            .build();
        for number in 0..count {
            ready(cached.find(&id(number))).expect("in memory");
            let facts = Arc::new(Facts::of(&record(&key, number), &catalog));
            quick.insert(id(number), facts.clone());
            moka.insert(id(number), facts);
        }
        let end = |facts: &Facts| answer(facts.lifecycle.expires_at);
        let mut group = c.benchmark_group(format!("cached/lookup of {count}"));
        let mut measure = |name: &str, look: &dyn Fn(&TokenId) -> u64| {
            group.bench_function(name, |b| {
                let (mut walk, mut last) = (Walk::over(count), 0);
                b.iter(|| last = look(&id(walk.after(last))));
            });
        };
        measure("hallpass", &|id| {
            let mut found = 0;
            cached.resident(id, &mut |facts| found = end(facts));
            found
        });
        measure("quick_cache", &|id| quick.get(id).map_or(0, |facts| end(&facts)));
        measure("moka", &|id| moka.get(id).map_or(0, |facts| end(&facts)));
        group.finish();
    }
}

/// A read that is not in the cache: what the cache adds to the store's own.
fn load(c: &mut Criterion) {
    let count = rows(100_000);
    let inner = store(count);
    let cached = options(count).wrap(store(count));
    let mut group = c.benchmark_group("cached/find");
    for (name, store) in [("memory", &inner as &dyn TokenStore), ("through the cache", &cached)] {
        group.bench_function(name, |b| {
            let mut walk = Walk::over(count);
            b.iter(|| {
                let found = ready(store.find(&id(walk.after(1)))).expect("in memory");
                black_box(found.expect("there"));
            });
        });
    }
    group.finish();
}
