//! The SQLite store beside rusqlite alone, on the same file with the same settings.

#![expect(clippy::expect_used, reason = "a bench that cannot be set up must stop")]

#[expect(dead_code, reason = "each bench uses its part")]
mod support;

use std::cell::{Cell, LazyCell};
use std::hint::black_box;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use hallpass::store::{Admission, Filter, Reach};
use hallpass::{Hallpass, Issue, ListRequest, Owner, SqliteStore, Tenant, TokenStore};
use rusqlite::{Connection, Statement, ToSql, params};
use tempfile::TempDir;

use support::{Text, Walk, answer, at_now, catalog, now, ready, rows};

criterion_group!(benches, find, list, insert);
criterion_main!(benches);

/// What a verification needs of a row.
const NEEDED: &str = "id, kind, tenant, owner, scopes, resources, networks, audience, created_at, \
     not_before, expires_at, last_used_at, grace_until, suspended_at, revoked_at, revoked_reason, \
     parent, client, version, digest, superseded";

/// Everything that people see of a token.
const TOKEN: &str = "id, kind, tenant, owner, name, description, scopes, resources, networks, \
     audience, created_at, created_by, not_before, expires_at, last_used_at, last_used_ip, \
     last_used_agent, rotated_at, superseded_at, grace_until, first_used_at, suspended_at, \
     suspended_by, revoked_at, revoked_by, revoked_reason, parent, client, metadata, notices, \
     notices_claimed_at, version";

/// Everything that is known of a token.
const ALL: &str = "id, kind, tenant, owner, name, description, scopes, resources, networks, \
     audience, created_at, created_by, not_before, expires_at, last_used_at, last_used_ip, \
     last_used_agent, rotated_at, superseded_at, grace_until, first_used_at, suspended_at, \
     suspended_by, revoked_at, revoked_by, revoked_reason, parent, client, metadata, notices, \
     notices_claimed_at, version, digest, \
     superseded, idempotency_key, idempotency_request";

/// Writes a row by hand.
const INSERT: &str = "INSERT INTO tokens (id, kind, tenant, owner, name, name_key, scopes, \
     resources, networks, audience, created_at, created_by, expires_at, last_used_at, metadata, \
     notices, version, digest) VALUES (?1, 'pat', 'default', ?2, ?3, ?3, 'repo:read issue:read', '[]', \
     '\"anywhere\"', '[]', ?4, 'system', ?5, ?4, '{}', 0, 1, ?6)";

/// Tokens of the owner whose page is read.
const PAGE: u64 = 25;

/// A file of tokens, with a store and a bare connection on it.
struct File {
    store: SqliteStore,
    bare: Connection,
    rows: u64,
    _directory: TempDir,
}

impl File {
    fn of(rows: u64) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("tokens.sqlite");
        let store = SqliteStore::open(&path).expect("a store");
        let bare = Connection::open(&path).expect("a connection");
        // Not what is measured; filling only.
        bare.pragma_update(None, "cache_size", -1_000_000).expect("a setting");
        let key = support::key();
        bare.execute_batch("BEGIN IMMEDIATE").expect("begun");
        {
            let mut insert = bare.prepare(INSERT).expect("a statement");
            (0..rows).for_each(|number| insert_by_hand(&mut insert, &key, number));
        }
        bare.execute_batch("COMMIT").expect("committed");
        drop(bare);
        // As the store's own connections are.
        let bare = Connection::open(&path).expect("a connection");
        bare.pragma_update(None, "synchronous", "FULL").expect("a setting");
        bare.pragma_update(None, "cache_size", -8_192).expect("a setting");
        let file = Self { store, bare, rows, _directory: directory };
        let found = ready(file.store.find(&support::id(0))).expect("a row");
        assert_eq!(found, Some(support::record(&key, 0)), "rows are not as the store writes them");
        file
    }

    fn hallpass(&self) -> Hallpass {
        let builder = Hallpass::builder(self.store.clone()).brand("acme").catalog(catalog());
        builder.build().expect("an engine")
    }

    /// A prepared statement for some columns of one row.
    fn by_id(&self, columns: &str) -> Statement<'_> {
        let sql = format!("SELECT {columns} FROM tokens WHERE id = ?1");
        self.bare.prepare(&sql).expect("a statement")
    }
}

fn insert_by_hand(insert: &mut Statement<'_>, key: &[u8; 32], number: u64) {
    let mut text = Text::new();
    let digest = support::digest(key, text.of(number).as_bytes());
    let written = insert.execute(params![
        support::id(number).as_str(),
        support::owner(number).as_str(),
        format!("ci build {number}"),
        now().as_micros(),
        support::end(number).as_micros(),
        format!("v1$0${}", URL_SAFE_NO_PAD.encode(digest)),
    ]);
    assert_eq!(written.expect("a row"), 1);
}

/// Reads every column of every row; returns how many rows there were.
fn read(statement: &mut Statement<'_>, bound: &[&dyn ToSql]) -> usize {
    let columns = statement.column_count();
    let mut rows = statement.query(bound).expect("a query");
    let mut count = 0;
    while let Some(row) = rows.next().expect("a row") {
        for column in 0..columns {
            black_box(row.get_ref(column).expect("a value"));
        }
        count += 1;
    }
    count
}

/// A row of an owner's page as somebody would keep it who wrote the query by hand: every text and
/// number owned, nothing checked, no list taken apart.
#[derive(Debug)]
struct Kept {
    texts: [Option<String>; TEXTS.len()],
    numbers: [Option<i64>; NUMBERS.len()],
}

/// Which of the columns of a token are texts, and which are numbers.
const TEXTS: [usize; 19] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 15, 16, 22, 24, 25, 26, 27, 28];
const NUMBERS: [usize; 13] = [10, 12, 13, 14, 17, 18, 19, 20, 21, 23, 29, 30, 31];

/// Reads rows into values of one's own.
fn keep(statement: &mut Statement<'_>, bound: &[&dyn ToSql]) -> Vec<Kept> {
    let rows = statement.query_map(bound, |row| {
        let mut kept = Kept { texts: Default::default(), numbers: Default::default() };
        for (text, column) in kept.texts.iter_mut().zip(TEXTS) {
            *text = row.get(column)?;
        }
        for (number, column) in kept.numbers.iter_mut().zip(NUMBERS) {
            *number = row.get(column)?;
        }
        Ok(kept)
    });
    rows.expect("a query").collect::<Result<_, _>>().expect("rows")
}

/// Any row of many, as rows and as verified tokens.
fn find(c: &mut Criterion) {
    for count in [10_000, 1_000_000] {
        let count = rows(count);
        let file = LazyCell::new(|| File::of(count));
        let mut group = c.benchmark_group(format!("sqlite find {count}"));
        let paths = ["bare, needed columns", "bare, all columns", "store", "verify"];
        for (timed, path) in paths.into_iter().enumerate() {
            group.bench_function(path, |b| {
                let file = &*file;
                let hallpass = file.hallpass();
                let [mut needed, mut all] = [NEEDED, ALL].map(|columns| file.by_id(columns));
                let [mut first, mut second, mut third, mut fourth] =
                    [(); 4].map(|()| Walk::over(file.rows));
                let (mut text, context, mut last) = (Text::new(), at_now(), 0);
                let bare = |statement: &mut Statement<'_>, walk: &mut Walk| {
                    let id = support::id(walk.after(1));
                    assert_eq!(read(statement, &[&id.as_str()]), 1);
                };
                support::in_turns(
                    b,
                    timed,
                    &mut [
                        &mut || bare(&mut needed, &mut first),
                        &mut || bare(&mut all, &mut second),
                        &mut || {
                            let id = support::id(third.after(1));
                            black_box(ready(file.store.find(&id)).expect("a row").expect("known"));
                        },
                        &mut || {
                            let text = text.of(fourth.after(last));
                            let verified = ready(hallpass.verify(text, &context));
                            last = answer(verified.expect("good").expires_at());
                        },
                    ],
                );
            });
        }
        group.finish();
    }
}

/// The first page of an owner who has 25 tokens, among few and many others.
fn list(c: &mut Criterion) {
    let sql = format!(
        "SELECT {TOKEN} FROM tokens WHERE tenant = 'default' AND owner = ?1 \
         ORDER BY created_at DESC, id DESC LIMIT 26"
    );
    for count in [10_000, 1_000_000] {
        let count = rows(count);
        let file = LazyCell::new(|| {
            let file = File::of(count);
            let hallpass = file.hallpass();
            for number in 0..PAGE {
                let issue = Issue::new(format!("ci {number}")).owner("lister");
                ready(hallpass.issue(issue.scopes(["repo:read"]))).expect("issued");
            }
            file
        });
        let mut group = c.benchmark_group(format!("sqlite list {count}"));
        group.bench_function("bare, kept", |b| {
            let mut statement = file.bare.prepare(&sql).expect("a statement");
            b.iter(|| {
                let page = keep(&mut statement, &[&"lister"]);
                assert_eq!(page.len(), 25);
                page
            });
        });
        group.bench_function("bare, only read", |b| {
            let mut statement = file.bare.prepare(&sql).expect("a statement");
            b.iter(|| assert_eq!(read(&mut statement, &[&"lister"]), 25));
        });
        group.bench_function("hallpass", |b| {
            let hallpass = file.hallpass();
            let owner = Owner::parse("lister").expect("an owner");
            let request = ListRequest::new(Filter::new(Reach::Owner(Tenant::DEFAULT, owner)));
            b.iter(|| ready(hallpass.list(black_box(&request))).expect("a page"));
        });
        group.finish();
    }
}

/// One row in one transaction on disk.
fn insert(c: &mut Criterion) {
    let key = support::key();
    let file = LazyCell::new(|| File::of(rows(10_000)));
    let next = Cell::new(10_000_000_u64);
    let fresh = || {
        next.set(next.get() + 1);
        next.get()
    };
    let mut group = c.benchmark_group("sqlite insert");
    group.bench_function("bare", |b| {
        let mut begin = file.bare.prepare("BEGIN IMMEDIATE").expect("a statement");
        let mut insert = file.bare.prepare(INSERT).expect("a statement");
        let mut commit = file.bare.prepare("COMMIT").expect("a statement");
        b.iter_batched(
            fresh,
            |number| {
                begin.execute([]).expect("begun");
                insert_by_hand(&mut insert, &key, number);
                commit.execute([]).expect("committed");
            },
            BatchSize::SmallInput,
        );
    });
    group.bench_function("store", |b| {
        let admission = Admission { now: now(), quota: None, unique_name: false };
        b.iter_batched(
            || support::record(&key, fresh()),
            |record| ready(file.store.insert(&record, &admission)).expect("inserted"),
            BatchSize::SmallInput,
        );
    });
}
