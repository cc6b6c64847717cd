//! Counts wrong passwords, wherever they are sent.

use std::collections::HashMap;
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};

use chrono::TimeDelta;
use hallpass::Timestamp;

/// Wrong passwords from one network before it has to wait, and for how long.
const MAX_WRONG: u32 = 10;
const WAIT: TimeDelta = TimeDelta::minutes(5);
/// Most networks that are counted; where there are more, the one that began first is forgotten.
const MAX_NETWORKS: usize = 1000;

/// Wrong passwords by network. Accounts are not counted, so that nobody can lock somebody else
/// out from afar. A right password clears nothing: whoever knows one does not guess on for free.
#[derive(Default)]
pub(crate) struct Attempts(Mutex<HashMap<Option<IpAddr>, Arc<tokio::sync::Mutex<Wrong>>>>);

#[derive(Debug)]
struct Wrong {
    since: Timestamp,
    count: u32,
}

/// Why somebody was not signed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SignInError {
    Wrong,
    TooMany,
    Unavailable,
}

impl Attempts {
    /// Makes an attempt, after those that the same network is making, so that all are counted.
    pub(crate) async fn make<T>(
        &self,
        peer: Option<IpAddr>,
        now: Timestamp,
        attempt: impl Future<Output = Option<T>>,
    ) -> Result<T, SignInError> {
        let wrong = self.of(peer.map(network), now);
        let mut wrong = wrong.lock().await;
        // A clock that goes back forgets nothing.
        if now >= wrong.since && now.since(wrong.since) >= WAIT {
            *wrong = Wrong { since: now, count: 0 };
        }
        if wrong.count >= MAX_WRONG {
            return Err(SignInError::TooMany);
        }
        // Whoever leaves before the answer has guessed too.
        wrong.count += 1;
        let made = attempt.await.ok_or(SignInError::Wrong)?;
        wrong.count -= 1;
        Ok(made)
    }

    fn of(&self, network: Option<IpAddr>, now: Timestamp) -> Arc<tokio::sync::Mutex<Wrong>> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= MAX_NETWORKS && !all.contains_key(&network) {
            // One that is being counted is not the one to forget.
            let since = |wrong: &tokio::sync::Mutex<Wrong>| wrong.try_lock().ok().map(|w| w.since);
            let known = all.iter().filter_map(|(network, wrong)| Some((since(wrong)?, *network)));
            let first = known.min_by_key(|(since, _)| *since);
            first.and_then(|(_, network)| all.remove(&network));
        }
        let fresh = || Arc::new(tokio::sync::Mutex::new(Wrong { since: now, count: 0 }));
        Arc::clone(all.entry(network).or_insert_with(fresh))
    }
}

/// What one subscriber has: an IPv4 address, or the /64 that an IPv6 address is in.
fn network(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(address) => {
            Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into()
        }
        address => address,
    }
}

impl fmt::Debug for Attempts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attempts").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    fn now() -> Timestamp {
        "2026-11-22T09:00:00Z".parse().unwrap()
    }

    async fn guess(
        attempts: &Attempts,
        peer: &str,
        right: bool,
        at: Timestamp,
    ) -> Result<(), SignInError> {
        let attempt = async { right.then_some(()) };
        attempts.make(Some(peer.parse().unwrap()), at, attempt).await
    }

    #[tokio::test]
    async fn a_network_that_guesses_has_to_wait_and_a_right_password_clears_nothing() {
        let attempts = Attempts::default();
        let guess = async |peer, right, at| guess(&attempts, peer, right, at).await;
        for _ in 0..MAX_WRONG {
            assert_eq!(guess("192.0.2.1", true, now()).await, Ok(()));
            assert_eq!(guess("192.0.2.1", false, now()).await, Err(SignInError::Wrong));
        }
        for (peer, right) in [("192.0.2.1", false), ("192.0.2.1", true), ("::ffff:192.0.2.1", true)]
        {
            assert_eq!(guess(peer, right, now()).await, Err(SignInError::TooMany));
        }
        assert_eq!(guess("192.0.2.2", true, now()).await, Ok(()));
        assert_eq!(guess("192.0.2.1", true, now().saturating_add(WAIT)).await, Ok(()));
    }

    #[tokio::test]
    async fn all_addresses_of_a_subscriber_are_one() {
        let attempts = Attempts::default();
        for number in 0..MAX_WRONG {
            let peer = format!("2001:db8:1:2::{number:x}");
            assert_eq!(guess(&attempts, &peer, false, now()).await, Err(SignInError::Wrong));
        }
        let peer = "2001:db8:1:2:ffff:ffff:ffff:ffff";
        assert_eq!(guess(&attempts, peer, true, now()).await, Err(SignInError::TooMany));
        assert_eq!(guess(&attempts, "2001:db8:1:3::1", true, now()).await, Ok(()));
    }

    #[tokio::test]
    async fn guesses_made_at_once_are_all_counted() {
        let attempts = Attempts::default();
        let slow = || async {
            tokio::task::yield_now().await;
            None::<()>
        };
        let all =
            futures_util::future::join_all((0..50).map(|_| attempts.make(None, now(), slow())));
        let told = all.await;
        let wrong = told.iter().filter(|told| **told == Err(SignInError::Wrong)).count();
        assert_eq!(wrong, MAX_WRONG as usize);
    }

    #[tokio::test]
    async fn whoever_leaves_before_the_answer_is_counted() {
        let attempts = Attempts::default();
        for _ in 0..MAX_WRONG {
            let attempt = std::future::pending::<Option<()>>();
            assert!(attempts.make(None, now(), attempt).now_or_never().is_none());
        }
        let right = async { Some(()) };
        assert_eq!(attempts.make(None, now(), right).await, Err(SignInError::TooMany));
    }

    #[tokio::test]
    async fn a_clock_that_goes_back_gives_no_more_guesses() {
        let attempts = Attempts::default();
        let earlier = now().saturating_add(-TimeDelta::seconds(1));
        for _ in 0..MAX_WRONG {
            assert_eq!(guess(&attempts, "192.0.2.1", false, now()).await, Err(SignInError::Wrong));
        }
        let told = guess(&attempts, "192.0.2.1", true, earlier).await;
        assert_eq!(told, Err(SignInError::TooMany));
    }

    #[tokio::test]
    async fn no_number_of_networks_keeps_another_out() {
        let attempts = Attempts::default();
        for number in 0..MAX_NETWORKS + 5 {
            let peer = format!("10.0.{}.{}", number / 256, number % 256);
            assert!(guess(&attempts, &peer, false, now()).await.is_err());
        }
        assert_eq!(guess(&attempts, "192.0.2.1", true, now()).await, Ok(()));
        assert_eq!(attempts.0.lock().unwrap().len(), MAX_NETWORKS);
    }
}
