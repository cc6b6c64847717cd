//! The store in a PostgreSQL database, shared by any number of nodes.
//!
//! Every step is one statement or one transaction, on connections from a pool that keep their
//! statements prepared; a revocation of everything or of a tenant is one for each 5,000 tokens. Steps that must see all tokens of an owner first write a row that stands
//! for the owner; all others rely on single rows changing atomically. So the store needs neither
//! advisory locks nor serializable transactions, and yet stays correct where the server runs every
//! transaction as a serializable one and asks for it to be repeated.

mod connect;
mod error;
mod listen;
mod options;
mod query;
mod revoke;
mod row;
mod schema;
mod session;
mod sql;
mod steps;
mod store;
#[cfg(feature = "postgres-tls")]
mod tls;
mod value;

pub use options::PostgresOptions;
pub use store::PostgresStore;
