//! What a route asks of a token.

use std::fmt;
use std::sync::Arc;

use http::HeaderValue;

use super::challenge::Challenges;
use crate::engine::Verified;
use crate::scope::{ScopeCatalog, ScopeSet, UnknownScope};
use crate::token::{Kind, KindSet};

/// What a route asks of a token.
///
/// A route without one is refused; [`any_token`](Self::any_token) must be written. Names are
/// checked when the requirement is [compiled](super::Boundary::compile), at start.
///
/// ```
/// use hallpass::{Kind, Requirement};
///
/// Requirement::scope("repo:read");
/// Requirement::scope("repo:read").any_of(["org:read", "org:admin"]);
/// Requirement::any_token().kinds([Kind::Personal]);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Requirement {
    all: Vec<String>,
    any: Vec<Vec<String>>,
    empty: bool,
    kinds: KindSet,
    audience: Option<String>,
}

impl Requirement {
    /// Any token that is good, whatever its scopes.
    #[must_use]
    pub fn any_token() -> Self {
        Self {
            all: Vec::new(),
            any: Vec::new(),
            empty: false,
            kinds: KindSet::CALLING,
            audience: None,
        }
    }

    /// A token that grants this scope.
    #[must_use]
    pub fn scope(scope: impl Into<String>) -> Self {
        Self::any_token().all_of([scope])
    }

    /// All these scopes too.
    #[must_use]
    pub fn all_of<T: Into<String>>(mut self, scopes: impl IntoIterator<Item = T>) -> Self {
        let before = self.all.len();
        self.all.extend(scopes.into_iter().map(Into::into));
        self.empty |= self.all.len() == before;
        self
    }

    /// At least one of these scopes too.
    #[must_use]
    pub fn any_of<T: Into<String>>(mut self, scopes: impl IntoIterator<Item = T>) -> Self {
        let group: Vec<String> = scopes.into_iter().map(Into::into).collect();
        self.empty |= group.is_empty();
        self.any.push(group);
        self
    }

    /// Only tokens of these kinds; personal, application and access tokens unless given.
    #[must_use]
    pub fn kinds(mut self, kinds: impl IntoIterator<Item = Kind>) -> Self {
        self.kinds = kinds.into_iter().collect();
        self
    }

    /// Only tokens for this audience; only tokens without audience unless given.
    #[must_use]
    pub fn audience(mut self, audience: impl Into<String>) -> Self {
        self.audience = Some(audience.into());
        self
    }

    pub(super) fn compile(
        self,
        catalog: &ScopeCatalog,
        challenges: &Challenges,
    ) -> Result<CompiledRequirement, RequirementError> {
        if self.empty {
            return Err(RequirementError::Empty);
        }
        if self.kinds == KindSet::NONE || self.kinds.contains(Kind::Refresh) {
            return Err(RequirementError::Kinds);
        }
        let mut named: Vec<&str> = Vec::new();
        for scope in self.all.iter().chain(self.any.iter().flatten()) {
            if !named.contains(&scope.as_str()) {
                named.push(scope);
            }
        }
        if named.len() > MAX_SCOPES {
            return Err(RequirementError::TooMany);
        }
        let all = catalog.exactly(&self.all)?;
        let any = self.any.iter().map(|group| catalog.exactly(group)).collect::<Result<_, _>>()?;
        let scopes = named.join(" ");
        // Declared scopes are quotable, so this cannot fail any more.
        let challenge =
            challenges.insufficient_scope(&scopes).ok_or(RequirementError::Unwritable)?;
        Ok(CompiledRequirement(Arc::new(Compiled {
            all,
            any,
            kinds: self.kinds,
            audience: self.audience,
            scopes,
            challenge,
        })))
    }
}

/// Most scopes that a requirement names, so that its challenge fits a header.
const MAX_SCOPES: usize = 32;

/// A [`Requirement`] whose names are known to exist. Cheap to clone.
///
/// A router that learns requirements elsewhere puts one of these in the extensions of the request.
#[derive(Clone)]
pub struct CompiledRequirement(Arc<Compiled>);

struct Compiled {
    all: ScopeSet,
    any: Box<[ScopeSet]>,
    kinds: KindSet,
    audience: Option<String>,
    scopes: String,
    challenge: HeaderValue,
}

impl CompiledRequirement {
    pub(super) fn kinds(&self) -> KindSet {
        self.0.kinds
    }

    pub(super) fn audience(&self) -> Option<&str> {
        self.0.audience.as_deref()
    }

    /// The scopes that the route names, with single spaces between them.
    #[must_use]
    pub fn scopes(&self) -> &str {
        &self.0.scopes
    }

    pub(super) fn challenge(&self) -> &HeaderValue {
        &self.0.challenge
    }

    pub(super) fn is_met_by(&self, verified: &Verified) -> bool {
        let granted = verified.scopes();
        granted.contains(&self.0.all)
            && self.0.any.iter().all(|group| !granted.and(group).is_empty())
    }
}

impl fmt::Debug for CompiledRequirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CompiledRequirement")
            .field("all", &self.0.all)
            .field("any", &self.0.any)
            .field("kinds", &self.0.kinds)
            .field("audience", &self.0.audience)
            .finish()
    }
}

/// Why a requirement cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RequirementError {
    /// A scope is not declared.
    #[error(transparent)]
    Unknown(#[from] UnknownScope),
    /// A list of scopes is empty. Empty never means all; write `Requirement::any_token()`.
    #[error("a list of required scopes is empty")]
    Empty,
    /// More than 32 scopes.
    #[error("a requirement names at most 32 scopes")]
    TooMany,
    /// No kind, or refresh tokens, which never call a route.
    #[error("a requirement accepts personal, application or access tokens")]
    Kinds,
    /// A scope cannot be written in a challenge.
    #[error("a scope cannot be written in a challenge")]
    Unwritable,
}
