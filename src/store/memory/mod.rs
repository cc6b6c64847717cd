//! The store in memory.

mod entry;

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
use super::filter::{Filter, PageRequest, Position, Reach};
use crate::clock::Timestamp;
use crate::scope::{ScopeCatalog, ScopeList};
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
    /// Scope lists that records share.
    lists: HashSet<ScopeList, RandomState>,
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
struct NameKey {
    key: String,
    hash: u32,
}

impl NameKey {
    fn of(name: &TokenName) -> Self {
        let key = name.key();
        Self { hash: crc32fast::hash(key.as_bytes()), key }
    }
}

impl Writer {
    fn key(&self, tenant: &Tenant, owner: &Owner) -> u64 {
        self.hasher.hash_one((tenant, owner))
    }

    /// The tokens of an owner, and maybe some of another.
    fn slots(&self, tenant: &Tenant, owner: &Owner) -> &[Slot] {
        self.owners.get(&self.key(tenant, owner)).map(Vec::as_slice).unwrap_or_default()
    }
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
        let lists = &mut writer.lists;
        let scopes = match lists.get(&record.token.scopes) {
            Some(shared) => shared.clone(),
            None => {
                let scopes = record.token.scopes.clone();
                if lists.len() < SHARED_LISTS {
                    lists.insert(scopes.clone());
                }
                scopes
            }
        };
        let entry = Entry::pack(record, scopes, &writer.catalog);
        self.entries.pin().insert(entry.facts.id, entry);
    }

    fn record(&self, id: &TokenId) -> Option<Record> {
        self.entries.pin().get(id).map(Entry::unpack)
    }

    /// Another live token of the same owner and kind that has this name.
    fn holder_of_name(
        &self,
        slots: &[Slot],
        (token, name): (&Token, &NameKey),
        now: Timestamp,
    ) -> Option<TokenId> {
        let entries = self.entries.pin();
        let mut alike = slots.iter().filter(|slot| slot.name_hash == name.hash).map(|slot| slot.id);
        alike.find(|id| {
            *id != token.id
                && entries.get(id).is_some_and(|entry| {
                    entry.counts_with(token, now) && entry.name().key() == name.key
                })
        })
    }

    fn live_tokens(&self, slots: &[Slot], token: &Token, now: Timestamp) -> usize {
        let entries = self.entries.pin();
        let live =
            |slot: &&Slot| entries.get(&slot.id).is_some_and(|entry| entry.counts_with(token, now));
        slots.iter().filter(live).count()
    }

    /// The records that a filter admits, as few as possible looked at.
    fn matching<'a>(
        entries: &'a Entries<'_>,
        writer: &Writer,
        filter: &Filter,
        now: Timestamp,
    ) -> Vec<&'a Entry> {
        let admitted = |entry: &&Entry| filter.admits_outline(&entry.outline(), now);
        let by_id = |id: &TokenId| entries.get(id);
        match (&filter.ids, &filter.reach) {
            (Some(ids), _) => {
                let ids: HashSet<&TokenId> = ids.iter().collect();
                ids.into_iter().filter_map(by_id).filter(admitted).collect()
            }
            (None, Reach::Owner(tenant, owner)) => {
                let slots = writer.slots(tenant, owner);
                slots.iter().filter_map(|slot| by_id(&slot.id)).filter(admitted).collect()
            }
            (None, Reach::Family(root)) => {
                let children = writer.children.get(root).map(Vec::as_slice).unwrap_or_default();
                let family = std::iter::once(root).chain(children);
                family.filter_map(by_id).filter(admitted).collect()
            }
            (None, Reach::All | Reach::Tenant(_)) => entries.values().filter(admitted).collect(),
        }
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
        let issue = record
            .idempotency
            .map(|repeated| ((token.tenant.clone(), token.owner.clone()), repeated.key));
        if let Some(id) = issue.as_ref().and_then(|issue| writer.issued.get(issue)) {
            return Err(Conflict::Replayed { id: *id }.into());
        }
        if self.entries.pin().contains_key(&token.id) {
            return Err(Conflict::IdTaken.into());
        }
        let owner = writer.key(&token.tenant, &token.owner);
        let slots = writer.owners.get(&owner).map(Vec::as_slice).unwrap_or_default();
        let name = NameKey::of(&token.name);
        if admission.unique_name
            && let Some(by) = self.holder_of_name(slots, (token, &name), now)
        {
            return Err(Conflict::NameTaken { by }.into());
        }
        if let Some(limit) = admission.quota {
            let full = usize::try_from(limit).unwrap_or(usize::MAX);
            // Counting live tokens is only worth it where all of them together reach the quota.
            if slots.len() >= full && self.live_tokens(slots, token, now) >= full {
                return Err(Conflict::QuotaFull { limit }.into());
            }
        }
        let slot = Slot { id: token.id, name_hash: name.hash };
        writer.owners.entry(owner).or_default().push(slot);
        if let Some(parent) = token.parent {
            writer.children.entry(parent).or_default().push(token.id);
        }
        if let Some(issue) = issue {
            writer.issued.insert(issue, token.id);
        }
        self.put(&mut writer, record);
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
        let entries = self.entries.pin();
        let found = Self::matching(&entries, &self.writer(), filter, now);
        let mut places: Vec<(Position, &Entry)> = found
            .into_iter()
            .map(|entry| {
                let value = page.sort.value_in(&entry.outline());
                (Position { value, id: entry.facts.id }, entry)
            })
            .filter(|(position, _)| {
                page.after.as_ref().is_none_or(|after| {
                    if page.descending { position < after } else { position > after }
                })
            })
            .collect();
        places.sort_unstable_by(|(a, _), (b, _)| if page.descending { b.cmp(a) } else { a.cmp(b) });
        places.truncate(usize::try_from(page.limit).unwrap_or(usize::MAX));
        Ok(places.into_iter().map(|(_, entry)| entry.unpack()).collect())
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
            if *unique && let Some(by) = self.holder_of_name(slots, (token, &name), now) {
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
        for entry in Self::matching(&entries, &writer, filter, mark.at) {
            if entry.facts.lifecycle.revoked_at.is_none() {
                revoked.push(entry.facts.id);
                let mut record = entry.unpack();
                record.token.revocation = Some(mark.clone());
                record.token.version += 1;
                self.put(&mut writer, &record);
            }
        }
        Ok(revoked)
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
        let records: Vec<Record> = self.entries.pin().values().map(Entry::unpack).collect();
        for record in records {
            self.put(&mut writer, &record);
        }
    }
}
