//! The clients that the endpoints know.

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use subtle::{Choice, ConstantTimeEq};
use zeroize::Zeroizing;

use crate::token::{EntropyError, OsEntropy, Tenant, fill_base62};

/// A registered client: who it is, how it proves that, and what it may ask.
///
/// ```
/// use hallpass::oauth::{Client, ClientSecret};
///
/// # fn main() -> Result<(), hallpass::EntropyError> {
/// let secret = ClientSecret::generate()?; // shown to the client's operator once
/// let billing = Client::confidential("billing", secret.digest_for("billing"))
///     .exchanges_for(["https://billing.example"])
///     .introspects_for(["https://billing.example"]);
/// # Ok(()) }
/// ```
#[derive(Debug, Clone)]
pub struct Client {
    id: String,
    secrets: Vec<SecretDigest>,
    tenant: Option<Tenant>,
    exchanges_for: Option<Vec<String>>,
    exchanges_for_app: bool,
    introspects: Option<Vec<String>>,
    introspects_app: bool,
}

impl Client {
    /// A client that holds a secret. Its id is 1 to 256 printable ASCII characters; one that is
    /// not is never found.
    #[must_use]
    pub fn confidential(id: impl Into<String>, secret: SecretDigest) -> Self {
        Self { secrets: vec![secret], ..Self::public(id) }
    }

    /// A client that cannot keep a secret, such as a tool on somebody's machine. It may exchange
    /// personal tokens and refresh what was issued to it, and cannot ask about tokens.
    #[must_use]
    pub fn public(id: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            secrets: Vec::new(),
            tenant: Some(Tenant::DEFAULT),
            exchanges_for: None,
            exchanges_for_app: false,
            introspects: None,
            introspects_app: false,
        }
    }

    /// Accepts a second secret, so that it can be replaced without a pause.
    #[must_use]
    pub fn or_secret(mut self, secret: SecretDigest) -> Self {
        self.secrets.push(secret);
        self
    }

    /// For tokens of this tenant; of the default one unless given.
    #[must_use]
    pub fn in_tenant(mut self, tenant: Tenant) -> Self {
        self.tenant = Some(tenant);
        self
    }

    /// For tokens of every tenant.
    #[must_use]
    pub fn in_every_tenant(mut self) -> Self {
        self.tenant = None;
        self
    }

    /// It may exchange tokens for these audiences only; unless given, for all that policy names and
    /// for the app itself.
    #[must_use]
    pub fn exchanges_for<T: Into<String>>(
        mut self,
        audiences: impl IntoIterator<Item = T>,
    ) -> Self {
        self.exchanges_for = Some(audiences.into_iter().map(Into::into).collect());
        self
    }

    /// Beside the audiences that it may exchange for, it may exchange for the app itself: that is
    /// whom a token is for if neither the request nor the default names anybody.
    #[must_use]
    pub fn exchanges_for_app(mut self) -> Self {
        self.exchanges_for.get_or_insert_default();
        self.exchanges_for_app = true;
        self
    }

    /// It may ask about tokens for these audiences, and about those issued to itself. A client of
    /// which nothing is said may not ask at all.
    #[must_use]
    pub fn introspects_for<T: Into<String>>(
        mut self,
        audiences: impl IntoIterator<Item = T>,
    ) -> Self {
        self.introspects = Some(audiences.into_iter().map(Into::into).collect());
        self
    }

    /// It may also ask about tokens without audience: those for the app itself.
    #[must_use]
    pub fn introspects_app(mut self) -> Self {
        self.introspects.get_or_insert_default();
        self.introspects_app = true;
        self
    }

    /// The client's id.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Whether it has a secret to prove who it is.
    #[must_use]
    pub fn is_confidential(&self) -> bool {
        !self.secrets.is_empty()
    }

    pub(super) fn tenant(&self) -> Option<&Tenant> {
        self.tenant.as_ref()
    }

    pub(super) fn may_exchange_for(&self, audience: &str) -> bool {
        self.exchanges_for.as_ref().is_none_or(|known| known.iter().any(|own| own == audience))
    }

    pub(super) fn may_exchange_for_app(&self) -> bool {
        self.exchanges_for.is_none() || self.exchanges_for_app
    }

    pub(super) fn may_introspect(&self) -> bool {
        self.introspects.is_some()
    }

    /// Whether it may be told of a token for these audiences, issued to this client.
    pub(super) fn may_see(
        &self,
        tenant: &Tenant,
        audience: &[String],
        client: Option<&str>,
    ) -> bool {
        let audiences = self.introspects.as_deref().unwrap_or_default();
        let addressed = audience.iter().any(|them| audiences.contains(them));
        let for_app = audience.is_empty() && self.introspects_app;
        self.tenant.as_ref().is_none_or(|own| own == tenant)
            && (addressed || for_app || client == Some(self.id.as_str()))
    }

    /// Whether this is a secret of the client. Every secret is compared, in constant time.
    pub(super) fn holds(&self, secret: &str) -> bool {
        let presented = SecretDigest::of(&self.id, secret);
        let mut found = Choice::from(0);
        for known in &self.secrets {
            found |= presented.0.ct_eq(&known.0);
        }
        found.into()
    }
}

/// A client's secret text: 43 characters of `[0-9A-Za-z]`, 256 bits. It exists when it is made.
pub struct ClientSecret(Zeroizing<String>);

impl ClientSecret {
    /// A new secret.
    ///
    /// # Errors
    /// [`EntropyError`] if the operating system's random source fails.
    pub fn generate() -> Result<Self, EntropyError> {
        let mut digits = Zeroizing::new([0; 43]);
        fill_base62(&OsEntropy, &mut *digits)?;
        let text = std::str::from_utf8(&*digits).map_err(|_| EntropyError)?;
        Ok(Self(Zeroizing::new(text.to_owned())))
    }

    /// The secret text. Show it once, store it nowhere.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// What to keep of it for the client with this id.
    #[must_use]
    pub fn digest_for(&self, client: &str) -> SecretDigest {
        SecretDigest::of(client, &self.0)
    }
}

impl fmt::Debug for ClientSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientSecret(redacted)")
    }
}

/// What is kept of a client's secret: a BLAKE3 digest of it and the client's id. As text, 43
/// characters of base64url.
///
/// It is fast to compute, so it protects secrets that were [generated](ClientSecret::generate),
/// not ones that somebody thought up.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SecretDigest([u8; 32]);

impl SecretDigest {
    fn of(client: &str, secret: &str) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key("hallpass 2026-11-22 client secret v1");
        hasher.update(&(client.len() as u64).to_le_bytes());
        hasher.update(client.as_bytes());
        hasher.update(secret.as_bytes());
        Self(hasher.finalize().into())
    }
}

impl fmt::Display for SecretDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(self.0))
    }
}

impl fmt::Debug for SecretDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretDigest(..)")
    }
}

impl FromStr for SecretDigest {
    type Err = ParseSecretDigestError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| ParseSecretDigestError)?;
        bytes.try_into().map(Self).map_err(|_| ParseSecretDigestError)
    }
}

/// The text is not the digest of a client's secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the digest of a client's secret is 43 characters of base64url")]
pub struct ParseSecretDigestError;

/// Where clients are registered.
///
/// Absence is `Ok(None)`; an error means "unknown" and is answered with 503.
#[async_trait]
pub trait ClientRegistry: fmt::Debug + Send + Sync + 'static {
    /// The client with this id, compared byte by byte.
    ///
    /// # Errors
    /// [`ClientRegistryError`] if it cannot be told.
    async fn find(&self, id: &str) -> Result<Option<Client>, ClientRegistryError>;
}

/// The registry could not be asked.
#[derive(Debug, thiserror::Error)]
#[error("the client registry failed")]
pub struct ClientRegistryError(#[source] pub Box<dyn std::error::Error + Send + Sync>);

/// Clients in memory, as an app lists them at start.
#[derive(Debug, Clone, Default)]
pub struct Clients(HashMap<String, Client>);

impl Clients {
    /// No client.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// And this one. The last of several with one id counts.
    #[must_use]
    pub fn with(mut self, client: Client) -> Self {
        self.0.insert(client.id.clone(), client);
        self
    }
}

#[async_trait]
impl ClientRegistry for Clients {
    async fn find(&self, id: &str) -> Result<Option<Client>, ClientRegistryError> {
        Ok(self.0.get(id).cloned())
    }
}

#[async_trait]
impl<R: ClientRegistry + ?Sized> ClientRegistry for Arc<R> {
    async fn find(&self, id: &str) -> Result<Option<Client>, ClientRegistryError> {
        (**self).find(id).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_bound_to_its_client_and_shows_nothing() {
        let secret = ClientSecret::generate().unwrap();
        let digest = secret.digest_for("a");
        assert!(Client::confidential("a", digest).holds(secret.expose()));
        assert!(!Client::confidential("b", digest).holds(secret.expose()));
        assert!(!Client::public("a").holds(""));
        assert_eq!(digest.to_string().parse(), Ok(digest));
        for text in ["", "a", &"A".repeat(44), &"*".repeat(43)] {
            assert!(text.parse::<SecretDigest>().is_err());
        }
        assert!(!format!("{secret:?} {digest:?}").contains(secret.expose()));
        let next = ClientSecret::generate().unwrap();
        let both = Client::confidential("a", digest).or_secret(next.digest_for("a"));
        assert!(both.holds(secret.expose()) && both.holds(next.expose()) && !both.holds("x"));
    }
}
