//! What a login leaves behind for later commands.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::failure::{Class, Failure};
use crate::client::{Credential, CredentialError, NewFile, read_secret_file};
use crate::clock::Timestamp;

/// A file of mode 0600 that holds the short-lived token of a login.
///
/// It is under `$XDG_STATE_HOME`, which is `~/.local/state` unless set, and never in the working
/// directory. The token in it is only given out for the server that it came from.
#[derive(Debug, Clone)]
pub struct SessionFile(PathBuf);

/// A session, as it is kept.
pub struct SavedSession {
    /// The short-lived token.
    pub token: Credential,
    /// When it ends; absent if never.
    pub expires_at: Option<Timestamp>,
}

impl fmt::Debug for SavedSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SavedSession").field("expires_at", &self.expires_at).finish_non_exhaustive()
    }
}

#[derive(Serialize, Deserialize)]
struct Wire {
    server: String,
    token: String,
    expires_at: Option<Timestamp>,
}

impl SessionFile {
    /// The file of the program with this name.
    ///
    /// # Errors
    /// [`Failure`] if there is no home directory.
    pub fn of_program(name: &str) -> Result<Self, Failure> {
        let state = std::env::var_os("XDG_STATE_HOME").map(PathBuf::from);
        // The specification ignores relative paths.
        let state = state.filter(|path| path.is_absolute()).or_else(|| {
            std::env::home_dir()
                .filter(|home| home.is_absolute())
                .map(|home| home.join(".local/state"))
        });
        let state = state.ok_or_else(|| {
            Failure::new(Class::Usage, "there is no home directory to keep the session in")
                .with_hint("set HOME or XDG_STATE_HOME")
        })?;
        Ok(Self(state.join(name).join("session.json")))
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Keeps a session with a server.
    ///
    /// # Errors
    /// [`Failure`] if it cannot be written.
    pub fn save(&self, server: &str, session: &SavedSession) -> Result<(), Failure> {
        if let Some(folder) = self.0.parent() {
            make_private(folder).map_err(|error| {
                Failure::new(Class::Other, format!("cannot make {}: {error}", folder.display()))
            })?;
        }
        let wire = Wire {
            server: server.to_owned(),
            token: session.token.expose().to_owned(),
            expires_at: session.expires_at,
        };
        let json = serde_json::to_string(&wire).map(Zeroizing::new);
        let json = json.map_err(|error| Failure::new(Class::Other, error.to_string()))?;
        Ok(NewFile::replace(&self.0)?.write(&json)?)
    }

    /// The session with a server; absent if there is none with any.
    ///
    /// # Errors
    /// [`Failure`] if it has ended, is with another server, or cannot be read.
    pub fn load(&self, server: &str, now: Timestamp) -> Result<Option<SavedSession>, Failure> {
        let bytes = match read_secret_file(&self.0) {
            Ok(bytes) => bytes,
            Err(CredentialError::Unreadable { cause, .. })
                if cause.kind() == std::io::ErrorKind::NotFound =>
            {
                return Ok(None);
            }
            Err(error) => return Err(error.into()),
        };
        let damaged = || {
            let message = format!("the session in {} is damaged", self.0.display());
            Failure::new(Class::Credential, message)
        };
        let wire: Wire = serde_json::from_slice(&bytes).map_err(|_| damaged())?;
        let token = Zeroizing::new(wire.token);
        if wire.server != server {
            let message = format!("the session is with {}, not with {server}", wire.server);
            return Err(Failure::new(Class::Refused, message));
        }
        if wire.expires_at.is_some_and(|end| end <= now) {
            return Err(Failure::new(Class::Refused, "the session has ended"));
        }
        let token = Credential::from_text(&token).map_err(|_| damaged())?;
        Ok(Some(SavedSession { token, expires_at: wire.expires_at }))
    }

    /// Forgets the session; whether there was one.
    ///
    /// # Errors
    /// [`Failure`] if the file cannot be removed.
    pub fn remove(&self) -> Result<bool, Failure> {
        match std::fs::remove_file(&self.0) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(Failure::new(
                Class::Other,
                format!("cannot remove {}: {error}", self.0.display()),
            )),
        }
    }
}

/// Makes a folder, of mode 0700 where it was not there.
fn make_private(folder: &Path) -> std::io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt as _;
        builder.mode(0o700);
    }
    builder.create(folder)
}
