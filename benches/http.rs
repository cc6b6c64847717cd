//! What the guard costs a server: requests a second over loopback to one axum server, on a route
//! with the guard and on one without, in turns.
//!
//! First server and client have one thread each, and the server is what limits: the strictest
//! comparison, as the server does nothing but answer. Then the server runs as `#[tokio::main]`
//! runs it, on tokio's default runtime, and shares the machine with its client. Under `cargo bench` the
//! figures are also written to `criterion/http.json` in the target directory, for the report.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a bench that cannot be set up must stop"
)]

#[expect(dead_code, reason = "each bench uses its part")]
mod support;

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use axum::Router;
use axum::routing::get;
use hallpass::axum::GuardedRouter;
use hallpass::{Boundary, Requirement};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};

use support::{Text, is_test, populated};

/// Connections that are kept alive, each with one request at a time.
const CONNECTIONS: u64 = 32;

fn main() {
    let (rounds, requests) = if is_test() { (1, 4) } else { (41, 400) };
    let count = if is_test() { 10_000 } else { 1_000_000 };
    let boundary = Boundary::builder(populated(count)).build().expect("a boundary");
    let mut figures = serde_json::Map::new();
    for (kind, runtime) in [("", one_thread as fn() -> Runtime), (" shared", default_runtime)] {
        let mut load = Load::of(serve(boundary.clone(), runtime), requests);
        for (name, among) in [("hot", 1), ("random", count)] {
            let name = format!("{name}{kind}");
            let figure = Figure::of(&mut load, rounds, among);
            println!(
                "http {name}: {:.0} requests a second, {:.0} without the guard, ratio {:.3}",
                figure.guarded, figure.bare, figure.ratio
            );
            figures.insert(
                name,
                serde_json::json!({
                    "tokens": among, "bare_per_second": figure.bare,
                    "guarded_per_second": figure.guarded, "ratio": figure.ratio,
                }),
            );
        }
    }
    if !is_test() {
        figures.insert("connections".to_owned(), CONNECTIONS.into());
        support::write_figures("http.json", &figures.into());
    }
}

fn one_thread() -> Runtime {
    Builder::new_current_thread().enable_all().build().expect("a runtime")
}

fn default_runtime() -> Runtime {
    Runtime::new().expect("a runtime")
}

async fn hello() -> &'static str {
    "Hello, world!"
}

/// Starts the server on a thread of its own, which ends with the process.
fn serve(boundary: Boundary, runtime: fn() -> Runtime) -> SocketAddr {
    let guarded = GuardedRouter::new(boundary)
        .route("/hallo", Requirement::scope("repo:read"), get(hello))
        .into_router()
        .expect("a router");
    let app = Router::new().route("/hello", get(hello)).merge(guarded);
    let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let address = listener.local_addr().expect("an address");
    listener.set_nonblocking(true).expect("a setting");
    std::thread::spawn(move || {
        runtime().block_on(async {
            let listener = TcpListener::from_std(listener).expect("a listener");
            let app = app.into_make_service_with_connect_info::<SocketAddr>();
            axum::serve(listener, app).await.expect("served");
        });
    });
    address
}

/// Which of the two routes.
#[derive(Clone, Copy)]
enum Route {
    Bare,
    Guarded,
}

struct Figure {
    bare: f64,
    guarded: f64,
    ratio: f64,
}

impl Figure {
    /// Medians over rounds in which both routes have their turn, the other one first each time.
    fn of(load: &mut Load, rounds: u64, among: u64) -> Self {
        load.run(Route::Bare, among);
        load.run(Route::Guarded, among);
        let (mut bare, mut guarded, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
        for round in 0..rounds {
            let (without, with) = if round % 2 == 0 {
                let without = load.run(Route::Bare, among);
                (without, load.run(Route::Guarded, among))
            } else {
                let with = load.run(Route::Guarded, among);
                (load.run(Route::Bare, among), with)
            };
            let (without, with) = (without.as_secs_f64(), with.as_secs_f64());
            bare.push(load.total() / without);
            guarded.push(load.total() / with);
            ratios.push(without / with);
        }
        Self { bare: median(bare), guarded: median(guarded), ratio: median(ratios) }
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values[values.len() / 2]
}

struct Load {
    client: Runtime,
    connections: Vec<Connection>,
    /// Requests on each connection in a round.
    requests: u32,
}

impl Load {
    fn of(address: SocketAddr, requests: u32) -> Self {
        let client = one_thread();
        let connections = client.block_on(async {
            let mut connections = Vec::new();
            for _ in 0..CONNECTIONS {
                connections.push(Connection::open(address).await);
            }
            connections
        });
        Self { client, connections, requests }
    }

    fn total(&self) -> f64 {
        f64::from(self.requests) * f64::from(u32::try_from(CONNECTIONS).expect("few"))
    }

    /// How long it takes to have a round of requests answered, all connections at once.
    fn run(&mut self, route: Route, among: u64) -> Duration {
        let requests = self.requests;
        self.client.block_on(async {
            let started = Instant::now();
            let mut tasks = Vec::new();
            for (seed, mut connection) in (0_u64..).zip(self.connections.drain(..)) {
                tasks.push(tokio::spawn(async move {
                    for _ in 0..requests {
                        connection.steps += 1;
                        let number = support::mix(connection.steps ^ (seed << 32)) % among;
                        connection.request(route, number).await;
                    }
                    connection
                }));
            }
            for task in tasks {
                self.connections.push(task.await.expect("no panic"));
            }
            started.elapsed()
        })
    }
}

struct Connection {
    stream: TcpStream,
    text: Text,
    /// Requests so far.
    steps: u64,
    request: Vec<u8>,
    response: Vec<u8>,
}

impl Connection {
    async fn open(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.expect("a connection");
        stream.set_nodelay(true).expect("a setting");
        Self { stream, text: Text::new(), steps: 0, request: Vec::new(), response: vec![0; 1024] }
    }

    /// Sends one request and reads the whole of its answer, which must be good.
    async fn request(&mut self, route: Route, number: u64) {
        let path = match route {
            Route::Bare => "/hello",
            Route::Guarded => "/hallo",
        };
        self.request.clear();
        for part in [
            "GET ",
            path,
            " HTTP/1.1\r\nhost: api.example.com\r\nuser-agent: curl/8.5.0\r\naccept: */*\r\n\
             authorization: Bearer ",
            self.text.of(number),
            "\r\n\r\n",
        ] {
            self.request.extend_from_slice(part.as_bytes());
        }
        self.stream.write_all(&self.request).await.expect("sent");
        let mut len = 0;
        loop {
            let more = self.stream.read(&mut self.response[len..]).await.expect("an answer");
            assert_ne!(more, 0, "the server hung up");
            len += more;
            if self.response[..len].ends_with(b"\r\n\r\nHello, world!") {
                break;
            }
        }
        assert!(self.response.starts_with(b"HTTP/1.1 200 "));
    }
}
