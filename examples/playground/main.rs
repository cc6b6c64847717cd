//! The command-line tool of the developer playground, one of the demo's products: the commands
//! that hallpass brings, reaching the product through its own routes.
//!
//! ```sh
//! cargo run --example demo --features demo -- --password pw    # in another terminal
//! alias playground='cargo run -q --example playground --features cli --'
//! export PLAYGROUND_USER=alice PLAYGROUND_PASSWORD=pw
//! playground user pat create ci_pat
//! PLAYGROUND_PAT=... playground login --pat
//! playground whoami
//! ```

mod product;

use std::process::ExitCode;

use clap::Parser;
use hallpass::cli::{Cli, Command};

use self::product::Playground;

/// Works with the developer playground.
#[derive(Debug, Parser)]
#[command(name = "playground", version, arg_required_else_help = true)]
struct Arguments {
    /// Where the playground is
    #[arg(
        long,
        global = true,
        help_heading = "Everywhere",
        env = "PLAYGROUND_SERVER",
        value_name = "URL",
        default_value = "http://127.0.0.1:3000"
    )]
    server: String,
    /// Whose tokens to manage; the password is in `PLAYGROUND_PASSWORD` or asked for
    #[arg(
        long,
        global = true,
        help_heading = "Everywhere",
        env = "PLAYGROUND_USER",
        value_name = "NAME"
    )]
    user: Option<String>,
    #[command(subcommand)]
    command: Command,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    run().await
}

pub(crate) async fn run() -> ExitCode {
    let cli = Cli::<Arguments>::new("PLAYGROUND_PAT");
    let Arguments { server, user, command } = cli.parse();
    cli.run(command, &Playground::new(server, user)).await
}
