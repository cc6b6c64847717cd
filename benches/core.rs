//! What hallpass costs, each path beside its floor: the least that any implementation of it has to
//! do. Compare figures of one run only.
//!
//! `HALLPASS_BENCH_LARGE=1` adds ten million rows, which takes some 5 GB.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a bench that cannot be set up must stop"
)]

#[expect(dead_code, reason = "each bench uses its part")]
mod support;

use std::cell::LazyCell;
use std::hint::black_box;
use std::sync::Barrier;
use std::time::Instant;

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main};
use hallpass::store::{Filter, Reach};
use hallpass::{
    Brands, Clock, Context, Entropy, Issue, ListRequest, OsEntropy, SystemClock, Tenant, Token,
    TokenText,
};

use support::{FastMap, Floor, Text, Walk, answer, at_now, populated, ready, rows};

criterion_group!(benches, parse, ground, hot, random, threads, reject, issue, list);
criterion_main!(benches);

const FOREIGN: &str = "ghp_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

fn bad_checksum() -> String {
    let mut text = Text::new().of(1).to_owned();
    let last = if text.pop() == Some('0') { '1' } else { '0' };
    text.push(last);
    text
}

/// Text to verdict, before anything is looked up.
fn parse(c: &mut Criterion) {
    let brands = Brands::new("acme".parse().expect("a brand"));
    let mut good = Text::new();
    let good = good.of(1);
    let bad = bad_checksum();
    let mut group = c.benchmark_group("parse");
    group.bench_function("good/floor", |b| b.iter(|| checksum_holds(black_box(good))));
    group.bench_function("good/hallpass", |b| {
        b.iter(|| TokenText::parse(black_box(good), &brands).map(|text| text.kind()));
    });
    group.bench_function("bad checksum/floor", |b| b.iter(|| checksum_holds(black_box(&bad))));
    group.bench_function("bad checksum/hallpass", |b| {
        b.iter(|| TokenText::parse(black_box(&bad), &brands).map(|text| text.kind()));
    });
    group.bench_function("foreign prefix/floor", |b| {
        b.iter(|| black_box(FOREIGN).starts_with(black_box("acme_")));
    });
    group.bench_function("foreign prefix/hallpass", |b| {
        b.iter(|| TokenText::parse(black_box(FOREIGN), &brands).map(|text| text.kind()));
    });
}

/// The least that telling a wrong checksum takes: CRC-32 of what is before it, in base62.
fn checksum_holds(text: &str) -> bool {
    let Some((covered, check)) = text.as_bytes().split_last_chunk::<6>() else {
        return false;
    };
    let mut rest = crc32fast::hash(covered);
    let mut digits = [0; 6];
    for digit in digits.iter_mut().rev() {
        *digit = support::BASE62[(rest % 62) as usize];
        rest /= 62;
    }
    digits == *check
}

/// The parts of the floor, and of the benches themselves.
fn ground(c: &mut Criterion) {
    let key = support::key();
    let mut text = Text::new();
    let mut walk = Walk::over(1_000_000);
    let mut group = c.benchmark_group("ground");
    group.bench_function("write a text", |b| {
        b.iter(|| text.of(walk.after(1)).len());
    });
    let text = text.of(1).as_bytes();
    let known = support::digest(&key, text);
    group.bench_function("hash one block and compare", |b| {
        b.iter(|| support::same(&support::digest(&key, black_box(text)), &known));
    });
    group.bench_function("system clock", |b| b.iter(|| SystemClock.now()));
}

/// One token again and again.
fn hot(c: &mut Criterion) {
    let floor = Floor::of(rows(1000));
    let hallpass = populated(rows(1000));
    let mut text = Text::new();
    let text = text.of(7);
    let mut group = c.benchmark_group("verify hot");
    group.bench_function("floor", |b| b.iter(|| floor.verify(black_box(text)).expect("good")));
    group.bench_function("hallpass", |b| {
        let context = at_now();
        b.iter(|| ready(hallpass.verify(black_box(text), &context)).expect("good"));
    });
    group.bench_function("hallpass and system clock", |b| {
        let context = Context::default();
        b.iter(|| ready(hallpass.verify(black_box(text), &context)).expect("good"));
    });
}

/// Any token of many, each found by the answer of the one before.
fn random(c: &mut Criterion) {
    let large = std::env::var_os("HALLPASS_BENCH_LARGE").map(|_| 10_000_000);
    for count in [1_000, 100_000, 1_000_000].into_iter().chain(large) {
        let count = rows(count);
        let mut group = c.benchmark_group(format!("verify random {count}"));
        let floor = LazyCell::new(|| Floor::of(count));
        let hallpass = LazyCell::new(|| populated(count));
        group.bench_function("floor", |b| {
            let (floor, mut text, mut walk) = (&*floor, Text::new(), Walk::over(count));
            let mut last = 0;
            b.iter(|| {
                let end = floor.verify(text.of(walk.after(last)));
                last = answer(end);
            });
        });
        group.bench_function("hallpass", |b| {
            let (hallpass, mut text, mut walk) = (&*hallpass, Text::new(), Walk::over(count));
            let context = at_now();
            let mut last = 0;
            b.iter(|| {
                let verified = ready(hallpass.verify(text.of(walk.after(last)), &context));
                last = answer(verified.expect("good").expires_at());
            });
        });
        group.finish();
    }
}

/// One hot token under one and two threads; the time is that of one verification on each thread.
fn threads(c: &mut Criterion) {
    let floor = Floor::of(rows(1000));
    let hallpass = populated(rows(1000));
    let mut text = Text::new();
    let text = text.of(7);
    let context = at_now();
    let mut group = c.benchmark_group("verify threads");
    for threads in [1, 2] {
        group.throughput(Throughput::Elements(threads));
        measure_threads(&mut group, format!("floor {threads}"), threads, || {
            black_box(floor.verify(black_box(text)));
        });
        measure_threads(&mut group, format!("hallpass {threads}"), threads, || {
            black_box(ready(hallpass.verify(black_box(text), &context)).is_ok());
        });
    }
}

fn measure_threads(
    group: &mut BenchmarkGroup<'_, WallTime>,
    name: String,
    threads: u64,
    step: impl Fn() + Sync,
) {
    group.bench_function(name, |b| {
        b.iter_custom(|count| {
            let start = Barrier::new(usize::try_from(threads).expect("few"));
            let work = || {
                start.wait();
                let started = Instant::now();
                (0..count).for_each(|_| step());
                started.elapsed()
            };
            std::thread::scope(|scope| {
                let handles: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
                handles
                    .into_iter()
                    .map(|handle| handle.join().expect("no panic"))
                    .max()
                    .unwrap_or_default()
            })
        });
    });
}

/// Refusals through the whole of verify, counted and thinned out for the event sink.
fn reject(c: &mut Criterion) {
    let hallpass = populated(rows(1000));
    let context = at_now();
    let bad = bad_checksum();
    let unknown = Text::new().of(u64::MAX).to_owned();
    let mut group = c.benchmark_group("verify refuses");
    for (name, text) in
        [("foreign prefix", FOREIGN), ("bad checksum", &bad), ("unknown id", &unknown)]
    {
        group.bench_function(name, |b| {
            b.iter(|| ready(hallpass.verify(black_box(text), &context)).is_err());
        });
    }
}

/// A request to a stored token and its text.
fn issue(c: &mut Criterion) {
    let mut group = c.benchmark_group("issue");
    group.bench_function("floor", |b| {
        let key = support::key();
        let fresh = || FastMap::<[u8; 16], [u8; 32]>::default();
        support::in_batches(b, fresh, |map, _| {
            let mut random = [0; 64];
            OsEntropy.fill(&mut random).expect("entropy");
            let mut text = String::with_capacity(80);
            text.push_str("acme_pat_");
            for (place, byte) in random.iter().enumerate().take(59) {
                if place == 16 {
                    text.push('_');
                }
                text.push(char::from(support::BASE62[usize::from(byte & 0x3f) % 62]));
            }
            let mut rest = crc32fast::hash(text.as_bytes());
            for _ in 0..6 {
                text.push(char::from(support::BASE62[(rest % 62) as usize]));
                rest /= 62;
            }
            let digest = support::digest(&key, text.as_bytes());
            let id = *text.as_bytes()[9..].first_chunk().expect("long enough");
            map.insert(id, digest);
            text
        });
    });
    group.bench_function("hallpass", |b| {
        support::in_batches(
            b,
            || populated(0),
            |hallpass, (owner, name)| {
                let issue = Issue::new(name).owner(owner).scopes(["repo:read", "issue:read"]);
                ready(hallpass.issue(issue)).expect("issued")
            },
        );
    });
}

/// The first page of an owner who has 25 tokens, among few and many others.
fn list(c: &mut Criterion) {
    const PAGE: u64 = 25;
    for count in [10_000, 1_000_000] {
        let count = rows(count);
        let mut group = c.benchmark_group(format!("list {count}"));
        let request = || {
            let owner = "lister".parse().expect("an owner");
            ListRequest::new(Filter::new(Reach::Owner(Tenant::DEFAULT, owner)))
        };
        let listed = LazyCell::new(|| {
            let hallpass = populated(count);
            let issue = |number| {
                let issue = Issue::new(format!("ci {number}")).owner("lister");
                ready(hallpass.issue(issue.scopes(["repo:read"]))).expect("issued").token
            };
            let tokens: Vec<Token> = (0..PAGE).map(issue).collect();
            (hallpass, tokens)
        });
        group.bench_function("floor", |b| {
            // As an index has them: in the order in which they were issued.
            let index = FastMap::from_iter([("lister", listed.1.clone())]);
            b.iter(|| {
                let mut page: Vec<&Token> =
                    index.get(black_box("lister")).into_iter().flatten().collect();
                page.sort_unstable_by_key(|token| std::cmp::Reverse((token.created_at, token.id)));
                page.into_iter().cloned().collect::<Vec<Token>>()
            });
        });
        group.bench_function("hallpass", |b| {
            let (hallpass, request) = (&listed.0, request());
            b.iter(|| ready(hallpass.list(black_box(&request))).expect("a page"));
        });
        group.finish();
    }
}
