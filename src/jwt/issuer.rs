//! Signs access tokens.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::TimeDelta;
use serde::Serialize;
use zeroize::Zeroizing;

use super::claims::JwtClaims;
use super::compact::{Compact, MAX_JWT_LEN};
use super::key_ring::KeyRing;
use crate::clock::Timestamp;
use crate::engine::{
    Context, Exchange, ExchangeError, Hallpass, Introspection, Outage, Verified, VerifyError,
};
use crate::policy::ExpiryError;
use crate::scope::{Resources, Scope, ScopeSet};
use crate::store::StoreError;
use crate::token::{Tenant, Token, TokenId};

/// Signs access tokens of an app as JWTs (RFC 9068).
///
/// See the [module](super) for an example.
#[derive(Debug, Clone)]
pub struct JwtIssuer {
    name: String,
    keys: KeyRing,
    lifetime: TimeDelta,
}

/// An access token as a JWT: the one time its text exists.
#[derive(Debug)]
#[non_exhaustive]
pub struct IssuedJwt {
    /// The signed text.
    pub plain: JwtText,
    /// The record of the token, whose id is the `jti`.
    pub token: Token,
}

/// The text of a JWT. It is wiped from memory when dropped and not shown by `Debug`.
pub struct JwtText(Zeroizing<String>);

impl JwtText {
    /// The text.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for JwtText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("JwtText(redacted)")
    }
}

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    sub: &'a str,
    aud: Audience<'a>,
    client_id: &'a str,
    jti: &'a str,
    iat: i64,
    exp: i64,
    scope: &'a str,
    resources: &'a Resources,
    #[serde(skip_serializing_if = "Option::is_none")]
    tenant: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Audience<'a> {
    One(&'a str),
    Some(&'a [String]),
}

impl JwtIssuer {
    /// Longest life of a token: 60 minutes. A verifier that does not ask whether a token was
    /// revoked accepts it for that long.
    pub const MAX_LIFETIME: TimeDelta = TimeDelta::minutes(60);

    /// An issuer of this name, an `https` URL, that signs with these keys. Its tokens live for 10
    /// minutes unless somebody asks for less or more.
    #[must_use]
    pub fn new(name: impl Into<String>, keys: KeyRing) -> Self {
        Self { name: name.into(), keys, lifetime: TimeDelta::minutes(10) }
    }

    /// Another lifetime of tokens, at most 60 minutes and at most policy's longest exchange.
    #[must_use]
    pub fn lifetime(mut self, lifetime: TimeDelta) -> Self {
        self.lifetime = lifetime.min(Self::MAX_LIFETIME);
        self
    }

    /// The issuer's name, `iss`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The keys.
    #[must_use]
    pub fn keys(&self) -> &KeyRing {
        &self.keys
    }

    /// Exchanges the presented token for a JWT, as [`Hallpass::exchange`] does for an opaque
    /// token. A token for the app itself names the issuer as audience.
    ///
    /// The JWT has a record, whose id it names, so that it is listed, revoked and ends with its
    /// parent as every other. The record is durable before the text exists.
    ///
    /// # Errors
    /// [`ExchangeError`] as an exchange for an opaque token; also if the presented token may be
    /// used from some networks only, which a JWT could not say.
    pub async fn exchange(
        &self,
        hallpass: &Hallpass,
        text: &str,
        context: &Context<'_>,
        exchange: Exchange,
    ) -> Result<IssuedJwt, ExchangeError> {
        let lifetime = self.lifetime.min(hallpass.policy().max_exchange_lifetime);
        let exchange = exchange.or_lifetime(lifetime).unless_networked();
        let sign = |token: &Token, scopes: &ScopeSet, now| self.sign(token, scopes, now);
        let (plain, token) = hallpass.exchange_signed(text, context, exchange, sign).await?;
        Ok(IssuedJwt { plain, token })
    }

    fn sign(
        &self,
        token: &Token,
        scopes: &ScopeSet,
        now: Timestamp,
    ) -> Result<JwtText, ExchangeError> {
        let failed = || StoreError::unavailable(Unsignable);
        let end = token.expires_at.ok_or_else(failed)?;
        if end.since(token.created_at) > Self::MAX_LIFETIME {
            return Err(ExpiryError::TooLong.into());
        }
        let key = self.keys.current(now).ok_or_else(failed)?;
        let scopes: Vec<_> = scopes.iter().map(Scope::as_str).collect();
        let parent = token.parent.unwrap_or(token.id);
        let claims = Claims {
            iss: &self.name,
            sub: token.owner.as_str(),
            aud: match token.audience.as_slice() {
                [] => Audience::One(&self.name),
                [one] => Audience::One(one),
                some => Audience::Some(some),
            },
            // A personal token is its own client.
            client_id: token.client.as_deref().unwrap_or(parent.as_str()),
            jti: token.id.as_str(),
            iat: seconds(token.created_at),
            exp: seconds(end),
            scope: &scopes.join(" "),
            resources: &token.resources,
            tenant: (token.tenant != Tenant::DEFAULT).then(|| token.tenant.as_str()),
        };
        let mut json = Vec::with_capacity(512);
        serde_json::to_writer(&mut json, &claims).map_err(|_| failed())?;
        // What is wiped when it is dropped is neither copied nor larger than it must be.
        let encoded = |len| base64::encoded_len(len, false).unwrap_or_default();
        let len = encoded(json.len()) + encoded(key.signature_len()) + 2;
        let mut text = Zeroizing::new(String::with_capacity(key.header().len() + len));
        text.push_str(key.header());
        text.push('.');
        URL_SAFE_NO_PAD.encode_string(json, &mut text);
        let signature = key.sign(text.as_bytes()).map_err(|_| failed())?;
        text.push('.');
        URL_SAFE_NO_PAD.encode_string(signature, &mut text);
        if text.len() > MAX_JWT_LEN {
            return Err(failed().into());
        }
        Ok(JwtText(text))
    }

    /// Whether a text has the form of an access token that some issuer signed.
    #[must_use]
    pub fn recognises(text: &str) -> bool {
        Compact::parse(text).is_some()
    }

    /// Whether a text has the form of an access token and names this issuer. It may be forged.
    #[cfg(feature = "host")]
    pub(crate) fn is_named_by(&self, text: &str) -> bool {
        Compact::parse(text).is_some_and(|compact| compact.names(&self.name))
    }

    /// Which record a text names, if this issuer signed it. Whether the token is any good, the
    /// record tells.
    #[must_use]
    pub fn recognise(&self, text: &str, now: Timestamp) -> Option<TokenId> {
        self.read(text, now)?.record()
    }

    /// The claims of a text that this issuer signed, whether or not they hold now.
    pub(crate) fn read(&self, text: &str, now: Timestamp) -> Option<JwtClaims> {
        let compact = Compact::parse(text)?;
        let keys = self.keys.published(now);
        let key = keys.iter().find(|key| key.public().kid() == compact.kid)?.public();
        JwtClaims::read(&compact.signed_by(key)?, &self.name)
    }

    /// Verifies a JWT of this issuer where its records are, as [`Hallpass::verify`] verifies other
    /// texts: the signature and the claims, and then all that the record says. So it is refused
    /// from the moment it, its owner or its parent is.
    ///
    /// # Errors
    /// [`VerifyError::Denied`] if the text is refused, [`VerifyError::Unavailable`] if that cannot
    /// be told.
    pub async fn verify(
        &self,
        hallpass: &Hallpass,
        text: &str,
        context: &Context<'_>,
    ) -> Result<Verified, VerifyError> {
        let now = context.now.unwrap_or_else(|| hallpass.now());
        let context = &Context { now: Some(now), ..*context };
        let claims = self.read(text, now);
        if let Some((id, claims)) = claims.and_then(|claims| Some((claims.record()?, claims))) {
            // The record comes first, because it tells the reason of a refusal.
            let verified = hallpass.verify_vouched(&id, context).await?;
            // The clock of the node that signed may be ahead; the end is nobody's to extend.
            let holds = claims.is_for(context.audience.unwrap_or(&self.name))
                && claims.has_begun(now.saturating_add(MAX_LEEWAY))
                && !claims.has_ended(now)
                && claims.subject() == verified.owner().as_str()
                && claims.tenant().unwrap_or(Tenant::DEFAULT.as_str())
                    == verified.tenant().as_str();
            if holds {
                return Ok(verified);
            }
        }
        // Presented as no text at all, so that it is refused and reported as every other text.
        hallpass.verify("", context).await
    }

    /// Tells what a JWT of this issuer is worth right now, as [`Hallpass::introspect`] does for
    /// other texts.
    ///
    /// # Errors
    /// [`Outage`] if it cannot be told.
    pub async fn introspect(
        &self,
        hallpass: &Hallpass,
        text: &str,
    ) -> Result<Option<Introspection>, Outage> {
        match self.recognise(text, hallpass.now()) {
            Some(id) => hallpass.standing_of(&id).await,
            None => Ok(None),
        }
    }
}

/// The most that clocks may differ.
pub(super) const MAX_LEEWAY: TimeDelta = TimeDelta::seconds(30);

#[derive(Debug, thiserror::Error)]
#[error("the token could not be signed")]
struct Unsignable;

/// Whole seconds since the Unix epoch, those begun not counted.
fn seconds(instant: Timestamp) -> i64 {
    instant.as_micros().div_euclid(1_000_000)
}
