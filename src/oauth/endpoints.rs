//! The endpoints and what they are set up with.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
#[cfg(feature = "jwt")]
use chrono::TimeDelta;
use http::request::Parts;
use http::{HeaderValue, Method, Response, Uri};

use super::answer::{Refusal, document, refuse};
use super::client::{ClientRegistry, Clients};
use super::metadata;
use crate::engine::Hallpass;
#[cfg(feature = "jwt")]
use crate::jwt::{JwtIssuer, KeyRing};
use crate::scope::{ScopeSet, UnknownScope};

/// The OAuth endpoints of an app. Cheap to clone.
///
/// See the [module](super) for the rules and an example.
#[derive(Debug, Clone)]
pub struct OAuth(pub(super) Arc<Inner>);

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) hallpass: Hallpass,
    pub(super) clients: Box<dyn ClientRegistry>,
    pub(super) issuer: String,
    pub(super) targets: HashMap<String, ScopeSet>,
    pub(super) default_audience: Vec<String>,
    pub(super) refreshes: bool,
    #[cfg(feature = "jwt")]
    pub(super) jwt: Option<JwtIssuer>,
    basic: HeaderValue,
    paths: Paths,
    metadata: Bytes,
}

/// Under which paths of the host the endpoints are, as the metadata tells.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Paths {
    /// The token endpoint.
    pub token: String,
    /// The introspection endpoint.
    pub introspect: String,
    /// The revocation endpoint.
    pub revoke: String,
    /// The key set, where access tokens can be JWTs.
    pub jwks: String,
    /// The metadata, under `/.well-known/` (RFC 8414 section 3).
    pub metadata: String,
}

impl OAuth {
    /// Starts setting the endpoints up for this engine. `issuer` is the URL by which clients know
    /// the app, such as `https://acme.example`: `https`, or `http` on the same machine, without
    /// query and fragment.
    #[must_use]
    pub fn builder(hallpass: Hallpass, issuer: impl Into<String>) -> OAuthBuilder {
        OAuthBuilder {
            hallpass,
            issuer: issuer.into(),
            mount: "/oauth".to_owned(),
            clients: Box::new(Clients::none()),
            targets: Vec::new(),
            default_audience: Vec::new(),
            refreshes: false,
            #[cfg(feature = "jwt")]
            jwt: None,
            #[cfg(feature = "jwt")]
            jwt_lifetime: None,
        }
    }

    /// The engine.
    #[must_use]
    pub fn hallpass(&self) -> &Hallpass {
        &self.0.hallpass
    }

    /// Where the endpoints are.
    #[must_use]
    pub fn paths(&self) -> &Paths {
        &self.0.paths
    }

    /// `POST token`: token exchange (RFC 8693), and refreshing where that is on. `peer` is the
    /// client's address from a source that the app trusts.
    pub async fn token(&self, head: &Parts, body: &[u8], peer: Option<IpAddr>) -> Response<Bytes> {
        let answered = self.0.token(head, body, peer).await;
        self.finish(answered)
    }

    /// `POST introspect` (RFC 7662).
    pub async fn introspect(&self, head: &Parts, body: &[u8]) -> Response<Bytes> {
        let answered = self.0.introspect(head, body).await;
        self.finish(answered)
    }

    /// `POST revoke` (RFC 7009).
    pub async fn revoke(&self, head: &Parts, body: &[u8]) -> Response<Bytes> {
        let answered = self.0.revoke(head, body).await;
        self.finish(answered)
    }

    /// `GET /.well-known/oauth-authorization-server` (RFC 8414).
    #[must_use]
    pub fn metadata(&self, head: &Parts) -> Response<Bytes> {
        let body = self.0.metadata.clone();
        self.finish(readable(head).map(|()| document("application/json", body)))
    }

    /// `GET jwks.json`: the public keys of JWT access tokens (RFC 7517). `None` where there are
    /// none, and then there is no such path.
    #[cfg(feature = "jwt")]
    #[must_use]
    pub fn jwks(&self, head: &Parts) -> Option<Response<Bytes>> {
        let keys = self.0.jwt.as_ref()?.keys();
        let set = readable(head).map(|()| keys.jwks(self.0.hallpass.now()));
        Some(self.finish(set.map(|set| document("application/jwk-set+json", set.into()))))
    }

    /// The response to a body that was too long to be read to its end. Bodies longer than
    /// [`MAX_FORM_LEN`](super::MAX_FORM_LEN) need not be.
    #[must_use]
    pub fn too_large(&self) -> Response<Bytes> {
        self.finish(Err(Refusal::TooLarge))
    }

    fn finish(&self, answered: Result<Response<Bytes>, Refusal>) -> Response<Bytes> {
        answered.unwrap_or_else(|refusal| refuse(&refusal, &self.0.basic))
    }
}

/// Refuses what does not only read.
fn readable(head: &Parts) -> Result<(), Refusal> {
    if matches!(head.method, Method::GET | Method::HEAD) {
        Ok(())
    } else {
        Err(Refusal::Method("GET, HEAD"))
    }
}

/// Collects what the endpoints are set up with; see [`OAuth::builder`].
#[derive(Debug)]
pub struct OAuthBuilder {
    hallpass: Hallpass,
    issuer: String,
    mount: String,
    clients: Box<dyn ClientRegistry>,
    targets: Vec<(String, Vec<String>)>,
    default_audience: Vec<String>,
    refreshes: bool,
    #[cfg(feature = "jwt")]
    jwt: Option<KeyRing>,
    #[cfg(feature = "jwt")]
    jwt_lifetime: Option<TimeDelta>,
}

impl OAuthBuilder {
    /// Under which path of the host the endpoints are; `/oauth` unless given.
    #[must_use]
    pub fn mounted_at(mut self, path: impl Into<String>) -> Self {
        self.mount = path.into();
        self
    }

    /// Where clients are registered; there are none unless given.
    #[must_use]
    pub fn clients(mut self, registry: impl ClientRegistry) -> Self {
        self.clients = Box::new(registry);
        self
    }

    /// Limits what a token for this audience can be granted, beside what every token has. The audience must be one that
    /// policy names in [`exchange_audiences`](crate::Policy::exchange_audiences); one without
    /// limit can be granted whatever the presented token grants.
    #[must_use]
    pub fn target<T: Into<String>>(
        mut self,
        audience: impl Into<String>,
        scopes: impl IntoIterator<Item = T>,
    ) -> Self {
        let scopes = scopes.into_iter().map(Into::into).collect();
        self.targets.push((audience.into(), scopes));
        self
    }

    /// For whom tokens are exchanged if the request names nobody; for the app itself unless
    /// given.
    #[must_use]
    pub fn default_audience<T: Into<String>>(
        mut self,
        audience: impl IntoIterator<Item = T>,
    ) -> Self {
        self.default_audience = audience.into_iter().map(Into::into).collect();
        self
    }

    /// Lets clients refresh what [`issue_with_refresh`](Hallpass::issue_with_refresh) gave them.
    #[must_use]
    pub fn refresh_tokens(mut self) -> Self {
        self.refreshes = true;
        self
    }

    /// Lets clients ask for JWT access tokens, signed with these keys; such tokens can be
    /// introspected and revoked too.
    #[cfg(feature = "jwt")]
    #[must_use]
    pub fn jwt(mut self, keys: KeyRing) -> Self {
        self.jwt = Some(keys);
        self
    }

    /// How long a JWT lives, at most 60 minutes; 10 unless given. It can be said before
    /// [`jwt`](Self::jwt) or after it, and says nothing without.
    #[cfg(feature = "jwt")]
    #[must_use]
    pub fn jwt_lifetime(mut self, lifetime: TimeDelta) -> Self {
        self.jwt_lifetime = Some(lifetime);
        self
    }

    /// Checks everything.
    ///
    /// # Errors
    /// [`OAuthError`] names what cannot be used.
    pub fn build(self) -> Result<OAuth, OAuthError> {
        let issuer_path = issuer_path(&self.issuer).ok_or(OAuthError::Issuer)?;
        let mount = self.mount.as_str();
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte);
        if !(mount.is_empty() || mount.starts_with('/'))
            || mount.ends_with('/')
            || !mount.bytes().all(plain)
        {
            return Err(OAuthError::Mount);
        }
        let audiences = &self.hallpass.policy().exchange_audiences;
        let mut targets = HashMap::new();
        for (audience, scopes) in self.targets {
            let scopes = self.hallpass.catalog().set(&scopes)?;
            if !audiences.contains(&audience) {
                return Err(OAuthError::Audience { audience });
            }
            targets.insert(audience, scopes);
        }
        let unknown = self.default_audience.iter().find(|one| !audiences.contains(one));
        if let Some(audience) = unknown {
            return Err(OAuthError::Audience { audience: audience.clone() });
        }
        let paths = Paths {
            token: format!("{mount}/token"),
            introspect: format!("{mount}/introspect"),
            revoke: format!("{mount}/revoke"),
            jwks: format!("{mount}/jwks.json"),
            metadata: format!("/.well-known/oauth-authorization-server{issuer_path}"),
        };
        let brand = self.hallpass.brand().as_str();
        let basic = HeaderValue::try_from(format!("Basic realm=\"{brand}\", charset=\"UTF-8\""));
        #[cfg(feature = "jwt")]
        let jwt = self.jwt.map(|keys| {
            let issuer = JwtIssuer::new(self.issuer.clone(), keys);
            match self.jwt_lifetime {
                Some(lifetime) => issuer.lifetime(lifetime),
                None => issuer,
            }
        });
        let mut inner = Inner {
            basic: basic.map_err(|_| OAuthError::Issuer)?,
            hallpass: self.hallpass,
            clients: self.clients,
            issuer: self.issuer,
            targets,
            default_audience: self.default_audience,
            refreshes: self.refreshes,
            #[cfg(feature = "jwt")]
            jwt,
            paths,
            metadata: Bytes::new(),
        };
        inner.metadata = metadata::written(&inner, &inner.paths);
        Ok(OAuth(Arc::new(inner)))
    }
}

/// The path of an issuer's URL, if it is one that clients can trust.
fn issuer_path(issuer: &str) -> Option<String> {
    let uri: Uri = issuer.parse().ok()?;
    let authority = uri.authority()?;
    let local = matches!(uri.host()?, "localhost" | "127.0.0.1" | "[::1]");
    let trusted = match uri.scheme_str()? {
        "https" => true,
        "http" => local,
        _ => false,
    };
    let bare =
        !issuer.contains(['?', '#', '"', '\\', '{', '}']) && !authority.as_str().contains('@');
    let path = uri.path().trim_end_matches('/');
    (trusted && bare && !issuer.ends_with('/')).then(|| path.to_owned())
}

/// Why the endpoints cannot be set up.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OAuthError {
    /// The issuer is no `https` URL, has a query, a fragment, user information or a slash at its
    /// end.
    #[error("an issuer is an https URL without query, fragment and slash at its end")]
    Issuer,
    /// The path is not one.
    #[error("a mount path starts with a slash and does not end with one")]
    Mount,
    /// A scope is not declared.
    #[error(transparent)]
    Scope(#[from] UnknownScope),
    /// Policy does not name the audience.
    #[error("the policy's exchange_audiences do not name `{audience}`")]
    Audience {
        /// The audience.
        audience: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_issuer_is_a_url_that_clients_can_trust() {
        for (issuer, path) in [
            ("https://acme.example", ""),
            ("https://acme.example:8443/a/b", "/a/b"),
            ("http://127.0.0.1:3000", ""),
            ("http://localhost", ""),
        ] {
            assert_eq!(issuer_path(issuer).as_deref(), Some(path), "{issuer}");
        }
        for issuer in [
            "",
            "acme",
            "http://acme.example",
            "https://acme.example/",
            "https://acme.example?a",
            "https://acme.example#a",
            "https://u@acme.example",
            "ftp://acme.example",
            "/oauth",
        ] {
            assert_eq!(issuer_path(issuer), None, "{issuer}");
        }
    }
}
