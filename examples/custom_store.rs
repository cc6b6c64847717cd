//! A store of one's own, in a page: `cargo run --example custom_store`.
//!
//! It keeps whole records in one locked map. [`Filter::admits`], [`Change::apply_to`] and
//! [`SortKey::value_of`](hallpass::store::SortKey::value_of) say what the contract means, so a
//! store that keeps records whole needs little more; one on a database says the same in its query
//! language.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use hallpass::store::{Admission, Change, Conflict, Filter, PageRequest, Position, Purge, Use};
use hallpass::{
    Context, Hallpass, Issue, Record, Revocation, RevocationReason, ScopeCatalog, Status,
    StoreError, Timestamp, TokenId, TokenStore,
};

/// Records in a map under one lock, which makes every step atomic.
#[derive(Debug, Default)]
struct Shelf(Mutex<BTreeMap<TokenId, Record>>);

impl Shelf {
    fn records(&self) -> MutexGuard<'_, BTreeMap<TokenId, Record>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl TokenStore for Shelf {
    async fn insert(&self, record: &Record, admission: &Admission) -> Result<(), StoreError> {
        let mut records = self.records();
        let new = &record.token;
        let own =
            |other: &&Record| other.token.tenant == new.tenant && other.token.owner == new.owner;
        let same = |other: &&Record| {
            record.idempotency.is_some_and(|wanted| {
                other.idempotency.is_some_and(|known| known.key == wanted.key)
            })
        };
        if let Some(known) = records.values().filter(own).find(same) {
            return Err(Conflict::Replayed { id: known.token.id }.into());
        }
        if records.contains_key(&new.id) {
            return Err(Conflict::IdTaken.into());
        }
        let live = |other: &&Record| {
            other.token.kind == new.kind && Status::at(&other.token, admission.now).is_live()
        };
        let rivals = || records.values().filter(own).filter(live);
        let namesake = rivals().find(|other| other.token.name.key() == new.name.key());
        if let (true, Some(other)) = (admission.unique_name, namesake) {
            return Err(Conflict::NameTaken { by: other.token.id }.into());
        }
        match admission.quota {
            Some(limit) if rivals().count() >= limit as usize => {
                Err(Conflict::QuotaFull { limit }.into())
            }
            _ => {
                records.insert(new.id, record.clone());
                Ok(())
            }
        }
    }

    async fn find(&self, id: &TokenId) -> Result<Option<Record>, StoreError> {
        Ok(self.records().get(id).cloned())
    }

    async fn list(
        &self,
        filter: &Filter,
        page: &PageRequest,
        now: Timestamp,
    ) -> Result<Vec<Record>, StoreError> {
        let mut found: Vec<(Position, Record)> = self
            .records()
            .values()
            .filter(|record| filter.admits(record, now))
            .map(|record| {
                let value = page.sort.value_of(record);
                (Position { value, id: record.token.id }, record.clone())
            })
            .collect();
        found.sort_by(|(a, _), (b, _)| a.cmp(b));
        if page.descending {
            found.reverse();
        }
        let rest = found.into_iter().skip_while(|(position, _)| {
            page.after.as_ref().is_some_and(|after| {
                if page.descending { position >= after } else { position <= after }
            })
        });
        Ok(rest.take(page.limit as usize).map(|(_, record)| record).collect())
    }

    async fn update(
        &self,
        id: &TokenId,
        expected_version: u64,
        change: &Change,
        now: Timestamp,
    ) -> Result<Option<Record>, StoreError> {
        let mut records = self.records();
        let Some(mut record) = records.get(id).cloned() else { return Ok(None) };
        if record.token.revocation.is_some() {
            return Err(Conflict::Revoked.into());
        }
        if record.token.version != expected_version {
            return Err(Conflict::Stale { current: record.token.version }.into());
        }
        if let Some((name, true)) = &change.name {
            let namesake = records.values().find(|other| {
                let (other, own) = (&other.token, &record.token);
                other.id != own.id
                    && (&other.tenant, &other.owner, other.kind)
                        == (&own.tenant, &own.owner, own.kind)
                    && other.name.key() == name.key()
                    && Status::at(other, now).is_live()
            });
            if let Some(other) = namesake {
                return Err(Conflict::NameTaken { by: other.token.id }.into());
            }
        }
        change.apply_to(&mut record);
        records.insert(*id, record.clone());
        Ok(Some(record))
    }

    async fn revoke(&self, filter: &Filter, mark: &Revocation) -> Result<Vec<TokenId>, StoreError> {
        let mut revoked = Vec::new();
        for record in self.records().values_mut() {
            if record.token.revocation.is_none() && filter.admits(record, mark.at) {
                record.token.revocation = Some(mark.clone());
                record.token.version += 1;
                revoked.push(record.token.id);
            }
        }
        Ok(revoked)
    }

    async fn touch(&self, uses: &[Use]) -> Result<(), StoreError> {
        let mut records = self.records();
        for noted in uses {
            if let Some(record) = records.get_mut(&noted.id)
                && record.token.revocation.is_none()
                && record.token.last_use.as_ref().is_none_or(|last| last.at < noted.last_use.at)
            {
                record.token.last_use = Some(noted.last_use.clone());
            }
        }
        Ok(())
    }

    async fn purge(&self, purge: &Purge) -> Result<u64, StoreError> {
        let mut records = self.records();
        let parents: Vec<TokenId> =
            records.values().filter_map(|record| record.token.parent).collect();
        let ended: Vec<TokenId> = records
            .values()
            .map(|record| &record.token)
            .filter(|token| purge.admits(token.kind, &token.lifecycle()))
            .filter(|token| !parents.contains(&token.id))
            .map(|token| token.id)
            .take(purge.limit as usize)
            .collect();
        for id in &ended {
            records.remove(id);
        }
        Ok(ended.len() as u64)
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let hallpass = Hallpass::builder(Shelf::default())
        .brand("acme")
        .catalog(ScopeCatalog::of(["read"])?)
        .build()?;
    let issued = hallpass.issue(Issue::new("ci").owner("alice").scopes(["read"])).await?;
    let verified = hallpass.verify(issued.plain.expose(), &Context::default()).await?;
    println!("the shelf knows {} of {}", issued.token.name, verified.owner());
    hallpass.revoke(&issued.token.id, RevocationReason::Requested).await?;
    let refused = hallpass.verify(issued.plain.expose(), &Context::default()).await;
    println!("and after revoking it: {}", refused.map_or("refused", |_| "accepted"));
    Ok(())
}

#[cfg(all(test, feature = "conformance"))]
mod conformance {
    async fn shelf() -> super::Shelf {
        super::Shelf::default()
    }

    // Every rule of the contract, as a test.
    hallpass::conformance_tests!(shelf);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shelf() -> Hallpass {
        let catalog = ScopeCatalog::of(["read"]).unwrap();
        Hallpass::builder(Shelf::default()).brand("acme").catalog(catalog).build().unwrap()
    }

    fn issue(name: &str) -> Issue {
        Issue::new(name).owner("alice").scopes(["read"])
    }

    #[tokio::test]
    async fn a_token_lives_and_dies_on_the_shelf() {
        let hallpass = shelf();
        let issued = hallpass.issue(issue("ci")).await.unwrap();
        let text = issued.plain.expose();
        assert!(hallpass.verify(text, &Context::default()).await.is_ok());
        assert!(hallpass.revoke(&issued.token.id, RevocationReason::Requested).await.unwrap());
        assert!(hallpass.verify(text, &Context::default()).await.is_err());
    }

    #[tokio::test]
    async fn a_name_is_taken_once_until_it_is_free_again() {
        let hallpass = shelf();
        let first = hallpass.issue(issue("ci")).await.unwrap();
        assert!(hallpass.issue(issue("CI")).await.is_err());
        hallpass.revoke(&first.token.id, RevocationReason::Requested).await.unwrap();
        assert!(hallpass.issue(issue("CI")).await.is_ok());
    }
}
