//! The store in Redis, Valkey, or a cluster of either.
//!
//! # Keys
//! The tokens are divided into shards; all keys of a shard carry its number as their hash tag, so
//! that a cluster keeps them in one slot. A token is in the shard that its tenant and owner hash
//! to, together with everything that the contract wants to hold at once: the owner's names, quota
//! and idempotency keys, and, as children have their parent's owner, whole families. So a step
//! that concerns one owner is one Lua script in one slot. What the keys are is told at the head of
//! `lua/record.lua`.
//!
//! An id does not tell its owner. A single server has one shard, so there is nothing to tell:
//! [`find`](crate::TokenStore::find) is one `GET`, and every step is one script. A cluster has 256
//! shards unless told otherwise, and for each id a pointer, a key of its own that holds the shard's
//! number. It is written before the record and removed after it; a pointer without a record means
//! that there is no record, so every crash in between leaves the state before or after.
//!
//! # What is not one step
//! - Over several shards, a revocation of everything or of a tenant is one step in each shard at a
//!   time, and in a shard for each thousand records. One that failed in between is finished by
//!   repeating it; no record is ever half revoked.
//! - A list of everything or of a tenant is read in pieces. A record that is there all the while is
//!   listed once, wherever others come and go.
//! - A family whose members have different owners, which the engine never makes, is revoked shard
//!   by shard.
//!
//! # What is durable
//! A step is acknowledged when the server has written it to its append-only file, and, if
//! [`RedisOptions::with_replicas`] asks for it, when replicas have it. Servers that do not promise
//! the former are refused; see [`RedisOptions::danger_allow_lossy`].

mod answer;
mod changes;
mod durability;
mod error;
mod link;
mod options;
mod pack;
mod places;
mod query;
mod record;
mod script;
mod store;

pub use options::RedisOptions;
pub use store::RedisStore;
