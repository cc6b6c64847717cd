//! What the management API is told and what it says, as JSON: the types that the API and its
//! clients share.
//!
//! What is told is read to the letter: an unknown member is refused, `null` stands where it means
//! something and nowhere else, numbers are whole. What is said may get new members; a reader
//! passes over those it does not know.
//!
//! Instants are RFC 3339 in UTC (`2026-11-22T09:00:00Z`), spans of time whole seconds.

mod about;
mod change;
mod list;
mod own;
mod problem;
mod token;

pub use about::{Catalog, ConfirmSession, Policy, Preset, Scope, Session};
pub use change::{Edit, NewToken, Revoke, Revoked, Rotate};
pub use list::{Filter, ListQuery, Page, Sort};
pub use own::{Check, Checked, Found, Lookup, Own, SecretMatch};
pub use problem::{FieldProblem, Problem};
pub use token::{
    All, Anywhere, Issued, LastUse, Networks, Resources, Revocation, Rotation, Secret, Suspension,
    Token,
};
