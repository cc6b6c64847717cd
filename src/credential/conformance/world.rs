//! An engine whose clock, owners and store do what the tokens need.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;

use super::tokens::Tokens;
use crate::clock::{ManualClock, Timestamp};
use crate::engine::Hallpass;
use crate::owner::{OwnerDirectory, OwnerDirectoryError, OwnerFacts, Rights};
use crate::policy::Policy;
use crate::scope::ScopeCatalog;
use crate::store::{
    Admission, Change, Facts, Filter, MemoryStore, PageRequest, Purge, StoreError, TokenStore, Use,
};
use crate::token::{Owner, Record, Revocation, Tenant, Token, TokenId};

/// An engine and the texts of its tokens.
#[derive(Debug)]
pub(super) struct World {
    pub(super) hallpass: Hallpass,
    pub(super) clock: Arc<ManualClock>,
    pub(super) store: Arc<Unplugged>,
    pub(super) owners: Arc<Owners>,
}

impl World {
    /// The engine, and its tokens.
    pub(super) async fn new() -> (Self, Tokens) {
        let clock = Arc::new(ManualClock::at("2026-11-22T09:00:00Z".parse().unwrap()));
        let (store, owners) = (Arc::new(Unplugged::default()), Arc::new(Owners::default()));
        let audiences = ["other", "third"].map(str::to_owned).to_vec();
        let hallpass = Hallpass::builder(Arc::clone(&store))
            .brand("acme")
            .catalog(ScopeCatalog::of(["repo:read", "repo:write"]).unwrap())
            .policy(Policy { exchange_audiences: audiences, ..Policy::default() })
            .owners(Arc::clone(&owners))
            .clock(Arc::clone(&clock))
            .build()
            .unwrap();
        let world = Self { hallpass, clock, store, owners };
        let tokens = Tokens::issue(&world).await;
        (world, tokens)
    }
}

/// Active owners, of whom some change once their tokens are issued.
#[derive(Debug, Default)]
pub(super) struct Owners {
    changed: AtomicBool,
}

impl Owners {
    /// `left` becomes inactive, there is no `gone` any more, and of `unsure` nothing is known.
    pub(super) fn change(&self) {
        self.changed.store(true, Ordering::Relaxed);
    }
}

#[async_trait]
impl OwnerDirectory for Owners {
    async fn find(
        &self,
        _: &Tenant,
        owner: &Owner,
    ) -> Result<Option<OwnerFacts>, OwnerDirectoryError> {
        let mut facts = OwnerFacts::active(Rights::All);
        if self.changed.load(Ordering::Relaxed) {
            match owner.as_str() {
                "left" => facts.active = false,
                "gone" => return Ok(None),
                "unsure" => return Err(OwnerDirectoryError("unplugged".into())),
                _ => {}
            }
        }
        Ok(Some(facts))
    }
}

/// A store in memory that can be out of order.
#[derive(Debug, Default)]
pub(super) struct Unplugged {
    inner: MemoryStore,
    outage: AtomicBool,
}

impl Unplugged {
    pub(super) fn set_outage(&self, outage: bool) {
        self.outage.store(outage, Ordering::Relaxed);
    }

    fn plugged(&self) -> Result<&MemoryStore, StoreError> {
        if self.outage.load(Ordering::Relaxed) {
            return Err(StoreError::unavailable("unplugged"));
        }
        Ok(&self.inner)
    }
}

#[async_trait]
impl TokenStore for Unplugged {
    async fn insert(&self, record: &Record, admission: &Admission) -> Result<(), StoreError> {
        self.plugged()?.insert(record, admission).await
    }

    async fn find(&self, id: &TokenId) -> Result<Option<Record>, StoreError> {
        self.plugged()?.find(id).await
    }

    async fn list(
        &self,
        filter: &Filter,
        page: &PageRequest,
        now: Timestamp,
    ) -> Result<Vec<Record>, StoreError> {
        self.plugged()?.list(filter, page, now).await
    }

    async fn list_tokens(
        &self,
        filter: &Filter,
        page: &PageRequest,
        now: Timestamp,
    ) -> Result<Vec<Token>, StoreError> {
        self.plugged()?.list_tokens(filter, page, now).await
    }

    async fn update(
        &self,
        id: &TokenId,
        expected_version: u64,
        change: &Change,
        now: Timestamp,
    ) -> Result<Option<Record>, StoreError> {
        self.plugged()?.update(id, expected_version, change, now).await
    }

    async fn revoke(&self, filter: &Filter, mark: &Revocation) -> Result<Vec<TokenId>, StoreError> {
        self.plugged()?.revoke(filter, mark).await
    }

    async fn touch(&self, uses: &[Use]) -> Result<(), StoreError> {
        self.plugged()?.touch(uses).await
    }

    async fn purge(&self, purge: &Purge) -> Result<u64, StoreError> {
        self.plugged()?.purge(purge).await
    }

    fn resident(&self, id: &TokenId, look: &mut dyn FnMut(&Facts)) {
        if let Ok(store) = self.plugged() {
            store.resident(id, look);
        }
    }

    fn attach(&self, catalog: &ScopeCatalog) {
        self.inner.attach(catalog);
    }
}
