//! Memory per token, and allocations per verification: exact counts, no timing.
//!
//! Under `cargo bench` the figures are also written to `criterion/memory.json` in the target
//! directory, for the report.

#![expect(clippy::expect_used, reason = "a bench that cannot be set up must stop")]

#[expect(dead_code, reason = "each bench uses its part")]
mod support;

use std::sync::Arc;

use allocation_counter::{AllocationInfo, measure};
use hallpass::{Record, TokenId};

use support::{FastMap, Floor, Text, at_now, is_test, populated, ready, record, rows, store};

fn main() {
    let count = rows(1_000_000);
    let key = support::key();
    let per_token = [
        ("floor", kept(count, || Floor::of(count))),
        (
            "map of Arc records",
            kept(count, || {
                let records = (0..count).map(|number| record(&key, number));
                records
                    .map(|record| (record.token.id, Arc::new(record)))
                    .collect::<FastMap<TokenId, Arc<Record>>>()
            }),
        ),
        ("hallpass", kept(count, || store(count))),
    ];
    let allocations = allocations_of_a_hit();
    for (name, bytes) in per_token {
        println!("memory per token at {count}/{name}: {bytes:.1} bytes");
    }
    println!("allocations of a verification: {allocations}");
    assert_eq!(allocations, 0, "the hot path allocates");
    if !is_test() {
        let figures: serde_json::Map<_, _> =
            per_token.iter().map(|(name, bytes)| ((*name).to_owned(), (*bytes).into())).collect();
        let json = serde_json::json!({
            "tokens": count, "bytes_per_token": figures, "allocations_per_hit": allocations,
        });
        support::write_figures("memory.json", &json);
    }
}

/// Bytes kept per token by what is built.
#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
fn kept<T>(count: u64, build: impl FnOnce() -> T) -> f64 {
    let mut built = None;
    let AllocationInfo { bytes_current, .. } = measure(|| built = Some(build()));
    bytes_current as f64 / count as f64
}

/// Allocations of a verification whose use was noted already.
fn allocations_of_a_hit() -> u64 {
    let hallpass = populated(rows(1000));
    let mut text = Text::new();
    let text = text.of(7);
    let context = at_now();
    let verify = || ready(hallpass.verify(text, &context)).expect("good");
    verify();
    measure(|| drop(verify())).count_total
}
