//! The demo over a real socket: every row of its table, and what must be refused.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails"
)]

#[path = "../examples/demo/main.rs"]
#[expect(dead_code, reason = "the tests take the place of `main`")]
mod demo;
#[path = "demo/limits.rs"]
mod limits;
#[path = "demo/oauth.rs"]
mod oauth;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};

use argon2::{Argon2, Params};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::TimeDelta;
use demo::app::{App, Settings};
use hallpass::SqliteStore;
use serde_json::{Value, json};
use tempfile::TempDir;

const AUTOMATION: &str = "/api/gateway/v1/tokens/";
const RELEASE: &str = "/api/v1/tokens";
const HOSTING: &str = "/1.0/users/authentication/rest";
const PATS: &str = "/api/playground/v1/pats";
const LOGIN: &str = "/api/playground/v1/login";
const DATA: &str = "/api/data/v1/tokens";
const EXCHANGE: &str = "/api/data/v1/token";
const STOP: &str = "/1.0/environment/control/rest/stopenv?envName=E&session=";
const TOKEN_EXCHANGE: &str = "grant_type=urn:ietf:params:oauth:grant-type:token-exchange\
    &subject_token_type=urn:ietf:params:oauth:token-type:access_token";

/// A demo that serves on a free port until it is dropped.
struct Demo {
    runtime: tokio::runtime::Runtime,
    address: SocketAddr,
    app: App,
    _folder: TempDir,
}

impl Demo {
    fn start() -> Self {
        Self::start_with(|_| ())
    }

    fn start_with(change: impl FnOnce(&mut Settings)) -> Self {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let mut settings = Settings {
            origin: "http://127.0.0.1:3000".to_owned(),
            let_sessions_finish: false,
            data_lifetime: None,
            passwords: ["alice", "bob", "root", "carol"].map(|name| format!("{name}'s")),
            argon2: Argon2::from(Params::new(8, 1, 1, None).unwrap()),
        };
        change(&mut settings);
        let store = SqliteStore::open(folder.path().join("demo.sqlite")).unwrap();
        let app = App::new(store, &settings).unwrap();
        let service = app.router().unwrap().into_make_service_with_connect_info::<SocketAddr>();
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        runtime.spawn(async move { axum::serve(listener, service).await });
        Self { runtime, address, app, _folder: folder }
    }

    fn ask(&self, method: &str, path: &str) -> Ask {
        Ask::new(self.address, method, path)
    }

    fn get(&self, path: &str) -> Ask {
        self.ask("GET", path)
    }

    fn post(&self, path: &str) -> Ask {
        self.ask("POST", path)
    }

    /// A new token of a product, by the fields of its body.
    fn token(&self, user: &str, path: &str, body: &Value) -> Value {
        self.post(path).user(user).json(body).expect(201).json()
    }

    fn hosting(&self, user: &str, call: &str, form: &str) -> Value {
        self.post(&format!("{HOSTING}/{call}")).user(user).form(form).expect(200).json()
    }
}

/// A request.
struct Ask {
    address: SocketAddr,
    method: String,
    path: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Ask {
    fn new(address: SocketAddr, method: &str, path: &str) -> Self {
        let (method, path) = (method.to_owned(), path.to_owned());
        Self { address, method, path, headers: Vec::new(), body: Vec::new() }
    }

    fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    fn basic(self, user: &str, password: &str) -> Self {
        let encoded = STANDARD.encode(format!("{user}:{password}"));
        self.header("Authorization", format!("Basic {encoded}"))
    }

    /// Signs in with the right password.
    fn user(self, name: &str) -> Self {
        self.basic(name, &format!("{name}'s"))
    }

    fn bearer(self, token: &str) -> Self {
        self.header("Authorization", format!("Bearer {token}"))
    }

    fn body(mut self, media_type: &str, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self.header("Content-Type", media_type)
    }

    fn json(self, body: &Value) -> Self {
        self.body("application/json", body.to_string())
    }

    fn form(self, body: &str) -> Self {
        self.body("application/x-www-form-urlencoded", body)
    }

    fn send(&self) -> Answer {
        let mut stream = TcpStream::connect(self.address).unwrap();
        let mut head = format!("{} {} HTTP/1.1\r\nHost: demo\r\n", self.method, self.path);
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        let length = self.body.len();
        head.push_str(&format!("Content-Length: {length}\r\nConnection: close\r\n\r\n"));
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(&self.body).unwrap();
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        Answer::read(&String::from_utf8(bytes).unwrap())
    }

    #[track_caller]
    fn expect(&self, status: u16) -> Answer {
        let answer = self.send();
        let (method, path) = (&self.method, &self.path);
        assert_eq!(answer.status, status, "{method} {path}: {} {}", answer.head, answer.body);
        answer
    }
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    fn read(text: &str) -> Self {
        let (head, mut rest) = text.split_once("\r\n\r\n").unwrap();
        let head = head.to_ascii_lowercase();
        let mut body = String::new();
        if head.contains("transfer-encoding: chunked") {
            while let Some((size, chunk)) = rest.split_once("\r\n") {
                let size = usize::from_str_radix(size, 16).unwrap();
                let (chunk, after) = chunk.split_at(size);
                body.push_str(chunk);
                rest = after.trim_start_matches("\r\n");
            }
        } else {
            rest.clone_into(&mut body);
        }
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Self { status, head, body }
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    fn header(&self, name: &str) -> Option<&str> {
        let line = self.head.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|rest| rest.strip_prefix(": "))
    }

    /// The answer without what differs from one to the next.
    fn constant(&self) -> (u16, Vec<&str>, &str) {
        let lines = self.head.lines().filter(|line| !line.starts_with("date:")).collect();
        (self.status, lines, &self.body)
    }
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_else(|| panic!("no {field} in {value}"))
}

// The automation platform.

#[test]
fn automation_tokens_live_from_creation_to_deletion() {
    let demo = Demo::start();
    let ask = demo.post(AUTOMATION).user("alice");
    let made = ask.json(&json!({"description": "CI", "scope": "write"})).expect(201);
    assert_eq!(made.header("cache-control"), Some("no-store"));
    assert!(made.header("vary").unwrap().starts_with("authorization"));
    let new = made.json();
    let (token, id) = (text(&new, "token"), text(&new, "id"));
    assert!(token.starts_with("demo_pat_"));
    let own = format!("{AUTOMATION}{id}/");
    assert_eq!(made.header("location"), Some(own.to_ascii_lowercase().as_str()));
    assert_eq!((text(&new, "description"), text(&new, "scope")), ("CI", "write"));
    assert_eq!((&new["last_used"], &new["application"]), (&Value::Null, &Value::Null));

    // Write implies read.
    demo.get("/api/gateway/v1/applications/").bearer(token).expect(200);
    let list = demo.get(AUTOMATION).user("alice").expect(200);
    assert!(!list.body.contains(token), "a list shows a secret");
    let listed = &list.json()["results"][0];
    assert_eq!(text(listed, "id"), id);
    assert!(listed["last_used"].is_string(), "the use is not in the list: {listed}");
    let shown = demo.get(&own).user("alice").expect(200);
    assert!(!shown.body.contains(token) && shown.json()["last_used"].is_string());

    let patch = json!({"description": "nightly", "scope": "read"});
    let changed = demo.ask("PATCH", &own).user("alice").json(&patch).expect(200).json();
    assert_eq!((text(&changed, "description"), text(&changed, "scope")), ("nightly", "read"));
    assert!(changed.get("token").is_none());
    let me = demo.get("/me").bearer(token).expect(200).json();
    assert_eq!(me["scopes"], json!(["read"]));

    demo.ask("DELETE", &own).user("alice").expect(204);
    demo.get("/me").bearer(token).expect(401);
    demo.get(&own).user("alice").expect(404);
    demo.ask("DELETE", &own).user("alice").expect(404);
    assert_eq!(demo.get(AUTOMATION).user("alice").expect(200).json()["results"], json!([]));
}

#[test]
fn automation_descriptions_repeat_and_options_are_kept() {
    let demo = Demo::start();
    let plain = json!({"description": "CI", "scope": "read"});
    let first = demo.token("alice", AUTOMATION, &plain);
    let again = demo.token("alice", AUTOMATION, &plain);
    assert_ne!(first["id"], again["id"]);
    let full = json!({"description": "x", "scope": "read", "application": 1, "expires_in": 3600});
    let full = demo.token("alice", AUTOMATION, &full);
    assert_eq!(full["application"], 1);
    let [made, end] = ["created", "expires"]
        .map(|field| text(&full, field).parse::<hallpass::Timestamp>().unwrap());
    assert_eq!(end.since(made), TimeDelta::hours(1));
    demo.get("/me").bearer(text(&full, "token")).expect(200);
    let page = demo.get(&format!("{AUTOMATION}?limit=2")).user("alice").expect(200).json();
    assert_eq!(page["results"].as_array().unwrap().len(), 2);
    let rest = demo.get(text(&page, "next")).user("alice").expect(200).json();
    assert_eq!((rest["results"].as_array().unwrap().len(), &rest["next"]), (1, &Value::Null));
    for query in ["limit=0", "limit=101", "limit=%2B5", "cursor=x", "page=2"] {
        demo.get(&format!("{AUTOMATION}?{query}")).user("alice").expect(400);
    }
}

#[test]
fn automation_refuses_what_it_does_not_understand() {
    let demo = Demo::start();
    for body in [
        r#"{"description":"x"}"#,
        r#"{"description":"x","scope":null}"#,
        r#"{"description":"x","scope":[]}"#,
        r#"{"description":"x","scope":""}"#,
        r#"{"description":"x","scope":"admin"}"#,
        r#"{"description":"x","scope":"READ"}"#,
        r#"{"description":"x","scope":"read "}"#,
        r#"{"description":"x","scope":"read write"}"#,
        r#"{"description":"x","scope":"read","scope":"write"}"#,
        r#"{"scope":"read"}"#,
        r#"{"description":"","scope":"read"}"#,
        r#"{"description":"  ","scope":"read"}"#,
        r#"{"description":"a\r\nb","scope":"read"}"#,
        r#"{"description":"\u202e","scope":"read"}"#,
        r#"{"description":"\ud800","scope":"read"}"#,
        r#"{"description":"x","scope":"read","id":"0000000000000001"}"#,
        r#"{"description":"x","scope":"read","user":"root"}"#,
        r#"{"description":"x","scope":"read","application":7}"#,
        r#"{"description":"x","scope":"read"} "#,
        r#"{"description":"x","scope":"read"}}"#,
        "\u{feff}{\"description\":\"x\",\"scope\":\"read\"}",
        "{",
        "",
        "[]",
    ] {
        let ask = demo.post(AUTOMATION).user("alice").body("application/json", body);
        if body.ends_with("} ") {
            ask.expect(201);
            continue;
        }
        let problem = ask.expect(400);
        assert_eq!(problem.header("content-type"), Some("application/problem+json"), "{body}");
        assert_eq!(problem.json()["status"], 400);
    }
    let deep = format!("{{\"description\":{}", "[".repeat(200));
    demo.post(AUTOMATION).user("alice").body("application/json", deep).expect(400);
    let long = json!({"description": "x".repeat(101), "scope": "read"});
    demo.post(AUTOMATION).user("alice").json(&long).expect(400);
    for seconds in [
        "0",
        "-1",
        "1.0",
        "\"3600\"",
        "null",
        "true",
        "1e3",
        "NaN",
        "2147483648",
        "4294967296",
        "9007199254740993",
        "9223372036854775807",
        "9223372036854775808",
        "18446744073709551615",
        "1000000000000000000000000000000",
        "31622401",
    ] {
        let body = format!(r#"{{"description":"x","scope":"read","expires_in":{seconds}}}"#);
        demo.post(AUTOMATION).user("alice").body("application/json", body).expect(400);
    }
    let good = json!({"description": "x", "scope": "read"}).to_string();
    for media_type in ["text/plain", "application/x-www-form-urlencoded", "application/jsonx"] {
        demo.post(AUTOMATION).user("alice").body(media_type, good.clone()).expect(415);
    }
    let huge = format!(r#"{{"description":"{}"}}"#, "x".repeat(70_000));
    demo.post(AUTOMATION).user("alice").body("application/json", huge).expect(413);
    let kept = demo.get(AUTOMATION).user("alice").expect(200).json();
    assert_eq!(kept["results"].as_array().unwrap().len(), 1, "a refused request made a token");
}

// Who may manage tokens.

#[test]
fn a_wrong_password_and_an_unknown_user_get_the_same_answer() {
    let demo = Demo::start();
    let wrong = demo.get(AUTOMATION).basic("alice", "bob's").expect(401);
    assert_eq!(wrong.header("www-authenticate"), Some(r#"basic realm="demo", charset="utf-8""#));
    for (user, password) in [("nobody", "x"), ("alice", ""), ("", ""), ("Alice", "alice's")] {
        let other = demo.get(AUTOMATION).basic(user, password).expect(401);
        assert_eq!(other.constant(), wrong.constant());
    }
    assert_eq!(demo.get(AUTOMATION).expect(401).constant(), wrong.constant());
    demo.get(AUTOMATION).header("Authorization", "Basic !").expect(401);
    let twice = demo.get(AUTOMATION).user("alice").user("alice");
    twice.expect(400);
    let foreign_site = demo.post(PATS).user("alice").header("Sec-Fetch-Site", "cross-site");
    foreign_site.json(&json!({"name": "x"})).expect(403);
}

#[test]
fn a_token_in_any_place_manages_no_tokens() {
    let demo = Demo::start();
    let made = demo.token("alice", AUTOMATION, &json!({"description": "x", "scope": "write"}));
    let token = text(&made, "token");
    let id = text(&made, "id");
    let own = format!("{AUTOMATION}{id}/");
    let hosting = |call: &str| format!("{HOSTING}/{call}");
    let routes = [
        ("POST", AUTOMATION.to_owned(), json!({"description": "y", "scope": "write"})),
        ("GET", AUTOMATION.to_owned(), Value::Null),
        ("GET", own.clone(), Value::Null),
        ("PATCH", own.clone(), json!({"description": "y"})),
        ("DELETE", own.clone(), Value::Null),
        ("POST", RELEASE.to_owned(), json!({"name": "y", "scopes": ["release:read"]})),
        ("POST", PATS.to_owned(), json!({"name": "y"})),
        ("DELETE", format!("{PATS}/y"), Value::Null),
        ("POST", DATA.to_owned(), json!({"name": "y", "scopes": ["openid"]})),
        (
            "POST",
            hosting("createtoken"),
            json!({"description": "y", "tokenTemplate": "Marketplace"}),
        ),
        ("POST", hosting("regeneratetoken"), json!({"id": id})),
        ("POST", hosting("copytoken"), json!({"id": id, "description": "y"})),
        ("POST", hosting("removetokens"), json!({"ids": id})),
    ];
    for (method, path, body) in routes {
        let ask = || {
            let ask = demo.ask(method, &path);
            if body.is_null() { ask } else { ask.json(&body) }
        };
        for (place, ask) in [
            ("bearer", ask().bearer(token)),
            ("password", ask().basic("", token)),
            ("password of alice", ask().basic("alice", token)),
            ("user", ask().basic(token, "")),
            ("oauth user", ask().basic(token, "x-oauth-basic")),
            ("own header", ask().header("x-release-personal-token", token)),
            ("webhook header", ask().header("x-release-webhook-token", token)),
        ] {
            let answer = ask.expect(403);
            assert!(
                answer.body.contains("tokens do not manage tokens"),
                "{place}: {}",
                answer.body
            );
        }
        // A password beside a token is one credential too many.
        let both = ask().user("alice").header("x-release-personal-token", token).send();
        assert_eq!(both.status, 400, "{method} {path}: {}", both.body);
    }
    let form = format!("description=y&tokenTemplate=Marketplace&login=alice&password={token}");
    demo.post(&hosting("createtoken")).form(&form).expect(403);
    demo.get("/me").bearer(token).expect(200);
    for path in [RELEASE, PATS, DATA] {
        assert_eq!(demo.get(path).user("alice").expect(200).json()["tokens"], json!([]));
    }
}

#[test]
fn other_peoples_tokens_do_not_exist_and_root_sees_them() {
    let demo = Demo::start();
    let made = demo.token("alice", AUTOMATION, &json!({"description": "x", "scope": "read"}));
    let own = format!("{AUTOMATION}{}/", text(&made, "id"));
    let absent = format!("{AUTOMATION}0000000000000001/");
    let malformed = format!("{AUTOMATION}x'--/");
    for method in ["GET", "DELETE"] {
        let nothing = demo.ask(method, &absent).user("bob").expect(404);
        for path in [&own, &malformed] {
            let answer = demo.ask(method, path).user("bob").expect(404);
            assert_eq!(answer.constant(), nothing.constant());
        }
    }
    demo.ask("PATCH", &own).user("bob").json(&json!({"scope": "write"})).expect(404);
    assert_eq!(demo.get(AUTOMATION).user("bob").expect(200).json()["results"], json!([]));

    let seen = demo.get(AUTOMATION).user("root").expect(200).json();
    assert_eq!(text(&seen["results"][0], "user"), "alice");
    demo.ask("DELETE", &own).user("root").expect(204);
    demo.get("/me").bearer(text(&made, "token")).expect(401);
    // What is made by root is root's own.
    let made = demo.token("root", AUTOMATION, &json!({"description": "x", "scope": "read"}));
    assert_eq!(text(&made, "user"), "root");

    // Another product's list does not show it, and cannot delete it.
    let other = demo.token("alice", DATA, &json!({"name": "x", "scopes": ["openid"]}));
    let path = format!("{AUTOMATION}{}/", text(&other, "id"));
    demo.ask("DELETE", &path).user("alice").expect(404);
    demo.ask("DELETE", &format!("{PATS}/x")).user("alice").expect(404);
    demo.ask("DELETE", &format!("{DATA}/{}", text(&other, "id"))).user("alice").expect(204);
}

#[test]
fn carol_is_told_why_she_gets_no_token() {
    let demo = Demo::start();
    for (path, body) in [
        (AUTOMATION, json!({"description": "x", "scope": "read"})),
        (RELEASE, json!({"name": "x", "scopes": ["release:read"]})),
        (PATS, json!({"name": "x"})),
        (DATA, json!({"name": "x", "scopes": ["openid"]})),
    ] {
        let refused = demo.post(path).user("carol").json(&body).expect(403).json();
        assert!(text(&refused, "detail").contains("external identity provider"), "{refused}");
        assert_eq!(refused["type"], "urn:demo:problem:account-kind");
    }
    let refused = demo.hosting("carol", "createtoken", "description=x&tokenTemplate=Marketplace");
    assert_eq!(refused["result"], 403);
    assert!(text(&refused, "error").contains("external identity provider"));
}

#[test]
fn an_account_holds_fifty_tokens_over_all_products() {
    let demo = Demo::start();
    let first = demo.token("alice", PATS, &json!({"name": "first"}));
    for number in 1..49 {
        demo.token("alice", DATA, &json!({"name": format!("n{number}"), "scopes": ["openid"]}));
    }
    let address = demo.address;
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let ask = move || {
            let body = json!({"description": "race", "scope": "read"});
            Ask::new(address, "POST", AUTOMATION).user("alice").json(&body).send().status
        };
        let racers: Vec<_> = (0..8).map(|_| scope.spawn(ask)).collect();
        racers.into_iter().map(|racer| racer.join().unwrap()).collect()
    });
    assert_eq!(statuses.iter().filter(|status| **status == 201).count(), 1, "{statuses:?}");
    assert_eq!(statuses.iter().filter(|status| **status == 409).count(), 7, "{statuses:?}");
    let full = demo.post(RELEASE).user("alice").json(&json!({"name": "x", "scopes": ["webhook"]}));
    assert_eq!(full.expect(409).json()["type"], "urn:demo:problem:quota-full");
    let copied = demo.hosting("alice", "createtoken", "description=x&tokenTemplate=Marketplace");
    assert_eq!(copied["result"], 409);
    demo.token("bob", PATS, &json!({"name": "bob's own"}));

    // A session is no token to be counted, and deleting makes room.
    demo.post(LOGIN).bearer(text(&first, "token")).expect(200);
    demo.ask("DELETE", &format!("{PATS}/first")).user("alice").expect(204);
    demo.token("alice", PATS, &json!({"name": "first"}));
}

// The release tool.

#[test]
fn release_tokens_come_in_every_transport_with_the_same_rights() {
    let demo = Demo::start();
    let make = |name: &str, scope: &str| {
        let made = demo.token("alice", RELEASE, &json!({"name": name, "scopes": [scope]}));
        text(&made, "token").to_owned()
    };
    let reader = make("reader", "release:read");
    let writer = make("writer", "release:write");
    let hook = make("hook", "webhook");
    let path = "/api/v1/releases";
    for (token, get, post) in [(&reader, 200, 403), (&writer, 200, 201), (&hook, 403, 403)] {
        for (method, status) in [("GET", get), ("POST", post)] {
            let ask = || demo.ask(method, path);
            ask().basic("", token).expect(status);
            ask().basic("root", token).expect(status);
            ask().basic(token, "").expect(status);
            ask().bearer(token).expect(status);
            ask().header("x-release-personal-token", token).expect(status);
        }
    }
    let denied = demo.post(path).bearer(&reader).expect(403);
    assert!(denied.header("www-authenticate").unwrap().contains(r#"scope="release:write""#));
    let named = demo.post(path).bearer(&writer).json(&json!({"name": "1.0"})).expect(201).json();
    assert_eq!(named, json!({"name": "1.0", "started_by": "alice"}));
    demo.post(path).bearer(&writer).json(&json!([1])).expect(400);

    let endpoint = "/webhooks/build";
    let called = demo.post(endpoint).header("x-release-webhook-token", &hook).expect(200).json();
    assert_eq!(called["triggered"], "build");
    demo.post(endpoint).header("x-release-webhook-token", &writer).expect(403);
    demo.post(endpoint).header("x-release-personal-token", &hook).expect(401);
    demo.get(path).header("x-release-webhook-token", &reader).expect(401);
    let two = demo.get(path).bearer(&reader).header("x-release-personal-token", &reader);
    two.expect(400);
    demo.get(path).expect(401);
    demo.get(path).user("alice").expect(401);
    demo.get(&format!("{path}?session={reader}")).expect(401);
}

#[test]
fn release_scopes_are_asked_for_by_name() {
    let demo = Demo::start();
    for scopes in [
        json!(null),
        json!([]),
        json!(""),
        json!("release:read"),
        json!(["*"]),
        json!(["release:*"]),
        json!(["all"]),
        json!(["RELEASE:READ"]),
        json!(["release:read "]),
        json!(["release:read release:write"]),
        json!(["release:read\""]),
        json!(["a\\b"]),
        json!(["é"]),
        json!(["\u{0}"]),
        json!(["x".repeat(129)]),
        json!([1]),
        // The scopes of other products.
        json!(["write"]),
        json!(["profile"]),
        json!(["environment.control.stopenv"]),
    ] {
        let body = json!({"name": "x", "scopes": scopes});
        demo.post(RELEASE).user("alice").json(&body).expect(400);
    }
    demo.post(RELEASE).user("alice").json(&json!({"name": "x"})).expect(400);
    let twice = json!({"name": "x", "scopes": ["webhook", "webhook"]});
    assert_eq!(demo.token("alice", RELEASE, &twice)["scopes"], json!(["webhook"]));
    let taken = json!({"name": "X", "scopes": ["webhook"]});
    let taken = demo.post(RELEASE).user("alice").json(&taken).expect(409);
    assert_eq!(taken.json()["type"], "urn:demo:problem:name-taken");
}

#[test]
fn a_scope_beyond_the_owners_rights_is_refused_and_nothing_is_stored() {
    let demo = Demo::start();
    let body = json!({"name": "x", "scopes": ["release:admin"]});
    for owner in ["alice", "bob"] {
        let refused = demo.post(RELEASE).user(owner).json(&body).expect(403).json();
        assert_eq!(refused["type"], "urn:demo:problem:forbidden");
        assert_eq!(refused["detail"], "the owner does not have the scope `release:admin`");
        assert_eq!(demo.get(RELEASE).user(owner).expect(200).json()["tokens"], json!([]));
        // Not even beside one that the owner has.
        let both = json!({"name": "x", "scopes": ["release:read", "release:admin"]});
        demo.post(RELEASE).user(owner).json(&both).expect(403);
        assert_eq!(demo.get(RELEASE).user(owner).expect(200).json()["tokens"], json!([]));
    }
    let path = "/api/v1/releases";
    let admin = demo.token("root", RELEASE, &body);
    let writer = json!({"name": "y", "scopes": ["release:write"]});
    let writer = demo.token("alice", RELEASE, &writer);
    demo.post(path).bearer(text(&writer, "token")).expect(201);
    demo.ask("DELETE", path).bearer(text(&writer, "token")).expect(403);
    demo.ask("DELETE", path).bearer(text(&admin, "token")).expect(204);
    assert_eq!(demo.get(path).bearer(text(&writer, "token")).expect(200).json(), json!([]));
}

// The hosting platform.

#[test]
fn hosting_tokens_call_the_methods_they_are_limited_to() {
    let demo = Demo::start();
    let form = "description=d&apiList=environment.control.stopenv,environment.control.startenv";
    let made = demo.hosting("alice", "createtoken", form);
    assert_eq!(made["result"], 0, "{made}");
    let token = text(&made, "token");
    let stopped = demo.get(&format!("{STOP}{token}")).expect(200);
    assert_eq!(stopped.body, r#"{"result":0}"#);
    assert_eq!(stopped.header("cache-control"), Some("private, no-store"));
    assert_eq!(stopped.header("referrer-policy"), Some("no-referrer"));

    let other = "/1.0/environment/control/rest/deleteenv?envName=E";
    for (path, result) in [
        (format!("{other}&session={token}"), 403),
        (format!("{STOP}demo_pat_nonsense"), 401),
        ("/1.0/environment/control/rest/stopenv?envName=E".to_owned(), 401),
        (format!("{STOP}{token}&session={token}"), 400),
        (format!("/1.0/environment/control/rest/stopenv?session={token}"), 400),
    ] {
        let failed = demo.get(&path).expect(200);
        assert_eq!(failed.json()["result"], result, "{path}: {}", failed.body);
        assert!(!text(&failed.json(), "error").is_empty() && !failed.body.contains(token));
    }
    demo.get("/1.0/environment/control/rest/stopenv?envName=E").bearer(token).expect(200);
    // Nowhere else is the query looked at.
    demo.get(&format!("/me?session={token}")).expect(401);
}

#[test]
fn hosting_presets_stand_for_their_methods() {
    let demo = Demo::start();
    let install = "/1.0/marketplace/jps/rest/install?envName=E&session=";
    let upload = "/1.0/environment/file/rest/upload?envName=E&session=";
    for (preset, results) in [
        ("Extended Access", [0, 0, 0]),
        ("IDE Plugins", [0, 403, 403]),
        ("Marketplace", [403, 0, 403]),
        ("Maven Plugin", [403, 403, 0]),
    ] {
        let body = json!({"description": "x", "tokenTemplate": preset});
        let ask = demo.post(&format!("{HOSTING}/createtoken")).user("alice").json(&body);
        let made = ask.expect(200).json();
        for (path, result) in [STOP, install, upload].into_iter().zip(results) {
            let answer = demo.get(&format!("{path}{}", text(&made, "token"))).expect(200).json();
            assert_eq!(answer["result"], result, "{preset} {path}");
        }
    }
    for form in [
        "description=x",
        "description=x&tokenTemplate=Everything",
        "description=x&apiList=",
        "description=x&apiList=environment.control.*",
        "description=x&apiList=write",
        "description=x&apiList=environment.control.stopenv, environment.control.startenv",
        "description=x&apiList=environment.control.stopenv&tokenTemplate=Marketplace",
        "description=x&description=y&tokenTemplate=Marketplace",
        "description=%ff&tokenTemplate=Marketplace",
        "tokenTemplate=Marketplace",
        "description=x&tokenTemplate=Marketplace&admin=1",
        "description=x&tokenTemplate=Marketplace&expiresAt=31-02-2099",
        "description=x&tokenTemplate=Marketplace&expiresAt=2099-01-01",
        "description=x&tokenTemplate=Marketplace&expiresAt=01-01-2020",
        "description=x&tokenTemplate=Marketplace&expiresAt=01-01-9999",
        "description=x&tokenTemplate=Marketplace&expiresAt=",
    ] {
        let failed = demo.hosting("alice", "createtoken", form);
        assert_eq!(failed["result"], 400, "{form}: {failed}");
        assert!(failed["error"].is_string());
    }
    let soon = (demo.app.hallpass.now().to_utc() + TimeDelta::days(10)).format("%d-%m-%Y");
    let form = format!("description=x&tokenTemplate=Marketplace&expiresAt={soon}");
    let made = demo.hosting("alice", "createtoken", &form);
    assert!(text(&made, "expiresAt").ends_with("T00:00:00Z"), "{made}");
}

#[test]
fn hosting_regenerates_copies_and_removes() {
    let demo = Demo::start();
    let result =
        |token: &str| demo.get(&format!("{STOP}{token}")).expect(200).json()["result"].clone();
    let form = "description=d&apiList=environment.control.stopenv";
    let old = demo.hosting("alice", "createtoken", form);
    let id = text(&old, "id");
    assert_eq!(result(text(&old, "token")), 0);
    let new = demo.hosting("alice", "regeneratetoken", &format!("id={id}"));
    assert_eq!((&new["id"], &new["description"]), (&old["id"], &old["description"]));
    assert_eq!(result(text(&old, "token")), 401);
    assert_eq!(result(text(&new, "token")), 0);
    let newer = demo.hosting("alice", "regeneratetoken", &format!("id={id}"));
    assert_eq!(result(text(&new, "token")), 401);

    let copy = demo.hosting("alice", "copytoken", &format!("id={id}&description=other"));
    assert_ne!(copy["id"], old["id"]);
    assert_eq!((&copy["apiList"], text(&copy, "description")), (&old["apiList"], "other"));
    assert_eq!(result(text(&copy, "token")), 0);

    for (call, more) in [("regeneratetoken", ""), ("copytoken", "&description=mine")] {
        let foreign = demo.hosting("bob", call, &format!("id={id}{more}"));
        assert_eq!(foreign["result"], 404, "{call}");
    }
    let bobs = demo.hosting("bob", "createtoken", form);
    let both = format!("ids={id},{}", text(&bobs, "id"));
    assert_eq!(demo.hosting("bob", "removetokens", &both)["result"], 404);
    assert_eq!(result(text(&bobs, "token")), 0, "all or none");
    assert_eq!(result(text(&newer, "token")), 0);

    let both = format!("ids={id},{}", text(&copy, "id"));
    assert_eq!(demo.hosting("alice", "removetokens", &both), json!({"result": 0}));
    assert_eq!(result(text(&newer, "token")), 401);
    assert_eq!(result(text(&copy, "token")), 401);
    assert_eq!(demo.hosting("alice", "removetokens", &both)["result"], 404);
    let ids = json!({"ids": [text(&bobs, "id")]});
    demo.post(&format!("{HOSTING}/removetokens")).user("root").json(&ids).expect(200);
    assert_eq!(result(text(&bobs, "token")), 401);
}

#[test]
fn hosting_wants_the_password_with_every_change() {
    let demo = Demo::start();
    let path = format!("{HOSTING}/createtoken");
    let form = "description=d&tokenTemplate=Marketplace";
    let given = |rest: &str| demo.post(&path).form(&format!("{form}{rest}"));
    given("&login=alice&password=alice%27s").expect(200);
    given("&password=alice%27s").basic("alice", "").expect(200);
    given("&password=alice%27s").user("alice").expect(200);
    let json = json!({"description": "d", "tokenTemplate": "Marketplace", "login": "bob", "password": "bob's"});
    assert_eq!(demo.post(&path).json(&json).expect(200).json()["result"], 0);
    for refused in [
        given(""),
        given("&password=alice%27s"),
        given("&login=alice"),
        given("&login=alice&password=bob%27s"),
        given("&login=bob&password=alice%27s").user("alice"),
        given("&password=wrong").user("alice"),
        given("").basic("alice", "wrong"),
        given("").basic("alice", ""),
    ] {
        let answer = refused.expect(401);
        assert_eq!(answer.json()["result"], 401);
        assert!(answer.json()["error"].is_string());
    }
    demo.post(&path).user("alice").body("text/plain", form).expect(200);
    let answer = demo.post(&path).user("alice").body("text/plain", form).send();
    assert_eq!(answer.json()["result"], 415);
}

// The developer playground.

#[test]
fn playground_tokens_are_known_by_name() {
    let demo = Demo::start();
    let made = demo.token("alice", PATS, &json!({"name": "My laptop"}));
    let token = text(&made, "token");
    let again = demo.post(PATS).user("alice").json(&json!({"name": "MY LAPTOP"})).expect(409);
    assert_eq!(again.json()["type"], "urn:demo:problem:name-taken");
    demo.token("alice", PATS, &json!({"name": "My laptop 2"}));
    demo.token("bob", PATS, &json!({"name": "My laptop"}));

    demo.post(LOGIN).bearer(token).expect(200);
    let list = demo.get(PATS).user("alice").expect(200);
    assert!(!list.body.contains(token));
    let list = list.json();
    let tokens = list["tokens"].as_array().unwrap();
    assert_eq!(tokens.len(), 2, "sessions are not listed");
    let used = tokens.iter().find(|token| text(token, "name") == "My laptop").unwrap();
    assert!(used["last_used_at"].is_string());

    demo.ask("DELETE", &format!("{PATS}/My%20laptop")).user("alice").expect(204);
    demo.ask("DELETE", &format!("{PATS}/My%20laptop")).user("alice").expect(404);
    demo.post(LOGIN).bearer(token).expect(401);
    let left = demo.get(PATS).user("alice").expect(200).json();
    assert_eq!(left["tokens"].as_array().unwrap().len(), 1);
    assert_eq!(demo.get(PATS).user("bob").expect(200).json()["tokens"][0]["name"], "My laptop");
    for body in [
        json!({}),
        json!({"name": null}),
        json!({"name": 1}),
        json!({"name": ""}),
        json!({"name": "x", "scopes": []}),
    ] {
        demo.post(PATS).user("alice").json(&body).expect(400);
    }
}

fn session_after_deletion(let_sessions_finish: bool) -> u16 {
    let demo = Demo::start_with(|settings| settings.let_sessions_finish = let_sessions_finish);
    let made = demo.token("alice", PATS, &json!({"name": "x"}));
    let session = demo.post(LOGIN).bearer(text(&made, "token")).expect(200);
    assert_eq!(session.header("cache-control"), Some("no-store"));
    let session = session.json();
    assert_eq!(session["expires_in"], 900);
    let access = text(&session, "access_token");
    let me = demo.get("/me").bearer(access).expect(200).json();
    assert_eq!((text(&me, "user"), text(&me, "kind")), ("alice", "at"));
    // A session cannot prolong itself.
    demo.post(LOGIN).bearer(access).expect(401);
    demo.ask("DELETE", &format!("{PATS}/x")).user("alice").expect(204);
    demo.get("/me").bearer(text(&made, "token")).expect(401);
    demo.get("/me").bearer(access).send().status
}

#[test]
fn sessions_die_with_their_token() {
    assert_eq!(session_after_deletion(false), 401);
}

#[test]
fn sessions_finish_where_policy_lets_them() {
    assert_eq!(session_after_deletion(true), 200);
}

#[test]
fn only_playground_tokens_log_in() {
    let demo = Demo::start();
    let other = demo.token("alice", DATA, &json!({"name": "x", "scopes": ["openid"]}));
    demo.post(LOGIN).bearer(text(&other, "token")).expect(403);
    demo.post(LOGIN).user("alice").expect(401);
    demo.post(LOGIN).expect(401);
}

// The data platform.

#[test]
fn data_tokens_always_show_the_profile_and_never_end() {
    let demo = Demo::start();
    let made = demo.token("alice", DATA, &json!({"name": "x", "scopes": ["openid"]}));
    assert_eq!(
        (&made["scopes"], &made["expires_at"]),
        (&json!(["openid", "profile"]), &Value::Null)
    );
    let token = text(&made, "token");
    let profile = demo.get("/api/data/v1/profile").bearer(token).expect(200).json();
    assert_eq!(profile["name"], "alice");
    demo.get("/api/data/v1/credentials").bearer(token).expect(403);
    let strong = demo.token("alice", DATA, &json!({"name": "y", "scopes": ["credentials"]}));
    demo.get("/api/data/v1/credentials").basic("", text(&strong, "token")).expect(200);
    // No other product's token has the profile.
    let pat = demo.token("alice", PATS, &json!({"name": "x"}));
    demo.get("/api/data/v1/profile").bearer(text(&pat, "token")).expect(403);
    for scopes in [json!(null), json!([]), json!("profile"), json!(["admin"]), json!(["write"])] {
        demo.post(DATA).user("alice").json(&json!({"name": "z", "scopes": scopes})).expect(400);
    }
}

#[test]
fn data_tokens_end_where_policy_says_so() {
    let demo = Demo::start_with(|settings| settings.data_lifetime = Some(TimeDelta::days(100)));
    let made = demo.token("alice", DATA, &json!({"name": "x", "scopes": ["openid"]}));
    let [start, end] = ["created_at", "expires_at"]
        .map(|field| text(&made, field).parse::<hallpass::Timestamp>().unwrap());
    assert_eq!(end.since(start), TimeDelta::days(100));
    demo.get("/me").bearer(text(&made, "token")).expect(200);
}

#[test]
fn data_tokens_are_exchanged_for_less() {
    let demo = Demo::start();
    let made =
        demo.token("alice", DATA, &json!({"name": "x", "scopes": ["openid", "credentials"]}));
    let token = text(&made, "token");
    let exchange = |rest: &str| demo.post(EXCHANGE).form(&format!("{TOKEN_EXCHANGE}&{rest}"));
    let whole = exchange(&format!("subject_token={token}")).expect(200);
    assert_eq!(whole.header("cache-control"), Some("no-store"));
    assert_eq!(whole.header("pragma"), Some("no-cache"));
    let whole = whole.json();
    assert_eq!(whole["scope"], "credentials openid profile");
    assert_eq!((&whole["token_type"], &whole["expires_in"]), (&json!("Bearer"), &json!(900)));
    let narrow = exchange(&format!("subject_token={token}&scope=openid&x=1&audience=")).expect(200);
    let narrow = narrow.json();
    assert_eq!(narrow["scope"], "openid profile");
    let short = text(&narrow, "access_token");
    demo.get("/api/data/v1/profile").bearer(short).expect(200);
    demo.get("/api/data/v1/credentials").bearer(short).expect(403);

    let other = demo.token("alice", PATS, &json!({"name": "x"}));
    let other = format!("subject_token={}", text(&other, "token"));
    let subject = format!("subject_token={token}");
    for (rest, error) in [
        (String::new(), "invalid_request"),
        ("subject_token=".to_owned(), "invalid_request"),
        ("subject_token=nonsense".to_owned(), "invalid_request"),
        (format!("subject_token={short}"), "invalid_request"),
        (other, "invalid_request"),
        (format!("{subject}&{subject}"), "invalid_request"),
        (format!("{subject}&x=1&x=2"), "invalid_request"),
        (format!("{subject}&actor_token={token}"), "invalid_request"),
        (format!("{subject}&requested_subject=root"), "invalid_request"),
        (format!("{subject}&requested_token_type=saml"), "invalid_request"),
        (format!("{subject}&audience=other"), "invalid_target"),
        (format!("{subject}&scope=write"), "invalid_scope"),
        (format!("{subject}&scope=openid++profile"), "invalid_scope"),
        (format!("{subject}&scope=%ff"), "invalid_request"),
    ] {
        let refused = exchange(&rest).expect(400).json();
        assert_eq!(refused["error"], error, "{rest}: {refused}");
    }
    let wrong = format!("grant_type=password&{subject}");
    assert_eq!(
        demo.post(EXCHANGE).form(&wrong).expect(400).json()["error"],
        "unsupported_grant_type"
    );
    demo.post(EXCHANGE).json(&json!({"subject_token": token})).expect(400);
    demo.post(&format!("{EXCHANGE}?{subject}")).form(TOKEN_EXCHANGE).expect(400);
    assert!(demo.get(EXCHANGE).expect(405).header("allow").unwrap().contains("post"));

    demo.ask("DELETE", &format!("{DATA}/{}", text(&made, "id"))).user("alice").expect(204);
    demo.get("/api/data/v1/profile").bearer(short).expect(401);
    exchange(&subject).expect(400);
}

// Everybody.

#[test]
fn me_tells_whom_any_token_speaks_for() {
    let demo = Demo::start();
    let form = "description=x&tokenTemplate=Marketplace";
    let methods = json!(["marketplace.jps.install", "marketplace.jps.uninstall"]);
    for (product, made, scopes) in [
        (
            "automation",
            demo.token("bob", AUTOMATION, &json!({"description": "x", "scope": "write"})),
            json!(["read", "write"]),
        ),
        (
            "release",
            demo.token("bob", RELEASE, &json!({"name": "x", "scopes": ["webhook"]})),
            json!(["webhook"]),
        ),
        ("hosting", demo.hosting("bob", "createtoken", form), methods),
        ("playground", demo.token("bob", PATS, &json!({"name": "x"})), json!(["playground"])),
        (
            "data",
            demo.token("bob", DATA, &json!({"name": "x", "scopes": ["profile"]})),
            json!(["profile"]),
        ),
    ] {
        let token = text(&made, "token");
        let me = demo.get("/me").bearer(token).expect(200);
        let answer = me.json();
        assert_eq!((text(&answer, "user"), text(&answer, "product")), ("bob", product));
        assert_eq!((&answer["id"], &answer["scopes"]), (&made["id"], &scopes));
        assert_eq!(answer["expires_at"].is_null(), product == "data");
        assert!(me.header("vary").unwrap().contains("authorization"));
        for other in [
            demo.get("/me").basic("alice", token),
            demo.get("/me").basic(token, "x-oauth-basic"),
            demo.get("/me").header("x-release-personal-token", token),
            demo.get("/me").header("x-release-webhook-token", token),
        ] {
            assert_eq!(other.expect(200).json(), answer);
        }
    }
    let none = demo.get("/me").expect(401);
    assert_eq!(none.header("www-authenticate"), Some(r#"bearer realm="demo""#));
    demo.get("/me").user("bob").expect(401);
    demo.get("/nowhere").expect(404);
    assert_eq!(demo.get("/healthz").expect(200).body, "ok\n");
}

#[test]
fn no_secret_is_in_any_file() {
    let demo = Demo::start();
    let made = demo.token("alice", AUTOMATION, &json!({"description": "x", "scope": "read"}));
    let token = text(&made, "token");
    demo.get("/me").bearer(token).expect(200);
    demo.runtime.block_on(demo.app.hallpass.maintain()).unwrap();
    let secret = token.split('_').nth(3).unwrap();
    for entry in std::fs::read_dir(demo._folder.path()).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        let holds = |text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
        assert!(!holds(secret) && !holds("alice's"), "a secret is stored");
    }
}

// The program.

/// What [`the_program`] is asked to do, one argument a line.
const ARGUMENTS: &str = "HALLPASS_DEMO_ARGUMENTS";

/// The demo as a program: [`Program`] starts this very executable again with this test alone, since
/// Cargo builds no example for a test to start. Does nothing when it is run with the others.
#[test]
fn the_program() {
    let Ok(arguments) = std::env::var(ARGUMENTS) else { return };
    let arguments = arguments.lines().map(str::to_owned);
    let options = demo::options::Options::parse(arguments, None).unwrap().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    if let Err(error) = runtime.block_on(demo::run(options)) {
        println!("failed: {error}");
    }
}

struct Program {
    child: Child,
    lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
}

impl Program {
    fn start(arguments: &[&str]) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["the_program", "--exact", "--nocapture"])
            .env(ARGUMENTS, arguments.join("\n"))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    /// Where it listens, once it does.
    fn address(&mut self) -> SocketAddr {
        let said = self.read_to("ready on http://");
        said.last().unwrap().split(['/', ',']).nth(2).unwrap().parse().unwrap()
    }

    /// What it says up to and with the line that starts like this.
    fn read_to(&mut self, start: &str) -> Vec<String> {
        let mut said = Vec::new();
        for line in self.lines.by_ref() {
            said.push(line.unwrap());
            if said.last().unwrap().starts_with(start) {
                return said;
            }
        }
        panic!("it ended without saying {start}: {said:#?}");
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn has_curl() -> bool {
    Command::new("curl").arg("--version").output().is_ok_and(|output| output.status.success())
}

#[test]
fn the_printed_curl_lines_work_and_last_uses_outlive_the_program() {
    let folder = tempfile::tempdir().unwrap();
    let database = format!("sqlite:{}", folder.path().join("demo.sqlite").display());
    let arguments =
        ["--listen", "127.0.0.1:0", "--database", &database, "--password", "it's a $ecret"];
    let mut program = Program::start(&arguments);
    let said = program.read_to("ready on http://");
    let address = said.last().unwrap().split(['/', ',']).nth(2).unwrap();
    let address: SocketAddr = address.parse().unwrap();
    Ask::new(address, "GET", "/healthz").expect(200);
    let sign_in = |ask: Ask| ask.basic("bob", "it's a $ecret");
    let made = sign_in(Ask::new(address, "POST", PATS)).json(&json!({"name": "kept"})).expect(201);
    Ask::new(address, "GET", "/me").bearer(text(&made.json(), "token")).expect(200);

    if has_curl() {
        let start = said.iter().position(|line| line.starts_with("field()")).unwrap();
        // The status of each answer goes where nothing reads it but this test.
        let mut script =
            "curl() { command curl -w '%{stderr}%{http_code}\\n' \"$@\"; }\n".to_owned();
        script.push_str(&said[start..said.len() - 1].join("\n"));
        let run = Command::new("sh").arg("-c").arg(script).output().unwrap();
        let statuses = String::from_utf8(run.stderr).unwrap();
        let expected: Vec<&str> = said
            .iter()
            .filter_map(|line| line.strip_prefix("# ")?.strip_suffix(')')?.rsplit('(').next())
            .collect();
        assert_eq!(statuses.lines().collect::<Vec<_>>(), expected, "{said:#?}");
        let out = String::from_utf8(run.stdout).unwrap();
        assert_eq!(out.matches("\"error\"").count(), 1, "{out}");
    }

    #[cfg(unix)]
    {
        let id = program.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
        program.read_to("stopped");
        drop(program);
        let store = SqliteStore::open(folder.path().join("demo.sqlite")).unwrap();
        let settings = Settings {
            origin: "http://127.0.0.1:3000".to_owned(),
            let_sessions_finish: false,
            data_lifetime: None,
            passwords: ["a", "b", "c", "d"].map(str::to_owned),
            argon2: Argon2::from(Params::new(8, 1, 1, None).unwrap()),
        };
        let app = App::new(store, &settings).unwrap();
        let id = text(&made.json(), "id").parse().unwrap();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let token = runtime.block_on(app.hallpass.get(&id)).unwrap().unwrap();
        assert!(token.last_use.is_some(), "the last use is lost");
    }
}

#[test]
fn the_program_says_why_it_cannot_start() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let mut program = Program::start(&["--listen", &address, "--database", "memory:"]);
    let said = program.read_to("failed: ").pop().unwrap();
    assert!(said.contains("cannot listen") && said.contains("--listen"), "{said}");

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("notes.txt");
    std::fs::write(&file, "this is no database, however long one looks at it\n".repeat(20))
        .unwrap();
    let database = format!("sqlite:{}", file.display());
    let mut program = Program::start(&["--listen", "127.0.0.1:0", "--database", &database]);
    let said = program.read_to("failed: ").pop().unwrap();
    assert!(said.contains("cannot open the database") && said.contains("notes.txt"), "{said}");
}
