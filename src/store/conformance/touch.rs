//! Last uses: forward only, in batches.

use super::harness::Store;
use super::support::{at, fine, found, id, mark, only, put, record, revoked, used};
use crate::store::Use;
use crate::token::LastUse;

/// An older use never replaces a newer one, whatever the order within a batch.
pub async fn uses_only_move_forward(store: Store) {
    put(&store, &record(1)).await;
    put(&store, &record(2)).await;
    fine("a touch", store.touch(&[used(1, 10), used(7, 10), used(2, 5), used(1, 8)]).await);
    fine("a touch", store.touch(&[used(1, 9), used(2, 6)]).await);
    let same_instant = Use { last_use: LastUse { agent: None, ..used(1, 10).last_use }, id: id(1) };
    fine("a touch", store.touch(&[same_instant]).await);
    let kept = found(&store, 1).await.token;
    let rule = "an older use never replaces a newer one, nor one of the same instant";
    assert_eq!(kept.last_use, Some(used(1, 10).last_use), "{rule}");
    assert_eq!(kept.version, 1, "noting a use leaves the version as it is");
    let kept = found(&store, 2).await.token;
    assert_eq!(kept.last_use, Some(used(2, 6).last_use), "a newer use replaces an older one");
    let address = LastUse { at: at(20), ip: Some("::1".parse().unwrap()), agent: None };
    fine("a touch", store.touch(&[Use { id: id(1), last_use: address.clone() }]).await);
    let kept = found(&store, 1).await.token;
    assert_eq!(kept.last_use, Some(address), "a use is noted whole: instant, address and agent");
}

/// A revoked record takes no use; the others of the batch do.
pub async fn uses_of_revoked_tokens_are_passed_over(store: Store) {
    put(&store, &record(1)).await;
    put(&store, &record(2)).await;
    fine("a touch", store.touch(&[used(1, 1)]).await);
    revoked(&store, &only([1]), &mark(2)).await;
    let before = found(&store, 1).await;
    fine("a touch", store.touch(&[used(1, 10), used(2, 10)]).await);
    assert_eq!(found(&store, 1).await, before, "no later step changes a revoked record");
    let kept = found(&store, 2).await.token;
    assert_eq!(kept.last_use, Some(used(2, 10).last_use), "the others of a batch are noted");
}

/// A batch may be large, and name tokens more than once, unknown ones among them.
pub async fn a_large_batch_of_uses_is_noted_whole(store: Store) {
    for number in 0..20 {
        put(&store, &record(number)).await;
    }
    // Every second token is known; the newest use of each is in the middle.
    let batch: Vec<Use> = (0..5000_i64)
        .map(|place| used(u32::try_from(place % 40).unwrap(), 2500 - (place - 2500).abs()))
        .collect();
    fine("a touch", store.touch(&batch).await);
    for number in 0..20 {
        let noted = batch.iter().filter(|noted| noted.id == id(number));
        let newest = noted.map(|noted| &noted.last_use).max_by_key(|last_use| last_use.at);
        let kept = found(&store, number).await.token.last_use;
        assert_eq!(kept.as_ref(), newest, "of the uses in a batch the newest is kept");
    }
}
