//! What other nodes did, by `LISTEN` and `NOTIFY`.

use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use async_trait::async_trait;
use tokio_postgres::{AsyncMessage, Client, Config};

use super::connect::{BoxFuture, Connector, Messages};
use crate::store::{Changes, Notice, StoreError};
use crate::token::TokenId;

/// How long the channel may be silent before the server is asked whether it is still there. With
/// its answer, a notice comes at least once a second.
const SILENCE: Duration = Duration::from_millis(500);
/// How long the server may take to answer, or to be connected to.
const PATIENCE: Duration = Duration::from_secs(3);
/// Longest payload; PostgreSQL refuses 8,000 bytes.
const MAX_PAYLOAD: usize = 7_900;

/// Ids and versions as payloads: `id:version`, separated by commas.
pub(super) fn payloads(changed: &[(TokenId, i64)]) -> Vec<String> {
    let mut payloads: Vec<String> = Vec::new();
    for (id, version) in changed {
        let entry = format!("{id}:{version}");
        match payloads.last_mut() {
            Some(last) if last.len() + 1 + entry.len() <= MAX_PAYLOAD => {
                last.push(',');
                last.push_str(&entry);
            }
            _ => payloads.push(entry),
        }
    }
    payloads
}

/// The notices in a payload. One that cannot be understood may have told of anything.
fn notices(payload: &str) -> impl Iterator<Item = Notice> {
    payload.split(',').map(|entry| {
        let read = || {
            let (id, version) = entry.split_once(':')?;
            Some(Notice::Changed { id: id.parse().ok()?, version: version.parse().ok()? })
        };
        read().unwrap_or(Notice::Gap)
    })
}

/// One subscription, on a connection of its own that nothing else drives.
pub(super) struct Listener {
    connector: Connector,
    config: Config,
    channel: String,
    /// The statement that counts revocations.
    count: String,
    state: State,
    told: VecDeque<Notice>,
}

enum State {
    Down,
    Connecting(BoxFuture<'static, Result<Line, StoreError>>),
    Up(Line),
}

/// A connection that listens.
struct Line {
    client: Arc<Client>,
    messages: Messages,
    ping: Option<BoxFuture<'static, Result<Option<i64>, tokio_postgres::Error>>>,
    watch: Watch,
}

/// Notices that nothing is heard although revocations are counted: by a listener that is connected
/// to another place than where others tell, or when others do not tell.
#[derive(Debug, Default)]
struct Watch {
    counted: Option<i64>,
    heard: bool,
    /// More was counted the last time, and nothing was heard before that.
    doubts: bool,
}

impl Watch {
    /// Takes the count of revocations; whether some were missed. What was told of the last one may
    /// still be on its way, so that is decided one count later.
    fn missed(&mut self, counted: Option<i64>) -> bool {
        let heard = std::mem::take(&mut self.heard);
        let missed = std::mem::take(&mut self.doubts) && !heard;
        let before = std::mem::replace(&mut self.counted, counted);
        self.doubts = before.is_some() && before != counted && !heard && !missed;
        missed
    }
}

impl Listener {
    /// A listener that is already connected.
    pub(super) async fn new(
        connector: Connector,
        config: Config,
        channel: String,
        count: String,
    ) -> Result<Self, StoreError> {
        let told = VecDeque::new();
        let mut listener = Self { connector, config, channel, count, state: State::Down, told };
        listener.connect().await?;
        Ok(listener)
    }

    /// Connects, or goes on connecting.
    async fn connect(&mut self) -> Result<(), StoreError> {
        if let State::Down = self.state {
            let line = Line::open(self.connector.clone(), self.config.clone(), &self.channel);
            self.state = State::Connecting(Box::pin(line));
        }
        if let State::Connecting(line) = &mut self.state {
            match line.as_mut().await {
                Ok(line) => {
                    self.state = State::Up(line);
                    self.told.clear();
                    self.told.push_back(Notice::Gap);
                }
                Err(error) => {
                    self.state = State::Down;
                    return Err(error);
                }
            }
        }
        Ok(())
    }
}

impl Line {
    fn open(
        connector: Connector,
        config: Config,
        channel: &str,
    ) -> impl Future<Output = Result<Self, StoreError>> + Send + 'static {
        let listen = format!("LISTEN \"{}\"", channel.replace('"', "\"\""));
        async move {
            let home = connector.home.clone();
            let open = async move {
                let (client, mut messages) = connector.open(&config).await?;
                let client = Arc::new(client);
                let listener = client.clone();
                let listening = async move { listener.batch_execute(&listen).await };
                let mut listening = std::pin::pin!(listening);
                // Nothing that is told before the first gap is missed after it.
                poll_fn(|context| {
                    while let Poll::Ready(message) = messages(context) {
                        match message {
                            Some(Ok(_)) => {}
                            Some(Err(error)) => return Poll::Ready(Err(error)),
                            None => break,
                        }
                    }
                    listening.as_mut().poll(context)
                })
                .await?;
                Ok::<_, tokio_postgres::Error>(Self {
                    client,
                    messages,
                    ping: None,
                    watch: Watch::default(),
                })
            };
            match home.within(PATIENCE, open).await {
                Some(Ok(line)) => Ok(line),
                Some(Err(error)) => Err(StoreError::unavailable(error)),
                None => Err(StoreError::unavailable("the database did not answer in time")),
            }
        }
    }

    /// The next payloads, the answer to a ping, or the end.
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Result<Heard, StoreError>> {
        let answered = match &mut self.ping {
            Some(ping) => ping.as_mut().poll(context),
            None => Poll::Pending,
        };
        if answered.is_ready() {
            self.ping = None;
        }
        let mut payloads = Vec::new();
        let ended = loop {
            match (self.messages)(context) {
                Poll::Ready(Some(Ok(AsyncMessage::Notification(notification)))) => {
                    payloads.push(notification.payload().to_owned());
                }
                Poll::Ready(Some(Ok(_))) => {}
                Poll::Ready(Some(Err(error))) => break Some(StoreError::unavailable(error)),
                Poll::Ready(None) => break Some(StoreError::unavailable("the connection ended")),
                Poll::Pending => break None,
            }
        };
        if let Some(error) = ended {
            return Poll::Ready(Err(error));
        }
        if !payloads.is_empty() {
            self.watch.heard = true;
            return Poll::Ready(Ok(Heard::Payloads(payloads)));
        }
        match answered {
            Poll::Ready(Ok(counted)) => {
                let missed = self.watch.missed(counted);
                Poll::Ready(Ok(if missed { Heard::Less } else { Heard::Answer }))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(StoreError::unavailable(error))),
            Poll::Pending => Poll::Pending,
        }
    }
}

enum Heard {
    Payloads(Vec<String>),
    Answer,
    /// Less than there was to hear.
    Less,
}

#[async_trait]
impl Changes for Listener {
    async fn next(&mut self) -> Result<Notice, StoreError> {
        loop {
            if let Some(notice) = self.told.pop_front() {
                return Ok(notice);
            }
            let State::Up(line) = &mut self.state else {
                self.connect().await?;
                continue;
            };
            let limit = if line.ping.is_some() { PATIENCE } else { SILENCE };
            let home = self.connector.home.clone();
            let heard = home.within(limit, poll_fn(|context| line.poll(context))).await;
            match heard {
                Some(Ok(Heard::Payloads(payloads))) => {
                    self.told.extend(payloads.iter().flat_map(|payload| notices(payload)));
                }
                Some(Ok(Heard::Answer)) => return Ok(Notice::Alive),
                Some(Ok(Heard::Less)) => return Ok(Notice::Gap),
                Some(Err(error)) => {
                    self.state = State::Down;
                    return Err(error);
                }
                None if line.ping.is_none() => {
                    let client = line.client.clone();
                    let count = self.count.clone();
                    line.ping = Some(Box::pin(async move {
                        let rows = client.query_typed(&count, &[]).await?;
                        rows.first().map(|row| row.try_get(0)).transpose().map(Option::flatten)
                    }));
                }
                None => {
                    self.state = State::Down;
                    let text = "the connection that listens does not answer";
                    return Err(StoreError::unavailable(text));
                }
            }
        }
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listener").field("channel", &self.channel).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: usize) -> TokenId {
        format!("{number:016}").parse().unwrap()
    }

    #[test]
    fn payloads_are_short_and_tell_everything() {
        let changed: Vec<(TokenId, i64)> =
            (0..2_000).map(|number| (id(number), i64::MAX)).collect();
        let payloads = payloads(&changed);
        assert!(payloads.len() > 1);
        assert!(payloads.iter().all(|payload| payload.len() < 8_000));
        let told: Vec<Notice> = payloads.iter().flat_map(|payload| notices(payload)).collect();
        let expected: Vec<Notice> = changed
            .iter()
            .map(|(id, version)| Notice::Changed { id: *id, version: version.unsigned_abs() })
            .collect();
        assert_eq!(told, expected);
    }

    #[test]
    fn what_is_counted_and_not_heard_was_missed() {
        let mut watch = Watch::default();
        for (heard, counted, missed) in [
            (false, 5, false),
            (false, 5, false),
            // Told in time, or a little late.
            (true, 6, false),
            (false, 7, false),
            (true, 7, false),
            (false, 7, false),
            // Never told, twice.
            (false, 8, false),
            (false, 8, true),
            (false, 8, false),
            (false, 9, false),
            (false, 10, true),
            (false, 11, false),
            (false, 11, true),
            // An older database.
            (false, 3, false),
            (false, 3, true),
        ] {
            watch.heard |= heard;
            assert_eq!(watch.missed(Some(counted)), missed, "{watch:?}");
        }
    }

    #[test]
    fn what_cannot_be_understood_is_a_gap() {
        for strange in ["", "x", "0000000000000001", "0000000000000001:-1", "?:1"] {
            assert_eq!(notices(strange).collect::<Vec<_>>(), [Notice::Gap], "{strange:?}");
        }
    }
}
