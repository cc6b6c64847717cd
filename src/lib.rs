//! Personal access tokens for any web app: issue, verify, list, edit, copy, rotate, revoke and
//! exchange named, scoped, opaque tokens.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use hallpass::{Context, Hallpass, Issue, MemoryStore, RevocationReason, ScopeCatalog};
//!
//! let hallpass = Hallpass::builder(MemoryStore::new())
//!     .brand("acme")
//!     .catalog(ScopeCatalog::of(["repo:read", "repo:write"])?)
//!     .build()?;
//! let issued = hallpass.issue(Issue::new("ci").owner("alice").scopes(["repo:read"])).await?;
//! let verified = hallpass.verify(issued.plain.expose(), &Context::default()).await?;
//! assert!(verified.require("repo:read").is_ok());
//! assert!(verified.require("repo:write").is_err());
//!
//! hallpass.revoke(&issued.token.id, RevocationReason::Requested).await?;
//! assert!(hallpass.verify(issued.plain.expose(), &Context::default()).await.is_err());
//! # Ok(()) }
//! ```
//!
//! # What is protected
//!
//! The store holds keyed hashes, never secrets; they are compared in constant time. Every bad token
//! gets the same answer; an outage is never answered as a denial. Nothing absent, empty or unknown
//! grants anything. Owners are looked up at every use, in the directory that the app gives. A
//! revoked token stays revoked, and so does what was exchanged from it. Tokens do not manage tokens.
//!
//! Not protected are the transport, a stolen secret until it expires or is revoked, the host's own
//! sessions, the memory of the process, and, without a [`RestoreGuard`], a database restored from a
//! backup. See `docs/SECURITY-MODEL.md`.
//!
//! # Features
//!
//! None is on by default. `sqlite` adds [`SqliteStore`](store), `http` the framework-neutral
//! boundary, `oauth` the OAuth endpoints, `jwt` access tokens that other services verify, `fetch`
//! keys by URL and questions to the issuer for them, `scan` the endpoint for reports of leaked
//! tokens, `tower`, `axum`, `actix`, `rocket` and `tonic` the adapters, `api` the management API,
//! `console` the pages for it, `client` what programs need that use tokens, `cli` commands for
//! tokens, `tokio` a maintenance loop, `tracing` an event sink.

#![warn(clippy::string_slice)]
#![cfg_attr(test, expect(clippy::string_slice, reason = "tests cut ASCII texts"))]

#[cfg(feature = "actix")]
pub mod actix;
#[cfg(feature = "api")]
pub mod api;
#[cfg(feature = "axum")]
pub mod axum;
mod caller;
#[cfg(feature = "cli")]
pub mod cli;
#[cfg(feature = "client")]
pub mod client;
mod clock;
#[cfg(feature = "console")]
pub mod console;
#[cfg(feature = "http")]
pub mod credential;
mod engine;
#[cfg(any(feature = "fetch", feature = "jwt", feature = "scan"))]
pub mod fetch;
#[cfg(feature = "host")]
pub mod host;
#[cfg(feature = "jwt")]
pub mod jwt;
#[cfg(feature = "oauth")]
pub mod oauth;
mod owner;
mod policy;
#[cfg(feature = "rocket")]
pub mod rocket;
#[cfg(feature = "scan")]
pub mod scan;
mod scope;
pub mod store;
mod token;
#[cfg(feature = "tonic")]
pub mod tonic;
#[cfg(feature = "tower")]
pub mod tower;
#[cfg(feature = "wire")]
pub mod wire;

/// For implementing this crate's traits: `#[async_trait]` stands above such an `impl`.
pub use async_trait::async_trait;
pub use caller::Caller;
pub use clock::{Clock, ManualClock, ParseTimestampError, SystemClock, Timestamp};
#[cfg(feature = "http")]
pub use credential::{Boundary, Requirement, Sources};
pub use engine::*;
#[cfg(feature = "oauth")]
pub use oauth::OAuth;
pub use owner::{EveryOwner, OwnerDirectory, OwnerDirectoryError, OwnerFacts, OwnerKind, Rights};
pub use policy::{Ceiling, Expiry, ExpiryError, Policy, PolicyError};
pub use scope::*;
#[cfg(feature = "tokio")]
pub use store::LimitedStore;
#[cfg(feature = "conformance")]
#[doc(inline)]
pub use store::conformance;
#[doc(inline)]
pub use store::transfer;
#[cfg(feature = "cache")]
pub use store::{CacheOptions, CachedStore};
pub use store::{MemoryStore, RestoreGuard, StoreError, TokenStore};
#[cfg(feature = "postgres")]
pub use store::{PostgresOptions, PostgresStore};
#[cfg(feature = "redis")]
pub use store::{RedisOptions, RedisStore};
#[cfg(feature = "sqlite")]
pub use store::{SqliteOptions, SqliteStore};
pub use token::*;

#[cfg(all(
    doctest,
    feature = "sqlite",
    feature = "postgres",
    feature = "redis",
    feature = "cache",
    feature = "api",
    feature = "axum",
    feature = "actix",
    feature = "rocket",
    feature = "tonic",
    feature = "oauth",
    feature = "jwt",
    feature = "console",
    feature = "cli"
))]
#[doc = include_str!("../README.md")]
mod readme {}
#[cfg(all(doctest, feature = "console", feature = "sqlite"))]
#[doc = include_str!("../docs/CONSOLE.md")]
mod console_guide {}
#[cfg(all(
    doctest,
    feature = "sqlite",
    feature = "postgres",
    feature = "axum",
    feature = "fetch",
    feature = "scan"
))]
#[doc = include_str!("../docs/OPERATING.md")]
mod operating {}
