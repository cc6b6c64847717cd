//! The demo's own sessions: who is signed in, since when, and when that was last confirmed.
//!
//! They are in memory, so everybody signs in again after a restart.

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use axum::http::header::COOKIE;
use axum::http::request::Parts;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::TimeDelta;
use hallpass::Timestamp;
use hallpass::host::{Administers, CallerResolver, Confirmation, HostOutage, SignedIn};
use rand::TryRng as _;

use super::accounts::{Account, Accounts};
use super::attempts::SignInError;
use super::catalog::Product;

/// The cookie. `__Host-` makes browsers insist on `Secure`, on this host alone, and on `Path=/`.
pub(crate) const COOKIE_NAME: &str = "__Host-demo";
/// How long a session lasts, used or not.
const LIFE: TimeDelta = TimeDelta::hours(12);
/// How long a session lasts that is not used.
const IDLE: TimeDelta = TimeDelta::hours(1);
/// Most sessions there are at once.
const MAX_SESSIONS: usize = 1000;

/// All sessions. A session is known by a digest of its cookie.
pub(crate) struct Sessions {
    accounts: Arc<Accounts>,
    all: Mutex<HashMap<[u8; 32], Session>>,
}

#[derive(Clone)]
struct Session {
    account: Arc<Account>,
    /// The product whose tokens are looked after.
    product: Product,
    began_at: Timestamp,
    used_at: Timestamp,
    confirmed_at: Timestamp,
}

impl Sessions {
    pub(crate) fn new(accounts: Arc<Accounts>) -> Self {
        Self { accounts, all: Mutex::default() }
    }

    /// Begins a session, in place of the one the request came with, and returns its cookie: a
    /// session that somebody else planted in the browser is of no use to them.
    pub(crate) async fn sign_in(
        &self,
        head: &Parts,
        peer: Option<IpAddr>,
        (name, password): (&str, &str),
        now: Timestamp,
    ) -> Result<String, SignInError> {
        let account = self.accounts.sign_in(peer, (name, password), now).await?;
        let mut secret = [0; 32];
        rand::rngs::SysRng.try_fill_bytes(&mut secret).map_err(|_| SignInError::Unavailable)?;
        let cookie = URL_SAFE_NO_PAD.encode(secret);
        self.sign_out(head);
        let mut all = lock(&self.all);
        all.retain(|_, session| session.lasts(now));
        if all.len() >= MAX_SESSIONS {
            let oldest = all.iter().min_by_key(|(_, session)| session.used_at);
            let oldest = oldest.map(|(key, _)| *key);
            oldest.and_then(|key| all.remove(&key));
        }
        let session = Session {
            account,
            product: Product::Automation,
            began_at: now,
            used_at: now,
            confirmed_at: now,
        };
        all.insert(key(&cookie), session);
        let life = LIFE.num_seconds();
        let rules = "Path=/; Secure; HttpOnly; SameSite=Lax";
        Ok(format!("{COOKIE_NAME}={cookie}; Max-Age={life}; {rules}"))
    }

    /// Ends the session of a request, and returns what makes the browser forget its cookie.
    pub(crate) fn sign_out(&self, head: &Parts) -> String {
        if let Some(cookie) = cookie(head) {
            lock(&self.all).remove(&key(cookie));
        }
        format!("{COOKIE_NAME}=; Max-Age=0; Path=/; Secure; HttpOnly; SameSite=Lax")
    }

    /// The product whose tokens are looked after in this session.
    pub(crate) fn product(&self, head: &Parts) -> Option<Product> {
        lock(&self.all).get(&key(cookie(head)?)).map(|session| session.product)
    }

    pub(crate) fn choose(&self, head: &Parts, product: Product) {
        if let Some(cookie) = cookie(head)
            && let Some(session) = lock(&self.all).get_mut(&key(cookie))
        {
            session.product = product;
        }
    }

    fn find(&self, head: &Parts, now: Timestamp) -> Option<(String, Session)> {
        let cookie = cookie(head)?;
        let mut all = lock(&self.all);
        let session = all.get_mut(&key(cookie))?;
        if !session.lasts(now) {
            all.remove(&key(cookie));
            return None;
        }
        session.used_at = now;
        Some((cookie.to_owned(), session.clone()))
    }
}

impl Session {
    fn lasts(&self, now: Timestamp) -> bool {
        now.since(self.began_at) < LIFE && now.since(self.used_at) < IDLE
    }
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sessions").finish_non_exhaustive()
    }
}

#[async_trait]
impl CallerResolver for Sessions {
    async fn signed_in(&self, head: &Parts) -> Result<Option<SignedIn>, HostOutage> {
        let Some((cookie, session)) = self.find(head, now()) else {
            return Ok(None);
        };
        let account = &session.account;
        let administers =
            if account.is_admin { Administers::Everything } else { Administers::Nothing };
        let name = format!("{} · {}", account.owner, session.product.name());
        let who = SignedIn::new(account.owner.clone(), cookie)
            .in_tenant(session.product.tenant())
            .administers(administers)
            .named(name);
        Ok(Some(who))
    }
}

/// Whoever signed in just now is confirmed; later the password is asked for again.
#[async_trait]
impl Confirmation for Sessions {
    async fn confirmed_at(
        &self,
        head: &Parts,
        _: &SignedIn,
    ) -> Result<Option<Timestamp>, HostOutage> {
        Ok(self.find(head, now()).map(|(_, session)| session.confirmed_at))
    }

    async fn confirm(
        &self,
        head: &Parts,
        who: &SignedIn,
        secret: &str,
        now: Timestamp,
    ) -> Result<bool, HostOutage> {
        if self.accounts.check(who.owner().as_str(), secret).await.is_none() {
            return Ok(false);
        }
        let Some(cookie) = cookie(head) else {
            return Ok(false);
        };
        // It may have ended while the password was checked.
        match lock(&self.all).get_mut(&key(cookie)) {
            Some(session) => session.confirmed_at = now,
            None => return Ok(false),
        }
        Ok(true)
    }
}

fn now() -> Timestamp {
    use hallpass::Clock as _;
    hallpass::SystemClock.now()
}

fn key(cookie: &str) -> [u8; 32] {
    blake3::hash(cookie.as_bytes()).into()
}

/// The value of the session's cookie. Two of them are none.
fn cookie(head: &Parts) -> Option<&str> {
    let lines = head.headers.get_all(COOKIE).iter().filter_map(|line| line.to_str().ok());
    let pairs =
        lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    let mut values = pairs.filter(|(name, _)| *name == COOKIE_NAME).map(|(_, value)| value);
    match (values.next(), values.next()) {
        (Some(value), None) => Some(value),
        _ => None,
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use argon2::{Argon2, Params};
    use axum::http::Request;

    use super::super::catalog::catalog;
    use super::*;

    fn sessions() -> Sessions {
        let cheap = Argon2::from(Params::new(8, 1, 1, None).unwrap());
        let passwords = ["a", "b", "r", "c"].map(str::to_owned);
        Sessions::new(Arc::new(Accounts::new(&passwords, cheap, &catalog().unwrap()).unwrap()))
    }

    fn head(cookie: &str) -> Parts {
        Request::get("/").header(COOKIE, cookie).body(()).unwrap().into_parts().0
    }

    async fn sign_in(
        sessions: &Sessions,
        head: &Parts,
        password: &str,
    ) -> Result<Parts, SignInError> {
        let made = sessions.sign_in(head, None, ("alice", password), now()).await?;
        Ok(super::tests::head(made.split(';').next().unwrap()))
    }

    #[tokio::test]
    async fn a_session_begins_anew_at_every_sign_in_and_ends_at_sign_out() {
        let sessions = sessions();
        let planted = head("__Host-demo=planted");
        let first = sign_in(&sessions, &planted, "a").await.unwrap();
        assert!(sessions.signed_in(&planted).await.unwrap().is_none());
        assert_eq!(sessions.signed_in(&first).await.unwrap().unwrap().owner().as_str(), "alice");
        let second = sign_in(&sessions, &first, "a").await.unwrap();
        assert!(sessions.signed_in(&first).await.unwrap().is_none(), "the old session lives");
        sessions.sign_out(&second);
        assert!(sessions.signed_in(&second).await.unwrap().is_none());
    }

    #[tokio::test]
    async fn a_session_ends_by_itself_used_or_not() {
        let sessions = sessions();
        let head = sign_in(&sessions, &head("x=y"), "a").await.unwrap();
        let after = |delta| sessions.find(&head, now().saturating_add(delta)).is_some();
        assert!(after(IDLE - TimeDelta::minutes(1)));
        assert!(!after(IDLE + IDLE));
    }

    #[tokio::test]
    async fn a_confirmation_belongs_to_its_session() {
        let sessions = sessions();
        let mine = sign_in(&sessions, &head("x=y"), "a").await.unwrap();
        let who = sessions.signed_in(&mine).await.unwrap().unwrap();
        let later = now().saturating_add(TimeDelta::minutes(10));
        assert!(!sessions.confirm(&mine, &who, "b", later).await.unwrap());
        assert!(sessions.confirm(&mine, &who, "a", later).await.unwrap());
        assert_eq!(sessions.confirmed_at(&mine, &who).await.unwrap(), Some(later));
        sessions.sign_out(&mine);
        assert!(!sessions.confirm(&mine, &who, "a", later).await.unwrap());
        assert_eq!(sessions.confirmed_at(&mine, &who).await.unwrap(), None);
    }

    #[test]
    fn one_cookie_is_read() {
        assert_eq!(cookie(&head("a=b; __Host-demo=x; c=d")), Some("x"));
        assert_eq!(cookie(&head("__Host-demo=x; __Host-demo=y")), None);
        assert_eq!(cookie(&head("demo=x")), None);
    }
}
