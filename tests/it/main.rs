//! Tests through the public interface.

#[cfg(feature = "sqlite")]
mod sqlite_file;
mod store_cases;
#[cfg(feature = "sqlite")]
mod store_model;
mod support;
