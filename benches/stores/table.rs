//! Figures as Markdown.

use crate::load::Taken;

/// A count in few digits.
pub(crate) fn short(count: u32) -> String {
    match count {
        1_000_000.. => format!("{}M", count / 1_000_000),
        1_000.. => format!("{}k", count / 1_000),
        _ => count.to_string(),
    }
}

pub(crate) fn head(title: &str) {
    println!("\n{title}\n");
    println!("| tokens | in flight | row | p50 us | p99 us | per second | of the driver alone |");
    println!("|---|---|---|---|---|---|---|");
}

/// Rows that took turns; the first is what the others are compared with: by latency where there
/// is one in flight, by rate where there are more.
pub(crate) fn rows(tokens: u32, in_flight: u32, names: &[&str], taken: &[Taken]) {
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
    }
}

/// One figure with its quantiles, in `unit` of that many nanoseconds.
pub(crate) fn figure(name: &str, taken: &Taken, unit: (&str, f64)) {
    let of = |part| taken.quantile(part) / unit.1;
    println!("- {name}: p50 {:.1}, p99 {:.1} {}", of(0.5), of(0.99), unit.0);
}
