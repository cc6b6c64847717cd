//! Lists of the management API: cursors, filters, search.

use chrono::TimeDelta;
use serde_json::json;

use crate::api_support::{Answer, Site, get};
use crate::world::ci;

/// A site where alice has seven tokens, and bob one.
fn full() -> Site {
    let site = Site::new();
    for number in 0..7 {
        site.issue("alice", &format!("token {number}"));
        site.world.advance(TimeDelta::seconds(1));
    }
    site.issue("bob", "token of bob");
    site
}

fn names(answer: &Answer) -> Vec<&str> {
    let tokens = answer.json["tokens"].as_array().unwrap_or_else(|| panic!("{}", answer.text));
    tokens.iter().map(|token| token["name"].as_str().unwrap()).collect()
}

fn next(answer: &Answer) -> String {
    answer.json["next"].as_str().unwrap().to_owned()
}

fn list(site: &Site, query: &str) -> Answer {
    site.get("alice.1", &format!("/tokens?{query}"))
}

#[test]
fn pages_follow_one_another() {
    let site = full();
    let first = list(&site, "limit=3");
    assert_eq!(names(&first), ["token 6", "token 5", "token 4"]);
    let second = list(&site, &format!("limit=3&cursor={}", next(&first)));
    assert_eq!(names(&second), ["token 3", "token 2", "token 1"]);
    // The limit may change, and nothing else.
    let last = list(&site, &format!("limit=100&cursor={}", next(&second)));
    assert_eq!((names(&last), &last.json["next"]), (vec!["token 0"], &json!(null)));
    assert_eq!(names(&list(&site, "sort=name&limit=2")), ["token 0", "token 1"]);
    assert_eq!(names(&list(&site, "sort=-name&limit=2")), ["token 6", "token 5"]);
}

/// C135, C136.
#[test]
fn a_cursor_is_good_for_its_list_only() {
    let site = full();
    let cursor = next(&list(&site, "limit=3"));
    let constant = list(&site, "cursor=x").text;
    assert!(constant.starts_with("400\n") && constant.contains("invalid-cursor"), "{constant}");
    let mut flipped = cursor.clone();
    flipped.replace_range(9..10, if cursor.as_bytes()[9] == b'A' { "B" } else { "A" });
    let long = "A".repeat(10 * 1024);
    let truncated = cursor.split_at(cursor.len() - 1).0;
    for bad in [&*flipped, truncated, "", &long, "JyBPUiAxPTE7IERST1AgVEFCTEUgdG9rZW5z"] {
        assert_eq!(list(&site, &format!("cursor={bad}")).text, constant);
    }
    for query in ["sort=name", "sort=created_at", "q=token", "status=active", "kind=pat"] {
        assert_eq!(list(&site, &format!("{query}&cursor={cursor}")).text, constant, "{query}");
    }
    assert_eq!(site.get("bob.1", &format!("/tokens?cursor={cursor}")).text, constant);
    assert_eq!(site.get("tess.1", &format!("/tokens?cursor={cursor}")).text, constant);
    assert_eq!(site.get("root.1", &format!("/admin/tokens?cursor={cursor}")).text, constant);
    site.world.advance(TimeDelta::days(2));
    assert_eq!(list(&site, &format!("cursor={cursor}")).text, constant);
}

/// C137.
#[test]
fn a_page_has_one_to_a_hundred_tokens() {
    let site = full();
    for bad in ["0", "-1", "101", "%2B5", "+5", "05", "100000000000000000000", "", "1.0", "1e1"] {
        let refused = list(&site, &format!("limit={bad}"));
        assert_eq!(refused.problem(), (400, "invalid-query"), "{bad}");
        assert_eq!(refused.wrong(), ["limit"]);
    }
    assert_eq!(names(&list(&site, "limit=100")).len(), 7);
    assert_eq!(names(&list(&site, "limit=1")).len(), 1);
}

/// C138.
#[test]
fn a_search_is_literal_and_bounded() {
    let site = Site::new();
    for name in ["100% sure", "snake_case", "back\\slash", "plain"] {
        site.issue("alice", name);
    }
    assert_eq!(names(&list(&site, "q=0%25")), ["100% sure"]);
    assert_eq!(names(&list(&site, "q=e_")), ["snake_case"]);
    assert_eq!(names(&list(&site, "q=k%5Cs")), ["back\\slash"]);
    assert_eq!(names(&list(&site, "q=%25%25")), [""; 0]);
    assert_eq!(names(&list(&site, "q=PLAIN")), ["plain"]);
    let patterns = "%25_".repeat(1000);
    for bad in ["%25", "_", "", &patterns, "a%00b", "a%0Ab", "%FF%FF", "%C3", "%zz", "ab%"] {
        assert_eq!(list(&site, &format!("q={bad}")).problem(), (400, "invalid-query"), "{bad}");
    }
    assert_eq!(names(&list(&site, &format!("q={}", "%25_".repeat(50)))), [""; 0]);
}

/// C139.
#[test]
fn a_query_is_read_to_the_letter() {
    let site = full();
    for (query, wrong) in [
        ("sort=name;drop", "sort"),
        ("sort=digest", "sort"),
        ("sort=secret", "sort"),
        ("sort=", "sort"),
        ("sort=--name", "sort"),
        ("status=dead", "status"),
        ("status=", "status"),
        ("status=active,", "status"),
        ("kind=x", "kind"),
        ("scope=a%20b", "scope"),
        ("created_before=2026-02-30T00:00:00Z", "created_before"),
        ("expires_from=tomorrow", "expires_from"),
        ("expires_before=1", "expires_before"),
        ("unused_since=never", "unused_since"),
        ("family=x", "family"),
        ("client=", "client"),
        ("owner=bob", "owner"),
        ("tenant=t2", "tenant"),
        ("digest=x", "digest"),
        ("Limit=1", "Limit"),
        ("limit=1&limit=1", "limit"),
        ("limit=1&%6Cimit=1", "limit"),
        ("limit", "limit"),
    ] {
        let refused = list(&site, query);
        assert_eq!(refused.problem(), (400, "invalid-query"), "{query}");
        assert_eq!(refused.wrong(), [wrong], "{query}");
    }
    // The first that is too many is the one problem.
    let many = |count: usize| (0..count).map(|n| format!("&a{n}=")).collect::<String>();
    assert_eq!(list(&site, &many(32)).wrong().len(), 32);
    let refused = list(&site, &many(33));
    assert_eq!((refused.problem(), refused.wrong()), ((400, "invalid-query"), vec![""]));
    assert_eq!(names(&list(&site, &format!("limit=1{}", "&".repeat(100)))).len(), 1);
    let both = list(&site, "limit=0&sort=x");
    assert_eq!(both.wrong(), ["limit", "sort"]);
    assert_eq!(names(&list(&site, "&&limit=1&")).len(), 1);
    let beyond = site.send(get("alice.1", &format!("/tokens?q={}", "x".repeat(17_000))), "");
    assert_eq!(beyond.problem(), (414, "uri-too-long"));
    let mixed = site.get("root.1", "/admin/tokens?family=0000000000000000&owner=bob");
    assert_eq!(mixed.wrong(), ["family"]);
    let unknown = site.get("root.1", "/admin/tokens?family=0000000000000000");
    assert_eq!((unknown.status, names(&unknown)), (200, vec![]));
    assert_eq!(list(&site, "family=0000000000000000").problem(), (404, "not-found"));
}

/// C140.
#[test]
fn rows_that_come_and_go_between_pages_are_shown_once_at_most() {
    let site = full();
    let first = list(&site, "limit=3");
    let before = names(&first).iter().map(ToString::to_string).collect::<Vec<_>>();
    let gone = site.world.all().into_iter().find(|token| token.name.as_str() == "token 2").unwrap();
    run_revoke(&site, &gone.id);
    site.issue("alice", "late");
    site.issue("bob", "late");
    let rest = list(&site, &format!("limit=10&cursor={}", next(&first)));
    assert_eq!(names(&rest), ["token 3", "token 1", "token 0"]);
    assert!(names(&rest).iter().all(|name| !before.contains(&(*name).to_owned())));
}

fn run_revoke(site: &Site, id: &hallpass::TokenId) {
    let reason = hallpass::RevocationReason::Requested;
    crate::world::run(site.world.hallpass.revoke(id, reason)).unwrap();
}

#[test]
fn filters_hold_together() {
    let site = Site::new();
    site.world.issue(ci("old").owner("alice"));
    site.world.advance(TimeDelta::hours(1));
    let hooks = ci("hooks").owner("alice").scopes(["hooks"]);
    site.world.issue(hooks.expiry(hallpass::Expiry::In(TimeDelta::days(2))));
    site.world.issue(ci("app").owner("alice").for_client("phone"));
    for (query, expected) in [
        ("", &["hooks", "app", "old"][..]),
        ("scope=hooks", &["hooks"]),
        ("scope=hooks&kind=app", &[]),
        ("kind=app", &["app"]),
        ("client=phone", &["app"]),
        ("created_before=2026-11-22T09:30:00Z", &["old"]),
        ("expires_before=2026-12-01T00:00:00Z", &["hooks"]),
        ("expires_from=2026-12-01T00:00:00Z", &["app", "old"]),
        ("unused_since=2026-11-22T10:00:00Z", &["hooks", "app", "old"]),
        ("status=suspended,revoked", &[]),
        ("status=active", &["hooks", "app", "old"]),
    ] {
        let answer = list(&site, query);
        let mut found = names(&answer);
        found.sort_unstable();
        let mut expected = expected.to_vec();
        expected.sort_unstable();
        assert_eq!(found, expected, "{query}");
    }
}
