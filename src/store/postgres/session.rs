//! A connection that is in use, and how statements run on it.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use deadpool_postgres::{Object, StatementCache};
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Row};

use super::error::StepError;
use super::sql::Sql;
use super::value::Value;

/// What a step works with: a connection, inside a transaction or not.
#[derive(Clone, Copy)]
pub(super) struct Session<'a> {
    pub(super) client: &'a Client,
    pub(super) cache: &'a StatementCache,
    pub(super) sql: &'a Sql,
    /// None where statements cannot stay prepared.
    pub(super) shapes: Option<&'a Shapes>,
}

impl Session<'_> {
    pub(super) async fn rows(&self, sql: &str, values: &[Value]) -> Result<Vec<Row>, StepError> {
        if self.shapes.is_some_and(|shapes| shapes.keeps(sql)) {
            let types: Vec<Type> = values.iter().map(Value::sql_type).collect();
            let bound: Vec<&(dyn ToSql + Sync)> =
                values.iter().map(|value| value as &(dyn ToSql + Sync)).collect();
            let statement = self.cache.prepare_typed(self.client, sql, &types).await?;
            return Ok(self.client.query(&statement, &bound).await?);
        }
        let bound: Vec<(&(dyn ToSql + Sync), Type)> =
            values.iter().map(|value| (value as &(dyn ToSql + Sync), value.sql_type())).collect();
        Ok(self.client.query_typed(sql, &bound).await?)
    }

    /// The first row, if there is one.
    pub(super) async fn row(&self, sql: &str, values: &[Value]) -> Result<Option<Row>, StepError> {
        Ok(self.rows(sql, values).await?.into_iter().next())
    }

    /// How many rows the statement changed.
    pub(super) async fn count(&self, sql: &str, values: &[Value]) -> Result<u64, StepError> {
        if self.shapes.is_some_and(|shapes| shapes.keeps(sql)) {
            let types: Vec<Type> = values.iter().map(Value::sql_type).collect();
            let bound: Vec<&(dyn ToSql + Sync)> =
                values.iter().map(|value| value as &(dyn ToSql + Sync)).collect();
            let statement = self.cache.prepare_typed(self.client, sql, &types).await?;
            return Ok(self.client.execute(&statement, &bound).await?);
        }
        let bound: Vec<(&(dyn ToSql + Sync), Type)> =
            values.iter().map(|value| (value as &(dyn ToSql + Sync), value.sql_type())).collect();
        Ok(self.client.execute_typed(sql, &bound).await?)
    }
}

/// The statements that stay prepared: the first ones that were used, since nothing tells which of
/// the many that filters can make will come again.
#[derive(Debug, Default)]
pub(super) struct Shapes(Mutex<HashSet<String>>);

impl Shapes {
    /// Most statements that each connection keeps prepared.
    const MOST: usize = 200;

    fn keeps(&self, sql: &str) -> bool {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.contains(sql) {
            return true;
        }
        kept.len() < Self::MOST && kept.insert(sql.to_owned())
    }
}

/// A connection taken from the pool. It goes back there, unless its user gave up on it after
/// waiting for long: then it may hang, and is closed.
pub(super) struct Held<'a> {
    client: Option<Object>,
    since: Instant,
    patience: Duration,
    silence: &'a Silence,
    settled: bool,
}

impl<'a> Held<'a> {
    pub(super) fn new(client: Object, patience: Duration, silence: &'a Silence) -> Self {
        Self { client: Some(client), since: Instant::now(), patience, silence, settled: false }
    }

    /// The connection. It is there until this is dropped.
    pub(super) fn client(&mut self) -> Result<&mut Object, StepError> {
        self.client.as_mut().ok_or(StepError::TimedOut)
    }

    /// The server answered: the connection works, or is known to be closed.
    pub(super) fn settle(mut self) {
        self.settled = true;
        self.silence.end();
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        if !self.settled
            && self.since.elapsed() >= self.patience
            && let Some(client) = self.client.take()
        {
            drop(Object::take(client));
        }
    }
}

/// Since when the database was asked and answered nobody. Connections to a machine that is gone do
/// not break; only this tells that they are worth nothing, even if nobody waits for long.
#[derive(Debug, Default)]
pub(super) struct Silence(Mutex<Option<Instant>>);

impl Silence {
    /// Notes that the database is asked. Says whether there was silence for this long; then it
    /// begins anew.
    pub(super) fn ask(&self, patience: Duration) -> bool {
        let mut since = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let lasts = since.is_some_and(|since| since.elapsed() >= patience);
        if lasts || since.is_none() {
            *since = Some(Instant::now());
        }
        lasts
    }

    fn end(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}
