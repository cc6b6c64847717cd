//! Reading by id.

use super::harness::Store;
use super::support::{
    at, everything, fine, id, mark, named, only, page, put, record_with, revoked, used,
};
use crate::store::{Change, Filter, Purge, Reach, SortKey};

/// What is not there is `Ok(None)`, an empty list, or nothing done; never an error.
pub async fn absence_is_no_error(store: Store) {
    let rule = "absence is `Ok(None)` or an empty list";
    assert_eq!(fine("a find", store.find(&id(1)).await), None, "{rule}");
    for change in [Change::default(), named("a", true)] {
        let updated = store.update(&id(1), 1, &change, at(0)).await;
        assert_eq!(fine("an update", updated), None, "{rule}");
    }
    assert_eq!(revoked(&store, &only([1]), &mark(0)).await, [], "{rule}");
    let request = page(SortKey::Name, false, 10);
    let listed = store.list(&Filter::new(Reach::All), &request, at(0)).await;
    assert_eq!(fine("a list", listed), [], "{rule}");
    fine("a touch of an unknown token", store.touch(&[used(1, 1)]).await);
    fine("a touch of nothing", store.touch(&[]).await);
    let nothing = Purge {
        now: at(0),
        retention: chrono::TimeDelta::zero(),
        exchange_retention: chrono::TimeDelta::zero(),
        limit: 10,
    };
    assert_eq!(fine("a purge", store.purge(&nothing).await), 0, "{rule}");
    assert_eq!(everything(&store).await, [], "steps about nothing leave nothing behind");
}

/// Ids that differ in case alone are different ids.
pub async fn ids_are_compared_byte_by_byte(store: Store) {
    let lower = record_with(1, |token| token.id = "abcdefghijklmnop".parse().unwrap());
    put(&store, &lower).await;
    let upper = record_with(2, |token| token.id = "ABCDEFGHIJKLMNOP".parse().unwrap());
    let rule = "ids are compared byte by byte";
    assert_eq!(fine("a find", store.find(&upper.token.id).await), None, "{rule}");
    put(&store, &upper).await;
    let mut of_upper = only([]);
    of_upper.ids = Some(vec![upper.token.id]);
    assert_eq!(revoked(&store, &of_upper, &mark(0)).await, [upper.token.id], "{rule}");
    assert_eq!(fine("a find", store.find(&lower.token.id).await), Some(lower), "{rule}");
}
