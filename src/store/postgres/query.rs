//! Filters and pages as SQL. What comes from a caller is bound, never written into the text.

use super::sql::Sql;
use super::value::{Value, bytes, instant, number, text, texts};
use crate::clock::Timestamp;
use crate::store::columns::columns;
use crate::store::{Filter, PageRequest, Reach, SortKey, SortValue};
use crate::token::{Kind, KindSet, Status, TokenId, fold};

/// What tokens are sorted by that sorts by their end: those that never end are last. The indexes
/// have the same expression.
pub(super) const EXPIRES: &str = "coalesce(expires_at, 9223372036854775807)";
/// What tokens are sorted by that sorts by their last use: those never used are first.
pub(super) const USED: &str = "coalesce(last_used_at, 0)";
/// Microseconds of the days by which last uses are found.
const DAY: i64 = 86_400_000_000;
/// So many unused tokens are sorted faster than they are found among all others in order.
pub(super) const FEW: i64 = 10_000;
/// When a token ended, by revocation or by itself.
pub(super) const ENDED: &str = "coalesce(least(revoked_at, expires_at), revoked_at, expires_at)";

/// A statement and what it binds.
#[derive(Debug, Default)]
pub(super) struct Query {
    pub(super) sql: String,
    pub(super) values: Vec<Value>,
}

impl Query {
    pub(super) fn new(sql: &str) -> Self {
        Self { sql: sql.to_owned(), values: Vec::new() }
    }

    pub(super) fn push(&mut self, sql: &str) {
        self.sql.push_str(sql);
    }

    /// Appends SQL in which every `?` stands for `value`.
    pub(super) fn bind(&mut self, sql: &str, value: impl Into<Value>) {
        self.values.push(value.into());
        let place = format!("${}", self.values.len());
        self.sql.push_str(&sql.replace('?', &place));
    }

    /// Counts the tokens of all owners that were not used since then, as far as it matters whether
    /// they are few; none if the page is not found by that.
    pub(super) fn unused_count(sql: &Sql, filter: &Filter, page: &PageRequest) -> Option<Self> {
        let among_all = matches!(filter.reach, Reach::All | Reach::Tenant(_));
        let since =
            filter.unused_since.filter(|_| among_all && page.sort != SortKey::LastUsedAt)?;
        let mut query = Self::new("SELECT count(*) FROM (");
        query.longest_unused(sql, since, FEW + 1);
        query.push(") AS unused");
        Some(query)
    }

    /// The page of records that a filter admits at `now`. Where `few` tokens are unused for as
    /// long as it says, it begins with them.
    pub(super) fn page(
        sql: &Sql,
        filter: &Filter,
        page: &PageRequest,
        now: Timestamp,
        few: bool,
    ) -> Self {
        let mut query = Self::new(concat!("SELECT ", columns!(), " FROM "));
        let Sql { tokens, uses, .. } = sql;
        let by_use = page.sort == SortKey::LastUsedAt;
        match (&filter.reach, filter.unused_since) {
            (_, Some(since)) if few => {
                query.push("(");
                // There may be more by now.
                query.longest_unused(sql, since, 2 * FEW);
                query.push(&format!(
                    ") AS used JOIN LATERAL (SELECT * FROM {tokens} WHERE id = token LIMIT 1) \
                     AS held ON TRUE WHERE "
                ));
            }
            (Reach::All | Reach::Tenant(_), _) if by_use => {
                query.push(&format!("{tokens} JOIN {uses} ON token = id WHERE "));
            }
            // Looked up token by token.
            _ => query.push(&format!(
                "{tokens} LEFT JOIN LATERAL (SELECT * FROM {uses} WHERE token = id LIMIT 1) \
                 AS used ON TRUE WHERE "
            )),
        }
        query.admitted(filter, now);
        if let Some(since) = filter.unused_since {
            query.unused(since);
        }
        let key = match page.sort {
            SortKey::CreatedAt => "created_at",
            SortKey::Name => "name_key",
            SortKey::ExpiresAt => EXPIRES,
            SortKey::LastUsedAt => USED,
        };
        let (beyond, direction) = if page.descending { ("<", "DESC") } else { (">", "ASC") };
        if let Some(after) = &page.after {
            let value = match &after.value {
                SortValue::Number(value) => number(*value),
                SortValue::Text(key) => bytes(Some(key)),
            };
            query.bind(&format!(" AND ({key}, id) {beyond} (?, "), value);
            query.bind("?)", text(after.id.as_str()));
            if let (true, SortValue::Number(used)) = (by_use, &after.value) {
                query.bind(&format!(" AND last_used_day {beyond}= ?"), day(*used));
            }
        }
        let day = if by_use { format!("last_used_day {direction}, ") } else { String::new() };
        query.push(&format!(" ORDER BY {day}{key} {direction}, id {direction}"));
        query.bind(" LIMIT ?", number(page.limit));
        query
    }

    /// Appends those last uses that are longest ago, before then.
    fn longest_unused(&mut self, sql: &Sql, since: Timestamp, limit: i64) {
        self.push(&format!("SELECT * FROM {} WHERE TRUE", sql.uses));
        self.unused(since);
        self.bind(" ORDER BY last_used_day, token LIMIT ?", number(limit));
    }

    /// Appends the condition that a token was not used since then. The day alone finds them.
    pub(super) fn unused(&mut self, since: Timestamp) {
        self.bind(" AND last_used_day <= ?", day(since.as_micros()));
        self.bind(&format!(" AND {USED} < ?"), instant(Some(since)));
    }

    /// Appends the conditions of a filter, as [`Filter::admits`] has them, but for that on uses:
    /// they are in another table.
    pub(super) fn admitted(&mut self, filter: &Filter, now: Timestamp) {
        match &filter.reach {
            Reach::All => self.push("TRUE"),
            Reach::Tenant(tenant) => self.bind("tenant = ?", text(tenant.as_str())),
            Reach::Owner(tenant, owner) => {
                self.bind("tenant = ?", text(tenant.as_str()));
                self.bind(" AND owner = ?", text(owner.as_str()));
            }
            Reach::Family(root) => self.bind("(id = ? OR parent = ?)", text(root.as_str())),
        }
        if let Some(ids) = &filter.ids {
            self.bind(" AND id = ANY(?)", texts(ids.iter().map(TokenId::as_str)));
        }
        if filter.kinds != KindSet::ALL {
            self.bind(" AND kind = ANY(?)", texts(filter.kinds.iter().map(Kind::as_str)));
        }
        if let Some(statuses) = &filter.statuses {
            self.in_status(statuses, now);
        }
        if let Some(searched) = &filter.text {
            self.with_text(&fold(searched));
        }
        if let Some(scope) = &filter.scope {
            // A scope holds no space.
            let scope = text(&format!(" {scope} "));
            self.bind(" AND position(? IN ' ' || scopes || ' ') > 0", scope);
        }
        if let Some(before) = filter.created_before {
            self.bind(" AND created_at < ?", instant(Some(before)));
        }
        if let Some(from) = filter.expires_from {
            self.bind(
                &format!(" AND expires_at IS NOT NULL AND {EXPIRES} >= ?"),
                instant(Some(from)),
            );
        }
        if let Some(before) = filter.expires_before {
            self.bind(&format!(" AND {EXPIRES} < ?"), instant(Some(before)));
        }
        if let Some(client) = &filter.client {
            self.bind(" AND client = ?", bytes(Some(client)));
        }
    }

    /// Appends the condition that name, description or id holds this folded text. `position` knows
    /// no wildcards.
    fn with_text(&mut self, searched: &str) {
        self.bind(
            " AND (position(? IN name_key) > 0 OR position(? IN description_key) > 0",
            bytes(Some(searched)),
        );
        // No id holds anything else, and a text cannot hold everything else.
        if searched.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            self.bind(" OR position(? IN lower(id)) > 0", text(searched));
        }
        self.push(")");
    }

    /// Appends the condition that [`Lifecycle::status`](crate::token::Lifecycle::status) is one of
    /// these at `now`.
    fn in_status(&mut self, statuses: &[Status], now: Timestamp) {
        if statuses.is_empty() {
            return self.push(" AND FALSE");
        }
        self.push(" AND (");
        for (place, status) in statuses.iter().enumerate() {
            if place > 0 {
                self.push(" OR ");
            }
            let condition = match status {
                Status::Revoked => "revoked_at IS NOT NULL",
                Status::Expired => "(revoked_at IS NULL AND {EXPIRES} <= ?)",
                Status::Suspended => {
                    "(revoked_at IS NULL AND {EXPIRES} > ? AND suspended_at IS NOT NULL)"
                }
                Status::NotYetValid => {
                    "(revoked_at IS NULL AND {EXPIRES} > ? AND suspended_at IS NULL \
                     AND not_before > ?)"
                }
                Status::Active => {
                    "(revoked_at IS NULL AND {EXPIRES} > ? AND suspended_at IS NULL \
                     AND (not_before IS NULL OR not_before <= ?))"
                }
            };
            if *status == Status::Revoked {
                self.push(condition);
            } else {
                self.bind(&condition.replace("{EXPIRES}", EXPIRES), instant(Some(now)));
            }
        }
        self.push(")");
    }
}

/// When the day of an instant began. Databases agree on remainders, and not on divisions.
fn day(micros: i64) -> Value {
    number(micros - micros % DAY)
}
