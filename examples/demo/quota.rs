//! The bound on what an account holds over all products.

use async_trait::async_trait;
use hallpass::store::{
    Admission, Change, Changes, Conflict, Facts, Filter, PageRequest, Purge, Reach, SortKey, Use,
};
use hallpass::{
    Record, Revocation, ScopeCatalog, Status, StoreError, Timestamp, TokenId, TokenStore,
};
use tokio::sync::Mutex;

use super::app::LASTING;
use super::catalog::Product;

/// A store in which the quota holds over all products, however a token is made. The store inside
/// bounds what an owner holds of a kind in one product; what it holds elsewhere is counted here,
/// one insert at a time.
#[derive(Debug)]
pub(crate) struct OverallQuota<S> {
    inner: S,
    inserting: Mutex<()>,
}

impl<S: TokenStore> OverallQuota<S> {
    pub(crate) fn new(inner: S) -> Self {
        Self { inner, inserting: Mutex::default() }
    }

    /// How many live tokens the owner of a token holds, those aside that the store inside counts.
    async fn held_elsewhere(
        &self,
        record: &Record,
        limit: u32,
        now: Timestamp,
    ) -> Result<u32, StoreError> {
        let token = &record.token;
        let page = PageRequest { sort: SortKey::CreatedAt, descending: true, after: None, limit };
        let mut held = 0;
        for product in Product::ALL {
            let mut filter = Filter::new(Reach::Owner(product.tenant(), token.owner.clone()));
            filter.kinds = LASTING;
            filter.statuses = Some(Status::ALL.into_iter().filter(|s| s.is_live()).collect());
            let records = self.inner.list(&filter, &page, now).await?;
            let counted = |other: &&Record| {
                (&other.token.tenant, other.token.kind) == (&token.tenant, token.kind)
            };
            let counted = records.iter().filter(counted).count();
            held += u32::try_from(records.len() - counted).unwrap_or(u32::MAX);
        }
        Ok(held)
    }
}

#[async_trait]
impl<S: TokenStore> TokenStore for OverallQuota<S> {
    async fn insert(&self, record: &Record, admission: &Admission) -> Result<(), StoreError> {
        let lasting = LASTING.contains(record.token.kind);
        let Some(limit) = admission.quota.filter(|_| lasting) else {
            return self.inner.insert(record, admission).await;
        };
        let _alone = self.inserting.lock().await;
        let elsewhere = self.held_elsewhere(record, limit, admission.now).await?;
        let left = Admission { quota: Some(limit.saturating_sub(elsewhere)), ..*admission };
        match self.inner.insert(record, &left).await {
            Err(StoreError::Conflict(Conflict::QuotaFull { .. })) => {
                Err(Conflict::QuotaFull { limit }.into())
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

    fn attach(&self, catalog: &ScopeCatalog) {
        self.inner.attach(catalog);
    }
}
