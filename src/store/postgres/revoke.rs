//! The step that revokes, and how it goes through many tokens.

use async_trait::async_trait;
use tokio_postgres::Row;

use super::error::StepError;
use super::query::Query;
use super::session::Session;
use super::sql::Sql;
use super::steps::{Step, lock};
use super::value::{instant, number, text, texts};
use super::{listen, row};
use crate::store::{Filter, Reach};
use crate::token::{Revocation, TokenId};

/// How many tokens a revocation looks at before others have their turn.
const PIECE: u32 = 5_000;
/// Tells other nodes, with several payloads.
const NOTIFY: &str = "SELECT pg_notify($1, payload) FROM UNNEST($2) AS payload";

/// Revokes what a filter admits; of everything, or of a tenant, only the next tokens, so that no
/// statement takes longer the more there are.
pub(super) struct Revoke<'a> {
    pub(super) filter: &'a Filter,
    pub(super) mark: &'a Revocation,
    /// The last token that was looked at before.
    pub(super) after: Option<Place>,
}

/// Where a token is in the order in which revocations go through many.
#[derive(Debug, Clone)]
pub(super) struct Place {
    owner: String,
    created_at: i64,
    id: String,
}

impl Place {
    /// The columns of the order: those of an index. A tenant's tokens are in that of its owners.
    fn order(reach: &Reach) -> Option<&'static str> {
        match reach {
            Reach::All => Some("created_at, id"),
            Reach::Tenant(_) => Some("owner, created_at, id"),
            Reach::Owner(..) | Reach::Family(_) => None,
        }
    }

    /// Appends the condition that a token is in this relation to the place.
    fn bind(&self, query: &mut Query, reach: &Reach, relation: &str) {
        let Some(order) = Self::order(reach) else {
            return;
        };
        query.push(&format!(" AND ({order}) {relation} ("));
        if matches!(reach, Reach::Tenant(_)) {
            query.bind("?, ", text(&self.owner));
        }
        query.bind("?, ", number(self.created_at));
        query.bind("?)", text(&self.id));
    }
}

impl Revoke<'_> {
    /// The order in which it goes through tokens, if there may be too many for one piece.
    fn order(&self) -> Option<&'static str> {
        Place::order(&self.filter.reach).filter(|_| self.filter.ids.is_none())
    }

    /// The last token of the next piece, if it is not the last one of all.
    async fn last(&self, session: Session<'_>, order: &str) -> Result<Option<Place>, StepError> {
        let mut query = Query::new("SELECT owner, created_at, id FROM ");
        self.piece(&mut query, session.sql, None, order);
        query.push(&format!(" OFFSET {} LIMIT 1", PIECE - 1));
        let last = session.row(&query.sql, &query.values).await?;
        let read = |last: Row| {
            let (owner, created_at, id) = (last.try_get(0)?, last.try_get(1)?, last.try_get(2)?);
            Ok(Place { owner, created_at, id })
        };
        last.map(read).transpose()
    }

    /// Appends the tokens from the next one on, in order.
    fn piece(&self, query: &mut Query, sql: &Sql, last: Option<&Place>, order: &str) {
        let reach = &self.filter.reach;
        query.push(&format!("{} WHERE ", sql.tokens));
        query.admitted(&Filter::new(reach.clone()), self.mark.at);
        for (place, relation) in [(self.after.as_ref(), ">"), (last, "<=")] {
            if let Some(place) = place {
                place.bind(query, reach, relation);
            }
        }
        query.push(&format!(" ORDER BY {order}"));
    }

    /// Appends which tokens are revoked, but for when they were last used.
    ///
    /// Those of a piece are found by their ids and by nothing else that has an index: whatever the
    /// server thinks of how many there are, it reads no more than these.
    fn admitted(&self, query: &mut Query, sql: &Sql, last: Option<&Place>) {
        let Some(order) = self.order() else {
            return query.admitted(self.filter, self.mark.at);
        };
        query.push("id = ANY(ARRAY(SELECT id FROM ");
        self.piece(query, sql, last, order);
        query.push(&format!(" LIMIT {PIECE})) AND "));
        query.admitted(&self.of_all(), self.mark.at);
    }

    /// The same filter, without what is true of tokens that were already found.
    fn of_all(&self) -> Filter {
        Filter { reach: Reach::All, ids: None, ..self.filter.clone() }
    }
}

#[async_trait]
impl Step for Revoke<'_> {
    /// What was revoked, and the last token that was looked at if there are more.
    type Done = (Vec<TokenId>, Option<Place>);

    fn is_one_statement(&self) -> bool {
        false
    }

    async fn take(&self, session: Session<'_>) -> Result<Self::Done, StepError> {
        // What is issued to the owner meanwhile is issued before the revocation or after it.
        if let Reach::Owner(tenant, owner) = &self.filter.reach {
            lock(session, tenant.as_str(), owner.as_str()).await?;
        }
        let mark = self.mark;
        let Sql { tokens, uses, revocations, .. } = session.sql;
        let last = match self.order() {
            Some(order) => self.last(session, order).await?,
            None => None,
        };
        let mut query = Query::new("WITH ");
        if let Some(since) = self.filter.unused_since {
            // Locked, so that what is used meanwhile is used before or not at all.
            // Only those that the filter admits, or it would wait for everybody's.
            query.push(&format!(
                "unused AS (SELECT token FROM {uses} \
                 WHERE token = ANY(ARRAY(SELECT id FROM {tokens} WHERE revoked_at IS NULL AND "
            ));
            self.admitted(&mut query, session.sql, last.as_ref());
            query.push(")) AND NOT closed");
            query.unused(since);
            query.push(" FOR UPDATE), ");
        }
        query.push(&format!("changed AS (UPDATE {tokens} SET version = version + 1"));
        query.bind(", revoked_at = ?", instant(Some(mark.at)));
        query.bind(", revoked_by = ?", text(&mark.by.to_string()));
        query.bind(", revoked_reason = ?", text(mark.reason.as_str()));
        query.push(" WHERE revoked_at IS NULL AND ");
        if self.filter.unused_since.is_some() {
            query.push("id = ANY(ARRAY(SELECT token FROM unused)) AND ");
            query.admitted(&self.of_all(), mark.at);
        } else {
            self.admitted(&mut query, session.sql, last.as_ref());
        }
        query.push(&format!(
            " RETURNING id, version), used AS (UPDATE {uses} SET closed = TRUE \
             WHERE token = ANY(ARRAY(SELECT id FROM changed))), \
             counted AS (UPDATE {revocations} SET counted = counted + 1"
        ));
        // Any of them, and after the tokens: whoever waits here for another waits for no token.
        let row = mark.at.as_micros() % 16;
        query.bind(" WHERE slot = ? AND EXISTS (SELECT 1 FROM changed))", number(row));
        query.push(" SELECT id, version FROM changed");
        let rows = session.rows(&query.sql, &query.values).await?;
        let mut revoked = Vec::with_capacity(rows.len());
        let mut versions: Vec<(TokenId, i64)> = Vec::with_capacity(rows.len());
        for changed in &rows {
            let id = row::id(changed)?;
            revoked.push(id);
            versions.push((id, changed.try_get(1)?));
        }
        if let Some(channel) = &session.sql.channel
            && !versions.is_empty()
        {
            let payloads = listen::payloads(&versions);
            let payloads = texts(payloads.iter().map(String::as_str));
            session.rows(NOTIFY, &[text(channel), payloads]).await?;
        }
        Ok((revoked, last))
    }
}
