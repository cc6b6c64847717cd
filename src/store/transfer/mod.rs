//! Moving tokens from one store to another, whichever they are.
//!
//! [`export`] writes every record of a store as lines of JSON, digests included; [`import`] puts
//! them into another store, where tokens verify, rotate and are revoked as before. Between the
//! two lies a file that can be kept, looked at and read again.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use hallpass::{Context, Hallpass, Issue, MemoryStore, ScopeCatalog, transfer};
//! use std::sync::Arc;
//!
//! let (old, new) = (Arc::new(MemoryStore::new()), Arc::new(MemoryStore::new()));
//! let catalog = ScopeCatalog::of(["repo:read"])?;
//! let app = Hallpass::builder(old.clone()).brand("acme").catalog(catalog.clone()).build()?;
//! let issued = app.issue(Issue::new("ci").owner("u1").scopes(["repo:read"])).await?;
//!
//! let mut file = Vec::new();
//! transfer::export(&*old, Some(app.brand()), &mut file).await?;
//! assert_eq!(transfer::import(&*new, None, file.as_slice()).await?.added, 1);
//!
//! let moved = Hallpass::builder(new.clone()).brand("acme").catalog(catalog).build()?;
//! assert!(moved.verify(issued.plain.expose(), &Context::default()).await.is_ok());
//!
//! // A file that was cut is noticed before anything is written.
//! let cut = &file[..file.len() - 10];
//! assert!(transfer::check(None, cut).is_err());
//! # Ok(()) }
//! ```
//!
//! # The file
//!
//! UTF-8, one JSON object a line. The first names the format, its version and the brand; the last
//! tells how many tokens there were and which peppers their digests need, so that a file that was
//! cut is noticed. Each line between them is a record. Every field is there, `null` where a record
//! has no such value, so that nothing that is missing can mean anything:
//!
//! ```text
//! {"hallpass":"tokens","format":1,"brand":"acme"}
//! {"id":"0000000000000001","kind":"pat","tenant":"default","owner":"u1", ...}
//! {"end":1,"peppers":{"0":1}}
//! ```
//!
//! Instants are RFC 3339 with up to six decimals. `metadata` is the text of a JSON object, as the
//! app's own numbers must not be rounded. A pepper is named by its number, `0` for none.
//!
//! There are no secrets in the file, but the digests they are checked against: keep it as you keep
//! a backup of the database.
//!
//! # While the app runs
//!
//! A record is written as it is when its page is read. For a move, stop every node first: what is
//! issued, changed or revoked in the old store after it was read is not in the file.

mod export;
mod import;
mod line;

pub use export::{ExportError, export};
pub use import::{ImportError, Imported, check, import};
pub use line::{FORMAT, Tally};
