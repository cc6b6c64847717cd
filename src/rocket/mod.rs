//! [Rocket](https://docs.rs/rocket) 0.5: routes that all say what they ask for, and the verified
//! token as a request guard.
//!
//! [`GuardedRoutes`] are attached as a fairing, which mounts them. A Rocket that has a route which
//! was mounted past them does not launch; what anybody may call is mounted with
//! [`public`](GuardedRoutes::public). A handler may return `Result<_, Rejection>` and ask the token
//! for more with `?`.
//!
//! The peer is the other end of the connection. `Request::client_ip` believes the header
//! `X-Real-IP` unless `ip_header` is configured otherwise; an app behind a proxy that sets it asks
//! for it with [`peer_from`](GuardedRoutes::peer_from).
//!
//! Attach the fairing last: what other fairings then do to a response, it sees. A query parameter
//! that may hold a token is taken out of the URI of every request, whatever its route.
//!
//! # What Rocket keeps from the boundary
//! - Rocket drops header lines that are not UTF-8 before anybody sees them. A credential in such a
//!   line is no credential, and a second one in such a line is not counted.
//! - Rocket's own log shows credentials: at `debug` the headers, and at every level the URI of a
//!   request that Rocket itself finds malformed. Rocket's request has no way to mark a value
//!   sensitive. A token in the URI is taken out before Rocket logs the request.
//! - Rocket answers a method it does not know itself, with 400.
//!
//! ```
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use hallpass::rocket::GuardedRoutes;
//! use hallpass::{Boundary, Hallpass, Issue, MemoryStore, Requirement, ScopeCatalog, Verified};
//! use rocket::http::{Header, Status};
//! use rocket::local::asynchronous::Client;
//! use rocket::{get, routes};
//!
//! #[get("/repos")]
//! fn list_repos(token: Verified) -> String {
//!     format!("repositories of {}", token.owner())
//! }
//!
//! let hallpass = Hallpass::builder(MemoryStore::new())
//!     .brand("acme")
//!     .catalog(ScopeCatalog::of(["repo:read"])?)
//!     .build()?;
//! let routes = GuardedRoutes::new(Boundary::builder(hallpass.clone()).build()?)
//!     .mount("/", Requirement::scope("repo:read"), routes![list_repos])
//!     .into_fairing()?;
//! let client = Client::untracked(rocket::build().attach(routes)).await?;
//!
//! let issued = hallpass.issue(Issue::new("ci").owner("u1").scopes(["repo:read"])).await?;
//! let authorization = Header::new("authorization", format!("Bearer {}", issued.plain.expose()));
//! assert_eq!(client.get("/repos").header(authorization).dispatch().await.status(), Status::Ok);
//! assert_eq!(client.get("/repos").dispatch().await.status(), Status::Unauthorized);
//! # Ok(()) }
//! ```

mod extract;
mod fairing;
mod handler;
mod routes;
mod seen;

pub use fairing::GuardFairing;
pub use routes::GuardedRoutes;

pub use crate::credential::RouteError;
