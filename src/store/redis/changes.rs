//! What other nodes did, over Redis' publish and subscribe.
//!
//! Messages may be lost: a subscription breaks, a server drops a slow subscriber, nodes of a
//! cluster lose sight of each other. So each shard counts its changes, and a change is told with
//! its number. Several times a second, every shard is asked to tell this subscriber, over the same
//! way, how many there were. A number that is not the next one, or goes back because a replica took
//! over that had fewer changes, is a gap; a shard that is not heard of is an outage.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use redis::aio::{PubSubSink, PubSubStream};
use redis::{FromRedisValue as _, Msg};
use tokio::time::Instant;

use super::error::outage;
use super::script;
use super::store::{AT_ONCE, Inner};
use crate::store::{Changes, Notice, StoreError};
use crate::token::TokenId;

/// How often the shards are asked.
const BEAT: Duration = Duration::from_millis(400);
/// How long an answer may take.
const PATIENCE: Duration = Duration::from_millis(800);

pub(super) struct RedisChanges {
    store: Arc<Inner>,
    subscription: Option<Subscription>,
    /// Which client to connect with next.
    turn: usize,
    /// Whether the first notice of the subscription is still to be given.
    fresh: bool,
}

struct Subscription {
    stream: PubSubStream,
    /// Ends the subscription when it is dropped.
    _sink: PubSubSink,
    /// A channel that nobody else listens to.
    own: String,
    /// The last change of each shard that was told.
    told: HashMap<u32, u64>,
    /// How many shards have not yet answered the last question.
    awaited: usize,
    asked: Instant,
}

impl RedisChanges {
    pub(super) async fn subscribe(store: Arc<Inner>) -> Result<Self, StoreError> {
        let mut changes = Self { store, subscription: None, turn: 0, fresh: true };
        changes.connect().await?;
        Ok(changes)
    }

    async fn connect(&mut self) -> Result<(), StoreError> {
        let store = self.store.clone();
        self.turn = self.turn.wrapping_add(1);
        let client = store.clients.iter().cycle().nth(self.turn % store.clients.len().max(1));
        let client = client.ok_or_else(|| StoreError::unavailable("there is no server"))?;
        let channel = format!("{}changes", store.prefix);
        let own = format!("{channel}:{}", store.step());
        let subscribe = async {
            let (mut sink, stream) = client.get_async_pubsub().await?.split();
            sink.subscribe(&[&channel, &own]).await?;
            Ok((sink, stream))
        };
        let subscribed = tokio::time::timeout(store.link.timeout, subscribe).await;
        let (sink, stream) = subscribed.map_err(StoreError::unavailable)?.map_err(outage)?;
        // What is counted up to here is covered by the gap that is told first.
        let told = ask(&store, &own).await?;
        let awaited = told.len();
        let asked = Instant::now();
        self.subscription = Some(Subscription { stream, _sink: sink, own, told, awaited, asked });
        self.fresh = true;
        Ok(())
    }

    async fn follow(&mut self) -> Result<Notice, StoreError> {
        if self.subscription.is_none() {
            self.connect().await?;
        }
        if std::mem::take(&mut self.fresh) {
            return Ok(Notice::Gap);
        }
        let subscription =
            self.subscription.as_mut().ok_or_else(|| StoreError::unavailable("not connected"))?;
        loop {
            let next_step =
                subscription.asked + if subscription.awaited == 0 { BEAT } else { PATIENCE };
            match tokio::time::timeout_at(next_step, subscription.stream.next()).await {
                Ok(Some(message)) => {
                    if let Some(notice) = subscription.hear(&message) {
                        return Ok(notice);
                    }
                }
                Ok(None) => return Err(StoreError::unavailable("the subscription ended")),
                Err(_) if subscription.awaited > 0 => {
                    return Err(StoreError::unavailable("the subscription is silent"));
                }
                Err(_) => {
                    let asked = Instant::now();
                    let numbers = ask(&self.store, &subscription.own).await?;
                    subscription.awaited = numbers.len();
                    subscription.asked = asked;
                }
            }
        }
    }
}

impl Subscription {
    /// What a message says, if anything.
    fn hear(&mut self, message: &Msg) -> Option<Notice> {
        let text = message.get_payload::<String>().unwrap_or_default();
        let mut words = text.split(' ');
        let mut number = || words.next()?.parse::<u64>().ok();
        // What cannot be understood may have been a change.
        let (Some(shard), Some(number)) = (number(), number()) else {
            return Some(Notice::Gap);
        };
        let Some(told) = u32::try_from(shard).ok().and_then(|shard| self.told.get_mut(&shard))
        else {
            return Some(Notice::Gap);
        };
        if message.get_channel_name() == self.own {
            self.awaited = self.awaited.saturating_sub(1);
            if std::mem::replace(told, number) != number {
                return Some(Notice::Gap);
            }
            return (self.awaited == 0).then_some(Notice::Alive);
        }
        let id = words.next().and_then(|id| id.parse::<TokenId>().ok());
        let version = words.next().and_then(|version| version.parse().ok());
        let in_order = number <= told.saturating_add(1);
        *told = number.max(*told);
        match (in_order, id, version) {
            (true, Some(id), Some(version)) => Some(Notice::Changed { id, version }),
            _ => Some(Notice::Gap),
        }
    }
}

/// Has every shard tell a channel how many changes there were. Returns the numbers too.
async fn ask(store: &Inner, channel: &str) -> Result<HashMap<u32, u64>, StoreError> {
    let ask = |number: u32| async move {
        let shard = store.shard(number);
        let answer = store.link.look(&script::BEAT, &shard, &[channel.as_bytes()]).await?;
        let changes = u64::from_redis_value(answer).map_err(StoreError::unavailable)?;
        Ok((number, changes))
    };
    stream::iter(0..store.shards).map(ask).buffer_unordered(AT_ONCE).try_collect().await
}

#[async_trait]
impl Changes for RedisChanges {
    async fn next(&mut self) -> Result<Notice, StoreError> {
        let notice = self.follow().await;
        if notice.is_err() {
            self.subscription = None;
        }
        notice
    }
}

impl fmt::Debug for RedisChanges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisChanges")
            .field("connected", &self.subscription.is_some())
            .finish_non_exhaustive()
    }
}
