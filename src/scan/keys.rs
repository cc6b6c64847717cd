//! The keys with which a partner signs its reports.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::TimeDelta;
use serde::Deserialize;

use super::signature::{PartnerKey, is_key_id};
use crate::clock::Timestamp;
use crate::fetch::{Fetch, MAX_DOCUMENT_LEN};

/// Most keys in a document.
const MAX_KEYS: usize = 64;

/// Not a document of public keys, or one without any that can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a usable document of public keys")]
pub struct PartnerKeysError;

/// The public keys of a partner, by the names that it gives them.
#[derive(Debug)]
pub struct PartnerKeys(Keys);

#[derive(Debug)]
enum Keys {
    Fixed(KeySet),
    Fetched(Fetched),
}

impl PartnerKeys {
    /// Where GitHub publishes the keys of its secret scanning.
    pub const GITHUB: &'static str = "https://api.github.com/meta/public_keys/secret_scanning";

    /// The keys in a document in the form of GitHub's: `public_keys`, each with `key_identifier`
    /// and `key`, a P-256 key in PEM. Other keys in it are passed over.
    ///
    /// # Errors
    /// [`PartnerKeysError`] if it is none, is longer than 64 KiB, names a key twice, or
    /// holds no usable key or more than 64.
    pub fn fixed(document: &[u8]) -> Result<Self, PartnerKeysError> {
        Ok(Self(Keys::Fixed(KeySet::parse(document)?)))
    }

    /// The keys in a document that is fetched: at the first report, then when it is older than an
    /// hour, and when a report names a key that is not in it, which is done once in five minutes.
    /// If it cannot be fetched, the last one goes on for up to a day.
    ///
    /// With the feature `fetch`, `Endpoint::new(PartnerKeys::GITHUB)?` fetches GitHub's.
    #[must_use]
    pub fn fetched(fetch: impl Fetch) -> Self {
        Self(Keys::Fetched(Fetched {
            fetch: Box::new(fetch),
            turn: async_lock::Mutex::new(()),
            state: Mutex::default(),
        }))
    }

    /// The key with this name; `None` if there is none, an error if that cannot be told.
    pub(super) async fn find(
        &self,
        id: &str,
        now: Timestamp,
    ) -> Result<Option<Arc<PartnerKey>>, NoKeys> {
        match &self.0 {
            Keys::Fixed(set) => Ok(set.find(id)),
            Keys::Fetched(fetched) => fetched.find(id, now).await,
        }
    }
}

/// Which keys there are cannot be told.
#[derive(Debug)]
pub(super) struct NoKeys;

#[derive(Debug)]
struct KeySet(HashMap<String, Arc<PartnerKey>>);

#[derive(Deserialize)]
struct Document {
    public_keys: Vec<Published>,
}

#[derive(Deserialize)]
struct Published {
    key_identifier: String,
    key: String,
}

impl KeySet {
    fn parse(json: &[u8]) -> Result<Self, PartnerKeysError> {
        if json.len() > MAX_DOCUMENT_LEN {
            return Err(PartnerKeysError);
        }
        let document: Document = serde_json::from_slice(json).map_err(|_| PartnerKeysError)?;
        let mut keys = HashMap::new();
        for Published { key_identifier, key } in document.public_keys {
            let Some(key) = PartnerKey::from_pem(&key).filter(|_| is_key_id(&key_identifier))
            else {
                continue;
            };
            // Which of two keys is meant by a name must not depend on the reader.
            if keys.insert(key_identifier, Arc::new(key)).is_some() {
                return Err(PartnerKeysError);
            }
        }
        if keys.is_empty() || keys.len() > MAX_KEYS {
            return Err(PartnerKeysError);
        }
        Ok(Self(keys))
    }

    fn find(&self, id: &str) -> Option<Arc<PartnerKey>> {
        self.0.get(id).cloned()
    }
}

/// Keys that are fetched again from time to time.
#[derive(Debug)]
struct Fetched {
    fetch: Box<dyn Fetch>,
    /// Held by who fetches; those who need the same keys wait for it.
    turn: async_lock::Mutex<()>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    set: Option<(Arc<KeySet>, Timestamp)>,
    /// When it was last tried to fetch them.
    tried_at: Option<Timestamp>,
    /// When that was last done for want of a key.
    sought_at: Option<Timestamp>,
    /// Whether the last try failed, or is under way.
    failed: bool,
}

impl State {
    /// How long a set is used at most if fetching fails.
    const STALE: TimeDelta = TimeDelta::hours(24);

    /// The set, if it may be used.
    fn held(&self, now: Timestamp) -> Option<(&Arc<KeySet>, Timestamp)> {
        let held = self.set.as_ref().filter(|(_, at)| is_within(*at, Self::STALE, now));
        held.map(|(set, at)| (set, *at))
    }
}

/// Whether an instant was no longer ago. One that is ahead was not: the clock was put back.
fn is_within(at: Timestamp, span: TimeDelta, now: Timestamp) -> bool {
    at <= now && now.since(at) < span
}

/// What is to be done about a key.
enum Judged {
    /// It is this one, or there is none.
    Known(Option<Arc<PartnerKey>>),
    /// It is this one, but the set is old.
    Aged(Arc<PartnerKey>),
    /// The keys must be fetched to tell.
    Missing,
    /// That failed, or is being done, and is not done again yet.
    Unavailable,
}

impl Fetched {
    /// How old a set is when it is fetched again.
    const FRESH: TimeDelta = TimeDelta::hours(1);
    /// How long after a try an old set is not tried again.
    const PAUSE: TimeDelta = TimeDelta::minutes(1);
    /// The same while there are no keys at all.
    const PAUSE_WITHOUT: TimeDelta = TimeDelta::seconds(10);
    /// How long nothing is fetched again for want of a key.
    const SOUGHT: TimeDelta = TimeDelta::minutes(5);

    async fn find(&self, id: &str, now: Timestamp) -> Result<Option<Arc<PartnerKey>>, NoKeys> {
        match self.judge(id, now) {
            Judged::Known(key) => return Ok(key),
            Judged::Aged(key) => {
                return match self.turn.try_lock() {
                    Some(_turn) => self.fetch(id, now).await,
                    // Somebody is at it; until then the old set is as good as it was.
                    None => Ok(Some(key)),
                };
            }
            Judged::Missing | Judged::Unavailable => {}
        }
        // Whoever has the turn may bring it.
        let _turn = self.turn.lock().await;
        match self.judge(id, now) {
            Judged::Known(key) => Ok(key),
            Judged::Aged(key) => Ok(Some(key)),
            Judged::Missing => self.fetch(id, now).await,
            Judged::Unavailable => Err(NoKeys),
        }
    }

    fn judge(&self, id: &str, now: Timestamp) -> Judged {
        let state = self.lock();
        let within = |at: Option<Timestamp>, span| at.is_some_and(|at| is_within(at, span, now));
        let Some((set, at)) = state.held(now) else {
            let paused = state.failed && within(state.tried_at, Self::PAUSE_WITHOUT);
            return if paused { Judged::Unavailable } else { Judged::Missing };
        };
        match set.find(id) {
            Some(key) if is_within(at, Self::FRESH, now) || within(state.tried_at, Self::PAUSE) => {
                Judged::Known(Some(key))
            }
            Some(key) => Judged::Aged(key),
            None if !within(state.sought_at, Self::SOUGHT) => Judged::Missing,
            // What cannot be looked up is not called unknown.
            None if state.failed => Judged::Unavailable,
            None => Judged::Known(None),
        }
    }

    /// Fetches the keys, and tells what is known of one then. Needs the turn.
    async fn fetch(&self, id: &str, now: Timestamp) -> Result<Option<Arc<PartnerKey>>, NoKeys> {
        let mut unfinished = Unfinished { state: &self.state, before: None };
        let held = {
            let mut state = self.lock();
            let held = state.held(now).map(|(set, _)| Arc::clone(set));
            unfinished.before = Some((state.tried_at, state.sought_at, state.failed));
            (state.tried_at, state.failed) = (Some(now), true);
            if held.as_ref().is_some_and(|held| held.find(id).is_none()) {
                state.sought_at = Some(now);
            }
            held
        };
        let fetched = self.fetch.fetch().await;
        unfinished.before = None;
        let fetched = fetched.ok().and_then(|bytes| KeySet::parse(&bytes).ok());
        match fetched {
            Some(set) => {
                let set = Arc::new(set);
                let key = set.find(id);
                let mut state = self.lock();
                (state.set, state.failed) = (Some((set, now)), false);
                if key.is_none() {
                    state.sought_at = Some(now);
                }
                Ok(key)
            }
            // A host that cannot be reached takes nothing back.
            None => held.and_then(|held| held.find(id)).map(Some).ok_or(NoKeys),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes back what was noted of a try that is given up: one that had no outcome did not fail, and
/// whoever hangs up must not keep the keys from others.
struct Unfinished<'a> {
    state: &'a Mutex<State>,
    /// `tried_at`, `sought_at` and `failed` before the try, until it has an outcome.
    before: Option<(Option<Timestamp>, Option<Timestamp>, bool)>,
}

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        if let Some(before) = self.before {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            (state.tried_at, state.sought_at, state.failed) = before;
        }
    }
}
