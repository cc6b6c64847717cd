//! A store in a page, and what can be wrong with it.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use hallpass::store::{
    Admission, Change, Changes, Conflict, Facts, Filter, Notice, PageRequest, Position, Purge, Use,
};
use hallpass::{
    Record, Revocation, ScopeCatalog, Status, StoreError, Timestamp, TokenId, TokenStore,
};
use tokio::sync::broadcast;

/// What is wrong with a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    Nothing,
    InsertReplaces,
    InsertInTwoSteps,
    QuotaBeforeInsert,
    NameBeforeInsert,
    KeyBeforeInsert,
    QuotaBeforeName,
    NamesByBytes,
    IdsByCase,
    ControlsLost,
    UpdateWithoutVersion,
    VersionBeforeUpdate,
    UpdateOfRevoked,
    UpdateUndoesRevocation,
    UpdateInTwoSteps,
    LastRevocationKept,
    RevocationOneByOne,
    UseBackwards,
    UseOfRevoked,
    UseCountsVersion,
    TextIgnored,
    PageByCount,
    StatusNow,
    PurgeOfParents,
    PurgeWithoutLimit,
    KeyOutlivesPurge,
    ResidentStale,
    FirstCatalogKept,
    NothingTold,
    NoFirstGap,
    SilentChannel,
}

/// A store in a page, with one fault.
#[derive(Debug)]
pub(super) struct Broken {
    fault: Fault,
    records: Mutex<BTreeMap<TokenId, Record>>,
    /// Keys that stay taken.
    keys: Mutex<HashMap<[u8; 16], TokenId>>,
    facts: Mutex<HashMap<TokenId, Facts>>,
    catalog: Mutex<Option<ScopeCatalog>>,
    told: broadcast::Sender<Notice>,
    lingering: AtomicU32,
    /// How many records the pages of the last list held.
    read: AtomicU32,
}

impl Broken {
    pub(super) fn new(fault: Fault) -> Self {
        Self {
            fault,
            records: Mutex::default(),
            keys: Mutex::default(),
            facts: Mutex::default(),
            catalog: Mutex::default(),
            told: broadcast::channel(1000).0,
            lingering: AtomicU32::new(0),
            read: AtomicU32::new(0),
        }
    }

    fn has(&self, fault: Fault) -> bool {
        self.fault == fault
    }

    fn records(&self) -> MutexGuard<'_, BTreeMap<TokenId, Record>> {
        self.records.lock().unwrap()
    }

    /// Stays between two steps until somebody else is there too, or it seems in vain.
    fn linger(&self) {
        self.lingering.fetch_add(1, Ordering::SeqCst);
        for _ in 0..10_000 {
            if self.lingering.load(Ordering::SeqCst) > 1 {
                break;
            }
            std::thread::yield_now();
        }
        self.lingering.fetch_sub(1, Ordering::SeqCst);
    }

    fn tell(&self, record: &Record) {
        let (id, version) = (record.token.id, record.token.version);
        if !self.has(Fault::NothingTold) {
            let _ = self.told.send(Notice::Changed { id, version });
        }
    }

    /// Revokes records, also those that are revoked if it is to be done again.
    fn mark(&self, ids: &[TokenId], mark: &Revocation, again: bool) -> Vec<TokenId> {
        let mut records = self.records();
        let mut revoked = Vec::new();
        for id in ids {
            if let Some(record) = records.get_mut(id)
                && (again || record.token.revocation.is_none())
            {
                record.token.revocation = Some(mark.clone());
                record.token.version += 1;
                self.tell(record);
                revoked.push(*id);
            }
        }
        revoked
    }

    fn name(&self, record: &Record) -> String {
        let name = &record.token.name;
        if self.has(Fault::NamesByBytes) { name.as_str().to_owned() } else { name.key() }
    }

    /// What stands against an insert.
    fn obstacle(
        &self,
        records: &BTreeMap<TokenId, Record>,
        record: &Record,
        admission: &Admission,
    ) -> Option<Conflict> {
        let new = &record.token;
        let own =
            |other: &&Record| other.token.tenant == new.tenant && other.token.owner == new.owner;
        let key = record.idempotency.map(|idempotency| idempotency.key);
        let same_key = |other: &&Record| {
            key.is_some() && other.idempotency.map(|idempotency| idempotency.key) == key
        };
        if let Some(known) = records.values().filter(own).find(same_key) {
            return Some(Conflict::Replayed { id: known.token.id });
        }
        let kept = self.keys.lock().unwrap();
        if let Some(id) = key.and_then(|key| kept.get(&key)) {
            return Some(Conflict::Replayed { id: *id });
        }
        if records.contains_key(&new.id) && !self.has(Fault::InsertReplaces) {
            return Some(Conflict::IdTaken);
        }
        let rivals: Vec<&Record> = records
            .values()
            .filter(own)
            .filter(|other| other.token.kind == new.kind)
            .filter(|other| Status::at(&other.token, admission.now).is_live())
            .collect();
        let namesake = rivals.iter().find(|other| self.name(other) == self.name(record));
        let taken = namesake
            .filter(|_| admission.unique_name)
            .map(|other| Conflict::NameTaken { by: other.token.id });
        let full = admission
            .quota
            .filter(|limit| rivals.len() >= *limit as usize)
            .map(|limit| Conflict::QuotaFull { limit });
        if self.has(Fault::QuotaBeforeName) { full.or(taken) } else { taken.or(full) }
    }
}

#[async_trait]
impl TokenStore for Broken {
    async fn insert(&self, record: &Record, admission: &Admission) -> Result<(), StoreError> {
        let mut checked = *admission;
        let mut stored = record.clone();
        let obstacle = self.obstacle(&self.records(), record, admission);
        match self.fault {
            Fault::QuotaBeforeInsert => checked.quota = None,
            Fault::NameBeforeInsert => checked.unique_name = false,
            Fault::KeyBeforeInsert => stored.idempotency = None,
            Fault::InsertInTwoSteps if obstacle.is_none() => {
                stored.token.description = None;
                self.records().insert(stored.token.id, stored);
                tokio::task::yield_now().await;
                self.records().insert(record.token.id, record.clone());
                return Ok(());
            }
            _ => {}
        }
        if let (Some(obstacle), true) = (obstacle, checked != *admission || stored != *record) {
            return Err(obstacle.into());
        }
        if checked != *admission || stored != *record {
            self.linger();
        }
        let mut records = self.records();
        if let Some(obstacle) = self.obstacle(&records, &stored, &checked) {
            return Err(obstacle.into());
        }
        let mut stored = record.clone();
        if self.has(Fault::ControlsLost) {
            let kept = |text: String| text.replace('\0', "");
            stored.token.description = stored.token.description.map(kept);
        }
        if let (Fault::KeyOutlivesPurge, Some(key)) = (self.fault, record.idempotency) {
            self.keys.lock().unwrap().insert(key.key, record.token.id);
        }
        self.tell(&stored);
        records.insert(stored.token.id, stored);
        Ok(())
    }

    async fn find(&self, id: &TokenId) -> Result<Option<Record>, StoreError> {
        let catalog = self.catalog.lock().unwrap().clone();
        let records = self.records();
        let mut found = records.get(id).cloned();
        if self.has(Fault::IdsByCase) {
            let alike = |other: &&Record| other.token.id.as_str().eq_ignore_ascii_case(id.as_str());
            found = records.values().find(alike).cloned();
        }
        if let (Some(record), Some(catalog)) = (&found, &catalog) {
            let facts = Facts::of(record, catalog);
            self.facts.lock().unwrap().entry(*id).or_insert(facts);
        }
        Ok(found)
    }

    async fn list(
        &self,
        filter: &Filter,
        page: &PageRequest,
        now: Timestamp,
    ) -> Result<Vec<Record>, StoreError> {
        let now = if self.has(Fault::StatusNow) { Timestamp::MAX } else { now };
        let mut filter = filter.clone();
        if self.has(Fault::TextIgnored) {
            filter.text = None;
        }
        let place =
            |record: &Record| Position { value: page.sort.value_of(record), id: record.token.id };
        let records = self.records();
        let admitted = records.values().filter(|record| filter.admits(record, now)).cloned();
        let mut found: Vec<Record> = admitted.collect();
        found.sort_by_key(place);
        if page.descending {
            found.reverse();
        }
        let before = |record: &Record| {
            page.after.as_ref().is_some_and(|after| {
                if page.descending { place(record) >= *after } else { place(record) <= *after }
            })
        };
        let mut skipped = found.iter().take_while(|record| before(record)).count();
        if self.has(Fault::PageByCount) {
            let read = if page.after.is_none() { 0 } else { self.read.load(Ordering::SeqCst) };
            skipped = read as usize;
            self.read.store(read + page.limit, Ordering::SeqCst);
        }
        Ok(found.into_iter().skip(skipped).take(page.limit as usize).collect())
    }

    async fn update(
        &self,
        id: &TokenId,
        expected_version: u64,
        change: &Change,
        now: Timestamp,
    ) -> Result<Option<Record>, StoreError> {
        if let (Fault::UpdateInTwoSteps, Some((name, _))) = (self.fault, &change.name) {
            if let Some(record) = self.records().get_mut(id) {
                record.token.name = name.clone();
            }
            tokio::task::yield_now().await;
        }
        let mut records = self.records();
        let Some(record) = records.get(id).cloned() else {
            return Ok(None);
        };
        let forgiving =
            matches!(self.fault, Fault::UpdateOfRevoked | Fault::UpdateUndoesRevocation);
        if record.token.revocation.is_some() && !forgiving {
            return Err(Conflict::Revoked.into());
        }
        let current = record.token.version;
        if current != expected_version && !self.has(Fault::UpdateWithoutVersion) {
            return Err(Conflict::Stale { current }.into());
        }
        let mut after = record.clone();
        change.apply_to(&mut after);
        if let Some((_, true)) = &change.name {
            let (own, other) = (&record.token, |other: &&Record| other.token.id != *id);
            let namesake = records.values().filter(other).find(|other| {
                (&other.token.tenant, &other.token.owner, other.token.kind)
                    == (&own.tenant, &own.owner, own.kind)
                    && self.name(other) == self.name(&after)
                    && Status::at(&other.token, now).is_live()
            });
            if let Some(other) = namesake {
                return Err(Conflict::NameTaken { by: other.token.id }.into());
            }
        }
        if self.has(Fault::VersionBeforeUpdate) {
            drop(records);
            self.linger();
            records = self.records();
        }
        if self.has(Fault::UpdateUndoesRevocation) {
            after.token.revocation = None;
        }
        self.tell(&after);
        records.insert(*id, after.clone());
        Ok(Some(after))
    }

    async fn revoke(&self, filter: &Filter, mark: &Revocation) -> Result<Vec<TokenId>, StoreError> {
        let again = self.has(Fault::LastRevocationKept);
        let meant: Vec<TokenId> = self
            .records()
            .values()
            .filter(|record| filter.admits(record, mark.at))
            .filter(|record| again || record.token.revocation.is_none())
            .map(|record| record.token.id)
            .collect();
        let (first, rest) =
            meant.split_at(usize::from(self.has(Fault::RevocationOneByOne)).min(meant.len()));
        let mut revoked = self.mark(first, mark, again);
        if !first.is_empty() {
            tokio::task::yield_now().await;
        }
        revoked.extend(self.mark(rest, mark, again));
        Ok(revoked)
    }

    async fn touch(&self, uses: &[Use]) -> Result<(), StoreError> {
        let mut records = self.records();
        for noted in uses {
            if let Some(record) = records.get_mut(&noted.id)
                && (record.token.revocation.is_none() || self.has(Fault::UseOfRevoked))
                && (self.has(Fault::UseBackwards)
                    || record
                        .token
                        .last_use
                        .as_ref()
                        .is_none_or(|last| last.at < noted.last_use.at))
            {
                record.token.last_use = Some(noted.last_use.clone());
                record.token.version += u64::from(self.has(Fault::UseCountsVersion));
            }
        }
        Ok(())
    }

    async fn purge(&self, purge: &Purge) -> Result<u64, StoreError> {
        let mut records = self.records();
        let parents: Vec<TokenId> =
            records.values().filter_map(|record| record.token.parent).collect();
        let limit = if self.has(Fault::PurgeWithoutLimit) { u32::MAX } else { purge.limit };
        let ended: Vec<TokenId> = records
            .values()
            .map(|record| &record.token)
            .filter(|token| purge.admits(token.kind, &token.lifecycle()))
            .filter(|token| self.has(Fault::PurgeOfParents) || !parents.contains(&token.id))
            .map(|token| token.id)
            .take(limit as usize)
            .collect();
        for id in &ended {
            records.remove(id);
        }
        Ok(ended.len() as u64)
    }

    fn resident(&self, id: &TokenId, look: &mut dyn FnMut(&Facts)) {
        if self.has(Fault::ResidentStale) {
            self.facts.lock().unwrap().get(id).into_iter().for_each(look);
            return;
        }
        let catalog = self.catalog.lock().unwrap();
        if let (Some(record), Some(catalog)) = (self.records().get(id), catalog.as_ref()) {
            look(&Facts::of(record, catalog));
        }
    }

    fn attach(&self, catalog: &ScopeCatalog) {
        let mut attached = self.catalog.lock().unwrap();
        if attached.is_none() || !self.has(Fault::FirstCatalogKept) {
            *attached = Some(catalog.clone());
        }
    }

    async fn changes(&self) -> Result<Option<Box<dyn Changes>>, StoreError> {
        let gap = !self.has(Fault::NoFirstGap);
        let silent = self.has(Fault::SilentChannel);
        Ok(Some(Box::new(Channel { told: self.told.subscribe(), gap, silent })))
    }
}

#[derive(Debug)]
struct Channel {
    told: broadcast::Receiver<Notice>,
    gap: bool,
    silent: bool,
}

#[async_trait]
impl Changes for Channel {
    async fn next(&mut self) -> Result<Notice, StoreError> {
        if std::mem::take(&mut self.gap) {
            return Ok(Notice::Gap);
        }
        if self.silent {
            std::future::pending::<()>().await;
        }
        match tokio::time::timeout(Duration::from_millis(500), self.told.recv()).await {
            Ok(Ok(notice)) => Ok(notice),
            Ok(Err(_)) => Ok(Notice::Gap),
            Err(_) => Ok(Notice::Alive),
        }
    }
}
