//! A token: its text, its digest, its identifiers and its record.

mod brand;
mod digest;
mod entropy;
mod id;
mod kind;
mod label;
mod name;
mod record;
mod status;
mod text;
mod wiped;

pub use brand::{Brand, Brands, ParseBrandError};
pub(crate) use digest::DigestCheck;
pub use digest::{PepperError, PepperId, PepperRing, TokenDigest};
#[cfg(feature = "oauth")]
pub(crate) use entropy::fill_base62;
pub use entropy::{Entropy, EntropyError, OsEntropy};
pub use id::{ParseTokenIdError, TokenId};
pub use kind::{Kind, KindSet};
pub use label::{Owner, ParseLabelError, Tenant};
pub(crate) use name::fold;
pub use name::{ParseNameError, TokenName};
pub use record::{
    Actor, IdempotencyKey, LastUse, Metadata, MetadataError, Networks, Notices, Record, Revocation,
    RevocationReason, Rotation, Suspension, Token,
};
pub use status::{Lifecycle, Status};
pub use text::{MAX_TOKEN_LEN, ParseTokenError, PlainToken, TokenText};
