//! An engine with tokens of every state.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use chrono::TimeDelta;

use crate::clock::{ManualClock, Timestamp};
use crate::engine::{Hallpass, Issue};
use crate::owner::{OwnerDirectory, OwnerDirectoryError, OwnerFacts, Rights};
use crate::policy::Expiry;
use crate::scope::{Resources, ScopeCatalog};
use crate::store::{
    Admission, Change, Facts, Filter, MemoryStore, PageRequest, Purge, StoreError, TokenStore, Use,
};
use crate::token::{Owner, Record, Revocation, RevocationReason, Tenant, Token, TokenId};

/// An engine and the texts of its tokens.
#[derive(Debug)]
pub(super) struct World {
    pub(super) hallpass: Hallpass,
    pub(super) store: Arc<Unplugged>,
    pub(super) tokens: Tokens,
}

/// Texts of tokens.
pub(super) struct Tokens {
    /// Good, with `repo:read`.
    pub(super) good: String,
    /// Good, with everything.
    pub(super) wide: String,
    /// Refused for a reason that is its name.
    pub(super) bad: Vec<(&'static str, String)>,
}

impl std::fmt::Debug for Tokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tokens")
    }
}

impl World {
    pub(super) async fn new() -> Self {
        let clock = Arc::new(ManualClock::at("2026-11-22T09:00:00Z".parse().unwrap()));
        let store = Arc::new(Unplugged::default());
        let owners = Arc::new(Owners::default());
        let hallpass = Hallpass::builder(Arc::clone(&store))
            .brand("acme")
            .catalog(ScopeCatalog::of(["repo:read", "repo:write"]).unwrap())
            .owners(Arc::clone(&owners))
            .clock(Arc::clone(&clock))
            .build()
            .unwrap();
        let issue = async |name: &str, configure: &dyn Fn(Issue) -> Issue| {
            let issue = Issue::new(name).owner("u1").scopes(["repo:read"]);
            let issued = hallpass.issue(configure(issue)).await.unwrap();
            (issued.token.id, issued.plain.expose().to_owned())
        };
        let now = hallpass.now();
        let (_, good) = issue("good", &|issue| issue).await;
        let (_, wide) = issue("wide", &|issue| {
            issue.scopes(["repo:write"]).resources(Resources::All).networks([net("127.0.0.0/8")])
        })
        .await;

        let mut bad = Vec::new();
        let hour = TimeDelta::hours(1);
        let (_, expired) = issue("expired", &|issue| issue.expiry(Expiry::In(hour))).await;
        let later = now.checked_add(hour * 24 * 20).unwrap().to_utc();
        let (_, future) = issue("future", &|issue| issue.not_before(later)).await;
        let (_, other) = issue("audience", &|issue| issue.audience(["third"])).await;
        let (_, outside) =
            issue("outside", &|issue| issue.networks([net("198.51.100.0/24")])).await;
        let (_, left) = issue("left", &|issue| issue.owner("left")).await;
        let (id, suspended) = issue("suspended", &|issue| issue).await;
        hallpass.suspend(&id).await.unwrap();
        let (id, revoked) = issue("revoked", &|issue| issue).await;
        hallpass.revoke(&id, RevocationReason::Requested).await.unwrap();
        owners.left.store(true, Ordering::Relaxed);
        clock.advance(hour * 2);
        bad.extend([
            ("expired", expired),
            ("not yet valid", future),
            ("for another audience", other),
            ("from another network", outside),
            ("of an inactive owner", left),
            ("suspended", suspended),
            ("revoked", revoked),
        ]);
        bad.push(("cut short", good.strip_suffix(|_: char| true).unwrap().to_owned()));
        let mut other = good.clone();
        let last = if other.pop() == Some('0') { '1' } else { '0' };
        other.push(last);
        bad.extend([
            ("with a bad checksum", other),
            ("of another maker", format!("ghp_{}", "a".repeat(36))),
            ("unknown", UNKNOWN.to_owned()),
            ("too long", "a".repeat(257)),
        ]);
        Self { hallpass, store, tokens: Tokens { good, wide, bad } }
    }
}

fn net(text: &str) -> ipnet::IpNet {
    text.parse().unwrap()
}

/// A well-formed token that nobody issued.
const UNKNOWN: &str = "acme_pat_ABCDEFGHIJKLMNOP_0123456789abcdefghijklmnopqrstuvwxyzABCDEFG4RAzs0";

/// Active owners, of whom one leaves.
#[derive(Debug, Default)]
struct Owners {
    left: AtomicBool,
}

#[async_trait]
impl OwnerDirectory for Owners {
    async fn find(
        &self,
        _: &Tenant,
        owner: &Owner,
    ) -> Result<Option<OwnerFacts>, OwnerDirectoryError> {
        let mut facts = OwnerFacts::active(Rights::All);
        facts.active = owner.as_str() != "left" || !self.left.load(Ordering::Relaxed);
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
