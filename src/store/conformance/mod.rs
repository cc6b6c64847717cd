#![doc = include_str!("../../../docs/WRITING-A-STORE.md")]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a case says by panicking which rule a store breaks"
)]

mod harness;

pub mod cancel;
pub mod changes;
pub mod find;
pub mod hostile;
pub mod insert;
pub mod list;
pub mod model;
pub mod nodes;
pub mod purge;
pub mod races;
pub mod resident;
pub mod revoke;
pub mod support;
pub mod touch;
pub mod transfer;
pub mod update;
mod zoo;

pub use harness::{Backend, CASES, Case, Fixture, Store, run};
