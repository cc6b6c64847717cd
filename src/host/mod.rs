//! What the management API and the console ask of the host app: who is signed in, whether that
//! was confirmed just now, and whether the request really comes from the host's own pages.
//!
//! It knows the `http` crate's types and no framework.
//!
//! # Rules
//! - The host's own session says who is signed in ([`CallerResolver`]). A request that carries a
//!   token of the app, in whatever header or in the query, is refused before the host is asked:
//!   tokens do not manage tokens. An app with JWTs names their issuer with `HostBuilder::jwt`.
//! - What issues, rotates, widens or revokes in bulk wants a confirmation not older than policy
//!   says, by password, passkey or whatever the host has ([`Confirmation`]). It belongs to one
//!   session, attempts are counted, and a token is never taken for a password.
//! - A request that changes something must come from the host's own pages ([`CsrfKey`] and
//!   [`Origin`] tell).
//! - That the host cannot tell is an outage (503), never a denial.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use hallpass::host::{CallerResolver, CsrfKey, Host, HostOutage, NoConfirmation, SignedIn};
//! use hallpass::{Hallpass, MemoryStore, Owner, ScopeCatalog};
//! use http::request::Parts;
//!
//! /// Looks the host's own session up.
//! #[derive(Debug)]
//! struct Sessions;
//!
//! #[async_trait::async_trait]
//! impl CallerResolver for Sessions {
//!     async fn signed_in(&self, head: &Parts) -> Result<Option<SignedIn>, HostOutage> {
//!         let cookie = head.headers.get("cookie").map(|cookie| cookie.as_bytes());
//!         if cookie != Some(b"__Host-session=8f3a") {
//!             return Ok(None);
//!         }
//!         let alice = Owner::parse("alice").map_err(HostOutage::new)?;
//!         Ok(Some(SignedIn::new(alice, b"8f3a").named("Alice")))
//!     }
//! }
//!
//! let hallpass = Hallpass::builder(MemoryStore::new())
//!     .brand("acme")
//!     .catalog(ScopeCatalog::of(["repo:read"])?)
//!     .build()?;
//! let host = Host::builder(hallpass, "https://acme.example", Sessions)
//!     .confirmation(NoConfirmation)
//!     .csrf_key(CsrfKey::new([7; 32]))
//!     .build()?;
//!
//! let request = http::Request::post("/tokens").header("cookie", "__Host-session=8f3a");
//! let (head, ()) = request.header("sec-fetch-site", "cross-site").body(())?.into_parts();
//! let alice = host.signed_in(&head).await?;
//! assert_eq!(alice.owner().as_str(), "alice");
//! // Another site made the browser send it.
//! assert!(host.check_same_site(&head, &alice, None).is_err());
//! # Ok(()) }
//! ```

mod attempts;
mod confirmation;
mod csrf;
mod mount;
mod signed_in;
mod site;

pub use confirmation::{Confirmation, NoConfirmation, PasswordCheck, RememberedConfirmation};
pub use csrf::{CSRF_HEADER, CsrfKey, CsrfRefused, Origin, ParseOriginError};
pub use mount::{MountPath, ParseMountPathError};
pub use signed_in::{Administers, CallerResolver, HostOutage, SignedIn};
pub use site::{ConfirmError, Host, HostBuilder, HostError, Refused};
