//! The demo as a program, and a person with a home directory who uses tools on it.

use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;

use tempfile::TempDir;

/// The password of everybody in the demo.
pub(crate) const PASSWORD: &str = "correct horse";

/// The demo that all tests share, from the first that needs it to the last.
static DEMO: Mutex<Option<Demo>> = Mutex::new(None);

struct Demo {
    program: Child,
    address: String,
    folder: TempDir,
}

/// A person at a computer: a home, an empty working directory, and programs.
pub(crate) struct World {
    /// Where the demo is.
    pub(crate) address: String,
    /// The demo's SQLite file.
    pub(crate) database: PathBuf,
    programs: PathBuf,
    own: TempDir,
}

/// A test by its name.
pub(crate) type Case = (&'static str, fn(&World));

/// What a program did.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Done {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl World {
    pub(crate) fn enter() -> Self {
        let mut demo = DEMO.lock().unwrap();
        let demo = demo.get_or_insert_with(Demo::start);
        let own = tempfile::tempdir().unwrap();
        fs::create_dir(own.path().join("home")).unwrap();
        fs::create_dir(own.path().join("work")).unwrap();
        Self {
            address: demo.address.clone(),
            database: demo.folder.path().join("demo.sqlite"),
            programs: demo.folder.path().to_owned(),
            own,
        }
    }

    pub(crate) fn home(&self) -> PathBuf {
        self.own.path().join("home")
    }

    pub(crate) fn session_file(&self) -> PathBuf {
        self.home().join(".local/state/playground/session.json")
    }

    /// What is in the working directory.
    pub(crate) fn litter(&self) -> usize {
        fs::read_dir(self.own.path().join("work")).unwrap().count()
    }

    /// Writes a file in the home directory.
    pub(crate) fn write(&self, name: &str, text: &str, mode: u32) -> PathBuf {
        use std::os::unix::fs::PermissionsExt as _;
        let path = self.home().join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path
    }

    /// A program with these arguments and nothing else around it.
    pub(crate) fn program(&self, name: &str, arguments: &[&str]) -> Command {
        self.command(&self.programs.join(name), arguments)
    }

    /// A shell that finds the programs.
    pub(crate) fn shell(&self, script: &str) -> Command {
        self.command(Path::new("/bin/sh"), &["-c", script])
    }

    fn command(&self, program: &Path, arguments: &[&str]) -> Command {
        let path = std::env::var("PATH").unwrap();
        let mut command = Command::new(program);
        command
            .args(arguments)
            .env_clear()
            .env("PATH", format!("{}:{path}", self.programs.display()))
            .env("HOME", self.home())
            .env("TERM", "xterm")
            .env("PLAYGROUND_SERVER", &self.address)
            .current_dir(self.own.path().join("work"))
            .stdin(Stdio::null());
        command
    }

    /// The playground's tool, for alice, who has said her password.
    pub(crate) fn playground(&self, arguments: &[&str]) -> Command {
        let mut command = self.program("playground", arguments);
        command.env("PLAYGROUND_USER", "alice").env("PLAYGROUND_PASSWORD", PASSWORD);
        command
    }

    /// A new token of alice's.
    pub(crate) fn token(&self, name: &str) -> String {
        let made = done(&mut self.playground(&["user", "pat", "create", name]));
        assert_eq!(made.code, 0, "{made:?}");
        made.out.trim_end().to_owned()
    }

    /// Logs in with a token in the variable.
    pub(crate) fn login(&self, token: impl AsRef<OsStr>) -> Done {
        done(self.program("playground", &["login", "--pat"]).env("PLAYGROUND_PAT", token))
    }
}

/// Runs a program to its end.
pub(crate) fn done(command: &mut Command) -> Done {
    let output = command.output().unwrap();
    Done {
        code: output.status.code().unwrap(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

/// Runs a program that fails, and compares what it says.
#[track_caller]
pub(crate) fn refused(command: &mut Command, code: i32, said: &str) {
    let done = done(command);
    assert_eq!((done.code, done.err.as_str(), done.out.as_str()), (code, said, ""));
}

impl Demo {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let own = std::env::current_exe().unwrap();
        for name in ["demo", "playground", "hallpass_admin", "acme"] {
            std::os::unix::fs::symlink(&own, folder.path().join(name)).unwrap();
        }
        let database = format!("sqlite:{}", folder.path().join("demo.sqlite").display());
        let mut program = Command::new(folder.path().join("demo"))
            .args(["--listen", "127.0.0.1:0", "--database", &database, "--password", PASSWORD])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut address = None;
        for line in BufReader::new(program.stdout.take().unwrap()).lines() {
            if let Some(rest) = line.unwrap().strip_prefix("ready on ") {
                address = rest.split(',').next().map(str::to_owned);
                break;
            }
        }
        Self { program, address: address.unwrap(), folder }
    }
}

/// Stops the demo.
pub(crate) fn leave() {
    if let Some(mut demo) = DEMO.lock().unwrap().take() {
        demo.program.kill().unwrap();
        demo.program.wait().unwrap();
    }
}
