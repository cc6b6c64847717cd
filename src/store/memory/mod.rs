//! The store in memory.

mod entry;

use std::collections::{HashMap, HashSet};
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
use crate::token::{IdempotencyKey, Kind, Owner, Record, Revocation, Tenant, TokenId, TokenName};

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
    owners: HashMap<Holder, Vec<Slot>, RandomState>,
    children: HashMap<TokenId, Vec<TokenId>, RandomState>,
    issued: HashMap<(Holder, [u8; 16]), TokenId, RandomState>,
    /// Scope lists that records share.
    lists: HashSet<ScopeList, RandomState>,
}

type Holder = (Tenant, Owner);

/// One token of an owner, and a hash of its name's key by which most other names are told apart.
#[derive(Debug, Clone, Copy)]
struct Slot {
    id: TokenId,
    name_hash: u32,
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

    /// The live token of an owner that has this name, other than `except`.
    fn holder_of_name(
        &self,
        slots: &[Slot],
        (kind, name, except): (Kind, &TokenName, Option<&TokenId>),
        now: Timestamp,
    ) -> Option<TokenId> {
        let key = name.key();
        let hash = name_hash(&key);
        let entries = self.entries.pin();
        let mut alike = slots.iter().filter(|slot| slot.name_hash == hash).map(|slot| slot.id);
        alike.find(|id| {
            Some(id) != except
                && entries.get(id).is_some_and(|entry| {
                    entry.facts.kind == kind
                        && entry.facts.lifecycle.status(now).is_live()
                        && entry.name().key() == key
                })
        })
    }

    fn live_tokens(&self, slots: &[Slot], kind: Kind, now: Timestamp) -> usize {
        let entries = self.entries.pin();
        let live = |slot: &&Slot| {
            entries.get(&slot.id).is_some_and(|entry| {
                entry.facts.kind == kind && entry.facts.lifecycle.status(now).is_live()
            })
        };
        slots.iter().filter(live).count()
    }

    /// The records that a filter admits, as few as possible looked at.
    fn matching(&self, writer: &Writer, filter: &Filter, now: Timestamp) -> Vec<Record> {
        let admitted = |record: &Record| filter.admits(record, now);
        let by_id = |id: &TokenId| self.record(id);
        match (&filter.ids, &filter.reach) {
            (Some(ids), _) => {
                let ids: HashSet<&TokenId> = ids.iter().collect();
                ids.into_iter().filter_map(by_id).filter(admitted).collect()
            }
            (None, Reach::Owner(tenant, owner)) => {
                let slots = writer.owners.get(&(tenant.clone(), owner.clone()));
                let slots = slots.map(Vec::as_slice).unwrap_or_default();
                slots.iter().filter_map(|slot| by_id(&slot.id)).filter(admitted).collect()
            }
            (None, Reach::Family(root)) => {
                let children = writer.children.get(root).map(Vec::as_slice).unwrap_or_default();
                let family = std::iter::once(root).chain(children);
                family.filter_map(by_id).filter(admitted).collect()
            }
            (None, Reach::All | Reach::Tenant(_)) => {
                self.entries.pin().values().map(Entry::unpack).filter(admitted).collect()
            }
        }
    }

    /// Removes a record and every trace of it.
    fn remove(&self, writer: &mut Writer, id: &TokenId) {
        let entries = self.entries.pin();
        let Some(entry) = entries.remove(id) else {
            return;
        };
        let holder = (entry.facts.tenant().clone(), entry.facts.owner.clone());
        if let Some(slots) = writer.owners.get_mut(&holder) {
            slots.retain(|slot| slot.id != *id);
            if slots.is_empty() {
                writer.owners.remove(&holder);
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
            writer.issued.remove(&(holder, key));
        }
    }
}

fn name_hash(key: &str) -> u32 {
    crc32fast::hash(key.as_bytes())
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl TokenStore for MemoryStore {
    async fn insert(&self, record: &Record, admission: &Admission) -> Result<(), StoreError> {
        let token = &record.token;
        let now = admission.now;
        let mut writer = self.writer();
        let holder = (token.tenant.clone(), token.owner.clone());
        let issue = record.idempotency.map(|idempotency| (holder.clone(), idempotency.key));
        if let Some(id) = issue.as_ref().and_then(|issue| writer.issued.get(issue)) {
            return Err(Conflict::Replayed { id: *id }.into());
        }
        if self.entries.pin().contains_key(&token.id) {
            return Err(Conflict::IdTaken.into());
        }
        let slots = writer.owners.get(&holder).map(Vec::as_slice).unwrap_or_default();
        if admission.unique_name
            && let Some(by) = self.holder_of_name(slots, (token.kind, &token.name, None), now)
        {
            return Err(Conflict::NameTaken { by }.into());
        }
        if let Some(limit) = admission.quota {
            let full = usize::try_from(limit).unwrap_or(usize::MAX);
            // Counting live tokens is only worth it where all of them together reach the quota.
            if slots.len() >= full && self.live_tokens(slots, token.kind, now) >= full {
                return Err(Conflict::QuotaFull { limit }.into());
            }
        }
        let slot = Slot { id: token.id, name_hash: name_hash(&token.name.key()) };
        writer.owners.entry(holder).or_default().push(slot);
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
        let writer = self.writer();
        let mut found: Vec<Option<Record>> =
            self.matching(&writer, filter, now).into_iter().map(Some).collect();
        drop(writer);
        // Records are large, so their places are sorted and not they.
        let mut places: Vec<(Position, usize)> = found
            .iter()
            .enumerate()
            .filter_map(|(index, record)| {
                let record = record.as_ref()?;
                let position = Position { value: page.sort.value_of(record), id: record.token.id };
                Some((position, index))
            })
            .filter(|(position, _)| {
                page.after.as_ref().is_none_or(|after| {
                    if page.descending { position < after } else { position > after }
                })
            })
            .collect();
        places.sort_unstable_by(|a, b| if page.descending { b.cmp(a) } else { a.cmp(b) });
        places.truncate(usize::try_from(page.limit).unwrap_or(usize::MAX));
        let mut take = |(_, index): (Position, usize)| found.get_mut(index)?.take();
        Ok(places.into_iter().filter_map(&mut take).collect())
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
            let holder = (record.token.tenant.clone(), record.token.owner.clone());
            let slots = writer.owners.get(&holder).map(Vec::as_slice).unwrap_or_default();
            if *unique
                && let Some(by) =
                    self.holder_of_name(slots, (record.token.kind, name, Some(id)), now)
            {
                return Err(Conflict::NameTaken { by }.into());
            }
            let name_hash = name_hash(&name.key());
            let slots = writer.owners.get_mut(&holder).into_iter().flatten();
            slots.filter(|slot| slot.id == *id).for_each(|slot| slot.name_hash = name_hash);
        }
        change.apply_to(&mut record);
        self.put(&mut writer, &record);
        Ok(Some(record))
    }

    async fn revoke(&self, filter: &Filter, mark: &Revocation) -> Result<Vec<TokenId>, StoreError> {
        let mut writer = self.writer();
        let mut revoked = Vec::new();
        for mut record in self.matching(&writer, filter, mark.at) {
            if record.token.revocation.is_none() {
                revoked.push(record.token.id);
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

    async fn generation(&self) -> Result<Option<u64>, StoreError> {
        Ok(None)
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
