//! An engine with everything around it under the test's control.

mod events;
mod owners;
mod probe;

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Barrier};
use std::task::{Context as TaskContext, Poll, Waker};

use chrono::TimeDelta;
use hallpass::store::{Filter, Reach};
use hallpass::{
    Caller, Context, Denial, DenialReason, Hallpass, HallpassBuilder, Issue, Issued, Kind,
    ManualClock, MemoryStore, Owner, Policy, Record, ScopeCatalog, ScopeDefinition, Tenant,
    Timestamp, Token, TokenStore, Verified, VerifyError,
};

pub(crate) use self::events::Recorder;
pub(crate) use self::owners::{Answer, Directory};
pub(crate) use self::probe::{Fault, Probe, Step};

/// Runs a future that never has to wait for anything outside the test.
pub(crate) fn run<F: Future>(future: F) -> F::Output {
    let mut future = Box::pin(future);
    for _ in 0..100_000 {
        if let Poll::Ready(output) = poll_once(&mut future) {
            return output;
        }
    }
    panic!("the future waits for something that never comes");
}

pub(crate) fn poll_once<F: Future>(future: &mut Pin<Box<F>>) -> Poll<F::Output> {
    future.as_mut().poll(&mut TaskContext::from_waker(Waker::noop()))
}

/// Every store that races and dropped futures are tried on.
pub(crate) fn stores() -> Vec<fn() -> Arc<dyn TokenStore>> {
    vec![
        || Arc::new(MemoryStore::new()),
        #[cfg(feature = "sqlite")]
        || Arc::new(hallpass::SqliteStore::open_in_memory().unwrap()),
    ]
}

/// Runs one closure on each of so many threads, let go at the same moment.
pub(crate) fn together<T: Send>(threads: usize, work: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let barrier = Barrier::new(threads);
    std::thread::scope(|scope| {
        let started: Vec<_> = (0..threads)
            .map(|number| {
                let (work, barrier) = (&work, &barrier);
                scope.spawn(move || {
                    barrier.wait();
                    work(number)
                })
            })
            .collect();
        started.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

/// When every test starts.
pub(crate) fn start() -> Timestamp {
    "2026-11-22T09:00:00Z".parse().unwrap()
}

pub(crate) fn after(delta: TimeDelta) -> Timestamp {
    start().checked_add(delta).unwrap()
}

pub(crate) fn micro() -> TimeDelta {
    TimeDelta::microseconds(1)
}

pub(crate) fn owner(name: &str) -> Owner {
    Owner::parse(name).unwrap()
}

/// `repo:admin` implies `repo:write` implies `repo:read`; `session` is not for access tokens.
pub(crate) fn catalog() -> ScopeCatalog {
    ScopeCatalog::builder()
        .scope(ScopeDefinition::new("repo:read"))
        .scope(ScopeDefinition::new("repo:write").implies(["repo:read"]))
        .scope(ScopeDefinition::new("repo:admin").implies(["repo:write"]))
        .scope(ScopeDefinition::new("hooks"))
        .scope(ScopeDefinition::new("session").kinds([Kind::Personal]))
        .preset("CI", ["repo:write", "hooks"])
        .build()
        .unwrap()
}

/// An engine, and all that it asks.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) hallpass: Hallpass,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) store: Arc<Probe>,
    pub(crate) owners: Arc<Directory>,
    pub(crate) events: Arc<Recorder>,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(|_| {})
    }

    /// With a policy that is the default one, changed.
    pub(crate) fn with(change: impl FnOnce(&mut Policy)) -> Self {
        Self::on(Arc::new(MemoryStore::new()), change)
    }

    pub(crate) fn on(store: Arc<dyn TokenStore>, change: impl FnOnce(&mut Policy)) -> Self {
        let mut policy = Policy::default();
        change(&mut policy);
        Self::build(store, |builder| builder.policy(policy))
    }

    pub(crate) fn build(
        store: Arc<dyn TokenStore>,
        change: impl FnOnce(HallpassBuilder) -> HallpassBuilder,
    ) -> Self {
        let clock = Arc::new(ManualClock::at(start()));
        let store = Arc::new(Probe::around(store));
        let owners = Arc::new(Directory::default());
        let events = Arc::new(Recorder::default());
        let builder = Hallpass::builder(Arc::clone(&store))
            .brand("acme")
            .catalog(catalog())
            .owners(Arc::clone(&owners))
            .events(Arc::clone(&events))
            .clock(Arc::clone(&clock))
            .cursor_key([7; 32]);
        let hallpass = change(builder).build().unwrap();
        Self { hallpass, clock, store, owners, events }
    }

    /// A second engine on the same store, clock, owners and events.
    pub(crate) fn again(
        &self,
        change: impl FnOnce(HallpassBuilder) -> HallpassBuilder,
    ) -> Hallpass {
        let builder = Hallpass::builder(Arc::clone(&self.store))
            .brand("acme")
            .catalog(catalog())
            .owners(Arc::clone(&self.owners))
            .events(Arc::clone(&self.events))
            .clock(Arc::clone(&self.clock))
            .cursor_key([7; 32]);
        change(builder).build().unwrap()
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.hallpass.now()
    }

    pub(crate) fn advance(&self, delta: TimeDelta) {
        self.clock.advance(delta);
    }

    /// An owner who just confirmed its presence.
    pub(crate) fn caller(&self, name: &str) -> Caller {
        Caller::owner(owner(name)).confirmed_at(self.now())
    }

    pub(crate) fn issue(&self, issue: Issue) -> Issued {
        run(self.hallpass.issue(issue)).unwrap()
    }

    /// A live token of `u1` with `repo:read`.
    pub(crate) fn token(&self, name: &str) -> Issued {
        self.issue(ci(name))
    }

    pub(crate) fn verify(&self, text: &str) -> Result<Verified, VerifyError> {
        run(self.hallpass.verify(text, &Context::default()))
    }

    pub(crate) fn accepts(&self, issued: &Issued) -> bool {
        match self.verify(issued.plain.expose()) {
            Ok(_) => true,
            Err(VerifyError::Denied(_)) => false,
            Err(other) => panic!("{other:?}"),
        }
    }

    /// Why a text is refused.
    pub(crate) fn refusal(&self, text: &str) -> DenialReason {
        denial(self.verify(text)).reason()
    }

    pub(crate) fn get(&self, issued: &Issued) -> Token {
        run(self.hallpass.get(&issued.token.id)).unwrap().unwrap()
    }

    pub(crate) fn record(&self, issued: &Issued) -> Record {
        run(self.store.find(&issued.token.id)).unwrap().unwrap()
    }

    pub(crate) fn all(&self) -> Vec<Token> {
        let request = hallpass::ListRequest::new(Filter::new(Reach::All)).limit(100);
        run(self.hallpass.list(&request)).unwrap().tokens
    }

    /// Puts a record into the store as if it had always been there.
    pub(crate) fn plant(&self, record: &Record) {
        let admission =
            hallpass::store::Admission { now: self.now(), quota: None, unique_name: false };
        run(self.store.insert(record, &admission)).unwrap();
    }
}

/// A request for a token of `u1` with `repo:read`.
pub(crate) fn ci(name: &str) -> Issue {
    Issue::new(name).owner("u1").scopes(["repo:read"])
}

pub(crate) fn denial(answer: Result<Verified, VerifyError>) -> Denial {
    match answer {
        Err(VerifyError::Denied(denial)) => denial,
        other => panic!("not refused: {other:?}"),
    }
}

pub(crate) fn tenant(name: &str) -> Tenant {
    Tenant::parse(name).unwrap()
}

/// A token's text put together from parts, with the right checksum.
pub(crate) fn text_of(kind: &str, id: &str, secret: &str) -> String {
    const DIGITS: &[u8] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let body = format!("acme_{kind}_{id}_{secret}");
    let mut rest = !body.bytes().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| {
            if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 }
        })
    });
    let mut check = [b'0'; 6];
    for digit in check.iter_mut().rev() {
        *digit = DIGITS[(rest % 62) as usize];
        rest /= 62;
    }
    body + std::str::from_utf8(&check).unwrap()
}

/// The secret part of a text.
pub(crate) fn secret_of(text: &str) -> &str {
    let tail = text.rsplit('_').next().unwrap();
    tail.split_at(tail.len() - 6).0
}
