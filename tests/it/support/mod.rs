//! What tests are made with.

use std::sync::{Arc, Barrier};
use std::thread;

use chrono::TimeDelta;
use hallpass::store::{Admission, Filter, PageRequest, Position, Reach, SortKey};
use hallpass::{
    Actor, IdempotencyKey, Kind, LastUse, Metadata, Networks, Owner, Record, Resources, Revocation,
    RevocationReason, Rotation, ScopeList, Tenant, Timestamp, Token, TokenDigest, TokenId,
    TokenStore,
};

/// The instant that many seconds into the tests' time.
pub(crate) fn at(second: i64) -> Timestamp {
    let start: Timestamp = "2026-11-22T09:00:00Z".parse().unwrap();
    start.checked_add(TimeDelta::seconds(second)).unwrap()
}

pub(crate) fn id(number: u32) -> TokenId {
    format!("{number:016}").parse().unwrap()
}

pub(crate) fn owner(name: &str) -> Owner {
    Owner::parse(name).unwrap()
}

pub(crate) fn digest(number: u32) -> TokenDigest {
    TokenDigest::from_stored(&format!("v1$0${number:0>42}A"))
}

pub(crate) fn key(number: u32) -> IdempotencyKey {
    let [.., last] = number.to_be_bytes();
    IdempotencyKey { key: [last; 16], request: [last ^ 0xff; 16] }
}

/// A personal token of `u1` with nothing special, issued at second 0.
pub(crate) fn record(number: u32) -> Record {
    let name = format!("token {number}").parse().unwrap();
    let scopes = ScopeList::parse(["repo:read"]).unwrap();
    let token = Token::new(id(number), Kind::Personal, owner("u1"), name, scopes, at(0));
    Record::new(token, digest(number))
}

/// The same, changed.
pub(crate) fn record_with(number: u32, change: impl FnOnce(&mut Token)) -> Record {
    let mut record = record(number);
    change(&mut record.token);
    record
}

/// A record with a value in every field.
pub(crate) fn full_record(number: u32) -> Record {
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
        token.suspended_at = Some(at(12));
        token.revocation = Some(Revocation {
            at: at(30),
            by: Actor::Token(id(number)),
            reason: RevocationReason::Leaked,
        });
        token.parent = Some(id(999_999));
        token.client = Some("client 'x'".to_owned());
        token.metadata =
            Metadata::from_json(r#"{"a":[1,2.5e-7,122.416294033786585],"ż":null}"#).unwrap();
        token.notices = 0b1000_0101;
        token.version = 7;
    });
    record.superseded = Some(TokenDigest::from_stored("v9$unknown scheme$"));
    record.idempotency = Some(key(number));
    record
}

/// An admission at second 0 that refuses nothing.
pub(crate) fn anything() -> Admission {
    Admission { now: at(0), quota: None, unique_name: false }
}

pub(crate) fn mark(second: i64) -> Revocation {
    Revocation { at: at(second), by: Actor::Owner, reason: RevocationReason::Requested }
}

pub(crate) fn only(ids: impl IntoIterator<Item = u32>) -> Filter {
    let mut filter = Filter::new(Reach::All);
    filter.ids = Some(ids.into_iter().map(id).collect());
    filter
}

pub(crate) fn page(sort: SortKey, descending: bool, limit: u32) -> PageRequest {
    PageRequest { sort, descending, after: None, limit }
}

pub(crate) const SORTS: [SortKey; 4] =
    [SortKey::CreatedAt, SortKey::Name, SortKey::ExpiresAt, SortKey::LastUsedAt];

/// All that a filter admits, sorted, read in pages.
pub(crate) async fn all(
    store: &dyn TokenStore,
    filter: &Filter,
    mut page: PageRequest,
    now: Timestamp,
) -> Vec<Record> {
    let mut records: Vec<Record> = Vec::new();
    loop {
        let read = store.list(filter, &page, now).await.unwrap();
        let whole = read.len() == page.limit as usize;
        page.after = read.last().map(|last| position(page.sort, last));
        records.extend(read);
        if !whole {
            return records;
        }
    }
}

pub(crate) fn position(sort: SortKey, record: &Record) -> Position {
    Position { value: sort.value_of(record), id: record.token.id }
}

pub(crate) fn ids(records: &[Record]) -> Vec<TokenId> {
    records.iter().map(|record| record.token.id).collect()
}

pub(crate) fn sorted(mut ids: Vec<TokenId>) -> Vec<TokenId> {
    ids.sort_unstable();
    ids
}

/// Runs a future to its end on this thread.
pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

/// Runs the same step on that many threads, all started at once, and returns what each returned.
pub(crate) fn at_once<T: Send, F: Future<Output = T>>(
    threads: u32,
    step: impl Fn(u32) -> F + Sync,
) -> Vec<T> {
    let barrier = Barrier::new(threads as usize);
    thread::scope(|scope| {
        let (barrier, step) = (&barrier, &step);
        let run = |number| {
            move || {
                barrier.wait();
                block_on(step(number))
            }
        };
        let running: Vec<_> = (0..threads).map(|number| scope.spawn(run(number))).collect();
        running.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}
