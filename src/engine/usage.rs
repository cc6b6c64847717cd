//! Last uses, gathered until they are written.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::BuildHasher;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use chrono::TimeDelta;
use foldhash::fast::RandomState;

use super::verified::Context;
use crate::clock::Timestamp;
use crate::store::{Facts, Use};
use crate::token::{LastUse, Token, TokenId};

/// Most uses that wait to be written; later ones are dropped and counted.
const CAPACITY: usize = 65_536;
/// Recently noted tokens that are remembered, as a power of two.
const RECENT: usize = 1 << 17;
/// Longest client name that is kept, in bytes.
const AGENT_LEN: usize = 200;

/// The uses that wait to be written.
///
/// A use is noted at most once per token and interval. Whether a token was noted lately is told
/// by one word per token in a table that forgets on collision, so that the hot path reads one
/// word and writes nothing.
#[derive(Debug)]
pub(super) struct Uses {
    interval_micros: i64,
    interval_ticks: u32,
    recent: Box<[AtomicU64]>,
    hasher: RandomState,
    waiting: Mutex<HashMap<TokenId, LastUse, RandomState>>,
    full: AtomicBool,
    dropped: AtomicU64,
}

impl Uses {
    pub(super) fn new(interval: TimeDelta) -> Self {
        let interval_micros = interval.num_microseconds().unwrap_or(i64::MAX).max(1);
        Self {
            interval_micros,
            interval_ticks: u32::try_from(interval_micros >> TICK_BITS).unwrap_or(u32::MAX),
            recent: (0..RECENT).map(|_| AtomicU64::new(0)).collect(),
            hasher: RandomState::default(),
            waiting: Mutex::default(),
            full: AtomicBool::new(false),
            dropped: AtomicU64::new(0),
        }
    }

    /// Notes a use, unless one was noted less than an interval ago.
    pub(super) fn note(&self, facts: &Facts, context: &Context<'_>, now: Timestamp) {
        let lately = facts.last_used_at.is_some_and(|last| {
            now.as_micros().saturating_sub(last.as_micros()) < self.interval_micros
        });
        if !lately && self.is_first_lately(&facts.id, now) {
            self.push(&facts.id, context, now);
        }
    }

    /// Whether the table does not remember the token from an interval ago or less; it does
    /// afterwards.
    fn is_first_lately(&self, id: &TokenId, now: Timestamp) -> bool {
        let hash = self.hasher.hash_one(id);
        let tick = tick(now.as_micros());
        // The upper half names the token, the lower half tells when it was noted.
        let word = (hash & 0xffff_ffff_0000_0000) | u64::from(tick);
        #[expect(clippy::cast_possible_truncation, reason = "only the low bits choose the place")]
        let Some(place) = self.recent.get(hash as usize % RECENT) else {
            return true;
        };
        let noted = place.load(Ordering::Relaxed);
        #[expect(clippy::cast_possible_truncation, reason = "the lower half")]
        let lately = noted ^ word <= u64::from(u32::MAX)
            && tick.wrapping_sub(noted as u32) < self.interval_ticks;
        if !lately {
            place.store(word, Ordering::Relaxed);
        }
        !lately
    }

    #[cold]
    fn push(&self, id: &TokenId, context: &Context<'_>, now: Timestamp) {
        if self.full.load(Ordering::Relaxed) {
            self.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let last_use =
            LastUse { at: now, ip: context.ip, agent: context.agent.and_then(clean_agent) };
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let room = waiting.len() < CAPACITY;
        match waiting.entry(*id) {
            Entry::Occupied(mut known) if known.get().at < now => {
                known.insert(last_use);
            }
            Entry::Occupied(_) => {}
            Entry::Vacant(place) if room => {
                place.insert(last_use);
            }
            Entry::Vacant(_) => {
                self.full.store(true, Ordering::Relaxed);
                self.dropped.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// Gives tokens their last use that waits to be written, where that is newer.
    pub(super) fn show_waiting(&self, tokens: &mut [Token]) {
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.is_empty() {
            return;
        }
        for token in tokens.iter_mut().filter(|token| token.revocation.is_none()) {
            if let Some(last_use) = waiting.get(&token.id)
                && token.last_use.as_ref().is_none_or(|written| written.at < last_use.at)
            {
                token.last_use = Some(last_use.clone());
            }
        }
    }

    /// Takes up to `limit` waiting uses.
    pub(super) fn take(&self, limit: usize) -> Taken<'_> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let ids: Vec<TokenId> = waiting.keys().take(limit).copied().collect();
        let taken = ids
            .into_iter()
            .filter_map(|id| waiting.remove(&id).map(|last_use| Use { id, last_use }))
            .collect();
        self.full.store(false, Ordering::Relaxed);
        Taken { uses: taken, from: self }
    }

    /// Puts uses back that could not be written.
    fn put_back(&self, uses: Vec<Use>) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        for Use { id, last_use } in uses {
            if waiting.len() < CAPACITY {
                waiting.entry(id).or_insert(last_use);
            } else {
                self.dropped.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// How many uses were dropped since the last call.
    pub(super) fn take_dropped(&self) -> u64 {
        self.dropped.swap(0, Ordering::Relaxed)
    }
}

/// Uses on their way to the store. They wait again if this is dropped before they are written:
/// the store failed, or whoever was writing them gave up.
#[derive(Debug)]
pub(super) struct Taken<'a> {
    uses: Vec<Use>,
    from: &'a Uses,
}

impl Taken<'_> {
    pub(super) fn uses(&self) -> &[Use] {
        &self.uses
    }

    /// Forgets the uses, which the store has now, and tells how many they were.
    pub(super) fn written(mut self) -> u64 {
        std::mem::take(&mut self.uses).len() as u64
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        if !self.uses.is_empty() {
            self.from.put_back(std::mem::take(&mut self.uses));
        }
    }
}

/// Microseconds of a tick, as a power of two: a fifteenth of a second.
const TICK_BITS: u32 = 16;

/// An instant in ticks, which start anew every nine years.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it wraps")]
fn tick(micros: i64) -> u32 {
    (micros >> TICK_BITS) as u32
}

/// A client's name without control characters, cut to 200 bytes.
fn clean_agent(agent: &str) -> Option<Box<str>> {
    let mut kept = String::with_capacity(agent.len().min(AGENT_LEN));
    for c in agent.chars().filter(|c| !c.is_control()) {
        if kept.len() + c.len_utf8() > AGENT_LEN {
            break;
        }
        kept.push(c);
    }
    (!kept.is_empty()).then(|| kept.into_boxed_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scope::{ScopeCatalog, ScopeList};
    use crate::token::{Brands, Kind, Owner, PepperRing, Record, TokenText};

    fn facts(number: u32) -> Facts {
        let text = "acme_pat_0000000000000001_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa2uWCeV";
        let brands = Brands::new("acme".parse().unwrap());
        let digest = PepperRing::none().digest(&TokenText::parse(text, &brands).unwrap());
        let token = Token::new(
            format!("{number:016}").parse().unwrap(),
            Kind::Personal,
            Owner::parse("u1").unwrap(),
            "ci".parse().unwrap(),
            ScopeList::default(),
            Timestamp::MIN,
        );
        Facts::of(&Record::new(token, digest), &ScopeCatalog::default())
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::MIN.saturating_add(TimeDelta::seconds(seconds))
    }

    #[test]
    fn a_token_is_noted_once_an_interval() {
        let uses = Uses::new(TimeDelta::seconds(60));
        let context = Context::default();
        for second in 60..120 {
            uses.note(&facts(1), &context, at(second));
        }
        assert_eq!(uses.take(10).written(), 1);
        uses.note(&facts(1), &context, at(121));
        let noted = uses.take(10);
        assert_eq!(noted.uses().len(), 1);
        assert_eq!(noted.uses()[0].last_use.at, at(121));
    }

    #[test]
    fn a_use_that_is_stored_already_is_not_noted_again() {
        let uses = Uses::new(TimeDelta::seconds(60));
        let mut facts = facts(1);
        facts.last_used_at = Some(at(100));
        uses.note(&facts, &Context::default(), at(159));
        assert!(uses.take(10).uses().is_empty());
        uses.note(&facts, &Context::default(), at(161));
        assert_eq!(uses.take(10).written(), 1);
    }

    #[test]
    fn what_does_not_fit_is_dropped_and_counted() {
        let uses = Uses::new(TimeDelta::seconds(60));
        let context = Context::default();
        for number in 0..u32::try_from(CAPACITY).unwrap() + 5 {
            uses.note(&facts(number), &context, at(1));
        }
        assert_eq!(uses.take_dropped(), 5);
        assert_eq!(uses.take(usize::MAX).written(), CAPACITY as u64);
        uses.note(&facts(1), &context, at(120));
        assert_eq!(uses.take(10).written(), 1);
    }

    #[test]
    fn agents_are_cleaned_and_cut() {
        assert_eq!(clean_agent("curl/8\r\nX: y\0").as_deref(), Some("curl/8X: y"));
        assert_eq!(clean_agent("\n"), None);
        assert_eq!(clean_agent(&"ż".repeat(300)).map(|kept| kept.len()), Some(AGENT_LEN));
    }
}
