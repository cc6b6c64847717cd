//! What the cases are made with, of use in a backend's own tests too: records, the instants of the
//! suite's time, and steps that run at once.

use std::fmt::Display;
use std::future::poll_fn;
use std::panic::resume_unwind;
use std::pin::pin;
use std::sync::{Arc, Barrier};
use std::task::Poll;
use std::thread;

use chrono::TimeDelta;
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use super::harness::Store;
use crate::clock::Timestamp;
use crate::scope::{Resources, ScopeList};
use crate::store::{
    Admission, Change, Conflict, Facts, Filter, PageRequest, Position, Reach, SortKey, StoreError,
    TokenStore, Use,
};
use crate::token::{
    Actor, IdempotencyKey, Kind, LastUse, Metadata, Networks, Notices, Owner, Record, Revocation,
    RevocationReason, Rotation, Suspension, Tenant, Token, TokenDigest, TokenId,
};

/// The instant that many seconds into the tests' time.
pub fn at(second: i64) -> Timestamp {
    let start: Timestamp = "2026-11-22T09:00:00Z".parse().unwrap();
    start.checked_add(TimeDelta::seconds(second)).unwrap()
}

/// The id made of this number's digits.
pub fn id(number: u32) -> TokenId {
    format!("{number:016}").parse().unwrap()
}

/// An owner by name.
pub fn owner(name: &str) -> Owner {
    Owner::parse(name).unwrap()
}

/// A digest that differs by number and that no secret has.
pub fn digest(number: u32) -> TokenDigest {
    TokenDigest::from_stored(&format!("v1$0${number:0>42}A"))
}

/// An idempotency key that differs by the number's last byte.
pub fn key(number: u32) -> IdempotencyKey {
    let [.., last] = number.to_be_bytes();
    IdempotencyKey { key: [last; 16], request: [last ^ 0xff; 16] }
}

/// A personal token of `u1` with nothing special, issued at second 0.
pub fn record(number: u32) -> Record {
    let name = format!("token {number}").parse().unwrap();
    let scopes = ScopeList::parse(["repo:read"]).unwrap();
    let token = Token::new(id(number), Kind::Personal, owner("u1"), name, scopes, at(0));
    Record::new(token, digest(number))
}

/// The same, changed.
pub fn record_with(number: u32, change: impl FnOnce(&mut Token)) -> Record {
    let mut record = record(number);
    change(&mut record.token);
    record
}

/// A record with a value in every field.
pub fn full_record(number: u32) -> Record {
    let mut record = record_with(number, |token| {
        token.kind = Kind::Access;
        token.tenant = Tenant::parse("acme").unwrap();
        token.description = Some("Builds ŻÓŁW\nevery night".to_owned());
        token.scopes = ScopeList::parse(["repo:read", "repo:write", ","]).unwrap();
        token.resources = Resources::listed(["org/project", "team/*"]).unwrap();
        token.networks = Networks::Listed(Arc::from([
            "10.1.2.3/8".parse().unwrap(),
            "2001:db8::/32".parse().unwrap(),
        ]));
        token.audience = vec!["https://api.example/".to_owned(), "b".to_owned()];
        token.created_by = Actor::Admin(owner("root:1"));
        token.not_before = Some(at(1));
        token.expires_at = Some(at(1000));
        token.last_use = Some(LastUse {
            at: at(20),
            ip: Some("::ffff:10.0.0.1".parse().unwrap()),
            agent: Some("curl/8.5".into()),
        });
        token.rotation = Some(Rotation {
            rotated_at: at(10),
            superseded_at: at(9),
            grace_until: at(100),
            first_used_at: Some(at(11)),
        });
        token.suspension = Some(suspension(12));
        token.revocation = Some(Revocation {
            at: at(30),
            by: Actor::Token(id(number)),
            reason: RevocationReason::Leaked,
        });
        token.parent = Some(id(999_999));
        token.client = Some("client 'x'".to_owned());
        token.metadata =
            Metadata::from_json(r#"{"a":[1,2.5e-7,122.416294033786585],"ż":null}"#).unwrap();
        token.notices = Notices { given: 0b1000_0101, claimed_at: Some(at(29)) };
        token.version = 7;
    });
    record.superseded = Some(TokenDigest::from_stored("v9$unknown scheme$"));
    record.idempotency = Some(key(number));
    record
}

/// An admission at second 0 that refuses nothing.
pub fn anything() -> Admission {
    Admission { now: at(0), quota: None, unique_name: false }
}

/// A revocation by the owner at that second.
pub fn mark(second: i64) -> Revocation {
    Revocation { at: at(second), by: Actor::Owner, reason: RevocationReason::Requested }
}

/// A suspension by an administrator at that second.
pub fn suspension(second: i64) -> Suspension {
    Suspension { at: at(second), by: Actor::Admin(owner("root:1")) }
}

/// A filter for the tokens of these numbers.
pub fn only(ids: impl IntoIterator<Item = u32>) -> Filter {
    let mut filter = Filter::new(Reach::All);
    filter.ids = Some(ids.into_iter().map(id).collect());
    filter
}

/// The first page of that many records.
pub fn page(sort: SortKey, descending: bool, limit: u32) -> PageRequest {
    PageRequest { sort, descending, after: None, limit }
}

/// Every sort.
pub const SORTS: [SortKey; 4] =
    [SortKey::CreatedAt, SortKey::Name, SortKey::ExpiresAt, SortKey::LastUsedAt];

/// All that a filter admits, sorted, read in pages.
pub async fn all(
    store: &dyn TokenStore,
    filter: &Filter,
    mut page: PageRequest,
    now: Timestamp,
) -> Vec<Record> {
    let mut records: Vec<Record> = Vec::new();
    loop {
        let read = fine("a list", store.list(filter, &page, now).await);
        assert!(read.len() <= page.limit as usize, "a page has at most `limit` records");
        let whole = read.len() == page.limit as usize;
        page.after = read.last().map(|last| position(page.sort, last));
        records.extend(read);
        if !whole {
            return records;
        }
    }
}

/// The facts of a token, if the store has them in memory.
#[must_use]
pub fn resident(store: &Store, id: &TokenId) -> Option<Facts> {
    let mut found = None;
    store.resident(id, &mut |facts| found = Some(facts.clone()));
    found
}

/// Where a record stands in a sorted list.
pub fn position(sort: SortKey, record: &Record) -> Position {
    Position { value: sort.value_of(record), id: record.token.id }
}

/// The records' ids.
pub fn ids(records: &[Record]) -> Vec<TokenId> {
    records.iter().map(|record| record.token.id).collect()
}

/// Ids in order.
pub fn sorted(mut ids: Vec<TokenId>) -> Vec<TokenId> {
    ids.sort_unstable();
    ids
}

/// The step's value; fails the case if the store failed, which an error always means.
pub fn fine<T>(step: &str, result: Result<T, StoreError>) -> T {
    match result {
        Ok(value) => value,
        Err(StoreError::Conflict(conflict)) => {
            panic!("{step} that nothing stands against was refused: {conflict:?}")
        }
        Err(error) => panic!("{step} failed: {error:?}"),
    }
}

/// The conflict a step must meet; `rule` says why.
pub fn conflict<T>(rule: impl Display, result: Result<T, StoreError>) -> Conflict {
    match result {
        Err(StoreError::Conflict(conflict)) => conflict,
        Err(error) => panic!("{rule}: a conflict was due, but the store failed: {error:?}"),
        Ok(_) => panic!("{rule}: a conflict was due, but the step was taken"),
    }
}

/// Stores a record without conditions.
pub async fn put(store: &Store, record: &Record) {
    fine("an insert", store.insert(record, &anything()).await);
}

/// Stores records without conditions.
pub async fn put_all(store: &Store, records: &[Record]) {
    for record in records {
        put(store, record).await;
    }
}

/// The record of that number, which must be there.
pub async fn found(store: &Store, number: u32) -> Record {
    let found = fine("a find", store.find(&id(number)).await);
    found.unwrap_or_else(|| panic!("an acknowledged record must be found: {}", id(number)))
}

/// Changes a record without a name to be free, and returns it; it must be there.
pub async fn updated(store: &Store, number: u32, version: u64, change: &Change) -> Record {
    let updated = fine("an update", store.update(&id(number), version, change, at(0)).await);
    updated.expect("an update of a stored record returns the record")
}

/// Revokes, and returns the ids in order.
pub async fn revoked(store: &Store, filter: &Filter, mark: &Revocation) -> Vec<TokenId> {
    sorted(fine("a revocation", store.revoke(filter, mark).await))
}

/// Every record, by name.
pub async fn everything(store: &Store) -> Vec<Record> {
    all(&**store, &Filter::new(Reach::All), page(SortKey::Name, false, 1000), at(0)).await
}

/// A change of the name alone.
pub fn named(name: &str, unique: bool) -> Change {
    Change { name: Some((name.parse().unwrap(), unique)), ..Change::default() }
}

/// A use of the token of that number at that second.
pub fn used(number: u32, second: i64) -> Use {
    let last_use = LastUse { at: at(second), ip: None, agent: Some(second.to_string().into()) };
    Use { id: id(number), last_use }
}

/// Takes the same step on that many threads, all started at once, and returns what each returned.
///
/// The threads poll for themselves, but what the steps wait for belongs to the runtime this is
/// called on: connections and timers outlive the step.
pub async fn at_once<T, F>(threads: u32, step: impl Fn(u32) -> F + Send + Sync + 'static) -> Vec<T>
where
    T: Send + 'static,
    F: Future<Output = T>,
{
    let runtime = Handle::current();
    let shared = Arc::new((Barrier::new(threads as usize), step));
    let start = |number| {
        let (runtime, shared) = (runtime.clone(), shared.clone());
        let (done, waiting) = oneshot::channel::<()>();
        let run = move || {
            // Dropped when the thread ends, also when it ends by failing.
            let _done = done;
            let (barrier, step) = &*shared;
            barrier.wait();
            runtime.block_on(step(number))
        };
        (thread::spawn(run), waiting)
    };
    let running: Vec<_> = (0..threads).map(start).collect();
    let mut results = Vec::new();
    for (thread, waiting) in running {
        let _ = waiting.await;
        results.push(thread.join().unwrap_or_else(|failure| resume_unwind(failure)));
    }
    results
}

/// Polls a step that many times and drops it; its value if it had one by then.
pub async fn dropped_after<T>(polls: u32, step: impl Future<Output = T>) -> Option<T> {
    if polls == 0 {
        return None;
    }
    let mut step = pin!(step);
    let mut left = polls;
    poll_fn(|context| {
        left -= 1;
        match step.as_mut().poll(context) {
            Poll::Ready(value) => Poll::Ready(Some(value)),
            Poll::Pending if left == 0 => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}
