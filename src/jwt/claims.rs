//! What a token says (RFC 9068 section 2.2).

use serde_json::Value;

use super::issuer::JwtIssuer;
use super::object::Object;
use crate::clock::Timestamp;
use crate::engine::Forbidden;
use crate::scope::Resources;
use crate::token::TokenId;

/// The claims of a verified JWT. Only a [`JwtVerifier`](super::JwtVerifier) makes one.
#[derive(Debug, Clone)]
pub struct JwtClaims {
    id: String,
    issuer: String,
    subject: String,
    tenant: Option<String>,
    client: String,
    audience: Vec<String>,
    scopes: Vec<String>,
    resources: Resources,
    issued_at: Timestamp,
    not_before: Option<Timestamp>,
    expires_at: Timestamp,
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

    /// The claims of a token by this issuer, if each of them is what it must be, for whomever and
    /// whenever the token is.
    pub(super) fn read(claims: &Object, issuer: &str) -> Option<Self> {
        if claims.text("iss")? != issuer {
            return None;
        }
        // Bound to a key that a bearer need not have (RFC 7800).
        if claims.get("cnf").is_some() {
            return None;
        }
        let expires_at = instant(claims.get("exp")?)?;
        let issued_at = instant(claims.get("iat")?)?;
        let not_before = match claims.get("nbf") {
            None => None,
            Some(start) => Some(instant(start)?),
        };
        if expires_at <= issued_at || expires_at.since(issued_at) > JwtIssuer::MAX_LIFETIME {
            return None;
        }
        let required = |claim: &str| claims.text(claim).filter(|text| !text.is_empty());
        let scopes = match claims.get("scope") {
            None => Vec::new(),
            Some(scope) => scope.as_str()?.split(' ').map(str::to_owned).collect(),
        };
        let resources = match claims.get("resources") {
            None => Resources::none(),
            Some(resources) => serde_json::from_value(resources.clone()).ok()?,
        };
        let tenant = match claims.get("tenant") {
            None => None,
            Some(tenant) => Some(tenant.as_str()?.to_owned()),
        };
        Some(Self {
            id: required("jti")?.to_owned(),
            issuer: issuer.to_owned(),
            subject: required("sub")?.to_owned(),
            client: required("client_id")?.to_owned(),
            audience: audience(claims.get("aud")?)?,
            tenant,
            scopes,
            resources,
            issued_at,
            not_before,
            expires_at,
        })
    }

    pub(super) fn is_for(&self, audience: &str) -> bool {
        self.audience.iter().any(|one| one == audience)
    }

    pub(super) fn has_begun(&self, now: Timestamp) -> bool {
        self.issued_at <= now && self.not_before.is_none_or(|start| start <= now)
    }

    pub(super) fn has_ended(&self, now: Timestamp) -> bool {
        now >= self.expires_at
    }

    pub(crate) fn record(&self) -> Option<TokenId> {
        self.id.parse().ok()
    }
}

/// One text, or an array of texts.
fn audience(claim: &Value) -> Option<Vec<String>> {
    match claim {
        Value::String(one) => Some(vec![one.clone()]),
        Value::Array(some) => some.iter().map(|one| Some(one.as_str()?.to_owned())).collect(),
        _ => None,
    }
}

/// Whole seconds since the Unix epoch.
fn instant(claim: &Value) -> Option<Timestamp> {
    Timestamp::from_micros(claim.as_i64()?.checked_mul(1_000_000)?)
}
