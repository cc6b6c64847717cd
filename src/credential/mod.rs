//! The HTTP boundary: from a request head to a [`Verified`](crate::Verified) token, or to the
//! response that refuses it.
//!
//! It knows the `http` crate's types and no framework; adapters hand it heads and decide nothing.
//!
//! # Rules
//! - [`Sources`] is the one table of places where a credential may be. Cookies, trailers, bodies
//!   and any other header are never read.
//! - All credentials are counted before any is parsed; two are refused.
//! - Nothing is trimmed, percent-decoded or converted with loss.
//! - A route says what it asks for as a [`Requirement`]; one that says nothing is refused.
//! - With the feature `jwt`, JWTs of the app's own issuer are taken where the builder says so, and
//!   mean what an opaque token would.
//! - Every bad token gets the same answer. An outage is 503, never 401.
//! - The token's text is marked sensitive in the head, so that `Debug` does not show it, and
//!   taken out of the URI.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use hallpass::{Boundary, Hallpass, Issue, MemoryStore, Requirement, ScopeCatalog, Sources};
//!
//! let hallpass = Hallpass::builder(MemoryStore::new())
//!     .brand("acme")
//!     .catalog(ScopeCatalog::of(["repo:read", "repo:write"])?)
//!     .build()?;
//! let issued = hallpass.issue(Issue::new("ci").owner("u1").scopes(["repo:read"])).await?;
//! let boundary = Boundary::builder(hallpass)
//!     .realm("acme")
//!     .sources(Sources::bearer().basic().header("private-token"))
//!     .build()?;
//! let read = boundary.compile(Requirement::scope("repo:read"))?;
//! let write = boundary.compile(Requirement::scope("repo:write"))?;
//!
//! let request = http::Request::get("/repos")
//!     .header("authorization", format!("Bearer {}", issued.plain.expose()))
//!     .body(())?;
//! let (mut head, ()) = request.into_parts();
//! let admitted = boundary.admit(&mut head, Some(&read), None).await?;
//! assert_eq!(admitted.verified().owner().as_str(), "u1");
//!
//! let refused = boundary.admit(&mut head, Some(&write), None).await.unwrap_err();
//! let response = refused.into_response();
//! assert_eq!(response.status(), 403);
//! assert_eq!(
//!     response.headers()["www-authenticate"],
//!     r#"Bearer realm="acme", error="insufficient_scope", scope="repo:write""#,
//! );
//! # Ok(()) }
//! ```

mod admission;
mod basic;
mod boundary;
mod challenge;
#[cfg(feature = "conformance")]
pub mod conformance;
mod duties;
mod extract;
#[cfg(any(feature = "oauth", feature = "host", feature = "api", feature = "console"))]
mod form;
mod limits;
mod problem;
mod query;
mod rejection;
mod requirement;
mod route;
mod source;

pub use admission::{Admitted, Peer};
pub use boundary::{Boundary, BoundaryBuilder, BoundaryError};
pub use duties::Duties;
#[cfg(any(feature = "api", feature = "rocket"))]
pub(crate) use extract::Found;
#[cfg(feature = "api")]
pub(crate) use extract::Presented;
#[cfg(feature = "oauth")]
pub(crate) use form::decode;
#[cfg(feature = "host")]
pub(crate) use form::decode_leniently;
#[cfg(any(feature = "oauth", feature = "api"))]
pub(crate) use form::is_clean;
#[cfg(any(feature = "oauth", feature = "api", feature = "console"))]
pub(crate) use form::pairs;
pub use limits::{MAX_CREDENTIAL_LEN, MAX_HEADER_LINES, MAX_OPAQUE_LEN, MAX_URI_LEN};
pub use problem::Problem;
#[cfg(feature = "scan")]
pub(crate) use problem::problem_json;
pub use rejection::Rejection;
pub use requirement::{CompiledRequirement, Requirement, RequirementError};
pub use route::RouteError;
pub use source::{Sources, SourcesError};
