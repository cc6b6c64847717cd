//! The store itself: its steps, and the scripts they run.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use rand::TryRng as _;
use redis::{Client, FromRedisValue, IntoConnectionInfo};

use super::answer::{Answer, read_id, split_first};
use super::changes::RedisChanges;
use super::link::Link;
use super::options::RedisOptions;
use super::pack::{Packed, pack};
use super::query::{self, Stretch};
use super::record::{self, digits};
use super::script;
use crate::clock::Timestamp;
use crate::scope::ScopeCatalog;
use crate::store::contract::tokens_of;
use crate::store::finder::{Finder, Source};
use crate::store::gate::Gate;
use crate::store::{
    Admission, Change, Changes, Conflict, Facts, Filter, PageRequest, Position, Purge, StoreError,
    TokenStore, Use,
};
use crate::token::{Kind, Record, Revocation, Token, TokenId};

/// Tokens in Redis or Valkey: one server, or a cluster.
///
/// It meets the [`TokenStore`] contract, also where many processes use the same keys. Every step
/// on the tokens of one owner is one script; on a single server with one shard, so is every other
/// step, but that revocations and lists of everything or of a tenant go on a thousand records at a
/// time. The module's documentation tells what that means, and what is different in a cluster.
///
/// An acknowledged change is in the server's append-only file. A server that may lose it is
/// refused, unless [`RedisOptions::danger_allow_lossy`] accepts that.
///
/// It needs Redis 6 or later or Valkey, and permission for `EVAL`, `EVALSHA`, `GET`, `MGET`, `SET`, `DEL`,
/// `SADD`, `SMEMBERS`, `PUBLISH`, `SUBSCRIBE`, `WAIT`, `CONFIG GET` and `INFO`. Copies share the
/// same connections.
///
/// ```no_run
/// # async fn connect() -> Result<(), hallpass::StoreError> {
/// use hallpass::RedisStore;
///
/// let store = RedisStore::connect("redis://127.0.0.1:6379").await?;
/// let cluster = RedisStore::connect_cluster(["redis://10.0.0.1", "redis://10.0.0.2"]).await?;
///
/// assert!(RedisStore::connect("http://127.0.0.1").await.is_err());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct RedisStore(Arc<Inner>);

/// How many records a script looks at before others have their turn.
const PIECE: &str = "1000";
/// How many uses one script notes, and how many records one removes.
const USES: usize = 200;
/// How many callers ask for records at the same time. On one connection that all share, a few more
/// than keep the server busy cost nothing.
const LEADERS: usize = 4;
/// How many commands of one step are under way at once.
pub(super) const AT_ONCE: usize = 32;

pub(super) struct Inner {
    pub(super) link: Link,
    /// For subscriptions, which need connections of their own.
    pub(super) clients: Vec<Client>,
    pub(super) prefix: String,
    pub(super) shards: u32,
    finder: Arc<Finder<Vec<u8>>>,
    gate: Gate,
    /// What the names of this store's steps begin with, and how many there were.
    steps: (u64, AtomicU64),
}

impl RedisStore {
    /// Connects to a server; see [`RedisOptions::connect`].
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if the server cannot be reached or may lose what it has
    /// acknowledged, [`StoreError::Schema`] if its keys are of another version.
    pub async fn connect(server: impl IntoConnectionInfo) -> Result<Self, StoreError> {
        RedisOptions::new().connect(server).await
    }

    /// Connects to a cluster by some of its nodes; see [`RedisOptions::connect_cluster`].
    ///
    /// # Errors
    /// As [`connect`](Self::connect). A cluster with replicas is refused here, as nobody said how
    /// many of them a change must be [waited for](RedisOptions::with_replicas).
    pub async fn connect_cluster<N: IntoConnectionInfo>(
        nodes: impl IntoIterator<Item = N>,
    ) -> Result<Self, StoreError> {
        RedisOptions::new().connect_cluster(nodes).await
    }

    pub(super) fn new(inner: Inner) -> Self {
        Self(Arc::new(inner))
    }
}

impl Inner {
    pub(super) fn new(
        link: Link,
        clients: Vec<Client>,
        prefix: String,
        shards: u32,
        gate: Gate,
    ) -> Self {
        // Two stores with the same number would have to take their equally numbered steps on the
        // same record, so without random numbers a fixed one does.
        let random = rand::rngs::SysRng.try_next_u64().unwrap_or_default();
        let steps = (random, AtomicU64::new(0));
        Self { link, clients, prefix, shards, finder: Finder::new(LEADERS), gate, steps }
    }

    /// A name for a step that no other step has.
    pub(super) fn step(&self) -> String {
        let (store, count) = (self.steps.0, self.steps.1.fetch_add(1, Ordering::Relaxed));
        format!("{store:x}.{count:x}")
    }

    /// The first records of a page in one shard.
    async fn page(
        &self,
        shard: u32,
        filter: &[u8],
        mut stretch: Stretch,
        (now, limit): (&str, u32),
    ) -> Result<Vec<Record>, StoreError> {
        let shard = self.shard(shard);
        let mut records = Vec::new();
        loop {
            let most = usize::try_from(limit).unwrap_or(usize::MAX).saturating_sub(records.len());
            let descending = if stretch.descending { "1" } else { "" };
            let arguments: [&[u8]; 8] = [
                filter,
                now.as_bytes(),
                stretch.index.as_bytes(),
                &stretch.from,
                &stretch.to,
                descending.as_bytes(),
                PIECE.as_bytes(),
                &most.to_string().into_bytes(),
            ];
            let answer = self.link.look(&script::PAGE, &shard, &arguments).await?;
            let (next, found) = split_first(answer)?;
            records.extend(record::read_all(&found, &shard)?);
            if next.is_empty() || records.len() >= usize::try_from(limit).unwrap_or(usize::MAX) {
                return Ok(records);
            }
            stretch.advance(&next);
        }
    }

    /// The records that a filter admits in one shard.
    async fn pick(
        &self,
        shard: u32,
        filter: &[u8],
        ids: Option<Vec<TokenId>>,
        now: &str,
    ) -> Result<Vec<Record>, StoreError> {
        let shard = self.shard(shard);
        let ids = ids.map(query::ids).unwrap_or_default();
        let arguments = [filter, now.as_bytes(), &ids];
        let found = self.link.look(&script::PICK, &shard, &arguments).await?;
        let found = Vec::<Vec<u8>>::from_redis_value(found).map_err(StoreError::unavailable)?;
        record::read_all(&found, &shard)
    }

    /// Runs one step of a revocation: where to go on, and the ids of what was revoked.
    async fn revoke(
        &self,
        shard: u32,
        head: [&[u8]; 5],
        tail: [&[u8]; 5],
    ) -> Result<(Vec<u8>, Vec<Vec<u8>>), StoreError> {
        let arguments: Vec<&[u8]> = head.into_iter().chain(tail).collect();
        split_first(self.link.run(&script::REVOKE, &self.shard(shard), &arguments).await?)
    }

    /// Ids of records that ended long ago and from which none was made, in every shard.
    async fn ended(&self, purge: &Purge) -> Result<BTreeMap<u32, Vec<TokenId>>, StoreError> {
        let mut ended = BTreeMap::<u32, Vec<TokenId>>::new();
        let mut left = usize::try_from(purge.limit).unwrap_or(usize::MAX);
        let classes = [("k", Kind::Personal), ("a", Kind::Access)];
        let places = (0..self.shards).flat_map(|shard| classes.map(|class| (shard, class)));
        for (number, (class, kind)) in places {
            let shard = self.shard(number);
            let before = digits(purge.before(kind)).into_bytes();
            let mut from = format!("[{class}").into_bytes();
            while left > 0 {
                let most = left.to_string().into_bytes();
                let arguments = [class.as_bytes(), &before, &from, PIECE.as_bytes(), &most];
                let answer = self.link.look(&script::ENDED, &shard, &arguments).await?;
                let (next, ids) = split_first(answer)?;
                for id in ids {
                    let id = read_id(&id)?;
                    if !self.has_kin(&id).await? {
                        ended.entry(number).or_default().push(id);
                        left = left.saturating_sub(1);
                    }
                }
                if next.is_empty() {
                    break;
                }
                from = [b"(", next.as_slice()].concat();
            }
        }
        Ok(ended)
    }

    /// Removes those of these records that still may be, and returns how many.
    async fn remove(
        &self,
        shard: u32,
        ids: &[TokenId],
        [before, exchanged]: [&str; 2],
    ) -> Result<u64, StoreError> {
        let packed = query::ids(ids.iter().copied());
        let arguments = [&packed, before.as_bytes(), exchanged.as_bytes()];
        let removed = self.link.run(&script::REMOVE, &self.shard(shard), &arguments).await?;
        let removed = Vec::<Vec<u8>>::from_redis_value(removed).map_err(StoreError::unavailable)?;
        if self.shards > 1 {
            for id in &removed {
                let id = read_id(id)?;
                for key in [self.pointer(&id), self.kin(&id)] {
                    let mut command = redis::cmd("DEL");
                    command.arg(&key);
                    let _: u32 = self.link.write(&command, &key).await?;
                }
            }
        }
        Ok(removed.len() as u64)
    }
}

#[async_trait]
impl Source for Inner {
    type Row = Vec<u8>;

    async fn one(&self, id: &TokenId) -> Result<Option<Vec<u8>>, StoreError> {
        let Some(shard) = self.shard_with(id).await? else {
            return Ok(None);
        };
        let mut command = redis::cmd("GET");
        command.arg(self.token_key(shard, id));
        self.link.read(&command).await
    }

    async fn many(&self, ids: &[TokenId]) -> Result<Vec<(TokenId, Vec<u8>)>, StoreError> {
        let mut command = redis::cmd("MGET");
        for id in ids {
            command.arg(self.token_key(0, id));
        }
        let found: Vec<Option<Vec<u8>>> = self.link.read(&command).await?;
        let found = ids.iter().zip(found);
        Ok(found.filter_map(|(id, packed)| Some((*id, packed?))).collect())
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl TokenStore for RedisStore {
    async fn insert(&self, record: &Record, admission: &Admission) -> Result<(), StoreError> {
        let inner = &self.0;
        let _pass = inner.gate.enter()?;
        let token = &record.token;
        let number = inner.shard_of(&token.tenant, &token.owner);
        let shard = inner.shard(number);
        let packed = record::packed(record, &inner.step());
        let now = digits(admission.now);
        let quota = admission.quota.map(|quota| quota.to_string()).unwrap_or_default();
        let flag = |set: bool| if set { b"1".as_slice() } else { b"" };
        let arguments = |taken: bool, check: bool| {
            let unique = flag(admission.unique_name);
            [&packed, now.as_bytes(), quota.as_bytes(), unique, flag(taken), flag(check)]
        };
        if inner.shards > 1 {
            // What would be refused leaves no pointer.
            let there = inner.shard_with(&token.id).await?;
            let arguments = arguments(there.is_some_and(|there| there != number), true);
            let answer = inner.link.look(&script::INSERT, &shard, &arguments).await?;
            Answer::read(answer)?.admitted(admission)?;
            if !inner.point(record, number).await? {
                return Err(Conflict::IdTaken.into());
            }
        }
        let answer = inner.link.run(&script::INSERT, &shard, &arguments(false, false)).await?;
        Answer::read(answer)?.admitted(admission)
    }

    async fn find(&self, id: &TokenId) -> Result<Option<Record>, StoreError> {
        let inner = &self.0;
        let _pass = inner.gate.enter()?;
        let read = |packed: &[u8]| record::read(packed, id.as_str());
        // The keys of a cluster's shards cannot be asked for together.
        if inner.shards > 1 {
            let found = inner.one(id).await?;
            return found.as_deref().map(read).transpose();
        }
        let found = inner.link.waited_for(inner.finder.find(id, &**inner)).await?;
        found.map(|packed| read(&packed)).transpose()
    }

    async fn list(
        &self,
        filter: &Filter,
        page: &PageRequest,
        now: Timestamp,
    ) -> Result<Vec<Record>, StoreError> {
        let inner = &self.0;
        let _pass = inner.gate.enter()?;
        let (packed, now) = (query::filter(filter), digits(now));
        let (packed, now) = (packed.as_slice(), now.as_str());
        let records: Vec<Vec<Record>> = match inner.places(filter).await? {
            Some(places) => {
                let pick = |(shard, ids)| inner.pick(shard, packed, ids, now);
                stream::iter(places).map(pick).buffer_unordered(AT_ONCE).try_collect().await?
            }
            None => {
                let stretch = Stretch::of_page(page, filter);
                let read = |shard| inner.page(shard, packed, stretch.clone(), (now, page.limit));
                stream::iter(0..inner.shards)
                    .map(read)
                    .buffer_unordered(AT_ONCE)
                    .try_collect()
                    .await?
            }
        };
        Ok(one_page(records.into_iter().flatten(), page))
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
        let inner = &self.0;
        let _pass = inner.gate.enter()?;
        let Some(shard) = inner.shard_with(id).await? else {
            return Ok(None);
        };
        let unique = matches!(change.name, Some((_, true)));
        let (version, now, step) = (expected_version.to_string(), digits(now), inner.step());
        let arguments: [&[u8]; 6] = [
            id.as_bytes(),
            version.as_bytes(),
            now.as_bytes(),
            &record::changes(change),
            if unique { b"1" } else { b"" },
            step.as_bytes(),
        ];
        let answer = inner.link.run(&script::UPDATE, &inner.shard(shard), &arguments).await?;
        Answer::read(answer)?.updated(id)
    }

    async fn revoke(&self, filter: &Filter, mark: &Revocation) -> Result<Vec<TokenId>, StoreError> {
        let inner = &self.0;
        let _pass = inner.gate.enter()?;
        let (packed, step) = (query::filter(filter), inner.step());
        let (at, by) = (digits(mark.at), mark.by.to_string());
        let reason = mark.reason.as_str().as_bytes();
        let head = [&packed, at.as_bytes(), by.as_bytes(), reason, step.as_bytes()];
        let mut revoked = Vec::new();
        if let Some(places) = inner.places(filter).await? {
            for (shard, ids) in places {
                let ids = ids.map(query::ids).unwrap_or_default();
                let (_, ids) = inner.revoke(shard, head, [&ids, b"", b"", b"", b""]).await?;
                revoked.extend(ids);
            }
        } else {
            for shard in 0..inner.shards {
                let mut stretch = Stretch::of_filter(filter);
                loop {
                    let Stretch { index, from, to, .. } = &stretch;
                    let tail = [b"", index.as_bytes(), from, to, PIECE.as_bytes()];
                    let (next, ids) = inner.revoke(shard, head, tail).await?;
                    revoked.extend(ids);
                    if next.is_empty() {
                        break;
                    }
                    stretch.advance(&next);
                }
            }
        }
        revoked.iter().map(|id| read_id(id)).collect()
    }

    async fn touch(&self, uses: &[Use]) -> Result<(), StoreError> {
        let inner = &self.0;
        let _pass = inner.gate.enter()?;
        let shards = inner.shards_with(uses.iter().map(|noted| noted.id)).await?;
        for (shard, ids) in shards {
            let ids: HashSet<TokenId> = ids.into_iter().collect();
            let here: Vec<&Use> = uses.iter().filter(|noted| ids.contains(&noted.id)).collect();
            for some in here.chunks(USES) {
                let mut values = Vec::with_capacity(some.len() * 4);
                for noted in some {
                    values.push(Packed::text(*noted.id.as_bytes()));
                    values.extend(record::used(&noted.last_use));
                }
                inner.link.run(&script::TOUCH, &inner.shard(shard), &[&pack(&values)]).await?;
            }
        }
        Ok(())
    }

    async fn purge(&self, purge: &Purge) -> Result<u64, StoreError> {
        let inner = &self.0;
        let _pass = inner.gate.enter()?;
        let before = digits(purge.before(Kind::Personal));
        let exchanged = digits(purge.before(Kind::Access));
        let mut count = 0;
        loop {
            let left = u32::try_from(u64::from(purge.limit) - count).unwrap_or(0);
            let ended = inner.ended(&Purge { limit: left, ..*purge }).await?;
            let picked: usize = ended.values().map(Vec::len).sum();
            let mut removed = 0;
            for (shard, ended) in &ended {
                for ids in ended.chunks(USES) {
                    removed += inner.remove(*shard, ids, [&before, &exchanged]).await?;
                }
            }
            count += removed;
            // Another purge may have been faster with some of them, and left others.
            if removed == picked as u64 || count >= u64::from(purge.limit) {
                return Ok(count);
            }
        }
    }

    fn resident(&self, _id: &TokenId, _look: &mut dyn FnMut(&Facts)) {}

    async fn changes(&self) -> Result<Option<Box<dyn Changes>>, StoreError> {
        Ok(Some(Box::new(RedisChanges::subscribe(self.0.clone()).await?)))
    }

    async fn generation(&self) -> Result<Vec<u64>, StoreError> {
        let inner = &self.0;
        let _pass = inner.gate.enter()?;
        let count = |shard| async move {
            let mut command = redis::cmd("GET");
            command.arg(format!("{}:revocations", inner.shard(shard)));
            let counted: Option<u64> = inner.link.read(&command).await?;
            Ok(counted.unwrap_or_default())
        };
        stream::iter(0..inner.shards).map(count).buffered(AT_ONCE).try_collect().await
    }

    fn attach(&self, _catalog: &ScopeCatalog) {}
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore")
            .field("prefix", &self.0.prefix)
            .field("shards", &self.0.shards)
            .finish_non_exhaustive()
    }
}

/// Sorts records and takes the page's.
fn one_page(records: impl Iterator<Item = Record>, page: &PageRequest) -> Vec<Record> {
    let place =
        |record: &Record| Position { value: page.sort.value_of(record), id: record.token.id };
    let mut found: Vec<(Position, Record)> = records
        .map(|record| (place(&record), record))
        .filter(|(position, _)| {
            page.after.as_ref().is_none_or(|after| {
                if page.descending { position < after } else { position > after }
            })
        })
        .collect();
    found.sort_unstable_by(|(a, _), (b, _)| if page.descending { b.cmp(a) } else { a.cmp(b) });
    found.truncate(usize::try_from(page.limit).unwrap_or(usize::MAX));
    found.into_iter().map(|(_, record)| record).collect()
}
