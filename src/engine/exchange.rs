//! Exchanges a long-lived token for a short-lived one (after RFC 8693).

use std::net::IpAddr;

use chrono::TimeDelta;

use super::denial::{DenialReason, Outage, VerifyError, denied};
use super::event::{Event, Subject};
use super::issue::{Draft, IssueError, Issued};
#[cfg(feature = "jwt")]
use super::judge::Purpose;
use super::settings::{ScopeWish, SettingsError, check_parties};
use super::verified::{Context, Verified};
use super::{Engine, Hallpass};
use crate::clock::Timestamp;
use crate::policy::ExpiryError;
use crate::scope::{Resources, Scope, ScopeSet};
#[cfg(feature = "jwt")]
use crate::store::Facts;
use crate::store::StoreError;
#[cfg(feature = "jwt")]
use crate::token::RevocationReason;
use crate::token::{EntropyError, Kind, KindSet, Networks, Status, Tenant, Token};

/// What to exchange a token for.
#[derive(Debug, Clone, Default)]
pub struct Exchange {
    scopes: Option<Vec<String>>,
    audience: Vec<String>,
    resources: Option<Resources>,
    lifetime: Option<TimeDelta>,
    client: Option<String>,
    tenant: Option<Tenant>,
    at_most: Option<ScopeSet>,
    unless_networked: bool,
}

impl Exchange {
    /// An access token with the scopes and resources of the presented token, as far as access
    /// tokens may have them, and policy's lifetime.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Only these of the scopes.
    #[must_use]
    pub fn scopes<T: Into<String>>(mut self, scopes: impl IntoIterator<Item = T>) -> Self {
        self.scopes.get_or_insert_default().extend(scopes.into_iter().map(Into::into));
        self
    }

    /// For these audiences: out of the presented token's own, or out of the ones that policy
    /// names if it has none. Unless given, the presented token's own.
    #[must_use]
    pub fn audience<T: Into<String>>(mut self, audience: impl IntoIterator<Item = T>) -> Self {
        self.audience.extend(audience.into_iter().map(Into::into));
        self
    }

    /// Only these of the resources.
    #[must_use]
    pub fn resources(mut self, resources: Resources) -> Self {
        self.resources = Some(resources);
        self
    }

    /// Another lifetime, at most the longest that policy allows; never past the end of the
    /// presented token.
    #[must_use]
    pub fn lifetime(mut self, lifetime: TimeDelta) -> Self {
        self.lifetime = Some(lifetime);
        self
    }

    /// This lifetime unless another one is asked for.
    #[cfg(feature = "jwt")]
    pub(crate) fn or_lifetime(mut self, lifetime: TimeDelta) -> Self {
        self.lifetime.get_or_insert(lifetime);
        self
    }

    /// Refuses tokens that may be used from some networks only.
    #[cfg(feature = "jwt")]
    pub(crate) fn unless_networked(mut self) -> Self {
        self.unless_networked = true;
        self
    }

    /// For a registered client that asks for it, which must be the one that the presented token
    /// was issued to, if it was issued to any. The app has made sure that it is this client.
    #[must_use]
    pub fn for_client(mut self, client: impl Into<String>) -> Self {
        self.client = Some(client.into());
        self
    }

    /// Only if the presented token is of this tenant.
    #[must_use]
    pub fn in_tenant(mut self, tenant: Tenant) -> Self {
        self.tenant = Some(tenant);
        self
    }

    /// Nothing outside these scopes, but for those that every token has: asked for they are refused,
    /// unasked they are left out.
    #[must_use]
    pub fn at_most(mut self, scopes: ScopeSet) -> Self {
        let scopes = self.at_most.map_or(scopes, |before| before.and(&scopes));
        self.at_most = Some(scopes);
        self
    }
}

/// Why a token was not exchanged.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExchangeError {
    /// The presented text is not accepted, or is of a kind that cannot be exchanged.
    #[error(transparent)]
    Denied(#[from] super::Denial),
    /// A scope is unknown, or access tokens never have it, or none is left.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// More than the presented token grants.
    #[error("the token does not grant the scope `{scope}`")]
    Wider {
        /// The first scope that it does not grant.
        scope: Scope,
    },
    /// More than the presented token reaches.
    #[error("the token does not reach these resources")]
    WiderResources,
    /// An audience that the presented token is not for, or that policy does not name.
    #[error("the audience is not allowed")]
    Audience,
    /// The lifetime is not allowed, or the presented token ends within five seconds.
    #[error(transparent)]
    Expiry(#[from] ExpiryError),
    /// The owner holds as many live access tokens as policy allows.
    #[error("the owner holds {limit} live access tokens, the most allowed")]
    QuotaFull {
        /// The most live access tokens allowed.
        limit: u32,
    },
    /// The random source failed; nothing was issued.
    #[error(transparent)]
    Entropy(#[from] EntropyError),
    /// It cannot be told whether the presented text is good, or whether a token was issued.
    #[error(transparent)]
    Unavailable(#[from] Outage),
}

impl From<VerifyError> for ExchangeError {
    fn from(error: VerifyError) -> Self {
        match error {
            VerifyError::Denied(denial) => denial.into(),
            VerifyError::Unavailable(outage) => outage.into(),
        }
    }
}

impl From<StoreError> for ExchangeError {
    fn from(error: StoreError) -> Self {
        Outage::from(error).into()
    }
}

impl From<IssueError> for ExchangeError {
    fn from(error: IssueError) -> Self {
        match error {
            IssueError::QuotaFull { limit } => Self::QuotaFull { limit },
            IssueError::Entropy(error) => error.into(),
            IssueError::Store(error) => error.into(),
            // Storing a finished draft fails in no other way.
            other => StoreError::unavailable(other).into(),
        }
    }
}

/// The kinds that can be exchanged. What was exchanged cannot be exchanged again.
const EXCHANGEABLE: KindSet = KindSet::NONE.with(Kind::Personal).with(Kind::Application);

impl Hallpass {
    /// Exchanges the presented token for a short-lived access token of kind `at`.
    ///
    /// Scopes, resources and audience only narrow; the end is computed once and is never past the
    /// presented token's. The new token names the presented one as its parent, and is refused
    /// from the moment the parent is revoked, unless policy lets sessions finish.
    ///
    /// # Errors
    /// [`ExchangeError`] tells what is not allowed or failed.
    pub async fn exchange(
        &self,
        text: &str,
        context: &Context<'_>,
        exchange: Exchange,
    ) -> Result<Issued, ExchangeError> {
        let engine = &*self.0;
        let now = context.now.unwrap_or_else(|| engine.clock.now());
        let kinds = context.kinds.and(EXCHANGEABLE);
        let verified = self.verify(text, &Context { now: Some(now), kinds, ..*context }).await?;
        engine.exchange(&verified, exchange, (now, context.ip)).await
    }

    /// The same for a token that is signed and has no secret. `sign` is given its record, once that
    /// is durable, and the scopes it grants.
    #[cfg(feature = "jwt")]
    pub(crate) async fn exchange_signed<T>(
        &self,
        text: &str,
        context: &Context<'_>,
        exchange: Exchange,
        sign: impl FnOnce(&Token, &ScopeSet, Timestamp) -> Result<T, ExchangeError>,
    ) -> Result<(T, Token), ExchangeError> {
        let engine = &*self.0;
        let now = context.now.unwrap_or_else(|| engine.clock.now());
        let kinds = context.kinds.and(EXCHANGEABLE);
        let verified = self.verify(text, &Context { now: Some(now), kinds, ..*context }).await?;
        let draft = engine.exchanged(&verified, exchange, (now, context.ip)).await?;
        let record = engine.store_signed(draft, now).await?;
        engine.tell_exchanged(&record.token, now);
        let facts = Facts::of(&record, &engine.catalog);
        let case = (&Context::default(), now, Purpose::Look);
        let standing = engine.standing(&facts, case).await.map_err(ExchangeError::from);
        match standing.and_then(|standing| sign(&record.token, standing.scopes(), now)) {
            Ok(signed) => Ok((signed, record.token)),
            Err(error) => {
                // Nobody has it; if this fails it ends by itself.
                let _ = self.revoke(&record.token.id, RevocationReason::Requested).await;
                Err(error)
            }
        }
    }

    /// Exchanges a token that was just verified, where the text is not at hand any more: behind
    /// the HTTP boundary. As [`exchange`](Self::exchange) otherwise.
    ///
    /// # Errors
    /// [`ExchangeError`] tells what is not allowed or failed. A kind that cannot be exchanged is
    /// denied.
    pub async fn exchange_verified(
        &self,
        verified: &Verified,
        exchange: Exchange,
    ) -> Result<Issued, ExchangeError> {
        if !EXCHANGEABLE.contains(verified.kind()) {
            return Err(denied(Some(verified.id()), DenialReason::WrongKind).into());
        }
        self.0.exchange(verified, exchange, (self.now(), None)).await
    }
}

impl Engine {
    async fn exchange(
        &self,
        verified: &Verified,
        exchange: Exchange,
        (now, ip): (Timestamp, Option<IpAddr>),
    ) -> Result<Issued, ExchangeError> {
        let draft = self.exchanged(verified, exchange, (now, ip)).await?;
        let issued: Issued = self.store_new(draft, false, now).await?.into();
        self.tell_exchanged(&issued.token, now);
        Ok(issued)
    }

    fn tell_exchanged(&self, token: &Token, now: Timestamp) {
        let (by, parent) = (token.created_by.clone(), token.parent);
        self.events.emit(now, &Event::Issued { token: Subject::from(token), by, parent });
    }

    /// Checks what is asked for and makes of it all of a token but its id.
    async fn exchanged(
        &self,
        verified: &Verified,
        exchange: Exchange,
        (now, ip): (Timestamp, Option<IpAddr>),
    ) -> Result<Draft, ExchangeError> {
        let refused = |reason| {
            self.events.denied(now, (Some(*verified.id()), reason), ip);
            ExchangeError::from(denied(Some(verified.id()), reason))
        };
        if exchange.tenant.as_ref().is_some_and(|tenant| tenant != verified.tenant()) {
            // What belongs to another tenant does not exist.
            return Err(refused(DenialReason::Unknown));
        }
        let foreign = |client| verified.client().is_some_and(|own| own != client);
        if exchange.client.as_deref().is_some_and(foreign) {
            return Err(refused(DenialReason::WrongClient));
        }
        check_parties(exchange.client.as_deref())?;
        let allowed = self.catalog.grantable(Kind::Access).and(verified.scopes());
        let allowed = exchange.at_most.map_or(allowed, |most| {
            // Every token has them, so the list of its scopes says so too.
            allowed.and(&self.catalog.with_always(allowed.and(&most)))
        });
        let scopes = match exchange.scopes {
            Some(scopes) => {
                let wish = ScopeWish { scopes, presets: Vec::new() };
                let (list, set) = self.resolve_wish(&wish, Kind::Access)?;
                if let Some(scope) = allowed.first_missing(&set) {
                    return Err(ExchangeError::Wider { scope: scope.clone() });
                }
                list
            }
            None => {
                let list = self.catalog.list_of(&allowed).map_err(SettingsError::from)?;
                // Scopes that every token has come along unasked.
                let set = self.catalog.resolve(&list);
                if let Some(scope) = self.catalog.grantable(Kind::Access).first_missing(&set) {
                    let scope = scope.clone();
                    return Err(SettingsError::NotForKind { scope, kind: Kind::Access }.into());
                }
                list
            }
        };
        if scopes.is_empty() {
            return Err(SettingsError::NoScope.into());
        }
        let own = verified.resources().cloned().unwrap_or_default();
        let resources = match exchange.resources {
            None => own,
            Some(asked) if own.contains(&asked) => asked,
            Some(_) => return Err(ExchangeError::WiderResources),
        };
        let audience = self.exchange_audience(verified, exchange.audience)?;
        let expires_at =
            self.policy.exchange_expiry(exchange.lifetime, verified.expires_at(), now)?;
        let parent = self.store.find(verified.id()).await?;
        let parent = parent.ok_or(StoreError::unavailable("the token vanished"))?.token;
        // It was good when it was verified, which may be a while ago.
        if Status::at(&parent, now) != Status::Active {
            return Err(denied(Some(&parent.id), DenialReason::ParentEnded).into());
        }

        let mut token = Token::new(parent.id, Kind::Access, parent.owner, parent.name, scopes, now);
        token.tenant = parent.tenant;
        token.resources = resources;
        token.networks = parent.networks;
        token.audience = audience;
        token.client = exchange.client.or(parent.client);
        token.created_by = verified.actor();
        token.expires_at = Some(expires_at);
        token.parent = Some(parent.id);
        if exchange.unless_networked && token.networks != Networks::Anywhere {
            return Err(refused(DenialReason::WrongNetwork));
        }
        Ok(Draft::new(token, None, self.policy.exchange_quota))
    }

    /// For whom an exchanged token is. A token for somebody never becomes one for somebody else,
    /// nor one for the app itself.
    fn exchange_audience(
        &self,
        verified: &Verified,
        mut asked: Vec<String>,
    ) -> Result<Vec<String>, ExchangeError> {
        let own = verified.audience();
        let allowed = if own.is_empty() { &self.policy.exchange_audiences } else { own };
        if !asked.iter().all(|audience| allowed.contains(audience)) {
            return Err(ExchangeError::Audience);
        }
        if asked.is_empty() {
            return Ok(own.to_vec());
        }
        asked.sort_unstable();
        asked.dedup();
        check_parties(asked.iter().map(String::as_str))?;
        Ok(asked)
    }
}

#[cfg(test)]
mod tests {
    use crate::{
        Context, Exchange, ExchangeError, Hallpass, Issue, MemoryStore, RevocationReason,
        ScopeCatalog,
    };

    #[tokio::test]
    async fn a_verified_token_is_exchanged_only_while_it_is_live() {
        let hallpass = Hallpass::builder(MemoryStore::new())
            .brand("acme")
            .catalog(ScopeCatalog::of(["repo:read"]).unwrap())
            .build()
            .unwrap();
        let issue = Issue::new("ci").owner("u1").scopes(["repo:read"]);
        let issued = hallpass.issue(issue).await.unwrap();
        let here = Context::default();
        let verified = hallpass.verify(issued.plain.expose(), &here).await.unwrap();

        let session = hallpass.exchange_verified(&verified, Exchange::new()).await.unwrap();
        assert_eq!(session.token.parent, Some(issued.token.id));
        let session = hallpass.verify(session.plain.expose(), &here).await.unwrap();
        let again = hallpass.exchange_verified(&session, Exchange::new()).await;
        assert!(matches!(again, Err(ExchangeError::Denied(_))), "{again:?}");

        hallpass.revoke(&issued.token.id, RevocationReason::Requested).await.unwrap();
        let late = hallpass.exchange_verified(&verified, Exchange::new()).await;
        assert!(matches!(late, Err(ExchangeError::Denied(_))), "{late:?}");
    }
}
