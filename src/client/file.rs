//! Files that hold a secret.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write as _};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::credential::{CredentialError, MAX_CREDENTIAL_LEN};

/// A credential and its line break.
const MAX_FILE_LEN: usize = MAX_CREDENTIAL_LEN + 2;

/// What is in a file that only its owner can read.
pub(crate) fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, CredentialError> {
    let unreadable = |cause| CredentialError::unreadable(path, cause);
    let file = File::open(path).map_err(unreadable)?;
    // Of what was opened, not of what has the name by now.
    let facts = file.metadata().map_err(unreadable)?;
    if !is_readable_kind(&facts) {
        return Err(CredentialError::NotAFile { path: path.to_owned() });
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = facts.permissions().mode() & 0o7777;
        if mode & 0o077 != 0 {
            return Err(CredentialError::OpenToOthers { path: path.to_owned(), mode });
        }
    }
    let bytes = read_bounded(file).map_err(unreadable)?;
    bytes.ok_or_else(|| CredentialError::too_long(path.as_os_str()))
}

/// All that a reader gives; nothing if that is too long for a credential.
pub(super) fn read_bounded(reader: impl Read) -> io::Result<Option<Zeroizing<Vec<u8>>>> {
    // Of its final size, so that no reallocation leaves a copy behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_FILE_LEN + 1));
    let limit = u64::try_from(MAX_FILE_LEN + 1).unwrap_or(u64::MAX);
    reader.take(limit).read_to_end(&mut bytes)?;
    Ok((bytes.len() <= MAX_FILE_LEN).then_some(bytes))
}

/// A file, or the pipe of `<(...)`.
fn is_readable_kind(facts: &std::fs::Metadata) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt as _;
        facts.is_file() || facts.file_type().is_fifo()
    }
    #[cfg(not(unix))]
    facts.is_file()
}

/// A new file for a secret, made before the secret is, so that a secret that cannot be kept is
/// never made.
///
/// On Unix its mode is 0600. It is removed if nothing is written to it.
#[derive(Debug)]
pub struct NewFile {
    path: PathBuf,
    /// Absent once it is written.
    file: Option<File>,
    /// Where it belongs, if not where it is.
    replaces: Option<PathBuf>,
}

impl NewFile {
    /// Makes the file.
    ///
    /// # Errors
    /// [`NewFileError`] if something has this name already, or the file cannot be made.
    pub fn create(path: impl Into<PathBuf>) -> Result<Self, NewFileError> {
        Self::make(path.into(), None)
    }

    /// Makes a file beside `path` that takes its place, in one step, when it is written.
    ///
    /// # Errors
    /// [`NewFileError`] if it cannot be made, or `path` is something else than a file.
    pub fn replace(path: impl Into<PathBuf>) -> Result<Self, NewFileError> {
        let path = path.into();
        // A link would be replaced and what it points to left as it is.
        let facts = std::fs::symlink_metadata(&path);
        if facts.is_ok_and(|facts| !facts.is_file()) {
            return Err(NewFileError::NotAFile { path });
        }
        let mut beside = path.clone().into_os_string();
        beside.push(format!(".new-{}", std::process::id()));
        Self::make(beside.into(), Some(path))
    }

    fn make(path: PathBuf, replaces: Option<PathBuf>) -> Result<Self, NewFileError> {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        {
            use std::os::unix::fs::OpenOptionsExt as _;
            options.mode(0o600);
        }
        match options.open(&path) {
            Ok(file) => Ok(Self { path, file: Some(file), replaces }),
            Err(cause) if cause.kind() == io::ErrorKind::AlreadyExists => {
                Err(NewFileError::Exists { path })
            }
            Err(cause) => Err(NewFileError::Failed { path, cause }),
        }
    }

    /// Where the file is once it is written.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.replaces.as_ref().unwrap_or(&self.path)
    }

    /// Writes the text and a line break, and waits until they are stored.
    ///
    /// # Errors
    /// [`NewFileError`] if that fails; the file is removed then.
    pub fn write(mut self, text: &str) -> Result<(), NewFileError> {
        let written = self.store(text);
        if written.is_ok() {
            self.file = None;
        }
        written.map_err(|cause| NewFileError::Failed { path: self.path().to_owned(), cause })
    }

    fn store(&mut self, text: &str) -> io::Result<()> {
        let Some(file) = &mut self.file else {
            return Ok(());
        };
        file.write_all(text.as_bytes())?;
        file.write_all(b"\n")?;
        file.sync_all()?;
        match &self.replaces {
            Some(place) => std::fs::rename(&self.path, place),
            None => Ok(()),
        }
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        if self.file.take().is_some() {
            // Nobody can be told, and an empty file does no harm.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Why a secret has no file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NewFileError {
    /// Something has this name already, and is left as it is.
    #[error("{path} exists already and is left as it is", path = path.display())]
    Exists {
        /// The name.
        path: PathBuf,
    },
    /// Something else than a file has this name.
    #[error("{path} is not a file", path = path.display())]
    NotAFile {
        /// The name.
        path: PathBuf,
    },
    /// It cannot be made or written.
    #[error("cannot write {path}", path = path.display())]
    Failed {
        /// The name.
        path: PathBuf,
        /// Why not.
        #[source]
        cause: io::Error,
    },
}
