//! The connections to a server or a cluster, and which node a command goes to.

use std::time::Duration;

use redis::aio::{ConnectionLike as _, ConnectionManager};
use redis::cluster_async::ClusterConnection;
use redis::cluster_routing::{
    MultipleNodeRoutingInfo, Route, RoutingInfo, SingleNodeRoutingInfo, SlotAddr,
};
use redis::{Cmd, FromRedisValue, Pipeline, RedisResult, Value};
use tokio::runtime::Handle;

use super::error::{is_unknown_script, outage};
use super::script::Script;
use crate::store::StoreError;

/// One multiplexed connection to a server, or one to each node of a cluster.
#[derive(Clone)]
pub(super) enum Wire {
    Single(ConnectionManager),
    Cluster(ClusterConnection),
}

impl Wire {
    async fn send(&self, command: &Cmd) -> RedisResult<Value> {
        let answer = match self.clone() {
            Self::Single(mut wire) => wire.req_packed_command(command).await,
            Self::Cluster(mut wire) => wire.req_packed_command(command).await,
        };
        answer?.extract_error()
    }

    /// Sends several commands one after the other through one connection, to the master of the
    /// slot of `key`.
    async fn send_all(&self, pipeline: Pipeline, key: &str) -> RedisResult<Vec<Value>> {
        let count = pipeline.len();
        let answers = match self.clone() {
            Self::Single(mut wire) => wire.req_packed_commands(&pipeline, 0, count).await?,
            Self::Cluster(mut wire) => {
                let route = Route::with_key(key, SlotAddr::Master);
                let route = SingleNodeRoutingInfo::SpecificNode(route);
                wire.route_pipeline(pipeline, 0, count, route).await?
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
        let Wire::Cluster(mut wire) = self.reads.clone() else {
            return Ok(vec![self.in_time(self.reads.send(command)).await?]);
        };
        let nodes = RoutingInfo::MultiNode((MultipleNodeRoutingInfo::AllNodes, None));
        let answers = self.in_time(wire.route_command(command.clone(), nodes)).await?;
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
