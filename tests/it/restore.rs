//! A database that was replaced by an older one.

use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use hallpass::store::{Admission, Change, Filter, PageRequest, Purge, Reach, Use};
use hallpass::{
    Context, DenialReason, Hallpass, IssueError, Issued, MemoryStore, Record, RestoreGuard,
    Revocation, RevocationReason, SqliteStore, StoreError, Timestamp, TokenId, TokenStore,
    VerifyError,
};

use crate::world::{catalog, ci, run, together};

type Guarded = std::sync::Arc<RestoreGuard<SqliteStore>>;

fn open(directory: &Path) -> (Guarded, Hallpass) {
    let store = SqliteStore::open(directory.join("tokens")).unwrap();
    let guard: Guarded =
        run(RestoreGuard::open(store, directory.join("generation"))).unwrap().into();
    let builder = Hallpass::builder(guard.clone()).brand("acme").catalog(catalog());
    (guard, builder.build().unwrap())
}

fn is_outage(hallpass: &Hallpass, issued: &Issued) -> bool {
    let verified = run(hallpass.verify(issued.plain.expose(), &Context::default()));
    matches!(verified, Err(VerifyError::Unavailable(_)))
}

/// Runs something on a copy of the database that is put in its place afterwards.
fn restored(directory: &Path, meanwhile: impl FnOnce()) {
    let (file, backup) = (directory.join("tokens"), directory.join("backup"));
    fs::copy(&file, &backup).unwrap();
    meanwhile();
    for left in ["tokens-wal", "tokens-shm"] {
        let _ = fs::remove_file(directory.join(left));
    }
    fs::rename(backup, file).unwrap();
}

#[test]
fn a_restored_backup_is_an_outage_until_it_is_accepted() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    let (_, hallpass) = open(at);
    let (kept, revoked) = (run(hallpass.issue(ci("kept"))), run(hallpass.issue(ci("revoked"))));
    let (kept, revoked) = (kept.unwrap(), revoked.unwrap());
    drop(hallpass);
    restored(at, || {
        let (guard, hallpass) = open(at);
        run(hallpass.revoke(&revoked.token.id, RevocationReason::Leaked)).unwrap();
        assert!(!guard.is_behind());
    });
    // Also when the process starts again, and whatever is revoked meanwhile.
    for _ in 0..3 {
        let (guard, hallpass) = open(at);
        assert!(guard.is_behind() && run(guard.check()).unwrap());
        assert!(is_outage(&hallpass, &kept) && is_outage(&hallpass, &revoked));
        let refused = run(hallpass.issue(ci("new")));
        assert!(matches!(refused, Err(IssueError::Store(_))), "{refused:?}");
        assert!(run(hallpass.maintain()).is_err());
        let mut again = Filter::new(Reach::All);
        again.ids = Some(vec![revoked.token.id]);
        run(hallpass.revoke_matching(again, RevocationReason::Leaked)).unwrap();
    }
    let (guard, hallpass) = open(at);
    run(guard.accept()).unwrap();
    let verify = |issued: &Issued| run(hallpass.verify(issued.plain.expose(), &Context::default()));
    assert!(verify(&kept).is_ok());
    match verify(&revoked) {
        Err(VerifyError::Denied(denial)) => assert_eq!(denial.reason(), DenialReason::Revoked),
        other => panic!("{other:?}"),
    }
    assert!(!open(at).0.is_behind());
}

#[test]
fn a_database_that_is_replaced_while_it_is_used_is_noticed() {
    let directory = tempfile::tempdir().unwrap();
    let (guard, hallpass) = open(directory.path());
    let (one, two) = (run(hallpass.issue(ci("one"))), run(hallpass.issue(ci("two"))));
    let (one, two) = (one.unwrap(), two.unwrap());
    run(hallpass.revoke(&one.token.id, RevocationReason::Requested)).unwrap();
    run(hallpass.maintain()).unwrap();
    let file = rusqlite::Connection::open(directory.path().join("tokens")).unwrap();
    file.execute("UPDATE revocations SET counted = 0", []).unwrap();
    assert!(!is_outage(&hallpass, &two));
    assert!(run(hallpass.maintain()).is_err());
    assert!(guard.is_behind() && is_outage(&hallpass, &two));
}

#[test]
fn revocations_at_once_are_no_restored_backup() {
    let directory = tempfile::tempdir().unwrap();
    let (guard, hallpass) = open(directory.path());
    together(8, |thread| {
        for number in 0..5 {
            let issued = run(hallpass.issue(ci(&format!("{thread} {number}")))).unwrap();
            run(hallpass.revoke(&issued.token.id, RevocationReason::Requested)).unwrap();
            assert!(!run(guard.check()).unwrap());
        }
    });
    let file = fs::read_to_string(directory.path().join("generation")).unwrap();
    assert_eq!(file, "40\n");
}

/// A store of several parts, each of which can be lost alone.
#[derive(Debug, Default)]
struct Parts {
    tokens: MemoryStore,
    counted: Mutex<Vec<u64>>,
}

#[async_trait]
impl TokenStore for Parts {
    async fn insert(&self, record: &Record, admission: &Admission) -> Result<(), StoreError> {
        self.tokens.insert(record, admission).await
    }

    async fn find(&self, id: &TokenId) -> Result<Option<Record>, StoreError> {
        self.tokens.find(id).await
    }

    async fn list(
        &self,
        filter: &Filter,
        page: &PageRequest,
        now: Timestamp,
    ) -> Result<Vec<Record>, StoreError> {
        self.tokens.list(filter, page, now).await
    }

    async fn update(
        &self,
        id: &TokenId,
        expected_version: u64,
        change: &Change,
        now: Timestamp,
    ) -> Result<Option<Record>, StoreError> {
        self.tokens.update(id, expected_version, change, now).await
    }

    async fn revoke(&self, filter: &Filter, mark: &Revocation) -> Result<Vec<TokenId>, StoreError> {
        self.tokens.revoke(filter, mark).await
    }

    async fn touch(&self, uses: &[Use]) -> Result<(), StoreError> {
        self.tokens.touch(uses).await
    }

    async fn purge(&self, purge: &Purge) -> Result<u64, StoreError> {
        self.tokens.purge(purge).await
    }

    async fn generation(&self) -> Result<Vec<u64>, StoreError> {
        Ok(self.counted.lock().unwrap().clone())
    }
}

#[test]
fn one_part_that_is_older_is_noticed_whatever_the_others_count() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("generation");
    let parts = Arc::new(Parts::default());
    let count = |counted: &[u64]| *parts.counted.lock().unwrap() = counted.to_vec();
    count(&[5, 9, 0]);
    let open = || run(RestoreGuard::open(parts.clone(), &file)).unwrap();
    let guard = open();
    for good in [[5, 9, 0], [6, 9, 0], [6, 9, 3]] {
        count(&good);
        assert!(!run(guard.check()).unwrap(), "{good:?}");
    }
    assert_eq!(fs::read_to_string(&file).unwrap(), "6,9,3\n");
    // Also one part more or less: that is another store.
    for bad in [&[500, 8, 3][..], &[6, 9], &[6, 9, 3, 0]] {
        count(bad);
        assert!(run(guard.check()).unwrap(), "{bad:?}");
        assert_eq!(fs::read_to_string(&file).unwrap(), "6,9,3 behind\n");
        count(&[6, 9, 3]);
        assert!(open().is_behind(), "it stays so until somebody accepts it");
        run(guard.accept()).unwrap();
    }
    count(&[5, 8, 2]);
    run(guard.accept()).unwrap();
    assert!(!guard.is_behind() && !run(guard.check()).unwrap() && !open().is_behind());
}

#[test]
fn a_file_that_tells_nothing_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("generation");
    let open = |store| run(RestoreGuard::open(store, &file)).map(|guard| guard.is_behind());
    for text in ["", "\n", "x\n", "-1\n", "1", "1 \n", "1 ahead\n", "1\n2\n", "1,\n", "1,,2\n"] {
        fs::write(&file, text).unwrap();
        let refused = open(SqliteStore::open_in_memory().unwrap());
        assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{text:?}: {refused:?}");
    }
    for (text, behind) in [("0\n", false), ("1\n", true), ("0 behind\n", true), ("0,0\n", true)] {
        fs::write(&file, text).unwrap();
        assert_eq!(open(SqliteStore::open_in_memory().unwrap()).unwrap(), behind, "{text:?}");
    }
    let nowhere = directory.path().join("none/generation");
    let refused = run(RestoreGuard::open(SqliteStore::open_in_memory().unwrap(), nowhere));
    assert!(matches!(refused, Err(StoreError::Unavailable(_))));
}
