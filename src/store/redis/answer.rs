//! What scripts answer.

use redis::{FromRedisValue as _, Value};

use super::error::unexpected;
use super::record;
use crate::store::{Admission, Conflict, StoreError};
use crate::token::{Record, TokenId};

/// What a script that may refuse says: a word, and what belongs to it.
pub(super) struct Answer {
    word: Vec<u8>,
    rest: Option<Vec<u8>>,
}

impl Answer {
    pub(super) fn read(answer: Value) -> Result<Self, StoreError> {
        let (word, rest) = split_first(answer)?;
        Ok(Self { word, rest: rest.into_iter().next() })
    }

    pub(super) fn admitted(self, admission: &Admission) -> Result<(), StoreError> {
        match self.word.as_slice() {
            b"DONE" => Ok(()),
            b"REPLAYED" => Err(Conflict::Replayed { id: self.id()? }.into()),
            b"TAKEN" => Err(Conflict::IdTaken.into()),
            b"NAMED" => Err(Conflict::NameTaken { by: self.id()? }.into()),
            b"FULL" => {
                let limit = admission.quota.unwrap_or_default();
                Err(Conflict::QuotaFull { limit }.into())
            }
            _ => Err(unexpected()),
        }
    }

    pub(super) fn updated(self, id: &TokenId) -> Result<Option<Record>, StoreError> {
        match self.word.as_slice() {
            b"DONE" => record::read(&self.rest.unwrap_or_default(), id.as_str()).map(Some),
            b"ABSENT" => Ok(None),
            b"REVOKED" => Err(Conflict::Revoked.into()),
            b"STALE" => {
                let version = self.rest.as_deref().and_then(|text| std::str::from_utf8(text).ok());
                let current = version.and_then(|version| version.parse().ok());
                Err(Conflict::Stale { current: current.ok_or_else(unexpected)? }.into())
            }
            b"NAMED" => Err(Conflict::NameTaken { by: self.id()? }.into()),
            _ => Err(unexpected()),
        }
    }

    fn id(&self) -> Result<TokenId, StoreError> {
        read_id(self.rest.as_deref().unwrap_or_default())
    }
}

/// The first text of an answer, and the others.
pub(super) fn split_first(answer: Value) -> Result<(Vec<u8>, Vec<Vec<u8>>), StoreError> {
    let texts = Vec::<Vec<u8>>::from_redis_value(answer).map_err(StoreError::unavailable)?;
    let mut texts = texts.into_iter();
    let first = texts.next().ok_or_else(unexpected)?;
    Ok((first, texts.collect()))
}

pub(super) fn read_id(bytes: &[u8]) -> Result<TokenId, StoreError> {
    bytes.try_into().ok().and_then(TokenId::from_bytes).ok_or_else(unexpected)
}
