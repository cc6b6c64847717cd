//! A [tower](https://docs.rs/tower) layer on the [boundary](crate::credential), for axum, hyper,
//! tonic and whatever else speaks `tower_service::Service`.
//!
//! [`Boundary::require`](crate::Boundary::require) gives the layer of a route or a group of
//! routes. It puts the [`Verified`](crate::Verified) token in the extensions of the request.
//! [`Boundary::layer`](crate::Boundary::layer) takes the requirement from the extensions of the
//! request, for routers that know it, and refuses where there is none.
//!
//! One layer guards a route: a token in the URI is gone after the first.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use std::convert::Infallible;
//!
//! use bytes::Bytes;
//! use hallpass::{Boundary, Hallpass, Issue, MemoryStore, Requirement, ScopeCatalog, Verified};
//! use http::{Request, Response};
//! use http_body_util::Full;
//! use tower::{Layer, ServiceExt, service_fn};
//!
//! async fn handler(request: Request<()>) -> Result<Response<Full<Bytes>>, Infallible> {
//!     let owner = request.extensions().get::<Verified>().map(|token| token.owner().to_string());
//!     Ok(Response::new(Full::from(owner.unwrap_or_default())))
//! }
//!
//! let hallpass = Hallpass::builder(MemoryStore::new())
//!     .brand("acme")
//!     .catalog(ScopeCatalog::of(["repo:read"])?)
//!     .build()?;
//! let issued = hallpass.issue(Issue::new("ci").owner("u1").scopes(["repo:read"])).await?;
//! let boundary = Boundary::builder(hallpass).build()?;
//! let service = boundary.require(Requirement::scope("repo:read"))?.layer(service_fn(handler));
//!
//! let request = Request::get("/repos")
//!     .header("authorization", format!("Bearer {}", issued.plain.expose()))
//!     .body(())?;
//! assert_eq!(service.clone().oneshot(request).await?.status(), 200);
//!
//! let refused = service.oneshot(Request::get("/repos").body(())?).await?;
//! assert_eq!(refused.status(), 401);
//! assert_eq!(refused.headers()["www-authenticate"], r#"Bearer realm="acme""#);
//!
//! // A scope that is not declared is found at start.
//! assert!(boundary.require(Requirement::scope("repo:raed")).is_err());
//! # Ok(()) }
//! ```

mod body;
mod future;
mod layer;
mod service;

pub use body::GuardBody;
pub use future::GuardFuture;
pub use layer::GuardLayer;
pub use service::Guard;
