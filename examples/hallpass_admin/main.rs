//! Works on a store of tokens directly, for operators when the app cannot.
//!
//! ```sh
//! export HALLPASS_DATABASE=sqlite:tokens.sqlite     # or postgres://... or redis://...
//! hallpass_admin list --owner alice
//! hallpass_admin who-is < found.txt
//! hallpass_admin revoke 0000000000000001 --reason leaked
//! hallpass_admin export tokens.jsonl
//! ```
//!
//! Nothing is revoked or removed before it is confirmed, or `--yes` is given; `--dry-run` tells what
//! would be. Only `migrate` makes or changes tables; the other commands refuse older ones and say so.
//! Running apps hear of a revocation as from any other node: at once, and at the latest when their
//! cache is that old.

mod arguments;
mod changes;
mod database;
mod looks;
mod moves;

use std::process::ExitCode;
use std::sync::Arc;

use clap::CommandFactory as _;
use hallpass::cli::Failure;
use hallpass::{Clock as _, SystemClock, TokenStore};

use self::arguments::{Arguments, Command};
use self::database::{Database, Use};

#[tokio::main]
async fn main() -> ExitCode {
    run().await
}

pub(crate) async fn run() -> ExitCode {
    const INSTEAD: &str = "give its id, or the token to `who-is` on standard input";
    let Arguments { database, command } = hallpass::cli::parse(Arguments::command(), INSTEAD);
    match act(database, command).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

async fn act(database: Option<String>, command: Command) -> Result<(), Failure> {
    let database = Database::parse(database.as_deref())?;
    if let Command::Migrate(migrate) = &command {
        return moves::migrate(&database, migrate).await;
    }
    let store: Arc<dyn TokenStore> = database.open(command.needs()).await?;
    let now = SystemClock.now();
    match command {
        Command::List(list) => looks::list(&*store, &list, now).await,
        Command::Show(show) => looks::show(&*store, &show, now).await,
        Command::WhoIs(who_is) => looks::who_is(store, &who_is, now).await,
        Command::Revoke(revoke) => changes::revoke(&*store, &revoke, now).await,
        Command::RevokeOwner(revoke) => changes::revoke_owner(&*store, &revoke, now).await,
        Command::Purge(purge) => changes::purge(&*store, &purge, now).await,
        Command::Export(export) => moves::export(&*store, &export).await,
        Command::Import(import) => moves::import(&*store, &import).await,
        Command::Migrate(_) => Ok(()),
    }
}

impl Command {
    /// Whether the command may change what is stored.
    fn needs(&self) -> Use {
        let changes = match self {
            Self::Revoke(revoke) => !revoke.how.dry_run,
            Self::RevokeOwner(revoke) => !revoke.how.dry_run,
            Self::Purge(purge) => !purge.how.dry_run,
            Self::Import(import) => !import.dry_run,
            _ => false,
        };
        if changes { Use::Change } else { Use::Look }
    }
}
