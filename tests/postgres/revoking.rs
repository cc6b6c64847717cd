//! Revocations of many tokens.

use std::collections::HashSet;
use std::time::Duration;

use hallpass::store::{Filter, Notice, Reach};
use hallpass::{PostgresOptions, StoreError, Tenant, TokenStore};

use crate::{HOME, SHARED, fresh};
use hallpass::conformance::support::{anything, at, id, mark, record, record_with};

pub(crate) const CASES: &[(&str, fn())] = &[
    ("many_tokens_are_revoked_in_pieces", many_tokens_are_revoked_in_pieces),
    (
        "a_revocation_that_fails_in_between_is_finished",
        a_revocation_that_fails_in_between_is_finished,
    ),
    ("what_is_unused_is_revoked_without_waiting", what_is_unused_is_revoked_without_waiting),
];

/// Copies a token as often as this, each with a number, an owner and an instant of its own.
async fn copies(database: &str, count: u32) {
    let copy = format!(
        "INSERT INTO hallpass_tokens
         SELECT (jsonb_populate_record(token, jsonb_build_object(
             'id', lpad((n + 1000)::text, 16, '0'), 'owner', 'u' || n % 700,
             'tenant', CASE WHEN n % 3 = 0 THEN 'acme' ELSE 'default' END,
             'created_at', created_at + n / 7))).*
         FROM hallpass_tokens AS token, generate_series(1, {count}) AS n;
         INSERT INTO hallpass_uses (token, last_used_at, closed)
         SELECT id, created_at % 2 * 1000, FALSE FROM hallpass_tokens
         WHERE id >= lpad('1001', 16, '0')"
    );
    SHARED.execute(database, &copy).await;
}

async fn number(database: &str, sql: &str) -> usize {
    SHARED.select(database, sql).await[0].parse().unwrap()
}

const REVOKED: &str =
    "SELECT count(*)::text FROM hallpass_tokens WHERE revoked_at IS NOT NULL AND version = 2";
const CLOSED: &str = "SELECT count(*)::text FROM hallpass_uses WHERE closed";

/// As many pieces as it takes, whose ends are in the midst of owners and instants.
fn many_tokens_are_revoked_in_pieces() {
    let (store, database) = fresh(&PostgresOptions::new());
    HOME.block_on(async {
        store.insert(&record(0), &anything()).await.unwrap();
        copies(&database, 30_000).await;
        let mut changes = store.changes().await.unwrap().unwrap();
        assert_eq!(changes.next().await.unwrap(), Notice::Gap);
        let mut acme = Filter::new(Reach::Tenant(Tenant::parse("acme").unwrap()));
        acme.unused_since = Some(at(0));
        let revoked = store.revoke(&acme, &mark(1)).await.unwrap();
        assert_eq!(revoked.len(), number(&database, REVOKED).await);
        assert_eq!(revoked.len(), number(&database, CLOSED).await);
        assert_eq!(revoked.len(), 10_000);
        let rest = store.revoke(&Filter::new(Reach::All), &mark(2)).await.unwrap();
        assert_eq!(rest.len(), 20_001);
        assert_eq!(number(&database, REVOKED).await, 30_001);
        assert_eq!(store.revoke(&Filter::new(Reach::All), &mark(3)).await.unwrap(), []);
        // Each was told of, once.
        let mut told = HashSet::new();
        while told.len() < 30_001 {
            if let Notice::Changed { id, version: 2 } = changes.next().await.unwrap() {
                assert!(told.insert(id), "{id}");
            }
        }
        let all: HashSet<_> = revoked.into_iter().chain(rest).collect();
        assert_eq!(told, all);
        // The last pieces had nothing left to revoke.
        assert_eq!(store.generation().await.unwrap(), [8]);
    });
}

/// A piece that takes too long fails in time, what was revoked before it stays so, and repeating it
/// revokes the rest.
fn a_revocation_that_fails_in_between_is_finished() {
    let (store, database) = fresh(&PostgresOptions::new().with_timeout(Duration::from_secs(1)));
    HOME.block_on(async {
        store.insert(&record(0), &anything()).await.unwrap();
        copies(&database, 12_000).await;
        let mut other = SHARED.client(&database).await;
        let lock = other.transaction().await.unwrap();
        let held = format!("SELECT id FROM hallpass_tokens WHERE id = '{}' FOR UPDATE", id(8_000));
        lock.batch_execute(&held).await.unwrap();
        let everything = Filter::new(Reach::All);
        let error = store.revoke(&everything, &mark(1)).await.unwrap_err();
        assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
        let before = number(&database, REVOKED).await;
        assert!((1..12_001).contains(&before), "{before}");
        lock.rollback().await.unwrap();
        let rest = store.revoke(&everything, &mark(2)).await.unwrap();
        assert_eq!(rest.len(), 12_001 - before);
        assert_eq!(number(&database, REVOKED).await, 12_001);
    });
}

/// Revoking what a tenant did not use waits for nobody else's tokens, and for its own.
fn what_is_unused_is_revoked_without_waiting() {
    let (store, database) = fresh(&PostgresOptions::new().with_timeout(Duration::from_secs(1)));
    HOME.block_on(async {
        let acme = Tenant::parse("acme").unwrap();
        store.insert(&record(1), &anything()).await.unwrap();
        let mine = record_with(2, |token| token.tenant = acme.clone());
        store.insert(&mine, &anything()).await.unwrap();
        let hold = async |number: u32| {
            let other = SHARED.client(&database).await;
            let lock = format!(
                "BEGIN; UPDATE hallpass_uses SET last_used_at = 5 WHERE token = '{}'",
                id(number)
            );
            other.batch_execute(&lock).await.unwrap();
            other
        };
        let mut unused = Filter::new(Reach::Tenant(acme));
        unused.unused_since = Some(at(0));
        // A use of another tenant's token is being written.
        let other = hold(1).await;
        assert_eq!(store.revoke(&unused, &mark(1)).await.unwrap(), [id(2)]);
        other.batch_execute("ROLLBACK").await.unwrap();
        // One of its own is waited for: it decides.
        let mine = record_with(3, |token| token.tenant = mine.token.tenant.clone());
        store.insert(&mine, &anything()).await.unwrap();
        let other = hold(3).await;
        let error = store.revoke(&unused, &mark(1)).await.unwrap_err();
        assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
        let now = at(9).as_micros();
        let used =
            format!("UPDATE hallpass_uses SET last_used_at = {now} WHERE token = '{}'", id(3));
        other.batch_execute(&used).await.unwrap();
        other.batch_execute("COMMIT").await.unwrap();
        assert_eq!(store.revoke(&unused, &mark(1)).await.unwrap(), []);
    });
}
