//! The store in one SQLite file.
//!
//! Reads run on the calling thread on connections of their own and never wait for a write; a hop
//! to another thread costs more than the read. Writes go through one connection, each a
//! transaction that has the file's write lock from its start, so that several stores and processes
//! can share a file. With feature `tokio`, inside a runtime, they run on its blocking threads.

mod error;
mod options;
mod query;
mod row;
mod schema;
mod steps;
mod store;
#[cfg(feature = "tokio")]
mod watch;

pub use options::SqliteOptions;
pub use store::SqliteStore;
