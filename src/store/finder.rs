//! Finding many records at once with one question to the database.
//!
//! A caller that finds few enough asking the database asks at once, alone. While it waits, others
//! queue; when its answer is there, it lets the first of them ask for all of them. So nobody waits
//! to be many, and the more callers there are, the fewer questions each costs. There is no task
//! behind this: the callers lead each other, and one that is dropped hands on what it held.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use tokio::sync::oneshot;

use super::error::StoreError;
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
    /// How many callers ask the database at the same time: more than one, so that the database is
    /// busy while one hands out its answers.
    leaders: usize,
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

/// Most ids in one question.
const MOST: usize = 128;

impl<R: Send + Sync> Finder<R> {
    pub(super) fn new(leaders: usize) -> Arc<Self> {
        let queue = Queue { waiting: VecDeque::new(), leading: 0 };
        Arc::new(Self { leaders, queue: Mutex::new(queue) })
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
        if queue.leading < self.leaders {
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

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::pin::Pin;
    use std::task::{Context, Poll, Waker};

    use tokio::sync::Semaphore;

    use super::*;

    /// Answers as often as it is let to, each id with itself. Ids that start with 9 are not there.
    struct Gate {
        open: Semaphore,
        asked: Mutex<Vec<usize>>,
        fails: bool,
    }

    impl Gate {
        fn new(fails: bool) -> Self {
            Self { open: Semaphore::new(0), asked: Mutex::default(), fails }
        }

        async fn pass(&self, ids: usize) -> Result<(), StoreError> {
            self.asked.lock().unwrap().push(ids);
            self.open.acquire().await.unwrap().forget();
            if self.fails { Err(StoreError::unavailable("closed")) } else { Ok(()) }
        }

        fn asked(&self) -> Vec<usize> {
            self.asked.lock().unwrap().clone()
        }
    }

    #[async_trait]
    impl Source for Gate {
        type Row = TokenId;

        async fn one(&self, id: &TokenId) -> Result<Option<TokenId>, StoreError> {
            self.pass(1).await?;
            Ok(Some(*id).filter(|id| !id.as_str().starts_with('9')))
        }

        async fn many(&self, ids: &[TokenId]) -> Result<Vec<(TokenId, TokenId)>, StoreError> {
            self.pass(ids.len()).await?;
            let there = ids.iter().filter(|id| !id.as_str().starts_with('9'));
            Ok(there.map(|id| (*id, *id)).rev().collect())
        }
    }

    fn id(number: usize) -> TokenId {
        format!("{number:016}").parse().unwrap()
    }

    type Found = Result<Option<Arc<TokenId>>, StoreError>;
    type Finding<'a> = Pin<Box<dyn Future<Output = Found> + 'a>>;

    fn find<'a>(finder: &'a Arc<Finder<TokenId>>, gate: &'a Gate, number: usize) -> Finding<'a> {
        Box::pin(async move { finder.find(&id(number), gate).await })
    }

    fn poll(finding: &mut Finding<'_>) -> Poll<Found> {
        finding.as_mut().poll(&mut Context::from_waker(Waker::noop()))
    }

    fn start(findings: &mut [Finding<'_>]) {
        assert!(findings.iter_mut().all(|finding| poll(finding).is_pending()));
    }

    /// Runs all of them to their end.
    async fn finish(findings: Vec<Finding<'_>>) -> Vec<Found> {
        let mut found: Vec<Option<Found>> = findings.iter().map(|_| None).collect();
        let mut findings = findings;
        poll_fn(move |context| {
            for (finding, found) in findings.iter_mut().zip(&mut found) {
                if found.is_none()
                    && let Poll::Ready(value) = finding.as_mut().poll(context)
                {
                    *found = Some(value);
                }
            }
            if found.iter().all(Option::is_some) {
                return Poll::Ready(found.drain(..).flatten().collect());
            }
            Poll::Pending
        })
        .await
    }

    #[tokio::test]
    async fn callers_that_wait_are_answered_together() {
        let (finder, gate) = (Finder::new(2), Gate::new(false));
        let numbers = [0, 1, 2, 3, 2, 9_000_000_000_000_000, 5];
        let mut findings: Vec<Finding<'_>> =
            numbers.iter().map(|number| find(&finder, &gate, *number)).collect();
        start(&mut findings);
        assert_eq!(gate.asked(), [1, 1]);
        gate.open.add_permits(4);
        for (number, found) in numbers.into_iter().zip(finish(findings).await) {
            let there = (number < 9_000).then(|| id(number));
            assert_eq!(found.unwrap().map(|found| *found), there);
        }
        // The first two let one each ask, and the first of these asks for all others, once.
        assert_eq!(gate.asked(), [1, 1, 3, 1]);
        assert_eq!(finder.queue().leading, 0);
    }

    #[tokio::test]
    async fn as_many_ask_at_a_time_as_may_lead() {
        for leaders in [1, 4] {
            let (finder, gate) = (Finder::new(leaders), Gate::new(false));
            let mut findings: Vec<Finding<'_>> =
                (0..6).map(|number| find(&finder, &gate, number)).collect();
            start(&mut findings);
            assert_eq!(gate.asked(), vec![1; leaders]);
            gate.open.add_permits(100);
            assert!(finish(findings).await.into_iter().all(|found| found.unwrap().is_some()));
            assert_eq!(finder.queue().leading, 0);
        }
    }

    #[tokio::test]
    async fn a_dropped_caller_strands_nobody() {
        // Which callers go away, and after how many answers.
        for gone in [&[0, 1][..], &[2], &[0, 2, 4], &[1, 3], &[0, 1, 2, 3, 4, 5, 6]] {
            for answers in 0..4 {
                let (finder, gate) = (Finder::new(2), Gate::new(false));
                let mut findings: Vec<Finding<'_>> =
                    (0..8).map(|number| find(&finder, &gate, number)).collect();
                start(&mut findings);
                gate.open.add_permits(answers);
                let mut unanswered = Vec::new();
                for (place, mut finding) in findings.into_iter().enumerate() {
                    if place % 2 == 0 && poll(&mut finding).is_ready() {
                        continue;
                    }
                    if !gone.contains(&place) {
                        unanswered.push((place, finding));
                    }
                }
                gate.open.add_permits(100);
                let (places, findings): (Vec<usize>, Vec<Finding<'_>>) =
                    unanswered.into_iter().unzip();
                for (place, found) in places.into_iter().zip(finish(findings).await) {
                    assert_eq!(found.unwrap().as_deref(), Some(&id(place)));
                }
                assert_eq!(finder.queue().leading, 0, "{gone:?}");
                assert!(finder.queue().waiting.is_empty());
            }
        }
    }

    #[tokio::test]
    async fn all_who_asked_together_hear_of_a_failure() {
        let (finder, gate) = (Finder::new(2), Gate::new(true));
        let mut findings: Vec<Finding<'_>> =
            (0..6).map(|number| find(&finder, &gate, number)).collect();
        start(&mut findings);
        gate.open.add_permits(100);
        for found in finish(findings).await {
            assert!(matches!(found, Err(StoreError::Unavailable(_))), "{found:?}");
        }
        // Nobody asked a second time.
        assert_eq!(gate.asked(), [1, 1, 3, 1]);
    }
}
