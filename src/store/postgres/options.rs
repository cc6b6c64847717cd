//! How a database is connected to.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::{Manager, ManagerConfig, Pool, RecyclingMethod};
use tokio_postgres::Config;

use super::connect::{Connector, Home, read_url};
use super::schema;
use super::sql::Sql;
use super::store::PostgresStore;
use crate::store::StoreError;
use crate::store::gate::Gate;

/// How a [`PostgresStore`] uses its database.
///
/// ```no_run
/// use std::time::Duration;
/// use hallpass::PostgresOptions;
///
/// # async fn open() -> Result<(), hallpass::StoreError> {
/// let store = PostgresOptions::new()
///     .with_schema("auth")
///     .with_timeout(Duration::from_secs(2))
///     .connect("postgres://app@db.example/app?sslmode=require")
///     .await?;
/// # drop(store);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
#[must_use]
pub struct PostgresOptions {
    pub(super) pool_size: usize,
    pub(super) timeout: Duration,
    pub(super) max_steps: usize,
    pub(super) schema: Option<String>,
    pub(super) migrates: bool,
    pub(super) pooler: bool,
    pub(super) tells_changes: bool,
    pub(super) listen_url: Option<String>,
    #[cfg(feature = "postgres-tls")]
    pub(super) tls_roots: Option<Vec<u8>>,
}

/// Fails on a standby, with an error that says so.
pub(super) const NO_STANDBY: &str = "SELECT CASE WHEN pg_is_in_recovery() \
    THEN 'this server is a standby, which lags behind' ELSE '0' END::integer";

impl Default for PostgresOptions {
    fn default() -> Self {
        Self::new()
    }
}

impl PostgresOptions {
    /// Most connections of a pool.
    pub const MAX_POOL_SIZE: usize = 1_000;

    /// At most 16 connections, 5 seconds for each step, the tables wherever the database's
    /// `search_path` puts them, migrated when the store is made.
    pub fn new() -> Self {
        Self {
            pool_size: 16,
            timeout: Duration::from_secs(5),
            max_steps: Gate::MOST,
            schema: None,
            migrates: true,
            pooler: false,
            tells_changes: true,
            listen_url: None,
            #[cfg(feature = "postgres-tls")]
            tls_roots: None,
        }
    }

    /// Most connections at a time, from 1 to 1,000; other numbers become the nearest. A
    /// subscription to changes has one of its own.
    pub fn with_pool_size(self, connections: usize) -> Self {
        Self { pool_size: connections.clamp(1, Self::MAX_POOL_SIZE), ..self }
    }

    /// How long a step may take, the wait for a connection and repetitions included, at least a
    /// millisecond; afterwards it fails with [`StoreError::Unavailable`]. The server is told to
    /// give up each statement after the same time.
    pub fn with_timeout(self, timeout: Duration) -> Self {
        Self { timeout: timeout.max(Duration::from_millis(1)), ..self }
    }

    /// Most steps that are under way at a time, those included that wait for a connection or an
    /// answer; at least 1, and 4,096 unless told otherwise. Where the server is too slow for what
    /// is asked of it, further ones fail at once with [`StoreError::Unavailable`].
    pub fn with_max_steps(self, steps: usize) -> Self {
        Self { max_steps: steps.max(1), ..self }
    }

    /// The schema (in PostgreSQL's sense) that holds the tables. It is created if it is missing.
    /// A name is at most 50 bytes long.
    pub fn with_schema(self, schema: impl Into<String>) -> Self {
        Self { schema: Some(schema.into()), ..self }
    }

    /// Creates and changes no tables: connecting fails with [`StoreError::Schema`] unless they are
    /// those of this version. Somebody else runs
    /// [`schema_sql`](PostgresOptions::schema_sql) then.
    pub fn without_migrations(self) -> Self {
        Self { migrates: false, ..self }
    }

    /// For a pooler in transaction mode between store and database, such as `PgBouncer`: nothing is
    /// assumed to last longer than a transaction. Statements are not kept prepared, settings are
    /// made in each transaction, and [`changes`](crate::TokenStore::changes) need
    /// [`with_listen_url`](Self::with_listen_url).
    ///
    /// `PgBouncer` from 1.21 on keeps statements prepared itself (`max_prepared_statements`); it
    /// still needs this option for the rest.
    pub fn with_transaction_pooler(self) -> Self {
        Self { pooler: true, ..self }
    }

    /// Where [`changes`](crate::TokenStore::changes) are listened for: the database itself where
    /// the store reaches it through a pooler or the host's own pool.
    pub fn with_listen_url(self, url: impl Into<String>) -> Self {
        Self { listen_url: Some(url.into()), ..self }
    }

    /// Tells other nodes nothing, for databases without `NOTIFY`, such as `CockroachDB`:
    /// [`changes`](crate::TokenStore::changes) are none then. All nodes must agree.
    pub fn without_changes(self) -> Self {
        Self { tells_changes: false, ..self }
    }

    /// The certificates, in PEM, that a server's certificate must come from, instead of those the
    /// operating system trusts.
    #[cfg(feature = "postgres-tls")]
    pub fn with_tls_roots(self, pem: impl Into<Vec<u8>>) -> Self {
        Self { tls_roots: Some(pem.into()), ..self }
    }

    /// Every migration as one SQL script, which makes of an empty database what connecting makes
    /// of it: for whoever looks after the database.
    ///
    /// # Errors
    /// [`StoreError::Schema`] if the schema's name is too long, empty, or holds U+0000.
    pub fn schema_sql(&self) -> Result<String, StoreError> {
        schema::script(self.schema.as_deref())
    }

    /// Connects to a database and brings its schema up to date. Must be called on a Tokio runtime
    /// with time and I/O, which the store lives on: it must not outlast it.
    ///
    /// The URL is as libpq has it. `sslmode` is honoured: `disable`, `prefer` (the default: TLS if
    /// it can be had), `require`, and `verify-full`. With feature `postgres-tls`, `require`
    /// verifies the server as `verify-full` does; without it, `require` cannot be met and
    /// connecting fails. Of several hosts, the one that takes writes is used; one that does not
    /// answer within a quarter of the time limit is passed over. A standby is refused: it lags
    /// behind, and would accept tokens that are revoked.
    ///
    /// # Errors
    /// [`StoreError::Schema`] if the tables are of a later version, or cannot be migrated;
    /// [`StoreError::Unavailable`] if the URL cannot be read or the database not be reached.
    pub async fn connect(&self, url: &str) -> Result<PostgresStore, StoreError> {
        let config = read_url(url)?;
        let home = Home::current()?;
        let connector = self.connector(home.clone(), self.greeting())?;
        let manager = ManagerConfig { recycling_method: RecyclingMethod::Fast };
        let manager = Manager::from_connect(config.clone(), connector.clone(), manager);
        let pool = Pool::builder(manager)
            .max_size(self.pool_size)
            .build()
            .map_err(StoreError::unavailable)?;
        let direct = (!self.pooler).then_some(config);
        self.store(home, pool, self.pooler, direct).await
    }

    /// Uses the host's own pool, and brings the schema of its database up to date. The pool's size
    /// and TLS are the host's choice then. Changes of other nodes are only told with
    /// [`with_listen_url`](Self::with_listen_url).
    ///
    /// Must be called on a Tokio runtime with time, which the store lives on.
    ///
    /// # Errors
    /// As [`connect`](Self::connect).
    pub async fn use_pool(&self, pool: Pool) -> Result<PostgresStore, StoreError> {
        self.store(Home::current()?, pool, true, None).await
    }

    async fn store(
        &self,
        home: Home,
        pool: Pool,
        settles_each: bool,
        direct: Option<Config>,
    ) -> Result<PostgresStore, StoreError> {
        let sql = Sql::new(self.schema.as_deref(), self.tells_changes)?;
        let listen = match &self.listen_url {
            Some(url) => Some(read_url(url)?),
            None => direct,
        };
        let listen = match listen {
            Some(config) => Some((self.connector(home.clone(), String::new())?, config)),
            None => None,
        };
        // Where the session is not the store's own, each transaction has its settings.
        // Its server may have become a standby since it was last looked at.
        let settings =
            settles_each.then(|| format!("{}; {NO_STANDBY}", self.settings("SET LOCAL")));
        let store = PostgresStore::new(home, pool, sql, self, settings, listen);
        store.prepare(self.schema.as_deref(), self.migrates).await?;
        Ok(store)
    }

    fn connector(&self, home: Home, greeting: String) -> Result<Connector, StoreError> {
        Ok(Connector {
            home,
            #[cfg(feature = "postgres-tls")]
            tls: super::tls::make(self.tls_roots.as_deref())?,
            greeting,
            patience: self.timeout / 4,
            last: Arc::default(),
        })
    }

    fn greeting(&self) -> String {
        if self.pooler { String::new() } else { format!("{}; {NO_STANDBY}", self.settings("SET")) }
    }

    /// A node that hangs in the middle of a transaction must not hold its locks for ever.
    fn settings(&self, set: &str) -> String {
        let limit = self.timeout.as_millis().clamp(1, i32::MAX.unsigned_abs().into());
        format!(
            "{set} statement_timeout = {limit}; {set} idle_in_transaction_session_timeout = {limit}"
        )
    }
}

impl fmt::Debug for PostgresOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A URL may hold a password.
        f.debug_struct("PostgresOptions")
            .field("pool_size", &self.pool_size)
            .field("timeout", &self.timeout)
            .field("schema", &self.schema)
            .finish_non_exhaustive()
    }
}
