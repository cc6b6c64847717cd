//! Small documents that are had from somewhere else, such as another server's public keys.
//!
//! # Rules
//! - An [`Endpoint`] (feature `fetch`) is one URL: `https`, or `http` on this machine. Redirects
//!   are not followed, so nothing but that URL is ever asked.
//! - Every answer has a bound in bytes and in time, and one that is not 200 is none. A [`LocalFile`]
//!   has the same bound.
//! - What reads the documents keeps the last good one: it is fetched when it is first needed and
//!   again when it is five minutes old, whatever arrives meanwhile. If that fails, it is used for
//!   24 hours and no longer.
//! - No error holds a path or a query of a URL.
//!
//! ```
//! use hallpass::fetch::{Fetch, LocalFile};
//!
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! let keys = LocalFile::new("/nowhere/jwks.json");
//! assert!(keys.fetch().await.is_err());
//! # });
//! ```

#[cfg(all(feature = "fetch", feature = "jwt"))]
mod ask;
#[cfg(feature = "fetch")]
mod endpoint;
mod error;
mod file;
#[cfg(feature = "fetch")]
mod http;
#[cfg(feature = "jwt")]
mod kept;

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

#[cfg(all(feature = "fetch", feature = "jwt"))]
pub(crate) use ask::Credentials;
#[cfg(feature = "fetch")]
pub use endpoint::{Endpoint, EndpointBuilder};
pub use error::FetchError;
pub use file::LocalFile;
#[cfg(feature = "fetch")]
pub use http::EndpointError;
#[cfg(feature = "client")]
pub(crate) use http::{client_to, parse, read};
#[cfg(feature = "jwt")]
pub(crate) use kept::{Document, Kept};

/// Longest document unless somebody sets another bound, in bytes.
pub const MAX_DOCUMENT_LEN: usize = 64 * 1024;

/// Fetches a document: from an [`Endpoint`], from a [`LocalFile`], or by whatever an app has.
///
/// # Contract
/// It has an end and a bound: it neither waits for ever nor returns more than the document may be
/// long. It asks the one place that was configured, whatever that answers.
#[async_trait]
pub trait Fetch: fmt::Debug + Send + Sync + 'static {
    /// The bytes of the document.
    ///
    /// # Errors
    /// [`FetchError`] if it cannot be had.
    async fn fetch(&self) -> Result<Vec<u8>, FetchError>;
}

#[async_trait]
impl<F: Fetch + ?Sized> Fetch for Arc<F> {
    async fn fetch(&self) -> Result<Vec<u8>, FetchError> {
        (**self).fetch().await
    }
}
