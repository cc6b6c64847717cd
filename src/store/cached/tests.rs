//! The table by itself: what is told when, and what takes whose place.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::table::{Joined, Limits, Remembered, Table, Ticket};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Value {
    version: u64,
    terminal: bool,
    group: u64,
}

impl Remembered for Value {
    fn version(&self) -> u64 {
        self.version
    }

    fn is_terminal(&self) -> bool {
        self.terminal
    }

    fn groups(&self) -> [u64; 3] {
        [0, self.group, 0]
    }
}

type Tested = Table<u32, Value, ()>;

const TTL: u64 = 10;
const ABSENCE_TTL: u64 = 5;

fn table(entries: usize) -> Tested {
    let table =
        Table::new(Limits { stripes: 1, entries, ttl: TTL, absences: 4, absence_ttl: ABSENCE_TTL });
    table.open(0, u64::MAX);
    table
}

fn live(version: u64) -> Value {
    Value { version, terminal: false, group: 7 }
}

fn revoked(version: u64) -> Value {
    Value { terminal: true, ..live(version) }
}

fn board(table: &Tested, key: u32, now: u64) -> Ticket {
    match table.join(&key, now, || ()) {
        Joined::Flight(ticket, ()) => ticket,
        Joined::Absent => panic!("absent"),
    }
}

/// A read that nothing overlaps.
fn load(table: &Tested, key: u32, at: u64, value: Option<Value>) {
    let ticket = board(table, key, at);
    table.land(&key, ticket, at, value);
    table.leave(&key, ticket);
}

fn told(table: &Tested, key: u32, now: u64) -> Option<Value> {
    table.look(&key, now, |value| *value)
}

fn is_absent(table: &Tested, key: u32, now: u64) -> bool {
    match table.join(&key, now, || ()) {
        Joined::Absent => true,
        Joined::Flight(ticket, ()) => {
            table.leave(&key, ticket);
            false
        }
    }
}

#[test]
fn an_entry_is_told_until_the_ttl_has_passed_since_before_it_was_read() {
    let table = table(8);
    load(&table, 1, 100, Some(live(1)));
    assert_eq!(told(&table, 1, 100), Some(live(1)));
    assert_eq!(told(&table, 1, 109), Some(live(1)));
    assert_eq!(told(&table, 1, 110), None);
    assert_eq!(told(&table, 1, u64::MAX), None);
    // What replaces it in the meantime lives for its own time.
    load(&table, 1, 105, Some(live(1)));
    assert_eq!(told(&table, 1, 114), Some(live(1)));
    assert_eq!(told(&table, 1, 115), None);
    // A mark on it does not lengthen it.
    table.amend(&1, |_| Some(revoked(2)));
    assert_eq!(told(&table, 1, 114), Some(revoked(2)));
    assert_eq!(told(&table, 1, 115), None);
}

#[test]
fn at_the_end_of_time_nothing_overflows() {
    let table = table(8);
    load(&table, 1, u64::MAX - 1, Some(live(1)));
    assert_eq!(told(&table, 1, u64::MAX - 1), Some(live(1)));
}

#[test]
fn an_absence_is_told_until_its_ttl_has_passed() {
    let table = table(8);
    load(&table, 1, 100, None);
    assert!(is_absent(&table, 1, 104));
    assert!(!is_absent(&table, 1, 105));
    load(&table, 1, 110, None);
    table.forget(&1);
    assert!(!is_absent(&table, 1, 110));
    load(&table, 1, 110, None);
    table.heard_of(&1, 1);
    assert!(!is_absent(&table, 1, 110));
    load(&table, 1, 110, None);
    table.flush();
    assert!(!is_absent(&table, 1, 110));
}

#[test]
fn absences_have_room_of_their_own() {
    let table = table(2);
    load(&table, 1, 0, Some(live(1)));
    for key in 100..10_000 {
        load(&table, key, 0, None);
    }
    assert_eq!(told(&table, 1, 0), Some(live(1)));
    let kept = (100..10_000).filter(|key| is_absent(&table, *key, 0)).count();
    assert_eq!(kept, 4);
    assert!(is_absent(&table, 9_999, 0));
}

#[test]
fn the_oldest_entry_goes_first() {
    let table = table(3);
    for key in 1..=4 {
        load(&table, key, u64::from(key), Some(live(1)));
    }
    let told = |key| told(&table, key, 4).is_some();
    assert_eq!([1, 2, 3, 4].map(told), [false, true, true, true]);
    // Reading one again makes it the youngest; its old place does not take it along.
    load(&table, 2, 5, Some(live(1)));
    load(&table, 5, 5, Some(live(1)));
    assert_eq!([2, 3, 4, 5].map(told), [true, false, true, true]);
    for key in 6..1000 {
        load(&table, key, 6, Some(live(1)));
    }
    assert_eq!((1..1000).filter(|key| self::told(&table, *key, 6).is_some()).count(), 3);
}

#[test]
fn without_room_or_time_nothing_is_kept() {
    let table = table(0);
    load(&table, 1, 0, Some(live(1)));
    assert_eq!(told(&table, 1, 0), None);
}

#[test]
fn a_read_that_a_change_overlaps_is_not_kept() {
    type Step = fn(&Tested);
    let changes: [Step; 9] = [
        |table| table.doubt_all(None),
        |table| table.put(&1, 0, live(2)),
        |table| table.amend(&1, |_| Some(revoked(2))),
        |table| table.doubt(&1),
        |table| table.doubt_all(Some(7)),
        |table| table.heard_of(&1, 2),
        |table| table.heard_of(&1, 1),
        |table| table.forget(&1),
        |table| table.flush(),
    ];
    for (number, change) in changes.into_iter().enumerate() {
        let table = table(8);
        let ticket = board(&table, 1, 0);
        change(&table);
        // Who comes now does not join the old flight.
        let later = board(&table, 1, 0);
        assert_ne!(ticket, later, "{number}");
        table.land(&1, ticket, 0, Some(live(1)));
        assert_eq!(told(&table, 1, 0), None, "{number}");
        table.leave(&1, ticket);
        table.land(&1, later, 0, Some(live(2)));
        assert_eq!(told(&table, 1, 0), Some(live(2)), "{number}");
    }
}

#[test]
fn a_change_of_another_key_lets_a_read_be_kept() {
    let table = table(8);
    let ticket = board(&table, 1, 0);
    table.amend(&2, |_| Some(revoked(2)));
    table.heard_of(&2, 9);
    table.land(&1, ticket, 0, Some(live(1)));
    assert_eq!(told(&table, 1, 0), Some(live(1)));
}

#[test]
fn terminal_values_stick() {
    let table = table(8);
    load(&table, 1, 0, Some(live(1)));
    table.amend(&1, |_| Some(revoked(2)));
    for version in [1, 2, 3] {
        load(&table, 1, 0, Some(live(version)));
        table.put(&1, 0, live(version));
        table.heard_of(&1, version);
    }
    table.doubt(&1);
    table.doubt_all(Some(7));
    table.doubt_all(None);
    load(&table, 1, 0, None);
    assert_eq!(told(&table, 1, 9), Some(revoked(2)));
    // Until its time is over, or another record may have taken the id.
    load(&table, 1, 10, Some(live(1)));
    assert_eq!(told(&table, 1, 10), Some(live(1)));
    table.amend(&1, |_| Some(revoked(2)));
    table.forget(&1);
    load(&table, 1, 11, Some(live(1)));
    assert_eq!(told(&table, 1, 11), Some(live(1)));
}

#[test]
fn an_older_version_never_replaces_a_newer_one() {
    let table = table(8);
    load(&table, 1, 0, Some(live(5)));
    load(&table, 1, 1, Some(live(4)));
    assert_eq!(told(&table, 1, 1), Some(live(5)));
    table.put(&1, 1, live(4));
    assert_eq!(told(&table, 1, 1), Some(live(5)));
    table.heard_of(&1, 4);
    table.heard_of(&1, 5);
    assert_eq!(told(&table, 1, 1), Some(live(5)));
    table.put(&1, 1, live(6));
    assert_eq!(told(&table, 1, 1), Some(live(6)));
    table.heard_of(&1, 7);
    assert_eq!(told(&table, 1, 1), None);
}

#[test]
fn a_group_is_doubted_without_the_rest() {
    let table = table(8);
    load(&table, 1, 0, Some(live(1)));
    load(&table, 2, 0, Some(Value { group: 8, ..live(1) }));
    load(&table, 3, 0, Some(revoked(1)));
    table.doubt_all(Some(7));
    let told = |key| told(&table, key, 0).is_some();
    assert_eq!([1, 2, 3].map(told), [false, true, true]);
}

#[test]
fn closed_it_tells_and_keeps_nothing() {
    let table = table(8);
    load(&table, 1, 0, Some(live(1)));
    load(&table, 2, 0, None);
    table.open(0, 4);
    assert_eq!(told(&table, 1, 3), Some(live(1)));
    assert_eq!(told(&table, 1, 4), None);
    assert!(!is_absent(&table, 2, 4));
    load(&table, 3, 4, Some(live(1)));
    // What was kept before the pause is not told after it.
    table.open(5, 100);
    let told = |key| told(&table, key, 5).is_some();
    assert_eq!([1, 2, 3].map(told), [false, false, false]);
    // What was begun in the pause is not kept after it.
    table.open(5, 6);
    let ticket = board(&table, 4, 7);
    table.open(8, 100);
    table.land(&4, ticket, 7, Some(live(1)));
    assert_eq!(self::told(&table, 4, 8), None);
}

#[test]
fn the_last_one_out_ends_a_flight() {
    let table = table(8);
    let first = board(&table, 1, 0);
    let second = board(&table, 1, 0);
    assert_eq!(first, second);
    table.leave(&1, first);
    assert_eq!(board(&table, 1, 0), second);
    table.leave(&1, second);
    table.leave(&1, second);
    assert_ne!(board(&table, 1, 0), second);
}

#[test]
fn a_panic_under_the_lock_forgets_everything_and_no_more() {
    let table = table(8);
    load(&table, 1, 0, Some(live(1)));
    let ticket = board(&table, 2, 0);
    let panicked = catch_unwind(AssertUnwindSafe(|| table.amend(&1, |_| panic!("in a change"))));
    assert!(panicked.is_err());
    table.land(&2, ticket, 0, Some(live(1)));
    assert_eq!((told(&table, 1, 0), told(&table, 2, 0)), (None, None));
    load(&table, 1, 0, Some(live(1)));
    assert_eq!(told(&table, 1, 0), Some(live(1)));
}

#[test]
fn many_stripes_are_one_table() {
    let table: Tested =
        Table::new(Limits { stripes: 64, entries: 64_000, ttl: TTL, absences: 64, absence_ttl: 5 });
    table.open(0, u64::MAX);
    for key in 0..5000 {
        load(&table, key, 0, Some(live(1)));
    }
    assert!((0..5000).all(|key| told(&table, key, 0).is_some()));
    table.doubt_all(Some(7));
    assert!((0..5000).all(|key| told(&table, key, 0).is_none()));
    load(&table, 1, 0, Some(live(1)));
    table.flush();
    assert_eq!(told(&table, 1, 0), None);
}
