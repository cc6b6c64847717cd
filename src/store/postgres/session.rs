//! A connection that is in use, and how statements run on it.

use std::collections::HashSet;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use deadpool_postgres::{Object, StatementCache};
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Row, Statement};

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
        let kept = self.kept(sql, values).await?;
        self.query(kept.as_ref(), sql, values).await
    }

    /// The rows of a statement that reads, in a transaction of its own with these settings. All of
    /// it is sent at once, so that it takes one way to the server and back.
    pub(super) async fn rows_with(
        &self,
        settings: &str,
        sql: &str,
        values: &[Value],
    ) -> Result<Vec<Row>, StepError> {
        let kept = self.kept(sql, values).await?;
        let begin = format!("BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY; {settings}");
        let (begun, rows, ended) = in_order(
            self.client.batch_execute(&begin),
            self.query(kept.as_ref(), sql, values),
            self.client.batch_execute("COMMIT"),
        )
        .await;
        // Where it did not begin, the others only say that.
        begun?;
        let rows = rows?;
        ended?;
        Ok(rows)
    }

    /// The statement as the connection keeps it, if it does.
    async fn kept(&self, sql: &str, values: &[Value]) -> Result<Option<Statement>, StepError> {
        if !self.shapes.is_some_and(|shapes| shapes.keeps(sql)) {
            return Ok(None);
        }
        let types: Vec<Type> = values.iter().map(Value::sql_type).collect();
        Ok(Some(self.cache.prepare_typed(self.client, sql, &types).await?))
    }

    async fn query(
        &self,
        kept: Option<&Statement>,
        sql: &str,
        values: &[Value],
    ) -> Result<Vec<Row>, StepError> {
        if let Some(kept) = kept {
            return Ok(self.client.query(kept, &bound(values)).await?);
        }
        Ok(self.client.query_typed(sql, &typed(values)).await?)
    }

    /// The first row, if there is one.
    pub(super) async fn row(&self, sql: &str, values: &[Value]) -> Result<Option<Row>, StepError> {
        Ok(self.rows(sql, values).await?.into_iter().next())
    }

    /// How many rows the statement changed.
    pub(super) async fn count(&self, sql: &str, values: &[Value]) -> Result<u64, StepError> {
        if let Some(kept) = self.kept(sql, values).await? {
            return Ok(self.client.execute(&kept, &bound(values)).await?);
        }
        Ok(self.client.execute_typed(sql, &typed(values)).await?)
    }
}

fn bound(values: &[Value]) -> Vec<&(dyn ToSql + Sync)> {
    values.iter().map(|value| value as &(dyn ToSql + Sync)).collect()
}

fn typed(values: &[Value]) -> Vec<(&(dyn ToSql + Sync), Type)> {
    values.iter().map(|value| (value as &(dyn ToSql + Sync), value.sql_type())).collect()
}

/// What three futures give that begin in this order, none waiting for another. The driver sends
/// what a future asks for when that is first polled.
async fn in_order<A: Future, B: Future, C: Future>(
    first: A,
    second: B,
    third: C,
) -> (A::Output, B::Output, C::Output) {
    let (mut first, mut second, mut third) = (pin!(first), pin!(second), pin!(third));
    let (mut a, mut b, mut c) = (None, None, None);
    poll_fn(|context| {
        step(first.as_mut(), &mut a, context);
        step(second.as_mut(), &mut b, context);
        step(third.as_mut(), &mut c, context);
        match (a.take(), b.take(), c.take()) {
            (Some(a), Some(b), Some(c)) => Poll::Ready((a, b, c)),
            unfinished => {
                (a, b, c) = unfinished;
                Poll::Pending
            }
        }
    })
    .await
}

fn step<F: Future>(future: Pin<&mut F>, output: &mut Option<F::Output>, context: &mut Context<'_>) {
    if output.is_none()
        && let Poll::Ready(done) = future.poll(context)
    {
        *output = Some(done);
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
