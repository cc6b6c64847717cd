//! The steps of the contract. Each is one statement, or runs inside a transaction at "read
//! committed", where every statement sees what was committed before it began.

use std::collections::HashMap;

use async_trait::async_trait;
use tokio_postgres::Row;
use tokio_postgres::error::SqlState;

use super::error::StepError;
use super::query::{FEW, Query};
use super::row;
use super::session::Session;
use super::sql::slot;
use super::value::{Value, bytes, instant, number, text, texts};
use crate::clock::Timestamp;
use crate::store::columns;
use crate::store::{Admission, Change, Conflict, Filter, PageRequest, Purge, StoreError, Use};
use crate::token::{Kind, Record, TokenId};

/// Something that can be taken again if the server asks for it.
#[async_trait]
pub(super) trait Step: Sync {
    type Done: Send;

    /// Whether it is a single statement, as far as it changes anything.
    fn is_one_statement(&self) -> bool;

    async fn take(&self, session: Session<'_>) -> Result<Self::Done, StepError>;
}

pub(super) struct List<'a> {
    pub(super) filter: &'a Filter,
    pub(super) page: &'a PageRequest,
    pub(super) now: Timestamp,
}

#[async_trait]
impl Step for List<'_> {
    type Done = Vec<Record>;

    fn is_one_statement(&self) -> bool {
        true
    }

    async fn take(&self, session: Session<'_>) -> Result<Vec<Record>, StepError> {
        let few = match Query::unused_count(session.sql, self.filter, self.page) {
            Some(count) => {
                let counted = session.row(&count.sql, &count.values).await?;
                let counted: Option<i64> = counted.map(|row| row.try_get(0)).transpose()?;
                counted.is_some_and(|counted| counted <= FEW)
            }
            None => false,
        };
        let query = Query::page(session.sql, self.filter, self.page, self.now, few);
        let rows = session.rows(&query.sql, &query.values).await?;
        Ok(row::records(&rows)?)
    }
}

pub(super) struct Insert<'a> {
    pub(super) record: &'a Record,
    pub(super) admission: &'a Admission,
}

#[async_trait]
impl Step for Insert<'_> {
    type Done = ();

    fn is_one_statement(&self) -> bool {
        false
    }

    async fn take(&self, session: Session<'_>) -> Result<(), StepError> {
        let Self { record, admission } = self;
        lock(session, record.token.tenant.as_str(), record.token.owner.as_str()).await?;
        if let Some(conflict) = obstacle(session, record, admission).await? {
            return Err(conflict.into());
        }
        let mut values = row::values(record);
        values.extend(session.sql.channel.as_deref().map(text));
        let added = session.count(&session.sql.insert, &values).await.map(|_| ());
        // The id came in between, in a token of another owner.
        added.map_err(|error| match error.code() {
            Some(code) if *code == SqlState::UNIQUE_VIOLATION => StepError::Overtaken,
            _ => error,
        })
    }
}

/// Makes steps on the tokens of an owner that must see all of them wait for each other. The row is
/// written, not only locked: where transactions see one state of the database from their beginning
/// on, the server then refuses the one that waited.
pub(super) async fn lock(session: Session<'_>, tenant: &str, owner: &str) -> Result<(), StepError> {
    let slot = number(slot(tenant, owner));
    match session.count(&session.sql.lock, &[slot]).await? {
        1 => Ok(()),
        _ => {
            let text = "a row is missing in hallpass_locks".to_owned();
            Err(StoreError::Schema(text).into())
        }
    }
}

/// What stands against an insert, in the order of the contract.
async fn obstacle(
    session: Session<'_>,
    record: &Record,
    admission: &Admission,
) -> Result<Option<Conflict>, StepError> {
    let token = &record.token;
    let key = admission.unique_name.then(|| token.name.key());
    let values = [
        text(token.tenant.as_str()),
        text(token.owner.as_str()),
        bytes(key.as_deref()),
        text(token.kind.as_str()),
        instant(Some(admission.now)),
        text(token.id.as_str()),
        Value::Bytes(record.idempotency.map(|idempotency| idempotency.key.to_vec())),
        // Without a quota none is counted.
        number(admission.quota.unwrap_or(0)),
    ];
    let Some(found) = session.row(&session.sql.obstacles, &values).await? else {
        return Ok(None);
    };
    if let Some(id) = id_at(&found, 0)? {
        return Ok(Some(Conflict::Replayed { id }));
    }
    if found.try_get(1)? {
        return Ok(Some(Conflict::IdTaken));
    }
    if let Some(by) = id_at(&found, 2)? {
        return Ok(Some(Conflict::NameTaken { by }));
    }
    let live: i64 = found.try_get(3)?;
    let full = admission.quota.filter(|limit| live >= i64::from(*limit));
    Ok(full.map(|limit| Conflict::QuotaFull { limit }))
}

pub(super) struct Update<'a> {
    pub(super) id: &'a TokenId,
    pub(super) expected_version: u64,
    pub(super) change: &'a Change,
    pub(super) now: Timestamp,
}

#[async_trait]
impl Step for Update<'_> {
    type Done = Option<Record>;

    fn is_one_statement(&self) -> bool {
        self.change.name.is_none()
    }

    async fn take(&self, session: Session<'_>) -> Result<Option<Record>, StepError> {
        if let Some((name, unique)) = &self.change.name {
            let Some(state) = self.state(session).await? else {
                return Ok(None);
            };
            lock(session, &state.tenant, &state.owner).await?;
            if *unique && let Some(conflict) = self.name_conflict(session, &name.key()).await? {
                return Err(conflict.into());
            }
        }
        let tokens = &session.sql.tokens;
        let mut query = Query::new(&format!("UPDATE {tokens} SET version = version + 1"));
        for (column, value) in columns::changed(self.change) {
            query.bind(&format!(", {column} = ?"), value);
        }
        query.bind(" WHERE id = ?", text(self.id.as_str()));
        query.bind(" AND version = ?", columns::version(self.expected_version));
        query.push(" AND revoked_at IS NULL");
        query.values.extend(session.sql.channel.as_deref().map(text));
        query.sql = session.sql.changed(&query.sql, query.values.len());
        if let Some(changed) = session.row(&query.sql, &query.values).await? {
            return Ok(Some(row::record(&changed)?));
        }
        match self.state(session).await? {
            // The record with this version came after the attempt.
            Some(state) if self.fits(&state) => Err(StepError::Overtaken),
            Some(state) => Err(state.refusal().into()),
            None => Ok(None),
        }
    }
}

/// What decides whether a record may change.
struct State {
    version: u64,
    revoked: bool,
    tenant: String,
    owner: String,
    kind: String,
}

impl State {
    fn refusal(&self) -> Conflict {
        if self.revoked { Conflict::Revoked } else { Conflict::Stale { current: self.version } }
    }
}

impl Update<'_> {
    fn fits(&self, state: &State) -> bool {
        !state.revoked && state.version == self.expected_version
    }

    async fn state(&self, session: Session<'_>) -> Result<Option<State>, StepError> {
        let found = session.row(&session.sql.state, &[text(self.id.as_str())]).await?;
        let read = |found: Row| {
            Ok(State {
                version: found.try_get::<_, i64>(0)?.unsigned_abs(),
                revoked: found.try_get(1)?,
                tenant: found.try_get(2)?,
                owner: found.try_get(3)?,
                kind: found.try_get(4)?,
            })
        };
        found.map(read).transpose()
    }

    /// That another live token of the owner has the name, if nothing refuses the change before
    /// that. The owner is locked.
    async fn name_conflict(
        &self,
        session: Session<'_>,
        key: &str,
    ) -> Result<Option<Conflict>, StepError> {
        let state = self.state(session).await?;
        let Some(state) = state.filter(|state| self.fits(state)) else {
            return Ok(None);
        };
        let values = [
            text(&state.tenant),
            text(&state.owner),
            bytes(Some(key)),
            text(&state.kind),
            instant(Some(self.now)),
            text(self.id.as_str()),
        ];
        let found = session.row(&session.sql.named, &values).await?;
        let by = found.map(|found| row::id(&found)).transpose()?;
        Ok(by.map(|by| Conflict::NameTaken { by }))
    }
}

/// How many steps revoked something.
pub(super) struct Generation;

#[async_trait]
impl Step for Generation {
    type Done = u64;

    fn is_one_statement(&self) -> bool {
        true
    }

    async fn take(&self, session: Session<'_>) -> Result<u64, StepError> {
        let sum = session.row(&session.sql.generation, &[]).await?;
        let sum: Option<i64> = sum.map(|row| row.try_get(0)).transpose()?.flatten();
        let missing = || StoreError::Schema("hallpass_revocations is empty".to_owned());
        Ok(sum.ok_or_else(missing)?.unsigned_abs())
    }
}

pub(super) struct Touch(Vec<Value>);

impl Touch {
    pub(super) fn new(uses: &[Use]) -> Self {
        // A statement changes a row only once, and rows are locked in the same order everywhere.
        let mut newest: HashMap<&TokenId, &Use> = HashMap::with_capacity(uses.len());
        for noted in uses {
            let kept = newest.entry(&noted.id).or_insert(noted);
            if kept.last_use.at < noted.last_use.at {
                *kept = noted;
            }
        }
        let mut newest: Vec<&Use> = newest.into_values().collect();
        newest.sort_unstable_by_key(|noted| noted.id);
        let used = || newest.iter().map(|noted| &noted.last_use);
        let agent = |agent: &str| agent.as_bytes().to_vec();
        Self(vec![
            texts(newest.iter().map(|noted| noted.id.as_str())),
            Value::Numbers(used().map(|used| used.at.as_micros()).collect()),
            Value::Texts(used().map(|used| used.ip.map(|ip| ip.to_string())).collect()),
            Value::Blobs(used().map(|used| used.agent.as_deref().map(agent)).collect()),
        ])
    }
}

#[async_trait]
impl Step for Touch {
    type Done = ();

    fn is_one_statement(&self) -> bool {
        true
    }

    async fn take(&self, session: Session<'_>) -> Result<(), StepError> {
        session.count(&session.sql.touch, &self.0).await?;
        Ok(())
    }
}

#[async_trait]
impl Step for Purge {
    type Done = u64;

    fn is_one_statement(&self) -> bool {
        true
    }

    async fn take(&self, session: Session<'_>) -> Result<u64, StepError> {
        let (kept, exchanged) = (self.before(Kind::Personal), self.before(Kind::Access));
        let bounds = [instant(Some(kept)), instant(Some(exchanged)), number(self.limit)];
        session.count(&session.sql.purge, &bounds).await
    }
}

/// The id in a column, if there is one.
fn id_at(found: &Row, place: usize) -> Result<Option<TokenId>, StepError> {
    let id: Option<&str> = found.try_get(place)?;
    let corrupt = |id: &str| StoreError::Corrupt { id: id.to_owned(), column: "id" };
    Ok(id.map(|id| id.parse().map_err(|_| corrupt(id))).transpose()?)
}
