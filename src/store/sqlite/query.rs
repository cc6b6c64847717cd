//! Filters and pages as SQL. What comes from a caller is bound, never written into the text.

use rusqlite::types::Value;

use super::row::{instant, text};
use crate::clock::Timestamp;
use crate::store::{Filter, PageRequest, Reach, SortKey, SortValue};
use crate::token::{KindSet, Status, TokenId, fold};

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
        let place = format!("?{}", self.values.len());
        self.sql.push_str(&sql.replace('?', &place));
    }

    /// These columns of the page of records that a filter admits at `now`.
    pub(super) fn page(columns: &str, filter: &Filter, page: &PageRequest, now: Timestamp) -> Self {
        let mut query = Self::new("SELECT ");
        query.push(columns);
        query.push(" FROM tokens WHERE ");
        query.admitted(filter, now);
        let key = match page.sort {
            SortKey::CreatedAt => "created_at",
            SortKey::Name => "name_key",
            SortKey::ExpiresAt => "expires_order",
            SortKey::LastUsedAt => "used_order",
        };
        let (beyond, direction) = if page.descending { ("<", "DESC") } else { (">", "ASC") };
        if let Some(after) = &page.after {
            let value = match &after.value {
                SortValue::Number(number) => Value::Integer(*number),
                SortValue::Text(key) => text(key),
            };
            query.bind(&format!(" AND ({key}, id) {beyond} (?, "), value);
            query.bind("?)", text(after.id.as_str()));
        }
        query.push(&format!(" ORDER BY {key} {direction}, id {direction}"));
        query.bind(" LIMIT ?", Value::Integer(page.limit.into()));
        query
    }

    /// Appends the conditions of a filter, as [`Filter::admits`] has them.
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
            // One bound value, however many ids there are.
            let ids: Vec<&str> = ids.iter().map(TokenId::as_str).collect();
            let ids = Value::Text(format!("[\"{}\"]", ids.join("\",\"")));
            self.bind(" AND id IN (SELECT value FROM json_each(?))", ids);
        }
        if filter.kinds != KindSet::ALL {
            let kinds: Vec<String> =
                filter.kinds.iter().map(|kind| format!("'{}'", kind.as_str())).collect();
            self.push(&format!(" AND kind IN ({})", kinds.join(", ")));
        }
        if let Some(statuses) = &filter.statuses {
            self.in_status(statuses, now);
        }
        if let Some(searched) = &filter.text {
            // `instr` knows no wildcards.
            self.bind(
                " AND (instr(name_key, ?) > 0 OR instr(description_key, ?) > 0 \
                 OR instr(lower(id), ?) > 0)",
                Value::Text(fold(searched)),
            );
        }
        if let Some(scope) = &filter.scope {
            // A scope holds no space.
            let scope = Value::Text(format!(" {scope} "));
            self.bind(" AND instr(' ' || scopes || ' ', ?) > 0", scope);
        }
        if let Some(before) = filter.created_before {
            self.bind(" AND created_at < ?", instant(Some(before)));
        }
        if let Some(from) = filter.expires_from {
            self.bind(" AND expires_at IS NOT NULL AND expires_order >= ?", instant(Some(from)));
        }
        if let Some(before) = filter.expires_before {
            self.bind(" AND expires_order < ?", instant(Some(before)));
        }
        if let Some(since) = filter.unused_since {
            self.bind(" AND used_order < ?", instant(Some(since)));
        }
        if let Some(client) = &filter.client {
            self.bind(" AND client = ?", text(client));
        }
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
                Status::Expired => "(revoked_at IS NULL AND expires_order <= ?)",
                Status::Suspended => {
                    "(revoked_at IS NULL AND expires_order > ? AND suspended_at IS NOT NULL)"
                }
                Status::NotYetValid => {
                    "(revoked_at IS NULL AND expires_order > ? AND suspended_at IS NULL \
                     AND not_before > ?)"
                }
                Status::Active => {
                    "(revoked_at IS NULL AND expires_order > ? AND suspended_at IS NULL \
                     AND (not_before IS NULL OR not_before <= ?))"
                }
            };
            if *status == Status::Revoked {
                self.push(condition);
            } else {
                self.bind(condition, instant(Some(now)));
            }
        }
        self.push(")");
    }
}
