//! A cache in front of any store, safe against revoked tokens.
//!
//! What is kept are [`Facts`](super::Facts), never verdicts: status, owner, scopes and networks
//! are judged anew on every use, by the time of that use. The rules:
//!
//! - After [`revoke`](super::TokenStore::revoke) returns, this node refuses at once, without asking
//!   the store. Other nodes refuse as soon as they hear of it, and within the TTL whatever is lost.
//! - A record is kept for the TTL, counted from before it was read. The oldest goes first.
//! - A read that overlaps a change of the same record on this node is not kept, and nobody who
//!   asks after the change is given what it read. An older version never takes the place of a
//!   newer one, and a revoked record stays revoked.
//! - [`find`](super::TokenStore::find) asks the store, once for all who wait for the same record.
//!   If that fails they share the error, and it is not kept.
//! - That there is no record is kept for at most 5 seconds, with room of its own.
//! - Nothing is kept before the store's [changes](super::TokenStore::changes) are heard or
//!   [`without_channel`](CacheOptions::without_channel) says that they need not be, nor once they
//!   were not heard for longer than the TTL.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use hallpass::store::CacheOptions;
//! use hallpass::{Context, Hallpass, Issue, MemoryStore, RevocationReason, ScopeCatalog};
//!
//! // Before a database other nodes use, too: `CachedStore::new(database)`, and beside the server
//! // `tokio::spawn(store.follow())`.
//! let store = CacheOptions::new().without_channel().wrap(MemoryStore::new());
//! let hallpass = Hallpass::builder(store)
//!     .brand("acme")
//!     .catalog(ScopeCatalog::of(["repo:read"])?)
//!     .build()?;
//! let issued = hallpass.issue(Issue::new("ci").owner("u1").scopes(["repo:read"])).await?;
//! let here = Context::default();
//! assert!(hallpass.verify(issued.plain.expose(), &here).await.is_ok());
//!
//! // What is kept does not outlive its revocation.
//! hallpass.revoke(&issued.token.id, RevocationReason::Requested).await?;
//! assert!(hallpass.verify(issued.plain.expose(), &here).await.is_err());
//! # Ok(()) }
//! ```

mod clock;
mod flight;
mod follow;
mod options;
mod store;
mod sync;
mod table;
#[cfg(test)]
mod tests;

pub use clock::{AgeClock, SystemAgeClock};
pub use options::CacheOptions;
pub use store::CachedStore;
