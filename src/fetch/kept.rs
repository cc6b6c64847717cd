//! The last good document.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::TimeDelta;

use super::Fetch;
use super::error::FetchError;
use crate::clock::Timestamp;

/// What a document says.
pub(crate) trait Document: Sized {
    /// Why there is none.
    type Error: From<FetchError>;

    /// Reads a document.
    fn read(bytes: &[u8]) -> Result<Self, Self::Error>;

    /// Whether what was had before must not be used either.
    fn withdraws(_: &Self::Error) -> bool {
        false
    }
}

/// A document that is fetched when it is first needed and again every five minutes, whatever
/// arrives meanwhile: nobody who sends something can cause a fetch.
#[derive(Debug)]
pub(crate) struct Kept<T> {
    source: Box<dyn Fetch>,
    state: Mutex<State<T>>,
    /// Held by whoever fetches while there is nothing to use. The others wait for it.
    turn: async_lock::Mutex<()>,
}

#[derive(Debug)]
struct State<T> {
    held: Option<(Arc<T>, Timestamp)>,
    tried_at: Option<Timestamp>,
    /// How often it failed with nothing to fall back on, and when it did last.
    failures: u64,
    failed_at: Option<Timestamp>,
}

/// What there is to use.
enum Held<T> {
    Fresh(Arc<T>),
    Old(Arc<T>),
    Nothing { failures: u64 },
}

/// How old a document is when it is fetched again.
const FRESH: TimeDelta = TimeDelta::minutes(5);
/// How long one is used at most if fetching fails.
const STALE: TimeDelta = TimeDelta::hours(24);
/// How long after a failure it is tried again.
const PAUSE: TimeDelta = TimeDelta::seconds(10);
/// The same while there is nothing at all.
const PAUSE_WITHOUT: TimeDelta = TimeDelta::seconds(1);

impl<T: Document> Kept<T> {
    pub(crate) fn new(source: impl Fetch) -> Self {
        let state = State { held: None, tried_at: None, failures: 0, failed_at: None };
        let turn = async_lock::Mutex::new(());
        Self { source: Box::new(source), state: Mutex::new(state), turn }
    }

    /// The document as of `now`.
    pub(crate) async fn at(&self, now: Timestamp) -> Result<Arc<T>, T::Error> {
        let failures = match self.held(now)? {
            Held::Fresh(document) => return Ok(document),
            Held::Old(document) => return self.fetched(now, Some(document)).await,
            Held::Nothing { failures } => failures,
        };
        let _turn = self.turn.lock().await;
        match self.held(now)? {
            Held::Fresh(document) | Held::Old(document) => Ok(document),
            // Whoever had the turn before asked for this one too.
            Held::Nothing { failures: since } if since != failures => {
                Err(FetchError::Paused.into())
            }
            Held::Nothing { .. } => self.fetched(now, None).await,
        }
    }

    fn held(&self, now: Timestamp) -> Result<Held<T>, FetchError> {
        // A clock that is set back makes nothing fresh for longer.
        let within = |at: Timestamp, span| now.since(at).abs() < span;
        let mut state = self.lock();
        match state.held.clone() {
            Some((document, at)) if within(at, STALE) => {
                if within(at, FRESH) || state.tried_at.is_some_and(|at| within(at, PAUSE)) {
                    return Ok(Held::Fresh(document));
                }
                state.tried_at = Some(now);
                Ok(Held::Old(document))
            }
            // Or whoever sends what is forged would make requests elsewhere.
            _ if state.failed_at.is_some_and(|at| within(at, PAUSE_WITHOUT)) => {
                Err(FetchError::Paused)
            }
            _ => Ok(Held::Nothing { failures: state.failures }),
        }
    }

    async fn fetched(&self, now: Timestamp, old: Option<Arc<T>>) -> Result<Arc<T>, T::Error> {
        let fetched = self.source.fetch().await.map_err(T::Error::from);
        let read = fetched.and_then(|bytes| T::read(&bytes));
        let mut state = self.lock();
        match (read, old) {
            (Ok(document), _) => {
                let document = Arc::new(document);
                state.held = Some((Arc::clone(&document), now));
                Ok(document)
            }
            // A place that cannot be reached takes nothing back.
            (Err(error), Some(document)) if !T::withdraws(&error) => Ok(document),
            (Err(error), _) => {
                state.held = None;
                state.failures += 1;
                state.failed_at = Some(now);
                Err(error)
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
