//! Tests through the public interface.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails"
)]

#[cfg(feature = "sqlite")]
mod sqlite_file;
mod store_cases;
#[cfg(feature = "sqlite")]
mod store_model;
mod support;
