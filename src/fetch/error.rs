//! What can go wrong on the way.

use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;

/// Why a document cannot be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FetchError {
    /// There is no connection: no such host, nobody listens, TLS failed, or it broke.
    #[error("cannot reach {server}")]
    Unreachable {
        /// Scheme, host and port.
        server: Arc<str>,
        /// Why not.
        #[source]
        cause: Box<dyn Error + Send + Sync>,
    },
    /// It took too long.
    #[error("{server} does not answer in time")]
    TimedOut {
        /// Scheme, host and port.
        server: Arc<str>,
    },
    /// The answer is not 200. A redirect is not followed.
    #[error("{server} answers with status {status}")]
    Status {
        /// Scheme, host and port.
        server: Arc<str>,
        /// The HTTP status.
        status: u16,
    },
    /// There is more than was asked for.
    #[error("the document is longer than {limit} bytes")]
    TooLong {
        /// The most that is read, in bytes.
        limit: usize,
    },
    /// The file cannot be read.
    #[error("cannot read {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        cause: std::io::Error,
    },
    /// It failed a moment ago, and is not tried again yet.
    #[error("it could not be fetched just now")]
    Paused,
    /// What an app fetches with failed.
    #[error("it could not be fetched")]
    Other(#[source] Box<dyn Error + Send + Sync>),
}

impl FetchError {
    /// A failure of what an app fetches with.
    pub fn other(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Other(cause.into())
    }
}
