//! Documents of other servers and answers of theirs, over sockets: keys by URL (F34's faults), keys
//! in a file, and revocation by introspection.

use std::io::Write as _;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::TimeDelta;
use hallpass::fetch::{Endpoint, EndpointError, Fetch, FetchError, LocalFile};
use hallpass::jwt::{IntrospectionCheck, JwtClaims, JwtError, JwtVerifier, KeysError};
use hallpass::oauth::{Client, ClientSecret, Clients};
use hallpass::{Exchange, OAuth, RevocationReason};
use serde_json::json;

use crate::jwt::{ISSUER, Mint};
use crate::world::{Fault, Step, run};

/// A server that answers every connection with the same bytes.
#[derive(Clone)]
struct Scripted {
    address: SocketAddr,
    answer: Arc<Mutex<Vec<u8>>>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Scripted {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let own = Self { address, answer: Arc::default(), asked: Arc::default() };
        let server = own.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                server.asked.lock().unwrap().push(request(&mut stream));
                let answer = server.answer.lock().unwrap().clone();
                // Whoever has read enough hangs up.
                let _ = stream.write_all(&answer);
            }
        });
        own
    }

    fn url(&self) -> String {
        format!("http://{}/jwks.json", self.address)
    }

    fn says(&self, status: &str, headers: &str, body: &str) {
        let length = body.len();
        let head = format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\n{headers}\r\n");
        *self.answer.lock().unwrap() = (head + body).into_bytes();
    }

    fn count(&self) -> usize {
        self.asked.lock().unwrap().len()
    }
}

/// The head of a request and as much of a body as it announces.
fn request(stream: &mut impl std::io::Read) -> String {
    let mut read = Vec::new();
    let mut byte = [0];
    while !read.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|read| read > 0) {
        read.push(byte[0]);
    }
    let head = String::from_utf8(read).unwrap();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
    stream.read_exact(&mut body).unwrap();
    head + std::str::from_utf8(&body).unwrap()
}

/// A service with keys from this URL.
fn service(mint: &Mint, url: &str) -> JwtVerifier {
    let keys = Endpoint::builder(url).timeout(Duration::from_secs(2)).build().unwrap();
    JwtVerifier::fetching(ISSUER, "us", keys).clock(Arc::clone(&mint.world.clock))
}

fn fresh(mint: &Mint) -> String {
    mint.signed(&mint.header().to_string(), &mint.claims().to_string())
}

#[tokio::test]
async fn f34_keys_at_a_url_outlive_whatever_their_server_does_for_a_day() {
    let mint = Mint::new();
    let (server, elsewhere) = (Scripted::start(), Scripted::start());
    let keys = mint.issuer.keys().jwks(mint.world.now());
    elsewhere.says("200 OK", "", &keys);
    let verifier = service(&mint, &server.url());
    let verify = async || verifier.verify(&fresh(&mint)).await;

    // Nothing yet: an outage, and no reason to ask again at once.
    server.says("503 Service Unavailable", "", "");
    for _ in 0..10 {
        assert!(matches!(verify().await, Err(JwtError::Keys(KeysError::Fetch(_)))));
    }
    assert_eq!(server.count(), 1);
    mint.world.advance(TimeDelta::minutes(1));
    server.says("200 OK", "content-type: application/jwk-set+json\r\n", &keys);
    assert!(verify().await.is_ok());
    assert!(server.asked.lock().unwrap()[1].starts_with("GET /jwks.json HTTP/1.1\r\n"));

    let redirect = format!("location: {}\r\n", elsewhere.url());
    let huge = keys.clone() + &" ".repeat(70_000);
    let endless = format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{}", {
        format!("10000\r\n{}\r\n", " ".repeat(0x10000)).repeat(3)
    });
    for fault in ["html", "redirect", "moved", "huge", "endless", "cut", "noise", "hangs up"] {
        match fault {
            "html" => server.says("200 OK", "content-type: text/html\r\n", "<html>Sign in</html>"),
            "redirect" => server.says("302 Found", &redirect, ""),
            "moved" => server.says("308 Permanent Redirect", &redirect, &keys),
            "huge" => server.says("200 OK", "", &huge),
            "endless" => *server.answer.lock().unwrap() = endless.clone().into_bytes(),
            "cut" => server.answer.lock().unwrap().truncate(100),
            "noise" => *server.answer.lock().unwrap() = vec![0xff; 300],
            _ => server.answer.lock().unwrap().clear(),
        }
        let before = server.count();
        mint.world.advance(TimeDelta::minutes(10));
        assert!(verify().await.is_ok(), "{fault}");
        assert!(server.count() > before, "{fault}");
    }
    assert_eq!(elsewhere.count(), 0, "no redirect is followed");
    mint.world.advance(TimeDelta::hours(24));
    assert!(matches!(verify().await, Err(JwtError::Keys(KeysError::Fetch(_)))));
    server.says("200 OK", "", &keys);
    mint.world.advance(TimeDelta::minutes(1));
    assert!(verify().await.is_ok(), "and it recovers");
}

#[tokio::test]
async fn what_went_wrong_is_told_without_the_url() {
    let server = Scripted::start();
    let url = format!("http://{}/keys?key=s3cret", server.address);
    let fetch = async |endpoint: &Endpoint| endpoint.fetch().await.unwrap_err();
    let endpoint = Endpoint::new(&url).unwrap();
    assert_eq!(endpoint.server(), format!("http://{}", server.address));
    server.says("404 Not Found", "", "");
    let error = fetch(&endpoint).await;
    assert!(matches!(error, FetchError::Status { status: 404, .. }));
    assert_eq!(error.to_string(), format!("{} answers with status 404", endpoint.server()));
    server.says("200 OK", "", "12345");
    let short = Endpoint::builder(&url).max_len(4).build().unwrap();
    assert!(matches!(fetch(&short).await, FetchError::TooLong { limit: 4 }));
    // It takes connections and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let quiet = format!("http://{}/?key=s3cret", silent.local_addr().unwrap());
    let quiet = Endpoint::builder(quiet).timeout(Duration::from_millis(20)).build().unwrap();
    let late = fetch(&quiet).await;
    assert!(matches!(late, FetchError::TimedOut { .. }));
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let gone = Endpoint::new(format!("http://{nobody}/?key=s3cret")).unwrap();
    let gone = fetch(&gone).await;
    assert!(matches!(gone, FetchError::Unreachable { .. }));
    for shown in [format!("{endpoint:?} {error:?}"), format!("{late:?} {gone:?} {gone}")] {
        assert!(!shown.contains("s3cret"), "{shown}");
    }
}

#[tokio::test]
async fn a_connection_that_was_closed_meanwhile_is_no_outage() {
    // It closes every connection that a client would keep.
    let server = Scripted::start();
    server.says("200 OK", "", "{}");
    let endpoint = Endpoint::new(server.url()).unwrap();
    for _ in 0..200 {
        assert_eq!(endpoint.fetch().await.unwrap(), b"{}");
    }
    // One that never answers is asked twice and no more.
    server.answer.lock().unwrap().clear();
    let before = server.count();
    assert!(matches!(endpoint.fetch().await, Err(FetchError::Unreachable { .. })));
    assert!((1..=2).contains(&(server.count() - before)));
}

#[test]
fn an_endpoint_is_https_or_on_this_machine() {
    for url in ["https://acme.example/keys?a=b", "http://localhost:1/", "http://[::1]/jwks"] {
        assert!(Endpoint::new(url).is_ok(), "{url}");
    }
    let plain = Endpoint::new("http://acme.example/keys");
    assert!(matches!(plain, Err(EndpointError::PlainHttp { .. })));
    for url in ["", "acme.example", "file:///etc/passwd", "https://u:p@x/", "https://x/#f"] {
        assert!(matches!(Endpoint::new(url), Err(EndpointError::Address { .. })), "{url}");
    }
    let roots = Endpoint::builder("https://acme.example").roots("no pem").build();
    assert!(matches!(roots, Err(EndpointError::Roots)));
}

#[tokio::test]
async fn whoever_comes_first_fetches_for_all() {
    let mint = Mint::new();
    let server = Scripted::start();
    server.says("200 OK", "", &mint.issuer.keys().jwks(mint.world.now()));
    let verifier = service(&mint, &server.url());
    let (good, bad) = (fresh(&mint), "eyJhbGciOiJub25lIn0.e30.");
    let mut waiting = tokio::task::JoinSet::new();
    for _ in 0..100 {
        let (verifier, good) = (verifier.clone(), good.clone());
        waiting.spawn(async move { verifier.verify(&good).await.is_ok() });
    }
    assert!(waiting.join_all().await.into_iter().all(|accepted| accepted));
    assert_eq!(server.count(), 1);
    assert!(matches!(verifier.verify(bad).await, Err(JwtError::Denied)));

    // If that fails it fails for all.
    let down = Scripted::start();
    down.says("503 Service Unavailable", "", "");
    let verifier = service(&mint, &down.url());
    let mut waiting = tokio::task::JoinSet::new();
    for _ in 0..100 {
        let (verifier, good) = (verifier.clone(), good.clone());
        waiting
            .spawn(async move { matches!(verifier.verify(&good).await, Err(JwtError::Keys(_))) });
    }
    assert!(waiting.join_all().await.into_iter().all(|outage| outage));
    assert_eq!(down.count(), 1);
}

#[test]
fn keys_in_a_file_are_read_again_when_it_is_replaced() {
    let mint = Mint::new();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("jwks.json");
    let verifier = JwtVerifier::fetching(ISSUER, "us", LocalFile::new(&path))
        .clock(Arc::clone(&mint.world.clock));
    let verify = || run(verifier.verify(&fresh(&mint)));
    let put = |bytes: &str| {
        std::fs::write(folder.path().join("next"), bytes).unwrap();
        std::fs::rename(folder.path().join("next"), &path).unwrap();
    };
    assert!(matches!(verify(), Err(JwtError::Keys(KeysError::Fetch(FetchError::File { .. })))));
    let keys = mint.issuer.keys().jwks(mint.world.now());
    put(&keys);
    mint.world.advance(TimeDelta::minutes(1));
    assert!(verify().is_ok());
    let other = Mint::new();
    put(&other.issuer.keys().jwks(mint.world.now()));
    assert!(verify().is_ok(), "not yet");
    mint.world.advance(TimeDelta::minutes(5));
    assert!(matches!(verify(), Err(JwtError::Denied)), "its key was taken out");
    put(&keys);
    mint.world.advance(TimeDelta::minutes(5));
    assert!(verify().is_ok());
    put(&" ".repeat(65 * 1024));
    mint.world.advance(TimeDelta::minutes(5));
    assert!(verify().is_ok(), "too long a file takes nothing back");
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir(&path).unwrap();
    mint.world.advance(TimeDelta::hours(25));
    assert!(matches!(verify(), Err(JwtError::Keys(_))));
}

/// An issuer's endpoints on a socket, and the secret of its client `se%arch`.
async fn issuer(mint: &Mint) -> (String, ClientSecret) {
    let secret = ClientSecret::generate().unwrap();
    let client = Client::confidential("se%arch", secret.digest_for("se%arch"));
    let oauth = OAuth::builder(mint.world.hallpass.clone(), ISSUER)
        .clients(Clients::none().with(client.introspects_for(["us"])))
        .jwt(mint.issuer.keys().clone())
        .build()
        .unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router: axum::Router = hallpass::axum::oauth(oauth);
    tokio::spawn(async move { axum::serve(listener, router).await });
    (format!("http://{address}/oauth"), secret)
}

fn check(url: &str, secret: &str) -> IntrospectionCheck {
    let endpoint = Endpoint::builder(url).timeout(Duration::from_secs(2)).build().unwrap();
    IntrospectionCheck::new(endpoint, "se%arch", secret).unwrap()
}

#[tokio::test]
async fn a_service_that_asks_refuses_what_was_revoked_elsewhere() {
    let mint = Mint::new();
    let (url, secret) = issuer(&mint).await;
    let keys = Endpoint::new(format!("{url}/jwks.json")).unwrap();
    let gate = |keep: TimeDelta| {
        let check = check(&format!("{url}/introspect"), secret.expose()).keep_for(keep);
        JwtVerifier::fetching(ISSUER, "us", keys.clone())
            .clock(Arc::clone(&mint.world.clock))
            .revocations(check)
    };
    let (careful, busy) = (gate(TimeDelta::zero()), gate(TimeDelta::hours(1)));
    let denied = |verified| matches!(verified, Err(JwtError::Denied));
    let (parent, text) = mint.jwt();
    assert_eq!(careful.verify(&text).await.unwrap().subject(), "u1");
    assert!(busy.verify(&text).await.is_ok());
    run(mint.world.hallpass.revoke(&parent.token.id, RevocationReason::Leaked)).unwrap();
    assert!(denied(careful.verify(&text).await), "at once");
    mint.world.advance(TimeDelta::seconds(60) - TimeDelta::microseconds(1));
    assert!(busy.verify(&text).await.is_ok(), "as long as was promised");
    mint.world.advance(TimeDelta::microseconds(1));
    assert!(denied(busy.verify(&text).await), "and no longer");

    // An owner that is suspended and comes back.
    let (_, text) = mint.jwt();
    mint.world.owners.facts("u1", |facts| facts.active = false);
    assert!(denied(careful.verify(&text).await) && denied(busy.verify(&text).await));
    mint.world.owners.facts("u1", |facts| facts.active = true);
    assert!(careful.verify(&text).await.is_ok() && denied(busy.verify(&text).await));
    mint.world.advance(TimeDelta::seconds(60));
    assert!(busy.verify(&text).await.is_ok());
    // What the gate would refuse anyway is not asked about.
    let forged = format!("{}AAAA", &text[..text.len() - 4]);
    assert!(denied(busy.verify(&forged).await));
    let other = mint.exchange(&mint.world.token("x"), Exchange::new().audience(["them"])).unwrap();
    assert!(denied(careful.verify(&other).await));

    // The issuer's own trouble is an outage here too, and so is a client it does not know.
    mint.world.store.cool();
    mint.world.store.breaks(Step::Find, Fault::Fails);
    assert!(matches!(careful.verify(&text).await, Err(JwtError::Revocations(_))));
    mint.world.store.heals();
    assert!(careful.verify(&text).await.is_ok());
    let stranger = JwtVerifier::fetching(ISSUER, "us", keys)
        .clock(Arc::clone(&mint.world.clock))
        .revocations(check(&format!("{url}/introspect"), "wrong"));
    assert!(matches!(stranger.verify(&text).await, Err(JwtError::Revocations(_))));
}

#[tokio::test]
async fn an_answer_is_about_the_token_or_it_is_none() {
    let mint = Mint::new();
    let server = Scripted::start();
    let check = check(&server.url(), "s3cret");
    assert!(!format!("{check:?}").contains("s3cret"));
    let keys = hallpass::jwt::JwkSet::parse(mint.issuer.keys().jwks(mint.world.now()).as_bytes());
    let verifier = JwtVerifier::new(ISSUER, "us", keys.unwrap())
        .clock(Arc::clone(&mint.world.clock))
        .revocations(check);
    let (_, text) = mint.jwt();
    let claims: JwtClaims = mint.offline().verify(&text).await.unwrap();
    let about = json!({"active": true, "iss": ISSUER, "sub": "u1", "jti": claims.id()});
    let answers = async |body: String| {
        server.says("200 OK", "content-type: application/json\r\n", &body);
        verifier.verify(&text).await
    };
    assert!(answers(about.to_string()).await.is_ok());
    assert!(matches!(answers("{\"active\":false}".into()).await, Err(JwtError::Denied)));
    let asked = server.asked.lock().unwrap()[0].clone();
    let credentials = STANDARD.encode("se%25arch:s3cret");
    assert!(asked.starts_with("POST /jwks.json HTTP/1.1\r\n"), "{asked}");
    assert!(asked.contains(&format!("\r\nauthorization: Basic {credentials}\r\n")), "{asked}");
    assert!(asked.ends_with(&format!("\r\n\r\ntoken={text}&token_type_hint=access_token")));

    let mut bad = vec![
        String::new(),
        "<html>".into(),
        "[]".into(),
        "{}".into(),
        "true".into(),
        "{\"active\":true}".into(),
        about.to_string().replace("true", "\"true\""),
        about.to_string().replace("true", "1"),
        about.to_string().replace("true", "null"),
        about.to_string().replace('{', "{\"active\":false,"),
        about.to_string() + "x",
    ];
    for (member, value) in [("iss", "https://evil.example"), ("sub", "u2"), ("jti", "x")] {
        for value in [json!(value), json!(null), json!([about[member]]), json!(7)] {
            let mut other = about.clone();
            other[member] = value;
            bad.push(other.to_string());
        }
        let mut without = about.clone();
        without.as_object_mut().unwrap().remove(member);
        bad.push(without.to_string());
    }
    for body in bad {
        let answered = answers(body.clone()).await;
        assert!(matches!(answered, Err(JwtError::Revocations(_))), "{body}");
    }
    for status in ["401 Unauthorized", "403 Forbidden", "302 Found", "204 No Content", "500 X"] {
        server.says(status, "", &about.to_string());
        let answered = verifier.verify(&text).await;
        assert!(matches!(answered, Err(JwtError::Revocations(_))), "{status}");
    }
    let endpoint = || Endpoint::new("https://acme.example").unwrap();
    for (client, secret) in [("", "x"), ("x", "")] {
        let nobody = IntrospectionCheck::new(endpoint(), client, secret);
        assert!(matches!(nobody, Err(EndpointError::Credentials)));
    }
}
