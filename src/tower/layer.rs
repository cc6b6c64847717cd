//! The layer.

use std::fmt;
use std::net::IpAddr;

use http::request::Parts;
use http::{Extensions, Uri};
use tower_layer::Layer;

use super::service::Guard;
use crate::credential::{Boundary, CompiledRequirement, Peer, Requirement, RequirementError};

/// Guards what it is put around; see [`Boundary::require`].
#[derive(Clone)]
pub struct GuardLayer {
    pub(super) boundary: Boundary,
    pub(super) requirement: Option<CompiledRequirement>,
    pub(super) peer: fn(&Extensions) -> Option<IpAddr>,
    pub(super) uri_copy: Option<fn(&mut Extensions) -> Option<&mut Uri>>,
}

impl Boundary {
    /// The layer of routes that ask for this.
    ///
    /// # Errors
    /// [`RequirementError`] if a scope is not declared, or nothing could meet the requirement.
    pub fn require(&self, requirement: Requirement) -> Result<GuardLayer, RequirementError> {
        let requirement = self.compile(requirement)?;
        Ok(GuardLayer { requirement: Some(requirement), ..self.layer() })
    }

    /// A layer that takes the [`CompiledRequirement`] of the route from the extensions of the
    /// request. Where there is none, nobody is let in.
    #[must_use]
    pub fn layer(&self) -> GuardLayer {
        GuardLayer {
            boundary: self.clone(),
            requirement: None,
            peer: |extensions| extensions.get::<Peer>().map(|peer| peer.0),
            uri_copy: None,
        }
    }
}

impl GuardLayer {
    /// How to tell the client's address; from [`Peer`] in the extensions unless given. It must
    /// come from a source that the app trusts.
    #[must_use]
    pub fn peer_from(mut self, peer: fn(&Extensions) -> Option<IpAddr>) -> Self {
        self.peer = peer;
        self
    }

    /// Where the framework keeps a copy of the URI, so that a token in it is taken out there too.
    #[must_use]
    pub fn uri_copy_in(mut self, copy: fn(&mut Extensions) -> Option<&mut Uri>) -> Self {
        self.uri_copy = Some(copy);
        self
    }
}

impl GuardLayer {
    /// What the route of this request asks for.
    pub(super) fn requirement<'a>(&'a self, head: &'a Parts) -> Option<&'a CompiledRequirement> {
        self.requirement.as_ref().or_else(|| head.extensions.get())
    }
}

impl<S> Layer<S> for GuardLayer {
    type Service = Guard<S>;

    fn layer(&self, inner: S) -> Guard<S> {
        Guard::new(inner, self.clone())
    }
}

impl fmt::Debug for GuardLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GuardLayer")
            .field("boundary", &self.boundary)
            .field("requirement", &self.requirement)
            .finish_non_exhaustive()
    }
}
