//! Tests through the public interface.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::needless_pass_by_value,
    reason = "a test says so by failing, and hands over what it made"
)]

mod cancellation;
mod exchange;
mod issue;
mod list;
mod maintain;
mod revoke;
mod rotate;
mod secrecy;
mod times;
mod update;
mod usage;
mod verify;
mod world;
