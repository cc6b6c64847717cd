//! The adapters side by side: one matrix of requests, one verdict for each.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::needless_pass_by_value,
    reason = "a test that cannot go on fails, and handlers are given their arguments"
)]

mod on_actix;
mod on_axum;
mod on_rocket;
mod on_tonic;
mod random;
mod verdicts;
