//! What whoever is signed in does with their tokens through the management API.

use std::sync::Arc;

use chrono::TimeDelta;
use hallpass::{Context, Issued, Rotate};
use serde_json::{Value, json};

use crate::api_support::{Answer, Site, from_page, get, patch, post};
use crate::world::{Fault, Step, run, stores, together};

fn create(site: &Site, body: &Value) -> Answer {
    site.post("alice.1", "/tokens", body.to_string())
}

#[test]
fn a_token_is_made_and_its_secret_shown_once() {
    let site = Site::confirmed();
    let made = create(
        &site,
        &json!({
            "name": "nightly build", "description": "runs at night", "presets": ["CI"],
            "scopes": ["session"], "resources": ["org/*", "org/*", "web"],
            "networks": ["10.0.0.0/8", "2001:db8::/32"], "lifetime_seconds": 3600,
            "not_before": "2026-11-22T09:30:00Z", "metadata": {"cost": {"centre": [1, 2]}},
        }),
    );
    assert_eq!(made.status, 201, "{}", made.text);
    let (id, secret) = (made.id(), made.secret());
    let token = json!({
        "id": id, "kind": "pat", "tenant": "default", "owner": "alice", "name": "nightly build",
        "description": "runs at night", "scopes": ["hooks", "repo:write", "session"],
        "unknown_scopes": [], "resources": ["org/*", "web"],
        "networks": ["10.0.0.0/8", "2001:db8::/32"], "audience": [], "status": "not_yet_valid",
        "created_at": "2026-11-22T09:00:00Z", "created_by": "owner",
        "not_before": "2026-11-22T09:30:00Z", "expires_at": "2026-11-22T10:00:00Z",
        "last_use": null, "rotation": null, "suspension": null, "revocation": null,
        "parent": null, "client": null, "metadata": {"cost": {"centre": [1, 2]}}, "version": 1,
    });
    assert_eq!(made.json, json!({ "secret": secret, "token": token }));
    assert_eq!(made.header("location"), format!("/pat/tokens/{id}"));
    assert_eq!(made.header("etag"), "\"1\"");
    assert_eq!(made.header("cache-control"), "no-store");
    assert_eq!(made.header("vary"), "Authorization, Cookie");
    assert_eq!(made.header("x-content-type-options"), "nosniff");
    let read = site.get("alice.1", &format!("/tokens/{id}"));
    assert_eq!((read.status, &read.json), (200, &token));
    assert_eq!(read.header("etag"), "\"1\"");
    let listed = site.get("alice.1", "/tokens");
    assert_eq!(listed.json, json!({ "tokens": [token], "next": null }));
    for answer in [read, listed] {
        assert!(!answer.text.contains(secret.split('_').next_back().unwrap()));
    }
}

/// C113: stored and shown literally.
#[test]
fn hostile_names_are_kept_as_they_are() {
    let site = Site::confirmed();
    let names = [
        "<script>alert(1)</script>",
        "\"><img src=x onerror=1>",
        "{{7*7}}",
        "${7*7}",
        "=cmd()",
        "+1",
        "@x",
        "żółw 🐢",
    ];
    for name in names {
        let made = site.make(name);
        assert_eq!((made.status, &made.json["token"]["name"]), (201, &json!(name)));
        assert_eq!(made.header("content-type"), "application/json");
    }
}

/// C114.
#[test]
fn unusable_names_are_refused() {
    let site = Site::confirmed();
    let long = "x".repeat(101);
    for name in [
        "",
        "   ",
        " a",
        "a\r\nb",
        "a\0",
        "\u{1b}[31m",
        "a\u{202e}b",
        "a\u{2066}b",
        "\u{200b}",
        &long,
    ] {
        let refused = site.make(name);
        assert_eq!(refused.problem(), (400, "invalid-body"), "{name:?}");
        assert_eq!(refused.wrong(), ["/name"], "{name:?}");
    }
    assert!(site.world.all().is_empty());
}

/// C116.
#[test]
fn a_name_is_taken_whatever_its_case_and_composition() {
    let site = Site::confirmed();
    let id = site.make("Ci caf\u{e9}").id();
    for name in ["ci caf\u{e9}", "CI CAFE\u{301}"] {
        let refused = site.make(name);
        assert_eq!(refused.problem(), (409, "name-taken"));
        assert_eq!(refused.json["conflicts_with"], json!(id));
    }
    site.confirm("bob.1");
    let body = r#"{"name":"ci café","scopes":["repo:read"]}"#;
    assert_eq!(site.post("bob.1", "/tokens", body).status, 201);
}

/// C117, C118.
#[test]
fn a_body_is_read_to_the_letter() {
    let site = Site::confirmed();
    for member in ["id", "user_id", "owner", "digest", "created_at", "scopes_all", "version"] {
        let body = json!({ "name": "a", "scopes": ["repo:read"], member: "x" });
        let refused = create(&site, &body);
        assert_eq!(refused.problem(), (400, "invalid-body"), "{member}");
        assert_eq!(refused.wrong(), [format!("/{member}")]);
    }
    let deep = format!(
        r#"{{"name":"a","scopes":["repo:read"],"metadata":{}1{}}}"#,
        "{\"a\":".repeat(200),
        "}".repeat(200)
    );
    for body in [
        r#"{"name":"a","scopes":["repo:read"],"scopes":["hooks"]}"#,
        r#"{"name":"a","scopes":["repo:read"],"metadata":{"a":1,"a":2}}"#,
        r#"{"name":"a","scopes":["repo:read"]} x"#,
        "\u{feff}{\"name\":\"a\",\"scopes\":[\"repo:read\"]}",
        r#"{"name":"\ud800","scopes":["repo:read"]}"#,
        "",
        "{",
        &deep,
    ] {
        assert_eq!(
            site.post("alice.1", "/tokens", body).problem(),
            (400, "malformed-json"),
            "{body}"
        );
    }
    for body in ["null", "[]", "\"a\"", "1", "{}"] {
        assert_eq!(
            site.post("alice.1", "/tokens", body).problem(),
            (400, "invalid-body"),
            "{body}"
        );
    }
    let long = format!("{{}}{}", " ".repeat(65_535));
    assert_eq!(site.post("alice.1", "/tokens", long).problem(), (413, "body-too-large"));
    assert!(site.world.all().is_empty());
}

/// C119.
#[test]
fn a_body_says_that_it_is_json() {
    let site = Site::confirmed();
    let body = r#"{"name":"a","scopes":["repo:read"]}"#;
    let plain = || from_page("POST", "alice.1", "/tokens");
    for media_type in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/json; charset=utf-16",
        "",
    ] {
        let refused = site.send(plain().header("content-type", media_type), body);
        assert_eq!(refused.problem(), (415, "unsupported-media-type"), "{media_type}");
    }
    assert_eq!(site.send(plain(), body).problem(), (415, "unsupported-media-type"));
    let form = plain().header("content-type", "application/x-www-form-urlencoded");
    assert_eq!(site.send(form, "_method=DELETE").status, 415);
    // A method is not overridden.
    let id = site.make("a").id();
    let request =
        post("alice.1", &format!("/tokens/{id}")).header("x-http-method-override", "DELETE");
    assert_eq!(site.send(request, "{}").problem(), (405, "method-not-allowed"));
    assert_eq!(site.get("alice.1", &format!("/tokens/{id}")).json["status"], "active");
}

/// C57 to C61.
#[test]
fn absent_and_unknown_scopes_grant_nothing() {
    let site = Site::confirmed();
    for (scopes, wrong) in [
        (json!(null), "/scopes"),
        (json!([]), "/scopes"),
        (json!(""), "/scopes"),
        (json!("repo:read"), "/scopes"),
        (json!(["*"]), "/scopes/0"),
        (json!(["repo:read", "repo:*"]), "/scopes/1"),
        (json!(["all"]), "/scopes/0"),
        (json!(["REPO:READ"]), "/scopes/0"),
        (json!(["repo:read "]), "/scopes/0"),
        (json!(["repo:read repo:write"]), "/scopes/0"),
        (json!(["a\"b"]), "/scopes/0"),
        (json!(["a\\b"]), "/scopes/0"),
        (json!(["a\0"]), "/scopes/0"),
        (json!(["\u{e9}"]), "/scopes/0"),
        (json!(["x".repeat(129)]), "/scopes/0"),
    ] {
        let refused = create(&site, &json!({ "name": "a", "scopes": scopes }));
        assert_eq!(refused.problem(), (400, "invalid-body"), "{scopes}");
        assert_eq!(refused.wrong(), [wrong], "{scopes}");
    }
    assert_eq!(create(&site, &json!({ "name": "a" })).wrong(), ["/scopes"]);
    let twice = create(&site, &json!({ "name": "a", "scopes": ["repo:read", "repo:read"] }));
    assert_eq!(twice.json["token"]["scopes"], json!(["repo:read"]));
    site.world.owners.limit("alice", &["repo:write"]);
    let beyond = create(&site, &json!({ "name": "b", "scopes": ["repo:admin"] }));
    assert_eq!(beyond.problem(), (403, "scope-not-held"));
    assert_eq!(site.world.all().len(), 1);
}

#[test]
fn everything_that_is_wrong_is_told_at_once() {
    let site = Site::confirmed();
    let refused = create(
        &site,
        &json!({
            "name": " ", "scopes": ["nothing"], "presets": ["Nothing"], "resources": ["a", "*"],
            "networks": ["10.0.0.0/33"], "lifetime_seconds": 1, "expires_at": "never",
            "metadata": {"long": "x".repeat(5000)},
        }),
    );
    assert_eq!(refused.problem(), (400, "invalid-body"));
    let mut wrong = refused.wrong();
    wrong.sort_unstable();
    assert_eq!(
        wrong,
        [
            "/expires_at",
            "/metadata",
            "/name",
            "/networks/0",
            "/presets/0",
            "/resources/1",
            "/scopes/0"
        ]
    );
}

#[test]
fn a_list_that_is_too_long_is_one_problem() {
    let site = Site::confirmed();
    let path = format!("/tokens/{}", site.issue("alice", "b").token.id);
    let edit = |body: &Value| site.send(patch("alice.1", &path, 1), body.to_string());
    let ask = |body: &Value| [create(&site, body), edit(body)];
    // As much as a body can hold: 60 KiB of empty scopes.
    for refused in ask(&json!({ "name": "a", "scopes": vec![""; 20 * 1024] })) {
        assert_eq!(refused.problem(), (400, "invalid-body"));
        assert_eq!(refused.wrong(), ["/scopes"]);
        assert!(refused.text.len() < 1024, "{}", refused.text);
    }
    for member in ["scopes", "presets", "resources", "networks"] {
        let body = |count| json!({ "name": "a", "presets": ["CI"], member: vec!["\0"; count] });
        for refused in ask(&body(65)) {
            assert_eq!(refused.wrong(), [format!("/{member}")]);
        }
        for refused in ask(&body(64)) {
            assert_eq!(refused.wrong().len(), 64, "{member}");
            assert!(refused.wrong().contains(&&*format!("/{member}/63")));
        }
    }
    // More problems than that are not told.
    let body = json!({ "name": "", "scopes": vec![""; 64], "networks": vec![""; 64] });
    for refused in ask(&body) {
        assert_eq!(refused.wrong().len(), 64);
    }
    let networks: Vec<_> = (0..64).map(|n| format!("10.0.{n}.0/24")).collect();
    let full = json!({ "name": "a", "scopes": ["repo:read"], "networks": networks });
    assert_eq!(create(&site, &full).status, 201);
}

/// C128 to C133.
#[test]
fn times_have_one_reading() {
    let site = Site::confirmed();
    let ask = |member: &str, value: &str| {
        let body = format!(r#"{{"name":"a","scopes":["repo:read"],"{member}":{value}}}"#);
        site.post("alice.1", "/tokens", body)
    };
    for value in [
        "0",
        "-1",
        "1.0",
        "\"3600\"",
        "null",
        "true",
        "1e3",
        "2147483648",
        "4294967296",
        "9007199254740993",
        "9223372036854775807",
        "9223372036854775808",
        "18446744073709551615",
        "1000000000000000000000000000000",
    ] {
        assert_eq!(ask("lifetime_seconds", value).wrong(), ["/lifetime_seconds"], "{value}");
    }
    assert_eq!(ask("lifetime_seconds", "NaN").code(), "malformed-json");
    for value in [
        "2026-11-22T08:59:59Z",
        "2026-11-22T09:00:00Z",
        "2027-11-23T09:00:01Z",
        "9999-12-31T23:59:59Z",
        "+10000-01-01T00:00:00Z",
        "2026-02-30T00:00:00Z",
        "2026-12-01T24:00:00Z",
        "2026-12-01T00:00:00",
        "2026-12-01T00:00:00,5Z",
        "2026-12-01T00:00:00+24:00",
        "2026-12-01T23:59:60Z",
        "2026-12-01t00:00:00z",
        "2026-12-01 00:00:00Z",
        "2026-12-01T00:00:00-00:00",
        "never",
        "Never",
        "",
    ] {
        assert_eq!(ask("expires_at", &format!("\"{value}\"")).wrong(), ["/expires_at"], "{value}");
    }
    assert_eq!(ask("expires_at", "null").wrong(), ["/expires_at"]);
    let body = r#"{"name":"a","scopes":["repo:read"],"lifetime_seconds":5,"expires_at":"2026-12-01T00:00:00Z"}"#;
    assert_eq!(site.post("alice.1", "/tokens", body).wrong(), ["/expires_at"]);
    assert!(site.world.all().is_empty());
    let body = r#"{"name":"a","scopes":["repo:read"],"not_before":"2027-06-01T00:00:00Z"}"#;
    assert_eq!(site.post("alice.1", "/tokens", body).wrong(), ["/not_before"]);
    let made = ask("expires_at", "\"2026-12-01T01:00:00+01:00\"");
    assert_eq!(made.json["token"]["expires_at"], "2026-12-01T00:00:00Z");
}

/// C125.
#[test]
fn a_request_that_is_repeated_makes_one_token() {
    let site = Site::confirmed();
    let body = r#"{"name":"ci","scopes":["repo:read"]}"#;
    let ask = |key: &str, body: &str| {
        site.send(post("alice.1", "/tokens").header("idempotency-key", key), body)
    };
    let first = ask("k1", body);
    assert_eq!(first.status, 201);
    let again = ask("k1", body);
    assert_eq!((again.status, again.json.get("secret")), (200, None));
    assert_eq!(again.json["token"], first.json["token"]);
    assert_eq!(again.header("location"), first.header("location"));
    assert_eq!(site.world.all().len(), 1);
    let other = ask("k1", r#"{"name":"ci","scopes":["hooks"]}"#);
    assert_eq!(other.problem(), (422, "idempotency-key-reused"));
    for key in ["", &"k".repeat(256), "a\tb"] {
        assert_eq!(ask(key, body).problem(), (400, "invalid-header"));
    }
    // Somebody else's key is somebody else's.
    site.confirm("bob.1");
    let bob = post("bob.1", "/tokens").header("idempotency-key", "k1");
    assert_eq!(site.send(bob, body).status, 201);
    // A copy is made once, too.
    let copy = format!(r#"{{"name":"copy","copy_of":"{}"}}"#, first.id());
    let copied = ask("k2", &copy);
    assert_eq!(copied.status, 201, "{}", copied.text);
    let again = ask("k2", &copy);
    assert_eq!((again.status, again.id()), (200, copied.id()));
    let other = copy.replace("copy\",", "copy 2\",");
    assert_eq!(ask("k2", &other).problem(), (422, "idempotency-key-reused"));
}

#[test]
fn a_copy_has_the_settings_of_the_other() {
    let site = Site::confirmed();
    let first = create(
        &site,
        &json!({ "name": "a", "presets": ["CI"], "resources": "all", "lifetime_seconds": 600 }),
    );
    let copy = create(&site, &json!({ "name": "b", "copy_of": first.id() }));
    assert_eq!(copy.status, 201, "{}", copy.text);
    for member in ["scopes", "resources", "networks", "expires_at"] {
        assert_eq!(copy.json["token"][member], first.json["token"][member], "{member}");
    }
    let more = json!({ "name": "c", "copy_of": first.id(), "scopes": ["hooks"] });
    assert_eq!(create(&site, &more).wrong(), ["/copy_of"]);
    let foreign = site.issue("bob", "x").token.id;
    for id in [foreign.as_str(), "0000000000000000"] {
        let refused = create(&site, &json!({ "name": "c", "copy_of": id }));
        assert_eq!(refused.problem(), (404, "not-found"));
    }
}

/// C126.
#[test]
fn the_quota_holds_in_a_crowd() {
    for store in stores() {
        let site = Site::on(store(), |policy| policy.quota = Some(10));
        site.confirm("alice.1");
        for number in 0..9 {
            assert_eq!(site.make(&format!("t{number}")).status, 201);
        }
        let answers = together(20, |number| site.make(&format!("late {number}")));
        assert_eq!(answers.iter().filter(|answer| answer.status == 201).count(), 1);
        let full = |answer: &&Answer| answer.status == 409 && answer.code() == "quota-full";
        assert_eq!(answers.iter().filter(full).count(), 19);
    }
}

/// C127.
#[test]
fn of_many_rotations_one_wins() {
    for store in stores() {
        let site = Site::on(store(), |_| {});
        site.confirm("alice.1");
        let id = site.make("ci").id();
        let path = format!("/tokens/{id}/rotate");
        let ask = || site.send(post("alice.1", &path).header("if-match", "\"1\""), "{}");
        let answers = together(64, |_| ask());
        assert_eq!(answers.iter().filter(|answer| answer.status == 201).count(), 1);
        let lost = |answer: &&Answer| answer.status == 409 && answer.code() == "changed-meanwhile";
        assert_eq!(answers.iter().filter(lost).count(), 63);
    }
}

#[test]
fn rotating_shows_a_new_secret_and_keeps_the_old_one_for_a_while() {
    let site = Site::confirmed();
    let made = site.make("ci");
    let path = format!("/tokens/{}/rotate", made.id());
    let rotate = |version: u64, body: &str| {
        site.send(post("alice.1", &path).header("if-match", format!("\"{version}\"")), body)
    };
    assert_eq!(site.post("alice.1", &path, "{}").problem(), (428, "precondition-required"));
    for (body, wrong) in [
        (r#"{"overlap_seconds":-1}"#, "/overlap_seconds"),
        (r#"{"overlap_seconds":604801}"#, "/overlap_seconds"),
        (r#"{"overlap_seconds":9223372036854775807}"#, "/overlap_seconds"),
        (r#"{"expires_at":"never"}"#, "/expires_at"),
        (r#"{"lifetime_seconds":0}"#, "/lifetime_seconds"),
    ] {
        assert_eq!(rotate(1, body).wrong(), [wrong], "{body}");
    }
    let rotated = rotate(1, r#"{"overlap_seconds":60}"#);
    assert_eq!(rotated.status, 201, "{}", rotated.text);
    assert_eq!(rotated.header("location"), format!("/pat/tokens/{}", made.id()));
    assert_eq!(rotated.json["token"]["rotation"]["overlap_until"], "2026-11-22T09:01:00Z");
    assert_ne!(rotated.secret(), made.secret());
    for secret in [made.secret(), rotated.secret()] {
        assert!(site.world.verify(&secret).is_ok());
    }
    site.world.advance(TimeDelta::seconds(60));
    assert!(site.world.verify(&made.secret()).is_err());
    // No body means the usual overlap.
    let version = site.get("alice.1", &format!("/tokens/{}", made.id())).json["version"].clone();
    let plain = from_page("POST", "alice.1", &path).header("if-match", format!("\"{version}\""));
    assert_eq!(site.send(plain, "").status, 201);
    // C127: a revoked, an expired and a foreign one.
    assert_eq!(
        site.send(from_page("DELETE", "alice.1", &format!("/tokens/{}", made.id())), "").status,
        204
    );
    let any = |path: &str| site.send(post("alice.1", path).header("if-match", "*"), "{}");
    assert_eq!(any(&path).problem(), (409, "token-ended"));
    let body = r#"{"name":"short","scopes":["repo:read"],"lifetime_seconds":60}"#;
    let short = site.post("alice.1", "/tokens", body).id();
    site.world.advance(TimeDelta::seconds(60));
    assert_eq!(any(&format!("/tokens/{short}/rotate")).problem(), (409, "token-ended"));
    let foreign = site.issue("bob", "x").token.id;
    assert_eq!(any(&format!("/tokens/{foreign}/rotate")).problem(), (404, "not-found"));
}

#[test]
fn an_edit_changes_what_it_names_and_nobody_elses_change_is_lost() {
    let site = Site::confirmed();
    let made = site.make("ci");
    let path = format!("/tokens/{}", made.id());
    let edit = |version, body: &str| site.send(patch("alice.1", &path, version), body);
    let edited = edit(1, r#"{"name":"nightly","description":"new","resources":["a"]}"#);
    assert_eq!(edited.status, 200, "{}", edited.text);
    assert_eq!(edited.header("etag"), "\"2\"");
    let mut expected = made.json["token"].clone();
    for (member, value) in [
        ("name", json!("nightly")),
        ("description", json!("new")),
        ("resources", json!(["a"])),
        ("version", json!(2)),
    ] {
        expected[member] = value;
    }
    assert_eq!(edited.json, expected);
    assert_eq!(edit(1, r#"{"name":"x"}"#).problem(), (412, "precondition-failed"));
    assert_eq!(edit(1, "{}").problem(), (412, "precondition-failed"));
    let without = from_page("PATCH", "alice.1", &path).header("content-type", "application/json");
    assert_eq!(site.send(without, r#"{"name":"x"}"#).problem(), (428, "precondition-required"));
    let weak = from_page("PATCH", "alice.1", &path)
        .header("content-type", "application/json")
        .header("if-match", "W/\"2\"");
    assert_eq!(site.send(weak, r#"{"name":"x"}"#).problem(), (412, "precondition-failed"));
    assert_eq!(edit(2, "{}").json, expected);
    assert_eq!(edit(2, r#"{"description":null}"#).json["description"], Value::Null);
    for (body, wrong) in [
        (r#"{"name":null}"#, "/name"),
        (r#"{"scopes":null}"#, "/scopes"),
        (r#"{"scopes":[]}"#, "/scopes"),
        (r#"{"resources":null}"#, "/resources"),
        (r#"{"resources":"*"}"#, "/resources"),
        (r#"{"expires_at":null}"#, "/expires_at"),
        (r#"{"metadata":[]}"#, "/metadata"),
        (r#"{"id":"0000000000000000"}"#, "/id"),
        (r#"{"owner":"bob"}"#, "/owner"),
        (r#"{"version":9}"#, "/version"),
    ] {
        assert_eq!(edit(3, body).wrong(), [wrong], "{body}");
    }
    let other = site.make("other").id();
    let taken = edit(3, r#"{"name":"OTHER"}"#);
    assert_eq!(
        (taken.problem(), &taken.json["conflicts_with"]),
        ((409, "name-taken"), &json!(other))
    );
    // Widening needs what making needs; narrowing is free.
    site.world.advance(TimeDelta::minutes(6));
    let widened = r#"{"scopes":["repo:write"]}"#;
    assert_eq!(edit(3, widened).problem(), (403, "confirmation-required"));
    site.confirm("alice.1");
    assert_eq!(edit(3, widened).json["scopes"], json!(["repo:write"]));
    site.world.owners.limit("alice", &["repo:write"]);
    assert_eq!(edit(4, r#"{"scopes":["hooks"]}"#).problem(), (403, "scope-not-held"));
    site.world.advance(TimeDelta::minutes(6));
    assert_eq!(edit(4, r#"{"scopes":["repo:read"]}"#).status, 200);
    assert_eq!(site.send(from_page("DELETE", "alice.1", &path), "").status, 204);
    assert_eq!(
        site.send(patch("alice.1", &path, 6), r#"{"name":"x"}"#).problem(),
        (409, "token-ended")
    );
}

#[test]
fn a_token_is_set_aside_taken_back_and_ended() {
    let site = Site::confirmed();
    let made = site.make("ci");
    let path = format!("/tokens/{}", made.id());
    let act = |what: &str| site.send(from_page("POST", "alice.1", &format!("{path}/{what}")), "");
    assert_eq!(act("suspend").json["status"], "suspended");
    assert!(site.world.verify(&made.secret()).is_err());
    assert_eq!(act("suspend").json["status"], "suspended");
    let resumed = act("resume");
    assert_eq!((resumed.status, &resumed.json["status"]), (200, &json!("active")));
    assert!(site.world.verify(&made.secret()).is_ok());
    act("suspend");
    site.world.advance(TimeDelta::minutes(6));
    assert_eq!(act("resume").problem(), (403, "confirmation-required"));
    let remove = || site.send(from_page("DELETE", "alice.1", &path), "");
    let gone = remove();
    assert_eq!((gone.status, gone.headers.get("content-type")), (204, None));
    assert_eq!(remove().status, 204);
    for what in ["suspend", "resume"] {
        assert_eq!(act(what).problem(), (409, "token-ended"));
    }
    let read = site.get("alice.1", &path);
    assert_eq!(
        read.json["revocation"],
        json!({ "at": "2026-11-22T09:06:00Z", "by": "owner", "reason": "requested" })
    );
    assert_eq!(site.get("alice.1", "/tokens").json["tokens"], json!([]));
    let ended = site.get("alice.1", "/tokens?status=revoked");
    assert_eq!(ended.json["tokens"][0]["id"], json!(made.id()));
}

#[test]
fn a_token_is_ended_while_nobody_can_tell_of_confirmations() {
    let site = Site::without_confirmations();
    let (one, other) = (site.issue("alice", "one"), site.issue("alice", "other"));
    let path = |issued: &Issued| format!("/tokens/{}", issued.token.id);
    let act = |method: &str, path: String| site.send(from_page(method, "alice.1", &path), "");
    assert_eq!(act("POST", path(&one) + "/suspend").status, 200);
    for out in [act("POST", path(&one) + "/resume"), site.make("new")] {
        assert_eq!(out.problem(), (503, "unavailable"));
        assert_eq!(out.header("retry-after"), "5");
    }
    assert_eq!(act("DELETE", path(&one)).status, 204);
    assert_eq!(
        site.send(from_page("DELETE", "root.1", &format!("/admin{}", path(&other))), "").status,
        204
    );
    assert!(!site.world.accepts(&one) && !site.world.accepts(&other));
}

#[test]
fn an_owner_does_not_resume_what_an_administrator_suspended() {
    let site = Site::confirmed();
    site.confirm("root.1");
    let issued = site.issue("alice", "ci");
    let path = format!("/tokens/{}", issued.token.id);
    let act = |session: &str, path: &str| site.send(from_page("POST", session, path), "");
    let suspended = act("root.1", &format!("/admin{path}/suspend"));
    assert_eq!(
        suspended.json["suspension"],
        json!({ "at": "2026-11-22T09:00:00Z", "by": "admin:root" })
    );
    let refused = act("alice.1", &format!("{path}/resume"));
    assert_eq!(refused.problem(), (403, "suspended-by-administrator"));
    assert_eq!(act("alice.1", &format!("{path}/suspend")).json["suspension"]["by"], "admin:root");
    assert!(!site.world.accepts(&issued));
    assert_eq!(act("root.1", &format!("/admin{path}/resume")).json["suspension"], json!(null));
    assert_eq!(act("alice.1", &format!("{path}/suspend")).json["suspension"]["by"], "owner");
    assert_eq!(act("alice.1", &format!("{path}/resume")).json["status"], "active");
}

#[test]
fn several_tokens_end_at_once() {
    let site = Site::confirmed();
    let ids: Vec<String> = ["a", "b", "c"].iter().map(|name| site.make(name).id()).collect();
    let foreign = site.issue("bob", "x");
    let revoke = |body: Value| site.post("alice.1", "/tokens/revoke", body.to_string());
    for (body, wrong) in [
        (json!({}), ""),
        (json!({ "ids": [], }), "/ids"),
        (json!({ "ids": [ids[0]], "filter": {} }), ""),
        (json!({ "ids": vec![&ids[0]; 101] }), "/ids"),
        (json!({ "ids": ["x"] }), "/ids/0"),
        (json!({ "ids": null }), "/ids"),
        (json!({ "filter": null }), "/filter"),
        (json!({ "filter": { "q": "a" } }), "/filter/q"),
        (json!({ "filter": { "owner": "bob" } }), "/filter/owner"),
        (json!({ "filter": { "all": true } }), "/filter/all"),
        (json!({ "filter": { "status": ["dead"] } }), "/filter/status/0"),
    ] {
        assert_eq!(revoke(body.clone()).wrong(), [wrong], "{body}");
    }
    let done = revoke(json!({ "ids": [ids[0], foreign.token.id, "0000000000000000"] }));
    assert_eq!((done.status, &done.json), (200, &json!({ "revoked": [ids[0]] })));
    assert_eq!(revoke(json!({ "ids": [ids[0]] })).json, json!({ "revoked": [] }));
    let done = revoke(json!({ "filter": { "scope": "repo:read" } }));
    assert_eq!(done.json["revoked"].as_array().unwrap().len(), 2);
    assert!(site.world.accepts(&foreign));
    site.world.advance(TimeDelta::minutes(6));
    let late = revoke(json!({ "filter": {} }));
    assert_eq!(late.problem(), (403, "confirmation-required"));
}

/// C123.
#[test]
fn what_is_not_ones_own_is_not_there() {
    let site = Site::confirmed();
    let foreign = site.issue("bob", "x");
    let absent = site.get("alice.1", "/tokens/0000000000000000");
    assert_eq!(absent.problem(), (404, "not-found"));
    for id in [foreign.token.id.as_str(), "x", "00000000000000000", "%30000000000000000", ".."] {
        for (method, below) in [
            ("GET", ""),
            ("DELETE", ""),
            ("PATCH", ""),
            ("POST", "/rotate"),
            ("POST", "/suspend"),
            ("POST", "/resume"),
        ] {
            let request = from_page(method, "alice.1", &format!("/tokens/{id}{below}"))
                .header("content-type", "application/json")
                .header("if-match", "\"1\"");
            let answer = site.send(request, r#"{}"#);
            assert_eq!(answer.text, absent.text, "{method} {id}");
        }
    }
    assert!(site.world.accepts(&foreign));
    for path in ["", "/", "/tokens/", "/nothing", "/tokens/a/b/c"] {
        let nowhere = site.send(get("alice.1", path), "");
        assert_eq!(nowhere.problem(), (404, "not-found"), "{path}");
    }
}

#[test]
fn an_outage_is_told_as_one() {
    let site = Site::confirmed();
    let id = site.make("ci").id();
    site.world.store.breaks(Step::Insert, Fault::Fails);
    site.world.store.breaks(Step::List, Fault::Fails);
    site.world.store.breaks(Step::Update, Fault::Fails);
    site.world.store.breaks(Step::Revoke, Fault::Fails);
    let path = format!("/tokens/{id}");
    let rotate = post("alice.1", &format!("{path}/rotate")).header("if-match", "*");
    for answer in [
        site.make("other"),
        site.get("alice.1", "/tokens"),
        site.send(patch("alice.1", &path, 1), r#"{"name":"x"}"#),
        site.send(from_page("DELETE", "alice.1", &path), ""),
        site.send(rotate, "{}"),
        site.post("alice.1", "/tokens/revoke", r#"{"filter":{}}"#),
    ] {
        assert_eq!(answer.problem(), (503, "unavailable"));
        assert_eq!(answer.header("retry-after"), "5");
        assert!(!answer.text.contains("insert"), "{}", answer.text);
    }
    site.world.store.heals();
    site.world.owners.say("alice", crate::world::Answer::Fails);
    assert_eq!(site.make("other").problem(), (503, "unavailable"));
    assert_eq!(site.get("alice.1", "/scopes").problem(), (503, "unavailable"));
    site.world.owners.say("alice", crate::world::Answer::Unknown);
    assert_eq!(site.make("other").problem(), (403, "owner-not-allowed"));
}

#[test]
fn the_catalog_tells_what_can_be_granted() {
    let site = Site::new();
    site.world.owners.limit("alice", &["repo:write"]);
    let catalog = site.get("alice.1", "/scopes").json;
    let scope = |name: &str| {
        let all = catalog["scopes"].as_array().unwrap();
        all.iter().find(|scope| scope["scope"] == name).unwrap().clone()
    };
    assert_eq!(
        scope("repo:write"),
        json!({
            "scope": "repo:write", "title": "repo:write", "description": "", "group": "",
            "implies": ["repo:read"], "kinds": ["pat", "app", "at", "rt"], "always": false,
            "grantable": true,
        })
    );
    assert_eq!(scope("repo:admin")["grantable"], false);
    assert_eq!(scope("session")["kinds"], json!(["pat"]));
    let preset = json!([{ "name": "CI", "scopes": ["hooks", "repo:write"], "grantable": false }]);
    assert_eq!(catalog["presets"], preset);
    let policy = site.get("alice.1", "/policy");
    assert_eq!(
        policy.json,
        json!({
            "brand": "acme", "default_lifetime_seconds": 2_592_000, "min_lifetime_seconds": 1,
            "max_lifetime_seconds": 31_622_400, "allow_never": false, "quota": 50,
            "unique_names": true, "overlap_seconds": 86_400, "max_overlap_seconds": 604_800,
            "max_idle_seconds": null, "confirmation_seconds": 300, "may_hold_tokens": true,
        })
    );
    site.world.owners.say("alice", crate::world::Answer::Unknown);
    assert_eq!(site.get("alice.1", "/policy").json["may_hold_tokens"], false);
}

#[test]
fn a_tightened_policy_shows() {
    let site = Site::confirmed();
    let id = site.make("ci").id();
    let strict = site.world.again(|builder| {
        builder.policy(hallpass::Policy {
            default_lifetime: TimeDelta::days(1),
            max_lifetime: TimeDelta::days(1),
            ..hallpass::Policy::default()
        })
    });
    let sessions = Arc::clone(&site.sessions);
    let host =
        hallpass::host::Host::builder(strict, crate::api_support::ORIGIN, Arc::clone(&sessions))
            .confirmation(hallpass::host::RememberedConfirmation::new(sessions))
            .build()
            .unwrap();
    let api = hallpass::api::Api::builder(host).mounted_at("/pat").build().unwrap();
    let read = || {
        let (head, ()) = get("alice.1", &format!("/tokens/{id}")).body(()).unwrap().into_parts();
        let response = run(api.respond(head, b"", None));
        serde_json::from_slice::<Value>(response.body()).unwrap()
    };
    assert_eq!(read()["expires_at"], "2026-11-23T09:00:00Z");
    site.world.advance(TimeDelta::days(1));
    assert_eq!(read()["status"], "expired");
}

#[test]
fn last_use_and_rotation_are_shown() {
    let site = Site::confirmed();
    let made = site.make("ci");
    let context = Context {
        ip: Some("192.0.2.9".parse().unwrap()),
        agent: Some("curl/8"),
        ..Context::default()
    };
    run(site.world.hallpass.verify(&made.secret(), &context)).unwrap();
    let read = site.get("alice.1", &format!("/tokens/{}", made.id()));
    let used = json!({ "at": "2026-11-22T09:00:00Z", "ip": "192.0.2.9", "agent": "curl/8" });
    assert_eq!(read.json["last_use"], used);
    let id = made.id().parse().unwrap();
    run(site.world.hallpass.rotate(&id, Rotate::new())).unwrap();
    let read = site.get("alice.1", &format!("/tokens/{}", made.id()));
    let rotation = json!({
        "rotated_at": "2026-11-22T09:00:00Z", "overlap_until": "2026-11-23T09:00:00Z",
        "first_used_at": null,
    });
    assert_eq!(read.json["rotation"], rotation);
}
