//! [actix-web](https://docs.rs/actix-web) 4: routes that all say what they ask for, a middleware,
//! and the verified token as an extractor.
//!
//! [`GuardedRoutes`] are put together once, before the server starts, and cloned for each worker.
//! [`RequireToken`] is the middleware alone, for a resource or a scope.
//!
//! A handler may return `Result<_, Rejection>` and ask the token for more with `?`.
//!
//! The peer is the other end of the connection. An app behind a proxy puts a
//! [`Peer`](crate::credential::Peer) in the extensions of the request; headers like `Forwarded` are
//! not believed. A token in the URI is taken out of it, but what ran before the middleware, such as
//! a `Logger` around it, has seen it. A middleware around this one must not keep a clone of the
//! `HttpRequest`: actix-web panics when a request in use is changed.
//!
//! ```
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use actix_web::test::{TestRequest, call_service, init_service};
//! use actix_web::{App, web};
//! use hallpass::actix::GuardedRoutes;
//! use hallpass::{Boundary, Hallpass, Issue, MemoryStore, Requirement, ScopeCatalog, Verified};
//!
//! async fn list_repos(token: Verified) -> String {
//!     format!("repositories of {}", token.owner())
//! }
//!
//! let hallpass = Hallpass::builder(MemoryStore::new())
//!     .brand("acme")
//!     .catalog(ScopeCatalog::of(["repo:read"])?)
//!     .build()?;
//! let routes = GuardedRoutes::new(Boundary::builder(hallpass.clone()).build()?)
//!     .route("/repos", Requirement::scope("repo:read"), || web::get().to(list_repos))
//!     .build()?;
//! let app = init_service(App::new().service(routes)).await;
//!
//! let issued = hallpass.issue(Issue::new("ci").owner("u1").scopes(["repo:read"])).await?;
//! let authorization = ("authorization", format!("Bearer {}", issued.plain.expose()));
//! let request = TestRequest::get().uri("/repos").insert_header(authorization);
//! assert_eq!(call_service(&app, request.to_request()).await.status(), 200);
//!
//! let refused = call_service(&app, TestRequest::get().uri("/repos").to_request()).await;
//! assert_eq!(refused.status(), 401);
//! # Ok(()) }
//! ```

mod extract;
mod middleware;
mod routes;
mod translate;

pub use middleware::{RequireToken, RequireTokenService};
pub use routes::{GuardedRoutes, GuardedRoutesBuilder};

pub use crate::credential::RouteError;
