//! The command line.

use std::path::PathBuf;

use chrono::TimeDelta;

/// What `--help` prints.
pub(crate) const HELP: &str = "\
The token features of five products on one engine.

Usage: demo [OPTIONS]

Options:
  --listen ADDR         where to listen [default: 127.0.0.1:3000]
  --database URL        sqlite:PATH, memory: to forget everything at the end, or, if built with
                        these features, postgres://... or redis://...
                        [default: sqlite:demo.sqlite, in the working directory]
  --sessions POLICY     what becomes of sessions that a token negotiated when the token is
                        deleted: they die, or they finish [default: die]
  --data-tokens LIFE    how long tokens of the data platform live: never to let them live for
                        ever, or 1 to 366 days [default: never]
  --password PW         the password of every account, also from DEMO_PASSWORD; anybody on this
                        machine can see it in the list of processes [default: random ones]
  --issuer URL          the https URL by which browsers and OAuth clients know it, if it is behind
                        something that has one [default: http and where it listens]
  --leak-keys PLACE     where the keys are of who reports leaked tokens at /leaks, in the form of
                        GitHub's: a file or, if built with fetch, an https URL [default: nobody]
  --verbose             report what happens to tokens on standard error
  --help                print this
";

/// What the command line asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Options {
    pub(crate) listen: String,
    pub(crate) database: Database,
    pub(crate) let_sessions_finish: bool,
    pub(crate) data_lifetime: Option<TimeDelta>,
    pub(crate) password: Option<String>,
    pub(crate) issuer: Option<String>,
    pub(crate) leak_keys: Option<String>,
    pub(crate) verbose: bool,
}

/// Where tokens are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Database {
    Sqlite(PathBuf),
    Memory,
    Postgres(String),
    Redis(String),
}

impl Database {
    /// What people are told of it; a URL may hold a password.
    pub(crate) fn place(&self) -> String {
        match self {
            Self::Sqlite(path) => path.display().to_string(),
            Self::Memory => "memory".to_owned(),
            Self::Postgres(_) => "PostgreSQL".to_owned(),
            Self::Redis(_) => "Redis".to_owned(),
        }
    }
}

impl Options {
    /// Reads the arguments after the program's name; `None` if help is wanted.
    ///
    /// # Errors
    /// A sentence that says what is wrong.
    pub(crate) fn parse(
        arguments: impl IntoIterator<Item = String>,
        password: Option<String>,
    ) -> Result<Option<Self>, String> {
        let mut options = Self {
            listen: "127.0.0.1:3000".to_owned(),
            database: Database::Sqlite("demo.sqlite".into()),
            let_sessions_finish: false,
            data_lifetime: None,
            password,
            issuer: None,
            leak_keys: None,
            verbose: false,
        };
        let mut arguments = arguments.into_iter();
        while let Some(argument) = arguments.next() {
            let (name, attached) = match argument.split_once('=') {
                Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
                None => (argument, None),
            };
            if name == "--help" || name == "-h" {
                return Ok(None);
            }
            if name == "--verbose" {
                options.verbose = true;
                continue;
            }
            const KNOWN: [&str; 7] = [
                "--listen",
                "--database",
                "--sessions",
                "--data-tokens",
                "--password",
                "--issuer",
                "--leak-keys",
            ];
            if !KNOWN.contains(&name.as_str()) {
                return Err(format!("unknown option {name}; --help lists all"));
            }
            let value = attached.or_else(|| arguments.next());
            let value = value.ok_or_else(|| format!("{name} needs a value"))?;
            match name.as_str() {
                "--listen" => options.listen = value,
                "--database" => options.database = database(&value)?,
                "--sessions" => options.let_sessions_finish = sessions(&value)?,
                "--data-tokens" => options.data_lifetime = lifetime(&value)?,
                "--issuer" => options.issuer = Some(value),
                "--leak-keys" => options.leak_keys = Some(value),
                _ => options.password = Some(value),
            }
        }
        if options.password.as_deref() == Some("") {
            return Err("a password is not empty".to_owned());
        }
        Ok(Some(options))
    }
}

fn database(url: &str) -> Result<Database, String> {
    match url.split_once(':') {
        Some(("memory", "")) => Ok(Database::Memory),
        Some(("sqlite", path)) if !path.is_empty() && !path.starts_with(':') => {
            Ok(Database::Sqlite(path.into()))
        }
        Some(("postgres" | "postgresql", rest)) if rest.starts_with("//") => {
            Ok(Database::Postgres(url.to_owned()))
        }
        Some(("redis", rest)) if rest.starts_with("//") => Ok(Database::Redis(url.to_owned())),
        _ => Err(format!(
            "--database {url}: write sqlite:PATH, memory:, postgres://... or redis://..."
        )),
    }
}

fn sessions(policy: &str) -> Result<bool, String> {
    match policy {
        "finish" => Ok(true),
        "die" => Ok(false),
        _ => Err(format!("--sessions {policy}: write finish or die")),
    }
}

fn lifetime(life: &str) -> Result<Option<TimeDelta>, String> {
    if life == "never" {
        return Ok(None);
    }
    let days = life.parse().ok().filter(|days| (1..=366).contains(days));
    days.and_then(TimeDelta::try_days)
        .map(Some)
        .ok_or_else(|| format!("--data-tokens {life}: write never, or 1 to 366 days"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Option<Options>, String> {
        Options::parse(line.split_whitespace().map(str::to_owned), None)
    }

    #[test]
    fn without_arguments_tokens_are_kept_in_a_file_and_served_locally() {
        let options = parse("").unwrap().unwrap();
        assert_eq!(options.listen, "127.0.0.1:3000");
        assert_eq!(options.database, Database::Sqlite("demo.sqlite".into()));
        assert!(!options.let_sessions_finish);
        assert_eq!(parse("--verbose --help"), Ok(None));
    }

    #[test]
    fn values_come_after_a_space_or_an_equals_sign() {
        let options = parse("--listen [::1]:1 --database=memory: --sessions finish").unwrap();
        let options = options.unwrap();
        assert_eq!((options.listen.as_str(), &options.database), ("[::1]:1", &Database::Memory));
        assert!(options.let_sessions_finish);
        let redis = parse("--database redis://127.0.0.1").unwrap().unwrap().database;
        assert_eq!(redis, Database::Redis("redis://127.0.0.1".to_owned()));
        let issuer = parse("--issuer https://demo.example").unwrap().unwrap().issuer;
        assert_eq!(issuer.as_deref(), Some("https://demo.example"));
        let life = parse("--data-tokens 90").unwrap().unwrap().data_lifetime;
        assert_eq!(life, Some(TimeDelta::days(90)));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (line, word) in [
            ("--port 1", "--port"),
            ("--listen", "--listen"),
            ("--database mysql://x", "sqlite:PATH"),
            ("--database postgres:x", "sqlite:PATH"),
            ("--database sqlite:", "sqlite:PATH"),
            ("--sessions maybe", "finish"),
            ("--data-tokens 0", "366"),
            ("--data-tokens 367", "366"),
            ("--password=", "password"),
            ("--issuer", "--issuer"),
        ] {
            let error = parse(line).unwrap_err();
            assert!(error.contains(word), "{line}: {error}");
        }
    }
}
