//! The commands, as people type them.

use std::path::PathBuf;

use chrono::TimeDelta;
use clap::{Args, Subcommand};
use clap_complete::Shell;

use super::span::{PatExpiry, parse_span};

/// The commands for tokens. An app flattens them into its own.
#[derive(Debug, Clone, Subcommand)]
pub enum Command {
    /// What belongs to you
    #[command(subcommand, arg_required_else_help = true)]
    User(UserCommand),
    /// Log in with a personal access token
    #[command(after_help = EXIT_CODES)]
    Login(LoginArguments),
    /// Forget the session that a login began
    Logout,
    /// Tell as whom commands are run
    Whoami(WhoamiArguments),
    /// Print a completion script for a shell
    Completions(CompletionsArguments),
}

/// What scripts go by; see [`Class`](super::Class).
const EXIT_CODES: &str = "\
Exit codes:
    0  it is done
    1  anything that is not below
    2  the command line is wrong, or there is no terminal to ask on
    3  a token cannot be read
    4  the token or password is not accepted
    5  whoever asks may not
    6  there is no such thing
    7  the name is taken, or a limit is reached
    8  the server is not there or busy
    9  the server does not accept what was asked
  130  Ctrl-C";

/// What belongs to whoever types.
#[derive(Debug, Clone, Subcommand)]
pub enum UserCommand {
    /// Personal access tokens
    #[command(subcommand, arg_required_else_help = true, after_help = EXIT_CODES)]
    Pat(PatCommand),
}

/// What can be done with one's own tokens.
#[derive(Debug, Clone, Subcommand)]
pub enum PatCommand {
    /// Make a token and print it, which happens once
    Create(CreateArguments),
    /// Show your tokens and when they were last used
    List(ListArguments),
    /// Delete tokens, which no longer work from then on
    Delete(DeleteArguments),
    /// Give a token a new secret and print it, which happens once
    Rotate(RotateArguments),
}

/// What `user pat create` takes.
#[derive(Debug, Clone, Args)]
pub struct CreateArguments {
    /// What to call the token
    pub name: String,
    /// A right that the token has; may be repeated
    #[arg(long = "scope", value_name = "SCOPE")]
    pub scopes: Vec<String>,
    /// A set of rights by its name; may be repeated
    #[arg(long = "preset", value_name = "PRESET")]
    pub presets: Vec<String>,
    /// When it ends: 90d, 12h, a date, or never [default: the server's]
    #[arg(long, value_name = "WHEN")]
    pub expires: Option<PatExpiry>,
    /// Where the token goes.
    #[command(flatten)]
    pub output: OutputArguments,
}

/// Where a new token goes.
#[derive(Debug, Clone, Args)]
pub struct OutputArguments {
    /// Write the token to this new file, which only you can read; `-` is standard output
    #[arg(long, alias = "patFile", value_name = "PATH")]
    pub pat_file: Option<PathBuf>,
    /// Let the file take the place of one that exists
    #[arg(long, requires = "pat_file")]
    pub overwrite: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// What `user pat list` takes.
#[derive(Debug, Clone, Args)]
pub struct ListArguments {
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// What `user pat delete` takes.
#[derive(Debug, Clone, Args)]
pub struct DeleteArguments {
    /// The names of the tokens
    #[arg(required = true, value_name = "NAME")]
    pub names: Vec<String>,
}

/// What `user pat rotate` takes.
#[derive(Debug, Clone, Args)]
pub struct RotateArguments {
    /// The name of the token
    pub name: String,
    /// How long the old secret goes on working: 24h, 30m, 0s [default: the server's]
    #[arg(long, value_name = "TIME", value_parser = parse_span)]
    pub overlap: Option<TimeDelta>,
    /// Where the token goes.
    #[command(flatten)]
    pub output: OutputArguments,
}

/// What `login` takes.
#[derive(Debug, Clone, Args)]
#[group(required = true, multiple = false)]
pub struct LoginArguments {
    /// Use the token in the environment variable
    #[arg(long)]
    pub pat: bool,
    /// Use the token in this file, which only you may be able to read; `-` is standard input
    #[arg(long, alias = "patFile", value_name = "PATH")]
    pub pat_file: Option<PathBuf>,
}

/// What `whoami` takes.
#[derive(Debug, Clone, Args)]
pub struct WhoamiArguments {
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// What `completions` takes.
#[derive(Debug, Clone, Args)]
pub struct CompletionsArguments {
    /// The shell
    pub shell: Shell,
}
