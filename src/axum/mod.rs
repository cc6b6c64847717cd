//! [axum](https://docs.rs/axum): a router on which every route says what it asks for, and the
//! verified token as an extractor. With the feature `oauth`, `oauth` mounts those endpoints.
//!
//! [`Boundary::require`](crate::Boundary::require) gives a layer for an axum `Router` or
//! `MethodRouter` too. [`GuardedRouter`] adds what a bare layer cannot know of axum: that the
//! peer's address is in `ConnectInfo`, and that axum keeps a copy of the URI. To a layer of your
//! own, add them with `.peer_from(hallpass::axum::peer)` and
//! `.uri_copy_in(hallpass::axum::original_uri)`.
//!
//! A layer that answers CORS preflights goes around the guarded router: a preflight carries no
//! credential.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use axum::body::Body;
//! use axum::routing::get;
//! use hallpass::axum::GuardedRouter;
//! use hallpass::{Boundary, Hallpass, Issue, MemoryStore, Requirement, ScopeCatalog, Verified};
//! use http::Request;
//! use tower::ServiceExt;
//!
//! async fn list_repos(token: Verified) -> String {
//!     format!("repositories of {}", token.owner())
//! }
//!
//! let hallpass = Hallpass::builder(MemoryStore::new())
//!     .brand("acme")
//!     .catalog(ScopeCatalog::of(["repo:read"])?)
//!     .build()?;
//! let boundary = Boundary::builder(hallpass.clone()).build()?;
//! let app = GuardedRouter::new(boundary)
//!     .route("/repos", Requirement::scope("repo:read"), get(list_repos))
//!     .into_router()?;
//!
//! let issued = hallpass.issue(Issue::new("ci").owner("u1").scopes(["repo:read"])).await?;
//! let request = Request::get("/repos")
//!     .header("authorization", format!("Bearer {}", issued.plain.expose()))
//!     .body(Body::empty())?;
//! assert_eq!(app.clone().oneshot(request).await?.status(), 200);
//!
//! let refused = app.oneshot(Request::get("/repos").body(Body::empty())?).await?;
//! assert_eq!(refused.status(), 401);
//! # Ok(()) }
//! ```

mod extract;
mod guard;
#[cfg(feature = "scan")]
mod leaks;
#[cfg(feature = "oauth")]
mod oauth;
mod router;

pub use extract::{original_uri, peer};
#[cfg(feature = "scan")]
pub use leaks::leaks;
#[cfg(feature = "oauth")]
pub use oauth::oauth;
pub use router::GuardedRouter;

pub use crate::credential::RouteError;
