//! The conformance suite finds what it is there to find: each of these stores breaks one rule, and
//! the case about that rule fails.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod store;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use hallpass::conformance::{self, CASES, model};

use self::store::{Broken, Fault};

/// What a case says of a store with this fault; nothing if the store passes.
fn complaint(case: &str, fault: Fault) -> Option<String> {
    let backend = move || async move { Broken::new(fault) };
    let failure = catch_unwind(AssertUnwindSafe(|| conformance::run(case, &backend))).err()?;
    Some(match failure.downcast::<String>() {
        Ok(text) => *text,
        Err(other) => (*other.downcast::<&str>().unwrap()).to_owned(),
    })
}

#[test]
fn a_store_without_fault_passes() {
    for case in CASES {
        assert_eq!(complaint(case.name(), Fault::Nothing), None, "{case:?}");
    }
}

macro_rules! each_is_found {
    ($($test:ident: $fault:ident, $case:ident, $rule:literal;)*) => {
        $(#[test]
        fn $test() {
            let complaint = complaint(stringify!($case), Fault::$fault).unwrap();
            assert!(complaint.contains($rule), "{complaint}");
        })*
    };
}

each_is_found! {
    an_insert_that_replaces:
        InsertReplaces, no_later_step_changes_a_revoked_record, "never replaces a record";
    an_insert_in_two_steps:
        InsertInTwoSteps, a_dropped_insert_is_all_or_nothing, "all or nothing";
    a_quota_checked_before_the_insert:
        QuotaBeforeInsert, a_hundred_inserts_at_once_respect_the_quota, "same atomic step";
    a_quota_checked_before_the_insert_on_two_stores:
        QuotaBeforeInsert, two_stores_respect_one_quota, "same atomic step";
    a_name_checked_before_the_insert:
        NameBeforeInsert, one_of_many_at_once_gets_a_name, "same atomic step";
    a_key_checked_before_the_insert:
        KeyBeforeInsert, one_of_many_at_once_gets_an_idempotency_key, "same atomic step";
    a_quota_told_before_a_name:
        QuotaBeforeName, conflicts_are_told_in_order, "before a full quota";
    names_compared_by_bytes:
        NamesByBytes, conflicts_are_told_in_order, "compared by their keys";
    ids_compared_without_case:
        IdsByCase, ids_are_compared_byte_by_byte, "byte by byte";
    text_without_its_controls:
        ControlsLost, hostile_text_is_only_text, "text is kept as it is";
    an_update_that_asks_for_no_version:
        UpdateWithoutVersion, stale_and_late_updates_are_refused, "is stale";
    a_version_checked_before_the_update:
        VersionBeforeUpdate, one_of_many_rotations_at_once_succeeds, "exactly one is taken";
    an_update_of_a_revoked_record:
        UpdateOfRevoked, stale_and_late_updates_are_refused, "takes no update";
    an_update_that_undoes_a_revocation:
        UpdateUndoesRevocation, no_update_undoes_a_revocation, "no update undoes a revocation";
    a_revocation_overwritten_by_a_stale_copy:
        VersionBeforeUpdate, no_update_undoes_a_revocation, "no update undoes a revocation";
    an_update_in_two_steps:
        UpdateInTwoSteps, a_dropped_update_is_all_or_nothing, "all or nothing";
    a_later_revocation_that_is_kept:
        LastRevocationKept, the_first_revocation_is_kept, "not returned again";
    a_revocation_one_by_one:
        RevocationOneByOne, a_dropped_revocation_is_all_or_nothing, "all or nothing";
    a_use_that_moves_backwards:
        UseBackwards, uses_only_move_forward, "never replaces a newer one";
    a_use_that_moves_backwards_at_once:
        UseBackwards, uses_at_once_only_move_forward, "never replaces a newer one";
    a_use_of_a_revoked_token:
        UseOfRevoked, uses_of_revoked_tokens_are_passed_over, "changes a revoked record";
    a_use_that_counts_as_a_change:
        UseCountsVersion, uses_only_move_forward, "leaves the version as it is";
    a_search_that_is_ignored:
        TextIgnored, lists_admit_what_the_filter_admits, "what `Filter::admits`";
    pages_by_count:
        PageByCount, pages_hold_while_records_come_and_go, "in a page";
    statuses_of_another_instant:
        StatusNow, the_filter_decides_at_the_instant_it_is_given, "what `Filter::admits`";
    a_purge_of_parents:
        PurgeOfParents, purge_keeps_parents, "made from it";
    a_purge_without_a_limit:
        PurgeWithoutLimit, a_purge_has_a_limit, "at most `limit`";
    a_key_that_outlives_its_record:
        KeyOutlivesPurge, nothing_of_a_purged_record_is_left, "the name, place and key";
    resident_facts_that_are_stale:
        ResidentStale, a_change_is_resident_before_its_step_returns, "resident before its step";
    resident_facts_that_are_stale_beside_readers:
        ResidentStale, a_change_is_resident_whoever_reads_meanwhile, "nothing older";
    a_catalog_that_stays:
        FirstCatalogKept, resident_scopes_are_those_of_the_attached_catalog, "attached catalog";
    a_change_that_is_not_told:
        NothingTold, what_is_committed_is_told, "at version";
    a_subscription_without_a_gap:
        NoFirstGap, the_first_notice_is_a_gap, "is `Gap`";
    a_channel_that_says_nothing:
        SilentChannel, a_quiet_channel_says_that_it_is_alive, "at least once a second";
}

#[test]
fn random_steps_find_most_of_it() {
    let faults = [
        Fault::UpdateWithoutVersion,
        Fault::UpdateOfRevoked,
        Fault::NamesByBytes,
        Fault::LastRevocationKept,
        Fault::UseBackwards,
        Fault::UseOfRevoked,
        Fault::TextIgnored,
        Fault::StatusNow,
        Fault::PurgeOfParents,
        Fault::KeyOutlivesPurge,
    ];
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let fails = |fault, seed| {
        let store = Arc::new(Broken::new(fault));
        let steps = AssertUnwindSafe(|| runtime.block_on(model::random_steps(store, seed, 300)));
        catch_unwind(steps).is_err()
    };
    for fault in faults {
        assert!((0..20).any(|seed| fails(fault, seed)), "{fault:?}");
    }
    assert!(!fails(Fault::Nothing, 0));
}
