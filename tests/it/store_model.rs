//! Random steps have the same results on both stores, and a list gives what
//! [`Filter::admits`](hallpass::store::Filter::admits) says.

use chrono::TimeDelta;
use hallpass::store::{
    Admission, Change, Conflict, Filter, Purge, Reach, SortKey, StoreError, Use,
};
use hallpass::{
    IdempotencyKey, Kind, KindSet, LastUse, MemoryStore, Record, Revocation, Rotation, ScopeList,
    SqliteStore, Status, Tenant, TokenId, TokenStore,
};
use proptest::prelude::*;

use crate::support::{
    SORTS, all, at, block_on, digest, id, mark, owner, page, position, record, sorted,
};

/// One step of the contract.
#[derive(Debug, Clone)]
enum Step {
    Insert(Box<Record>, Admission),
    Update(TokenId, i64, Box<Change>, i64),
    Revoke(Filter, Revocation),
    Touch(Vec<Use>),
    Purge(Purge),
    List(Filter, i64),
}

/// What a step gave, as far as a caller may count on it.
#[derive(Debug, PartialEq)]
enum Outcome {
    Done,
    Record(Option<Box<Record>>),
    Ids(Vec<TokenId>),
    Count(u64),
    Records(Vec<Record>),
    Conflict(Conflict),
    /// Which of several tokens of that name is told is open.
    NameTaken,
}

fn outcome<T>(result: Result<T, StoreError>, outcome: impl FnOnce(T) -> Outcome) -> Outcome {
    match result {
        Ok(value) => outcome(value),
        Err(StoreError::Conflict(Conflict::NameTaken { .. })) => Outcome::NameTaken,
        Err(StoreError::Conflict(conflict)) => Outcome::Conflict(conflict),
        Err(error) => panic!("{error:?}"),
    }
}

async fn take(store: &dyn TokenStore, step: &Step, known: &[Record]) -> Outcome {
    match step {
        Step::Insert(record, admission) => {
            outcome(store.insert(record, admission).await, |()| Outcome::Done)
        }
        Step::Update(id, ahead, change, now) => {
            let known = known.iter().find(|record| record.token.id == *id);
            let version = known.map_or(1, |record| record.token.version);
            let version = version.saturating_add_signed(*ahead);
            outcome(store.update(id, version, change, at(*now)).await, |record| {
                Outcome::Record(record.map(Box::new))
            })
        }
        Step::Revoke(filter, mark) => {
            outcome(store.revoke(filter, mark).await, |ids| Outcome::Ids(sorted(ids)))
        }
        Step::Touch(uses) => outcome(store.touch(uses).await, |()| Outcome::Done),
        Step::Purge(purge) => outcome(store.purge(purge).await, Outcome::Count),
        Step::List(filter, now) => {
            let mut lists = Vec::new();
            for sort in SORTS {
                let mut expected: Vec<Record> = known
                    .iter()
                    .filter(|record| filter.admits(record, at(*now)))
                    .cloned()
                    .collect();
                expected.sort_by_key(|record| position(sort, record));
                let up = all(store, filter, page(sort, false, 2), at(*now)).await;
                assert_eq!(up, expected, "{sort:?}");
                expected.reverse();
                let down = all(store, filter, page(sort, true, 3), at(*now)).await;
                assert_eq!(down, expected, "{sort:?} descending");
                lists.extend(up);
            }
            Outcome::Records(lists)
        }
    }
}

async fn everything(store: &dyn TokenStore) -> Vec<Record> {
    all(store, &Filter::new(Reach::All), page(SortKey::Name, false, 1000), at(0)).await
}

fn ids() -> impl Strategy<Value = TokenId> {
    (0..12_u32).prop_map(id)
}

fn seconds() -> impl Strategy<Value = i64> {
    0..30_i64
}

fn maybe_second() -> impl Strategy<Value = Option<i64>> {
    prop::option::of(seconds())
}

fn names() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["ci", "CI", "caf\u{e9}", "CAFE\u{301}", "%", "a_b", "ß", "SS"])
}

fn kinds() -> impl Strategy<Value = Kind> {
    prop::sample::select(Kind::ALL.to_vec())
}

fn scope_lists() -> impl Strategy<Value = ScopeList> {
    prop::collection::vec(prop::sample::select(vec!["a", "a,", ",", "b"]), 0..3)
        .prop_map(|scopes| ScopeList::parse(scopes).unwrap())
}

fn records() -> impl Strategy<Value = Record> {
    let who = (0..12_u32, kinds(), 0..2_u8, 0..2_u8, names(), scope_lists());
    let when = (seconds(), maybe_second(), maybe_second(), maybe_second());
    let rest = (prop::option::of(0..12_u32), prop::option::of(0..4_u8), any::<bool>());
    (who, when, rest).prop_map(|(who, when, rest)| {
        let (number, kind, tenant, holder, name, scopes) = who;
        let (created, start, end, used) = when;
        let (parent, key, client) = rest;
        let mut record = record(number);
        let token = &mut record.token;
        token.kind = kind;
        token.tenant = Tenant::parse(["default", "acme"][usize::from(tenant)]).unwrap();
        token.owner = owner(["u1", "u2"][usize::from(holder)]);
        token.name = name.parse().unwrap();
        token.scopes = scopes;
        token.created_at = at(created);
        token.not_before = start.map(at);
        token.expires_at = end.map(at);
        token.last_use = used.map(|second| LastUse { at: at(second), ip: None, agent: None });
        token.parent = parent.filter(|parent| *parent < number).map(id);
        token.client = client.then(|| "client".to_owned());
        record.idempotency = key.map(|key| IdempotencyKey { key: [key; 16], request: [0; 16] });
        record
    })
}

fn admissions() -> impl Strategy<Value = Admission> {
    (seconds(), prop::option::of(0..4_u32), any::<bool>())
        .prop_map(|(now, quota, unique_name)| Admission { now: at(now), quota, unique_name })
}

fn changes() -> impl Strategy<Value = Change> {
    let times = (
        prop::option::of(maybe_second()),
        prop::option::of(maybe_second()),
        prop::option::of(maybe_second()),
    );
    let rest = (prop::option::of((names(), any::<bool>())), prop::option::of(scope_lists()));
    (times, rest, any::<bool>()).prop_map(|((end, suspended, rotated), (name, scopes), other)| {
        let rotation = |second| Rotation {
            rotated_at: at(second),
            superseded_at: at(second),
            grace_until: at(second + 5),
            first_used_at: None,
        };
        Change {
            name: name.map(|(name, unique)| (name.parse().unwrap(), unique)),
            description: other.then(|| Some("Grün %".to_owned())),
            scopes,
            expires_at: end.map(|end| end.map(at)),
            suspended_at: suspended.map(|second| second.map(at)),
            rotation: rotated.map(|second| second.map(rotation)),
            superseded: other.then(|| Some(digest(1))),
            ..Change::default()
        }
    })
}

fn filters() -> impl Strategy<Value = Filter> {
    let tenants = || {
        prop::sample::select(vec!["default", "acme"]).prop_map(|text| Tenant::parse(text).unwrap())
    };
    let owners = prop::sample::select(vec!["u1", "u2"]).prop_map(owner);
    let reach = prop_oneof![
        1 => Just(Reach::All),
        1 => tenants().prop_map(Reach::Tenant),
        4 => (tenants(), owners).prop_map(|(tenant, owner)| Reach::Owner(tenant, owner)),
        2 => ids().prop_map(Reach::Family),
    ];
    let statuses = prop::collection::vec(prop::sample::select(Status::ALL.to_vec()), 0..4);
    let rare = |chance| prop::bool::weighted(chance);
    let what = (
        prop::option::weighted(0.2, prop::collection::vec(ids(), 0..6)),
        prop::option::weighted(0.3, prop::collection::vec(kinds(), 0..3)),
        prop::option::weighted(0.4, statuses),
        prop::option::weighted(0.2, prop::sample::select(vec!["", "C", "É", "%", "_", "ss", "00"])),
        prop::option::weighted(0.2, prop::sample::select(vec!["a", ",", "c"])),
        rare(0.1),
    );
    let when = (
        prop::option::weighted(0.2, seconds()),
        prop::option::weighted(0.2, seconds()),
        prop::option::weighted(0.2, seconds()),
        prop::option::weighted(0.2, seconds()),
    );
    (reach, what, when).prop_map(|(reach, what, when)| {
        let (ids, kinds, statuses, text, scope, client) = what;
        let mut filter = Filter::new(reach);
        filter.ids = ids;
        filter.kinds = kinds.map_or(KindSet::ALL, KindSet::from_iter);
        filter.statuses = statuses;
        filter.text = text.map(str::to_owned);
        filter.scope = scope.map(|scope| scope.parse().unwrap());
        filter.client = client.then(|| "client".to_owned());
        let (created, from, before, unused) = when;
        filter.created_before = created.map(at);
        filter.expires_from = from.map(at);
        filter.expires_before = before.map(at);
        filter.unused_since = unused.map(at);
        filter
    })
}

fn uses() -> impl Strategy<Value = Use> {
    (ids(), seconds()).prop_map(|(id, second)| Use {
        id,
        last_use: LastUse { at: at(second), ip: Some([10, 0, 0, 1].into()), agent: None },
    })
}

fn purges() -> impl Strategy<Value = Purge> {
    (seconds(), 0..10_i64, 0..10_i64).prop_map(|(now, kept, exchanged)| Purge {
        now: at(now + 5),
        retention: TimeDelta::seconds(kept),
        exchange_retention: TimeDelta::seconds(exchanged),
        limit: 1000,
    })
}

fn steps() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (records(), admissions())
            .prop_map(|(record, admission)| Step::Insert(Box::new(record), admission)),
        4 => (ids(), prop::sample::select(vec![0, 0, 0, -1, 1]), changes(), seconds())
            .prop_map(|(id, ahead, change, now)| Step::Update(id, ahead, Box::new(change), now)),
        1 => (filters(), seconds()).prop_map(|(filter, now)| Step::Revoke(filter, mark(now))),
        2 => prop::collection::vec(uses(), 0..5).prop_map(Step::Touch),
        1 => purges().prop_map(Step::Purge),
        4 => (filters(), seconds()).prop_map(|(filter, now)| Step::List(filter, now)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_steps_have_the_same_results_on_every_store(
        steps in prop::collection::vec(steps(), 1..40)
    ) {
        let memory = MemoryStore::new();
        let sqlite = SqliteStore::open_in_memory().unwrap();
        block_on(async {
            for step in &steps {
                let known = everything(&memory).await;
                let expected = take(&memory, step, &known).await;
                assert_eq!(take(&sqlite, step, &known).await, expected, "{step:?}");
                let kept = everything(&memory).await;
                assert_eq!(everything(&sqlite).await, kept, "after {step:?}");
                if let Step::Revoke(filter, mark) = step {
                    let meant = |record: &&Record| {
                        record.token.revocation.is_none() && filter.admits(record, mark.at)
                    };
                    let meant = known.iter().filter(meant).map(|record| record.token.id).collect();
                    assert_eq!(expected, Outcome::Ids(sorted(meant)));
                }
            }
        });
    }
}
