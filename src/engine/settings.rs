//! What can be set on a token, and the rules for it.

use std::sync::Arc;

use ipnet::IpNet;

use super::Engine;
use crate::clock::Timestamp;
use crate::owner::{OwnerDirectoryError, OwnerFacts, OwnerKind};
use crate::policy::ExpiryError;
use crate::scope::{ParseResourceError, ParseScopeError, Scope, ScopeList, ScopeSet};
use crate::token::{Kind, Networks, Owner, ParseNameError, Tenant, Token, TokenName};

/// Longest description, in characters.
const MAX_DESCRIPTION: usize = 1000;
/// Most networks of a token.
const MAX_NETWORKS: usize = 64;
/// Most audiences of a token.
const MAX_AUDIENCES: usize = 8;
/// Longest audience or client id, in bytes.
const MAX_PARTY: usize = 256;

/// Why a token cannot be set up as asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SettingsError {
    /// The name is not one.
    #[error(transparent)]
    Name(#[from] ParseNameError),
    /// Too long, or with control characters.
    #[error("a description has at most 1000 characters and no control character")]
    Description,
    /// A scope is malformed, or there are too many.
    #[error(transparent)]
    Scope(#[from] ParseScopeError),
    /// A scope or preset is not declared.
    #[error("unknown scope or preset `{name}`")]
    Unknown {
        /// The text that was asked for, escaped and cut to 128 characters.
        name: String,
    },
    /// No scope was asked for. A token without rights is of no use, and absent never means all.
    #[error("ask for at least one scope")]
    NoScope,
    /// This kind of token is never granted the scope.
    #[error("the scope `{scope}` is not for tokens of kind `{kind}`")]
    NotForKind {
        /// The scope.
        scope: Scope,
        /// The kind.
        kind: Kind,
    },
    /// A resource is malformed, or there are too many.
    #[error(transparent)]
    Resource(#[from] ParseResourceError),
    /// More than 64 networks.
    #[error("a token has at most 64 networks")]
    Networks,
    /// An audience or client is empty, longer than 256 bytes or not printable ASCII, or there are
    /// more than 8 audiences.
    #[error("an audience or client is 1 to 256 printable ASCII characters; at most 8 audiences")]
    Party,
}

/// Why an owner cannot be given what was asked for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OwnerError {
    /// There is no such owner.
    #[error("there is no such owner")]
    Unknown,
    /// The owner is deactivated.
    #[error("the owner is not active")]
    Inactive,
    /// This sort of account may not hold tokens.
    #[error("{}", kind_message(*.0))]
    Kind(OwnerKind),
    /// The owner does not have the right itself.
    #[error("the owner does not have the scope `{scope}`")]
    Beyond {
        /// The scope.
        scope: Scope,
    },
    /// The directory could not be asked.
    #[error(transparent)]
    Unavailable(#[from] OwnerDirectoryError),
}

fn kind_message(kind: OwnerKind) -> &'static str {
    match kind {
        OwnerKind::Local => "local accounts may not hold tokens",
        OwnerKind::External => "accounts of an external identity provider may not hold tokens",
        OwnerKind::Service => "service accounts may not hold tokens",
    }
}

pub(super) fn parse_name(name: String) -> Result<TokenName, SettingsError> {
    Ok(TokenName::from_owned(name)?)
}

pub(super) fn check_description(description: &str) -> Result<(), SettingsError> {
    let fits = description.chars().take(MAX_DESCRIPTION + 1).count() <= MAX_DESCRIPTION;
    let clean = description.chars().all(|c| !c.is_control() || matches!(c, '\n' | '\t'));
    if fits && clean { Ok(()) } else { Err(SettingsError::Description) }
}

/// Refuses a new end at which the token has not begun yet.
pub(super) fn check_window(token: &Token, end: Option<Timestamp>) -> Result<(), ExpiryError> {
    match (token.not_before, end) {
        (Some(begin), Some(end)) if end <= begin => Err(ExpiryError::TooShort),
        _ => Ok(()),
    }
}

pub(super) fn check_networks(networks: Vec<IpNet>) -> Result<Networks, SettingsError> {
    if networks.len() > MAX_NETWORKS {
        return Err(SettingsError::Networks);
    }
    Ok(Networks::Listed(Arc::from(networks)))
}

pub(super) fn check_parties<'a>(
    parties: impl IntoIterator<Item = &'a str>,
) -> Result<(), SettingsError> {
    let mut count = 0;
    for party in parties {
        count += 1;
        let printable = party.bytes().all(|byte| byte.is_ascii_graphic());
        if party.is_empty() || party.len() > MAX_PARTY || !printable || count > MAX_AUDIENCES {
            return Err(SettingsError::Party);
        }
    }
    Ok(())
}

/// The scopes and presets that a request names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct ScopeWish {
    pub(super) scopes: Vec<String>,
    pub(super) presets: Vec<String>,
}

impl Engine {
    /// The list of scopes to store for a wish, and what it amounts to.
    pub(super) fn resolve_wish(
        &self,
        wish: &ScopeWish,
        kind: Kind,
    ) -> Result<(ScopeList, ScopeSet), SettingsError> {
        let unknown = |name: &str| SettingsError::Unknown {
            name: name.escape_debug().take(Scope::MAX_LEN).collect(),
        };
        let mut scopes = Vec::new();
        for preset in &wish.presets {
            let preset = self.catalog.preset(preset).ok_or_else(|| unknown(preset))?;
            scopes.extend(preset.scopes().iter().cloned());
        }
        for scope in &wish.scopes {
            let Some(declared) = self.catalog.get(scope) else {
                let scope: Scope = scope.parse()?;
                return Err(unknown(scope.as_str()));
            };
            scopes.push(declared.scope().clone());
        }
        if scopes.is_empty() {
            return Err(SettingsError::NoScope);
        }
        scopes.extend(self.catalog.always().cloned());
        let list = ScopeList::new(scopes)?;
        let set = self.catalog.resolve(&list);
        match self.catalog.grantable(kind).first_missing(&set) {
            Some(scope) => Err(SettingsError::NotForKind { scope: scope.clone(), kind }),
            None => Ok((list, set)),
        }
    }

    /// The owner, if it may hold tokens at all.
    pub(super) async fn admitted_owner(
        &self,
        tenant: &Tenant,
        owner: &Owner,
    ) -> Result<OwnerFacts, OwnerError> {
        let facts = self.owner(tenant, owner).await?.ok_or(OwnerError::Unknown)?;
        if !facts.active {
            return Err(OwnerError::Inactive);
        }
        if !self.policy.admits(&facts) {
            return Err(OwnerError::Kind(facts.kind));
        }
        Ok(facts)
    }

    /// Refuses what the owner does not have itself.
    pub(super) fn check_rights(
        &self,
        owner: &OwnerFacts,
        set: &ScopeSet,
    ) -> Result<(), OwnerError> {
        match self.limit(owner, set)?.first_missing(set) {
            Some(scope) => Err(OwnerError::Beyond { scope: scope.clone() }),
            None => Ok(()),
        }
    }
}
