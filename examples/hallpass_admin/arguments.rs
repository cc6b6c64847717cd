//! The command line.

use std::path::PathBuf;

use chrono::TimeDelta;
use clap::{Args, Parser, Subcommand};
use hallpass::cli::parse_span;
use hallpass::{Brand, Owner, RevocationReason, Status, Tenant, TokenId};

/// Works on a store of tokens directly, for operators when the app cannot
#[derive(Debug, Parser)]
#[command(name = "hallpass_admin", version, arg_required_else_help = true)]
pub(crate) struct Arguments {
    /// sqlite:PATH, postgres://... or redis://...; use the variable where it holds a password
    #[arg(
        long,
        global = true,
        help_heading = "Everywhere",
        env = "HALLPASS_DATABASE",
        hide_env_values = true,
        value_name = "URL"
    )]
    pub(crate) database: Option<String>,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show tokens
    List(List),
    /// Show everything about one token
    Show(Show),
    /// Tell whose token it is, by the id or the whole text on standard input
    WhoIs(WhoIs),
    /// Revoke tokens and what was made from them, for good
    Revoke(Revoke),
    /// Revoke every token of an owner, for good
    RevokeOwner(RevokeOwner),
    /// Remove the records of tokens that ended long ago
    Purge(Purge),
    /// Write every record to a file, digests included
    Export(Export),
    /// Put the records of a file into the store; may be repeated
    Import(Import),
    /// Bring the tables up to date, or print how
    Migrate(Migrate),
}

#[derive(Debug, Args)]
pub(crate) struct List {
    /// Only of this owner
    #[arg(long, value_parser = owner)]
    pub(crate) owner: Option<Owner>,
    /// Only of this tenant
    #[arg(long, value_parser = tenant)]
    pub(crate) tenant: Option<Tenant>,
    /// Only with this status; may be repeated
    #[arg(long = "status", value_parser = status)]
    pub(crate) statuses: Vec<Status>,
    /// Only with this text in the name, description or id
    #[arg(long)]
    pub(crate) text: Option<String>,
    /// Only those that end within this time, like 7d
    #[arg(long, value_name = "TIME", value_parser = parse_span)]
    pub(crate) ending_within: Option<TimeDelta>,
    /// Most tokens to show
    #[arg(long, default_value_t = 100)]
    pub(crate) limit: usize,
    /// Print JSON, one token a line
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Show {
    /// The token's visible id
    #[arg(value_parser = id)]
    pub(crate) id: TokenId,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct WhoIs {
    /// A pepper of the app, by its number and a file with its bytes; may be repeated
    #[arg(long = "pepper", value_name = "NUMBER=FILE", value_parser = pepper)]
    pub(crate) peppers: Vec<(u32, PathBuf)>,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// How far to go.
#[derive(Debug, Args)]
pub(crate) struct How {
    /// Do not ask
    #[arg(long)]
    pub(crate) yes: bool,
    /// Only tell what would be done
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Revoke {
    /// The tokens' visible ids
    #[arg(required = true, value_name = "ID", value_parser = id)]
    pub(crate) ids: Vec<TokenId>,
    /// Why
    #[arg(long, default_value = "requested", value_parser = reason, help = REASON)]
    pub(crate) reason: RevocationReason,
    #[command(flatten)]
    pub(crate) how: How,
}

#[derive(Debug, Args)]
pub(crate) struct RevokeOwner {
    /// The owner's id
    #[arg(value_parser = owner)]
    pub(crate) owner: Owner,
    /// The owner's tenant [default: the default tenant]
    #[arg(long, value_parser = tenant)]
    pub(crate) tenant: Option<Tenant>,
    /// Why
    #[arg(long, default_value = "requested", value_parser = reason, help = REASON)]
    pub(crate) reason: RevocationReason,
    #[command(flatten)]
    pub(crate) how: How,
}

#[derive(Debug, Args)]
pub(crate) struct Purge {
    /// How long ended tokens are kept; no shorter than the oldest backup that may be restored
    #[arg(long, value_name = "TIME", default_value = "90d", value_parser = parse_span)]
    pub(crate) keep: TimeDelta,
    #[command(flatten)]
    pub(crate) how: How,
}

#[derive(Debug, Args)]
pub(crate) struct Export {
    /// A new file, which only you can read; standard output unless given
    pub(crate) file: Option<PathBuf>,
    /// The app's brand, to be kept in the file
    #[arg(long)]
    pub(crate) brand: Option<Brand>,
}

#[derive(Debug, Args)]
pub(crate) struct Import {
    /// What an export wrote
    pub(crate) file: PathBuf,
    /// Refuse files of another brand
    #[arg(long)]
    pub(crate) brand: Option<Brand>,
    /// Only check the file
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Migrate {
    /// Print the migrations as SQL and run nothing
    #[arg(long)]
    pub(crate) print: bool,
}

const REASON: &str = "Why: requested, leaked, password_changed, owner_deleted, idle or reused";

fn id(text: &str) -> Result<TokenId, &'static str> {
    text.parse().map_err(|_| "write the 16 letters and digits between the second and third `_`")
}

fn owner(text: &str) -> Result<Owner, String> {
    Owner::parse(text).map_err(|error| error.to_string())
}

fn tenant(text: &str) -> Result<Tenant, String> {
    Tenant::parse(text).map_err(|error| error.to_string())
}

fn status(text: &str) -> Result<Status, &'static str> {
    Status::ALL
        .into_iter()
        .find(|status| status.as_str() == text)
        .ok_or("write active, not_yet_valid, suspended, expired or revoked")
}

fn reason(text: &str) -> Result<RevocationReason, &'static str> {
    RevocationReason::from_text(text)
        .ok_or("write requested, leaked, password_changed, owner_deleted, idle or reused")
}

fn pepper(text: &str) -> Result<(u32, PathBuf), &'static str> {
    let (number, file) = text.split_once('=').ok_or("write NUMBER=FILE")?;
    Ok((number.parse().map_err(|_| "write NUMBER=FILE")?, file.into()))
}
