//! Commands for tokens, which an app's own command-line tool embeds.
//!
//! The commands are `user pat create|list|delete|rotate`, `login`, `logout`, `whoami` and
//! `completions`. How they reach the app is a [`Backend`] of a page.
//!
//! # Rules
//! - A new token is written to standard output, once, and nothing else is; or to a new file of
//!   mode 0600, which is made before the token is. What people read is on standard error.
//! - No token and no password is an argument, since everybody on the machine can see those.
//! - Questions are asked on a terminal only. Where there is none, the error says what to set.
//! - Ctrl-C at a question leaves no file behind, and the terminal as it was.
//! - Colours are for terminals, and `NO_COLOR` is respected.
//! - What went wrong is told by the exit code, see [`Class`].
//!
//! ```no_run
//! use clap::Parser;
//! use hallpass::cli::{Backend, Cli, Command};
//!
//! #[derive(Parser)]
//! #[command(name = "acme")]
//! struct Acme {
//!     #[command(subcommand)]
//!     command: AcmeCommand,
//! }
//!
//! #[derive(clap::Subcommand)]
//! enum AcmeCommand {
//!     /// The app's own
//!     Deploy,
//!     #[command(flatten)]
//!     Tokens(Command),
//! }
//!
//! async fn run(backend: &dyn Backend) -> std::process::ExitCode {
//!     let cli = Cli::<Acme>::new("ACME_PAT");
//!     match cli.parse().command {
//!         AcmeCommand::Deploy => std::process::ExitCode::SUCCESS,
//!         AcmeCommand::Tokens(command) => cli.run(command, backend).await,
//!     }
//! }
//! ```
//!
//! What the command line does not allow is refused with code 2:
//!
//! ```
//! # use clap::Parser;
//! # #[derive(Parser)]
//! # struct Acme { #[command(subcommand)] command: hallpass::cli::Command }
//! assert!(Acme::try_parse_from(["acme", "login", "--pat"]).is_ok());
//! let neither = Acme::try_parse_from(["acme", "login"]).err().unwrap();
//! assert_eq!(neither.exit_code(), 2);
//! ```

mod arguments;
mod backend;
mod failure;
mod interrupt;
mod management;
mod run;
mod session;
mod span;
mod table;
mod terminal;

pub use arguments::{
    Command, CompletionsArguments, CreateArguments, DeleteArguments, ListArguments, LoginArguments,
    OutputArguments, PatCommand, RotateArguments, UserCommand, WhoamiArguments,
};
pub use backend::{Backend, Identity, LoggedIn, NewPat, Pat, PatWithSecret};
pub use failure::{Class, Failure};
pub use management::ManagementBackend;
pub use run::{Cli, parse};
pub use session::{SavedSession, SessionFile};
pub use span::{ParseSpanError, PatExpiry, ago, day, parse_span};
pub use table::table;
pub use terminal::{ask, ask_password, confirm, print, say};
