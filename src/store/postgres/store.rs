//! The store itself: how its steps run on the pool's connections.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use deadpool_postgres::{Object, Pool};
use tokio_postgres::{Config, IsolationLevel, Row};

use super::connect::{Connector, Home};
use super::error::StepError;
use super::listen::Listener;
use super::options::{NO_STANDBY, PostgresOptions};
use super::revoke::Revoke;
use super::session::{Held, Session, Shapes, Silence};
use super::sql::Sql;
use super::steps::{Generation, Insert, List, Step, Touch, Update};
use super::value::{Value, text, texts};
use super::{row, schema};
use crate::clock::Timestamp;
use crate::scope::ScopeCatalog;
use crate::store::contract::tokens_of;
use crate::store::finder::{Finder, Source};
use crate::store::gate::Gate;
use crate::store::{
    Admission, Change, Changes, Facts, Filter, PageRequest, Purge, StoreError, TokenStore, Use,
};
use crate::token::{Record, Revocation, Token, TokenId};

/// Tokens in a PostgreSQL database.
///
/// It meets the whole [`TokenStore`] contract for any number of nodes that share the database, and
/// tells them of each other's changes. Copies share the same connections.
///
/// A step fails with [`StoreError::Unavailable`] while the database cannot be reached, and works
/// again when it can. Where the connection breaks while a change is committed, nobody can tell
/// whether it was; the error says no more than that. A change that was acknowledged is as durable
/// as the database's `synchronous_commit` makes it: leave it at `on` or above.
///
/// ```no_run
/// use hallpass::PostgresStore;
///
/// # async fn open() -> Result<(), hallpass::StoreError> {
/// let store = PostgresStore::connect("postgres://app@localhost/app").await?;
/// assert!(PostgresStore::connect("not a URL").await.is_err());
/// # drop(store);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct PostgresStore(Arc<Inner>);

struct Inner {
    home: Home,
    pool: Pool,
    silence: Silence,
    sql: Sql,
    shapes: Option<Shapes>,
    timeout: Duration,
    /// What every transaction begins with, where the session is not the store's own.
    settings: Option<String>,
    listen: Option<(Connector, Config)>,
    finder: Arc<Finder<Row>>,
    gate: Gate,
}

/// How many callers ask for records at the same time, each on a connection of its own.
const LEADERS: usize = 2;
/// How often a step is taken again if the server asks for it.
const REPETITIONS: u32 = 12;
/// How long to wait before the first repetition; twice as long before each further one.
const PAUSE: Duration = Duration::from_micros(500);
/// Longest wait before a repetition.
const MAX_PAUSE: Duration = Duration::from_millis(64);

impl PostgresStore {
    /// Connects to a database and brings its schema up to date; see
    /// [`PostgresOptions::connect`].
    ///
    /// # Errors
    /// [`StoreError::Schema`] if the tables are of a later version, [`StoreError::Unavailable`]
    /// if the URL cannot be read or the database not be reached.
    pub async fn connect(url: &str) -> Result<Self, StoreError> {
        PostgresOptions::new().connect(url).await
    }

    /// Uses the host's own pool; see [`PostgresOptions::use_pool`].
    ///
    /// # Errors
    /// As [`connect`](Self::connect).
    pub async fn with_pool(pool: Pool) -> Result<Self, StoreError> {
        PostgresOptions::new().use_pool(pool).await
    }

    /// Every migration as one SQL script; see [`PostgresOptions::schema_sql`] for another schema
    /// than that of the connection.
    #[must_use]
    pub fn schema_sql() -> String {
        schema::script(None).unwrap_or_default()
    }

    pub(super) fn new(
        home: Home,
        pool: Pool,
        sql: Sql,
        options: &PostgresOptions,
        settings: Option<String>,
        listen: Option<(Connector, Config)>,
    ) -> Self {
        Self(Arc::new(Inner {
            home,
            pool,
            silence: Silence::default(),
            sql,
            shapes: (!options.pooler).then(Shapes::default),
            timeout: options.timeout,
            settings,
            listen,
            finder: Finder::new(LEADERS),
            gate: Gate::new(options.max_steps),
        }))
    }

    /// Migrates the database, or checks that there is no need to.
    pub(super) async fn prepare(
        &self,
        schema: Option<&str>,
        migrates: bool,
    ) -> Result<(), StoreError> {
        let inner = &self.0;
        let connected = inner.home.within(inner.timeout, inner.pool.get()).await;
        let mut client = connected.ok_or(StepError::TimedOut).and_then(|client| Ok(client?))?;
        // A pool or a pooler of the host's own does not greet.
        client.batch_execute(NO_STANDBY).await.map_err(StepError::from)?;
        if migrates {
            schema::migrate(&mut client, schema).await?;
        } else {
            schema::check(&client, schema).await?;
        }
        Ok(())
    }

    async fn take<S: Step>(&self, step: &S) -> Result<S::Done, StoreError> {
        let inner = &self.0;
        let _pass = inner.gate.enter()?;
        let taken = inner.home.within(inner.timeout, inner.take(step)).await;
        Ok(taken.unwrap_or(Err(StepError::TimedOut))?)
    }
}

impl Inner {
    /// Takes a step, again if the server asks for it.
    async fn take<S: Step>(&self, step: &S) -> Result<S::Done, StepError> {
        let mut pause = PAUSE;
        for _ in 0..REPETITIONS {
            let mut held = self.hold().await?;
            let taken = self.attempt(held.client()?, step).await;
            held.settle();
            match taken {
                Err(error) if error.is_worth_repeating() => {}
                taken => return taken,
            }
            self.home.pause(pause).await;
            pause = (pause * 2).min(MAX_PAUSE);
        }
        Err(StepError::Overtaken)
    }

    async fn hold(&self) -> Result<Held<'_>, StepError> {
        let patience = self.timeout / 2;
        if self.silence.ask(patience) {
            // Dropping them here closes them.
            drop(self.pool.retain(|_, _| false));
        }
        Ok(Held::new(self.pool.get().await?, patience, &self.silence))
    }

    async fn attempt<S: Step>(&self, client: &mut Object, step: &S) -> Result<S::Done, StepError> {
        if step.is_one_statement() && self.settings.is_none() {
            return step.take(self.session(client)).await;
        }
        // Not the database's default: the statement after a lock must see what was committed
        // while the lock was waited for.
        let transaction = client
            .build_transaction()
            .isolation_level(IsolationLevel::ReadCommitted)
            .start()
            .await?;
        if let Some(settings) = &self.settings {
            transaction.batch_execute(settings).await?;
        }
        let session = Session {
            client: transaction.client(),
            cache: &transaction.statement_cache,
            sql: &self.sql,
            shapes: self.shapes.as_ref(),
        };
        let done = step.take(session).await?;
        transaction.commit().await?;
        Ok(done)
    }
}

impl Inner {
    fn session<'a>(&'a self, client: &'a Object) -> Session<'a> {
        Session {
            client,
            cache: &client.statement_cache,
            sql: &self.sql,
            shapes: self.shapes.as_ref(),
        }
    }

    /// The rows of a statement that reads.
    async fn look(&self, sql: &str, values: &[Value]) -> Result<Vec<Row>, StepError> {
        let mut held = self.hold().await?;
        let session = self.session(held.client()?);
        let found = match &self.settings {
            Some(settings) => session.rows_with(settings, sql, values).await,
            None => session.rows(sql, values).await,
        };
        held.settle();
        found
    }
}

#[async_trait]
impl Source for Inner {
    type Row = Row;

    async fn one(&self, id: &TokenId) -> Result<Option<Row>, StoreError> {
        Ok(self.look(&self.sql.find, &[text(id.as_str())]).await?.into_iter().next())
    }

    async fn many(&self, ids: &[TokenId]) -> Result<Vec<(TokenId, Row)>, StoreError> {
        let ids = [texts(ids.iter().map(TokenId::as_str))];
        let found = self.look(&self.sql.find_many, &ids).await?;
        found.into_iter().map(|found| Ok((row::id(&found)?, found))).collect()
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl TokenStore for PostgresStore {
    async fn insert(&self, record: &Record, admission: &Admission) -> Result<(), StoreError> {
        self.take(&Insert { record, admission }).await
    }

    async fn find(&self, id: &TokenId) -> Result<Option<Record>, StoreError> {
        let inner = &self.0;
        let _pass = inner.gate.enter()?;
        let found = inner.home.within(inner.timeout, inner.finder.find(id, &**inner)).await;
        let found = found.unwrap_or(Err(StepError::TimedOut.into()))?;
        found.map(|found| row::record(&found)).transpose()
    }

    async fn list(
        &self,
        filter: &Filter,
        page: &PageRequest,
        now: Timestamp,
    ) -> Result<Vec<Record>, StoreError> {
        self.take(&List { filter, page, now }).await
    }

    async fn list_tokens(
        &self,
        filter: &Filter,
        page: &PageRequest,
        now: Timestamp,
    ) -> Result<Vec<Token>, StoreError> {
        Ok(tokens_of(self.list(filter, page, now).await?))
    }

    async fn update(
        &self,
        id: &TokenId,
        expected_version: u64,
        change: &Change,
        now: Timestamp,
    ) -> Result<Option<Record>, StoreError> {
        self.take(&Update { id, expected_version, change, now }).await
    }

    async fn revoke(&self, filter: &Filter, mark: &Revocation) -> Result<Vec<TokenId>, StoreError> {
        let (mut revoked, mut after) = (Vec::new(), None);
        loop {
            let (ids, last) = self.take(&Revoke { filter, mark, after }).await?;
            revoked.extend(ids);
            match last {
                Some(last) => after = Some(last),
                None => return Ok(revoked),
            }
        }
    }

    async fn touch(&self, uses: &[Use]) -> Result<(), StoreError> {
        if uses.is_empty() {
            return Ok(());
        }
        self.take(&Touch::new(uses)).await
    }

    async fn purge(&self, purge: &Purge) -> Result<u64, StoreError> {
        self.take(purge).await
    }

    fn resident(&self, _id: &TokenId, _look: &mut dyn FnMut(&Facts)) {}

    async fn changes(&self) -> Result<Option<Box<dyn Changes>>, StoreError> {
        let inner = &self.0;
        let (Some(channel), Some((connector, config))) = (&inner.sql.channel, &inner.listen) else {
            return Ok(None);
        };
        let listener = Listener::new(
            connector.clone(),
            config.clone(),
            channel.clone(),
            inner.sql.generation.clone(),
        )
        .await?;
        Ok(Some(Box::new(listener)))
    }

    async fn generation(&self) -> Result<Vec<u64>, StoreError> {
        self.take(&Generation).await.map(|counted| vec![counted])
    }

    fn attach(&self, _catalog: &ScopeCatalog) {}
}

impl fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresStore")
            .field("pool_size", &self.0.pool.status().max_size)
            .finish_non_exhaustive()
    }
}
