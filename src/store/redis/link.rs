//! The connections to a server or a cluster, and which node a command goes to.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures_util::future;
use redis::aio::{ConnectionLike as _, ConnectionManager};
use redis::cluster::ClusterClient;
use redis::cluster_async::ClusterConnection;
use redis::cluster_routing::{
    MultipleNodeRoutingInfo, Route, RoutingInfo, SingleNodeRoutingInfo, SlotAddr,
};
use redis::{Cmd, ErrorKind, FromRedisValue, Pipeline, RedisError, RedisResult, Value};
use tokio::runtime::Handle;

use super::durability;
use super::error::{is_unknown_script, outage};
use super::script::Script;
use crate::store::StoreError;

/// One multiplexed connection to a server, or one to each node of a cluster.
#[derive(Clone)]
pub(super) enum Wire {
    Single(Arc<Single>),
    Cluster(Arc<Cluster>),
}

/// The connection to a server. The driver makes a new one where the old one breaks; where it leads
/// nowhere, as to a machine that is gone, nothing breaks, and it is given up for its silence.
pub(super) struct Single {
    connect: Box<dyn Fn() -> RedisResult<ConnectionManager> + Send + Sync>,
    patience: Duration,
    current: Mutex<Current>,
}

struct Current {
    manager: ConnectionManager,
    /// Counts the connections.
    number: u64,
    /// When the first question was asked since the last answer.
    silent_since: Option<Instant>,
    /// When the server last said that it is a master, on this connection.
    master_at: Option<Instant>,
}

impl Single {
    /// A connection that is given up if something was asked and nothing was answered for this
    /// long.
    pub(super) fn new(
        patience: Duration,
        connect: impl Fn() -> RedisResult<ConnectionManager> + Send + Sync + 'static,
    ) -> RedisResult<Self> {
        let current =
            Current { manager: connect()?, number: 0, silent_since: None, master_at: None };
        Ok(Self { connect: Box::new(connect), patience, current: Mutex::new(current) })
    }

    fn current(&self) -> MutexGuard<'_, Current> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn ask<T>(
        &self,
        ask: impl AsyncFnOnce(ConnectionManager) -> RedisResult<T>,
    ) -> RedisResult<T> {
        let now = Instant::now();
        let (manager, number, is_known) = {
            let mut current = self.current();
            if current.silent_since.is_some_and(|since| since.elapsed() >= self.patience) {
                current.manager = (self.connect)()?;
                current.number += 1;
                current.silent_since = None;
                current.master_at = None;
            }
            current.silent_since.get_or_insert(now);
            let is_known = current.master_at.is_some_and(|at| now - at < MASTER);
            (current.manager.clone(), current.number, is_known)
        };
        let answer = if is_known {
            ask(manager).await
        } else {
            // Asked together, before its answer is known: it costs no further way to the server.
            let (role, answer) = future::join(role(manager.clone()), ask(manager)).await;
            role.and(answer)
        };
        let mut current = self.current();
        if current.number == number {
            current.silent_since = None;
            match &answer {
                Ok(_) if !is_known => current.master_at = Some(now),
                // The next connection may lead to another server.
                Err(error) if error.is_io_error() => current.master_at = None,
                Ok(_) | Err(_) => {}
            }
        }
        answer
    }
}

/// How long a server that was a master is taken for one. It may become a replica while connections
/// to it last, and what it then says may be older than a revocation.
const MASTER: Duration = Duration::from_millis(500);

/// Fails unless the server is a master.
async fn role(mut server: ConnectionManager) -> RedisResult<()> {
    let told = server.req_packed_command(redis::cmd("INFO").arg("replication")).await?;
    if durability::is_master(told.extract_error()?) {
        return Ok(());
    }
    let text = "the server is a replica, or does not tell: connect to its master";
    Err(RedisError::from((ErrorKind::Client, text)))
}

/// The connections to a cluster. The driver sends every step to a master, and looks for another master where a connection breaks, and
/// asks the same one again where it is only silent; then everything is connected anew.
pub(super) struct Cluster {
    client: ClusterClient,
    runtime: Handle,
    patience: Duration,
    current: Mutex<ClusterConnection>,
    connecting: AtomicBool,
}

impl Cluster {
    /// Connections that are given up if somebody waited this long for an answer, or longer, and
    /// went away without one.
    pub(super) async fn connect(client: ClusterClient, patience: Duration) -> RedisResult<Self> {
        let current = Mutex::new(client.get_async_connection().await?);
        let (runtime, connecting) = (Handle::current(), AtomicBool::new(false));
        Ok(Self { client, runtime, patience, current, connecting })
    }

    /// The connections, and who waits for an answer on them.
    fn ask(self: &Arc<Self>) -> (ClusterConnection, Asking) {
        let current = self.current.lock().unwrap_or_else(PoisonError::into_inner).clone();
        (current, Asking { cluster: self.clone(), since: Instant::now(), answered: false })
    }

    fn connect_anew(self: Arc<Self>) {
        if self.connecting.swap(true, Ordering::AcqRel) {
            return;
        }
        self.runtime.clone().spawn(async move {
            if let Ok(connected) = self.client.get_async_connection().await {
                *self.current.lock().unwrap_or_else(PoisonError::into_inner) = connected;
            }
            self.connecting.store(false, Ordering::Release);
        });
    }
}

/// Somebody who waits for an answer of a cluster.
struct Asking {
    cluster: Arc<Cluster>,
    since: Instant,
    answered: bool,
}

impl Asking {
    fn answered(mut self) {
        self.answered = true;
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        if !self.answered && self.since.elapsed() >= self.cluster.patience {
            self.cluster.clone().connect_anew();
        }
    }
}

impl Wire {
    async fn send(&self, command: &Cmd) -> RedisResult<Value> {
        let answer = match self.clone() {
            Self::Single(wire) => {
                wire.ask(async |mut wire| wire.req_packed_command(command).await).await
            }
            Self::Cluster(cluster) => {
                let (mut wire, asking) = cluster.ask();
                let answer = wire.req_packed_command(command).await;
                asking.answered();
                answer
            }
        };
        answer?.extract_error()
    }

    /// Sends several commands one after the other through one connection, to the master of the
    /// slot of `key`.
    async fn send_all(&self, pipeline: Pipeline, key: &str) -> RedisResult<Vec<Value>> {
        let count = pipeline.len();
        let answers = match self.clone() {
            Self::Single(wire) => {
                wire.ask(async |mut wire| wire.req_packed_commands(&pipeline, 0, count).await)
                    .await?
            }
            Self::Cluster(cluster) => {
                let route = Route::with_key(key, SlotAddr::Master);
                let route = SingleNodeRoutingInfo::SpecificNode(route);
                let (mut wire, asking) = cluster.ask();
                let answers = wire.route_pipeline(pipeline, 0, count, route).await;
                asking.answered();
                answers?
            }
        };
        answers.into_iter().map(Value::extract_error).collect()
    }
}

/// The way to the server.
pub(super) struct Link {
    pub(super) reads: Wire,
    /// A connection that may wait for replicas.
    pub(super) writes: Wire,
    /// The runtime on which the connections run; it also keeps the time of a command that another
    /// one waits for.
    pub(super) runtime: Handle,
    pub(super) timeout: Duration,
    /// How many replicas must have a change.
    pub(super) replicas: u32,
}

impl Link {
    /// Sends a command that reads one key or none.
    pub(super) async fn read<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, StoreError> {
        let answer = self.in_time(self.reads.send(command)).await?;
        T::from_redis_value(answer).map_err(StoreError::unavailable)
    }

    /// Sends a command that changes one key.
    pub(super) async fn write<T: FromRedisValue>(
        &self,
        command: &Cmd,
        key: &str,
    ) -> Result<T, StoreError> {
        let answer = self.in_time(self.acknowledged(command, key)).await?;
        let answer = self.enough_replicas(answer)?;
        T::from_redis_value(answer).map_err(StoreError::unavailable)
    }

    /// Runs a script that changes nothing.
    pub(super) async fn look(
        &self,
        script: &Script,
        shard: &str,
        arguments: &[&[u8]],
    ) -> Result<Value, StoreError> {
        let run = async {
            match self.reads.send(&script.by_hash(shard, arguments)).await {
                Err(error) if is_unknown_script(&error) => {
                    self.reads.send(&script.by_text(shard, arguments)).await
                }
                answer => answer,
            }
        };
        self.in_time(run).await
    }

    /// Runs a script that changes something.
    pub(super) async fn run(
        &self,
        script: &Script,
        shard: &str,
        arguments: &[&[u8]],
    ) -> Result<Value, StoreError> {
        let run = async {
            match self.acknowledged(&script.by_hash(shard, arguments), shard).await {
                Err(error) if is_unknown_script(&error) => {
                    self.acknowledged(&script.by_text(shard, arguments), shard).await
                }
                answer => answer,
            }
        };
        let answer = self.in_time(run).await?;
        self.enough_replicas(answer)
    }

    /// Sends a command to every node.
    pub(super) async fn everywhere(&self, command: &Cmd) -> Result<Vec<Value>, StoreError> {
        let Wire::Cluster(cluster) = &self.reads else {
            return Ok(vec![self.in_time(self.reads.send(command)).await?]);
        };
        let (mut wire, asking) = cluster.ask();
        let nodes = RoutingInfo::MultiNode((MultipleNodeRoutingInfo::AllNodes, None));
        let answers = self.in_time(wire.route_command(command.clone(), nodes)).await?;
        asking.answered();
        match answers {
            Value::Map(answers) => {
                let answers = answers.into_iter().map(|(_, answer)| answer.extract_error());
                answers.collect::<RedisResult<_>>().map_err(outage)
            }
            answer => Ok(vec![answer]),
        }
    }

    /// Sends a command and, after it through the same connection, asks how many replicas have it.
    /// Through another connection, the answer would be about other changes.
    async fn acknowledged(&self, command: &Cmd, key: &str) -> RedisResult<Acknowledged> {
        if self.replicas == 0 {
            let answer = self.writes.send(command).await?;
            return Ok(Acknowledged { answer, replicas: 0 });
        }
        let patience = u64::try_from(self.timeout.as_millis() / 2).unwrap_or(u64::MAX).max(1);
        let mut pipeline = Pipeline::new();
        pipeline.add_command(command.clone());
        pipeline.cmd("WAIT").arg(self.replicas).arg(patience);
        let mut answers = self.writes.send_all(pipeline, key).await?;
        let replicas = answers.pop().map_or(Ok(0), u32::from_redis_value)?;
        Ok(Acknowledged { answer: answers.pop().unwrap_or(Value::Nil), replicas })
    }

    fn enough_replicas(&self, acknowledged: Acknowledged) -> Result<Value, StoreError> {
        if acknowledged.replicas >= self.replicas {
            return Ok(acknowledged.answer);
        }
        Err(StoreError::unavailable(format!(
            "{} of {} replicas have the change",
            acknowledged.replicas, self.replicas
        )))
    }

    async fn in_time<T>(
        &self,
        answer: impl Future<Output = RedisResult<T>>,
    ) -> Result<T, StoreError> {
        self.waited_for(async { answer.await.map_err(outage) }).await
    }

    /// What a future gives, if it does so in time.
    pub(super) async fn waited_for<T>(
        &self,
        answer: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let limited = {
            let _runtime = self.runtime.enter();
            tokio::time::timeout(self.timeout, answer)
        };
        limited.await.unwrap_or_else(|elapsed| Err(StoreError::unavailable(elapsed)))
    }
}

/// An answer and how many replicas have what was changed.
struct Acknowledged {
    answer: Value,
    replicas: u32,
}
