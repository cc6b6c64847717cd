//! For programs that use tokens: read one, present it, exchange it for a short-lived one and renew
//! that in time.
//!
//! # Rules
//! - A [`Credential`] is read from a variable, a file or a text as it is. Nothing is trimmed but
//!   one line break at the end of a file. What cannot be a token is refused with the character and
//!   its place, before anything is sent.
//! - A file that others may read is not used, and a file that exists is not written to.
//! - A [`Client`] speaks to one server. What it presents goes there and nowhere else: it follows no
//!   redirect, and plain HTTP only reaches this machine unless told otherwise. A proxy that the
//!   environment names is told the server's name and nothing more, and nothing of this machine.
//! - Nothing shows a secret: no `Debug`, no error, no URL in an error. What a server says is
//!   cleaned of control characters and of the secret itself before anybody sees it.
//! - Waiting has an end, answers have a bound, and only requests that can be repeated are repeated.
//!
//! ```no_run
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use hallpass::client::{Client, Credential, TokenExchange};
//!
//! let acme = Client::builder("https://acme.example")
//!     .token(Credential::from_env("ACME_PAT")?)
//!     .exchanged(TokenExchange::new().scope("notes:read")) // presents short-lived tokens only
//!     .build()?;
//! let notes: serde_json::Value = acme.get("/notes").send().await?.json()?;
//! # Ok(()) }
//! ```
//!
//! A refusal is an error with what the server says:
//!
//! ```
//! use hallpass::client::{BuildError, Client, Credential, CredentialError, EndpointError};
//!
//! assert!(matches!(
//!     Credential::from_text("acme_pat_x\n"),
//!     Err(CredentialError::Character { position: 11, .. })
//! ));
//! let plain = Client::builder("http://acme.example").build();
//! assert!(matches!(plain, Err(BuildError::Server(EndpointError::PlainHttp { .. }))));
//! ```

mod answer;
mod builder;
mod credential;
mod error;
mod exchange;
mod file;
mod management;
mod presentation;
mod request;
mod session;

pub use answer::Answer;
pub use builder::{BuildError, Client, ClientBuilder};
pub use credential::{Credential, CredentialError, CredentialPlace, MAX_CREDENTIAL_LEN};
pub use error::{ClientError, Refusal};
pub use exchange::TokenExchange;
pub use file::{NewFile, NewFileError};
pub use management::Management;
pub use presentation::{Presentation, PresentationError};
pub use request::Request;

pub use crate::fetch::EndpointError;

#[cfg(feature = "cli")]
pub(crate) use error::harmless;
#[cfg(feature = "cli")]
pub(crate) use file::read as read_secret_file;
