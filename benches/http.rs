//! What the guard costs a server: requests a second over loopback to one axum server, on a route
//! with the guard and on one without, in turns; and on one behind a layer that checks nothing but
//! does what every such layer has to: it gives the handler a value and the response two headers.
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
use axum::extract::Request;
use axum::response::Response;
use axum::routing::get;
use hallpass::axum::GuardedRouter;
use hallpass::{Boundary, Requirement, Verified};
use http::HeaderValue;
use http::header::{CACHE_CONTROL, VARY};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};
use tower::ServiceBuilder;

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
            let [bare, least, guarded] = figure.per_second;
            let [_, of_least, of_guarded] = figure.ratio;
            println!(
                "http {name}: {guarded:.0} requests a second, {bare:.0} without the guard, ratio \
                 {of_guarded:.3}; {least:.0} behind a layer that checks nothing, {of_least:.3}"
            );
            figures.insert(
                name,
                serde_json::json!({
                    "tokens": among, "bare_per_second": bare, "least_per_second": least,
                    "guarded_per_second": guarded, "least_ratio": of_least, "ratio": of_guarded,
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

/// As large as what the guard gives the handler.
#[derive(Clone)]
struct Proof(#[expect(dead_code, reason = "nobody asks")] [u8; size_of::<Verified>()]);

/// Starts the server on a thread of its own, which ends with the process.
fn serve(boundary: Boundary, runtime: fn() -> Runtime) -> SocketAddr {
    let least = ServiceBuilder::new()
        .map_request(|mut request: Request| {
            request.extensions_mut().insert(Proof([0; size_of::<Verified>()]));
            request
        })
        .map_response(|mut response: Response| {
            let headers = response.headers_mut();
            headers.insert(VARY, HeaderValue::from_static("Authorization"));
            headers.insert(CACHE_CONTROL, HeaderValue::from_static("private"));
            response
        });
    let guarded = GuardedRouter::new(boundary)
        .route("/hallo", Requirement::scope("repo:read"), get(hello))
        .into_router()
        .expect("a router");
    let app = Router::new()
        .route("/hello", get(hello))
        .route("/least", get(hello).layer(least))
        .merge(guarded);
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

/// The paths, all of one length.
const ROUTES: [&str; 3] = ["/hello", "/least", "/hallo"];

/// Of each of the [`ROUTES`].
struct Figure {
    per_second: [f64; 3],
    /// To the first.
    ratio: [f64; 3],
}

impl Figure {
    /// Medians over rounds in which all routes have their turn, another one first each time.
    fn of(load: &mut Load, rounds: usize, among: u64) -> Self {
        for route in ROUTES {
            load.run(route, among);
        }
        let (mut rates, mut ratios) = ([const { Vec::new() }; 3], [const { Vec::new() }; 3]);
        for round in 0..rounds {
            let mut took = [0.0; 3];
            for turn in 0..ROUTES.len() {
                let place = (turn + round) % ROUTES.len();
                took[place] = load.run(ROUTES[place], among).as_secs_f64();
            }
            for (place, seconds) in took.into_iter().enumerate() {
                rates[place].push(load.total() / seconds);
                ratios[place].push(took[0] / seconds);
            }
        }
        Self { per_second: rates.map(median), ratio: ratios.map(median) }
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
    fn run(&mut self, route: &'static str, among: u64) -> Duration {
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
    async fn request(&mut self, path: &str, number: u64) {
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
