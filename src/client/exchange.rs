//! Token exchange (RFC 8693): a long-lived token for a short-lived one.

use serde::Deserialize;
use zeroize::Zeroizing;

use super::answer::Answer;
use super::credential::Credential;
use super::error::ClientError;

const GRANT: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";

/// What to exchange a token for. Without settings: everything that the token grants, at the
/// server's default lifetime.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenExchange {
    path: String,
    scopes: Vec<String>,
    audience: Vec<String>,
    resource: Vec<String>,
    jwt: bool,
}

impl TokenExchange {
    /// At `/oauth/token`.
    #[must_use]
    pub fn new() -> Self {
        let path = "/oauth/token".to_owned();
        Self { path, scopes: Vec::new(), audience: Vec::new(), resource: Vec::new(), jwt: false }
    }

    /// Where the server's token endpoint is, as a path below its address.
    #[must_use]
    pub fn at(mut self, path: impl Into<String>) -> Self {
        self.path = path.into();
        self
    }

    /// Asks for one more scope; without any, for all that the token has.
    #[must_use]
    pub fn scope(mut self, scope: impl Into<String>) -> Self {
        self.scopes.push(scope.into());
        self
    }

    /// Whom the new token is for.
    #[must_use]
    pub fn audience(mut self, audience: impl Into<String>) -> Self {
        self.audience.push(audience.into());
        self
    }

    /// Which server the new token is for, by its URL (RFC 8707).
    #[must_use]
    pub fn resource(mut self, resource: impl Into<String>) -> Self {
        self.resource.push(resource.into());
        self
    }

    /// Asks for a JWT (RFC 9068).
    #[must_use]
    pub fn jwt(mut self) -> Self {
        self.jwt = true;
        self
    }

    pub(super) fn path(&self) -> &str {
        &self.path
    }

    pub(super) fn form<'a>(&'a self, subject: &'a Credential) -> Vec<(&'static str, String)> {
        let mut form = vec![
            ("grant_type", GRANT.to_owned()),
            ("subject_token_type", ACCESS_TOKEN.to_owned()),
            ("subject_token", subject.expose().to_owned()),
        ];
        if self.jwt {
            form.push(("requested_token_type", JWT.to_owned()));
        }
        if !self.scopes.is_empty() {
            form.push(("scope", self.scopes.join(" ")));
        }
        form.extend(self.audience.iter().map(|audience| ("audience", audience.clone())));
        form.extend(self.resource.iter().map(|resource| ("resource", resource.clone())));
        form
    }
}

impl Default for TokenExchange {
    fn default() -> Self {
        Self::new()
    }
}

/// What the token endpoint gives.
#[derive(Deserialize)]
struct Wire {
    access_token: String,
    token_type: String,
    expires_in: u64,
}

/// A short-lived token, and for how many seconds it is good.
pub(super) fn read(answer: &Answer) -> Result<(Credential, u64), ClientError> {
    let wire: Wire = answer.json()?;
    let token = Zeroizing::new(wire.access_token);
    let unexpected = |what: &str| ClientError::unexpected(&answer.server, what);
    if !wire.token_type.eq_ignore_ascii_case("bearer") {
        return Err(unexpected("the token is none that can be sent as it is (Bearer)"));
    }
    if wire.expires_in == 0 {
        return Err(unexpected("the token has ended already"));
    }
    let token = Credential::from_text(&token);
    Ok((token.map_err(|error| unexpected(&error.to_string()))?, wire.expires_in))
}
