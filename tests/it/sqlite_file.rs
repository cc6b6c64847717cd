//! What holds of the SQLite store and its file.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

use std::io::{self, BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use std::{env, fs};

use hallpass::conformance::support::{
    all, anything, at, at_once, full_record, id, ids, mark, only, page, record, record_with,
};
use hallpass::store::{Admission, Change, Conflict, Filter, Reach, SortKey, StoreError, Use};
use hallpass::{LastUse, Record, SqliteOptions, SqliteStore, TokenStore};
use rusqlite::Connection;
use tempfile::TempDir;

fn directory() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

async fn everything(store: &SqliteStore) -> Vec<Record> {
    all(store, &Filter::new(Reach::All), page(SortKey::CreatedAt, false, 100), at(0)).await
}

fn schema_error(path: &Path) -> String {
    match SqliteStore::open(path) {
        Err(StoreError::Schema(text)) => text,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_reopened_file_has_everything() {
    let directory = directory();
    let path = directory.path().join("tokens");
    let store = SqliteStore::open(&path).unwrap();
    for number in 0..20 {
        store.insert(&full_record(number), &anything()).await.unwrap();
        store.insert(&record(100 + number), &anything()).await.unwrap();
    }
    store.revoke(&only([100]), &mark(7)).await.unwrap();
    let before = everything(&store).await;
    assert_eq!(before.len(), 40);
    drop(store);
    let again = SqliteStore::open(&path).unwrap();
    assert_eq!(everything(&again).await, before);
}

#[tokio::test]
async fn a_change_is_in_the_file_before_it_is_acknowledged() {
    let directory = directory();
    let path = directory.path().join("tokens");
    let store = SqliteStore::open(&path).unwrap();
    store.insert(&record(1), &anything()).await.unwrap();
    store.revoke(&only([1]), &mark(1)).await.unwrap();
    // As after a power cut: the files as they are, nothing closed.
    let copy = directory.path().join("copy");
    for suffix in ["", "-wal"] {
        let name = |base: &Path| format!("{}{suffix}", base.display());
        fs::copy(name(&path), name(&copy)).unwrap();
    }
    let after = SqliteStore::open(&copy).unwrap();
    assert_eq!(everything(&after).await[0].token.revocation, Some(mark(1)));
}

#[tokio::test]
async fn two_stores_on_one_file_see_each_others_changes() {
    let directory = directory();
    let path = directory.path().join("tokens");
    let (left, right) = (SqliteStore::open(&path).unwrap(), SqliteStore::open(&path).unwrap());
    left.insert(&record(1), &anything()).await.unwrap();
    assert_eq!(right.find(&id(1)).await.unwrap(), Some(record(1)));
    let strict = Admission { now: at(0), quota: Some(1), unique_name: true };
    let full = right.insert(&record(2), &strict).await;
    assert!(
        matches!(full, Err(StoreError::Conflict(Conflict::QuotaFull { limit: 1 }))),
        "{full:?}"
    );
    right.revoke(&only([1]), &mark(1)).await.unwrap();
    let refused = left.update(&id(1), 1, &Change::default(), at(0)).await;
    assert!(matches!(refused, Err(StoreError::Conflict(Conflict::Revoked))), "{refused:?}");
}

#[tokio::test]
async fn many_stores_open_one_new_file_at_once() {
    let directory = directory();
    let path = directory.path().join("tokens");
    let opened = at_once(12, move |number| {
        let path = path.clone();
        async move {
            let store = SqliteStore::open(path)?;
            store.insert(&record(number), &anything()).await?;
            Ok::<_, StoreError>(store)
        }
    })
    .await;
    for store in opened {
        assert_eq!(everything(&store.unwrap()).await.len(), 12);
    }
}

/// Set in a process that a test starts: its number, and the file.
const CHILD: &str = "HALLPASS_TEST_CHILD";
/// How many records each of the processes that share a file tries to insert.
const EACH: u32 = 30;

/// What this process is to do, if a test started it.
fn as_child() -> Option<(u32, PathBuf)> {
    let child = env::var(CHILD).ok()?;
    let (number, path) = child.split_once(' ').unwrap();
    Some((number.parse().unwrap(), path.into()))
}

/// Runs one test of this file in a process of its own.
fn child(test: &str, number: u32, path: &Path) -> Child {
    Command::new(env::current_exe().unwrap())
        .args([&format!("sqlite_file::{test}"), "--exact"])
        .env(CHILD, format!("{number} {}", path.display()))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

#[test]
fn processes_share_a_file() {
    if let Some((number, path)) = as_child() {
        return write_as_a_process(number, &path);
    }
    let directory = directory();
    let path = directory.path().join("tokens");
    let started: Vec<Child> =
        (1..=3).map(|number| child("processes_share_a_file", number, &path)).collect();
    for child in started {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{output:?}");
    }
    let store = SqliteStore::open(&path).unwrap();
    // Half of what the processes tried together.
    let kept = block_on(everything(&store));
    assert_eq!(kept.len(), EACH as usize * 3 / 2);
    let used = kept.iter().filter_map(|record| record.token.last_use.as_ref());
    assert!(used.map(|used| used.at).all(|used| used == at(i64::from(EACH) - 1)));
}

fn write_as_a_process(number: u32, path: &Path) {
    let store = SqliteStore::open(path).unwrap();
    let admission = Admission { now: at(0), quota: Some(EACH * 3 / 2), unique_name: true };
    for place in 0..EACH {
        match block_on(store.insert(&record(number * 1000 + place), &admission)) {
            Ok(()) | Err(StoreError::Conflict(Conflict::QuotaFull { .. })) => {}
            Err(error) => panic!("{error:?}"),
        }
        let last_use = LastUse { at: at(i64::from(place)), ip: None, agent: None };
        let touched = Use { id: id(number * 1000), last_use };
        block_on(store.touch(&[touched])).unwrap();
    }
}

#[test]
fn what_a_killed_process_acknowledged_is_kept() {
    if let Some((_, path)) = as_child() {
        return acknowledge_until_killed(&path);
    }
    let directory = directory();
    let path = directory.path().join("tokens");
    let mut process = child("what_a_killed_process_acknowledged_is_kept", 0, &path);
    let output = BufReader::new(process.stdout.take().unwrap());
    let mut acknowledged = 0;
    // Lines that were under way when the process was killed are read too; a broken one is not.
    for line in output.lines().map_while(Result::ok) {
        if let Some(number) =
            line.strip_prefix("acknowledged ").and_then(|rest| rest.strip_suffix('.'))
        {
            acknowledged = number.parse().unwrap();
        }
        if acknowledged == 25 {
            process.kill().unwrap();
        }
    }
    process.wait().unwrap();
    assert!(acknowledged >= 25);
    let store = SqliteStore::open(&path).unwrap();
    let kept = block_on(everything(&store));
    for number in 1..=acknowledged {
        let kept = kept.iter().find(|record| record.token.id == id(number)).unwrap();
        assert_eq!(kept.token.revocation, Some(mark(1)));
    }
    // At most one more, and that one whole.
    assert!(kept.len() <= acknowledged as usize + 1);
}

fn acknowledge_until_killed(path: &Path) {
    let store = SqliteStore::open(path).unwrap();
    // Unlike what the printing macros print, this is not captured.
    let mut output = io::stdout();
    for number in 1..100_000 {
        block_on(store.insert(&record(number), &anything())).unwrap();
        assert_eq!(block_on(store.revoke(&only([number]), &mark(1))).unwrap(), [id(number)]);
        writeln!(output, "acknowledged {number}.").unwrap();
    }
}

#[tokio::test]
async fn a_write_that_cannot_have_the_lock_is_an_outage() {
    let directory = directory();
    let path = directory.path().join("tokens");
    let store =
        SqliteOptions::new().with_busy_timeout(Duration::ZERO).with_readers(1).open(&path).unwrap();
    store.insert(&record(1), &anything()).await.unwrap();
    let other = Connection::open(&path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE; DELETE FROM tokens").unwrap();
    let refused = [
        store.insert(&record(2), &anything()).await.unwrap_err(),
        store.revoke(&only([1]), &mark(1)).await.unwrap_err(),
        store.update(&id(1), 1, &Change::default(), at(0)).await.unwrap_err(),
    ];
    for error in refused {
        assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
    }
    // Readers neither wait nor see what is not committed.
    assert_eq!(store.find(&id(1)).await.unwrap(), Some(record(1)));
    other.execute_batch("ROLLBACK").unwrap();
    assert_eq!(store.revoke(&only([1]), &mark(1)).await.unwrap(), [id(1)]);
}

/// A client goes away, and its write still waits for the file: it takes its place until it is done.
#[cfg(feature = "tokio")]
#[tokio::test]
async fn work_that_nobody_waits_for_keeps_its_place() {
    let directory = directory();
    let path = directory.path().join("tokens");
    let store = SqliteOptions::new().with_max_steps(1).open(&path).unwrap();
    let other = Connection::open(&path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let (first, second, anything) = (record(1), record(2), anything());
    let mut waiting = store.insert(&first, &anything);
    let once = std::future::poll_fn(|context| {
        std::task::Poll::Ready(waiting.as_mut().poll(context).is_pending())
    });
    assert!(once.await);
    drop(waiting);
    for _ in 0..10 {
        let refused = store.insert(&second, &anything).await.unwrap_err();
        let StoreError::Unavailable(cause) = refused else { panic!("{refused:?}") };
        assert_eq!(cause.to_string(), "1 steps are under way already");
    }
    // Reading one token needs no place.
    assert_eq!(store.find(&id(2)).await.unwrap(), None);
    other.execute_batch("ROLLBACK").unwrap();
    let done = async {
        while let Err(refused) = store.insert(&second, &anything).await {
            assert!(matches!(refused, StoreError::Unavailable(_)), "{refused:?}");
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), done).await.unwrap();
    assert_eq!(everything(&store).await, [first, second]);
}

#[tokio::test]
async fn a_read_only_file_answers_and_refuses_changes() {
    let directory = directory();
    let path = directory.path().join("tokens");
    let store = SqliteStore::open(&path).unwrap();
    store.insert(&record(1), &anything()).await.unwrap();
    drop(store);
    let store = SqliteOptions::new().read_only().open(&path).unwrap();
    assert_eq!(store.find(&id(1)).await.unwrap(), Some(record(1)));
    assert_eq!(ids(&everything(&store).await), [id(1)]);
    let refused = store.insert(&record(2), &anything()).await.unwrap_err();
    assert!(matches!(refused, StoreError::Unavailable(_)), "{refused:?}");
    let refused = store.revoke(&only([1]), &mark(1)).await.unwrap_err();
    assert!(matches!(refused, StoreError::Unavailable(_)), "{refused:?}");
    // Nothing is created or migrated for reading.
    let missing = directory.path().join("missing");
    let error = SqliteOptions::new().read_only().open(&missing).unwrap_err();
    assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
    assert!(!missing.exists());
    let empty = directory.path().join("empty");
    fs::write(&empty, "").unwrap();
    let error = SqliteOptions::new().read_only().open(&empty).unwrap_err();
    assert!(matches!(error, StoreError::Schema(_)), "{error:?}");
}

#[tokio::test]
async fn without_migrations_a_file_is_as_it_was_or_refused() {
    let directory = directory();
    let open = |path: &Path| SqliteOptions::new().without_migrations().open(path);
    let missing = directory.path().join("missing");
    let error = open(&missing).unwrap_err();
    assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
    assert!(!missing.exists());
    let empty = directory.path().join("empty");
    fs::write(&empty, "").unwrap();
    let error = open(&empty).unwrap_err();
    assert!(matches!(error, StoreError::Schema(_)), "{error:?}");
    assert_eq!(fs::read(&empty).unwrap(), b"");
    drop(SqliteStore::open(&empty).unwrap());
    let store = open(&empty).unwrap();
    store.insert(&record(1), &anything()).await.unwrap();
    assert_eq!(store.find(&id(1)).await.unwrap(), Some(record(1)));
    // Whoever looks after the database may have made the tables without write-ahead logging.
    let by_hand = directory.path().join("by hand");
    Connection::open(&by_hand).unwrap().execute_batch(&SqliteStore::schema_sql()).unwrap();
    drop(open(&by_hand).unwrap());
    let mode = "PRAGMA journal_mode";
    let mode = Connection::open(&by_hand).unwrap().query_row(mode, [], |row| row.get(0));
    assert_eq!(mode, Ok("wal".to_owned()));
}

#[test]
fn files_that_are_not_this_stores_are_refused_and_left_alone() {
    let directory = directory();
    let text = directory.path().join("text");
    fs::write(&text, "Not a database. ".repeat(400)).unwrap();
    assert!(schema_error(&text).contains("not an SQLite database"));
    assert_eq!(fs::read_to_string(&text).unwrap(), "Not a database. ".repeat(400));

    let other = directory.path().join("other");
    Connection::open(&other).unwrap().execute_batch("CREATE TABLE users (id)").unwrap();
    let before = fs::read(&other).unwrap();
    assert!(schema_error(&other).contains("another application"));
    assert_eq!(fs::read(&other).unwrap(), before);

    let later = directory.path().join("later");
    drop(SqliteStore::open(&later).unwrap());
    Connection::open(&later).unwrap().execute_batch("PRAGMA user_version = 99").unwrap();
    assert!(schema_error(&later).contains("99"));

    let nowhere = SqliteStore::open(directory.path().join("no/such/tokens")).unwrap_err();
    let StoreError::Unavailable(cause) = nowhere else { panic!("{nowhere:?}") };
    assert!(cause.to_string().contains("directory"), "{cause}");
    for path in [Path::new(""), directory.path()] {
        let error = SqliteStore::open(path).unwrap_err();
        assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
    }
}

#[tokio::test]
async fn a_file_made_by_the_printed_script_is_opened() {
    let directory = directory();
    let path = directory.path().join("tokens");
    Connection::open(&path).unwrap().execute_batch(&SqliteStore::schema_sql()).unwrap();
    let store = SqliteStore::open(&path).unwrap();
    store.insert(&full_record(1), &anything()).await.unwrap();
    assert_eq!(everything(&store).await, [full_record(1)]);
}

#[tokio::test]
async fn a_damaged_row_is_named_and_an_unknown_digest_is_kept() {
    let directory = directory();
    let path = directory.path().join("tokens");
    let store = SqliteStore::open(&path).unwrap();
    let other = Connection::open(&path).unwrap();
    let damages = [
        ("kind", "'PAT'"),
        ("owner", "''"),
        ("name", "' a'"),
        ("resources", "'[\"*\"]'"),
        ("resources", "'null'"),
        ("networks", "'[\"10.0.0.0/40\"]'"),
        ("networks", "'[]x'"),
        ("audience", "'{}'"),
        ("created_at", "0"),
        ("created_by", "'root'"),
        ("expires_at", "-1"),
        ("expires_at", "253402300800000000"),
        ("last_used_ip", "'localhost'"),
        ("grace_until", "NULL"),
        ("revoked_by", "NULL"),
        ("revoked_reason", "'unknown'"),
        ("parent", "'short'"),
        ("metadata", "'[]'"),
        ("metadata", "'{'"),
        ("notices", "256"),
        ("version", "-1"),
        ("idempotency_key", "x'00'"),
        ("idempotency_request", "NULL"),
        ("description", "CAST(x'ff' AS TEXT)"),
    ];
    for (number, (column, value)) in (0..).zip(damages) {
        store.insert(&full_record(number), &anything()).await.unwrap();
        let sql = format!("UPDATE tokens SET {column} = {value} WHERE id = '{}'", id(number));
        assert_eq!(other.execute(&sql, []).unwrap(), 1);
        let found = store.find(&id(number)).await;
        let listed = store.list(&only([number]), &page(SortKey::Name, false, 9), at(0)).await;
        for error in [found.unwrap_err(), listed.unwrap_err()] {
            match error {
                StoreError::Corrupt { id: row, column: named } => {
                    assert_eq!((row, named), (id(number).to_string(), column));
                }
                other => panic!("{column}: {other:?}"),
            }
        }
    }
    let digest = record_with(900, |_| {});
    store.insert(&digest, &anything()).await.unwrap();
    other.execute("UPDATE tokens SET digest = 'v9$?' WHERE id = ?1", [id(900).as_str()]).unwrap();
    let kept = store.find(&id(900)).await.unwrap().unwrap();
    assert!(!kept.digest.is_usable());
    assert_eq!(kept.digest.to_stored(), "v9$?");
}

#[tokio::test]
async fn scopes_that_cannot_be_read_grant_nothing() {
    let directory = directory();
    let path = directory.path().join("tokens");
    let store = SqliteStore::open(&path).unwrap();
    let other = Connection::open(&path).unwrap();
    for (number, value) in (0..).zip(["''", "' '", "'a  b'", "'repo:read\"'", "'[]'"]) {
        store.insert(&full_record(number), &anything()).await.unwrap();
        let sql = format!("UPDATE tokens SET scopes = {value} WHERE id = '{}'", id(number));
        assert_eq!(other.execute(&sql, []).unwrap(), 1);
        let found = store.find(&id(number)).await.unwrap().unwrap();
        assert!(!found.token.scopes.contains("repo:read"), "{value}");
        assert!(found.token.scopes.is_empty() || value == "'[]'", "{value}");
    }
}

#[test]
fn a_store_works_without_a_runtime() {
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};
    let store = SqliteStore::open_in_memory().unwrap();
    let (record, admission) = (record(1), anything());
    let mut insert = pin!(store.insert(&record, &admission));
    let done = insert.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    assert!(matches!(done, Poll::Ready(Ok(()))), "{done:?}");
}
