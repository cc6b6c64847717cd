//! Reports of leaked tokens: nodes that are killed while they deal with one, stores that are lost
//! meanwhile, hosts of keys that fail, and how long the largest report takes.

use std::cell::RefCell;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use chrono::TimeDelta;
use futures_util::future::join_all;
use hallpass::fetch::Endpoint;
use hallpass::scan::{Leaks, MAX_MATCHES, PartnerKeys};
use hallpass::{Hallpass, Issue, ManualClock, MemoryStore, RevocationReason, ScopeCatalog, Token};
use http::Response;
use serde_json::{Value, json};

use crate::place::{
    Backend, Place, REVOKED, Verdict, engine, everything, issue, open, start, until, verdict,
};
use crate::process::Process;
use crate::proxy::{Fate, Proxy, When};
use crate::{Test, on_each, run, test};

pub(crate) fn tests() -> Vec<Test> {
    let mut tests = on_each("f07_killed_in_a_report", Backend::ALL, f07_killed_in_a_report);
    tests.extend(on_each("f07_the_store_is_lost_in_a_report", Backend::SERVERS, f07_store_is_lost));
    tests.push(test("f34_the_host_of_the_keys_fails", &[], f34_the_host_of_the_keys_fails));
    tests
}

/// How long the largest report takes.
pub(crate) fn measured() -> Vec<Test> {
    on_each("the_largest_report_is_in_time", Backend::ALL, largest_report_is_in_time)
}

/// Somebody who signs reports.
pub(crate) struct Partner(EcdsaKeyPair);

impl Partner {
    pub(crate) fn new() -> Self {
        let algorithm = &ECDSA_P256_SHA256_ASN1_SIGNING;
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(algorithm, &SystemRandom::new()).unwrap();
        Self(EcdsaKeyPair::from_pkcs8(algorithm, pkcs8.as_ref()).unwrap())
    }

    /// The document of its keys.
    fn document(&self) -> String {
        let public = AsDer::<PublicKeyX509Der<'_>>::as_der(self.0.public_key()).unwrap();
        let pem = STANDARD.encode(public.as_ref());
        let pem = format!("-----BEGIN PUBLIC KEY-----\n{pem}\n-----END PUBLIC KEY-----\n");
        let key = json!({"key_identifier": "k1", "key": pem, "is_current": true});
        json!({"public_keys": [key]}).to_string()
    }

    /// What it is answered if it reports these texts.
    pub(crate) async fn report(&self, hallpass: &Hallpass, texts: &[&str]) -> Response<Bytes> {
        let keys = PartnerKeys::fixed(self.document().as_bytes()).unwrap();
        self.report_to(&Leaks::new(hallpass.clone(), "github", keys).unwrap(), texts).await
    }

    async fn report_to(&self, leaks: &Leaks, texts: &[&str]) -> Response<Bytes> {
        let found = texts.iter().map(|text| json!({"token": text, "type": "t", "url": ""}));
        let body = Value::from_iter(found).to_string();
        let signature = self.0.sign(&SystemRandom::new(), body.as_bytes()).unwrap();
        let head = http::Request::post("/leaks")
            .header("github-public-key-identifier", "k1")
            .header("github-public-key-signature", STANDARD.encode(signature));
        let (head, ()) = head.body(()).unwrap().into_parts();
        leaks.report(&head, body.as_bytes()).await
    }
}

/// How many tokens are reported, and how many are ended in one step.
const REPORTED: usize = 150;
const TOGETHER: usize = 64;
/// How many revocations that takes: of all of them, and of each with what was made from it.
const STEPS: usize = TOGETHER + 1;

/// So many tokens, of many owners.
async fn tokens(hallpass: &Hallpass, count: usize) -> Vec<String> {
    let mut texts = Vec::with_capacity(count);
    for first in (0..count).step_by(50) {
        let issued = join_all((first..count.min(first + 50)).map(async |number| {
            let wanted = Issue::new(format!("ci {number}")).owner(format!("u{}", number % 1000));
            hallpass.issue(wanted.scopes(["repo:read"])).await.unwrap().plain.expose().to_owned()
        }));
        texts.extend(issued.await);
    }
    texts
}

/// What was revoked because it leaked; nothing was revoked otherwise.
fn ended(tokens: &[Token]) -> usize {
    let ended = tokens.iter().filter_map(|token| token.revocation.as_ref());
    ended.inspect(|mark| assert_eq!(mark.reason, RevocationReason::Leaked)).count()
}

/// The node dies at one of the matches. I5, I6: those before it are revoked, the rest is untouched,
/// and the same report again ends what is left and changes nothing else.
fn f07_killed_in_a_report(backend: Backend) {
    run(async {
        for (point, passed, whole) in [
            ("before revoke", 0, 0),
            ("after revoke", 0, TOGETHER),
            ("before revoke", STEPS, TOGETHER),
            ("after revoke", 2 * STEPS + 3, REPORTED),
        ] {
            let place = Place::new(backend).await;
            let hallpass = engine(open(&place.url()).await);
            let texts = tokens(&hallpass, REPORTED).await;
            let order = format!("report {}", texts.join(","));
            let mut process = Process::start(&place.url());
            process.ask_until(&format!("{point} {passed}"), &order);
            assert!(process.kill().is_empty(), "nothing was said of any");
            for (number, text) in texts.iter().enumerate() {
                let expected = if number < whole { REVOKED } else { Verdict::Accepted };
                assert_eq!(verdict(&hallpass, text).await, expected, "{point} {passed}: {number}");
            }
            let before = everything(&hallpass).await;
            assert_eq!(ended(&before), whole);
            let mut process = Process::start(&place.url());
            for _ in 0..2 {
                let answer = process.ask(&order);
                assert!(answer.starts_with("labelled "), "{answer}");
                assert_eq!(answer.matches(r#""label":"true_positive""#).count(), REPORTED);
                let after = everything(&hallpass).await;
                assert_eq!(ended(&after), REPORTED);
                // The first revocation stands.
                for token in before.iter().filter(|token| token.revocation.is_some()) {
                    assert!(after.contains(token));
                }
            }
            place.assert_nowhere(texts.iter().map(String::as_str));
        }
    });
}

/// The store goes away at one of the matches, and its answer with it. I7: that is an outage and no
/// label, and the same report again ends everything.
fn f07_store_is_lost(backend: Backend) {
    run(async {
        let place = Place::new(backend).await;
        let hallpass = engine(open(&place.url()).await);
        let texts = tokens(&hallpass, REPORTED).await;
        let proxy = Proxy::before(place.port()).await;
        let order = format!("report {}", texts.join(","));
        let mut process = Process::start(&place.url_by(proxy.port()));
        process.ask_until(&format!("before revoke {STEPS}"), &order);
        proxy.fail(When::Always, Fate::Cut);
        process.tell("go");
        assert_eq!(process.hear(), "unavailable");
        assert_eq!(ended(&everything(&hallpass).await), TOGETHER);
        proxy.heal();
        let process = RefCell::new(process);
        let is_labelled = async || process.borrow_mut().ask(&order).starts_with("labelled ");
        until("the store is found again", is_labelled).await;
        assert_eq!(ended(&everything(&hallpass).await), REPORTED);
    });
}

/// As many matches as a report may have, on a store that makes each durable: a partner waits for 30
/// seconds.
fn largest_report_is_in_time(backend: Backend) {
    run(async {
        let place = match backend {
            Backend::Sqlite => Place::new(backend).await,
            server => Place::to_kill(server),
        };
        let hallpass = engine(open(&place.url()).await);
        let texts = tokens(&hallpass, MAX_MATCHES).await;
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let partner = Partner::new();
        for round in ["all live", "all revoked"] {
            let begin = Instant::now();
            let answer = partner.report(&hallpass, &texts).await;
            let taken = begin.elapsed();
            println!("{}, {round}: {MAX_MATCHES} matches in {taken:.1?}", backend.name());
            assert_eq!(answer.status(), 200);
            assert!(taken < Duration::from_secs(30), "{taken:?}");
        }
    });
}

/// A host that answers every connection with the same bytes.
#[derive(Clone)]
struct Host {
    address: SocketAddr,
    answer: Arc<Mutex<Vec<u8>>>,
    asked: Arc<Mutex<usize>>,
}

impl Host {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let own = Self { address, answer: Arc::default(), asked: Arc::default() };
        let host = own.clone();
        std::thread::spawn(move || {
            let mut silent = Vec::new();
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                *host.asked.lock().unwrap() += 1;
                let mut request = [0; 4096];
                // Whoever has seen enough hangs up.
                let _ = stream.read(&mut request);
                let answer = host.answer.lock().unwrap().clone();
                let _ = stream.write_all(&answer);
                if answer.is_empty() {
                    silent.push(stream);
                }
            }
        });
        own
    }

    /// Says nothing at all if there is no status.
    fn says(&self, status: &str, headers: &str, body: &str) {
        let length = body.len();
        let head = format!(
            "HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n{headers}\r\n"
        );
        let answer = if status.is_empty() { Vec::new() } else { (head + body).into_bytes() };
        *self.answer.lock().unwrap() = answer;
    }
}

/// The host of a partner's keys hangs, fails, or says something else. The last good keys go on for a
/// day, then reports are an outage; a redirect is not followed.
fn f34_the_host_of_the_keys_fails() {
    run(async {
        let partner = Partner::new();
        let document = partner.document();
        let elsewhere = Host::start();
        elsewhere.says("200 OK", "", &document);
        let moved = format!("location: http://{}/keys\r\n", elsewhere.address);
        let html = "<!DOCTYPE html><title>Sign in</title>";
        let huge = document.clone() + &" ".repeat(64 * 1024);
        for (status, headers, body) in [
            ("", "", ""),
            ("503 Service Unavailable", "", "{}"),
            ("404 Not Found", "", &*document),
            ("200 OK", "content-type: text/html\r\n", html),
            ("200 OK", "", &*huge),
            ("301 Moved Permanently", &*moved, &*document),
            ("307 Temporary Redirect", &*moved, ""),
        ] {
            let clock = Arc::new(ManualClock::at(start()));
            let hallpass = Hallpass::builder(MemoryStore::new())
                .brand("acme")
                .catalog(ScopeCatalog::of(["repo:read"]).unwrap())
                .clock(Arc::clone(&clock))
                .build()
                .unwrap();
            let host = Host::start();
            let url = format!("http://{}/keys", host.address);
            let place = Endpoint::builder(url).timeout(Duration::from_millis(500));
            let keys = PartnerKeys::fetched(place.build().unwrap());
            let leaks = Leaks::new(hallpass.clone(), "github", keys).unwrap();
            let token = issue(&hallpass, "ci").await;
            let status_of = async |texts: &[&str]| partner.report_to(&leaks, texts).await.status();
            // Before there ever was a key, it is an outage and the token lives.
            host.says(status, headers, body);
            assert_eq!(status_of(&[token.plain.expose()]).await, 503, "{status}");
            assert_eq!(verdict(&hallpass, token.plain.expose()).await, Verdict::Accepted);
            host.says("200 OK", "", &document);
            clock.advance(TimeDelta::seconds(10));
            assert_eq!(status_of(&[]).await, 200, "{status}");
            host.says(status, headers, body);
            clock.advance(TimeDelta::hours(23));
            assert_eq!(status_of(&[token.plain.expose()]).await, 200, "{status}");
            assert_eq!(verdict(&hallpass, token.plain.expose()).await, REVOKED);
            clock.advance(TimeDelta::hours(1));
            assert_eq!(status_of(&[]).await, 503, "{status}");
            assert_eq!(*host.asked.lock().unwrap(), 4, "{status}");
        }
        assert_eq!(*elsewhere.asked.lock().unwrap(), 0);
    });
}
