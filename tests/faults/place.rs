//! Where tokens are kept, and nodes that use them.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use hallpass::store::{AgeClock, CacheOptions, Filter, Reach};
use hallpass::{
    CachedStore, Context, DenialReason, Edit, Hallpass, HallpassBuilder, Issue, Issued,
    ListRequest, ManualClock, PostgresOptions, RedisOptions, RevocationReason, ScopeCatalog,
    SqliteStore, StoreError, Timestamp, Token, TokenId, TokenStore, Verified, VerifyError,
};
use tempfile::TempDir;
use tokio::task::JoinHandle;

use crate::{postgres, redis};

/// What keeps tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Backend {
    Sqlite,
    Postgres,
    Redis,
    /// A pooler before PostgreSQL.
    Bouncer,
}

impl Backend {
    pub(crate) const ALL: &[Self] = &[Self::Sqlite, Self::Postgres, Self::Redis];
    pub(crate) const SERVERS: &[Self] = &[Self::Postgres, Self::Redis];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgres",
            Self::Redis => "redis",
            Self::Bouncer => "pgbouncer",
        }
    }

    /// Why it cannot be had, if it cannot.
    pub(crate) fn missing(self) -> Option<String> {
        match self {
            Self::Sqlite => None,
            Self::Postgres => {
                let missing = postgres::Server::binaries().is_none();
                missing.then(|| "postgresql is not installed".to_owned())
            }
            Self::Redis => redis::missing(),
            Self::Bouncer => {
                let missing = postgres::Bouncer::binary().is_none();
                missing.then(|| "pgbouncer is not installed".to_owned())
            }
        }
    }
}

/// The PostgreSQL server that is not killed; each test has a database of its own.
static SHARED: LazyLock<postgres::Server> =
    LazyLock::new(|| postgres::Server::start(&["fsync=off", "deadlock_timeout=20ms"]));

pub(crate) fn start_shared() {
    if Backend::Postgres.missing().is_none() {
        LazyLock::force(&SHARED);
    }
}

/// Somewhere tokens are kept, which ends with the test.
pub(crate) enum Place {
    File(TempDir),
    Database(String),
    Postgres(Box<postgres::Server>),
    Redis(Box<redis::Server>),
}

impl Place {
    /// A new one, empty.
    pub(crate) async fn new(backend: Backend) -> Self {
        match backend {
            Backend::Sqlite => Self::File(tempfile::tempdir().unwrap()),
            Backend::Postgres => Self::Database(SHARED.database().await),
            Backend::Redis => Self::Redis(Box::new(redis::Server::start(&redis::DURABLE))),
            Backend::Bouncer => panic!("it keeps nothing"),
        }
    }

    /// A new one whose server can be killed.
    pub(crate) fn to_kill(backend: Backend) -> Self {
        match backend {
            Backend::Sqlite | Backend::Bouncer => panic!("there is no server that keeps anything"),
            Backend::Postgres => Self::Postgres(Box::new(postgres::Server::start(&["fsync=on"]))),
            Backend::Redis => Self::Redis(Box::new(redis::Server::start(&redis::DURABLE))),
        }
    }

    pub(crate) fn url(&self) -> String {
        match self {
            Self::File(directory) => {
                format!("sqlite:{}", directory.path().join("tokens").display())
            }
            Self::Database(name) => SHARED.url(name),
            Self::Postgres(server) => server.url("postgres"),
            Self::Redis(server) => server.url(),
        }
    }

    /// The port of the server.
    pub(crate) fn port(&self) -> u16 {
        match self {
            Self::File(_) => panic!("there is no server"),
            Self::Database(_) => SHARED.port,
            Self::Postgres(server) => server.port,
            Self::Redis(server) => server.port(),
        }
    }

    /// The same place, reached by another port.
    pub(crate) fn url_by(&self, port: u16) -> String {
        self.url().replace(&format!(":{}", self.port()), &format!(":{port}"))
    }

    pub(crate) fn kill(&mut self) {
        match self {
            Self::Postgres(server) => server.kill(),
            Self::Redis(server) => server.kill(),
            Self::File(_) | Self::Database(_) => panic!("others use it too"),
        }
    }

    pub(crate) fn restart(&mut self) {
        match self {
            Self::Postgres(server) => server.restart(),
            Self::Redis(server) => server.restart(),
            Self::File(_) | Self::Database(_) => panic!("it was not killed"),
        }
    }

    /// Says something to the PostgreSQL server, and returns the first column of its answer.
    pub(crate) async fn sql(&self, sql: &str) -> Vec<String> {
        match self {
            Self::Database(name) => SHARED.select(name, sql).await,
            Self::Postgres(server) => server.select("postgres", sql).await,
            Self::File(_) | Self::Redis(_) => panic!("it speaks no SQL"),
        }
    }

    /// Says something to the Redis server.
    pub(crate) fn redis(&self, command: &[&str]) -> String {
        match self {
            Self::Redis(server) => server.cli(command),
            _ => panic!("it is no Redis"),
        }
    }

    /// Where the server, or SQLite, writes its files.
    pub(crate) fn files(&self) -> PathBuf {
        match self {
            Self::File(directory) => directory.path().to_owned(),
            Self::Database(_) => SHARED.directory.path().to_owned(),
            Self::Postgres(server) => server.directory.path().to_owned(),
            Self::Redis(server) => server.directory.path().to_owned(),
        }
    }

    /// Looks for texts in whatever is stored (I8).
    pub(crate) fn assert_nowhere<'a>(&self, texts: impl IntoIterator<Item = &'a str>) {
        let secret = |text: &'a str| text.rsplit('_').next().unwrap().split_at(43).0.as_bytes();
        let secrets: HashSet<&[u8]> = texts.into_iter().map(secret).collect();
        assert!(!secrets.is_empty());
        for file in files_in(&self.files()) {
            // A server may remove a file meanwhile.
            let content = fs::read(&file).unwrap_or_default();
            let words = content.split(|byte| !byte.is_ascii_alphanumeric());
            let found = words.flat_map(|word| word.windows(43)).any(|text| secrets.contains(text));
            assert!(!found, "a secret in {}", file.display());
        }
    }
}

fn files_in(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files_in(&path));
        } else if path.is_file() {
            found.push(path);
        }
    }
    found
}

/// How long a step may take where nothing is to fail.
const PATIENCE: Duration = Duration::from_secs(20);

/// The store at a URL.
pub(crate) async fn open(url: &str) -> Arc<dyn TokenStore> {
    open_within(url, PATIENCE).await
}

/// The same; a step that takes longer than this fails. On a busy machine connecting may take
/// longer, too, and is tried again.
pub(crate) async fn open_within(url: &str, timeout: Duration) -> Arc<dyn TokenStore> {
    let given_up = Instant::now() + 3 * PATIENCE;
    loop {
        match try_open(url, timeout).await {
            Ok(store) => return store,
            Err(error) => assert!(Instant::now() < given_up, "{error:?}"),
        }
    }
}

pub(crate) async fn try_open(
    url: &str,
    timeout: Duration,
) -> Result<Arc<dyn TokenStore>, StoreError> {
    Ok(match url.split_once(':').unwrap() {
        ("sqlite", path) => Arc::new(SqliteStore::open(path)?),
        ("postgres", _) => {
            let options = PostgresOptions::new().with_timeout(timeout).with_pool_size(4);
            Arc::new(options.connect(url).await?)
        }
        _ => Arc::new(RedisOptions::new().with_timeout(timeout).connect(url).await?),
    })
}

/// When every test takes place.
pub(crate) fn start() -> Timestamp {
    "2026-11-22T09:00:00Z".parse().unwrap()
}

/// An engine, with what all of them have in common.
pub(crate) fn builder(store: Arc<dyn TokenStore>) -> HallpassBuilder {
    Hallpass::builder(store)
        .brand("acme")
        .catalog(ScopeCatalog::of(["repo:read", "repo:write"]).unwrap())
        .clock(ManualClock::at(start()))
        .cursor_key([7; 32])
}

pub(crate) fn engine(store: Arc<dyn TokenStore>) -> Hallpass {
    builder(store).build().unwrap()
}

/// A clock by which a cache grows old only when it is told.
#[derive(Debug, Clone, Default)]
pub(crate) struct HandClock(Arc<AtomicU64>);

impl HandClock {
    pub(crate) fn advance(&self, by: Duration) {
        self.0.fetch_add(u64::try_from(by.as_nanos()).unwrap(), Ordering::SeqCst);
    }
}

impl AgeClock for HandClock {
    fn elapsed(&self) -> Duration {
        Duration::from_nanos(self.0.load(Ordering::SeqCst))
    }
}

/// How long a node's cache keeps what it read.
pub(crate) const TTL: Duration = Duration::from_secs(10);

/// A node: an engine behind a cache that listens. Its cache grows old by its own clock only, so
/// what it forgets before was told to it.
pub(crate) struct Node {
    pub(crate) hallpass: Hallpass,
    pub(crate) cache: CachedStore<Arc<dyn TokenStore>>,
    pub(crate) age: HandClock,
    following: JoinHandle<()>,
}

impl Node {
    pub(crate) async fn on(url: &str) -> Self {
        Self::over(open(url).await).await
    }

    pub(crate) async fn over(store: Arc<dyn TokenStore>) -> Self {
        let node = Self::with(store, |cache| engine(Arc::new(cache)));
        node.hears().await;
        node
    }

    /// A node with an engine of its own making, which may not listen yet.
    pub(crate) fn with(
        store: Arc<dyn TokenStore>,
        engine: impl FnOnce(CachedStore<Arc<dyn TokenStore>>) -> Hallpass,
    ) -> Self {
        let age = HandClock::default();
        let cache = CacheOptions::new().with_ttl(TTL).with_clock(age.clone()).wrap(store);
        let following = tokio::spawn(cache.follow());
        Self { hallpass: engine(cache.clone()), cache, age, following }
    }

    /// Waits until the node listens and remembers.
    pub(crate) async fn hears(&self) {
        until("the cache is on", async || self.cache.is_caching()).await;
    }

    /// Waits until a token is answered from memory.
    pub(crate) async fn remembers(&self, issued: &Issued) {
        let id = issued.token.id;
        until("the token is remembered", async || {
            assert_eq!(verdict(&self.hallpass, issued.plain.expose()).await, Verdict::Accepted);
            let mut remembered = false;
            self.cache.resident(&id, &mut |_| remembered = true);
            remembered
        })
        .await;
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.following.abort();
    }
}

/// What a node says of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Accepted,
    Denied(DenialReason),
    /// It cannot be told: 503.
    Unavailable,
}

pub(crate) const REVOKED: Verdict = Verdict::Denied(DenialReason::Revoked);

pub(crate) async fn verdict(hallpass: &Hallpass, text: &str) -> Verdict {
    match hallpass.verify(text, &Context::default()).await {
        Ok(verified) => {
            assert_rights(&verified);
            Verdict::Accepted
        }
        Err(VerifyError::Denied(denial)) => Verdict::Denied(denial.reason()),
        Err(VerifyError::Unavailable(_)) => Verdict::Unavailable,
    }
}

/// That a token grants what all of them were given, and nothing else that there is (I3).
pub(crate) fn assert_rights(verified: &Verified) {
    assert!(verified.grants("repo:read") && !verified.grants("repo:write"), "{verified:?}");
}

/// A request for a token of `u1` with `repo:read`.
pub(crate) fn wanted(name: &str) -> Issue {
    Issue::new(name).owner("u1").scopes(["repo:read"])
}

pub(crate) async fn issue(hallpass: &Hallpass, name: &str) -> Issued {
    hallpass.issue(wanted(name)).await.unwrap()
}

/// Whether a token can be changed.
pub(crate) async fn is_changed(hallpass: &Hallpass, id: &TokenId) -> bool {
    hallpass.update(id, Edit::new().description(Some("changed".to_owned()))).await.is_ok()
}

pub(crate) async fn revoke(hallpass: &Hallpass, id: &TokenId) -> bool {
    hallpass.revoke(id, RevocationReason::Requested).await.unwrap()
}

/// Every token there is.
pub(crate) async fn everything(hallpass: &Hallpass) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut request = ListRequest::new(Filter::new(Reach::All)).limit(100);
    loop {
        let page = hallpass.list(&request).await.unwrap();
        tokens.extend(page.tokens);
        match page.next {
            Some(next) => request = request.after(next),
            None => return tokens,
        }
    }
}

/// Looks until something is as it shall become.
pub(crate) async fn until(what: &str, is_so: impl AsyncFn() -> bool) {
    let given_up = Instant::now() + Duration::from_secs(60);
    while !is_so().await {
        assert!(Instant::now() < given_up, "it does not come that {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
