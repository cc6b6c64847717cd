//! Access tokens as JWTs (RFC 9068), which other services verify by themselves.
//!
//! The app exchanges a token for a JWT with a [`JwtIssuer`]; other services embed a
//! [`JwtVerifier`], with the issuer's public keys from a file or fetched. Signatures are by
//! aws-lc-rs, and every other check is here: what a JWT library lets pass by default is not what
//! an access token may be.
//!
//! # Rules
//! - A key has one algorithm, out of ES256, `EdDSA` and RS256, and the key decides which. There is
//!   no shared secret and no `none`.
//! - A key's id is its thumbprint (RFC 7638). A token that names an unknown key is refused, and
//!   nothing is fetched for it.
//! - A [`KeyRing`] publishes keys before they sign and keeps them until their last token ended.
//! - `typ` is `at+jwt`; a header that names keys or extensions of its own is refused.
//! - `iss`, `aud`, `exp`, `iat`, `sub`, `client_id` and `jti` are there and exact; a member that
//!   is there twice, or of another type, is not taken for absent.
//! - A token lives for 10 minutes, 60 at most. Without a [`RevocationCheck`] a revoked one is
//!   accepted for as long.
//! - Each JWT has a record, so it is listed, counted and revoked, and ends with what it was made
//!   from.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use hallpass::jwt::{Algorithm, JwkSet, JwtIssuer, JwtVerifier, KeyRing, SigningKey};
//! use hallpass::{Context, Exchange, Hallpass, Issue, MemoryStore, Policy, ScopeCatalog};
//!
//! let policy = Policy {
//!     exchange_audiences: vec!["billing".to_owned(), "search".to_owned()],
//!     ..Policy::default()
//! };
//! let hallpass = Hallpass::builder(MemoryStore::new())
//!     .brand("acme")
//!     .catalog(ScopeCatalog::of(["repo:read"])?)
//!     .policy(policy)
//!     .build()?;
//! let (key, _keep_this) = SigningKey::generate(Algorithm::Es256)?;
//! let issuer = JwtIssuer::new("https://acme.example", KeyRing::new(key));
//! let issued = hallpass.issue(Issue::new("ci").owner("u1").scopes(["repo:read"])).await?;
//! let exchange = Exchange::new().audience(["billing"]);
//! let jwt = issuer
//!     .exchange(&hallpass, issued.plain.expose(), &Context::default(), exchange)
//!     .await?;
//!
//! // In the other service:
//! let keys = JwkSet::parse(issuer.keys().jwks(hallpass.now()).as_bytes())?;
//! let verifier = JwtVerifier::new("https://acme.example", "billing", keys);
//! let claims = verifier.verify(jwt.plain.expose()).await?;
//! assert_eq!(claims.subject(), "u1");
//! assert!(claims.require("repo:read").is_ok());
//! assert!(claims.require("repo:write").is_err());
//!
//! // It is for nobody else.
//! let keys = JwkSet::parse(issuer.keys().jwks(hallpass.now()).as_bytes())?;
//! let elsewhere = JwtVerifier::new("https://acme.example", "search", keys);
//! assert!(elsewhere.verify(jwt.plain.expose()).await.is_err());
//! # Ok(()) }
//! ```

mod claims;
mod compact;
mod issuer;
mod key;
mod key_ring;
mod keys;
mod object;
#[cfg(feature = "fetch")]
mod online;
mod verifier;

pub use claims::JwtClaims;
pub use compact::MAX_JWT_LEN;
pub use issuer::{IssuedJwt, JwtIssuer, JwtText};
pub use key::{Algorithm, KeyError, SigningKey, VerifyingKey};
pub use key_ring::{KeyRing, KeyRingError};
pub use keys::{JwkSet, KeysError};
#[cfg(feature = "fetch")]
pub use online::IntrospectionCheck;
pub use verifier::{JwtError, JwtVerifier, RevocationCheck, RevocationCheckError};
