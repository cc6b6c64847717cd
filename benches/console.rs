//! What pages of the console cost over loopback: the list of an owner with 50 tokens among a
//! million, and the form for a new token, beside a bare axum page of as many bytes.
//!
//! Server and client have one thread each. The time of every request is kept, with one connection
//! and with many that ask at once; page and bare page take turns. It prints the table of
//! docs/OPERATING.md.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a bench that cannot be set up must stop"
)]

#[expect(dead_code, reason = "each bench uses its part")]
mod support;

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use axum::Router;
use axum::response::Html;
use axum::routing::get;
use hallpass::console::Console;
use hallpass::host::{CallerResolver, Host, HostOutage, NoConfirmation, SignedIn};
use hallpass::{Hallpass, Issue, Owner};
use http::request::Parts;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};

use support::{is_test, populated, ready};

/// Connections under load, each with one request at a time.
const CONNECTIONS: usize = 16;
/// How often page and bare page take turns.
const TURNS: usize = 5;

/// Whoever asks is the owner whose pages are measured.
#[derive(Debug)]
struct Everybody;

#[async_trait]
impl CallerResolver for Everybody {
    async fn signed_in(&self, _: &Parts) -> Result<Option<SignedIn>, HostOutage> {
        let owner = Owner::parse("reader").map_err(HostOutage::new)?;
        Ok(Some(SignedIn::new(owner, "session")))
    }
}

fn main() {
    let (count, requests) = if is_test() { (100, 2 * CONNECTIONS) } else { (1_000_000, 4_000) };
    let hallpass = populated(count);
    for number in 0..50 {
        let issue = Issue::new(format!("job {number}")).owner("reader");
        ready(hallpass.issue(issue.scopes(["repo:read", "issue:write"]))).expect("a token");
    }
    println!("| page | requests at once | p50 / p99 | a bare axum page of the size |");
    println!("|---|---|---|---|");
    let client = runtime();
    for (name, path) in [("list of 50", "/tokens"), ("create form", "/tokens/new")] {
        let size = client.block_on(page_size(&hallpass, path));
        let address = serve(hallpass.clone(), size);
        for connections in [1, CONNECTIONS] {
            let (mut own, mut bare) = (Vec::new(), Vec::new());
            for _ in 0..TURNS {
                for (path, times) in [(path, &mut own), ("/bare", &mut bare)] {
                    times.extend(client.block_on(ask_often(address, path, connections, requests)));
                }
            }
            let size = size.div_ceil(1024);
            let (own, bare) = (told(own), told(bare));
            println!("| {name}, {size} KiB | {connections} | {own} | {bare} |");
        }
    }
}

fn told(mut times: Vec<Duration>) -> String {
    times.sort_unstable();
    let at = |share: usize| times[(times.len() - 1) * share / 100].as_micros();
    format!("{} / {} us", at(50), at(99))
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().expect("a runtime")
}

fn router(hallpass: Hallpass) -> Router {
    let host = Host::builder(hallpass, "http://127.0.0.1:3000", Everybody);
    let host = host.confirmation(NoConfirmation).build().expect("a host");
    let console = Console::builder(host).mounted_at("/tokens").build().expect("a console");
    console.router()
}

/// How many bytes a page has.
async fn page_size(hallpass: &Hallpass, path: &str) -> usize {
    use tower::ServiceExt as _;

    let request = http::Request::get(path).body(axum::body::Body::empty()).expect("a request");
    let response = router(hallpass.clone()).oneshot(request).await.expect("an answer");
    let body = axum::body::to_bytes(response.into_body(), usize::MAX).await.expect("a body");
    body.len()
}

/// Starts the server on a thread of its own, which ends with the process.
fn serve(hallpass: Hallpass, size: usize) -> SocketAddr {
    let bare = "x".repeat(size);
    let app = router(hallpass).route("/bare", get(async move || Html(bare.clone())));
    let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let address = listener.local_addr().expect("an address");
    listener.set_nonblocking(true).expect("a setting");
    std::thread::spawn(move || {
        runtime().block_on(async {
            let listener = TcpListener::from_std(listener).expect("a listener");
            axum::serve(listener, app).await.expect("served");
        });
    });
    address
}

/// The times of so many requests, spread over connections that ask at once.
async fn ask_often(
    address: SocketAddr,
    path: &'static str,
    connections: usize,
    requests: usize,
) -> Vec<Duration> {
    let mut tasks = Vec::new();
    for _ in 0..connections {
        tasks.push(tokio::spawn(async move {
            let mut stream = TcpStream::connect(address).await.expect("a connection");
            stream.set_nodelay(true).expect("a setting");
            let mut times = Vec::with_capacity(requests);
            let mut response = vec![0; 1 << 20];
            // The first ones are not counted.
            for number in 0..requests / connections + requests / 20 {
                let started = Instant::now();
                ask(&mut stream, path, &mut response).await;
                if number >= requests / 20 {
                    times.push(started.elapsed());
                }
            }
            times
        }));
    }
    let mut all = Vec::new();
    for task in tasks {
        all.extend(task.await.expect("no panic"));
    }
    all
}

/// Sends one request and reads the whole of its answer, which must be good.
async fn ask(stream: &mut TcpStream, path: &str, response: &mut [u8]) {
    let request = format!("GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\naccept: text/html\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("sent");
    let (mut len, mut whole) = (0, usize::MAX);
    while len < whole {
        let more = stream.read(&mut response[len..]).await.expect("an answer");
        assert_ne!(more, 0, "the server hung up");
        len += more;
        let head = response[..len].windows(4).position(|four| four == b"\r\n\r\n");
        if let (usize::MAX, Some(end)) = (whole, head) {
            let text = std::str::from_utf8(&response[..end]).expect("a head");
            assert!(text.starts_with("HTTP/1.1 200 "), "{text}");
            let length = text.lines().find_map(|line| line.strip_prefix("content-length: "));
            whole = end + 4 + length.and_then(|text| text.parse().ok()).unwrap_or(0);
        }
    }
}
