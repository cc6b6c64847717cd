//! Running the commands.

use std::fmt;
use std::future::poll_fn;
use std::io::IsTerminal as _;
use std::marker::PhantomData;
use std::path::Path;
use std::pin::pin;
use std::process::ExitCode;
use std::task::Poll;

use clap::{CommandFactory, FromArgMatches};
use serde::Serialize;
use serde_json::json;

use super::arguments::{
    Command, CreateArguments, DeleteArguments, LoginArguments, OutputArguments, PatCommand,
    RotateArguments, UserCommand,
};
use super::backend::{Backend, NewPat, Pat, PatWithSecret};
use super::failure::{Class, Failure};
use super::interrupt::Held;
use super::span::day;
use super::table;
use super::terminal::{print, print_whole, say, say_error};
use crate::client::{Credential, NewFile, harmless};
use crate::clock::{Clock as _, SystemClock};

/// The commands in an app's own command-line tool, which is the parser `P`.
pub struct Cli<P> {
    variable: String,
    parser: PhantomData<fn() -> P>,
}

impl<P: CommandFactory + FromArgMatches> Cli<P> {
    /// With the environment variable in which `login --pat` finds the token.
    pub fn new(variable: impl Into<String>) -> Self {
        Self { variable: variable.into(), parser: PhantomData }
    }

    /// What is on the command line. If that is wrong it says so and ends the program with code 2;
    /// if help is wanted it prints that and ends it with 0.
    ///
    /// A token on the command line is never repeated to anybody, but recognised for what it is.
    #[must_use]
    pub fn parse(&self) -> P {
        let instead = format!("make another one, and put it into {} or a file", self.variable);
        parse(self.command(), &instead)
    }

    /// Runs a command; the exit code is 0 or that of a [`Class`]. It needs a Tokio runtime with
    /// time enabled.
    pub async fn run(&self, command: Command, backend: &dyn Backend) -> ExitCode {
        match self.try_run(command, backend).await {
            Ok(()) => ExitCode::SUCCESS,
            Err(failure) => failure.report(),
        }
    }

    async fn try_run(&self, command: Command, backend: &dyn Backend) -> Result<(), Failure> {
        match command {
            Command::User(UserCommand::Pat(command)) => match command {
                PatCommand::Create(arguments) => self.create(arguments, backend).await,
                PatCommand::List(arguments) => self.list(arguments.json, backend).await,
                PatCommand::Delete(arguments) => delete(&arguments, backend).await,
                PatCommand::Rotate(arguments) => self.rotate(arguments, backend).await,
            },
            Command::Login(arguments) => self.login(arguments, backend).await,
            Command::Logout => {
                let was_there = backend.logout().await?;
                say(if was_there { "Logged out." } else { "Nobody was logged in." });
                Ok(())
            }
            Command::Whoami(arguments) => whoami(arguments.json, backend).await,
            Command::Completions(arguments) => {
                let mut command = self.command();
                let name = command.get_name().to_owned();
                let mut script = Vec::new();
                clap_complete::generate(arguments.shell, &mut command, name, &mut script);
                print(&String::from_utf8_lossy(&script))
            }
        }
    }

    async fn create(
        &self,
        arguments: CreateArguments,
        backend: &dyn Backend,
    ) -> Result<(), Failure> {
        let CreateArguments { name, scopes, presets, expires, output } = arguments;
        let reserved = Reserved::make(&output)?;
        let new = NewPat { name, scopes, presets, expires };
        let made = self.unless_interrupted(reserved.as_ref(), backend.create(&new)).await?;
        self.hand_over("Created", &made, reserved, &output)
    }

    async fn rotate(
        &self,
        arguments: RotateArguments,
        backend: &dyn Backend,
    ) -> Result<(), Failure> {
        let reserved = Reserved::make(&arguments.output)?;
        let rotating = backend.rotate(&arguments.name, arguments.overlap);
        let made = self.unless_interrupted(reserved.as_ref(), rotating).await?;
        self.hand_over("Rotated", &made, reserved, &arguments.output)
    }

    /// Waits for a secret that goes to a file, which is removed if Ctrl-C comes first.
    async fn unless_interrupted<T>(
        &self,
        reserved: Option<&Reserved>,
        made: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        let Some(reserved) = reserved else {
            return made.await;
        };
        let (mut made, mut pressed) = (pin!(made), pin!(reserved.held.pressed()));
        poll_fn(|context| match made.as_mut().poll(context) {
            Poll::Pending => pressed.as_mut().poll(context).map(|()| {
                let hint = format!(
                    "what was asked for may be done; `{} user pat list` tells",
                    self.name()
                );
                Err(Failure::new(Class::Interrupted, "interrupted").with_hint(hint))
            }),
            ready => ready,
        })
        .await
    }

    /// Writes a secret where it was asked for, and where that fails to standard output, so that it
    /// is not lost.
    fn hand_over(
        &self,
        done: &str,
        made: &PatWithSecret,
        reserved: Option<Reserved>,
        output: &OutputArguments,
    ) -> Result<(), Failure> {
        let PatWithSecret { pat, secret } = made;
        let name = harmless(&pat.name);
        let end = pat.expires_at.map_or("never ends".to_owned(), |end| {
            format!("ends on {}", day(end, SystemClock.now()))
        });
        let written = match reserved {
            None => None,
            Some(Reserved { file, held: _held }) => {
                let path = file.path().to_owned();
                Some(file.write(secret.expose()).map(|()| path))
            }
        };
        let is_kept = matches!(written, Some(Ok(_)));
        let text = if output.json {
            let token = (!is_kept).then_some(secret.expose());
            let pat_file = output.pat_file.as_deref().filter(|_| is_kept);
            format!("{}\n", json!(HandedOver { pat, token, pat_file }))
        } else if is_kept {
            String::new()
        } else {
            format!("{}\n", secret.expose())
        };
        print_whole(&text).map_err(|failure| {
            failure.with_hint(match &written {
                Some(Ok(path)) => format!("the token is in {}", path.display()),
                _ => format!(
                    "nobody has seen the token; `{} user pat delete {name}` removes it",
                    self.name()
                ),
            })
        })?;
        match written {
            Some(Err(error)) => {
                let failure = Failure::from(error);
                Err(failure
                    .with_hint("the token was printed instead: keep it, it is not shown again"))
            }
            Some(Ok(path)) => {
                say(&format!("{done} {name}, which {end}. It is in {}.", path.display()));
                Ok(())
            }
            None => {
                say(&format!(
                    "{done} {name}, which {end}. Keep the token now, it is not shown again."
                ));
                Ok(())
            }
        }
    }

    async fn list(&self, json: bool, backend: &dyn Backend) -> Result<(), Failure> {
        let pats = backend.list().await?;
        if json {
            return print(&format!("{}\n", json!(pats)));
        }
        if pats.is_empty() {
            say(&format!("No tokens. `{} user pat create NAME` makes one.", self.name()));
            return Ok(());
        }
        print(&table::of_pats(&pats, SystemClock.now()))
    }

    async fn login(&self, arguments: LoginArguments, backend: &dyn Backend) -> Result<(), Failure> {
        let name = self.name();
        let pat = match &arguments.pat_file {
            Some(path) if path == Path::new("-") => from_input(&name)?,
            Some(path) => Credential::from_file(path)?,
            None => Credential::from_env(&self.variable).map_err(|error| {
                let hint = format!(
                    "set {} to a token, or use `{name} login --pat-file PATH`",
                    self.variable
                );
                Failure::from(error).with_hint(hint)
            })?,
        };
        let is_damaged = pat.looks_damaged();
        let begun = backend.login(pat).await.map_err(|failure| match failure.class() {
            Class::Refused if is_damaged => failure.with_hint(
                "the token is not as it was made: a part is missing or changed; copy it again",
            ),
            Class::Refused => failure.with_hint(format!(
                "it may have ended or been deleted; `{name} user pat list` tells, and \
                 `{name} user pat create` makes a new one"
            )),
            _ => failure,
        })?;
        let user = begun.user.map_or(String::new(), |user| format!(" as {}", harmless(&user)));
        let until = begun.until.map_or(String::new(), |end| {
            format!(" until {}", end.to_utc().format("%Y-%m-%d %H:%M UTC"))
        });
        say(&format!("Logged in{user}{until}."));
        Ok(())
    }

    /// The app's commands, with the name of the variable where people look for it.
    fn command(&self) -> clap::Command {
        let mut command = P::command();
        if command.find_subcommand("login").is_some() {
            let help = format!("Use the token in the environment variable {}", self.variable);
            command =
                command.mut_subcommand("login", |login| login.mut_arg("pat", |pat| pat.help(help)));
        }
        command
    }

    fn name(&self) -> String {
        P::command().get_name().to_owned()
    }
}

impl<P> fmt::Debug for Cli<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cli").field("variable", &self.variable).finish_non_exhaustive()
    }
}

/// What is on the command line, as `clap::Parser::parse` tells, but for a token that is there by
/// mistake: it is neither repeated nor taken for a name, and the error says `instead`, like "pipe
/// it in".
#[must_use]
pub fn parse<P: FromArgMatches>(command: clap::Command, instead: &str) -> P {
    if std::env::args_os().skip(1).any(|argument| holds_token(&argument.to_string_lossy())) {
        let failure = Failure::new(
            Class::Usage,
            "a token is on the command line, where everybody on this machine can read it",
        );
        say_error(&failure.with_hint(instead));
        std::process::exit(Class::Usage.code().into());
    }
    let parsed = command.try_get_matches().and_then(|matches| P::from_arg_matches(&matches));
    parsed.unwrap_or_else(|error| error.exit())
}

/// Whether a part of an argument has the beginning and the length of a token.
fn holds_token(argument: &str) -> bool {
    // The shortest has a brand of two letters and a kind of two.
    const SHORTEST: usize = 2 + 1 + 2 + 1 + 66;
    argument.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').any(|word| {
        word.len() >= SHORTEST
            && ["_pat_", "_app_", "_at_", "_rt_"].iter().any(|kind| word.contains(kind))
    })
}

/// A new token as JSON, with the secret or where it is.
#[derive(Serialize)]
struct HandedOver<'a> {
    #[serde(flatten)]
    pat: &'a Pat,
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pat_file: Option<&'a Path>,
}

/// The file for a secret, made before there is one. Ctrl-C does not leave it behind.
struct Reserved {
    file: NewFile,
    held: Held,
}

impl Reserved {
    fn make(output: &OutputArguments) -> Result<Option<Self>, Failure> {
        let Some(path) = output.pat_file.as_deref().filter(|path| *path != Path::new("-")) else {
            return Ok(None);
        };
        let held = Held::new();
        let file = if output.overwrite { NewFile::replace(path) } else { NewFile::create(path) };
        let file = file.map_err(Failure::from).map_err(|failure| match failure.class() {
            Class::Usage => failure.with_hint("choose another name, or add --overwrite"),
            _ => failure,
        })?;
        Ok(Some(Self { file, held }))
    }
}

/// The token that is piped in.
fn from_input(program: &str) -> Result<Credential, Failure> {
    if std::io::stdin().is_terminal() {
        let failure =
            Failure::new(Class::Usage, "nothing is piped in, and a terminal would show the token");
        return Err(failure.with_hint(format!("`{program} login --pat-file - < FILE`")));
    }
    Ok(Credential::from_stdin()?)
}

/// Deletes every one that can be, and fails as the first that cannot.
async fn delete(arguments: &DeleteArguments, backend: &dyn Backend) -> Result<(), Failure> {
    let mut first = None;
    for name in &arguments.names {
        let shown = harmless(name);
        match backend.delete(name).await {
            Ok(()) => say(&format!("Deleted {shown}.")),
            Err(failure) => {
                let named = Failure::new(failure.class(), format!("{shown}: {failure}"));
                let named = match failure.hint() {
                    Some(hint) => named.with_hint(hint),
                    None => named,
                };
                // The first is said last, with the exit code that it has.
                if first.is_some() {
                    say_error(&named);
                } else {
                    first = Some(named);
                }
            }
        }
    }
    first.map_or(Ok(()), Err)
}

async fn whoami(json: bool, backend: &dyn Backend) -> Result<(), Failure> {
    let identity = backend.whoami().await?;
    if json {
        return print(&format!("{}\n", json!(identity)));
    }
    let mut text = harmless(&identity.user);
    if !identity.scopes.is_empty() {
        text = format!("{text}, with {}", harmless(&identity.scopes.join(" ")));
    }
    if let Some(end) = identity.expires_at {
        text = format!("{text}, until {}", end.to_utc().format("%Y-%m-%d %H:%M UTC"));
    }
    print(&format!("{text}\n"))
}
