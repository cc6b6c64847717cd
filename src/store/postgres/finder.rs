//! Finding many records at once with one statement.
//!
//! A caller that finds nobody asking the database asks at once, alone. While it waits, others
//! queue; when its answer is there, it lets the first of them ask for all of them. So nobody waits
//! to be many, and the more callers there are, the fewer statements each costs. There is no task
//! behind this: the callers lead each other, and one that is dropped hands on what it held.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use tokio::sync::oneshot;

use crate::store::StoreError;
use crate::token::TokenId;

/// What asks the database.
#[async_trait]
pub(super) trait Source: Sync {
    type Row: Send + Sync;

    async fn one(&self, id: &TokenId) -> Result<Option<Self::Row>, StoreError>;

    /// The rows with these ids, in any order.
    async fn many(&self, ids: &[TokenId]) -> Result<Vec<(TokenId, Self::Row)>, StoreError>;
}

/// Lets callers ask together.
pub(super) struct Finder<R> {
    queue: Mutex<Queue<R>>,
}

struct Queue<R> {
    waiting: VecDeque<Waiting<R>>,
    leading: usize,
}

struct Waiting<R> {
    id: TokenId,
    turn: oneshot::Sender<Turn<R>>,
}

/// What a waiting caller is told.
enum Turn<R> {
    Found(Option<Arc<R>>),
    Failed(Arc<StoreError>),
    Lead(Lead<R>),
}

/// How many callers ask the database at the same time. A second one keeps the database busy while
/// the first hands out its answers.
const LEADERS: usize = 2;
/// Most ids in one statement.
const MOST: usize = 128;

impl<R: Send + Sync> Finder<R> {
    pub(super) fn new() -> Arc<Self> {
        let queue = Queue { waiting: VecDeque::new(), leading: 0 };
        Arc::new(Self { queue: Mutex::new(queue) })
    }

    fn queue(&self) -> MutexGuard<'_, Queue<R>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) async fn find(
        self: &Arc<Self>,
        id: &TokenId,
        source: &impl Source<Row = R>,
    ) -> Result<Option<Arc<R>>, StoreError> {
        loop {
            let turn = match self.join(id) {
                Ok(lead) => Turn::Lead(lead),
                Err(turn) => match turn.await {
                    Ok(turn) => turn,
                    // The leader was dropped before it had an answer.
                    Err(_) => continue,
                },
            };
            return match turn {
                Turn::Found(row) => Ok(row),
                Turn::Failed(error) => Err(shared(&error)),
                Turn::Lead(lead) => lead.ask(id, source).await,
            };
        }
    }

    /// Leads, if there is room for a leader, or waits for its turn.
    fn join(self: &Arc<Self>, id: &TokenId) -> Result<Lead<R>, oneshot::Receiver<Turn<R>>> {
        let mut queue = self.queue();
        if queue.leading < LEADERS {
            queue.leading += 1;
            return Ok(Lead(Some(self.clone())));
        }
        let (turn, waits) = oneshot::channel();
        queue.waiting.push_back(Waiting { id: *id, turn });
        Err(waits)
    }
}

/// The right to ask the database. Dropped, it goes to the next caller that waits, even if it was
/// on its way to one that does not wait any more.
struct Lead<R>(Option<Arc<Finder<R>>>);

impl<R: Send + Sync> Lead<R> {
    async fn ask(
        self,
        id: &TokenId,
        source: &impl Source<Row = R>,
    ) -> Result<Option<Arc<R>>, StoreError> {
        let followers = self.followers();
        if followers.is_empty() {
            return Ok(source.one(id).await?.map(Arc::new));
        }
        let mut ids: Vec<TokenId> = followers.iter().map(|follower| follower.id).collect();
        ids.push(*id);
        ids.sort_unstable();
        ids.dedup();
        let answer = source.many(&ids).await;
        // The next batch is asked for while the answers to this one are handed out.
        drop(self);
        let mut rows: Vec<(TokenId, Arc<R>)> = match answer {
            Ok(rows) => rows.into_iter().map(|(id, row)| (id, Arc::new(row))).collect(),
            Err(error) => {
                let error = Arc::new(error);
                for follower in followers {
                    let _ = follower.turn.send(Turn::Failed(error.clone()));
                }
                return Err(shared(&error));
            }
        };
        rows.sort_unstable_by_key(|(id, _)| *id);
        let found = |id: &TokenId| {
            let place = rows.binary_search_by_key(id, |(id, _)| *id).ok()?;
            rows.get(place).map(|(_, row)| row.clone())
        };
        for follower in followers {
            // Who does not wait any more needs no answer.
            let _ = follower.turn.send(Turn::Found(found(&follower.id)));
        }
        Ok(found(id))
    }

    /// Those that wait now and will get the same answer.
    fn followers(&self) -> Vec<Waiting<R>> {
        let Some(finder) = &self.0 else {
            return Vec::new();
        };
        let mut queue = finder.queue();
        let most = queue.waiting.len().min(MOST - 1);
        queue.waiting.drain(..most).filter(|follower| !follower.turn.is_closed()).collect()
    }
}

impl<R> Drop for Lead<R> {
    fn drop(&mut self) {
        while let Some(finder) = self.0.take() {
            let next = {
                let mut queue = finder.queue.lock().unwrap_or_else(PoisonError::into_inner);
                match queue.waiting.pop_front() {
                    Some(next) => next,
                    None => {
                        queue.leading -= 1;
                        return;
                    }
                }
            };
            if let Err(Turn::Lead(mut refused)) = next.turn.send(Turn::Lead(Lead(Some(finder)))) {
                self.0 = refused.0.take();
            }
        }
    }
}

/// One error for all who asked together.
fn shared(error: &Arc<StoreError>) -> StoreError {
    match &**error {
        StoreError::Schema(text) => StoreError::Schema(text.clone()),
        _ => StoreError::unavailable(Shared(error.clone())),
    }
}

#[derive(Debug)]
struct Shared(Arc<StoreError>);

impl fmt::Display for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the question asked together with others failed")
    }
}

impl std::error::Error for Shared {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source()
    }
}
