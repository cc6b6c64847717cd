//! Servers of the tests' own.

use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;
use std::time::{Duration, Instant};
use std::{env, thread};

use tempfile::TempDir;

/// The settings of a server that keeps what it acknowledges.
pub(crate) const DURABLE: [&str; 6] =
    ["--appendonly", "yes", "--appendfsync", "always", "--maxmemory-policy", "noeviction"];

/// Which server is asked for, `redis` or `valkey`; if none is, the first that is installed.
pub(crate) const KIND: &str = "HALLPASS_REDIS";

static KINDS: LazyLock<Vec<&'static str>> = LazyLock::new(|| {
    let path = env::var_os("PATH").unwrap_or_default();
    let found =
        |program: String| env::split_paths(&path).any(|folder| folder.join(&program).is_file());
    let complete = |kind: &&str| found(format!("{kind}-server")) && found(format!("{kind}-cli"));
    ["redis", "valkey"].into_iter().filter(complete).collect()
});

/// The servers that are installed.
pub(crate) fn installed() -> &'static [&'static str] {
    &KINDS
}

/// The server that is used.
fn kind() -> Option<&'static str> {
    let asked = env::var(KIND).ok();
    KINDS.iter().copied().find(|kind| asked.as_deref().is_none_or(|asked| asked == *kind))
}

/// Why the tests cannot run, if they cannot.
pub(crate) fn missing() -> Option<String> {
    let found = kind().is_some();
    (!found).then(|| "no redis-server and redis-cli, nor valkey's, on the PATH".to_owned())
}

/// A running server with a directory of its own; killed when dropped.
#[derive(Debug)]
pub(crate) struct Server {
    process: Child,
    pub(crate) directory: TempDir,
    port: u16,
    settings: Vec<String>,
}

impl Server {
    pub(crate) fn start(settings: &[&str]) -> Self {
        // A port that is free now may be taken when the server wants it.
        for _ in 0..10 {
            let directory = tempfile::tempdir().unwrap();
            let port = free_port();
            let settings: Vec<String> = settings.iter().map(ToString::to_string).collect();
            if let Some(process) = launch(&directory, port, &settings) {
                return Self { process, directory, port, settings };
            }
        }
        panic!("no server starts");
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Kills the server without warning (`SIGKILL`).
    pub(crate) fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Starts the server again on its port and its files.
    pub(crate) fn restart(&mut self) {
        self.process = launch(&self.directory, self.port, &self.settings).unwrap();
    }

    /// What a command says.
    pub(crate) fn cli(&self, arguments: &[&str]) -> String {
        cli(&[&["-p", &self.port.to_string()], arguments].concat())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Starts a server; `None` if it ends before it is ready.
fn launch(directory: &TempDir, port: u16, settings: &[String]) -> Option<Child> {
    let mut process = Command::new(format!("{}-server", kind().unwrap()))
        .args(["--bind", "127.0.0.1", "--port", &port.to_string(), "--save", "", "--dir"])
        .arg(directory.path())
        .args(settings)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(process.stdout.take().unwrap()).lines().map_while(Result::ok);
    if !lines.any(|line| line.contains("Ready to accept connections")) {
        process.wait().unwrap();
        return None;
    }
    // A full pipe would hold the server up.
    thread::spawn(move || lines.for_each(drop));
    Some(process)
}

pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

pub(crate) fn cli(arguments: &[&str]) -> String {
    let output = Command::new(format!("{}-cli", kind().unwrap())).args(arguments).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{arguments:?}: {text}");
    text
}

/// Looks until something is as it shall become.
pub(crate) fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let patience = Instant::now() + Duration::from_secs(60);
    while !is_so() {
        assert!(Instant::now() < patience, "{what} does not come");
        thread::sleep(Duration::from_millis(50));
    }
}

impl Server {
    /// Holds the server up, or lets it go on.
    pub(crate) fn pause(&self, pause: bool) {
        let signal = if pause { "-STOP" } else { "-CONT" };
        let id = self.process.id().to_string();
        assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
    }
}
