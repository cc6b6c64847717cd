//! Random steps against a model: a list of records and the reference helpers.

use std::collections::HashSet;
use std::env;
use std::hash::{BuildHasher as _, RandomState};
use std::thread;

use chrono::TimeDelta;

use super::harness::Store;
use super::purge::purgeable;
use super::support::{
    SORTS, all, at, digest, everything, fine, id, mark, owner, page, position, record, resident,
    sorted, suspension,
};
use crate::scope::ScopeList;
use crate::store::{Admission, Change, Conflict, Filter, Purge, Reach, SortKey, StoreError, Use};
use crate::token::{
    IdempotencyKey, Kind, KindSet, LastUse, Owner, Record, Rotation, Status, Tenant, TokenId,
};

/// The environment variable that sets the seed of [`random_steps_do_what_the_model_does`].
pub const SEED: &str = "HALLPASS_CONFORMANCE_SEED";
/// The environment variable that sets how many steps it takes; 300 without it.
pub const STEPS: &str = "HALLPASS_CONFORMANCE_STEPS";

/// Random steps leave what the model says and return what the model says. The seed is drawn anew
/// each time and printed if the case fails; [`SEED`] sets it, and [`STEPS`] how far it goes.
pub async fn random_steps_do_what_the_model_does(store: Store) {
    let number = |variable: &str| {
        let text = env::var(variable).ok()?;
        Some(text.parse().unwrap_or_else(|_| panic!("{variable} must be a number: {text:?}")))
    };
    let seed = number(SEED).unwrap_or_else(|| RandomState::new().hash_one(0));
    random_steps(store, seed, number(STEPS).unwrap_or(300)).await;
}

/// That many random steps from this seed.
pub async fn random_steps(store: Store, seed: u64, steps: u64) {
    let mut failure = Failure { seed, step: 0, last: None };
    let mut random = Random(seed);
    let mut model = Model::default();
    for step in 1..=steps {
        let next = random.step(&model);
        failure.step = step;
        failure.last = Some(format!("{next:?}"));
        model.check(&store, next).await;
        let kept = everything(&store).await;
        assert_eq!(kept, model.by_name(), "a step changes what the model changes and no more");
        for _ in 0..3 {
            let id = random.id();
            let found = fine("a find", store.find(&id).await);
            assert_eq!(found.as_ref(), model.get(&id), "a find gives what the model has");
            let resident = resident(&store, &id).map(|facts| facts.version);
            let current = model.get(&id).map(|record| record.token.version);
            assert!(resident.is_none() || resident == current, "resident facts are not behind");
        }
    }
    failure.last = None;
}

/// Says where the steps failed, when they do.
struct Failure {
    seed: u64,
    step: u64,
    last: Option<String>,
}

impl Drop for Failure {
    fn drop(&mut self) {
        if let (true, Some(last)) = (thread::panicking(), &self.last) {
            let Self { seed, step, .. } = self;
            eprintln!("step {step} of the steps from {SEED}={seed} failed: {last}");
        }
    }
}

/// One step of the contract.
#[derive(Debug)]
enum Step {
    Insert(Box<Record>, Admission),
    Update(TokenId, u64, Box<Change>, i64),
    Revoke(Filter, i64),
    Touch(Vec<Use>),
    Purge(Purge),
    List(Filter, i64),
}

/// What a store must hold: records in no order.
#[derive(Debug, Default)]
struct Model {
    records: Vec<Record>,
    /// Ids that a store may refuse although they are free.
    purged: HashSet<TokenId>,
}

impl Model {
    fn get(&self, id: &TokenId) -> Option<&Record> {
        self.records.iter().find(|record| record.token.id == *id)
    }

    fn by_name(&self) -> Vec<Record> {
        let mut records = self.records.clone();
        records.sort_by_key(|record| position(SortKey::Name, record));
        records
    }

    /// Takes a step in the store and here, and compares.
    async fn check(&mut self, store: &Store, step: Step) {
        match step {
            Step::Insert(record, admission) => {
                let result = store.insert(&record, &admission).await;
                self.insert(*record, &admission, result);
            }
            Step::Update(id, version, change, now) => {
                let result = store.update(&id, version, &change, at(now)).await;
                self.update(&id, version, &change, now, result);
            }
            Step::Revoke(filter, second) => {
                let mark = mark(second);
                let told = fine("a revocation", store.revoke(&filter, &mark).await);
                let mut expected = Vec::new();
                for record in &mut self.records {
                    if record.token.revocation.is_none() && filter.admits(record, mark.at) {
                        record.token.revocation = Some(mark.clone());
                        record.token.version += 1;
                        expected.push(record.token.id);
                    }
                }
                let rule = "a revocation returns what `Filter::admits` and was not revoked";
                assert_eq!(sorted(told), sorted(expected), "{rule}");
            }
            Step::Touch(uses) => {
                fine("a touch", store.touch(&uses).await);
                for noted in uses {
                    let mut known = self.records.iter_mut();
                    let Some(record) = known.find(|record| record.token.id == noted.id) else {
                        continue;
                    };
                    let last = record.token.last_use.as_ref();
                    if record.token.revocation.is_none()
                        && last.is_none_or(|last| last.at < noted.last_use.at)
                    {
                        record.token.last_use = Some(noted.last_use);
                    }
                }
            }
            Step::Purge(purge) => {
                let removed = fine("a purge", store.purge(&purge).await);
                self.purge(&purge, removed, &everything(store).await);
            }
            Step::List(filter, now) => self.list(store, &filter, now).await,
        }
    }

    fn insert(&mut self, record: Record, admission: &Admission, result: Result<(), StoreError>) {
        let new = &record.token;
        let own = |other: &&Record| {
            (&other.token.tenant, &other.token.owner) == (&new.tenant, &new.owner)
        };
        let replayed = self.records.iter().filter(own).find(|other| {
            let keys = (record.idempotency, other.idempotency);
            matches!(keys, (Some(wanted), Some(known)) if wanted.key == known.key)
        });
        let rivals: Vec<&Record> = self.live(&record, admission.now);
        let namesakes = namesakes(&rivals, &record);
        let expected = if let Some(known) = replayed {
            Some(Conflict::Replayed { id: known.token.id })
        } else if self.get(&new.id).is_some() {
            Some(Conflict::IdTaken)
        } else if admission.unique_name && !namesakes.is_empty() {
            Some(Conflict::NameTaken { by: namesakes[0] })
        } else {
            let full = admission.quota.filter(|limit| rivals.len() >= *limit as usize);
            full.map(|limit| Conflict::QuotaFull { limit })
        };
        let id = new.id;
        let refused = result.as_ref().err();
        if matches!(refused, Some(StoreError::Conflict(Conflict::IdTaken)))
            && self.purged.contains(&id)
            && replayed.is_none()
        {
            // A store may remember what it purged.
            return;
        }
        compare(result, expected, &namesakes);
        if expected.is_none() {
            self.purged.remove(&id);
            self.records.push(record);
        }
    }

    fn update(
        &mut self,
        id: &TokenId,
        version: u64,
        change: &Change,
        now: i64,
        result: Result<Option<Record>, StoreError>,
    ) {
        let Some(known) = self.get(id) else {
            let returned = fine("an update", result);
            assert_eq!(returned, None, "an update of what is not there returns `None`");
            return;
        };
        let mut wanted = known.clone();
        change.apply_to(&mut wanted);
        let rivals = self.live(&wanted, at(now));
        let namesakes = namesakes(&rivals, &wanted);
        let current = known.token.version;
        let expected = if known.token.revocation.is_some() {
            Some(Conflict::Revoked)
        } else if current != version {
            Some(Conflict::Stale { current })
        } else if matches!(change.name, Some((_, true))) && !namesakes.is_empty() {
            Some(Conflict::NameTaken { by: namesakes[0] })
        } else {
            None
        };
        if let Some(returned) = compare(result, expected, &namesakes) {
            assert_eq!(returned.as_ref(), Some(&wanted), "an update returns the record afterwards");
            self.records.retain(|record| record.token.id != *id);
            self.records.push(wanted);
        }
    }

    fn purge(&mut self, purge: &Purge, removed: u64, kept: &[Record]) {
        let may_go = purgeable(&self.records, purge);
        let expected = may_go.len().min(purge.limit as usize);
        assert_eq!(removed, expected as u64, "a purge removes what it may, up to its limit");
        let gone: Vec<TokenId> = may_go
            .into_iter()
            .filter(|record| !kept.contains(record))
            .map(|record| record.token.id)
            .collect();
        assert_eq!(gone.len(), expected, "a purge removes as many as it says");
        self.records.retain(|record| !gone.contains(&record.token.id));
        self.purged.extend(gone);
    }

    async fn list(&self, store: &Store, filter: &Filter, now: i64) {
        for sort in SORTS {
            let meant = self.records.iter().filter(|record| filter.admits(record, at(now)));
            let mut expected: Vec<Record> = meant.cloned().collect();
            expected.sort_by_key(|record| position(sort, record));
            let rule = "a list is what `Filter::admits`, sorted by `SortKey::value_of` and id";
            let up = all(&**store, filter, page(sort, false, 2), at(now)).await;
            assert_eq!(up, expected, "{rule}: {sort:?}");
            expected.reverse();
            let down = all(&**store, filter, page(sort, true, 3), at(now)).await;
            assert_eq!(down, expected, "{rule}: {sort:?} descending");
            let asked = page(sort, true, 5);
            let shown = fine("tokens", store.list_tokens(filter, &asked, at(now)).await);
            let tokens: Vec<_> = expected.iter().take(5).map(|record| &record.token).collect();
            let rule = "a list of tokens is that of their records";
            assert_eq!(shown.iter().collect::<Vec<_>>(), tokens, "{rule}: {sort:?}");
        }
    }

    /// The live tokens of the record's owner and kind, other than itself.
    fn live(&self, record: &Record, now: crate::clock::Timestamp) -> Vec<&Record> {
        let own = &record.token;
        let rival = |other: &&Record| {
            let other = &other.token;
            other.id != own.id
                && (&other.tenant, &other.owner, other.kind) == (&own.tenant, &own.owner, own.kind)
                && Status::at(other, now).is_live()
        };
        self.records.iter().filter(rival).collect()
    }
}

fn namesakes(rivals: &[&Record], record: &Record) -> Vec<TokenId> {
    let key = record.token.name.key();
    let alike = rivals.iter().filter(|other| other.token.name.key() == key);
    alike.map(|other| other.token.id).collect()
}

/// Asserts that a step met this conflict, or none; returns its value then. Which of several tokens
/// of a name is told is open.
fn compare<T>(
    result: Result<T, StoreError>,
    expected: Option<Conflict>,
    namesakes: &[TokenId],
) -> Option<T> {
    match (result, expected) {
        (Ok(value), None) => Some(value),
        (
            Err(StoreError::Conflict(Conflict::NameTaken { by })),
            Some(Conflict::NameTaken { .. }),
        ) => {
            assert!(namesakes.contains(&by), "the token that is told has the name: {by}");
            None
        }
        (Err(StoreError::Conflict(conflict)), Some(expected)) => {
            assert_eq!(conflict, expected, "conflicts are told in the contract's order");
            None
        }
        (Ok(_), Some(expected)) => panic!("the step was taken despite {expected:?}"),
        (Err(error), _) => panic!("the step was refused without a reason: {error:?}"),
    }
}

/// Sebastiano Vigna's `SplitMix64`: the same steps from the same seed, here and everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: u32) -> u32 {
        u32::try_from(self.next() % u64::from(end)).unwrap()
    }

    /// True that many times in a hundred.
    fn chance(&mut self, percent: u32) -> bool {
        self.below(100) < percent
    }

    fn maybe<T>(&mut self, percent: u32, value: impl FnOnce(&mut Self) -> T) -> Option<T> {
        self.chance(percent).then(|| value(self))
    }

    fn pick<T: Clone>(&mut self, values: &[T]) -> T {
        values[self.below(u32::try_from(values.len()).unwrap()) as usize].clone()
    }

    fn some<T>(&mut self, end: u32, value: impl Fn(&mut Self) -> T) -> Vec<T> {
        (0..self.below(end)).map(|_| value(self)).collect()
    }

    fn second(&mut self) -> i64 {
        i64::from(self.below(30))
    }

    fn id(&mut self) -> TokenId {
        id(self.below(12))
    }

    fn kind(&mut self) -> Kind {
        // Mostly of one kind, so that names and places are contended.
        if self.chance(60) { Kind::Personal } else { self.pick(&Kind::ALL) }
    }

    fn tenant(&mut self) -> Tenant {
        Tenant::parse(self.pick(&["default", "acme"])).unwrap()
    }

    fn owner(&mut self) -> Owner {
        owner(self.pick(&["u1", "u2"]))
    }

    fn name(&mut self) -> &'static str {
        self.pick(&["ci", "CI", "caf\u{e9}", "CAFE\u{301}", "%", "a_b", "ß", "SS"])
    }

    fn scopes(&mut self) -> ScopeList {
        let scopes = self.some(3, |random| random.pick(&["a", "a,", ",", "b"]));
        ScopeList::parse(scopes).unwrap()
    }

    fn step(&mut self, model: &Model) -> Step {
        match self.below(20) {
            0..8 => Step::Insert(Box::new(self.record()), self.admission()),
            8..12 => {
                let id = self.id();
                let version = model.get(&id).map_or(1, |record| record.token.version);
                let version = version.saturating_add_signed(self.pick(&[0, 0, 0, -1, 1]));
                Step::Update(id, version, Box::new(self.change()), self.second())
            }
            12 => Step::Revoke(self.filter(), self.second()),
            13..15 => Step::Touch(self.some(5, Self::touched)),
            15 => Step::Purge(self.purge()),
            _ => Step::List(self.filter(), self.second()),
        }
    }

    fn record(&mut self) -> Record {
        let number = self.below(12);
        let mut record = record(number);
        let token = &mut record.token;
        token.kind = self.kind();
        token.tenant = self.tenant();
        token.owner = self.owner();
        token.name = self.name().parse().unwrap();
        token.scopes = self.scopes();
        token.created_at = at(self.second());
        token.not_before = self.maybe(50, Self::second).map(at);
        token.expires_at = self.maybe(50, Self::second).map(at);
        token.last_use = self.maybe(50, Self::second).map(|second| LastUse {
            at: at(second),
            ip: None,
            agent: None,
        });
        let parent = self.maybe(50, |random| random.below(12));
        token.parent = parent.filter(|parent| *parent < number).map(id);
        token.client = self.chance(50).then(|| "client".to_owned());
        let key = self.maybe(50, |random| random.pick(&[0, 1, 2, 3]));
        record.idempotency = key.map(|key| IdempotencyKey { key: [key; 16], request: [0; 16] });
        record
    }

    fn admission(&mut self) -> Admission {
        let quota = self.maybe(50, |random| random.below(4));
        Admission { now: at(self.second()), quota, unique_name: self.chance(50) }
    }

    fn change(&mut self) -> Change {
        let rotation = |second| Rotation {
            rotated_at: at(second),
            superseded_at: at(second),
            grace_until: at(second + 5),
            first_used_at: None,
        };
        let maybe_second = |random: &mut Self| random.maybe(50, Self::second);
        let other = self.chance(50);
        Change {
            name: self.maybe(50, |random| (random.name().parse().unwrap(), random.chance(50))),
            description: other.then(|| Some("Grün %".to_owned())),
            scopes: self.maybe(50, Self::scopes),
            expires_at: self.maybe(50, maybe_second).map(|end| end.map(at)),
            suspension: self.maybe(50, maybe_second).map(|since| since.map(suspension)),
            rotation: self.maybe(50, maybe_second).map(|second| second.map(rotation)),
            superseded: other.then(|| Some(digest(1))),
            ..Change::default()
        }
    }

    fn filter(&mut self) -> Filter {
        let reach = match self.below(8) {
            0 => Reach::All,
            1 => Reach::Tenant(self.tenant()),
            2..6 => Reach::Owner(self.tenant(), self.owner()),
            _ => Reach::Family(self.id()),
        };
        let mut filter = Filter::new(reach);
        filter.ids = self.maybe(20, |random| random.some(6, Self::id));
        let kinds = self.maybe(30, |random| random.some(3, Self::kind));
        filter.kinds = kinds.map_or(KindSet::ALL, KindSet::from_iter);
        filter.statuses =
            self.maybe(40, |random| random.some(4, |random| random.pick(&Status::ALL)));
        let texts = ["", "C", "É", "%", "_", "ss", "00"];
        filter.text = self.maybe(20, |random| random.pick(&texts).to_owned());
        filter.scope = self.maybe(20, |random| random.pick(&["a", ",", "c"]).parse().unwrap());
        filter.client = self.chance(10).then(|| "client".to_owned());
        filter.created_before = self.maybe(20, Self::second).map(at);
        filter.expires_from = self.maybe(20, Self::second).map(at);
        filter.expires_before = self.maybe(20, Self::second).map(at);
        filter.unused_since = self.maybe(20, Self::second).map(at);
        filter
    }

    fn touched(&mut self) -> Use {
        let last_use =
            LastUse { at: at(self.second()), ip: Some([10, 0, 0, 1].into()), agent: None };
        Use { id: self.id(), last_use }
    }

    fn purge(&mut self) -> Purge {
        Purge {
            now: at(self.second() + 5),
            retention: TimeDelta::seconds(i64::from(self.below(10))),
            exchange_retention: TimeDelta::seconds(i64::from(self.below(10))),
            limit: self.pick(&[1000, 1000, 2]),
        }
    }
}
