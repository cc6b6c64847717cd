//! Tokens move out of a store and into it without losing anything.

use super::harness::Store;
use super::hostile;
use super::support::{anything, at, fine, found, full_record, put_all, record_with, used};
use super::zoo::zoo;
use crate::store::transfer::{ImportError, Imported, Tally, export, import};
use crate::store::{MemoryStore, TokenStore};
use crate::token::{Record, TokenDigest};

/// Everything a record can hold.
fn records() -> Vec<Record> {
    let mut records = zoo();
    records.extend(hostile::records(300));
    records.push(full_record(400));
    let mut peppered = record_with(401, |_| {});
    let digest = peppered.digest.to_stored().replace("v1$0$", "v1$7$");
    peppered.digest = TokenDigest::from_stored(&digest);
    records.push(peppered);
    records
}

async fn exported(store: &dyn TokenStore) -> (Tally, Vec<u8>) {
    let mut file = Vec::new();
    let tally = export(store, None, &mut file).await;
    (tally.unwrap_or_else(|error| panic!("a store is exported whole: {error:?}")), file)
}

async fn imported(store: &Store, file: &[u8]) -> Imported {
    let imported = import(&**store, None, file).await;
    imported.unwrap_or_else(|error| panic!("an exported file is imported: {error:?}"))
}

/// Records of every sort move from another store into this one and out again, and are the same.
pub async fn records_move_in_and_out_unchanged(store: Store) {
    let other = MemoryStore::new();
    for record in records() {
        fine("an insert", other.insert(&record, &anything()).await);
    }
    let (tally, file) = exported(&other).await;
    assert_eq!(imported(&store, &file).await.added, tally.tokens, "every record is put in");
    for record in records() {
        let moved = fine("a find", store.find(&record.token.id).await);
        assert_eq!(moved, Some(record), "a record is put in as it is");
    }
    let (again, copy) = exported(&*store).await;
    assert_eq!(again, tally, "an export holds every record once");
    let texts = (String::from_utf8(copy), String::from_utf8(file));
    assert_eq!(texts.0, texts.1, "every store exports the same file");
}

/// A repeated import does no harm, and nothing is overwritten by one.
pub async fn an_import_overwrites_nothing(store: Store) {
    let records = [full_record(1), record_with(2, |_| {}), record_with(3, |_| {})];
    put_all(&store, &records).await;
    let (_, file) = exported(&*store).await;
    fine("a touch", store.touch(&[used(2, 50)]).await);
    for _ in 0..2 {
        let repeated = imported(&store, &file).await;
        assert_eq!((repeated.added, repeated.already), (0, 3), "what is there is left alone");
    }
    let last_use = found(&store, 2).await.token.last_use;
    assert_eq!(last_use, Some(used(2, 50).last_use), "a last use only moves forward");
    let text = String::from_utf8(file).unwrap();
    // Another digest under the same id, and another id under the same idempotency key.
    let other = text.replace("00000002A\"", "00000009A\"");
    let moved = text.replace("\"id\":\"0000000000000001\"", "\"id\":\"0000000000000009\"");
    for (other, line, id) in [(other, 3, "0000000000000002"), (moved, 2, "0000000000000009")] {
        match import(&*store, None, other.as_bytes()).await {
            Err(ImportError::Clash { line: at, id: named }) => {
                assert_eq!((at, named.as_str()), (line, id), "a clash names its record");
            }
            other => panic!("a record with another in its place is a clash: {other:?}"),
        }
    }
    assert_eq!(found(&store, 1).await, records[0], "a clash changes nothing");
    assert_eq!(found(&store, 2).await.digest, records[1].digest, "a clash changes nothing");
    assert_eq!(found(&store, 3).await.token.created_at, at(0));
}
