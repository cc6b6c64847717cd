//! The OAuth endpoints: token exchange (RFC 8693), refresh, introspection (RFC 7662), revocation
//! (RFC 7009) and metadata (RFC 8414).
//!
//! Any OAuth client library can use them without knowing hallpass. They take a request head and
//! the bytes of a body and give a response, on the `http` crate's types; with the feature `axum`,
//! `hallpass::axum::oauth` mounts them.
//!
//! # Rules
//! - Parameters are in the body alone, as `application/x-www-form-urlencoded`. What could be read
//!   in two ways is refused: repeated parameters, bad escapes, bytes that are not UTF-8.
//! - Without client credentials somebody can exchange the own personal token, and revoke a token
//!   whose text it holds. Everything else needs a registered [`Client`].
//! - What is exchanged only narrows. More scopes than the token grants are refused, not taken
//!   away; audiences come from the policy's list.
//! - What was exchanged is not exchanged again, and nobody acts for somebody else.
//! - Introspection tells a client of tokens that are for it, and of every other text the same:
//!   `{"active":false}`. Asking changes nothing, not even the last use.
//! - Revocation answers the same for every text but one that is plainly of another issuer's type,
//!   such as an ID token: its sender is told that it was not revoked.
//! - Every bad subject token gets the same answer, an outage is 503, and nothing of a request is
//!   in a response.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use hallpass::{Hallpass, Issue, MemoryStore, OAuth, ScopeCatalog};
//!
//! let hallpass = Hallpass::builder(MemoryStore::new())
//!     .brand("acme")
//!     .catalog(ScopeCatalog::of(["repo:read", "repo:write"])?)
//!     .build()?;
//! let oauth = OAuth::builder(hallpass.clone(), "https://acme.example").build()?;
//! let issued = hallpass.issue(Issue::new("ci").owner("u1").scopes(["repo:read"])).await?;
//!
//! let (head, ()) = http::Request::post("/oauth/token")
//!     .header("content-type", "application/x-www-form-urlencoded")
//!     .body(())?
//!     .into_parts();
//! let body = format!(
//!     "grant_type=urn:ietf:params:oauth:grant-type:token-exchange\
//!      &subject_token_type=urn:ietf:params:oauth:token-type:access_token\
//!      &subject_token={}",
//!     issued.plain.expose(),
//! );
//! let response = oauth.token(&head, body.as_bytes(), None).await;
//! assert_eq!(response.status(), 200);
//! assert!(response.body().starts_with(br#"{"access_token":"acme_at_"#));
//!
//! let wider = format!("{body}&scope=repo:write");
//! let response = oauth.token(&head, wider.as_bytes(), None).await;
//! assert_eq!(response.status(), 400);
//! assert!(response.body().starts_with(br#"{"error":"invalid_scope""#));
//! # Ok(()) }
//! ```

mod answer;
mod client;
mod endpoints;
mod form;
mod introspect;
mod metadata;
mod request;
mod revoke;
mod token;

pub use client::{
    Client, ClientRegistry, ClientRegistryError, ClientSecret, Clients, ParseSecretDigestError,
    SecretDigest,
};
pub use endpoints::{OAuth, OAuthBuilder, OAuthError, Paths};
pub use form::{MAX_FORM_LEN, MAX_PARAMETERS, MAX_TARGETS};
