//! From SQLite to PostgreSQL, as docs/OPERATING.md tells.

use std::fs::File;
use std::io::{BufReader, BufWriter};

use hallpass::{
    Context, Hallpass, Issue, Issued, PepperRing, PostgresOptions, PostgresStore, RevocationReason,
    Rotate, ScopeCatalog, SqliteStore, TokenStore, transfer,
};

use crate::{HOME, SHARED};

pub(crate) const CASES: &[(&str, fn())] =
    &[("tokens_move_from_sqlite_to_postgresql", tokens_move_from_sqlite_to_postgresql)];

fn app(store: impl TokenStore) -> Hallpass {
    let pepper: Vec<u8> = (7..39).collect();
    Hallpass::builder(store)
        .brand("acme")
        .catalog(ScopeCatalog::of(["notes:read"]).unwrap())
        .peppers(PepperRing::none().with_current(1, &pepper).unwrap())
        .build()
        .unwrap()
}

async fn accepts(app: &Hallpass, issued: &Issued) -> bool {
    app.verify(issued.plain.expose(), &Context::default()).await.is_ok()
}

fn tokens_move_from_sqlite_to_postgresql() {
    let directory = tempfile::tempdir().unwrap();
    let (database, path) =
        (directory.path().join("tokens.sqlite"), directory.path().join("tokens.jsonl"));
    HOME.block_on(async {
        let old = app(SqliteStore::open(&database).unwrap());
        let issue = |name: String| old.issue(Issue::new(name).owner("u1").scopes(["notes:read"]));
        let (live, revoked) =
            (issue("live".into()).await.unwrap(), issue("gone".into()).await.unwrap());
        let first = issue("rotated".into()).await.unwrap();
        let second = old.rotate(&first.token.id, Rotate::default()).await.unwrap();
        old.revoke(&revoked.token.id, RevocationReason::Requested).await.unwrap();
        for number in 0..30 {
            issue(format!("token {number}")).await.unwrap();
        }
        let brand = old.brand().clone();
        drop(old);

        let old = SqliteStore::open(&database).unwrap();
        let file = BufWriter::new(File::create(&path).unwrap());
        let exported = transfer::export(&old, Some(&brand), file).await.unwrap();
        let read = || BufReader::new(File::open(&path).unwrap());
        assert_eq!(transfer::check(Some(&brand), read()).unwrap(), exported);

        // The tables are made by somebody else, who was given the script.
        let database = SHARED.database().await;
        SHARED.execute(&database, &PostgresStore::schema_sql()).await;
        let options = PostgresOptions::new().without_migrations();
        let new = options.connect(&SHARED.url(&database)).await.unwrap();
        let imported = transfer::import(&new, Some(&brand), read()).await.unwrap();
        assert_eq!((imported.added, imported.already), (33, 0));
        let again = transfer::import(&new, Some(&brand), read()).await.unwrap();
        assert_eq!((again.added, again.already), (0, 33));

        let new = app(new);
        assert!(accepts(&new, &live).await && !accepts(&new, &revoked).await);
        assert!(accepts(&new, &first).await && accepts(&new, &second).await);
        let third = new.rotate(&first.token.id, Rotate::default()).await.unwrap();
        assert!(accepts(&new, &third).await);
        new.revoke(&live.token.id, RevocationReason::Requested).await.unwrap();
        assert!(!accepts(&new, &live).await);
        new.maintain().await.unwrap();
    });
}
