//! Figures as Markdown.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use crate::load::Taken;

/// The medians of each row in nanoseconds, by how many tokens there were.
static MEDIANS: Mutex<BTreeMap<String, Vec<(u32, f64)>>> = Mutex::new(BTreeMap::new());

/// A count in few digits.
pub(crate) fn short(count: u32) -> String {
    match count {
        1_000_000.. => format!("{}M", count / 1_000_000),
        1_000.. => format!("{}k", count / 1_000),
        _ => count.to_string(),
    }
}

/// The head of a table whose ratios are to its first row.
pub(crate) fn head(title: &str) {
    println!("\n{title}\n");
    println!("| tokens | in flight | row | p50 us | p99 us | per second | of the first |");
    println!("|---|---|---|---|---|---|---|");
}

/// Rows that took turns; the first is what the others are compared with: by latency where there
/// is one in flight, by rate where there are more.
pub(crate) fn rows(title: &str, tokens: u32, in_flight: u32, names: &[&str], taken: &[Taken]) {
    let (first, p50) = (taken[0].rate(), taken[0].quantile(0.5));
    for (name, taken) in names.iter().zip(taken) {
        let ratio = if in_flight == 1 { taken.quantile(0.5) / p50 } else { taken.rate() / first };
        println!(
            "| {} | {in_flight} | {name} | {:.1} | {:.1} | {:.0} | {ratio:.2} |",
            short(tokens),
            taken.quantile(0.5) / 1e3,
            taken.quantile(0.99) / 1e3,
            taken.rate(),
        );
        note(&format!("{title}, {in_flight} in flight, {name}"), tokens, taken);
    }
}

/// One figure with its quantiles, in `unit` of that many nanoseconds.
pub(crate) fn figure(name: &str, taken: &Taken, unit: (&str, f64)) {
    let of = |part| taken.quantile(part) / unit.1;
    println!("- {name}: p50 {:.1}, p99 {:.1} {}", of(0.5), of(0.99), unit.0);
}

/// A median that is compared with that of other numbers of tokens in the end.
pub(crate) fn note(row: &str, tokens: u32, taken: &Taken) {
    let mut medians = MEDIANS.lock().unwrap_or_else(PoisonError::into_inner);
    medians.entry(row.to_owned()).or_default().push((tokens, taken.quantile(0.5)));
}

/// By how much each median grew from the fewest tokens to more.
pub(crate) fn growth() {
    let medians = MEDIANS.lock().unwrap_or_else(PoisonError::into_inner);
    println!("\nGrowth of the medians with the number of tokens\n");
    println!("| row | fewest | more |");
    println!("|---|---|---|");
    for (row, sizes) in medians.iter() {
        let (fewest, least) = sizes[0];
        let more: Vec<String> = sizes[1..]
            .iter()
            .map(|(tokens, median)| format!("{}: {:.2} x", short(*tokens), median / least))
            .collect();
        println!("| {row} | {}: {:.1} us | {} |", short(fewest), least / 1e3, more.join(", "));
    }
}
