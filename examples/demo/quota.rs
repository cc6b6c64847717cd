//! The bound on what an account holds over all products.

use std::collections::BTreeSet;

use async_trait::async_trait;
use hallpass::store::{
    Admission, Change, Changes, Conflict, Facts, Filter, PageRequest, Purge, Reach, SortKey, Use,
};
use hallpass::{
    Kind, KindSet, Record, Revocation, ScopeCatalog, Status, StoreError, Timestamp, Token, TokenId,
    TokenStore,
};
use tokio::sync::Mutex;

use super::app::QUOTA;
use super::catalog::Product;

/// A store in which the quota holds over all products, however a token is made: for personal
/// tokens and for grants, each of which is an application's token that is refreshed. They are
/// counted here, one insert at a time.
#[derive(Debug)]
pub(crate) struct OverallQuota<S> {
    inner: S,
    inserting: Mutex<()>,
}

/// What counts. A grant is its first refresh token.
const COUNTED: KindSet = KindSet::NONE.with(Kind::Personal).with(Kind::Refresh);
/// Most records that are read of each product: far more than a quota's worth of grants has, each
/// with its first refresh token and the one in use.
const MOST: u32 = 4 * QUOTA;

impl<S: TokenStore> OverallQuota<S> {
    pub(crate) fn new(inner: S) -> Self {
        Self { inner, inserting: Mutex::default() }
    }

    /// Whether the owner of this token holds as much as it may.
    async fn is_full(&self, token: &Token, now: Timestamp) -> Result<bool, StoreError> {
        let sort = SortKey::CreatedAt;
        let page = PageRequest { sort, descending: true, after: None, limit: MOST };
        let mut held = BTreeSet::new();
        for product in Product::ALL {
            let mut filter = Filter::new(Reach::Owner(product.tenant(), token.owner.clone()));
            filter.kinds = COUNTED;
            filter.statuses = Some(Status::ALL.into_iter().filter(|s| s.is_live()).collect());
            let tokens = self.inner.list_tokens(&filter, &page, now).await?;
            // All refresh tokens of a grant are one.
            held.extend(tokens.iter().map(|token| token.parent.unwrap_or(token.id)));
        }
        Ok(held.len() >= QUOTA as usize)
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<S: TokenStore> TokenStore for OverallQuota<S> {
    async fn insert(&self, record: &Record, admission: &Admission) -> Result<(), StoreError> {
        let token = &record.token;
        // What a refresh makes has a parent: the grant, which is counted.
        if !COUNTED.contains(token.kind) || token.parent.is_some() {
            return self.inner.insert(record, admission).await;
        }
        let _alone = self.inserting.lock().await;
        if !self.is_full(token, admission.now).await? {
            return self.inner.insert(record, admission).await;
        }
        // The store inside still tells what it tells before it looks at the quota.
        let none = Admission { quota: Some(0), ..*admission };
        match self.inner.insert(record, &none).await {
            Err(StoreError::Conflict(Conflict::QuotaFull { .. })) => {
                Err(Conflict::QuotaFull { limit: QUOTA }.into())
            }
            done => done,
        }
    }

    async fn find(&self, id: &TokenId) -> Result<Option<Record>, StoreError> {
        self.inner.find(id).await
    }

    async fn list(
        &self,
        filter: &Filter,
        page: &PageRequest,
        now: Timestamp,
    ) -> Result<Vec<Record>, StoreError> {
        self.inner.list(filter, page, now).await
    }

    async fn list_tokens(
        &self,
        filter: &Filter,
        page: &PageRequest,
        now: Timestamp,
    ) -> Result<Vec<Token>, StoreError> {
        self.inner.list_tokens(filter, page, now).await
    }

    async fn update(
        &self,
        id: &TokenId,
        expected_version: u64,
        change: &Change,
        now: Timestamp,
    ) -> Result<Option<Record>, StoreError> {
        self.inner.update(id, expected_version, change, now).await
    }

    async fn revoke(&self, filter: &Filter, mark: &Revocation) -> Result<Vec<TokenId>, StoreError> {
        self.inner.revoke(filter, mark).await
    }

    async fn touch(&self, uses: &[Use]) -> Result<(), StoreError> {
        self.inner.touch(uses).await
    }

    async fn purge(&self, purge: &Purge) -> Result<u64, StoreError> {
        self.inner.purge(purge).await
    }

    fn resident(&self, id: &TokenId, look: &mut dyn FnMut(&Facts)) {
        self.inner.resident(id, look);
    }

    async fn changes(&self) -> Result<Option<Box<dyn Changes>>, StoreError> {
        self.inner.changes().await
    }

    async fn generation(&self) -> Result<Vec<u64>, StoreError> {
        self.inner.generation().await
    }

    fn attach(&self, catalog: &ScopeCatalog) {
        self.inner.attach(catalog);
    }
}
