//! A PostgreSQL server of the tests' own, from the binaries that are installed.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::thread;

use tempfile::TempDir;
use tokio_postgres::NoTls;

/// A running server. It ends when this is dropped.
pub(crate) struct Server {
    pub(crate) bin: PathBuf,
    pub(crate) directory: TempDir,
    pub(crate) port: u16,
    pub(crate) settings: Vec<String>,
    pub(crate) process: Option<Child>,
    pub(crate) log: Arc<Mutex<Vec<String>>>,
    pub(crate) databases: AtomicU32,
}

impl Server {
    /// Where the server's binaries are: those of the latest version that is installed.
    pub(crate) fn binaries() -> Option<PathBuf> {
        let mut found: Vec<(u32, PathBuf)> = fs::read_dir("/usr/lib/postgresql")
            .into_iter()
            .flatten()
            .filter_map(|entry| {
                let path = entry.ok()?.path();
                let version = path.file_name()?.to_str()?.parse().ok()?;
                let bin = path.join("bin");
                bin.join("initdb").exists().then_some((version, bin))
            })
            .collect();
        found.sort();
        found.pop().map(|(_, bin)| bin)
    }

    /// A new server with these settings, each `name=value`.
    pub(crate) fn start(settings: &[&str]) -> Self {
        Self::start_with(settings, |_| {})
    }

    /// The same, after its data directory was prepared.
    pub(crate) fn start_with(settings: &[&str], prepare: impl FnOnce(&Path)) -> Self {
        let bin = Self::binaries().unwrap();
        let directory = directory();
        let data = directory.path().join("data");
        let init = |locale: &[&str]| {
            let mut command = unprivileged(&bin.join("initdb"));
            command.args(["--auth=trust", "--username=hallpass", "--encoding=UTF8", "--no-sync"]);
            let output = command.args(locale).arg("-D").arg(&data).output().unwrap();
            output.status.success()
        };
        // Where it can be had, a locale that does not sort by bytes.
        if !init(&["--locale-provider=icu", "--icu-locale=en", "--locale=C.UTF-8"]) {
            assert!(init(&["--locale=C"]), "initdb failed");
        }
        prepare(&data);
        for entry in fs::read_dir(&data).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() {
                own(&path);
            }
        }
        let mut server = Self {
            bin,
            directory,
            port: free_port(),
            settings: settings.iter().map(ToString::to_string).collect(),
            process: None,
            log: Arc::default(),
            databases: AtomicU32::new(0),
        };
        server.restart();
        server
    }

    /// Starts the server on its old data and waits until it takes connections.
    pub(crate) fn restart(&mut self) {
        // After a kill, what is left of the old server may take a moment to go away.
        while !self.try_start() {}
    }

    fn try_start(&mut self) -> bool {
        let mut command = unprivileged(&self.bin.join("postgres"));
        command.arg("-D").arg(self.directory.path().join("data"));
        command.arg("-k").arg(self.directory.path());
        command.args(["-p", &self.port.to_string(), "-c", "listen_addresses=127.0.0.1"]);
        command.args(["-c", "max_connections=400", "-c", "max_wal_size=256MB"]);
        for setting in &self.settings {
            command.args(["-c", setting]);
        }
        let mut process = command.stderr(Stdio::piped()).spawn().unwrap();
        let ready = follow(&mut process, &self.log);
        self.process = Some(process);
        if ready.recv().is_ok() {
            return true;
        }
        self.kill();
        false
    }

    /// Kills the server as a failing machine would.
    pub(crate) fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            end(&mut process);
        }
    }

    /// The lines the server wrote so far.
    pub(crate) fn log(&self) -> Vec<String> {
        self.log.lock().unwrap().clone()
    }

    pub(crate) fn url(&self, database: &str) -> String {
        format!("postgres://hallpass@127.0.0.1:{}/{database}", self.port)
    }

    /// The name of a new, empty database.
    pub(crate) async fn database(&self) -> String {
        let name = format!("test_{}", self.databases.fetch_add(1, Ordering::Relaxed));
        self.execute("postgres", &format!("CREATE DATABASE {name} TEMPLATE template0")).await;
        name
    }

    pub(crate) async fn execute(&self, database: &str, sql: &str) {
        self.client(database).await.batch_execute(sql).await.unwrap();
    }

    /// The first column of what a statement selects.
    pub(crate) async fn select(&self, database: &str, sql: &str) -> Vec<String> {
        let rows = self.client(database).await.query(sql, &[]).await.unwrap();
        rows.iter().map(|row| row.get(0)).collect()
    }

    pub(crate) async fn client(&self, database: &str) -> tokio_postgres::Client {
        let (client, connection) =
            tokio_postgres::connect(&self.url(database), NoTls).await.unwrap();
        tokio::spawn(connection);
        client
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// `PgBouncer` in transaction mode before a server.
pub(crate) struct Bouncer {
    process: Child,
    port: u16,
    _directory: TempDir,
}

impl Bouncer {
    pub(crate) fn binary() -> Option<PathBuf> {
        let places = ["/usr/sbin/pgbouncer", "/usr/bin/pgbouncer"];
        places.iter().map(PathBuf::from).find(|place| place.exists())
    }

    pub(crate) fn start(server: &Server) -> Self {
        Self::before(server.port)
    }

    /// One before whatever is at a port of this machine.
    pub(crate) fn before(server: u16) -> Self {
        let directory = directory();
        let port = free_port();
        let config = directory.path().join("pgbouncer.ini");
        let text = format!(
            "[databases]\n* = host=127.0.0.1 port={server} user=hallpass\n\
             [pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n\
             auth_type = any\npool_mode = transaction\ndefault_pool_size = 4\n\
             max_client_conn = 1000\nserver_login_retry = 0.1\n",
        );
        fs::write(&config, text).unwrap();
        own(&config);
        let mut command = unprivileged(&Self::binary().unwrap());
        let mut process = command.arg(&config).stderr(Stdio::piped()).spawn().unwrap();
        let up = follow(&mut process, &Arc::default());
        up.recv().unwrap();
        Self { process, port, _directory: directory }
    }

    pub(crate) fn url(&self, database: &str) -> String {
        format!("postgres://hallpass@127.0.0.1:{}/{database}", self.port)
    }
}

impl Drop for Bouncer {
    fn drop(&mut self) {
        end(&mut self.process);
    }
}

/// Keeps what a process writes, and tells when it is ready. If it ends before, the channel does.
fn follow(process: &mut Child, log: &Arc<Mutex<Vec<String>>>) -> Receiver<()> {
    RUNNING.lock().unwrap().push(process.id());
    let lines = BufReader::new(process.stderr.take().unwrap()).lines();
    let (ready, told) = channel();
    let log = log.clone();
    thread::spawn(move || {
        let mut ready = Some(ready);
        for line in lines.map_while(Result::ok) {
            let up = ["ready to accept", "process up"];
            if up.iter().any(|text| line.contains(text))
                && let Some(ready) = ready.take()
            {
                let _ = ready.send(());
            }
            log.lock().unwrap().push(line);
        }
    });
    told
}

pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Servers refuse to run as root: then another user runs them.
pub(crate) fn unprivileged(program: &Path) -> Command {
    let Some((user, group)) = other_user() else {
        return Command::new(program);
    };
    let mut command = Command::new("setpriv");
    command.arg(format!("--reuid={user}")).arg(format!("--regid={group}"));
    command.arg("--clear-groups").arg("--pdeathsig=KILL").arg(program).current_dir("/");
    command
}

pub(crate) fn own(path: &Path) {
    if let Some((user, group)) = other_user() {
        chown(path, Some(user), Some(group)).unwrap();
    }
}

/// The user and group that servers run as, if the tests run as root.
fn other_user() -> Option<(u32, u32)> {
    if fs::metadata("/proc/self").unwrap().uid() != 0 {
        return None;
    }
    let users = fs::read_to_string("/etc/passwd").unwrap();
    ["postgres", "nobody"].iter().find_map(|name| {
        let line = users.lines().find(|line| line.split(':').next() == Some(name))?;
        let mut fields = line.split(':').skip(2);
        Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
    })
}

fn end(process: &mut Child) {
    RUNNING.lock().unwrap().retain(|running| *running != process.id());
    process.kill().unwrap();
    process.wait().unwrap();
}

/// Ends what is still running when the tests are done, and removes what is left of it: statics are
/// not dropped.
pub(crate) fn stop_all() {
    for process in RUNNING.lock().unwrap().drain(..) {
        let _ = Command::new("kill").args(["-KILL", &process.to_string()]).output();
    }
    for directory in DIRECTORIES.lock().unwrap().drain(..) {
        // Processes of a server may outlive it for a moment, and write there.
        for _ in 0..100 {
            if !directory.exists() || fs::remove_dir_all(&directory).is_ok() {
                break;
            }
        }
    }
}

/// A new directory for a server.
fn directory() -> TempDir {
    let directory = TempDir::new().unwrap();
    own(directory.path());
    DIRECTORIES.lock().unwrap().push(directory.path().to_owned());
    directory
}

/// The processes that were started and not yet waited for.
static RUNNING: Mutex<Vec<u32>> = Mutex::new(Vec::new());
/// Where servers keep their files.
static DIRECTORIES: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());
