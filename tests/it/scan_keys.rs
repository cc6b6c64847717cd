//! Where the keys of a partner come from, and for how long (F34).

use chrono::TimeDelta;
use hallpass::scan::PartnerKeys;
use serde_json::json;

use crate::http_support::written;
use crate::scan_support::{Desk, H23, Partner, UNAVAILABLE, document, report};
use crate::world::{poll_once, run};

const EMPTY: &str = "200\ncache-control: no-store\ncontent-type: application/json\n\n[]";

#[test]
fn keys_are_kept_and_fetched_again_after_an_hour() {
    let desk = Desk::new();
    for (minutes, asked) in [(0, 1), (59, 1), (1, 2), (30, 2)] {
        desk.world.advance(TimeDelta::minutes(minutes));
        assert_eq!(desk.signed(b"[]"), EMPTY);
        assert_eq!(desk.board.asked(), asked, "{minutes}");
    }
    // A key that was taken back is good for an hour at most.
    let other = Partner::new("k2");
    desk.board.shows(document(&[&other]));
    desk.world.advance(TimeDelta::minutes(31));
    assert_eq!(desk.signed(b"[]"), H23);
    assert_eq!(desk.answer(other.signs(b"[]"), b"[]"), EMPTY);
}

#[test]
fn a_new_key_is_good_at_once_and_unknown_ones_cause_a_fetch_in_five_minutes() {
    let desk = Desk::new();
    assert_eq!(desk.signed(b"[]"), EMPTY);
    let new = Partner::new("k2");
    desk.board.shows(document(&[&desk.partner, &new]));
    assert_eq!(desk.answer(new.signs(b"[]"), b"[]"), EMPTY);
    assert_eq!(desk.board.asked(), 2);
    let next = Partner::new("k3");
    assert_eq!(desk.answer(next.signs(b"[]"), b"[]"), H23);
    desk.board.shows(document(&[&desk.partner, &new, &next]));
    desk.world.advance(TimeDelta::minutes(5) - TimeDelta::microseconds(1));
    assert_eq!(desk.answer(next.signs(b"[]"), b"[]"), H23);
    desk.world.advance(TimeDelta::microseconds(1));
    assert_eq!(desk.answer(next.signs(b"[]"), b"[]"), EMPTY);
    assert_eq!(desk.board.asked(), 3);
}

#[test]
fn the_first_unknown_key_causes_one_fetch_too() {
    let desk = Desk::new();
    let stranger = Partner::new("k2");
    for _ in 0..10 {
        assert_eq!(desk.answer(stranger.signs(b"[]"), b"[]"), H23);
    }
    assert_eq!(desk.board.asked(), 1);
}

#[test]
fn reports_that_come_together_wait_for_one_fetch() {
    let desk = Desk::new();
    let heads: Vec<_> =
        (0..5).map(|_| desk.partner.signs(b"[]").body(()).unwrap().into_parts().0).collect();
    let mut waiting: Vec<_> =
        heads.iter().map(|head| Box::pin(desk.leaks.report(head, b"[]"))).collect();
    for future in &mut waiting {
        assert!(poll_once(future).is_pending());
    }
    for future in waiting {
        assert_eq!(written(&run(future)), EMPTY);
    }
    assert_eq!(desk.board.asked(), 1);
}

/// F34: whatever is wrong with the place of the keys, the last good ones go on for a day.
#[test]
fn the_last_good_keys_go_on_for_a_day() {
    let good = Desk::new().partner;
    let huge = [document(&[&good]), vec![b' '; 64 * 1024]].concat();
    for (bad, why) in [
        (None, "nobody is there"),
        (Some(b"<!DOCTYPE html><html>moved</html>".to_vec()), "HTML"),
        (Some(Vec::new()), "nothing"),
        (Some(huge), "too much"),
        (Some(document(&[])), "no key"),
        (Some(document(&[&Partner::new("k"), &Partner::new("k")])), "one name for two"),
        (Some(br#"{"public_keys":[{"key_identifier":"k1","key":"x"}]}"#.to_vec()), "no good key"),
    ] {
        let desk = Desk::new();
        assert_eq!(desk.signed(b"[]"), EMPTY);
        desk.board.shows(bad.clone());
        for _ in 0..23 {
            desk.world.advance(TimeDelta::hours(1));
            assert_eq!(desk.signed(b"[]"), EMPTY, "{why}");
        }
        assert_eq!(desk.board.asked(), 24);
        // A key that cannot be looked up may be good.
        let new = Partner::new("k2");
        assert_eq!(desk.answer(new.signs(b"[]"), b"[]"), UNAVAILABLE, "{why}");
        // What is signed badly by a known key is not.
        assert_eq!(desk.answer(desk.partner.signs(b"[ ]"), b"[]"), H23, "{why}");
        desk.world.advance(TimeDelta::hours(1));
        assert_eq!(desk.signed(b"[]"), UNAVAILABLE, "{why}");
        desk.board.shows(document(&[&desk.partner]));
        desk.world.advance(TimeDelta::seconds(10));
        assert_eq!(desk.signed(b"[]"), EMPTY, "{why}");
    }
}

#[test]
fn a_place_that_is_down_is_not_asked_by_every_report() {
    let desk = Desk::new();
    desk.board.shows(None);
    let token = desk.world.token("ok");
    for _ in 0..100 {
        assert_eq!(desk.signed(&report(&[token.plain.expose()])), UNAVAILABLE);
    }
    assert_eq!(desk.board.asked(), 1);
    desk.world.advance(TimeDelta::seconds(10));
    assert_eq!(desk.signed(b"[]"), UNAVAILABLE);
    assert_eq!(desk.board.asked(), 2);
    // With old keys at hand, once in a minute.
    let desk = Desk::new();
    assert_eq!(desk.signed(b"[]"), EMPTY);
    desk.board.shows(None);
    desk.world.advance(TimeDelta::hours(2));
    for asked in [2, 3] {
        for _ in 0..10 {
            assert_eq!(desk.signed(b"[]"), EMPTY);
        }
        assert_eq!(desk.board.asked(), asked);
        desk.world.advance(TimeDelta::minutes(1));
    }
}

#[test]
fn a_fetch_that_is_given_up_holds_up_nobody() {
    let desk = Desk::new();
    let head = desk.partner.signs(b"[]").body(()).unwrap().into_parts().0;
    let mut given_up = Box::pin(desk.leaks.report(&head, b"[]"));
    assert!(poll_once(&mut given_up).is_pending());
    drop(given_up);
    assert_eq!(desk.signed(b"[]"), EMPTY);
    assert_eq!(desk.board.asked(), 2);
    // Nor does one for want of a key.
    let new = Partner::new("k2");
    desk.board.shows(document(&[&desk.partner, &new]));
    let head = new.signs(b"[]").body(()).unwrap().into_parts().0;
    let mut given_up = Box::pin(desk.leaks.report(&head, b"[]"));
    assert!(poll_once(&mut given_up).is_pending());
    assert_eq!(desk.board.asked(), 3);
    drop(given_up);
    assert_eq!(desk.answer(new.signs(b"[]"), b"[]"), EMPTY);
    assert_eq!(desk.board.asked(), 4);
    // Nor one of keys that are old.
    desk.world.advance(TimeDelta::hours(1));
    let mut given_up = Box::pin(desk.leaks.report(&head, b"[]"));
    assert!(poll_once(&mut given_up).is_pending());
    drop(given_up);
    desk.board.shows(document(&[&new]));
    assert_eq!(desk.signed(b"[]"), H23);
    assert_eq!(desk.board.asked(), 6);
    // One that failed before goes on to be a failure.
    desk.board.shows(None);
    desk.world.advance(TimeDelta::days(1));
    assert_eq!(desk.signed(b"[]"), UNAVAILABLE);
    desk.world.advance(TimeDelta::seconds(10));
    let mut given_up = Box::pin(desk.leaks.report(&head, b"[]"));
    assert!(poll_once(&mut given_up).is_pending());
    drop(given_up);
    assert_eq!(desk.signed(b"[]"), UNAVAILABLE);
    assert_eq!(desk.signed(b"[]"), UNAVAILABLE);
    assert_eq!(desk.board.asked(), 9);
}

#[test]
fn a_clock_that_was_wrong_keeps_nothing_good_for_longer() {
    let desk = Desk::new();
    let right = desk.world.now();
    desk.world.advance(TimeDelta::days(400));
    assert_eq!(desk.signed(b"[]"), EMPTY);
    desk.world.clock.set(right);
    desk.board.shows(None);
    assert_eq!(desk.signed(b"[]"), UNAVAILABLE);
}

#[test]
fn only_keys_on_p_256_are_keys() {
    let partner = Partner::new("k1");
    let pem = partner.pem();
    let document = |key: &str| {
        let keys = json!({"public_keys": [{"key_identifier": "k1", "key": key}]});
        PartnerKeys::fixed(keys.to_string().as_bytes()).is_ok()
    };
    assert!(document(&pem) && document(&pem.replace('\n', "\r\n")));
    // On P-384, Ed25519, a private one, a bare point, a certificate's name, and broken ones.
    for key in [
        "-----BEGIN PUBLIC KEY-----\nMHYwEAYHKoZIzj0CAQYFK4EEACIDYgAEm4MesqTMRocyRyifYtV3+jtIZ253/TuW\n/hWowtlQnbf3oSh8MXxD3QQ12ZzkbQrRhFoUP87PMIcMxYf8F8953z5Rzlr0G9xz\nt9NmyZeHN9wNQb5zb4YqA6mp+LFjCGxd\n-----END PUBLIC KEY-----\n",
        "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n-----END PUBLIC KEY-----\n",
        &pem.replace("PUBLIC", "PRIVATE"),
        &pem.replace("PUBLIC KEY", "CERTIFICATE"),
        &pem.replace("MFkw", "MFgw"),
        &pem.replace("-----END PUBLIC KEY-----", ""),
        "",
    ] {
        assert!(!document(key), "{key}");
    }
    for text in ["", "[]", "{}", r#"{"public_keys":{}}"#, r#"{"public_keys":[7]}"#] {
        assert!(PartnerKeys::fixed(text.as_bytes()).is_err(), "{text}");
    }
}
