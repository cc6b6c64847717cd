//! A document in a file.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::PathBuf;

use async_trait::async_trait;

use super::error::FetchError;
use super::{Fetch, MAX_DOCUMENT_LEN};

/// A document in a file, which whoever deploys the service puts there and replaces.
///
/// It is read at once, whatever the runtime: keep it on a disk of the machine. Replace it by
/// renaming another one over it, so that nobody reads half of it.
#[derive(Debug, Clone)]
pub struct LocalFile(PathBuf);

impl LocalFile {
    /// The file at this path, of at most [`MAX_DOCUMENT_LEN`] bytes.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    fn read(&self) -> io::Result<Vec<u8>> {
        // A pipe would wait for whoever writes to it.
        if !self.0.metadata()?.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a file"));
        }
        let mut bytes = Vec::new();
        File::open(&self.0)?.take(MAX_DOCUMENT_LEN as u64 + 1).read_to_end(&mut bytes)?;
        Ok(bytes)
    }
}

#[async_trait]
impl Fetch for LocalFile {
    async fn fetch(&self) -> Result<Vec<u8>, FetchError> {
        match self.read() {
            Ok(bytes) if bytes.len() > MAX_DOCUMENT_LEN => {
                Err(FetchError::TooLong { limit: MAX_DOCUMENT_LEN })
            }
            Ok(bytes) => Ok(bytes),
            Err(cause) => Err(FetchError::File { path: self.0.clone(), cause }),
        }
    }
}
