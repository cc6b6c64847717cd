//! Tokens that moved to another store, and files that are refused.

use std::io::{BufReader, Read};
use std::sync::Arc;

use chrono::TimeDelta;
use hallpass::transfer::{FORMAT, ImportError, check, export, import};
use hallpass::{
    Context, DenialReason, Exchange, Issue, IssueError, MemoryStore, PepperRing, Refresh,
    RevocationReason, Rotate, TokenStore,
};

use crate::world::{Fault, Step, World, ci, run, stores, tenant};

/// The file of a world's store.
fn file_of(world: &World) -> Vec<u8> {
    let mut file = Vec::new();
    run(export(&*world.store, Some(world.hallpass.brand()), &mut file)).unwrap();
    file
}

#[test]
fn a_moved_token_does_all_it_did_before() {
    let pepper: Vec<u8> = (7..39).collect();
    let ring = || PepperRing::none().with_current(3, &pepper).unwrap();
    let old = World::build(Arc::new(MemoryStore::new()), |builder| builder.peppers(ring()));
    let plain = old.token("plain");
    let revoked = old.token("revoked");
    run(old.hallpass.revoke(&revoked.token.id, RevocationReason::Leaked)).unwrap();
    let first = old.token("rotated");
    let second = run(old.hallpass.rotate(&first.token.id, Rotate::default())).unwrap();
    let suspended = old.token("suspended");
    run(old.hallpass.suspend(&suspended.token.id)).unwrap();
    let parent = old.issue(ci("parent").tenant(tenant("acme")));
    let child =
        run(old.hallpass.exchange(parent.plain.expose(), &Context::default(), Exchange::default()))
            .unwrap();
    let app = Issue::new("app").owner("u1").scopes(["repo:write"]).for_client("reader");
    let grant = run(old.hallpass.issue_with_refresh(app)).unwrap();
    let keyed = old.issue(ci("keyed").idempotency_key("once"));
    assert!(old.accepts(&plain));
    run(old.hallpass.maintain()).unwrap();
    let file = file_of(&old);

    for store in stores() {
        let new = World::build(store(), |builder| builder.peppers(ring()));
        let moved = run(import(&*new.store, Some(new.hallpass.brand()), &*file)).unwrap();
        assert_eq!((moved.added, moved.already), (moved.tally.tokens, 0));
        assert_eq!(moved.tally.peppers.into_iter().collect::<Vec<_>>(), [(3, moved.added)]);
        for issued in [&plain, &parent, &child, &grant.access, &keyed] {
            assert!(new.accepts(issued));
            assert_eq!(new.record(issued), old.record(issued));
        }
        assert_eq!(new.refusal(revoked.plain.expose()), DenialReason::Revoked);
        assert_eq!(new.refusal(suspended.plain.expose()), DenialReason::Suspended);
        // The overlap of the rotation goes on, and ends when it was to end.
        assert!(new.accepts(&first) && new.accepts(&second));
        new.advance(TimeDelta::hours(25));
        assert_eq!(new.refusal(first.plain.expose()), DenialReason::Superseded);
        assert!(new.accepts(&second));
        let third = run(new.hallpass.rotate(&first.token.id, Rotate::default())).unwrap();
        assert!(new.accepts(&third));
        // Refresh tokens refresh, and children end with their parents.
        let context = Context::default();
        let refreshed =
            new.hallpass.refresh(grant.refresh.plain.expose(), &context, Refresh::new("reader"));
        assert!(new.accepts(&run(refreshed).unwrap().access));
        run(new.hallpass.revoke(&parent.token.id, RevocationReason::Requested)).unwrap();
        assert!(!new.accepts(&child));
        // The same issue gives the same token.
        let again = run(new.hallpass.issue(ci("keyed").idempotency_key("once")));
        let replayed =
            matches!(&again, Err(IssueError::Replayed(known)) if known.id == keyed.token.id);
        assert!(replayed, "{again:?}");
    }
}

/// Why a file is refused, by [`check`] and by [`import`] alike, after how many records.
fn refusal(file: &[u8]) -> (ImportError, usize) {
    let store = MemoryStore::new();
    let error = run(import(&store, None, file)).unwrap_err();
    assert_eq!(check(None, file).unwrap_err().to_string(), error.to_string());
    let mut there = Vec::new();
    let tally = run(export(&store, None, &mut there)).unwrap();
    (error, usize::try_from(tally.tokens).unwrap())
}

fn three() -> String {
    let world = World::new();
    for name in ["a", "b", "c"] {
        world.token(name);
        world.advance(TimeDelta::seconds(1));
    }
    String::from_utf8(file_of(&world)).unwrap()
}

#[test]
fn a_line_that_is_none_is_named() {
    let file = three();
    let lines: Vec<&str> = file.lines().collect();
    let record = lines[2];
    let bad = |line: &str| {
        let file = format!("{}\n{}\n{line}\n{}\n{}\n", lines[0], lines[1], lines[3], lines[4]);
        refusal(file.as_bytes()).0
    };
    let digest = record.split("\"digest\":\"").nth(1).unwrap().split('"').next().unwrap();
    let without = |field: &str, value: &str| {
        let part = format!("\"{field}\":{value},");
        assert!(record.contains(&part), "{part} in {record}");
        record.replace(&part, "")
    };
    let with = |from: &str, to: &str| {
        assert!(record.contains(from), "{from} in {record}");
        record.replace(from, to)
    };
    for (line, told) in [
        (String::new(), "EOF"),
        ("null".to_owned(), "invalid type"),
        ("[]".to_owned(), "invalid"),
        (format!("{record}{record}"), "trailing characters"),
        (format!("\u{feff}{record}"), "expected value"),
        (without("expires_at", &format!("{:?}", field(record, "expires_at"))), "`expires_at`"),
        (without("revocation", "null"), "missing field `revocation`"),
        (without("networks", "\"anywhere\""), "missing field `networks`"),
        (without("rotation", "null"), "missing field `rotation`"),
        (with("\"notices\":0", "\"notices\":0,\"notices\":0"), "duplicate field `notices`"),
        (with("\"notices\":0", "\"notices\":256"), "invalid value"),
        (with("\"notices\":0", "\"notices\":0,\"secret\":\"x\""), "unknown field"),
        (with("\"version\":1", "\"version\":0"), "`version`"),
        (with("\"version\":1", "\"version\":9223372036854775808"), "`version`"),
        (with("\"version\":1", "\"version\":-1"), "invalid value"),
        (with("\"kind\":\"pat\"", "\"kind\":\"PAT\""), "unknown variant"),
        (with("\"owner\":\"u1\"", "\"owner\":\"\""), "column"),
        (with("\"name\":\"b\"", "\"name\":\" b\""), "column"),
        (with("\"anywhere\"", "\"everywhere\""), "match"),
        (with("\"anywhere\"", "[\"10.0.0.0/33\"]"), "`networks`"),
        (with("\"metadata\":\"{}\"", "\"metadata\":\"[]\""), "JSON object"),
        (with("\"scopes\":[\"repo:read\"]", "\"scopes\":\"*\""), "invalid type"),
        (with("\"scopes\":[\"repo:read\"]", "\"scopes\":[\"a b\"]"), "column"),
        (with("\"created_at\":\"2026", "\"created_at\":\"+2026"), "column"),
        (with(&format!("\"{digest}\""), "7"), "invalid type"),
        (with("\"notices\":0", &format!("\"notices\":\"{digest}\"")), "invalid type, expected u8"),
    ] {
        let error = bad(&line);
        assert!(matches!(error, ImportError::Line { line: 3, .. }), "{error:?} for {line}");
        let text = error.to_string();
        assert!(text.contains(told), "{text} for {line}");
        // Nothing that is told holds what is checked against secrets.
        assert!(!text.contains(digest), "{text}");
    }
    let mut bytes = file.clone().into_bytes();
    let place = file.find("\"c\"").unwrap() + 1;
    bytes[place] = 0xff;
    let (error, _) = refusal(&bytes);
    assert_eq!(error.to_string(), "line 4 is no line of an export: it is not UTF-8");
    let long = format!("{}\n{}", lines[0], "x".repeat(2 << 20));
    assert!(refusal(long.as_bytes()).0.to_string().contains("line 2 is no line"));
}

/// A field's text in a line.
fn field<'a>(line: &'a str, name: &str) -> &'a str {
    line.split(&format!("\"{name}\":\"")).nth(1).unwrap().split('"').next().unwrap()
}

#[test]
fn a_cut_file_is_noticed_wherever_it_was_cut() {
    let file = three();
    for len in 0..file.len() {
        let (error, _) = refusal(&file.as_bytes()[..len]);
        assert!(matches!(error, ImportError::Cut { .. }), "{error:?} at {len}");
    }
    let lines: Vec<&str> = file.lines().collect();
    let put = |lines: &[&str]| refusal(format!("{}\n", lines.join("\n")).as_bytes());
    // A record that is missing, one too many, and what comes after the end.
    let (missing, _) = put(&[lines[0], lines[1], lines[3], lines[4]]);
    assert!(matches!(missing, ImportError::Count { found: 2, told: 3 }), "{missing:?}");
    let (twice, _) = put(&[lines[0], lines[1], lines[1], lines[2], lines[3], lines[4]]);
    assert!(matches!(twice, ImportError::Count { found: 4, told: 3 }), "{twice:?}");
    let (after, _) = put(&[lines[0], lines[1], lines[2], lines[3], lines[4], lines[1]]);
    assert!(matches!(after, ImportError::Line { line: 6, .. }), "{after:?}");
    let peppers = lines[4].replace("\"0\":3", "\"0\":2,\"1\":1");
    let (other, _) = put(&[lines[0], lines[1], lines[2], lines[3], &peppers]);
    assert!(matches!(other, ImportError::Count { .. }), "{other:?}");
}

#[test]
fn files_of_other_formats_and_brands_are_refused() {
    let file = three();
    let head = format!("{{\"hallpass\":\"tokens\",\"format\":{FORMAT},\"brand\":\"acme\"}}");
    assert!(file.starts_with(&head));
    let with = |to: &str| refusal(file.replace(&head, to).as_bytes()).0;
    let later = with("{\"hallpass\":\"tokens\",\"format\":2,\"brand\":null,\"more\":1}");
    assert!(matches!(later, ImportError::Format { found: 2 }), "{later:?}");
    for strange in [
        "{}",
        "id,kind,tenant",
        "{\"hallpass\":\"scopes\",\"format\":1,\"brand\":null}",
        "{\"hallpass\":\"tokens\",\"format\":1}",
        "{\"hallpass\":\"tokens\",\"format\":-1,\"brand\":null}",
    ] {
        let error = with(strange);
        assert!(matches!(error, ImportError::Line { line: 1, .. }), "{error:?} for {strange}");
    }
    let world = World::new();
    let acme = world.hallpass.brand();
    assert!(check(Some(acme), file.as_bytes()).is_ok());
    for other in ["\"other\"", "null"] {
        let other = file.replace("\"brand\":\"acme\"", &format!("\"brand\":{other}"));
        let error = run(import(&*world.store, Some(acme), other.as_bytes())).unwrap_err();
        assert!(matches!(error, ImportError::Brand { .. }), "{error:?}");
    }
    assert_eq!(world.store.calls(Step::Insert), 0);
}

#[test]
fn an_import_that_failed_is_finished_by_another() {
    let file = three();
    for fault in [Fault::Fails, Fault::Loses] {
        let world = World::new();
        world.store.breaks(Step::Insert, fault);
        let error = run(import(&*world.store, None, file.as_bytes())).unwrap_err();
        assert!(matches!(error, ImportError::Store { line: 2, .. }), "{error:?}");
        world.store.heals();
        let finished = run(import(&*world.store, None, file.as_bytes())).unwrap();
        assert_eq!(finished.added + finished.already, 3);
        assert_eq!(world.all().len(), 3);
    }
}

#[test]
fn what_cannot_be_read_or_written_whole_is_an_error() {
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            Err(std::io::Error::other("a bad disk"))
        }
    }
    let store = MemoryStore::new();
    let error = run(import(&store, None, BufReader::new(Broken))).unwrap_err();
    assert!(matches!(error, ImportError::File(_)), "{error:?}");
    let world = World::new();
    world.token("a");
    let mut small = [0; 100];
    assert!(run(export(&*world.store, None, &mut small[..])).is_err());
    world.store.breaks(Step::List, Fault::Fails);
    assert!(run(export(&*world.store, None, Vec::new())).is_err());
    assert!(run(world.store.find(&"0000000000000001".parse().unwrap())).unwrap().is_none());
}
