//! What went wrong, and the exit code that tells it.

use std::error::Error;
use std::fmt;
use std::process::ExitCode;
use std::time::Duration;

use crate::client::{BuildError, ClientError, CredentialError, NewFileError};

/// Longest wait that people are told of; beyond that a server hardly means it.
const LONGEST_HINT: Duration = Duration::from_secs(24 * 60 * 60);

/// What kind of thing went wrong. Each has an exit code, which stays as it is.
///
/// | code | class |
/// |---|---|
/// | 0 | it is done |
/// | 1 | [`Other`](Self::Other) |
/// | 2 | [`Usage`](Self::Usage) |
/// | 3 | [`Credential`](Self::Credential) |
/// | 4 | [`Refused`](Self::Refused) |
/// | 5 | [`Forbidden`](Self::Forbidden) |
/// | 6 | [`NotFound`](Self::NotFound) |
/// | 7 | [`Conflict`](Self::Conflict) |
/// | 8 | [`Unavailable`](Self::Unavailable) |
/// | 9 | [`Rejected`](Self::Rejected) |
/// | 130 | [`Interrupted`](Self::Interrupted) |
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
#[non_exhaustive]
pub enum Class {
    /// Anything else: a file cannot be written, an answer makes no sense.
    Other = 1,
    /// The command line is wrong, or something is missing that nobody can be asked for.
    Usage = 2,
    /// A token cannot be read: its variable or file is missing, open to others or malformed.
    Credential = 3,
    /// The token or password is not accepted, or the session has ended.
    Refused = 4,
    /// Whoever asks may not.
    Forbidden = 5,
    /// There is no such thing.
    NotFound = 6,
    /// The name is taken, a limit is reached, or somebody else was faster.
    Conflict = 7,
    /// The server is not there or cannot tell right now. Trying again later may help.
    Unavailable = 8,
    /// The server does not accept what was asked: a bad name, an unknown scope.
    Rejected = 9,
    /// Somebody pressed Ctrl-C. On Unix the program ends by that signal, which shells show as 130.
    Interrupted = 130,
}

impl Class {
    /// The exit code.
    #[must_use]
    pub fn code(self) -> u8 {
        self as u8
    }

    fn of_status(status: u16) -> Self {
        match status {
            401 => Self::Refused,
            403 => Self::Forbidden,
            404 | 410 => Self::NotFound,
            409 | 412 => Self::Conflict,
            429 | 502..=504 => Self::Unavailable,
            400..=499 => Self::Rejected,
            _ => Self::Other,
        }
    }
}

/// Why a command did not do what it should: for people a sentence and perhaps a hint, for programs
/// a [`Class`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    class: Class,
    message: String,
    hint: Option<String>,
}

impl Failure {
    /// A failure with a sentence, without capital and full stop.
    pub fn new(class: Class, message: impl Into<String>) -> Self {
        Self { class, message: message.into(), hint: None }
    }

    /// Says what can be done about it, unless that is said already.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint.get_or_insert_with(|| hint.into());
        self
    }

    /// What kind of thing went wrong.
    #[must_use]
    pub fn class(&self) -> Class {
        self.class
    }

    /// What can be done about it.
    #[must_use]
    pub fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// Says it on standard error, in colour if that is a terminal.
    pub fn report(&self) -> ExitCode {
        super::terminal::say_error(self);
        if self.class == Class::Interrupted {
            super::interrupt::end();
        }
        self.into()
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for Failure {}

impl From<&Failure> for ExitCode {
    fn from(failure: &Failure) -> Self {
        failure.class.code().into()
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        let class = match &error {
            ClientError::Unreachable { .. } | ClientError::TimedOut { .. } => Class::Unavailable,
            // It is about the password, not about what somebody may.
            ClientError::Refused(refusal) if refusal.code.as_deref() == Some("wrong-secret") => {
                Class::Refused
            }
            ClientError::Refused(refusal) => Class::of_status(refusal.status),
            ClientError::Request { .. } => Class::Usage,
            _ => Class::Other,
        };
        let failure = Self::new(class, with_cause(&error));
        match error.refusal() {
            Some(refusal) => match (&refusal.hint, refusal.retry_after) {
                (Some(hint), _) => failure.with_hint(hint),
                (None, Some(wait)) if wait <= LONGEST_HINT => {
                    failure.with_hint(format!("try again in {} seconds", wait.as_secs()))
                }
                (None, _) => failure,
            },
            None => failure,
        }
    }
}

impl From<CredentialError> for Failure {
    fn from(error: CredentialError) -> Self {
        Self::new(Class::Credential, with_cause(&error))
    }
}

impl From<BuildError> for Failure {
    fn from(error: BuildError) -> Self {
        Self::new(Class::Usage, with_cause(&error))
    }
}

impl From<NewFileError> for Failure {
    fn from(error: NewFileError) -> Self {
        let class = match error {
            NewFileError::Exists { .. } => Class::Usage,
            _ => Class::Other,
        };
        Self::new(class, with_cause(&error))
    }
}

/// An error and the deepest of its causes, which says most.
fn with_cause(error: &dyn Error) -> String {
    let Some(mut cause) = error.source() else {
        return error.to_string();
    };
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    format!("{error}: {cause}")
}
