//! [tonic](https://docs.rs/tonic) 0.14: a layer that names the methods of a server and what they
//! ask for, and refuses in gRPC's own words.
//!
//! Tokens come in the metadata `authorization`, or in that of another
//! [source](crate::Sources). A method that [`GuardedMethods`] do not name is refused. Handlers find
//! the token with [`verified`], and may turn a [`Rejection`](crate::credential::Rejection) into a
//! `Status` with `?`.
//!
//! # Status
//!
//! | problem | code |
//! |---|---|
//! | no credential, malformed, several, invalid token | `UNAUTHENTICATED` |
//! | a scope, a resource or the requirement of the method is missing, cross-site | `PERMISSION_DENIED` |
//! | tokens cannot be verified right now | `UNAVAILABLE` |
//! | too many requests, header or URI too large | `RESOURCE_EXHAUSTED` |
//! | the handler is not guarded | `INTERNAL` |
//!
//! The message is the [detail](crate::credential::Problem::detail) of the problem. The status
//! carries the header lines that the boundary gives over HTTP as metadata (`www-authenticate`,
//! `retry-after`, `cache-control`, `vary`), and as details (`google.rpc`) an `ErrorInfo`, whose
//! domain is `hallpass` and whose reason is the last part of the problem's
//! [type](crate::credential::Problem::type_uri) in upper case, such as `INVALID_TOKEN`; for an
//! outage also a `RetryInfo`. A client that does not speak gRPC gets what it gets over HTTP.
//!
//! `examples/tonic_app.rs` is a server and its client.
//!
//! ```
//! use hallpass::tonic::GuardedMethods;
//! use hallpass::{Boundary, Hallpass, MemoryStore, Requirement, ScopeCatalog};
//! use tonic::transport::Server;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let hallpass = Hallpass::builder(MemoryStore::new())
//!     .brand("acme")
//!     .catalog(ScopeCatalog::of(["repo:read", "repo:write"])?)
//!     .build()?;
//! let guard = GuardedMethods::new(Boundary::builder(hallpass).build()?)
//!     .method("/acme.v1.Repos/List", Requirement::scope("repo:read"))
//!     .method("/acme.v1.Repos/Create", Requirement::scope("repo:write"))
//!     .public("/grpc.health.v1.Health/Check")
//!     .into_layer()?;
//! let server = Server::builder().layer(guard);
//! # drop(server);
//! # Ok(()) }
//! ```

mod methods;
mod service;
mod status;

pub use methods::{GuardedMethods, MethodLayer};
pub use service::{GuardedCall, GuardedServer};
pub use status::verified;

pub use crate::credential::RouteError;
