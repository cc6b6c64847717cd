//! What is remembered of which key, and the rules by which it is replaced.
//!
//! The table does not wait, knows no clock and no store, and is checked by itself.
//!
//! Everything that is written under a key is written under the lock of the key's stripe. Reading
//! takes no lock. Who wants to read a key from the store [joins](Table::join) its flight. A change
//! of the key ends the flight: whatever it brings is then kept by nobody, and who comes later
//! starts a new one. So a flight that is still there when it [lands](Table::land) saw no change.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, Hash};

use foldhash::fast::RandomState;

use super::sync::{AtomicU64, Map, Mutex, MutexGuard, Ordering, lock};

/// What can be remembered.
pub(super) trait Remembered: Clone {
    /// Counts the changes of what it describes.
    fn version(&self) -> u64;

    /// Whether it can never change again.
    fn is_terminal(&self) -> bool;

    /// The groups it belongs to, hashed. They never change.
    fn groups(&self) -> [u64; 3];
}

/// How much is remembered, and for how long in nanoseconds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) stripes: usize,
    pub(super) entries: usize,
    pub(super) ttl: u64,
    pub(super) absences: usize,
    pub(super) absence_ttl: u64,
}

/// The instants given to the methods are nanoseconds of one clock that never runs backwards. A
/// flight carries a `W`, on which those who joined it wait.
pub(super) struct Table<K, V, W> {
    entries: Map<K, Entry<V>>,
    first: Mutex<Stripe<K, W>>,
    stripes: Box<[Mutex<Stripe<K, W>>]>,
    hasher: RandomState,
    /// What was remembered in an earlier epoch is forgotten.
    epoch: AtomicU64,
    /// Until when, exclusively, anything may be remembered or told.
    open_until: AtomicU64,
    limits: Limits,
}

#[derive(Debug)]
struct Entry<V> {
    value: V,
    good_until: u64,
    epoch: u64,
    /// Which place in the stripe's order is this entry's.
    stamp: u64,
}

#[derive(Debug)]
struct Stripe<K, W> {
    /// Gives tickets and stamps.
    next: u64,
    flights: HashMap<K, Flight<W>, RandomState>,
    /// The oldest first; all are good for equally long, so these are also those that end first.
    order: VecDeque<Place<K>>,
    absences: HashMap<K, Absence, RandomState>,
    absence_order: VecDeque<(K, u64)>,
}

#[derive(Debug)]
struct Flight<W> {
    ticket: Ticket,
    aboard: usize,
    wait: W,
}

#[derive(Debug)]
struct Place<K> {
    key: K,
    stamp: u64,
    groups: [u64; 3],
}

#[derive(Debug, Clone, Copy)]
struct Absence {
    good_until: u64,
    epoch: u64,
    stamp: u64,
}

/// Names a flight of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ticket {
    number: u64,
    epoch: u64,
}

/// What somebody finds who wants to read a key from the store.
#[derive(Debug)]
pub(super) enum Joined<W> {
    /// There was nothing under the key a moment ago.
    Absent,
    /// A flight, perhaps a new one. Whoever joined must also [leave](Table::leave).
    Flight(Ticket, W),
}

impl<K: Copy + Hash + Eq, V: Remembered, W: Clone> Table<K, V, W> {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            entries: Map::new(),
            first: Mutex::new(Stripe::new()),
            stripes: (1..limits.stripes).map(|_| Mutex::new(Stripe::new())).collect(),
            hasher: RandomState::default(),
            epoch: AtomicU64::new(0),
            open_until: AtomicU64::new(0),
            limits,
        }
    }

    /// Whether anything is remembered or told at `now`.
    pub(super) fn is_open(&self, now: u64) -> bool {
        now < self.open_until.load(Ordering::Acquire)
    }

    /// From now on things are remembered, until that instant. What was remembered before a pause
    /// is not told after it.
    pub(super) fn open(&self, now: u64, until: u64) {
        if !self.is_open(now) {
            self.flush();
        }
        self.open_until.store(until, Ordering::Release);
    }

    /// Looks at what is remembered under a key, where it lies.
    pub(super) fn look<R>(&self, key: &K, now: u64, look: impl FnOnce(&V) -> R) -> Option<R> {
        if !self.is_open(now) {
            return None;
        }
        self.entries.with(key, |entry| self.is_good(entry, now).then(|| look(&entry.value)))?
    }

    /// Starts to read a key from the store, or joins those who did.
    pub(super) fn join(&self, key: &K, now: u64, wait: impl FnOnce() -> W) -> Joined<W> {
        let mut stripe = self.stripe(key);
        let epoch = self.epoch.load(Ordering::Acquire);
        if self.is_open(now)
            && let Some(absence) = stripe.absences.get(key)
            && absence.epoch == epoch
            && now < absence.good_until
        {
            return Joined::Absent;
        }
        if let Some(flight) = stripe.flights.get_mut(key) {
            flight.aboard += 1;
            return Joined::Flight(flight.ticket, flight.wait.clone());
        }
        let ticket = Ticket { number: stripe.stamp(), epoch };
        let wait = wait();
        stripe.flights.insert(*key, Flight { ticket, aboard: 1, wait: wait.clone() });
        Joined::Flight(ticket, wait)
    }

    /// Ends a flight with what was read at `at` or later, and remembers that unless the key was
    /// changed in the meantime.
    pub(super) fn land(&self, key: &K, ticket: Ticket, at: u64, read: Option<V>) {
        let mut stripe = self.stripe(key);
        if !stripe.end(key, ticket) || !self.is_open(at) {
            return;
        }
        match read {
            Some(value) => self.remember(&mut stripe, key, ticket.epoch, at, value),
            None => {
                self.drop_unless_terminal(key);
                self.remember_absence(&mut stripe, key, ticket.epoch, at);
            }
        }
    }

    /// Ends a flight that brought nothing.
    pub(super) fn crash(&self, key: &K, ticket: Ticket) {
        self.stripe(key).end(key, ticket);
    }

    /// Leaves a flight; the last one out ends it.
    pub(super) fn leave(&self, key: &K, ticket: Ticket) {
        let mut stripe = self.stripe(key);
        if let Some(flight) = stripe.flights.get_mut(key)
            && flight.ticket == ticket
        {
            flight.aboard -= 1;
            if flight.aboard == 0 {
                stripe.flights.remove(key);
            }
        }
    }

    /// The key was changed and is now this, as of `at` or later. Remembered only in the place of
    /// something older.
    pub(super) fn put(&self, key: &K, at: u64, value: V) {
        let mut stripe = self.stripe(key);
        stripe.changed(key);
        let epoch = self.epoch.load(Ordering::Acquire);
        if self.is_open(at) && self.entries.with(key, |entry| self.is_good(entry, at)) == Some(true)
        {
            self.remember(&mut stripe, key, epoch, at, value);
        }
    }

    /// The key was changed, in this way. `None` means that what is remembered stays as it is.
    pub(super) fn amend(&self, key: &K, change: impl FnOnce(&V) -> Option<V>) {
        let mut stripe = self.stripe(key);
        stripe.changed(key);
        let amended = self.entries.with(key, |entry| {
            let value = change(&entry.value)?;
            let Entry { good_until, epoch, stamp, .. } = *entry;
            Some(Entry { value, good_until, epoch, stamp })
        });
        if let Some(Some(entry)) = amended {
            self.entries.insert(*key, entry);
        }
    }

    /// The key may have been changed. What is terminal stays.
    pub(super) fn doubt(&self, key: &K) {
        self.stripe(key).changed(key);
        self.drop_unless_terminal(key);
    }

    /// Everything of a group, or everything at all, may have been changed. What is terminal stays.
    pub(super) fn doubt_all(&self, group: Option<u64>) {
        for stripe in self.all_stripes() {
            let mut stripe = self.lock(stripe);
            stripe.flights.clear();
            for place in &stripe.order {
                if group.is_none_or(|group| place.groups.contains(&group)) {
                    self.drop_unless_terminal(&place.key);
                }
            }
        }
    }

    /// The key has this version now, or a later one, or is new.
    pub(super) fn heard_of(&self, key: &K, version: u64) {
        let mut stripe = self.stripe(key);
        stripe.changed(key);
        if self.entries.with(key, |entry| entry.value.version() < version) == Some(true) {
            self.drop_unless_terminal(key);
        }
    }

    /// What was under the key is no more.
    pub(super) fn forget(&self, key: &K) {
        let mut stripe = self.stripe(key);
        stripe.changed(key);
        self.entries.remove(key);
    }

    /// Anything may have been changed.
    pub(super) fn flush(&self) {
        self.epoch.fetch_add(1, Ordering::AcqRel);
        for stripe in self.all_stripes() {
            self.lock(stripe).restart();
        }
    }

    /// How many keys are being read.
    pub(super) fn in_flight(&self) -> usize {
        self.all_stripes().map(|stripe| self.lock(stripe).flights.len()).sum()
    }

    fn is_good(&self, entry: &Entry<V>, now: u64) -> bool {
        now < entry.good_until && entry.epoch == self.epoch.load(Ordering::Acquire)
    }

    fn drop_unless_terminal(&self, key: &K) {
        if self.entries.with(key, |entry| entry.value.is_terminal()) == Some(false) {
            self.entries.remove(key);
        }
    }

    fn remember(&self, stripe: &mut Stripe<K, W>, key: &K, epoch: u64, at: u64, value: V) {
        let kept = self.entries.with(key, |known| {
            let newer = known.value.version() > value.version();
            let final_word = known.value.is_terminal() && !value.is_terminal();
            self.is_good(known, at) && (newer || final_word)
        });
        let room = self.limits.entries / (self.stripes.len() + 1);
        if kept == Some(true) || room == 0 {
            return;
        }
        let (stamp, groups) = (stripe.stamp(), value.groups());
        let good_until = at.saturating_add(self.limits.ttl);
        self.entries.insert(*key, Entry { value, good_until, epoch, stamp });
        stripe.order.push_back(Place { key: *key, stamp, groups });
        // One for the new one's place, one more so that a cache that needs less room shrinks.
        for _ in 0..2 {
            let Some(oldest) = stripe.order.front() else {
                break;
            };
            let own = self.entries.with(&oldest.key, |entry| {
                (entry.stamp == oldest.stamp).then(|| self.is_good(entry, at))
            });
            let full = stripe.order.len() > room;
            match own {
                Some(Some(true)) if !full => break,
                Some(Some(_)) => self.entries.remove(&oldest.key),
                Some(None) | None => {}
            }
            stripe.order.pop_front();
        }
    }

    fn remember_absence(&self, stripe: &mut Stripe<K, W>, key: &K, epoch: u64, at: u64) {
        let room = self.limits.absences / (self.stripes.len() + 1);
        let stamp = stripe.stamp();
        let good_until = at.saturating_add(self.limits.absence_ttl);
        stripe.absences.insert(*key, Absence { good_until, epoch, stamp });
        stripe.absence_order.push_back((*key, stamp));
        while stripe.absence_order.len() > room
            && let Some((oldest, stamp)) = stripe.absence_order.pop_front()
        {
            if stripe.absences.get(&oldest).is_some_and(|absence| absence.stamp == stamp) {
                stripe.absences.remove(&oldest);
            }
        }
    }

    fn stripe(&self, key: &K) -> MutexGuard<'_, Stripe<K, W>> {
        let count = self.stripes.len() as u64 + 1;
        let place = usize::try_from(self.hasher.hash_one(key) % count).unwrap_or(usize::MAX);
        self.lock(self.stripes.get(place).unwrap_or(&self.first))
    }

    fn all_stripes(&self) -> impl Iterator<Item = &Mutex<Stripe<K, W>>> {
        std::iter::once(&self.first).chain(&self.stripes)
    }

    /// Takes a stripe's lock. After a panic under it, nothing that was remembered is trusted.
    fn lock<'a>(&self, stripe: &'a Mutex<Stripe<K, W>>) -> MutexGuard<'a, Stripe<K, W>> {
        let (mut stripe, panicked) = lock(stripe);
        if panicked {
            self.epoch.fetch_add(1, Ordering::AcqRel);
            stripe.restart();
        }
        stripe
    }
}

impl<K: Hash + Eq, W> Stripe<K, W> {
    fn new() -> Self {
        Self {
            next: 0,
            flights: HashMap::default(),
            order: VecDeque::new(),
            absences: HashMap::default(),
            absence_order: VecDeque::new(),
        }
    }

    fn stamp(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// Ends the flight of a key; says whether it was still that one.
    fn end(&mut self, key: &K, ticket: Ticket) -> bool {
        let current = self.flights.get(key).is_some_and(|flight| flight.ticket == ticket);
        if current {
            self.flights.remove(key);
        }
        current
    }

    fn changed(&mut self, key: &K) {
        self.flights.remove(key);
        self.absences.remove(key);
    }

    /// Forgets all but the places of entries, which are needed to remove them.
    fn restart(&mut self) {
        self.flights.clear();
        self.absences.clear();
        self.absence_order.clear();
    }
}
