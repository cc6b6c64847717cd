//! Reports of leaked tokens: the endpoint for services that search what is public for secrets, as
//! GitHub's secret scanning does for its partners.
//!
//! [`Leaks`] takes a request head and the bytes of a body and gives a response, on the `http`
//! crate's types; with the feature `axum`, `hallpass::axum::leaks` mounts it. How an app becomes
//! such a partner is in `docs/OPERATING.md`.
//!
//! # Rules
//! - Nothing is parsed before it is verified. The signature is over the bytes of the body: ECDSA on
//!   P-256 with SHA-256, DER in base64, in `Github-Public-Key-Signature`, by the key that
//!   `Github-Public-Key-Identifier` names. What is not signed so gets one constant answer.
//! - Keys come from one configured place. They are kept for at most a day if it fails; a report
//!   that names an unknown key has them fetched again, once in five minutes.
//! - A token is ended by its secret, never by its id: what only looks like a token is a
//!   `false_positive` and changes nothing.
//! - Each match stands alone. What could not be told for some makes the response 503 after all
//!   others were dealt with, and the same report is then harmless for those.
//! - The response labels each match and holds no token, only its SHA-256.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use hallpass::scan::{Leaks, PartnerKeys};
//! use hallpass::{Hallpass, MemoryStore, ScopeCatalog};
//!
//! let hallpass = Hallpass::builder(MemoryStore::new())
//!     .brand("acme")
//!     .catalog(ScopeCatalog::of(["repo:read"])?)
//!     .build()?;
//! // In the form in which GitHub publishes its keys.
//! let keys = PartnerKeys::fixed(br#"{"public_keys":[{"key_identifier":"k1","is_current":true,"key":
//!     "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEsz9ugWDj5jK5ELBK42ynytbo38gP\nHzZFI03Exwz8Lh/tCfL3YxwMdLjB+bMznsanlhK0RwcGP3IDb34kQDIo3Q==\n-----END PUBLIC KEY-----\n"}]}"#)?;
//! let leaks = Leaks::new(hallpass, "github", keys)?;
//!
//! let body = br#"[{"token":"some_token","type":"some_type","url":"some_url","source":"some_source"}]"#;
//! let signed = |signature: &str| {
//!     http::Request::post("/leaks")
//!         .header("github-public-key-identifier", "k1")
//!         .header("github-public-key-signature", signature)
//!         .body(())
//!         .map(|request| request.into_parts().0)
//! };
//! let head = signed("MEUCIFLZzeK++IhS+y276SRk2Pe5LfDrfvTXu6iwKKcFGCrvAiEAhHN2kDOhy2I6eGkOFmxNkOJ+L2y8oQ9A2T9GGJo6WJY=")?;
//! let response = leaks.report(&head, body).await;
//! assert_eq!(response.status(), 200);
//! assert!(response.body().ends_with(br#""token_type":"some_type","label":"false_positive"}]"#));
//!
//! // Other bytes, or nobody's signature.
//! assert_eq!(leaks.report(&head, b"[]").await.status(), 400);
//! # Ok(()) }
//! ```

mod answer;
mod keys;
mod leaks;
mod report;
mod signature;

pub use keys::{PartnerKeys, PartnerKeysError};
pub use leaks::{Leaks, MAX_REPORT_LEN};
pub use report::MAX_MATCHES;
