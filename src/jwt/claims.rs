//! What a token says (RFC 9068 section 2.2).

use crate::clock::Timestamp;
use crate::engine::Forbidden;
use crate::scope::Resources;
use crate::token::TokenId;

/// The claims of a verified JWT. Only a [`JwtVerifier`](super::JwtVerifier) makes one.
#[derive(Debug, Clone)]
pub struct JwtClaims {
    pub(super) id: String,
    pub(super) issuer: String,
    pub(super) subject: String,
    pub(super) tenant: Option<String>,
    pub(super) client: String,
    pub(super) audience: Vec<String>,
    pub(super) scopes: Vec<String>,
    pub(super) resources: Resources,
    pub(super) issued_at: Timestamp,
    pub(super) expires_at: Timestamp,
}

impl JwtClaims {
    /// `jti`, the id of the token; for one that hallpass issued, that of its record.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// `iss`.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// `sub`, the owner.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// The owner's organisation; the default one if absent.
    #[must_use]
    pub fn tenant(&self) -> Option<&str> {
        self.tenant.as_deref()
    }

    /// `client_id`: the registered client, or the id of the personal token it was exchanged from.
    #[must_use]
    pub fn client(&self) -> &str {
        &self.client
    }

    /// `aud`, this service among them.
    #[must_use]
    pub fn audience(&self) -> &[String] {
        &self.audience
    }

    /// `scope`, implied scopes too.
    #[must_use]
    pub fn scopes(&self) -> &[String] {
        &self.scopes
    }

    /// Which named things the token reaches.
    #[must_use]
    pub fn resources(&self) -> &Resources {
        &self.resources
    }

    /// `iat`.
    #[must_use]
    pub fn issued_at(&self) -> Timestamp {
        self.issued_at
    }

    /// `exp`.
    #[must_use]
    pub fn expires_at(&self) -> Timestamp {
        self.expires_at
    }

    /// Goes on only if the token grants this scope.
    ///
    /// # Errors
    /// [`Forbidden::Scope`] if it does not.
    pub fn require(&self, scope: &str) -> Result<&Self, Forbidden> {
        if self.scopes.iter().any(|own| own == scope) {
            Ok(self)
        } else {
            Err(Forbidden::Scope { scope: scope.to_owned() })
        }
    }

    /// Goes on only if the token reaches this resource.
    ///
    /// # Errors
    /// [`Forbidden::Resource`] if it does not.
    pub fn on(&self, resource: &str) -> Result<&Self, Forbidden> {
        if self.resources.reach(resource) { Ok(self) } else { Err(Forbidden::Resource) }
    }

    pub(super) fn record(&self) -> Option<TokenId> {
        self.id.parse().ok()
    }
}
