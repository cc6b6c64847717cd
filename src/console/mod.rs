//! The web console: the page where people look after their tokens, as an axum router.
//!
//! The pages are rendered on the server and work without JavaScript; a small script makes them
//! better. They load nothing from anywhere else, hold to a strict content security policy, follow
//! the light or dark scheme of the system, and fit a phone.
//!
//! The console holds no rule of its own. It asks the [`Host`](crate::host::Host) who is signed in,
//! and the engine to act on behalf of that person.
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use axum::Router;
//! use hallpass::console::Console;
//! use hallpass::host::{CallerResolver, Host, HostOutage, NoConfirmation, SignedIn};
//! use hallpass::{Hallpass, MemoryStore, ScopeCatalog};
//! use http::request::Parts;
//!
//! #[derive(Debug)]
//! struct Sessions;
//!
//! #[async_trait::async_trait]
//! impl CallerResolver for Sessions {
//!     async fn signed_in(&self, _head: &Parts) -> Result<Option<SignedIn>, HostOutage> {
//!         Ok(None) // Looks the session up that the cookie names.
//!     }
//! }
//!
//! let hallpass = Hallpass::builder(MemoryStore::new())
//!     .brand("acme")
//!     .catalog(ScopeCatalog::of(["repo:read"])?)
//!     .build()?;
//! let host = Host::builder(hallpass, "https://acme.example", Sessions)
//!     .confirmation(NoConfirmation)
//!     .build()?;
//! let console = Console::builder(host)
//!     .title("Acme")
//!     .back("Back to Acme", "/")
//!     .sign_in_page("/login?next={next}")
//!     .mounted_at("/settings/tokens")
//!     .build()?;
//! let app: Router = Router::new().merge(console.router());
//! # drop(app);
//! # Ok(()) }
//! ```
//!
//! # Rules
//! - A new secret is in the body of the answer to the `POST` that made it, and nowhere else: in no
//!   address, cookie or storage. Sending the form again makes no second token.
//! - What wants a confirmation asks for it in place; nothing that was entered is lost.
//! - Everything that changes something is a `POST` that comes from the console's own pages.
//! - Names and whatever else people write is shown as text.
//!
//! # Making it yours
//! [`ConsoleBuilder`] takes a title, a logo, a link back, a style sheet that sets the variables of
//! the console's own (`--hp-accent`, `--hp-font` and so on), and [`Texts`] in another language.

mod admin;
mod assets;
mod builder;
mod confirm;
mod create;
mod errors;
mod fault;
mod fields;
mod form;
mod icon;
mod list;
mod notice;
mod query;
mod regenerate;
mod revoke;
mod router;
mod row;
mod secret;
mod shell;
mod span;
mod texts;
mod token;
mod visit;

pub use builder::{Console, ConsoleBuilder, ConsoleError};
pub use texts::{Texts, UnknownText};
