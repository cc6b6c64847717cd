//! Questions to people and sentences for them.

use std::fmt::Display;
use std::io::{self, BufRead as _, IsTerminal as _, Write as _};

use anstyle::{AnsiColor, Style};
use zeroize::Zeroizing;

use super::failure::{Class, Failure};

/// Asks for a password on the terminal, without showing it.
///
/// # Errors
/// [`Failure`] if there is no terminal; it says `otherwise`, like "set the variable".
pub fn ask_password(what: &str, otherwise: &str) -> Result<Zeroizing<String>, Failure> {
    need_terminal(what, otherwise)?;
    let answer = rpassword::prompt_password(format!("{}: ", capitalised(what)));
    match answer {
        Ok(text) => Ok(Zeroizing::new(text)),
        Err(error) => {
            Err(Failure::new(Class::Usage, format!("the {what} cannot be read: {error}"))
                .with_hint(otherwise))
        }
    }
}

/// Asks for something that is no secret on the terminal.
///
/// # Errors
/// [`Failure`] if there is no terminal or nothing is said; it says `otherwise`, like "add --user".
pub fn ask(what: &str, otherwise: &str) -> Result<String, Failure> {
    need_terminal(what, otherwise)?;
    let answer = ask_line(&format!("{}: ", capitalised(what)))?;
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
    let answer = ask_line(&format!("{question} [y/N] "))?;
    Ok(matches!(answer.to_ascii_lowercase().as_str(), "y" | "yes"))
}

fn ask_line(prompt: &str) -> Result<String, Failure> {
    let mut answer = String::new();
    let asked = write!(io::stderr(), "{prompt}")
        .and_then(|()| io::stderr().flush())
        .and_then(|()| io::stdin().lock().read_line(&mut answer));
    match asked {
        Ok(_) => Ok(answer.trim().to_owned()),
        Err(error) => Err(Failure::new(Class::Usage, format!("no answer: {error}"))),
    }
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

/// Writes a result to standard output, with its colours if that is a terminal.
///
/// # Errors
/// [`Failure`] if it cannot be written.
pub fn print(text: &str) -> Result<(), Failure> {
    let mut out = anstream::stdout().lock();
    let printed = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    printed.map_err(|error| {
        Failure::new(Class::Other, format!("standard output cannot be written: {error}"))
    })
}
