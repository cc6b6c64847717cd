//! `POST token`: token exchange (RFC 8693) and refresh (RFC 6749 section 6).

use std::net::IpAddr;

use bytes::Bytes;
use http::request::Parts;
use http::{Response, StatusCode, Uri};
use serde::Serialize;

use super::answer::{Refusal, answer};
use super::client::Client;
use super::endpoints::Inner;
use super::form::Form;
use super::request;
use crate::engine::{Context, Exchange, ExchangeError, Granted, Refresh, RefreshError};
use crate::policy::ExpiryError;
use crate::token::{Kind, KindSet, Token};

pub(super) const EXCHANGE_GRANT: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
pub(super) const REFRESH_GRANT: &str = "refresh_token";
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";

/// Longest list of scopes, in bytes.
const MAX_SCOPE_LEN: usize = 2 * 1024;
/// Longest audience or resource, in bytes.
const MAX_TARGET_LEN: usize = 256;

/// What would have somebody act as somebody else. It is refused, since ignoring it would give a
/// token that means something else than was asked for.
const UNSUPPORTED: [&str; 5] =
    ["actor_token", "actor_token_type", "requested_subject", "requested_issuer", "subject_issuer"];

#[derive(Serialize)]
struct Answer<'a> {
    access_token: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    issued_token_type: Option<&'static str>,
    token_type: &'static str,
    expires_in: i64,
    scope: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<&'a str>,
}

impl Inner {
    pub(super) async fn token(
        &self,
        head: &Parts,
        body: &[u8],
        peer: Option<IpAddr>,
    ) -> Result<Response<Bytes>, Refusal> {
        let form = request::read(head, body)?;
        let client = request::client(head, &form, &*self.clients).await?;
        let context = Context { ip: peer, ..Context::default() };
        match form.required("grant_type")? {
            EXCHANGE_GRANT => self.exchange(&form, client.as_ref(), context).await,
            REFRESH_GRANT if self.refreshes => self.refresh(&form, client.as_ref(), context).await,
            _ => Err(Refusal::Bad("unsupported_grant_type", "The grant type is not supported")),
        }
    }

    async fn exchange(
        &self,
        form: &Form,
        client: Option<&Client>,
        mut context: Context<'_>,
    ) -> Result<Response<Bytes>, Refusal> {
        if UNSUPPORTED.iter().any(|name| form.get(name).is_some()) {
            return Err(Refusal::invalid("Acting for somebody else is not supported"));
        }
        let subject = form.required("subject_token")?;
        if form.required("subject_token_type")? != ACCESS_TOKEN {
            return Err(Refusal::invalid("The type of the subject token is not supported"));
        }
        let requested = form.get("requested_token_type").unwrap_or(ACCESS_TOKEN);
        if requested != ACCESS_TOKEN && !(requested == JWT && self.has_keys()) {
            return Err(Refusal::invalid("The requested type of token is not supported"));
        }
        let exchange = self.asked(form, client)?;
        // Whoever does not say which client it is exchanges its own personal token.
        context.kinds = KindSet::only(Kind::Personal);
        if client.is_some_and(Client::is_confidential) {
            context.kinds = context.kinds.with(Kind::Application);
        }
        #[cfg(feature = "jwt")]
        if let Some(issuer) = self.jwt.as_ref().filter(|_| requested == JWT) {
            let issued = issuer.exchange(&self.hallpass, subject, &context, exchange).await?;
            return Ok(granted(&issued.token, issued.plain.expose(), Some(JWT), None));
        }
        let issued = self.hallpass.exchange(subject, &context, exchange).await?;
        Ok(granted(&issued.token, issued.plain.expose(), Some(ACCESS_TOKEN), None))
    }

    /// What the request asks to exchange for.
    fn asked(&self, form: &Form, client: Option<&Client>) -> Result<Exchange, Refusal> {
        let mut exchange = Exchange::new();
        if let Some(scope) = form.get("scope") {
            exchange = exchange.scopes(scopes(scope)?);
        }
        if let Some(client) = client {
            exchange = exchange.for_client(client.id());
            if let Some(tenant) = client.tenant() {
                exchange = exchange.in_tenant(tenant.clone());
            }
        }
        let mut targets: Vec<&str> = form.all("audience").collect();
        for resource in form.all("resource") {
            if !is_resource(resource) {
                return Err(invalid_target());
            }
            targets.push(resource);
        }
        if targets.is_empty() {
            targets.extend(self.default_audience.iter().map(String::as_str));
        }
        if targets.is_empty() && !client.is_none_or(Client::may_exchange_for_app) {
            return Err(invalid_target());
        }
        for target in &targets {
            let allowed = client.is_none_or(|client| client.may_exchange_for(target));
            if !allowed || target.len() > MAX_TARGET_LEN {
                return Err(invalid_target());
            }
            if let Some(scopes) = self.targets.get(*target) {
                exchange = exchange.at_most(*scopes);
            }
        }
        Ok(exchange.audience(targets))
    }

    async fn refresh(
        &self,
        form: &Form,
        client: Option<&Client>,
        context: Context<'_>,
    ) -> Result<Response<Bytes>, Refusal> {
        let text = form.required("refresh_token")?;
        let client = client.ok_or(Refusal::Client { challenge: true })?;
        let mut refresh = Refresh::new(client.id());
        if let Some(scope) = form.get("scope") {
            refresh = refresh.scopes(scopes(scope)?);
        }
        let Granted { access, refresh, .. } =
            self.hallpass.refresh(text, &context, refresh).await?;
        let refresh = Some(refresh.plain.expose());
        Ok(granted(&access.token, access.plain.expose(), None, refresh))
    }

    /// Whether access tokens can be JWTs.
    #[cfg(feature = "jwt")]
    pub(super) fn has_keys(&self) -> bool {
        self.jwt.is_some()
    }

    /// Whether access tokens can be JWTs.
    #[cfg(not(feature = "jwt"))]
    #[expect(clippy::unused_self, reason = "with the feature `jwt` it depends on the settings")]
    pub(super) fn has_keys(&self) -> bool {
        false
    }
}

fn granted(
    token: &Token,
    access_token: &str,
    issued_token_type: Option<&'static str>,
    refresh_token: Option<&str>,
) -> Response<Bytes> {
    let life = token.expires_at.map_or(0, |end| end.since(token.created_at).num_seconds());
    let granted = Answer {
        access_token,
        issued_token_type,
        token_type: "Bearer",
        expires_in: life,
        scope: token.scopes.to_string(),
        refresh_token,
    };
    answer(StatusCode::OK, &granted)
}

/// Scopes with single spaces between them (RFC 6749 section 3.3).
fn scopes(text: &str) -> Result<Vec<&str>, Refusal> {
    let scopes: Vec<_> = text.split(' ').collect();
    if text.len() > MAX_SCOPE_LEN || scopes.contains(&"") {
        return Err(invalid_scope());
    }
    Ok(scopes)
}

/// Whether this is the URL of a server (RFC 8707 section 2): absolute, without fragment and user
/// information.
fn is_resource(text: &str) -> bool {
    let Ok(uri) = text.parse::<Uri>() else {
        return false;
    };
    let host = uri.authority().map(http::uri::Authority::as_str);
    text.len() <= MAX_TARGET_LEN
        && matches!(uri.scheme_str(), Some("https" | "http"))
        && host.is_some_and(|host| !host.is_empty() && !host.contains('@'))
        && !text.contains('#')
}

fn invalid_scope() -> Refusal {
    Refusal::Bad("invalid_scope", "The scope is unknown, malformed or more than is granted")
}

fn invalid_target() -> Refusal {
    Refusal::Bad("invalid_target", "The audience or resource is not allowed")
}

impl From<ExchangeError> for Refusal {
    fn from(error: ExchangeError) -> Self {
        match error {
            ExchangeError::Denied(_) => Self::invalid("The subject token is invalid"),
            ExchangeError::Settings(_) | ExchangeError::Wider { .. } => invalid_scope(),
            ExchangeError::Audience | ExchangeError::WiderResources => invalid_target(),
            ExchangeError::Expiry(error) => error.into(),
            ExchangeError::QuotaFull { .. } => Self::invalid(QUOTA),
            ExchangeError::Entropy(_) | ExchangeError::Unavailable(_) => Self::Unavailable,
        }
    }
}

impl From<RefreshError> for Refusal {
    fn from(error: RefreshError) -> Self {
        match error {
            RefreshError::Denied(_) | RefreshError::Stale => {
                Self::Bad("invalid_grant", "The refresh token is invalid")
            }
            RefreshError::Settings(_) | RefreshError::Wider { .. } => invalid_scope(),
            RefreshError::Expiry(_) => {
                Self::Bad("invalid_grant", "The refresh token is about to end")
            }
            RefreshError::QuotaFull { .. } => Self::invalid(QUOTA),
            RefreshError::Entropy(_) | RefreshError::Unavailable(_) => Self::Unavailable,
        }
    }
}

impl From<ExpiryError> for Refusal {
    fn from(_: ExpiryError) -> Self {
        Self::invalid("The subject token is about to end")
    }
}

const QUOTA: &str = "The owner holds too many live tokens";
