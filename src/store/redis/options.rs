//! How a server or a cluster is connected to.

use std::sync::Arc;
use std::time::Duration;

use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::cluster::ClusterClient;
use redis::{Client, ConnectionAddr, ConnectionInfo, IntoConnectionInfo};
use tokio::runtime::Handle;

use super::durability;
use super::error::outage;
use super::link::{Cluster, Link, Single, Wire};
use super::store::{Inner, RedisStore};
use crate::store::StoreError;
use crate::store::gate::Gate;

/// How a [`RedisStore`] connects.
///
/// ```no_run
/// # async fn connect() -> Result<(), hallpass::StoreError> {
/// use std::time::Duration;
/// use hallpass::RedisOptions;
///
/// let store = RedisOptions::new()
///     .with_prefix("tokens:")
///     .with_timeout(Duration::from_secs(1))
///     .connect("rediss://user:password@redis.example:6379")
///     .await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct RedisOptions {
    prefix: String,
    shards: Option<u32>,
    timeout: Duration,
    max_steps: usize,
    replicas: u32,
    allow_lossy: bool,
}

/// What the keys look like, before the number of shards.
const SCHEMA: &str = "1";
/// How many shards a cluster has unless told otherwise.
const CLUSTER_SHARDS: u32 = 256;
/// How long to wait before connecting again; it doubles up to [`LONGEST_PAUSE`].
const PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);
/// How often a lost connection is tried again before the commands that wait for it fail.
const ATTEMPTS: usize = 3;

impl Default for RedisOptions {
    fn default() -> Self {
        Self::new()
    }
}

impl RedisOptions {
    /// Most shards.
    pub const MAX_SHARDS: u32 = 4096;

    /// Keys that begin with `hallpass:`, a time limit of 2 seconds, and no waiting for replicas.
    pub fn new() -> Self {
        Self {
            prefix: "hallpass:".to_owned(),
            shards: None,
            timeout: Duration::from_secs(2),
            max_steps: Gate::MOST,
            replicas: 0,
            allow_lossy: false,
        }
    }

    /// What every key and channel begins with, so that several stores can share a server. Without
    /// `{` and `}`, which mean something to a cluster.
    pub fn with_prefix(self, prefix: impl Into<String>) -> Self {
        Self { prefix: prefix.into(), ..self }
    }

    /// Into how many shards the tokens are divided, from 1 to 4096; other numbers become the
    /// nearest. It is decided when the first store connects and cannot change afterwards.
    ///
    /// A single server has 1, a cluster 256. A single server whose data shall move to a cluster
    /// later needs more than 1 from the beginning; then a cold verification takes two round trips
    /// instead of one. More shards than the cluster will ever have nodes, times ten, spread evenly.
    pub fn with_shards(self, shards: u32) -> Self {
        Self { shards: Some(shards.clamp(1, Self::MAX_SHARDS)), ..self }
    }

    /// How long a step waits for the server before it fails with [`StoreError::Unavailable`].
    pub fn with_timeout(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }

    /// Most steps that are under way at a time, those included that wait for a connection or an
    /// answer; at least 1, and 4,096 unless told otherwise. Where the server is too slow for what
    /// is asked of it, further ones fail at once with [`StoreError::Unavailable`].
    pub fn with_max_steps(self, steps: usize) -> Self {
        Self { max_steps: steps.max(1), ..self }
    }

    /// How many replicas must have a change before it is acknowledged (`WAIT`). If fewer answer
    /// within half the time limit, the step fails with [`StoreError::Unavailable`] and its change
    /// may stay.
    ///
    /// A replica that takes over from its master keeps what was acknowledged if this is at least
    /// the number of replicas each master has; with more replicas than are waited for, it does as
    /// long as the one that is furthest takes over, which Redis tries but does not promise.
    pub fn with_replicas(self, replicas: u32) -> Self {
        Self { replicas, ..self }
    }

    /// Accepts a server that may lose acknowledged steps, revocations among them, when it crashes
    /// or a replica takes over: a revoked token would then be good again.
    ///
    /// Without this, every node must have `appendonly yes`, `appendfsync always` and
    /// `maxmemory-policy noeviction`, must let `CONFIG GET` be used to see it, and replicas must be
    /// [waited for](Self::with_replicas) where there are some.
    pub fn danger_allow_lossy(self) -> Self {
        Self { allow_lossy: true, ..self }
    }

    /// Connects to a server: by a URL (`redis://`, `rediss://` for TLS, `unix://`), or by what the
    /// `redis` crate calls connection info.
    ///
    /// Must be called inside a Tokio runtime whose time is enabled and that outlives the store.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if the server cannot be reached or may lose what it has
    /// acknowledged; [`StoreError::Schema`] if the prefix is used by a store of another version or
    /// with another number of shards, or holds `{` or `}`.
    pub async fn connect(&self, server: impl IntoConnectionInfo) -> Result<RedisStore, StoreError> {
        let server = server.into_connection_info().map_err(outage)?;
        let client = self.client(server)?;
        let config = ConnectionManagerConfig::new()
            .set_min_delay(PAUSE)
            .set_max_delay(LONGEST_PAUSE)
            .set_number_of_retries(ATTEMPTS)
            .set_connection_timeout(Some(self.timeout))
            // The link keeps the time.
            .set_response_timeout(None);
        let connect = || {
            let (client, config, runtime) = (client.clone(), config.clone(), Handle::current());
            let connect = move || {
                let _runtime = runtime.enter();
                ConnectionManager::new_lazy_with_config(client.clone(), config.clone())
            };
            let single = Single::new(self.timeout, connect).map_err(outage)?;
            Ok::<_, StoreError>(Wire::Single(Arc::new(single)))
        };
        let reads = connect()?;
        let writes = if self.replicas == 0 { reads.clone() } else { connect()? };
        self.store(reads, writes, vec![client], 1).await
    }

    /// Connects to a cluster by some of its nodes.
    ///
    /// Must be called inside a Tokio runtime whose time is enabled and that outlives the store.
    ///
    /// # Errors
    /// As [`connect`](Self::connect).
    pub async fn connect_cluster<N: IntoConnectionInfo>(
        &self,
        nodes: impl IntoIterator<Item = N>,
    ) -> Result<RedisStore, StoreError> {
        let nodes: Result<Vec<ConnectionInfo>, _> =
            nodes.into_iter().map(IntoConnectionInfo::into_connection_info).collect();
        let nodes = nodes.map_err(outage)?;
        let clients: Result<Vec<Client>, StoreError> =
            nodes.iter().map(|node| self.client(node.clone())).collect();
        let clients = clients?;
        let cluster = ClusterClient::builder(nodes)
            .connection_timeout(self.timeout)
            .response_timeout(self.timeout)
            .overall_response_timeout(None)
            .build()
            .map_err(outage)?;
        let connect = async || {
            // The link keeps the time, and gives up what is silent.
            let connected = Cluster::connect(cluster.clone(), self.timeout / 2).await;
            Ok::<_, StoreError>(Wire::Cluster(Arc::new(connected.map_err(outage)?)))
        };
        let reads = connect().await?;
        let writes = if self.replicas == 0 { reads.clone() } else { connect().await? };
        self.store(reads, writes, clients, CLUSTER_SHARDS).await
    }

    fn client(&self, server: ConnectionInfo) -> Result<Client, StoreError> {
        if self.prefix.contains(['{', '}']) {
            return Err(StoreError::Schema("the prefix of the keys holds `{` or `}`".to_owned()));
        }
        if matches!(server.addr(), ConnectionAddr::TcpTls { .. })
            && rustls::crypto::CryptoProvider::get_default().is_none()
        {
            // Where the host has chosen none, the driver would panic. Whoever is faster is fine.
            let _ = rustls::crypto::ring::default_provider().install_default();
        }
        Client::open(server).map_err(outage)
    }

    async fn store(
        &self,
        reads: Wire,
        writes: Wire,
        clients: Vec<Client>,
        shards: u32,
    ) -> Result<RedisStore, StoreError> {
        let link = Link {
            reads,
            writes,
            runtime: Handle::current(),
            timeout: self.timeout,
            replicas: self.replicas,
        };
        // The first question: a server that is no master is refused for that.
        link.everywhere(redis::cmd("INFO").arg("replication")).await?;
        if !self.allow_lossy {
            durability::check(&link).await?;
        }
        let shards = self.agree(&link, shards).await?;
        Ok(RedisStore::new(Inner::new(
            link,
            clients,
            self.prefix.clone(),
            shards,
            Gate::new(self.max_steps),
        )))
    }

    /// How many shards there are: as the first store decided.
    async fn agree(&self, link: &Link, default: u32) -> Result<u32, StoreError> {
        let key = format!("{}schema", self.prefix);
        let ours = format!("{SCHEMA} {}", self.shards.unwrap_or(default));
        let mut read = redis::cmd("GET");
        read.arg(&key);
        let mut schema: Option<String> = link.read(&read).await?;
        if schema.is_none() {
            let mut decide = redis::cmd("SET");
            decide.arg(&key).arg(&ours).arg("NX");
            let _: Option<String> = link.write(&decide, &key).await?;
            schema = link.read(&read).await?;
        }
        let theirs = schema.as_deref().and_then(|schema| schema.split_once(' '));
        let shards = match theirs {
            Some((SCHEMA, shards)) => shards.parse().ok(),
            _ => None,
        };
        let shards = shards.filter(|shards| (1..=Self::MAX_SHARDS).contains(shards));
        match (shards, self.shards) {
            (Some(shards), None) => Ok(shards),
            (Some(shards), Some(asked)) if shards == asked => Ok(shards),
            _ => Err(StoreError::Schema(format!(
                "the keys are of schema and number of shards `{}`, not `{ours}`",
                schema.unwrap_or_default()
            ))),
        }
    }
}
