//! The statements whose text never changes, made once for each store.

use super::query::{ENDED, EXPIRES};
use super::row;
use crate::store::StoreError;
use crate::store::columns::{WRITTEN, columns};

/// Where a store's tables are, and its fixed statements.
#[derive(Debug)]
pub(super) struct Sql {
    /// The table of tokens, as statements name it.
    pub(super) tokens: String,
    /// The table of last uses.
    pub(super) uses: String,
    /// By which `LISTEN` name other nodes are told of changes, if they are.
    pub(super) channel: Option<String>,
    pub(super) find: String,
    pub(super) find_many: String,
    pub(super) lock: String,
    pub(super) obstacles: String,
    pub(super) named: String,
    pub(super) state: String,
    pub(super) insert: String,
    pub(super) touch: String,
    pub(super) purge: String,
    /// The table that counts revocations.
    pub(super) revocations: String,
    pub(super) generation: String,
}

impl Sql {
    pub(super) fn new(schema: Option<&str>, tells_changes: bool) -> Result<Self, StoreError> {
        let prefix = match schema {
            Some(schema) => format!("{}.", quoted(schema)?),
            None => String::new(),
        };
        let channel = tells_changes.then(|| match schema {
            Some(schema) => format!("hallpass.{schema}"),
            None => "hallpass".to_owned(),
        });
        let tokens = format!("{prefix}hallpass_tokens");
        let uses = format!("{prefix}hallpass_uses");
        let find = concat!("SELECT ", columns!(), " FROM ");
        let find = format!("{find}{tokens} LEFT JOIN {uses} ON token = id WHERE id = ");
        let lock = format!("UPDATE {prefix}hallpass_locks SET taken = taken + 1 WHERE slot = $1");
        // A name that is not asked for is NULL and found nowhere; so is a key.
        let named = format!(
            "SELECT id FROM {tokens} WHERE tenant = $1 AND owner = $2 AND name_key = $3 \
             AND kind = $4 AND revoked_at IS NULL AND {EXPIRES} > $5 AND id <> $6 LIMIT 1"
        );
        let obstacles = format!(
            "SELECT (SELECT id FROM {tokens} \
                     WHERE tenant = $1 AND owner = $2 AND idempotency_key = $7), \
                    EXISTS (SELECT 1 FROM {tokens} WHERE id = $6), \
                    ({named}), \
                    (SELECT count(*) FROM (SELECT 1 FROM {tokens} \
                     WHERE tenant = $1 AND owner = $2 AND kind = $4 AND revoked_at IS NULL \
                     AND {EXPIRES} > $5 LIMIT $8) AS live)"
        );
        let state = format!(
            "SELECT version, revoked_at IS NOT NULL, tenant, owner, kind FROM {tokens} \
             WHERE id = $1"
        );
        let touch = format!(
            "UPDATE {uses} SET last_used_at = at, last_used_ip = ip, last_used_agent = agent \
             FROM UNNEST($1, $2, $3, $4) AS noted (id, at, ip, agent) \
             WHERE token = id AND NOT closed AND coalesce(last_used_at, 0) < at"
        );
        let mut insert = format!("{}SELECT id", row::insert(&tokens, &uses));
        if channel.is_some() {
            insert.push_str(&tell(WRITTEN + 1));
        }
        insert.push_str(" FROM changed");
        let revocations = format!("{prefix}hallpass_revocations");
        Ok(Self {
            generation: format!("SELECT sum(counted)::BIGINT FROM {revocations}"),
            revocations,
            insert,
            purge: purge(&tokens),
            tokens,
            uses,
            channel,
            find_many: format!("{find}ANY($1)"),
            find: find + "$1",
            lock,
            obstacles,
            named,
            state,
            touch,
        })
    }

    /// A statement that changes tokens, made to return their columns and, if others are told, to
    /// tell them in the same breath. `place` is where the channel's name is bound.
    pub(super) fn changed(&self, statement: &str, place: usize) -> String {
        let tell = if self.channel.is_some() { tell(place) } else { String::new() };
        format!(
            "WITH changed AS ({statement} RETURNING *) \
             SELECT {}{tell} FROM changed LEFT JOIN {} ON token = id",
            columns!(),
            self.uses
        )
    }
}

/// A further column that tells other nodes of a change.
fn tell(place: usize) -> String {
    format!(", pg_notify(${place}, id || ':' || version::TEXT)")
}

/// Longest name of a schema, in bytes, so that the channel's name stays below PostgreSQL's limit.
const MAX_SCHEMA: usize = 50;

/// An identifier as SQL writes it.
pub(super) fn quoted(schema: &str) -> Result<String, StoreError> {
    if schema.is_empty() || schema.len() > MAX_SCHEMA || schema.contains('\0') {
        let text = format!("a schema's name is 1 to {MAX_SCHEMA} bytes long");
        return Err(StoreError::Schema(text));
    }
    Ok(format!("\"{}\"", schema.replace('"', "\"\"")))
}

/// Removes ended tokens, at most `$3`: access tokens that ended before `$2`, others that ended
/// before `$1`. Each kind is looked up on its own, so that its part of the index is read in order
/// and only as far as needed. Rows are locked as they are selected, since one that changes while
/// it is waited for may not be ended any more.
fn purge(tokens: &str) -> String {
    let kinds = [("pat", 1), ("app", 1), ("rt", 1), ("at", 2)];
    let selections: Vec<String> = kinds
        .iter()
        .map(|(kind, place)| {
            format!(
                "{kind}s AS (SELECT ended.id FROM {tokens} AS ended \
                 WHERE ended.kind = '{kind}' AND {ENDED} < ${place} \
                 AND coalesce(ended.revoked_at, ended.expires_at) IS NOT NULL \
                 AND NOT EXISTS (SELECT 1 FROM {tokens} AS child WHERE child.parent = ended.id) \
                 LIMIT $3 FOR UPDATE OF ended)"
            )
        })
        .collect();
    let union: Vec<String> =
        kinds.iter().map(|(kind, _)| format!("SELECT id FROM {kind}s")).collect();
    format!(
        "WITH {} DELETE FROM {tokens} WHERE id IN ({} LIMIT $3)",
        selections.join(", "),
        union.join(" UNION ALL ")
    )
}

/// The number of the lock that stands for an owner. It must be the same on every node.
pub(super) fn slot(tenant: &str, owner: &str) -> i64 {
    const SLOTS: u32 = 1024;
    let mut hasher = crc32fast::Hasher::new();
    // No tenant holds a control character.
    for part in [tenant, "\0", owner] {
        hasher.update(part.as_bytes());
    }
    (hasher.finalize() % SLOTS).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_owners_lock_is_the_same_on_every_node() {
        assert_eq!(slot("default", "u1"), 646);
        assert_ne!(slot("a", "bc"), slot("ab", "c"));
    }

    #[test]
    fn names_of_schemas_are_quoted() {
        assert_eq!(quoted("a\"b").unwrap(), "\"a\"\"b\"");
        for wrong in ["", "a\0", &"x".repeat(51)] {
            assert!(matches!(quoted(wrong), Err(StoreError::Schema(_))));
        }
    }
}
