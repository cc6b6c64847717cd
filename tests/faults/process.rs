//! A node as a process of its own, to be killed: this test binary, told by its environment to be
//! one. It obeys a line on its standard input with a line on its standard output.

use std::env;
use std::fmt::Display;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, ExitCode, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use async_trait::async_trait;
use chrono::TimeDelta;
use hallpass::jwt::{Algorithm, JwtIssuer, KeyRing, SigningKey};
use hallpass::store::{Admission, Change, Changes, Facts, Filter, PageRequest, Purge, Use};
use hallpass::{
    Context, Exchange, ExchangeError, Hallpass, IssueError, ManualClock, PepperRing, Record,
    RestoreGuard, Revocation, RevocationReason, RevokeError, Rotate, RotateError, ScopeCatalog,
    SqliteStore, StoreError, Timestamp, TokenId, TokenStore,
};
use tokio::sync::{Notify, mpsc};

use crate::anytime;
use crate::keys::Keys;
use crate::place::{self, Node, Verdict, verdict, wanted};
use crate::postgres::unprivileged;
use crate::scan::Partner;

/// Set in such a process: where tokens are kept.
const PLACE: &str = "HALLPASS_FAULTS_PLACE";
/// Set in one that only guards a store: the file in which it keeps what it saw.
const GUARD: &str = "HALLPASS_FAULTS_GUARD";
/// The folder of its signing keys, if it has some.
const KEYS: &str = "HALLPASS_FAULTS_KEYS";
/// The numbers of its peppers, the current one first; none if absent.
const PEPPERS: &str = "HALLPASS_FAULTS_PEPPERS";

pub(crate) fn is_asked_for() -> bool {
    env::var_os(PLACE).or(env::var_os(GUARD)).is_some()
}

/// What comes of guarding an empty store with this file, as a user who may not do everything.
pub(crate) fn guard(file: &Path) -> String {
    let mut process = unprivileged(&env::current_exe().unwrap());
    let output = process.env(GUARD, file).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap().trim_end().trim_end_matches('.').to_owned()
}

/// A node in a process of its own.
pub(crate) struct Process {
    child: Child,
    input: ChildStdin,
    output: Receiver<String>,
}

impl Process {
    pub(crate) fn start(url: &str) -> Self {
        Self::start_with(url, "")
    }

    /// One with these peppers.
    pub(crate) fn start_with(url: &str, peppers: &str) -> Self {
        let mut command = Command::new(env::current_exe().unwrap());
        Self::spawn(command.env(PLACE, url).env(PEPPERS, peppers))
    }

    /// One that keeps signing keys in a folder.
    pub(crate) fn start_with_keys(url: &str, folder: &Path) -> Self {
        let mut command = Command::new(env::current_exe().unwrap());
        Self::spawn(command.env(PLACE, url).env(PEPPERS, "").env(KEYS, folder))
    }

    /// One that cannot write files that are longer than so many KiB.
    pub(crate) fn start_with_room(url: &str, kib: u32) -> Self {
        let mut command = Command::new("bash");
        // Otherwise the attempt kills the process.
        let limited = format!("trap '' XFSZ; ulimit -f {kib}; exec \"$0\"");
        command.args(["-c", &limited]).arg(env::current_exe().unwrap());
        Self::spawn(command.env(PLACE, url).env(PEPPERS, ""))
    }

    fn spawn(command: &mut Command) -> Self {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let input = child.stdin.take().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let (tell, output) = channel();
        // A line that was broken off by a kill is no answer.
        thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                if let Some(line) = line.strip_suffix('.')
                    && tell.send(line.to_owned()).is_err()
                {
                    return;
                }
            }
        });
        let process = Self { child, input, output };
        assert_eq!(process.hear(), "ready");
        process
    }

    pub(crate) fn tell(&mut self, line: &str) {
        writeln!(self.input, "{line}").unwrap();
    }

    /// The next line it says.
    pub(crate) fn hear(&self) -> String {
        self.output.recv_timeout(Duration::from_secs(60)).expect("an answer")
    }

    /// What it says to a line.
    pub(crate) fn ask(&mut self, line: &str) -> String {
        self.tell(line);
        self.hear()
    }

    /// Has it stop where it comes by, and waits until it does.
    pub(crate) fn ask_until(&mut self, point: &str, line: &str) {
        self.tell(&format!("stop {point}"));
        assert_eq!(self.ask(line), "stopped");
    }

    /// Kills it (`SIGKILL`), and returns what it had said.
    pub(crate) fn kill(mut self) -> Vec<String> {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.output.iter().collect()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The process itself.
pub(crate) fn main() -> ExitCode {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    runtime.worker_threads(2).enable_all().build().unwrap().block_on(async {
        if let Some(file) = env::var_os(GUARD) {
            let store = SqliteStore::open_in_memory().unwrap();
            return say(match RestoreGuard::open(store, file).await {
                Ok(_) => "guarded",
                Err(StoreError::Unavailable(_)) => "unavailable",
                Err(error) => panic!("{error:?}"),
            });
        }
        let clock = Arc::new(ManualClock::at(place::start()));
        let keys = env::var_os(KEYS).map(|folder| Keys::load(folder.as_ref(), clock.clone()));
        let peppers = ring(&env::var(PEPPERS).unwrap());
        let store = place::open(&env::var(PLACE).unwrap()).await;
        let gate = Arc::new(Gate::default());
        let node = Node::with(store, |cache| {
            let stopping = Stopping { inner: Arc::new(cache), gate: gate.clone() };
            let builder = place::builder(Arc::new(stopping)).clock(clock);
            builder.peppers(peppers).build().unwrap()
        });
        node.hears().await;
        say("ready");
        let (tell, mut orders) = mpsc::unbounded_channel();
        let told = gate.clone();
        thread::spawn(move || {
            for line in std::io::stdin().lines().map_while(Result::ok) {
                match line.split_once(' ') {
                    None if line == "go" => told.go.notify_one(),
                    Some(("stop", point)) => *told.stop.lock().unwrap() = Some(passing(point)),
                    _ => drop(tell.send(line)),
                }
            }
            // Whoever started this is gone.
            std::process::exit(0);
        });
        while let Some(order) = orders.recv().await {
            match order.split_once(' ') {
                Some(("work", seed)) => {
                    let store: Arc<dyn TokenStore> = Arc::new(node.cache.clone());
                    let hallpass = place::builder(store).policy(anytime::policy()).build().unwrap();
                    anytime::work(&hallpass, seed.parse().unwrap()).await;
                }
                Some(("keys", order)) => {
                    let words: Vec<&str> = order.split(' ').collect();
                    let keys = keys.as_ref().unwrap();
                    say(keys.obey(&words, &node.hallpass, &gate).await);
                }
                _ => say(obey(&node.hallpass, &order).await),
            }
        }
    });
    ExitCode::SUCCESS
}

/// Says a line, so that it is heard even if this is the last thing the process does.
pub(crate) fn say(line: impl Display) {
    let mut output = std::io::stdout().lock();
    writeln!(output, "{line}.").unwrap();
    output.flush().unwrap();
}

pub(crate) fn ring(numbers: &str) -> PepperRing {
    let pepper = |number: u8| -> Vec<u8> { (number..number + 40).collect() };
    let mut ring = PepperRing::none();
    for (place, number) in numbers.split(',').filter_map(|number| number.parse().ok()).enumerate() {
        let secret = pepper(number);
        ring = match place {
            0 => ring.with_current(number.into(), &secret).unwrap(),
            _ => ring.with_retired(number.into(), &secret).unwrap(),
        };
    }
    ring
}

/// Does what it is told. An answer that is an outage says so and nothing else.
async fn obey(hallpass: &Hallpass, order: &str) -> String {
    let words: Vec<&str> = order.split(' ').collect();
    let here = Context::default();
    match words[..] {
        ["issue", name, key] => match hallpass.issue(wanted(name).idempotency_key(key)).await {
            Ok(issued) => format!("issued {} {}", issued.token.id, issued.plain.expose()),
            Err(IssueError::Replayed(token)) => format!("replayed {}", token.id),
            Err(IssueError::Store(StoreError::Unavailable(_))) => "unavailable".to_owned(),
            Err(error) => format!("{error:?}"),
        },
        ["rotate", id, overlap] => {
            let overlap = TimeDelta::seconds(overlap.parse().unwrap());
            match hallpass.rotate(&id.parse().unwrap(), Rotate::new().overlap(overlap)).await {
                Ok(issued) => format!("rotated {}", issued.plain.expose()),
                Err(RotateError::Store(StoreError::Unavailable(_))) => "unavailable".to_owned(),
                Err(error) => format!("{error:?}"),
            }
        }
        ["revoke", id] => {
            match hallpass.revoke(&id.parse().unwrap(), RevocationReason::Requested).await {
                Ok(first) => format!("revoked {first}"),
                Err(RevokeError::Store(StoreError::Unavailable(_))) => "unavailable".to_owned(),
                Err(error) => format!("{error:?}"),
            }
        }
        ["exchange", text] => match hallpass.exchange(text, &here, Exchange::new()).await {
            Ok(issued) => format!("issued {} {}", issued.token.id, issued.plain.expose()),
            Err(ExchangeError::Unavailable(_)) => "unavailable".to_owned(),
            Err(error) => format!("{error:?}"),
        },
        ["sign", text] => match issuer().exchange(hallpass, text, &here, Exchange::new()).await {
            Ok(issued) => format!("issued {} {}", issued.token.id, issued.plain.expose()),
            Err(ExchangeError::Unavailable(_)) => "unavailable".to_owned(),
            Err(error) => format!("{error:?}"),
        },
        ["report", texts] => {
            let texts: Vec<&str> = texts.split(',').collect();
            let answer = Partner::new().report(hallpass, &texts).await;
            match answer.status().as_u16() {
                200 => format!("labelled {}", String::from_utf8_lossy(answer.body())),
                503 => "unavailable".to_owned(),
                status => panic!("{status}"),
            }
        }
        ["verify", text] => match verdict(hallpass, text).await {
            Verdict::Accepted => "accepted".to_owned(),
            Verdict::Denied(reason) => format!("{reason:?}"),
            Verdict::Unavailable => "unavailable".to_owned(),
        },
        ["maintain"] => match hallpass.maintain().await {
            Ok(done) => format!("maintained {}", done.uses),
            Err(_) => "unavailable".to_owned(),
        },
        _ => panic!("{order:?}"),
    }
}

fn issuer() -> JwtIssuer {
    let (key, _) = SigningKey::generate(Algorithm::EdDsa).unwrap();
    JwtIssuer::new("https://issuer.example", KeyRing::new(key))
}

/// A point such as `after revoke`, or `after revoke 3` to be passed three times before.
fn passing(point: &str) -> (String, u32) {
    let counted = point.rsplit_once(' ').and_then(|(at, count)| Some((at, count.parse().ok()?)));
    let (at, before) = counted.unwrap_or((point, 0));
    (at.to_owned(), before)
}

/// Where steps stop, and until when.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    /// At which point, and how many times it is passed before.
    stop: Mutex<Option<(String, u32)>>,
    go: Notify,
}

impl Gate {
    pub(crate) async fn pass(&self, point: &str) {
        let stops = {
            let mut stop = self.stop.lock().unwrap();
            match &mut *stop {
                Some((at, before)) if at == point && *before > 0 => {
                    *before -= 1;
                    false
                }
                Some((at, _)) if at == point => stop.take().is_some(),
                _ => false,
            }
        };
        if stops {
            say("stopped");
            self.go.notified().await;
        }
    }
}

/// A store whose steps stop before or after they are taken.
#[derive(Debug)]
struct Stopping {
    inner: Arc<dyn TokenStore>,
    gate: Arc<Gate>,
}

#[async_trait]
impl TokenStore for Stopping {
    async fn insert(&self, record: &Record, admission: &Admission) -> Result<(), StoreError> {
        self.gate.pass("before insert").await;
        let done = self.inner.insert(record, admission).await;
        self.gate.pass("after insert").await;
        done
    }

    async fn find(&self, id: &TokenId) -> Result<Option<Record>, StoreError> {
        self.inner.find(id).await
    }

    async fn list(
        &self,
        filter: &Filter,
        page: &PageRequest,
        now: Timestamp,
    ) -> Result<Vec<Record>, StoreError> {
        self.inner.list(filter, page, now).await
    }

    async fn update(
        &self,
        id: &TokenId,
        expected_version: u64,
        change: &Change,
        now: Timestamp,
    ) -> Result<Option<Record>, StoreError> {
        self.gate.pass("before update").await;
        let done = self.inner.update(id, expected_version, change, now).await;
        self.gate.pass("after update").await;
        done
    }

    async fn revoke(&self, filter: &Filter, mark: &Revocation) -> Result<Vec<TokenId>, StoreError> {
        self.gate.pass("before revoke").await;
        let done = self.inner.revoke(filter, mark).await;
        self.gate.pass("after revoke").await;
        done
    }

    async fn touch(&self, uses: &[Use]) -> Result<(), StoreError> {
        self.inner.touch(uses).await
    }

    async fn purge(&self, purge: &Purge) -> Result<u64, StoreError> {
        self.inner.purge(purge).await
    }

    fn resident(&self, id: &TokenId, look: &mut dyn FnMut(&Facts)) {
        self.inner.resident(id, look);
    }

    async fn changes(&self) -> Result<Option<Box<dyn Changes>>, StoreError> {
        self.inner.changes().await
    }

    fn attach(&self, catalog: &ScopeCatalog) {
        self.inner.attach(catalog);
    }
}
