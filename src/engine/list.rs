//! Finds tokens: one, or pages of them.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::TimeDelta;
use subtle::ConstantTimeEq;

use super::on_behalf::{OnBehalf, Unreachable};
use super::{Engine, Hallpass};
use crate::clock::Timestamp;
use crate::store::{Filter, PageRequest, Position, SortKey, SortValue, StoreError};
use crate::token::{Token, TokenId};

/// Which tokens to list, and how.
#[derive(Debug, Clone)]
pub struct ListRequest {
    filter: Filter,
    sort: SortKey,
    descending: bool,
    limit: u32,
    cursor: Option<String>,
}

impl ListRequest {
    /// Tokens on a page unless another number is asked for.
    pub const DEFAULT_LIMIT: u32 = 25;
    /// Most tokens on a page.
    pub const MAX_LIMIT: u32 = 100;

    /// The tokens that a filter admits, newest first, 25 a page.
    #[must_use]
    pub fn new(filter: Filter) -> Self {
        Self {
            filter,
            sort: SortKey::CreatedAt,
            descending: true,
            limit: Self::DEFAULT_LIMIT,
            cursor: None,
        }
    }

    /// Another order, ascending.
    #[must_use]
    pub fn sort(mut self, sort: SortKey) -> Self {
        self.sort = sort;
        self.descending = false;
        self
    }

    /// The order turned round.
    #[must_use]
    pub fn descending(mut self) -> Self {
        self.descending = true;
        self
    }

    /// Tokens a page, 1 to 100.
    #[must_use]
    pub fn limit(mut self, limit: u32) -> Self {
        self.limit = limit;
        self
    }

    /// The page after the one that gave this cursor. Everything but the limit must be as it was.
    #[must_use]
    pub fn after(mut self, cursor: impl Into<String>) -> Self {
        self.cursor = Some(cursor.into());
        self
    }
}

/// One page of a list.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Page {
    /// The tokens.
    pub tokens: Vec<Token>,
    /// Where the next page starts, if there is one. Opaque, and good for a day.
    pub next: Option<String>,
}

/// Why a list cannot be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ListError {
    /// What the filter is about does not exist for this caller.
    #[error("not found")]
    NotFound,
    /// The limit is not 1 to 100.
    #[error("a page has 1 to 100 tokens")]
    Limit,
    /// The cursor is not one of this list's.
    #[error("the cursor is not valid for this list; start from the first page")]
    Cursor,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<Unreachable> for ListError {
    fn from(why: Unreachable) -> Self {
        match why {
            Unreachable::NotFound => Self::NotFound,
            Unreachable::Store(error) => Self::Store(error),
        }
    }
}

impl Hallpass {
    /// The token with this id, as the app itself sees it.
    ///
    /// # Errors
    /// [`StoreError`] if that cannot be told.
    pub async fn get(&self, id: &TokenId) -> Result<Option<Token>, StoreError> {
        self.as_system().get(id).await
    }

    /// A page of tokens, as the app itself sees them.
    ///
    /// # Errors
    /// [`ListError`] tells what is wrong with the request or failed.
    pub async fn list(&self, request: &ListRequest) -> Result<Page, ListError> {
        self.as_system().list(request).await
    }
}

impl OnBehalf<'_> {
    /// The token with this id, if it exists for this caller.
    ///
    /// # Errors
    /// [`StoreError`] if that cannot be told.
    pub async fn get(&self, id: &TokenId) -> Result<Option<Token>, StoreError> {
        match self.reach(id).await {
            Ok(mut record) => {
                self.engine.uses.show_waiting(std::slice::from_mut(&mut record.token));
                Ok(Some(record.token))
            }
            Err(Unreachable::NotFound) => Ok(None),
            Err(Unreachable::Store(error)) => Err(error),
        }
    }

    /// A page of the tokens that a filter admits and the caller reaches.
    ///
    /// The tokens show uses that this engine noted and has not written yet; sorting and filtering
    /// by last use go by what is written.
    ///
    /// # Errors
    /// [`ListError`] tells what is wrong with the request or failed.
    pub async fn list(&self, request: &ListRequest) -> Result<Page, ListError> {
        if !(1..=ListRequest::MAX_LIMIT).contains(&request.limit) {
            return Err(ListError::Limit);
        }
        let now = self.engine.clock.now();
        let filter = self.confine(request.filter.clone()).await?;
        let list = || ListIdentity::new(&filter, request);
        let after = match &request.cursor {
            None => None,
            Some(cursor) => {
                let position = self.engine.open_cursor(cursor, &list(), now);
                Some(position.ok_or(ListError::Cursor)?)
            }
        };
        // One more than asked for tells whether there is a next page.
        let page = PageRequest {
            sort: request.sort,
            descending: request.descending,
            after,
            limit: request.limit + 1,
        };
        let mut tokens = self.engine.store.list_tokens(&filter, &page, now).await?;
        let limit = usize::try_from(request.limit).unwrap_or(usize::MAX);
        let more = tokens.len() > limit;
        tokens.truncate(limit);
        let next = tokens.last().filter(|_| more).map(|last| {
            let position = Position { value: request.sort.value_of_token(last), id: last.id };
            self.engine.seal_cursor(&position, &list(), now)
        });
        self.engine.uses.show_waiting(&mut tokens);
        Ok(Page { tokens, next })
    }
}

/// What a cursor is bound to: reach, filter and order of the list it was made in.
struct ListIdentity(blake3::Hash);

impl ListIdentity {
    fn new(filter: &Filter, request: &ListRequest) -> Self {
        // The formatted filter names every field, so two filters that differ read differently.
        let text = format!("list {filter:?} {:?} {}", request.sort, request.descending);
        Self(blake3::hash(text.as_bytes()))
    }
}

/// Length of a cursor's authentication code, in bytes.
const CODE_LEN: usize = 16;
/// The form of cursors written today.
const CURSOR_VERSION: u8 = 1;
/// Longest cursor that is looked at, in bytes. A name of 100 characters can have a key of 1,200
/// bytes and more, and base64 lengthens it by a third.
const MAX_CURSOR: usize = 4096;
const CURSOR_LIFE: TimeDelta = TimeDelta::days(1);

/// A cursor is unpadded base64url of: version, instant, id, tag, sort value, code. The code is
/// keyed BLAKE3, cut to 16 bytes, of everything before it and of the list's identity.
impl Engine {
    fn seal_cursor(&self, position: &Position, list: &ListIdentity, now: Timestamp) -> String {
        let mut bytes = vec![CURSOR_VERSION];
        bytes.extend(now.as_micros().to_be_bytes());
        bytes.extend(position.id.as_bytes());
        match &position.value {
            SortValue::Number(number) => {
                bytes.push(b'n');
                bytes.extend(number.to_be_bytes());
            }
            SortValue::Text(text) => {
                bytes.push(b't');
                bytes.extend(text.as_bytes());
            }
        }
        bytes.extend(self.cursor_code(&bytes, list));
        URL_SAFE_NO_PAD.encode(bytes)
    }

    fn open_cursor(&self, cursor: &str, list: &ListIdentity, now: Timestamp) -> Option<Position> {
        if cursor.len() > MAX_CURSOR {
            return None;
        }
        let bytes = URL_SAFE_NO_PAD.decode(cursor).ok()?;
        let (body, code) = bytes.split_last_chunk::<CODE_LEN>()?;
        if !bool::from(self.cursor_code(body, list).ct_eq(code)) {
            return None;
        }
        let (version, body) = body.split_first()?;
        let (sealed_at, body) = body.split_first_chunk()?;
        let (id, body) = body.split_first_chunk()?;
        let (tag, value) = body.split_first()?;
        let sealed_at = Timestamp::from_micros(i64::from_be_bytes(*sealed_at))?;
        if *version != CURSOR_VERSION || now.since(sealed_at) > CURSOR_LIFE {
            return None;
        }
        let value = match tag {
            b'n' => SortValue::Number(i64::from_be_bytes(value.try_into().ok()?)),
            b't' => SortValue::Text(std::str::from_utf8(value).ok()?.to_owned()),
            _ => return None,
        };
        Some(Position { value, id: TokenId::from_bytes(*id)? })
    }

    fn cursor_code(&self, body: &[u8], list: &ListIdentity) -> [u8; CODE_LEN] {
        let mut hasher = blake3::Hasher::new_keyed(&self.cursor_key);
        hasher.update(list.0.as_bytes());
        hasher.update(body);
        let mut code = [0; CODE_LEN];
        hasher.finalize_xof().fill(&mut code);
        code
    }
}
