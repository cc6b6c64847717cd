//! Reports of leaked tokens: H23 and C141 to C148.

use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE};
use chrono::TimeDelta;
use hallpass::scan::{Leaks, MAX_MATCHES, MAX_REPORT_LEN, PartnerKeys};
use hallpass::{
    Context, DenialReason, Event, EventSink, Exchange, Hallpass, ManualClock, MemoryStore,
    RevocationReason, Timestamp,
};
use http::Request;
use serde_json::json;

use crate::http_support::written;
use crate::scan_support::{Desk, H23, Partner, UNAVAILABLE, document, labels, report};
use crate::world::{Fault, Step, World, ci, run, secret_of, start, text_of};

const TP: &str = "true_positive";
const FP: &str = "false_positive";

/// What GitHub gives as an example of a signed report, with the key for it.
#[test]
fn githubs_own_example_is_verified() {
    let id = "f9525bf080f75b3506ca1ead061add62b8633a346606dc5fe544e29231c6ee0d";
    let pem = "-----BEGIN PUBLIC KEY-----\n\
        MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEsz9ugWDj5jK5ELBK42ynytbo38gP\n\
        HzZFI03Exwz8Lh/tCfL3YxwMdLjB+bMznsanlhK0RwcGP3IDb34kQDIo3Q==\n\
        -----END PUBLIC KEY-----\n";
    let signature = "MEUCIFLZzeK++IhS+y276SRk2Pe5LfDrfvTXu6iwKKcFGCrvAiEAhHN2kDOhy2I6eGkOFmxNkOJ+\
        L2y8oQ9A2T9GGJo6WJY=";
    let body =
        br#"[{"token":"some_token","type":"some_type","url":"some_url","source":"some_source"}]"#;
    let keys = json!({"public_keys": [{"key_identifier": id, "key": pem, "is_current": true}]});
    let keys = PartnerKeys::fixed(keys.to_string().as_bytes()).unwrap();
    let leaks = Leaks::new(World::new().hallpass, "github", keys).unwrap();
    let head = Request::post("/")
        .header("GITHUB-PUBLIC-KEY-IDENTIFIER", id)
        .header("GITHUB-PUBLIC-KEY-SIGNATURE", signature);
    let (head, ()) = head.body(()).unwrap().into_parts();
    let answer = written(&run(leaks.report(&head, body)));
    assert_eq!(labels(&answer), [FP]);
    let mut other = body.to_vec();
    other.push(b'\n');
    assert_eq!(written(&run(leaks.report(&head, &other))), H23);
}

#[test]
fn c141_what_is_not_signed_is_refused_before_anything_is_looked_at() {
    let desk = Desk::new();
    let token = desk.world.token("ok");
    let body = report(&[token.plain.expose()]);
    let post = || Request::post("/leaks").header("content-type", "application/json");
    let signature = STANDARD.encode(desk.partner.der(&body));
    let (key, sig) = ("github-public-key-identifier", "github-public-key-signature");
    for (request, why) in [
        (post(), "both missing"),
        (post().header(key, "k1"), "no signature"),
        (post().header(sig, &signature), "no key"),
        (desk.partner.signs(&body).header(key, "k1"), "two keys"),
        (desk.partner.signs(&body).header(sig, &signature), "two signatures"),
        (post().header(key, "").header(sig, &signature), "an empty key"),
        (post().header(key, "k1").header(sig, ""), "an empty signature"),
        (post().header(key, "k\u{e9}").header(sig, &signature), "a key that is no text"),
        (post().header(key, "k".repeat(257)).header(sig, &signature), "a long key"),
        (post().header(key, "k1").header(sig, "A".repeat(4096)), "a long signature"),
    ] {
        assert_eq!(desk.answer(request, &body), H23, "{why}");
    }
    // Not even the keys were fetched.
    assert_eq!((desk.board.asked(), desk.world.store.lookups()), (0, 0));
    assert!(desk.world.accepts(&token));
}

/// A signature in DER out of what stands for its numbers.
fn der(r: &[u8], s: &[u8]) -> Vec<u8> {
    let len = |bytes: &[u8]| u8::try_from(bytes.len()).unwrap();
    let number = |bytes: &[u8]| [&[2, len(bytes)], bytes].concat();
    let inner = [number(r), number(s)].concat();
    [&[0x30, len(&inner)], inner.as_slice()].concat()
}

/// A number as DER writes it.
fn shortest(number: &[u8]) -> Vec<u8> {
    let start = number.iter().position(|byte| *byte != 0).unwrap_or(number.len() - 1);
    let sign = if number[start] & 0x80 == 0 { &[][..] } else { &[0] };
    [sign, &number[start..]].concat()
}

#[test]
fn c142_a_signature_has_one_spelling() {
    let desk = Desk::new();
    let token = desk.world.token("ok");
    let body = report(&[token.plain.expose()]);
    // One with a number that needs its leading zero, and with digits that alphabets differ in.
    let (good, r, s) = std::iter::repeat_with(|| {
        let fixed = desk.partner.numbers(&body);
        let (r, s) = fixed.split_at(32);
        (der(&shortest(r), &shortest(s)), r.to_vec(), s.to_vec())
    })
    .find(|(good, r, _)| {
        let digits = STANDARD.encode(good);
        r[0] & 0x80 != 0 && digits.ends_with('=') && digits.contains(['+', '/'])
    })
    .unwrap();
    let with = |start: &[u8], number: &[u8]| [start, number].concat();
    let (short_r, short_s) = (shortest(&r), shortest(&s));
    let mut long_form = good.clone();
    long_form.splice(1..2, [0x81, good[1]]);
    let mut indefinite = good.clone();
    indefinite[1] = 0x80;
    indefinite.extend([0, 0]);
    for (signature, why) in [
        ([r.clone(), s.clone()].concat(), "two bare numbers"),
        (with(&good, &[0]), "a byte behind"),
        (der(&r, &short_s), "a negative r"),
        (der(&[0], &short_s), "r is zero"),
        (der(&short_r, &[0]), "s is zero"),
        (der(&[], &short_s), "no r"),
        (der(&with(&[0], &short_r), &short_s), "a zero too many"),
        (der(&with(&[0xff], &r), &short_s), "a long negative r"),
        (long_form, "a length in two bytes"),
        (indefinite, "no length"),
        (good[..good.len() - 1].to_vec(), "cut off"),
        (Vec::new(), "nothing"),
        (vec![0x30, 0], "an empty sequence"),
    ] {
        assert_eq!(
            desk.answer(desk.partner.says(&STANDARD.encode(signature)), &body),
            H23,
            "{why}"
        );
    }
    let text = STANDARD.encode(&good);
    for (text, why) in [
        (URL_SAFE.encode(&good), "another alphabet"),
        (STANDARD_NO_PAD.encode(&good), "no padding"),
        (format!("{text}="), "more padding"),
        (format!("{} {}", &text[..8], &text[8..]), "a space inside"),
        (format!("\"{text}\""), "quotes"),
        ("%%%%".to_owned(), "no base64"),
        (good.iter().map(|byte| format!("{byte:02x}")).collect(), "hex"),
    ] {
        assert_eq!(desk.answer(desk.partner.says(&text), &body), H23, "{why}");
    }
    // Over the same JSON, written otherwise; and by somebody else.
    let parsed: serde_json::Value = serde_json::from_slice(&body).unwrap();
    let pretty = serde_json::to_vec_pretty(&parsed).unwrap();
    assert_eq!(desk.answer(desk.partner.signs(&pretty), &body), H23);
    assert_eq!(desk.answer(Partner::new("k1").signs(&body), &body), H23);
    assert!(desk.world.accepts(&token));
    assert_eq!(labels(&desk.answer(desk.partner.says(&text), &body)), [TP]);
}

#[test]
fn c143_unknown_keys_cause_one_fetch() {
    let desk = Desk::new();
    let body = report(&[]);
    assert_eq!(desk.labels(&[]), [""; 0]);
    assert_eq!(desk.board.asked(), 1);
    for number in 0..1000 {
        let stranger = desk.partner.signs(&body);
        let mut stranger = stranger.body(()).unwrap();
        let headers = stranger.headers_mut();
        headers.insert("github-public-key-identifier", format!("k{number}x").parse().unwrap());
        let (head, ()) = stranger.into_parts();
        assert_eq!(written(&run(desk.leaks.report(&head, &body))), H23);
    }
    assert_eq!(desk.board.asked(), 2);
}

/// `[OK, revoked, expired, unknown, bad checksum, exchanged, the same twice]`
#[test]
fn c144_a_batch_is_labelled_and_every_token_in_it_ends() {
    let desk = Desk::new();
    let world = &desk.world;
    let short = ci("expired").expiry(hallpass::Expiry::In(TimeDelta::hours(1)));
    let expired = world.issue(short);
    world.advance(TimeDelta::hours(2));
    let [ok, revoked, parent, twice, other] =
        ["ok", "revoked", "parent", "twice", "other"].map(|name| world.token(name));
    run(world.hallpass.revoke(&revoked.token.id, RevocationReason::Requested)).unwrap();
    let text = parent.plain.expose();
    let exchanged = run(world.hallpass.exchange(text, &Context::default(), Exchange::new()));
    let exchanged = exchanged.unwrap();
    // What is made from a token in the batch ends with it, and is no reason to tell twice.
    let [from_ok, from_twice] = [&ok, &twice].map(|token| {
        let text = token.plain.expose();
        run(world.hallpass.exchange(text, &Context::default(), Exchange::new())).unwrap()
    });
    let unknown = text_of("pat", "0000000000000000", &"a".repeat(43));
    let last = ok.plain.expose().len() - 1;
    let bad = format!("{}{}", &ok.plain.expose()[..last], "!");
    world.events.take();
    let batch = [
        ok.plain.expose(),
        revoked.plain.expose(),
        expired.plain.expose(),
        &unknown,
        &bad,
        exchanged.plain.expose(),
        twice.plain.expose(),
        twice.plain.expose(),
    ];
    for replayed in [false, true] {
        assert_eq!(desk.labels(&batch), [TP, TP, TP, FP, FP, TP, TP, TP]);
        let told = world.events.take().into_iter().filter_map(|event| match event {
            Event::Leaked { token, .. } => Some(token.id),
            _ => None,
        });
        let ended = [&ok, &expired, &exchanged, &twice].map(|token| token.token.id);
        assert_eq!(told.collect::<Vec<_>>(), if replayed { &[][..] } else { &ended });
    }
    for dead in [&ok, &exchanged, &twice, &from_ok, &from_twice] {
        assert_eq!(world.refusal(dead.plain.expose()), DenialReason::Revoked);
    }
    assert!(world.accepts(&parent) && world.accepts(&other));
    run(world.hallpass.maintain()).unwrap();
    assert_eq!(world.get(&ok).last_use, None);
    let first = world.get(&revoked).revocation.unwrap();
    assert_eq!(first.reason, RevocationReason::Requested);
}

#[test]
fn c145_what_is_said_besides_the_token_does_not_matter() {
    let desk = Desk::new();
    for (number, rest) in [
        json!({"type": "t", "url": "", "source": "content"}),
        json!({"type": "t", "url": "https://a.example"}),
        json!({"type": "t", "url": "https://a.example", "source": "npm"}),
        json!({"type": "t", "url": "https://a.example", "source": "somewhere new"}),
        json!({"type": "t", "url": null, "source": null, "more": {"a": [1]}}),
        json!({}),
    ]
    .into_iter()
    .enumerate()
    {
        let token = desk.world.token(&format!("ci {number}"));
        let mut found = rest.clone();
        found["token"] = token.plain.expose().into();
        let body = json!([found]).to_string();
        assert_eq!(labels(&desk.signed(body.as_bytes())), [TP], "{rest}");
        assert!(!desk.world.accepts(&token));
    }
}

#[test]
fn c146_what_is_no_token_is_a_false_positive_and_what_is_no_list_a_bad_request() {
    let desk = Desk::new();
    let token = desk.world.token("ok");
    let text = token.plain.expose();
    let long = "a".repeat(1024 * 1024);
    for odd in [json!(format!("{text}\n")), json!(long), json!(7), json!(null), json!([text])] {
        let body = json!([{"token": odd}, {"token": format!("\n{text}")}]).to_string();
        assert_eq!(labels(&desk.signed(body.as_bytes())), [FP, FP]);
    }
    assert!(desk.world.accepts(&token));
    let malformed = "400
cache-control: no-store
content-type: application/problem+json

{\"type\":\"urn:hallpass:problem:malformed-report\",\"title\":\"Malformed report\",\"status\":400,\
\"detail\":\"A report is a JSON array of matches, each with a token\"}";
    for body in ["", "{}", &format!(r#"{{"token":"{text}"}}"#), "null", "[", "[]x"] {
        assert_eq!(desk.signed(body.as_bytes()), malformed, "{body}");
    }
    let empty = "200\ncache-control: no-store\ncontent-type: application/json\n\n[]";
    assert_eq!(desk.signed(b"[]"), empty);
    assert!(desk.world.accepts(&token));
    // What is odd does not hide a token beside it.
    let body = json!([7, {"token": text}, {}]).to_string();
    assert_eq!(labels(&desk.signed(body.as_bytes())), [FP, TP, FP]);
}

#[test]
fn c147_a_failure_in_the_middle_spares_no_other_and_a_replay_completes() {
    let world = World::with(|policy| policy.quota = None);
    let desk = Desk::on(world);
    let tokens: Vec<_> = (0..MAX_MATCHES).map(|n| desk.world.token(&format!("ci {n}"))).collect();
    let texts: Vec<_> = tokens.iter().map(|token| token.plain.expose()).collect();
    let body = report(&texts);
    desk.world.store.breaks_revocation_of(tokens[5].token.id);
    assert_eq!(desk.signed(&body), UNAVAILABLE);
    for (number, token) in tokens.iter().enumerate() {
        assert_eq!(desk.world.accepts(token), number == 5, "{number}");
    }
    desk.world.store.heals();
    assert_eq!(desk.labels(&texts), vec![TP; MAX_MATCHES]);
    assert!(!desk.world.accepts(&tokens[5]));
    let told = desk.world.events.count(|event| matches!(event, Event::Leaked { .. }));
    assert_eq!(told, MAX_MATCHES);
}

#[test]
fn c148_an_old_report_says_nothing_of_new_tokens() {
    let desk = Desk::new();
    let old = desk.world.token("ci");
    let body = report(&[old.plain.expose()]);
    let signature = STANDARD.encode(desk.partner.der(&body));
    let send = || desk.answer(desk.partner.says(&signature), &body);
    assert_eq!(labels(&send()), [TP]);
    let new = desk.world.token("ci");
    for days in [0, 1, 300] {
        desk.world.advance(TimeDelta::days(days));
        assert_eq!(labels(&send()), [TP]);
    }
    assert_eq!(desk.world.get(&new).revocation, None);
}

#[test]
fn a_store_that_is_out_of_order_is_an_outage_and_no_label() {
    let desk = Desk::new();
    let token = desk.world.token("ok");
    let texts = [token.plain.expose(), "noise"];
    for (step, fault) in [(Step::Revoke, Fault::Fails), (Step::Revoke, Fault::Loses)] {
        desk.world.store.breaks(step, fault);
        assert_eq!(desk.signed(&report(&texts)), UNAVAILABLE);
        desk.world.store.heals();
    }
    assert_eq!(desk.labels(&texts), [TP, FP]);
    assert!(!desk.world.accepts(&token));
}

/// What takes too long goes on at the next report.
#[test]
fn a_report_has_a_budget_of_time() {
    #[derive(Debug)]
    struct Slow(Arc<ManualClock>, Mutex<usize>);

    impl EventSink for Slow {
        fn emit(&self, _: Timestamp, event: &Event) {
            if matches!(event, Event::Leaked { .. }) {
                *self.1.lock().unwrap() += 1;
                self.0.advance(TimeDelta::milliseconds(200));
            }
        }
    }

    let clock = Arc::new(ManualClock::at(start()));
    let sink = Arc::new(Slow(Arc::clone(&clock), Mutex::new(0)));
    let hallpass = Hallpass::builder(MemoryStore::new())
        .brand("acme")
        .catalog(crate::world::catalog())
        .policy(hallpass::Policy { quota: None, ..hallpass::Policy::default() })
        .clock(clock)
        .events(Arc::clone(&sink))
        .build()
        .unwrap();
    let partner = Partner::new("k1");
    let keys = PartnerKeys::fixed(&document(&[&partner])).unwrap();
    let leaks = Leaks::new(hallpass.clone(), "github", keys).unwrap();
    let issue = |n| run(hallpass.issue(ci(&format!("ci {n}")))).unwrap().plain;
    let plain: Vec<_> = (0..300).map(issue).collect();
    let texts: Vec<_> = plain.iter().map(hallpass::PlainToken::expose).collect();
    let body = report(&texts);
    let send = || {
        let (head, ()) = partner.signs(&body).body(()).unwrap().into_parts();
        written(&run(leaks.report(&head, &body)))
    };
    for ended in [128, 256] {
        assert_eq!(send(), UNAVAILABLE);
        assert_eq!(*sink.1.lock().unwrap(), ended);
    }
    assert_eq!(labels(&send()), vec![TP; 300]);
}

#[test]
fn a_report_has_bounds_and_one_method() {
    let desk = Desk::new();
    let too_large = "413
cache-control: no-store
content-type: application/problem+json

{\"type\":\"urn:hallpass:problem:report-too-large\",\"title\":\"Report too large\",\"status\":413,\
\"detail\":\"A report has at most 10000 matches and 5 MiB\"}";
    assert_eq!(written(&desk.leaks.too_large()), too_large);
    assert_eq!(desk.signed(&report(&vec!["x"; MAX_MATCHES + 1])), too_large);
    assert_eq!(desk.labels(&vec!["x"; MAX_MATCHES]).len(), MAX_MATCHES);
    let mut body = report(&["x"]);
    body.resize(MAX_REPORT_LEN, b' ');
    assert_eq!(labels(&desk.signed(&body)), [FP]);
    body.push(b' ');
    assert_eq!(desk.signed(&body), too_large);
    for method in ["GET", "PUT", "HEAD", "OPTIONS", "post"] {
        let request = desk.partner.signs(b"[]").method(method);
        let answer = desk.answer(request, b"[]");
        assert!(answer.starts_with("405\nallow: POST\ncache-control: no-store\n"), "{answer}");
    }
}

#[test]
fn no_answer_holds_a_token() {
    let desk = Desk::new();
    let token = desk.world.token("ok");
    let answer = desk.signed(&report(&[token.plain.expose()]));
    assert_eq!(labels(&answer), [TP]);
    assert!(!answer.contains(secret_of(token.plain.expose())));
    assert!(answer.contains(r#""token_type":"acme_token""#) && answer.contains("token_hash"));
    assert!(!answer.contains("token_raw"));
}
