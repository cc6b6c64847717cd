//! The last good document.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

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
    /// Held by whoever fetches. The others wait for it if there is nothing that they can use.
    turn: async_lock::Mutex<()>,
}

#[derive(Debug)]
struct State<T> {
    held: Option<(Arc<T>, Timestamp)>,
    /// The last try to fetch what is held again.
    tried: Option<Try>,
    /// How often it failed with nothing to fall back on, and when it did last.
    failures: u64,
    failed: Option<Try>,
}

/// When it was tried to fetch a document.
#[derive(Debug, Clone, Copy)]
struct Try {
    begin: Timestamp,
    end: Timestamp,
}

impl Try {
    /// Whether it ended no longer ago. A clock that is set back to before it makes it long ago.
    fn is_within(self, span: TimeDelta, now: Timestamp) -> bool {
        self.begin.since(now) < span && now.since(self.end) < span
    }
}

/// What there is to use.
enum Held<'a, T> {
    Fresh(Arc<T>),
    /// To be fetched again by whoever is told so, who has the turn unless somebody else does.
    Old(Arc<T>, Option<async_lock::MutexGuard<'a, ()>>),
    Nothing {
        failures: u64,
    },
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
        let state = State { held: None, tried: None, failures: 0, failed: None };
        let turn = async_lock::Mutex::new(());
        Self { source: Box::new(source), state: Mutex::new(state), turn }
    }

    /// The document as of `now`.
    pub(crate) async fn at(&self, now: Timestamp) -> Result<Arc<T>, T::Error> {
        let failures = match self.held(now)? {
            Held::Fresh(document) => return Ok(document),
            Held::Old(document, _turn) => {
                let mut unfinished = Unfinished { kept: self, began: Some(now) };
                let (read, tried) = self.read(now).await;
                unfinished.began = None;
                return self.settle(read, Some(document), tried);
            }
            Held::Nothing { failures } => failures,
        };
        let _turn = self.turn.lock().await;
        match self.held(now)? {
            Held::Fresh(document) | Held::Old(document, _) => Ok(document),
            // Whoever had the turn before asked for this one too.
            Held::Nothing { failures: since } if since != failures => {
                Err(FetchError::Paused.into())
            }
            Held::Nothing { .. } => {
                let (read, tried) = self.read(now).await;
                self.settle(read, None, tried)
            }
        }
    }

    /// The document as of `now` unless it is old: for whoever does not find in an old one what may
    /// be in a new one. Waits for whoever fetches it, and fetches nothing.
    ///
    /// # Errors
    /// [`FetchError::Paused`] if there is no fresh one.
    pub(crate) async fn fresh_at(&self, now: Timestamp) -> Result<Arc<T>, FetchError> {
        if let Some(document) = self.fresh(now) {
            return Ok(document);
        }
        drop(self.turn.lock().await);
        self.fresh(now).ok_or(FetchError::Paused)
    }

    fn fresh(&self, now: Timestamp) -> Option<Arc<T>> {
        let (document, at) = self.lock().held.clone()?;
        is_within(at, FRESH, now).then_some(document)
    }

    fn held(&self, now: Timestamp) -> Result<Held<'_, T>, FetchError> {
        let mut state = self.lock();
        match state.held.clone() {
            Some((document, at)) if is_within(at, STALE, now) => {
                let tried = state.tried.is_some_and(|tried| tried.is_within(PAUSE, now));
                if tried || is_within(at, FRESH, now) {
                    return Ok(Held::Fresh(document));
                }
                state.tried = Some(Try { begin: now, end: now });
                // Before anybody else can see that it is tried.
                Ok(Held::Old(document, self.turn.try_lock()))
            }
            // Or whoever sends what is forged would make requests elsewhere.
            _ if state.failed.is_some_and(|failed| failed.is_within(PAUSE_WITHOUT, now)) => {
                Err(FetchError::Paused)
            }
            _ => Ok(Held::Nothing { failures: state.failures }),
        }
    }

    /// Fetches and reads the document. How long that takes is measured, since the clock that tells
    /// `now` is the caller's.
    async fn read(&self, now: Timestamp) -> (Result<T, T::Error>, Try) {
        let begun = Instant::now();
        let fetched = self.source.fetch().await.map_err(T::Error::from);
        let took = TimeDelta::from_std(begun.elapsed()).unwrap_or(TimeDelta::MAX);
        let read = fetched.and_then(|bytes| T::read(&bytes));
        (read, Try { begin: now, end: now.saturating_add(took) })
    }

    /// Keeps what was read, or tells what is used instead.
    fn settle(
        &self,
        read: Result<T, T::Error>,
        old: Option<Arc<T>>,
        tried: Try,
    ) -> Result<Arc<T>, T::Error> {
        let mut state = self.lock();
        match (read, old) {
            (Ok(document), _) => {
                let document = Arc::new(document);
                state.held = Some((Arc::clone(&document), tried.begin));
                Ok(document)
            }
            // A place that cannot be reached takes nothing back.
            (Err(error), Some(document)) if !T::withdraws(&error) => {
                state.tried = Some(tried);
                Ok(document)
            }
            (Err(error), _) => {
                state.held = None;
                state.failures += 1;
                state.failed = Some(tried);
                Err(error)
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a document is no older. A clock that is set back makes nothing fresh for longer.
fn is_within(at: Timestamp, span: TimeDelta, now: Timestamp) -> bool {
    now.since(at).abs() < span
}

/// Takes back that a try began if it is given up: it did not fail, and whoever hangs up must not
/// keep the document old.
struct Unfinished<'a, T> {
    kept: &'a Kept<T>,
    /// When it began, until it has an outcome.
    began: Option<Timestamp>,
}

impl<T> Drop for Unfinished<'_, T> {
    fn drop(&mut self) {
        let mut state = self.kept.state.lock().unwrap_or_else(PoisonError::into_inner);
        // Another may have begun one since.
        if state.tried.is_some_and(|tried| Some(tried.begin) == self.began) {
            state.tried = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::task::{Context, Poll, Waker};

    use super::*;
    use crate::fetch::LocalFile;

    #[derive(Debug)]
    struct Text;

    impl Document for Text {
        type Error = FetchError;

        fn read(_: &[u8]) -> Result<Self, FetchError> {
            Ok(Self)
        }
    }

    #[test]
    fn the_pause_after_a_failure_is_counted_from_its_end() {
        let kept = Kept::<Text>::new(LocalFile::new("/nowhere"));
        let begin = Timestamp::from_micros(1_000_000_000_000_000).unwrap();
        let after = |seconds| begin.saturating_add(TimeDelta::seconds(seconds));
        let micro = TimeDelta::microseconds(1);
        let late = Try { begin, end: after(5) };
        assert!(kept.settle(Err(FetchError::Paused), None, late).is_err());
        for paused in [begin, after(5), after(6).saturating_sub(micro)] {
            assert!(matches!(kept.held(paused), Err(FetchError::Paused)), "{paused}");
        }
        for over in [after(6), after(-1)] {
            assert!(matches!(kept.held(over), Ok(Held::Nothing { failures: 1 })), "{over}");
        }

        let good = Try { begin: after(-600), end: after(-600) };
        let old = kept.settle(Ok(Text), None, good).unwrap();
        assert!(kept.settle(Err(FetchError::Paused), Some(old), late).is_ok());
        assert!(matches!(kept.held(after(15).saturating_sub(micro)), Ok(Held::Fresh(_))));
        assert!(matches!(kept.held(after(15)), Ok(Held::Old(..))));
    }

    #[test]
    fn a_try_ends_when_its_fetch_does() {
        #[derive(Debug)]
        struct Slow;

        #[async_trait::async_trait]
        impl Fetch for Slow {
            async fn fetch(&self) -> Result<Vec<u8>, FetchError> {
                let begun = Instant::now();
                while begun.elapsed().as_millis() < 2 {}
                Err(FetchError::Paused)
            }
        }

        let kept = Kept::<Text>::new(Slow);
        let now = Timestamp::from_micros(1_000_000_000_000_000).unwrap();
        let mut read = Box::pin(kept.read(now));
        let read = read.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        let Poll::Ready((Err(_), tried)) = read else { panic!("{read:?}") };
        assert!(tried.begin == now && tried.end.since(now) >= TimeDelta::milliseconds(2));
    }
}
