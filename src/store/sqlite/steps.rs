//! The steps of the contract. Those that write run inside a transaction that holds the file's write
//! lock, so that what they check still holds when they write.

use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension as _, Row, params, params_from_iter};

use super::error::StepError;
use super::query::Query;
use super::row::{self, bound, instant, text};
use crate::clock::Timestamp;
use crate::store::columns::{self, SeenScopes, columns, token_columns};
use crate::store::{Admission, Change, Conflict, Filter, PageRequest, Purge, Use};
use crate::token::{Kind, Record, Revocation, Token, TokenId};

const FIND: &str = concat!("SELECT ", columns!(), " FROM tokens WHERE id = ?1");

const REPLAYED: &str =
    "SELECT id FROM tokens WHERE tenant = ?1 AND owner = ?2 AND idempotency_key = ?3";

const TAKEN: &str = "SELECT 1 FROM tokens WHERE id = ?1";

/// Who holds a name. The plus signs keep SQLite from preferring the index of live tokens, which
/// would look at all of them.
const NAMED: &str = "SELECT id FROM tokens \
     WHERE tenant = ?1 AND owner = ?2 AND name_key = ?3 \
     AND +kind = ?4 AND revoked_at IS NULL AND +expires_order > ?5 AND +id <> ?6 LIMIT 1";

/// Counts live tokens, as far as it matters.
const LIVE: &str = "SELECT count(*) FROM (SELECT 1 FROM tokens \
     WHERE tenant = ?1 AND owner = ?2 AND kind = ?3 AND revoked_at IS NULL AND expires_order > ?4 \
     LIMIT ?5)";

const STATE: &str =
    "SELECT version, revoked_at IS NOT NULL, tenant, owner, kind FROM tokens WHERE id = ?1";

const TOUCH: &str = "UPDATE tokens \
     SET last_used_at = ?2, last_used_ip = ?3, last_used_agent = ?4 \
     WHERE id = ?1 AND revoked_at IS NULL AND (last_used_at IS NULL OR last_used_at < ?2)";

const PURGE: &str = "DELETE FROM tokens WHERE rowid IN (SELECT ended.rowid FROM tokens AS ended \
     WHERE ((ended.kind IN ('pat', 'app', 'rt') AND ended.ended_at < ?1) \
     OR (ended.kind = 'at' AND ended.ended_at < ?2)) \
     AND NOT EXISTS (SELECT 1 FROM tokens AS child WHERE child.parent = ended.id) LIMIT ?3)";

pub(super) fn find(connection: &Connection, id: &TokenId) -> Result<Option<Record>, StepError> {
    let mut statement = connection.prepare_cached(FIND)?;
    let mut rows = statement.query([id.as_str()])?;
    rows.next()?.map(row::record).transpose()
}

/// How the rows of a page are read: which columns, and as what.
pub(super) struct Listing<T> {
    columns: &'static str,
    read: fn(&mut SeenScopes, &Row<'_>) -> Result<T, StepError>,
}

pub(super) static RECORDS: Listing<Record> =
    Listing { columns: columns!(), read: row::record_after };
pub(super) static TOKENS: Listing<Token> =
    Listing { columns: token_columns!(), read: row::token_after };

pub(super) fn list<T>(
    connection: &Connection,
    listing: &Listing<T>,
    (filter, now): (&Filter, Timestamp),
    page: &PageRequest,
) -> Result<Vec<T>, StepError> {
    let query = Query::page(listing.columns, filter, page, now);
    let mut statement = connection.prepare_cached(&query.sql)?;
    let mut rows = statement.query(params_from_iter(query.values))?;
    let mut seen = None;
    let mut page = Vec::with_capacity(usize::try_from(page.limit).unwrap_or_default().min(128));
    while let Some(row) = rows.next()? {
        page.push((listing.read)(&mut seen, row)?);
    }
    Ok(page)
}

pub(super) fn insert(
    connection: &Connection,
    record: &Record,
    admission: &Admission,
) -> Result<(), StepError> {
    let token = &record.token;
    let (tenant, owner, kind) = (token.tenant.as_str(), token.owner.as_str(), token.kind.as_str());
    if let Some(idempotency) = &record.idempotency {
        let issue = params![tenant, owner, idempotency.key.as_slice()];
        if let Some(id) = one_id(connection, REPLAYED, issue)? {
            return Err(Conflict::Replayed { id }.into());
        }
    }
    if connection.prepare_cached(TAKEN)?.exists([token.id.as_str()])? {
        return Err(Conflict::IdTaken.into());
    }
    let now = admission.now.as_micros();
    if admission.unique_name {
        let name = params![tenant, owner, token.name.key(), kind, now, token.id.as_str()];
        if let Some(by) = one_id(connection, NAMED, name)? {
            return Err(Conflict::NameTaken { by }.into());
        }
    }
    if let Some(limit) = admission.quota {
        let live: i64 = connection
            .prepare_cached(LIVE)?
            .query_row(params![tenant, owner, kind, now, limit], |row| row.get(0))?;
        if live >= i64::from(limit) {
            return Err(Conflict::QuotaFull { limit }.into());
        }
    }
    let values = row::values(record);
    connection.prepare_cached(row::INSERT)?.execute(params_from_iter(bound(&values)))?;
    Ok(())
}

pub(super) fn update(
    connection: &Connection,
    id: &TokenId,
    expected_version: u64,
    change: &Change,
    now: Timestamp,
) -> Result<Option<Record>, StepError> {
    if let Some((name, true)) = &change.name
        && let Some(conflict) = name_conflict(connection, id, expected_version, &name.key(), now)?
    {
        return Err(conflict.into());
    }
    let mut query = Query::new("UPDATE tokens SET version = version + 1");
    for (column, value) in columns::changed(change) {
        query.bind(&format!(", {column} = ?"), value);
    }
    query.bind(" WHERE id = ?", text(id.as_str()));
    query.bind(" AND version = ? AND revoked_at IS NULL", columns::version(expected_version));
    query.push(concat!(" RETURNING ", columns!()));
    let changed = {
        let mut statement = connection.prepare_cached(&query.sql)?;
        let mut rows = statement.query(params_from_iter(query.values))?;
        rows.next()?.map(row::record).transpose()?
    };
    match changed {
        Some(record) => Ok(Some(record)),
        None => match state(connection, id)? {
            Some(state) => Err(state.refusal().into()),
            None => Ok(None),
        },
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

fn state(connection: &Connection, id: &TokenId) -> Result<Option<State>, StepError> {
    let mut statement = connection.prepare_cached(STATE)?;
    let state = statement.query_row([id.as_str()], |row| {
        Ok(State {
            version: row.get::<_, i64>(0)?.unsigned_abs(),
            revoked: row.get(1)?,
            tenant: row.get(2)?,
            owner: row.get(3)?,
            kind: row.get(4)?,
        })
    });
    Ok(state.optional()?)
}

/// That another live token of the owner has the name, if nothing refuses the change before that.
fn name_conflict(
    connection: &Connection,
    id: &TokenId,
    expected_version: u64,
    key: &str,
    now: Timestamp,
) -> Result<Option<Conflict>, StepError> {
    let Some(state) = state(connection, id)? else {
        return Ok(None);
    };
    if state.revoked || state.version != expected_version {
        return Ok(None);
    }
    let State { tenant, owner, kind, .. } = &state;
    let name = params![tenant, owner, key, kind, now.as_micros(), id.as_str()];
    Ok(one_id(connection, NAMED, name)?.map(|by| Conflict::NameTaken { by }))
}

pub(super) fn revoke(
    connection: &Connection,
    filter: &Filter,
    mark: &Revocation,
) -> Result<Vec<TokenId>, StepError> {
    let mut query = Query::new("UPDATE tokens SET version = version + 1");
    query.bind(", revoked_at = ?", instant(Some(mark.at)));
    query.bind(", revoked_by = ?", text(&mark.by.to_string()));
    query.bind(", revoked_reason = ?", text(mark.reason.as_str()));
    query.push(" WHERE revoked_at IS NULL AND ");
    query.admitted(filter, mark.at);
    query.push(" RETURNING id");
    let mut statement = connection.prepare_cached(&query.sql)?;
    let rows = statement.query_and_then(params_from_iter(query.values), row::id)?;
    let revoked = rows.collect::<Result<Vec<TokenId>, StepError>>()?;
    if !revoked.is_empty() {
        connection.prepare_cached("UPDATE revocations SET counted = counted + 1")?.execute([])?;
    }
    Ok(revoked)
}

/// How many steps revoked something.
pub(super) fn generation(connection: &Connection) -> Result<u64, StepError> {
    let mut statement = connection.prepare_cached("SELECT counted FROM revocations")?;
    let counted: i64 = statement.query_row([], |row| row.get(0))?;
    Ok(counted.unsigned_abs())
}

pub(super) fn touch(connection: &Connection, uses: &[Use]) -> Result<(), StepError> {
    let mut statement = connection.prepare_cached(TOUCH)?;
    for Use { id, last_use } in uses {
        let [at, ip, agent] = columns::used(Some(last_use)).map(Value::from);
        statement.execute(params![id.as_str(), at, ip, agent])?;
    }
    Ok(())
}

pub(super) fn purge(connection: &Connection, purge: &Purge) -> Result<u64, StepError> {
    let (kept, exchanged) = (purge.before(Kind::Personal), purge.before(Kind::Access));
    let bounds = params![kept.as_micros(), exchanged.as_micros(), purge.limit];
    Ok(connection.prepare_cached(PURGE)?.execute(bounds)? as u64)
}

/// The one id that a statement selects, if it selects any.
fn one_id(
    connection: &Connection,
    sql: &str,
    values: &[&dyn rusqlite::ToSql],
) -> Result<Option<TokenId>, StepError> {
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(values)?;
    rows.next()?.map(row::id).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::sqlite::schema;
    use crate::store::{Position, Reach, SortKey, SortValue};
    use crate::token::{Owner, Status, Tenant};

    fn connection() -> Connection {
        let mut connection = Connection::open_in_memory().unwrap();
        schema::migrate(&mut connection).unwrap();
        connection
    }

    /// How SQLite means to run a statement.
    fn plan(connection: &Connection, sql: &str) -> String {
        let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        let unbound = vec![Value::Null; statement.parameter_count()];
        let rows = statement
            .query_map(params_from_iter(unbound), |row| row.get::<_, String>("detail"))
            .unwrap();
        rows.map(Result::unwrap).collect::<Vec<_>>().join("; ")
    }

    /// Checks that a statement goes straight to its rows by this index, in their order.
    fn assert_uses(connection: &Connection, sql: &str, index: &str) {
        let plan = plan(connection, sql);
        assert!(plan.contains(index), "{sql}\n{plan}");
        for slow in ["SCAN tokens", "SCAN ended", "SCAN child", "TEMP B-TREE"] {
            assert!(!plan.contains(slow), "{sql}\n{plan}");
        }
    }

    fn now() -> Timestamp {
        Timestamp::from_micros(1_000_000).unwrap()
    }

    fn after(sort: SortKey) -> Position {
        let value = match sort {
            SortKey::Name => SortValue::Text("a".to_owned()),
            _ => SortValue::Number(1),
        };
        Position { value, id: "0000000000000001".parse().unwrap() }
    }

    const SORTS: [(SortKey, &str); 4] = [
        (SortKey::CreatedAt, "created"),
        (SortKey::Name, "name"),
        (SortKey::ExpiresAt, "expires"),
        (SortKey::LastUsedAt, "used"),
    ];

    #[test]
    fn single_lookups_use_an_index() {
        let connection = connection();
        for (sql, index) in [
            (FIND, "sqlite_autoindex_tokens_1"),
            (TAKEN, "sqlite_autoindex_tokens_1"),
            (STATE, "sqlite_autoindex_tokens_1"),
            (TOUCH, "sqlite_autoindex_tokens_1"),
            (REPLAYED, "tokens_idempotency"),
            (NAMED, "tokens_owner_name (tenant=? AND owner=? AND name_key=?)"),
            (LIVE, "tokens_live (tenant=? AND owner=? AND kind=? AND expires_order>?)"),
            (PURGE, "tokens_ended (kind=? AND ended_at<?)"),
            (PURGE, "tokens_parent (parent=?)"),
        ] {
            assert_uses(&connection, sql, index);
        }
    }

    #[test]
    fn every_kind_is_purged() {
        for kind in Kind::ALL {
            assert!(PURGE.contains(&format!("'{kind}'")), "{kind}");
        }
    }

    #[test]
    fn an_owners_page_uses_an_index_in_every_order() {
        let connection = connection();
        let owner = Owner::parse("u1").unwrap();
        let every = Filter::new(Reach::Owner(Tenant::DEFAULT, owner));
        let mut live = every.clone();
        live.statuses = Some(vec![Status::Active, Status::Suspended, Status::NotYetValid]);
        live.text = Some("a".to_owned());
        for filter in [every, live] {
            for (sort, index) in SORTS {
                for descending in [false, true] {
                    for after in [None, Some(after(sort))] {
                        let page = PageRequest { sort, descending, after, limit: 10 };
                        let query = Query::page(columns!(), &filter, &page, now());
                        let index = format!("tokens_owner_{index} (tenant=? AND owner=?");
                        assert_uses(&connection, &query.sql, &index);
                    }
                }
            }
        }
    }

    #[test]
    fn windows_families_and_ids_use_an_index() {
        let connection = connection();
        let page = |sort| PageRequest { sort, descending: false, after: None, limit: 10 };
        let mut ending = Filter::new(Reach::All);
        ending.expires_from = Some(now());
        ending.expires_before = Some(now());
        let query = Query::page(columns!(), &ending, &page(SortKey::ExpiresAt), now());
        assert_uses(
            &connection,
            &query.sql,
            "tokens_expires (expires_order>? AND expires_order<?)",
        );

        let mut idle = Filter::new(Reach::All);
        idle.unused_since = Some(now());
        let query = Query::page(columns!(), &idle, &page(SortKey::LastUsedAt), now());
        assert_uses(&connection, &query.sql, "tokens_used (used_order<?)");

        let id: TokenId = "0000000000000001".parse().unwrap();
        let mut some = Filter::new(Reach::All);
        some.ids = Some(vec![id]);
        for (filter, index) in [
            (some, "sqlite_autoindex_tokens_1"),
            (idle, "tokens_used"),
            (Filter::new(Reach::Family(id)), "tokens_parent (parent=?)"),
            (
                Filter::new(Reach::Owner(Tenant::DEFAULT, Owner::parse("u1").unwrap())),
                "(tenant=? AND owner=?",
            ),
        ] {
            let mut query =
                Query::new("UPDATE tokens SET version = 1 WHERE revoked_at IS NULL AND ");
            query.admitted(&filter, now());
            assert_uses(&connection, &query.sql, index);
        }
    }
}
