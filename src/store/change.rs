//! Steps that change records.

use chrono::TimeDelta;

use crate::clock::Timestamp;
use crate::scope::{Resources, ScopeList};
use crate::token::{
    Kind, LastUse, Lifecycle, Metadata, Networks, Notices, Record, Rotation, Suspension,
    TokenDigest, TokenId, TokenName,
};

/// What an insert must respect, checked in the same atomic step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Admission {
    /// When the insert takes place; decides which tokens are live.
    pub now: Timestamp,
    /// Most live tokens of the new one's kind that its owner may then hold.
    pub quota: Option<u32>,
    /// Whether the name must be free among the owner's live tokens of the same kind.
    pub unique_name: bool,
}

/// New values of named columns. A column that is `None` stays as it is; where a column can be
/// empty, `Some(None)` empties it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Change {
    /// A new name, and whether it must be free among the owner's live tokens of the same kind.
    pub name: Option<(TokenName, bool)>,
    /// A new description.
    pub description: Option<Option<String>>,
    /// New scopes.
    pub scopes: Option<ScopeList>,
    /// New resources.
    pub resources: Option<Resources>,
    /// New networks.
    pub networks: Option<Networks>,
    /// A new end.
    pub expires_at: Option<Option<Timestamp>>,
    /// New metadata.
    pub metadata: Option<Metadata>,
    /// Suspended, or resumed.
    pub suspension: Option<Option<Suspension>>,
    /// A new digest of the current secret.
    pub digest: Option<TokenDigest>,
    /// A new digest of the older secret.
    pub superseded: Option<Option<TokenDigest>>,
    /// A new state of rotation.
    pub rotation: Option<Option<Rotation>>,
    /// Which expiry notices were given.
    pub notices: Option<Notices>,
}

impl Change {
    /// Writes the new values into a record and counts its version up: the reference for what an
    /// update does, and all that a store needs which keeps whole records.
    pub fn apply_to(&self, record: &mut Record) {
        fn set<T: Clone>(place: &mut T, value: Option<&T>) {
            if let Some(value) = value {
                *place = value.clone();
            }
        }
        let token = &mut record.token;
        set(&mut token.name, self.name.as_ref().map(|(name, _)| name));
        set(&mut token.description, self.description.as_ref());
        set(&mut token.scopes, self.scopes.as_ref());
        set(&mut token.resources, self.resources.as_ref());
        set(&mut token.networks, self.networks.as_ref());
        set(&mut token.expires_at, self.expires_at.as_ref());
        set(&mut token.metadata, self.metadata.as_ref());
        set(&mut token.suspension, self.suspension.as_ref());
        set(&mut token.rotation, self.rotation.as_ref());
        set(&mut token.notices, self.notices.as_ref());
        set(&mut record.digest, self.digest.as_ref());
        set(&mut record.superseded, self.superseded.as_ref());
        record.token.version += 1;
    }
}

/// A use of a token, to be noted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Use {
    /// The token.
    pub id: TokenId,
    /// When, from where and by what it was used.
    pub last_use: LastUse,
}

/// Which ended records may be removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Purge {
    /// When the purge takes place.
    pub now: Timestamp,
    /// How long ended records are kept.
    pub retention: TimeDelta,
    /// How long ended access tokens from exchanges are kept.
    pub exchange_retention: TimeDelta,
    /// Most records to remove in this step.
    pub limit: u32,
}

impl Purge {
    /// Whether a record of this kind and lifecycle ended long enough ago.
    #[must_use]
    pub fn admits(&self, kind: Kind, lifecycle: &Lifecycle) -> bool {
        let ended = match (lifecycle.revoked_at, lifecycle.expires_at) {
            (Some(revoked), Some(expires)) => Some(revoked.min(expires)),
            (revoked, expires) => revoked.or(expires),
        };
        ended.is_some_and(|ended| ended < self.before(kind))
    }

    /// The instant before which a record of this kind must have ended.
    #[must_use]
    pub fn before(&self, kind: Kind) -> Timestamp {
        self.now.saturating_sub(match kind {
            Kind::Access => self.exchange_retention,
            Kind::Personal | Kind::Application | Kind::Refresh => self.retention,
        })
    }
}
