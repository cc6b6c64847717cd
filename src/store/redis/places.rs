//! Where tokens are: the shard of an owner, and what tells the shard of an id.

use std::collections::{BTreeMap, HashSet};

use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};

use super::store::{AT_ONCE, Inner};
use crate::store::{Filter, Reach, StoreError};
use crate::token::{Owner, Record, Tenant, TokenId};

impl Inner {
    /// What every key of a shard begins with.
    pub(super) fn shard(&self, number: u32) -> String {
        format!("{}{{{number}}}", self.prefix)
    }

    /// Which shard an owner's tokens are in.
    pub(super) fn shard_of(&self, tenant: &Tenant, owner: &Owner) -> u32 {
        if self.shards == 1 {
            return 0;
        }
        // Neither holds control characters.
        let hash = blake3::hash([tenant.as_str(), owner.as_str()].join("\x1f").as_bytes());
        let number = hash.as_bytes().first_chunk().map_or(0, |bytes| u32::from_be_bytes(*bytes));
        number % self.shards
    }

    pub(super) fn pointer(&self, id: &TokenId) -> String {
        format!("{}at:{id}", self.prefix)
    }

    /// Where the other shards are told in which a token's children are.
    pub(super) fn kin(&self, id: &TokenId) -> String {
        format!("{}kin:{id}", self.prefix)
    }

    /// Which shard the record with this id is in, if there is one.
    pub(super) async fn shard_with(&self, id: &TokenId) -> Result<Option<u32>, StoreError> {
        if self.shards == 1 {
            return Ok(Some(0));
        }
        let mut command = redis::cmd("GET");
        command.arg(self.pointer(id));
        self.link.read(&command).await
    }

    pub(super) fn token_key(&self, shard: u32, id: &TokenId) -> String {
        format!("{}{{{shard}}}:token:{id}", self.prefix)
    }

    /// The shards of some records, and which of them are there.
    pub(super) async fn shards_with(
        &self,
        ids: impl IntoIterator<Item = TokenId>,
    ) -> Result<BTreeMap<u32, Vec<TokenId>>, StoreError> {
        let ids: HashSet<TokenId> = ids.into_iter().collect();
        let mut shards = BTreeMap::<u32, Vec<TokenId>>::new();
        if self.shards == 1 {
            if !ids.is_empty() {
                shards.insert(0, ids.into_iter().collect());
            }
            return Ok(shards);
        }
        let find = |id| async move { self.shard_with(&id).await.map(|shard| (shard, id)) };
        let mut found = stream::iter(ids).map(find).buffer_unordered(AT_ONCE);
        while let Some((shard, id)) = found.try_next().await? {
            if let Some(shard) = shard {
                shards.entry(shard).or_default().push(id);
            }
        }
        Ok(shards)
    }

    /// The shards in which children of a token are that is in another one, or in none.
    pub(super) async fn shards_of_kin(&self, id: &TokenId) -> Result<Vec<u32>, StoreError> {
        if self.shards == 1 {
            return Ok(Vec::new());
        }
        let mut command = redis::cmd("SMEMBERS");
        command.arg(self.kin(id));
        self.link.read(&command).await
    }

    /// The shards in which all lies that a filter can admit; and the ids that are looked for there,
    /// if it names any. `None` if it can be anywhere.
    pub(super) async fn places(
        &self,
        filter: &Filter,
    ) -> Result<Option<BTreeMap<u32, Option<Vec<TokenId>>>>, StoreError> {
        if let Some(ids) = &filter.ids {
            let shards = self.shards_with(ids.iter().copied()).await?;
            return Ok(Some(shards.into_iter().map(|(shard, ids)| (shard, Some(ids))).collect()));
        }
        let shards = match &filter.reach {
            Reach::All | Reach::Tenant(_) => return Ok(None),
            Reach::Owner(tenant, owner) => vec![self.shard_of(tenant, owner)],
            Reach::Family(root) => {
                let mut shards = self.shards_of_kin(root).await?;
                shards.extend(self.shard_with(root).await?);
                shards
            }
        };
        Ok(Some(shards.into_iter().map(|shard| (shard, None)).collect()))
    }

    /// Whether there are children of a token in other shards.
    pub(super) async fn has_kin(&self, id: &TokenId) -> Result<bool, StoreError> {
        for shard in self.shards_of_kin(id).await? {
            let mut command = redis::cmd("EXISTS");
            command.arg(format!("{}:made-from:{id}", self.shard(shard)));
            if self.link.read(&command).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Writes what tells the shard of an id before the record itself is written. Returns whether
    /// the id may belong to the shard.
    pub(super) async fn point(&self, record: &Record, shard: u32) -> Result<bool, StoreError> {
        if let Some(parent) = &record.token.parent
            && self.shard_with(parent).await? != Some(shard)
        {
            let kin = self.kin(parent);
            let mut command = redis::cmd("SADD");
            command.arg(&kin).arg(shard);
            let _: u32 = self.link.write(&command, &kin).await?;
        }
        let pointer = self.pointer(&record.token.id);
        let mut command = redis::cmd("SET");
        command.arg(&pointer).arg(shard).arg("NX");
        let written: Option<String> = self.link.write(&command, &pointer).await?;
        Ok(written.is_some() || self.shard_with(&record.token.id).await? == Some(shard))
    }
}
