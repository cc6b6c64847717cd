//! A short-lived token that is there whenever it is needed.

use std::future::Future;
use std::sync::{Arc, Mutex as StdMutex, MutexGuard, PoisonError};

use chrono::TimeDelta;
use tokio::sync::Mutex;

use super::credential::Credential;
use super::error::ClientError;
use crate::clock::{Clock, Timestamp};

/// The most time before its end at which a token is renewed, in seconds. A token that lives less
/// than five times as long is renewed when a fifth of its life is left.
const MOST_AHEAD: i64 = 60;
/// How long after a failed renewal nobody tries again while the old token is good, and how long
/// after a refusal another refusal changes nothing.
const PAUSE: TimeDelta = TimeDelta::seconds(5);

/// A short-lived token that is there whenever it is needed, for any number of tasks.
///
/// Whoever finds it near its end renews it, one at a time; the others use the old one meanwhile.
/// Only where there is none do they wait, all for the same request, and learn the same if it fails.
/// The wall clock decides, because it goes on while a machine sleeps. Where it is wrong the server
/// refuses the token, and [`reject`](Self::reject) makes the next user renew it.
#[derive(Debug)]
pub(super) struct Session {
    clock: Arc<dyn Clock>,
    state: StdMutex<State>,
    /// Held while somebody renews.
    renewing: Mutex<()>,
}

#[derive(Debug, Default)]
struct State {
    held: Option<Held>,
    /// Renewals that came to an end, and how the last one did.
    attempts: u64,
    failure: Option<ClientError>,
    /// When a renewal last failed.
    failed_at: Option<Timestamp>,
    /// When a token was last refused and forgotten.
    rejected_at: Option<Timestamp>,
}

#[derive(Debug, Clone)]
struct Held {
    token: Arc<Credential>,
    renew_at: Timestamp,
    ends_at: Timestamp,
}

impl Session {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, state: StdMutex::default(), renewing: Mutex::new(()) }
    }

    /// The token, renewed by `renew` if it is time: a new token and the seconds that it is good for.
    pub(super) async fn token<F>(
        &self,
        renew: impl Fn() -> F,
    ) -> Result<Arc<Credential>, ClientError>
    where
        F: Future<Output = Result<(Credential, u64), ClientError>>,
    {
        let now = self.clock.now();
        let (good, attempts) = {
            let state = self.state();
            let good = state.held.as_ref().filter(|held| now < held.ends_at);
            if let Some(held) = good
                && (now < held.renew_at
                    || state.failed_at.is_some_and(|then| is_soon_after(then, now)))
            {
                return Ok(held.token.clone());
            }
            (good.map(|held| held.token.clone()), state.attempts)
        };
        let _turn = match &good {
            Some(token) => match self.renewing.try_lock() {
                Ok(turn) => turn,
                Err(_) => return Ok(token.clone()),
            },
            None => self.renewing.lock().await,
        };
        // Who waited takes what whoever went first got.
        {
            let state = self.state();
            if state.attempts != attempts {
                let now = self.clock.now();
                match (state.held.as_ref().filter(|held| now < held.ends_at), &state.failure) {
                    (Some(held), _) => return Ok(held.token.clone()),
                    (None, Some(failure)) => return Err(failure.clone()),
                    // It has been rejected again since.
                    (None, None) => {}
                }
            }
        }
        // The life counts from before the server gave it.
        let asked_at = self.clock.now();
        let renewed = renew().await;
        let mut state = self.state();
        state.attempts += 1;
        match renewed {
            Ok((token, seconds)) => {
                let held = Held::new(token, asked_at, seconds);
                let token = held.token.clone();
                (state.held, state.failure, state.failed_at) = (Some(held), None, None);
                Ok(token)
            }
            Err(failure) => {
                let now = self.clock.now();
                state.failed_at = Some(now);
                state.failure = Some(failure.clone());
                // An outage of whoever renews is none of the old token.
                let old = state.held.as_ref().filter(|held| now < held.ends_at);
                old.map(|held| held.token.clone()).ok_or(failure)
            }
        }
    }

    /// Forgets a token that a server refused; whether another one may be better.
    ///
    /// A server that refuses every token, say of this network, does not get a new one with every
    /// request: after one was refused, the next is kept for a while.
    pub(super) fn reject(&self, token: &Arc<Credential>) -> bool {
        let now = self.clock.now();
        let mut state = self.state();
        let is_held = |held: &Held| Arc::ptr_eq(&held.token, token);
        if !state.held.as_ref().is_some_and(is_held) {
            return true;
        }
        if state.rejected_at.is_some_and(|then| is_soon_after(then, now)) {
            return false;
        }
        state.held = None;
        state.failure = None;
        state.rejected_at = Some(now);
        true
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it is locked.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    fn new(token: Credential, asked_at: Timestamp, seconds: u64) -> Self {
        let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
        let ahead = (seconds / 5).min(MOST_AHEAD);
        let after = |seconds: i64| {
            let delta = TimeDelta::try_seconds(seconds).unwrap_or(TimeDelta::MAX);
            asked_at.saturating_add(delta)
        };
        Self { token: Arc::new(token), renew_at: after(seconds - ahead), ends_at: after(seconds) }
    }
}

/// Whether the pause after an instant lasts. Where the clock went back it does not: nobody knows
/// how long ago that instant was.
fn is_soon_after(then: Timestamp, now: Timestamp) -> bool {
    then <= now && now < then.saturating_add(PAUSE)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use tokio::sync::Notify;

    use super::*;
    use crate::clock::ManualClock;

    /// A server that gives tokens good for a hundred seconds, when it is let.
    #[derive(Debug, Default)]
    struct Server {
        asked: AtomicU64,
        is_down: std::sync::atomic::AtomicBool,
        /// If there, each request waits for one notice.
        gate: Option<Notify>,
    }

    impl Server {
        async fn renew(&self) -> Result<(Credential, u64), ClientError> {
            let number = self.asked.fetch_add(1, Ordering::SeqCst) + 1;
            if let Some(gate) = &self.gate {
                gate.notified().await;
            }
            if self.is_down.load(Ordering::SeqCst) {
                return Err(ClientError::TimedOut { server: "here".into() });
            }
            Ok((Credential::from_text(&format!("t{number}")).unwrap(), 100))
        }

        fn asked(&self) -> u64 {
            self.asked.load(Ordering::SeqCst)
        }
    }

    fn world() -> (Arc<ManualClock>, Session) {
        let clock = Arc::new(ManualClock::at("2026-11-22T09:00:00Z".parse().unwrap()));
        (clock.clone(), Session::new(clock))
    }

    async fn token(session: &Session, server: &Server) -> String {
        session.token(|| server.renew()).await.unwrap().expose().to_owned()
    }

    #[tokio::test]
    async fn a_token_is_renewed_before_its_end_and_not_earlier() {
        let (clock, session) = world();
        let server = Server::default();
        assert_eq!(token(&session, &server).await, "t1");
        clock.advance(TimeDelta::microseconds(79_999_999));
        assert_eq!(token(&session, &server).await, "t1");
        clock.advance(TimeDelta::microseconds(1));
        assert_eq!(token(&session, &server).await, "t2");
        assert_eq!(server.asked(), 2);
    }

    #[tokio::test]
    async fn whoever_has_none_waits_for_one_request() {
        let (_, session) = world();
        let server = Server { gate: Some(Notify::new()), ..Server::default() };
        let ask = || session.token(|| server.renew());
        let all = async { tokio::join!(ask(), ask(), ask(), ask()) };
        let open = async { server.gate.as_ref().unwrap().notify_one() };
        let ((a, b, c, d), ()) = tokio::join!(all, open);
        for token in [a, b, c, d] {
            assert_eq!(token.unwrap().expose(), "t1");
        }
        assert_eq!(server.asked(), 1);
    }

    #[tokio::test]
    async fn nobody_waits_for_a_renewal_while_the_old_token_is_good() {
        let (clock, session) = world();
        let mut server = Server::default();
        token(&session, &server).await;
        server.gate = Some(Notify::new());
        clock.advance(TimeDelta::seconds(90));
        let first = session.token(|| server.renew());
        let others = async {
            for _ in 0..100 {
                assert_eq!(token(&session, &server).await, "t1");
            }
            server.gate.as_ref().unwrap().notify_one();
        };
        let (first, ()) = tokio::join!(first, others);
        assert_eq!(first.unwrap().expose(), "t2");
        assert_eq!(server.asked(), 2);
    }

    #[tokio::test]
    async fn an_outage_is_no_failure_while_the_old_token_is_good() {
        let (clock, session) = world();
        let server = Server::default();
        token(&session, &server).await;
        server.is_down.store(true, Ordering::SeqCst);
        clock.advance(TimeDelta::seconds(80));
        for _ in 0..100 {
            assert_eq!(token(&session, &server).await, "t1");
        }
        // The first tried, and the others leave the server alone for a while.
        assert_eq!(server.asked(), 2);
        clock.advance(TimeDelta::seconds(5));
        assert_eq!(token(&session, &server).await, "t1");
        assert_eq!(server.asked(), 3);
        clock.advance(TimeDelta::seconds(15));
        assert!(session.token(|| server.renew()).await.is_err());
        server.is_down.store(false, Ordering::SeqCst);
        assert_eq!(token(&session, &server).await, "t5");
    }

    #[tokio::test]
    async fn who_waited_for_a_failure_learns_of_it_and_does_not_ask_again() {
        let (_, session) = world();
        let server = Server { gate: Some(Notify::new()), ..Server::default() };
        server.is_down.store(true, Ordering::SeqCst);
        let ask = || session.token(|| server.renew());
        let all = async { tokio::join!(ask(), ask(), ask()) };
        let open = async { server.gate.as_ref().unwrap().notify_one() };
        let ((a, b, c), ()) = tokio::join!(all, open);
        assert!(a.is_err() && b.is_err() && c.is_err());
        assert_eq!(server.asked(), 1);
    }

    #[tokio::test]
    async fn a_rejected_token_is_replaced_once() {
        let (_, session) = world();
        let server = Server::default();
        let first = session.token(|| server.renew()).await.unwrap();
        session.reject(&first);
        assert_eq!(token(&session, &server).await, "t2");
        // Somebody else had the first one too.
        assert!(session.reject(&first));
        assert_eq!(token(&session, &server).await, "t2");
        assert_eq!(server.asked(), 2);
    }

    #[tokio::test]
    async fn a_server_that_refuses_every_token_does_not_get_one_with_every_request() {
        let (clock, session) = world();
        let server = Server::default();
        let mut refused = 0;
        for _ in 0..100 {
            let held = session.token(|| server.renew()).await.unwrap();
            refused += u64::from(!session.reject(&held));
            clock.advance(TimeDelta::milliseconds(100));
        }
        // Ten seconds, and a new token every five.
        assert_eq!((server.asked(), refused), (3, 98));
    }

    #[tokio::test]
    async fn no_pause_lasts_until_a_clock_that_went_back_catches_up() {
        let (clock, session) = world();
        let server = Server::default();
        let first = session.token(|| server.renew()).await.unwrap();
        clock.advance(TimeDelta::hours(1));
        let _ = session.reject(&first);
        clock.advance(-TimeDelta::hours(1));
        let second = session.token(|| server.renew()).await.unwrap();
        assert!(session.reject(&second));
        let third = session.token(|| server.renew()).await.unwrap();
        assert!(!session.reject(&third));

        clock.advance(TimeDelta::seconds(95));
        server.is_down.store(true, Ordering::SeqCst);
        assert_eq!(token(&session, &server).await, "t3");
        clock.advance(-TimeDelta::seconds(10));
        assert_eq!(token(&session, &server).await, "t3");
        assert_eq!(server.asked(), 5);
    }

    #[tokio::test]
    async fn a_renewal_that_is_dropped_leaves_the_way_free() {
        let (_, session) = world();
        let server = Server { gate: Some(Notify::new()), ..Server::default() };
        {
            let dropped = session.token(|| server.renew());
            let mut dropped = std::pin::pin!(dropped);
            let waker = std::task::Waker::noop();
            let mut context = std::task::Context::from_waker(waker);
            assert!(dropped.as_mut().poll(&mut context).is_pending());
        }
        server.gate.as_ref().unwrap().notify_one();
        assert_eq!(token(&session, &server).await, "t2");
    }

    #[tokio::test]
    async fn who_waited_for_a_renewal_that_is_dropped_renews_once() {
        let (_, session) = world();
        let server = Server { gate: Some(Notify::new()), ..Server::default() };
        let ask = || session.token(|| server.renew());
        let mut dropped = Box::pin(ask());
        let mut waiting: Vec<_> = (0..8).map(|_| Box::pin(ask())).collect();
        let waker = std::task::Waker::noop();
        let mut context = std::task::Context::from_waker(waker);
        for asked in std::iter::once(&mut dropped).chain(&mut waiting) {
            assert!(asked.as_mut().poll(&mut context).is_pending());
        }
        assert_eq!(server.asked(), 1);
        drop(dropped);
        server.gate.as_ref().unwrap().notify_one();
        for asked in waiting {
            assert_eq!(asked.await.unwrap().expose(), "t2");
        }
        assert_eq!(server.asked(), 2);
    }

    #[test]
    fn lives_of_any_length_are_counted() {
        let start = "2026-11-22T09:00:00Z".parse().unwrap();
        let held = |seconds| Held::new(Credential::from_text("t").unwrap(), start, seconds);
        assert_eq!(held(900).renew_at.since(start), TimeDelta::seconds(840));
        assert_eq!(held(1).renew_at, held(1).ends_at);
        assert_eq!(held(u64::MAX).ends_at, Timestamp::MAX);
    }
}
