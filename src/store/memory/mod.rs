//! The store in memory.

mod entry;

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::hash::BuildHasher;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use foldhash::fast::RandomState;

use self::entry::Entry;
use super::change::{Admission, Change, Purge, Use};
use super::changes::Changes;
use super::contract::TokenStore;
use super::error::{Conflict, StoreError};
use super::facts::Facts;
use super::filter::{Filter, Outline, PageRequest, Reach, SortValue};
use crate::clock::Timestamp;
use crate::scope::{ScopeCatalog, ScopeList, ScopeSet};
use crate::token::{IdempotencyKey, Owner, Record, Revocation, Tenant, Token, TokenId, TokenName};

/// Tokens in memory, gone when the process ends: for tests, examples, and apps whose tokens need
/// not outlive it.
///
/// It meets the whole [`TokenStore`] contract. Reading facts takes no lock: entries never change,
/// they are replaced, by one writer at a time.
#[derive(Debug, Default)]
pub struct MemoryStore {
    entries: papaya::HashMap<TokenId, Entry, RandomState>,
    writer: Mutex<Writer>,
}

/// What only writers and lists need; holding it excludes other writers.
#[derive(Debug, Default)]
struct Writer {
    catalog: ScopeCatalog,
    /// The tokens of an owner under a hash of it. Two owners may have the same one; a look at the
    /// token tells whose it is.
    owners: HashMap<u64, Vec<Slot>, RandomState>,
    hasher: RandomState,
    children: HashMap<TokenId, Vec<TokenId>, RandomState>,
    issued: HashMap<(Holder, [u8; 16]), TokenId, RandomState>,
    /// Scope lists that records share, and what the catalog makes of them.
    lists: HashMap<ScopeList, ScopeSet, RandomState>,
}

type Holder = (Tenant, Owner);

/// The entries while they are looked at; none of them goes away meanwhile.
type Entries<'a> = papaya::HashMapRef<'a, TokenId, Entry, RandomState, papaya::LocalGuard<'a>>;

/// One token of an owner, and a hash of its name's key by which most other names are told apart.
#[derive(Debug, Clone, Copy)]
struct Slot {
    id: TokenId,
    name_hash: u32,
}

/// The form in which a name is compared, and its hash.
struct NameKey<'a> {
    key: Cow<'a, str>,
    hash: u32,
}

impl<'a> NameKey<'a> {
    fn of(name: &'a TokenName) -> Self {
        let key = name.folded();
        Self { hash: crc32fast::hash(key.as_bytes()), key }
    }
}

impl Writer {
    fn key(&self, tenant: &Tenant, owner: &Owner) -> u64 {
        self.hasher.hash_one((tenant, owner))
    }

    /// A list of scopes equal to this one, shared where it can be, and what it amounts to.
    fn scopes(&mut self, list: &ScopeList) -> (ScopeList, ScopeSet) {
        if let Some((shared, set)) = self.lists.get_key_value(list) {
            return (shared.clone(), *set);
        }
        let set = self.catalog.resolve(list);
        if self.lists.len() < SHARED_LISTS {
            self.lists.insert(list.clone(), set);
        }
        (list.clone(), set)
    }

    /// The tokens of an owner, and maybe some of another.
    fn slots(&self, tenant: &Tenant, owner: &Owner) -> &[Slot] {
        self.owners.get(&self.key(tenant, owner)).map(Vec::as_slice).unwrap_or_default()
    }
}

fn put(entries: &Entries<'_>, writer: &mut Writer, record: &Record) {
    let entry = Entry::pack(record, writer.scopes(&record.token.scopes));
    entries.insert(entry.facts.id, entry);
}

/// Most scope lists that are kept to be shared by the records that have equal ones.
const SHARED_LISTS: usize = 4096;

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn writer(&self) -> MutexGuard<'_, Writer> {
        // Writers change nothing before all that can fail has been done.
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a record in place of the one with its id.
    fn put(&self, writer: &mut Writer, record: &Record) {
        put(&self.entries.pin(), writer, record);
    }

    fn record(&self, id: &TokenId) -> Option<Record> {
        self.entries.pin().get(id).map(Entry::unpack)
    }

    /// Another live token of the same owner and kind that has this name.
    fn holder_of_name(
        entries: &Entries<'_>,
        slots: &[Slot],
        (token, name): (&Token, &NameKey<'_>),
        now: Timestamp,
    ) -> Option<TokenId> {
        let mut alike = slots.iter().filter(|slot| slot.name_hash == name.hash).map(|slot| slot.id);
        alike.find(|id| {
            *id != token.id
                && entries.get(id).is_some_and(|entry| {
                    entry.counts_with(token, now) && entry.name().folded() == name.key
                })
        })
    }

    fn live_tokens(entries: &Entries<'_>, slots: &[Slot], token: &Token, now: Timestamp) -> usize {
        let live =
            |slot: &&Slot| entries.get(&slot.id).is_some_and(|entry| entry.counts_with(token, now));
        slots.iter().filter(live).count()
    }

    /// Goes through the records that a filter admits; as few as possible are looked at.
    fn each_matching<'a>(
        entries: &'a Entries<'_>,
        writer: &Writer,
        (filter, now): (&Filter, Timestamp),
        mut take: impl FnMut(&'a Entry, &Outline<'a>),
    ) {
        let mut look = |entry: &'a Entry| {
            let outline = entry.outline();
            if filter.admits_outline(&outline, now) {
                take(entry, &outline);
            }
        };
        let by_id = |id: &TokenId| entries.get(id);
        match (&filter.ids, &filter.reach) {
            (Some(ids), _) => {
                let ids: HashSet<&TokenId> = ids.iter().collect();
                ids.into_iter().filter_map(by_id).for_each(look);
            }
            (None, Reach::Owner(tenant, owner)) => {
                let slots = writer.slots(tenant, owner);
                slots.iter().filter_map(|slot| by_id(&slot.id)).for_each(look);
            }
            (None, Reach::Family(root)) => {
                let children = writer.children.get(root).map(Vec::as_slice).unwrap_or_default();
                std::iter::once(root).chain(children).filter_map(by_id).for_each(look);
            }
            (None, Reach::All | Reach::Tenant(_)) => entries.values().for_each(&mut look),
        }
    }

    /// One page of the records that a filter admits.
    fn page<T>(
        &self,
        admitted: (&Filter, Timestamp),
        page: &PageRequest,
        unpack: impl Fn(&Entry) -> T,
    ) -> Vec<T> {
        let entries = self.entries.pin();
        let order = |(value, id): (&SortValue, &TokenId), (other, by): (&SortValue, &TokenId)| {
            let ascending = value.cmp(other).then_with(|| id.cmp(by));
            if page.descending { ascending.reverse() } else { ascending }
        };
        let mut found: Vec<(SortValue, &Entry)> = Vec::new();
        Self::each_matching(&entries, &self.writer(), admitted, |entry, outline| {
            let value = page.sort.value_in(outline);
            let beyond = page.after.as_ref().is_none_or(|after| {
                order((&value, &outline.id), (&after.value, &after.id)).is_gt()
            });
            if beyond {
                found.push((value, entry));
            }
        });
        let by_place = |(value, entry): &(SortValue, &Entry), (other, by): &(SortValue, &Entry)| {
            order((value, &entry.facts.id), (other, &by.facts.id))
        };
        let limit = usize::try_from(page.limit).unwrap_or(usize::MAX);
        if found.len() > limit {
            found.select_nth_unstable_by(limit, by_place);
            found.truncate(limit);
        }
        found.sort_unstable_by(by_place);
        found.into_iter().map(|(_, entry)| unpack(entry)).collect()
    }

    /// Removes a record and every trace of it.
    fn remove(&self, writer: &mut Writer, id: &TokenId) {
        let entries = self.entries.pin();
        let Some(entry) = entries.remove(id) else {
            return;
        };
        let facts = &entry.facts;
        let owner = writer.key(facts.tenant(), &facts.owner);
        if let Some(slots) = writer.owners.get_mut(&owner) {
            slots.retain(|slot| slot.id != *id);
            if slots.is_empty() {
                writer.owners.remove(&owner);
            }
        }
        if let Some(parent) = entry.facts.rare.as_ref().and_then(|rare| rare.parent)
            && let Some(siblings) = writer.children.get_mut(&parent)
        {
            siblings.retain(|child| child != id);
            if siblings.is_empty() {
                writer.children.remove(&parent);
            }
        }
        if let Some(IdempotencyKey { key, .. }) = entry.idempotency() {
            writer.issued.remove(&((facts.tenant().clone(), facts.owner.clone()), key));
        }
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl TokenStore for MemoryStore {
    async fn insert(&self, record: &Record, admission: &Admission) -> Result<(), StoreError> {
        let token = &record.token;
        let now = admission.now;
        let mut writer = self.writer();
        let entries = self.entries.pin();
        let issue = record
            .idempotency
            .map(|repeated| ((token.tenant.clone(), token.owner.clone()), repeated.key));
        if let Some(id) = issue.as_ref().and_then(|issue| writer.issued.get(issue)) {
            return Err(Conflict::Replayed { id: *id }.into());
        }
        // An id that is taken is told of first, but looked for last: hardly any ever is.
        let refused = |conflict: Conflict| {
            let taken = entries.contains_key(&token.id);
            Err(StoreError::from(if taken { Conflict::IdTaken } else { conflict }))
        };
        let owner = writer.key(&token.tenant, &token.owner);
        let slots = writer.owners.get(&owner).map(Vec::as_slice).unwrap_or_default();
        let name = NameKey::of(&token.name);
        if admission.unique_name
            && let Some(by) = Self::holder_of_name(&entries, slots, (token, &name), now)
        {
            return refused(Conflict::NameTaken { by });
        }
        if let Some(limit) = admission.quota {
            let full = usize::try_from(limit).unwrap_or(usize::MAX);
            // Counting live tokens is only worth it where all of them together reach the quota.
            if slots.len() >= full && Self::live_tokens(&entries, slots, token, now) >= full {
                return refused(Conflict::QuotaFull { limit });
            }
        }
        let entry = Entry::pack(record, writer.scopes(&token.scopes));
        if entries.try_insert(token.id, entry).is_err() {
            return Err(Conflict::IdTaken.into());
        }
        let slot = Slot { id: token.id, name_hash: name.hash };
        writer.owners.entry(owner).or_default().push(slot);
        if let Some(parent) = token.parent {
            writer.children.entry(parent).or_default().push(token.id);
        }
        if let Some(issue) = issue {
            writer.issued.insert(issue, token.id);
        }
        Ok(())
    }

    async fn find(&self, id: &TokenId) -> Result<Option<Record>, StoreError> {
        Ok(self.record(id))
    }

    async fn list(
        &self,
        filter: &Filter,
        page: &PageRequest,
        now: Timestamp,
    ) -> Result<Vec<Record>, StoreError> {
        Ok(self.page((filter, now), page, Entry::unpack))
    }

    async fn list_tokens(
        &self,
        filter: &Filter,
        page: &PageRequest,
        now: Timestamp,
    ) -> Result<Vec<Token>, StoreError> {
        Ok(self.page((filter, now), page, Entry::token))
    }

    async fn update(
        &self,
        id: &TokenId,
        expected_version: u64,
        change: &Change,
        now: Timestamp,
    ) -> Result<Option<Record>, StoreError> {
        let mut writer = self.writer();
        let Some(mut record) = self.record(id) else {
            return Ok(None);
        };
        if record.token.revocation.is_some() {
            return Err(Conflict::Revoked.into());
        }
        if record.token.version != expected_version {
            return Err(Conflict::Stale { current: record.token.version }.into());
        }
        if let Some((name, unique)) = &change.name {
            let token = &record.token;
            let owner = writer.key(&token.tenant, &token.owner);
            let name = NameKey::of(name);
            let slots = writer.owners.get_mut(&owner).map(Vec::as_mut_slice).unwrap_or_default();
            if *unique
                && let Some(by) =
                    Self::holder_of_name(&self.entries.pin(), slots, (token, &name), now)
            {
                return Err(Conflict::NameTaken { by }.into());
            }
            for slot in slots.iter_mut().filter(|slot| slot.id == *id) {
                slot.name_hash = name.hash;
            }
        }
        change.apply_to(&mut record);
        self.put(&mut writer, &record);
        Ok(Some(record))
    }

    async fn revoke(&self, filter: &Filter, mark: &Revocation) -> Result<Vec<TokenId>, StoreError> {
        let mut writer = self.writer();
        let mut revoked = Vec::new();
        let entries = self.entries.pin();
        Self::each_matching(&entries, &writer, (filter, mark.at), |entry, _| {
            if entry.facts.lifecycle.revoked_at.is_none() {
                revoked.push(entry);
            }
        });
        for entry in &revoked {
            let mut record = entry.unpack();
            record.token.revocation = Some(mark.clone());
            record.token.version += 1;
            put(&entries, &mut writer, &record);
        }
        Ok(revoked.into_iter().map(|entry| entry.facts.id).collect())
    }

    async fn touch(&self, uses: &[Use]) -> Result<(), StoreError> {
        let mut writer = self.writer();
        for noted in uses {
            let Some(mut record) = self.record(&noted.id) else {
                continue;
            };
            let newer =
                record.token.last_use.as_ref().is_none_or(|last| last.at < noted.last_use.at);
            if newer && record.token.revocation.is_none() {
                record.token.last_use = Some(noted.last_use.clone());
                self.put(&mut writer, &record);
            }
        }
        Ok(())
    }

    async fn purge(&self, purge: &Purge) -> Result<u64, StoreError> {
        let mut writer = self.writer();
        let limit = usize::try_from(purge.limit).unwrap_or(usize::MAX);
        let ended: Vec<TokenId> = self
            .entries
            .pin()
            .iter()
            .filter(|(id, entry)| {
                purge.admits(entry.facts.kind, &entry.facts.lifecycle)
                    && !writer.children.contains_key(*id)
            })
            .map(|(id, _)| *id)
            .take(limit)
            .collect();
        for id in &ended {
            self.remove(&mut writer, id);
        }
        Ok(ended.len() as u64)
    }

    fn resident(&self, id: &TokenId, look: &mut dyn FnMut(&Facts)) {
        if let Some(entry) = self.entries.pin().get(id) {
            look(&entry.facts);
        }
    }

    async fn changes(&self) -> Result<Option<Box<dyn Changes>>, StoreError> {
        Ok(None)
    }

    async fn generation(&self) -> Result<Vec<u64>, StoreError> {
        Ok(Vec::new())
    }

    fn attach(&self, catalog: &ScopeCatalog) {
        let mut writer = self.writer();
        writer.catalog = catalog.clone();
        writer.lists.clear();
        let records: Vec<Record> = self.entries.pin().values().map(Entry::unpack).collect();
        for record in records {
            self.put(&mut writer, &record);
        }
    }
}
