//! Questions to people and sentences for them.

use std::fmt::Display;
use std::io::{self, IsTerminal as _, Write as _};

use anstyle::{AnsiColor, Style};
use rpassword::ConfigBuilder;
use zeroize::Zeroizing;

use super::failure::{Class, Failure};
use super::interrupt::Held;

/// Asks for a password on the terminal, without showing it.
///
/// # Errors
/// [`Failure`] if there is no terminal; it says `otherwise`, like "set the variable".
pub fn ask_password(what: &str, otherwise: &str) -> Result<Zeroizing<String>, Failure> {
    need_terminal(what, otherwise)?;
    let answer = prompt(&format!("{}: ", capitalised(what)), ConfigBuilder::new());
    answer.map(Zeroizing::new).map_err(|error| unanswered(&error, what, otherwise))
}

/// Asks for something that is no secret on the terminal.
///
/// # Errors
/// [`Failure`] if there is no terminal or nothing is said; it says `otherwise`, like "add --user".
pub fn ask(what: &str, otherwise: &str) -> Result<String, Failure> {
    need_terminal(what, otherwise)?;
    let answer = ask_line(&format!("{}: ", capitalised(what)), what, otherwise)?;
    if answer.is_empty() {
        return Err(Failure::new(Class::Usage, format!("there is no {what}")).with_hint(otherwise));
    }
    Ok(answer)
}

/// Asks on the terminal whether to go on; anything but `y` or `yes` is no.
///
/// # Errors
/// [`Failure`] if there is no terminal; it says `otherwise`, like "add --yes".
pub fn confirm(question: &str, otherwise: &str) -> Result<bool, Failure> {
    need_terminal("confirmation", otherwise)?;
    let answer = ask_line(&format!("{question} [y/N] "), "confirmation", otherwise)?;
    Ok(matches!(answer.to_ascii_lowercase().as_str(), "y" | "yes"))
}

/// What is typed, which is shown; nothing if the terminal has no more.
fn ask_line(question: &str, what: &str, otherwise: &str) -> Result<String, Failure> {
    // All of it is shown, and none of it is masked.
    let shown = ConfigBuilder::new().password_feedback_partial_mask('*', usize::MAX);
    match prompt(question, shown) {
        Ok(answer) => Ok(answer.trim().to_owned()),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(String::new()),
        Err(error) => Err(unanswered(&error, what, otherwise)),
    }
}

fn prompt(question: &str, config: ConfigBuilder) -> io::Result<String> {
    // The library raises the signal before the terminal is as it was.
    let held = Held::new();
    let answer = rpassword::prompt_password_with_config(question, config.build());
    // A signal that nobody typed does not end the reading, but nothing answered after it counts.
    if held.is_pressed() {
        drop(answer.map(Zeroizing::new));
        return Err(io::ErrorKind::Interrupted.into());
    }
    answer
}

fn unanswered(error: &io::Error, what: &str, otherwise: &str) -> Failure {
    if error.kind() == io::ErrorKind::Interrupted {
        return Failure::new(Class::Interrupted, "interrupted");
    }
    Failure::new(Class::Usage, format!("the {what} cannot be read: {error}")).with_hint(otherwise)
}

fn need_terminal(what: &str, otherwise: &str) -> Result<(), Failure> {
    if io::stdin().is_terminal() && io::stderr().is_terminal() {
        return Ok(());
    }
    let message = format!("there is no terminal on which to ask for the {what}");
    Err(Failure::new(Class::Usage, message).with_hint(otherwise))
}

fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or(String::new(), |first| first.to_uppercase().chain(letters).collect())
}

/// Writes a sentence for people to standard error.
pub fn say(text: &(impl Display + ?Sized)) {
    // Whoever read it may be gone.
    let _ = writeln!(anstream::stderr(), "{text}");
}

pub(super) fn say_error(failure: &Failure) {
    let (error, hint) = (AnsiColor::Red.on_default().bold(), Style::new().bold());
    say(&format!("{error}error:{error:#} {failure}"));
    if let Some(text) = failure.hint() {
        say(&format!("{hint}hint:{hint:#} {text}"));
    }
}

/// Writes a result to standard output, with its colours if that is a terminal. A reader that has
/// seen enough, like `head`, is no failure.
///
/// # Errors
/// [`Failure`] if it cannot be written.
pub fn print(text: &str) -> Result<(), Failure> {
    match write_out(text) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written.map_err(|error| unwritten(&error)),
    }
}

/// The same of what must not be lost.
pub(super) fn print_whole(text: &str) -> Result<(), Failure> {
    write_out(text).map_err(|error| unwritten(&error))
}

fn write_out(text: &str) -> io::Result<()> {
    let mut out = anstream::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush())
}

fn unwritten(error: &io::Error) -> Failure {
    Failure::new(Class::Other, format!("standard output cannot be written: {error}"))
}
