//! Tests through the public interface.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails"
)]

#[cfg(feature = "sqlite")]
mod sqlite_file;
#[cfg_attr(
    feature = "postgres",
    expect(dead_code, reason = "the list of cases is for the tests that start a server")
)]
mod store_cases;
#[cfg(feature = "sqlite")]
mod store_model;
mod support;
