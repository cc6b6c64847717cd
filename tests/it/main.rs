//! Tests through the public interface.

#[cfg(feature = "conformance")]
mod broken;
#[cfg(feature = "conformance")]
mod conformance;
#[cfg(all(feature = "conformance", feature = "sqlite"))]
mod sqlite_file;
