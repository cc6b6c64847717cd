//! The management API: JSON under one mount path, for whoever is signed in to the host app, for
//! its administrators, and for what a token may do to itself.
//!
//! [`Api`] turns a request's head and body into a response and knows the `http` crate's types
//! only; with the feature `axum`, [`Api::into_router`] gives its routes. The types of the JSON are
//! in [`wire`](crate::wire), and `GET /openapi.json` describes every route with every answer.
//!
//! # Rules
//! - The host's own session says who acts; see [`host`](crate::host). A token is refused
//!   everywhere but under `/self`, and there it reaches itself only.
//! - What another owner has is *not found*. Administrators have paths of their own, under
//!   `/admin`.
//! - A secret is in the one response that made it and nowhere else. Nothing is cached, and no
//!   secret is ever in a URL.
//! - Bodies are JSON with one meaning: an unknown member, a repeated key, more than 16 levels or
//!   64 KiB are refused. Everything that is wrong with single members is told at once.
//! - Making a token again with the same `Idempotency-Key` gives the same token, without its
//!   secret. Editing and rotating need `If-Match` with the token's `ETag`, so that nobody's change
//!   is lost. Rotating needs no key: see [`OnBehalf::rotate`](crate::OnBehalf::rotate).
//! - What is wrong is told as an RFC 9457 problem with a stable `code`. An outage is 503, never a
//!   denial.
//!
//! ```
//! # use hallpass::host::{CallerResolver, Host, HostOutage, SignedIn};
//! # use hallpass::{Hallpass, MemoryStore, Owner, Policy, ScopeCatalog};
//! # use http::request::Parts;
//! # #[derive(Debug)]
//! # struct Sessions;
//! # #[async_trait::async_trait]
//! # impl CallerResolver for Sessions {
//! #     async fn signed_in(&self, head: &Parts) -> Result<Option<SignedIn>, HostOutage> {
//! #         let alice = Owner::parse("alice").map_err(HostOutage::new)?;
//! #         let is_alice = head.headers.get("cookie").is_some_and(|cookie| cookie == "s=8f3a");
//! #         Ok(is_alice.then(|| SignedIn::new(alice, b"8f3a")))
//! #     }
//! # }
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use hallpass::api::Api;
//!
//! # let policy = Policy { confirmation: None, ..Policy::default() };
//! let hallpass = Hallpass::builder(MemoryStore::new())
//!     .brand("acme")
//!     .catalog(ScopeCatalog::of(["repo:read"])?)
//! #   .policy(policy)
//!     .build()?;
//! // `Sessions` tells who is signed in, as the example of the module `host` does.
//! let host = Host::builder(hallpass, "https://acme.example", Sessions).build()?;
//! let api = Api::builder(host).mounted_at("/api/pat").build()?;
//!
//! let request = http::Request::post("/api/pat/tokens")
//!     .header("cookie", "s=8f3a")
//!     .header("sec-fetch-site", "same-origin")
//!     .header("content-type", "application/json");
//! let (head, ()) = request.body(())?.into_parts();
//! let made = api.respond(head.clone(), br#"{"name":"ci","scopes":["repo:read"]}"#, None).await;
//! assert_eq!(made.status(), 201);
//! // The name is taken now.
//! let again = api.respond(head, br#"{"name":"ci","scopes":["repo:read"]}"#, None).await;
//! assert_eq!(again.status(), 409);
//! # Ok(()) }
//! ```

mod about;
mod answer;
#[cfg(feature = "axum")]
mod axum;
mod document;
mod failures;
mod json;
mod own;
mod problem;
mod query;
mod refine;
mod request;
mod route;
mod service;
mod settings;
mod tokens;
mod view;

pub use service::{Api, ApiBuilder, ApiError};

/// Longest body, in bytes.
pub const MAX_BODY_LEN: usize = 64 * 1024;
