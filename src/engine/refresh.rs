//! Application tokens that are refreshed (after RFC 6749 section 6 and RFC 9700 section 4.14).
//!
//! A grant is the family of its first refresh token: every later refresh token and every access
//! token names that one as its parent, so one look at it ends them all. A refresh token is good
//! once. Its record stays and points to the one that replaced it, so its secret is recognised
//! for as long as the grant lasts.

use serde_json::{Map, Value};

use super::denial::{DenialReason, Outage, VerifyError, denied};
use super::event::{Event, Subject};
use super::issue::{Draft, Issue, IssueError, Issued, Operation};
use super::judge::{Presented, Purpose};
use super::on_behalf::OnBehalf;
use super::settings::{ScopeWish, SettingsError};
use super::verified::{Context, Verified};
use super::{Engine, Hallpass};
use crate::clock::Timestamp;
use crate::policy::{Expiry, ExpiryError};
use crate::scope::{Scope, ScopeList};
use crate::store::{Change, Conflict, Facts, Filter, Reach, StoreError};
use crate::token::{
    Actor, EntropyError, Kind, Metadata, PlainToken, Record, Revocation, RevocationReason,
    Rotation, Token, TokenId, TokenText,
};

/// An access token and the refresh token that goes with it.
#[derive(Debug)]
#[non_exhaustive]
pub struct Granted {
    /// The token to call with, of kind `app`.
    pub access: Issued,
    /// The token to get the next ones with, of kind `rt`; good once.
    pub refresh: Issued,
}

/// How to refresh.
#[derive(Debug, Clone)]
pub struct Refresh {
    client: String,
    scopes: Option<Vec<String>>,
}

impl Refresh {
    /// As this client, with the scopes of the grant. The app has made sure that it is this client
    /// that asks.
    #[must_use]
    pub fn new(client: impl Into<String>) -> Self {
        Self { client: client.into(), scopes: None }
    }

    /// Only these of the scopes, for the access token. The refresh token keeps those of the
    /// grant.
    #[must_use]
    pub fn scopes<T: Into<String>>(mut self, scopes: impl IntoIterator<Item = T>) -> Self {
        self.scopes.get_or_insert_default().extend(scopes.into_iter().map(Into::into));
        self
    }
}

/// Why a token was not refreshed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RefreshError {
    /// The presented text is not accepted, is no refresh token, or was issued to another client.
    #[error(transparent)]
    Denied(#[from] super::Denial),
    /// A scope is unknown, or none is left.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// More than was granted, or than the owner has now.
    #[error("the token does not grant the scope `{scope}`")]
    Wider {
        /// The first scope that is too much.
        scope: Scope,
    },
    /// The grant ends within five seconds.
    #[error(transparent)]
    Expiry(#[from] ExpiryError),
    /// The owner holds as many live application tokens as policy allows.
    #[error("the owner holds {limit} live application tokens, the most allowed")]
    QuotaFull {
        /// The most live tokens allowed.
        limit: u32,
    },
    /// Another refresh with the same token came first.
    #[error("the token was refreshed in the meantime")]
    Stale,
    /// The random source failed; nothing was issued.
    #[error(transparent)]
    Entropy(#[from] EntropyError),
    /// It cannot be told whether the text is good or the refresh went through. Presenting the
    /// same text again soon is safe.
    #[error(transparent)]
    Unavailable(#[from] Outage),
}

impl From<VerifyError> for RefreshError {
    fn from(error: VerifyError) -> Self {
        match error {
            VerifyError::Denied(denial) => denial.into(),
            VerifyError::Unavailable(outage) => outage.into(),
        }
    }
}

impl From<StoreError> for RefreshError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Conflict(Conflict::Stale { .. } | Conflict::Revoked) => Self::Stale,
            other => Outage::from(other).into(),
        }
    }
}

impl From<IssueError> for RefreshError {
    fn from(error: IssueError) -> Self {
        match error {
            IssueError::QuotaFull { limit } => Self::QuotaFull { limit },
            IssueError::Entropy(error) => error.into(),
            IssueError::Store(error) => error.into(),
            // Storing a finished draft fails in no other way.
            other => Outage::from(StoreError::unavailable(other)).into(),
        }
    }
}

impl Hallpass {
    /// Issues an application token with a refresh token, as the app itself.
    ///
    /// # Errors
    /// As [`OnBehalf::issue_with_refresh`].
    pub async fn issue_with_refresh(&self, issue: Issue) -> Result<Granted, IssueError> {
        self.as_system().issue_with_refresh(issue).await
    }

    /// Gives a new access token and a new refresh token for a refresh token.
    ///
    /// The presented one is spent by that. Presented again within the lifetime of an access
    /// token, and as long as nobody used what replaced it, it gives another pair and the lost
    /// refresh token is void: whoever never got the reply is not punished. (The lost access token is
    /// good until it ends.) In any other case a spent refresh token is in two hands: the whole grant
    /// is revoked, and [`Event::Reused`] is raised.
    ///
    /// Scopes only narrow, and nothing lives past the end of the grant. The kinds and the audience
    /// of `context` are not looked at.
    ///
    /// # Errors
    /// [`RefreshError`] tells what is not allowed or failed.
    pub async fn refresh(
        &self,
        text: &str,
        context: &Context<'_>,
        refresh: Refresh,
    ) -> Result<Granted, RefreshError> {
        let engine = &*self.0;
        let now = context.now.unwrap_or_else(|| engine.clock.now());
        let case = match engine.presented_refresh(text, context, &refresh.client, now).await {
            Ok(case) => case,
            Err(error) => {
                engine.report(&error, context, now);
                return Err(error.into());
            }
        };
        let scopes = engine.refreshed_scopes(&case.standing, refresh.scopes)?;
        let end = engine.policy.application_end(case.grant.expires_at, now)?;
        // First what a full quota can refuse: the presented token is spent only if all goes well.
        let access = engine.store_application(&case.grant, scopes, end, now).await?;
        let issued = match engine.replace(&case, now).await {
            Ok(issued) => issued,
            Err(error) => {
                // Nobody has its secret.
                engine.discard(&access.token.id, now).await;
                return Err(error);
            }
        };
        for token in [&issued.token, &access.token] {
            let event = Event::Issued {
                token: Subject::from(token),
                by: Actor::Token(case.spent.token.id),
                parent: Some(case.grant.id),
            };
            engine.events.emit(now, &event);
        }
        Ok(Granted { access, refresh: issued })
    }
}

impl OnBehalf<'_> {
    /// Issues an application token for a client ([`Issue::for_client`]) and a refresh token that
    /// renews it. The wished end is that of the whole grant, policy's `refresh_lifetime` unless
    /// given; the application token lives for `application_lifetime`.
    ///
    /// # Errors
    /// As [`issue`](Self::issue), and [`IssueError::ClientMissing`]. Name and quota are those of
    /// refresh tokens. Where policy's `exchange_quota` has no room for the application token, an
    /// idempotency key is spent nevertheless: go on with another one.
    pub async fn issue_with_refresh(&self, mut issue: Issue) -> Result<Granted, IssueError> {
        let engine = self.engine;
        let now = engine.clock.now();
        if issue.client.is_none() {
            return Err(IssueError::ClientMissing);
        }
        let lifetime = engine.policy.refresh_lifetime.min(engine.policy.max_lifetime);
        issue.expiry.get_or_insert(Expiry::In(lifetime));
        let mut draft = self.draft(issue, Operation::Grant, now).await?;
        let scopes = draft.record.token.scopes.clone();
        draft.record.token.kind = Kind::Refresh;
        draft.quota = engine.policy.refresh_quota;
        let end = engine.policy.application_end(draft.record.token.expires_at, now)?;
        let made = engine.store_new(draft, engine.policy.unique_names, now).await?;
        let refresh = Issued::from(made);
        let access = match engine.store_application(&refresh.token, scopes, end, now).await {
            Ok(access) => access,
            Err(error) => {
                // Nobody has the secret of the half that is there; it only clutters the list.
                engine.discard(&refresh.token.id, now).await;
                return Err(error);
            }
        };
        for (token, parent) in [(&refresh.token, None), (&access.token, Some(refresh.token.id))] {
            let by = self.caller.actor();
            engine.events.emit(now, &Event::Issued { token: Subject::from(token), by, parent });
        }
        Ok(Granted { access, refresh })
    }
}

/// A refresh token that may be spent.
struct Case {
    /// The one presented.
    spent: Record,
    /// The one that replaced it, if it was spent before and the reply was lost.
    lost: Option<Record>,
    /// The first of the family.
    grant: Token,
    standing: Verified,
}

impl Engine {
    /// Everything a refresh needs to know of the text.
    async fn presented_refresh(
        &self,
        text: &str,
        context: &Context<'_>,
        client: &str,
        now: Timestamp,
    ) -> Result<Case, VerifyError> {
        let parsed = TokenText::parse(text, &self.brands);
        let text = parsed.map_err(|_| denied(None, DenialReason::Malformed))?;
        let id = text.id();
        let refused = |reason| denied(Some(id), reason);
        if text.kind() != Kind::Refresh {
            return Err(refused(DenialReason::WrongKind));
        }
        let Some(spent) = self.store.find(id).await.map_err(Outage::from)? else {
            self.peppers.check_nothing(&text);
            return Err(refused(DenialReason::Unknown));
        };
        let facts = Facts::of(&spent, &self.catalog);
        let presented = self.check_secret(&text, &facts, now).map_err(|why| why.of(id))?;
        if spent.token.client.as_deref() != Some(client) {
            return Err(refused(DenialReason::WrongClient));
        }
        if spent.token.revocation.is_some() {
            return Err(refused(DenialReason::Revoked));
        }
        let root = spent.token.parent.unwrap_or(*id);
        let grant = self.store.find(&root).await.map_err(Outage::from)?;
        let grant = grant.ok_or_else(|| refused(DenialReason::ParentEnded))?;
        if grant.token.revocation.is_some() {
            return Err(refused(DenialReason::ParentEnded));
        }
        let (facts, lost) = match presented {
            Presented::Current => (facts, None),
            Presented::Older => match self.unheard_of(&spent, now).await? {
                Some(lost) if lost.token.suspension.is_some() => {
                    // Who may not present it may not get another one in its place either.
                    return Err(refused(DenialReason::Suspended));
                }
                // A spent token has ended; whether it may be presented again is up to the grant.
                Some(lost) => (Facts::of(&grant, &self.catalog), Some(lost)),
                None => return Err(self.reused_refresh(&facts, &root, context, now).await),
            },
        };
        let standing = self.standing(&facts, (context, now, Purpose::Refresh)).await?;
        Ok(Case { spent, lost, grant: grant.token, standing })
    }

    /// What replaced a spent token, if that never came to use and was not long ago.
    async fn unheard_of(
        &self,
        spent: &Record,
        now: Timestamp,
    ) -> Result<Option<Record>, VerifyError> {
        let Some(rotation) = spent.token.rotation else {
            return Ok(None);
        };
        let Some(successor) = successor_of(&spent.token) else {
            return Ok(None);
        };
        let until = rotation.superseded_at.saturating_add(self.policy.application_lifetime);
        if now >= until {
            return Ok(None);
        }
        let successor = self.store.find(&successor).await.map_err(Outage::from)?;
        Ok(successor.filter(|record| {
            let rotation = record.token.rotation;
            record.token.revocation.is_none()
                && rotation.is_none_or(|rotation| rotation.first_used_at.is_none())
        }))
    }

    async fn reused_refresh(
        &self,
        facts: &Facts,
        root: &TokenId,
        context: &Context<'_>,
        now: Timestamp,
    ) -> VerifyError {
        self.events.emit(now, &Event::Reused { token: Subject::from(facts), ip: context.ip });
        match self.revoke_family(root, now).await {
            Ok(()) => denied(Some(&facts.id), DenialReason::Superseded),
            Err(outage) => outage.into(),
        }
    }

    /// What the next access token of a grant is given.
    fn refreshed_scopes(
        &self,
        standing: &Verified,
        asked: Option<Vec<String>>,
    ) -> Result<ScopeList, RefreshError> {
        let allowed = self.catalog.grantable(Kind::Application).and(standing.scopes());
        let scopes = match asked {
            Some(scopes) => {
                let wish = ScopeWish { scopes, presets: Vec::new() };
                let (list, set) = self.resolve_wish(&wish, Kind::Application)?;
                if let Some(scope) = allowed.first_missing(&set) {
                    return Err(RefreshError::Wider { scope: scope.clone() });
                }
                list
            }
            None => self.catalog.list_of(&allowed).map_err(SettingsError::from)?,
        };
        if scopes.is_empty() { Err(SettingsError::NoScope.into()) } else { Ok(scopes) }
    }

    /// Stores the next refresh token of a grant and spends the presented one.
    ///
    /// The new one is stored first and is nobody's until the presented one points to it; that is
    /// one compare-and-set, so of several refreshes with one text exactly one goes through.
    async fn replace(&self, case: &Case, now: Timestamp) -> Result<Issued, RefreshError> {
        let Case { spent, lost, grant, .. } = case;
        let kept = &spent.token;
        let mut token = Token::new(
            kept.id,
            Kind::Refresh,
            kept.owner.clone(),
            kept.name.clone(),
            kept.scopes.clone(),
            now,
        );
        self.inherit(&mut token, grant);
        token.expires_at = grant.expires_at;
        let draft = Draft::new(token, None, None);
        let issued: Issued = self.store_new(draft, false, now).await?.into();
        let turned = async {
            if let Some(lost) = lost
                && lost.token.rotation.is_none()
            {
                self.retire(lost, grant, (None, None), now).await?;
            }
            self.retire(spent, grant, (Some(issued.token.id), Some(now)), now).await
        };
        match turned.await {
            Ok(()) => Ok(issued),
            Err(error) => {
                if matches!(error, RefreshError::Stale) {
                    self.discard(&issued.token.id, now).await;
                }
                Err(error)
            }
        }
    }

    /// Leaves a refresh token with a secret that nobody has, so that its own is recognised from
    /// now on and no longer good.
    async fn retire(
        &self,
        record: &Record,
        grant: &Token,
        (successor, first_used_at): (Option<TokenId>, Option<Timestamp>),
        now: Timestamp,
    ) -> Result<(), RefreshError> {
        let token = &record.token;
        let mut change = Change::default();
        if let Some(successor) = successor {
            change.metadata = Some(pointing_to(&successor, &token.metadata));
        }
        // A token that was retired before stays so, and only learns what replaced it this time.
        if token.rotation.is_none() {
            let brand = self.brands.current();
            let nobodys = PlainToken::with_id(brand, token.kind, &token.id, &*self.entropy)?;
            change.digest = Some(self.digest_of(&nobodys)?);
            change.superseded = Some(Some(record.digest.clone()));
            change.rotation = Some(Some(Rotation {
                // So that policy's longest lifetime still counts from the start.
                rotated_at: token.created_at,
                superseded_at: now,
                grace_until: now,
                first_used_at,
            }));
            // The first of the family has to last, for the others are judged by it.
            if token.id != grant.id {
                change.expires_at = Some(Some(now));
            }
        }
        match self.store.update(&token.id, token.version, &change, now).await? {
            Some(_) => Ok(()),
            None => Err(RefreshError::Stale),
        }
    }

    /// Stores an access token of a grant.
    async fn store_application(
        &self,
        grant: &Token,
        scopes: ScopeList,
        end: Timestamp,
        now: Timestamp,
    ) -> Result<Issued, IssueError> {
        let kind = Kind::Application;
        let (owner, name) = (grant.owner.clone(), grant.name.clone());
        let mut token = Token::new(grant.id, kind, owner, name, scopes, now);
        self.inherit(&mut token, grant);
        token.expires_at = Some(end);
        let draft = Draft::new(token, None, self.policy.exchange_quota);
        Ok(self.store_new(draft, false, now).await?.into())
    }

    fn inherit(&self, token: &mut Token, grant: &Token) {
        token.tenant = grant.tenant.clone();
        token.resources = grant.resources.clone();
        token.networks = grant.networks.clone();
        token.audience = grant.audience.clone();
        token.client = grant.client.clone();
        token.created_by = Actor::Token(grant.id);
        token.not_before = grant.not_before;
        token.metadata = without_pointer(&grant.metadata);
        token.parent = Some(grant.id);
    }

    /// Revokes what was stored and never handed out. If that fails it ends by itself.
    async fn discard(&self, id: &TokenId, now: Timestamp) {
        let reason = RevocationReason::Requested;
        let mark = Revocation { at: now, by: Actor::System, reason };
        let _ = self.store.revoke(&Filter::new(Reach::Family(*id)), &mark).await;
    }
}

/// Under which name a spent token's record points to what replaced it.
const SUCCESSOR: &str = "hallpass.successor";

/// The app's metadata and the pointer; the pointer alone if they do not fit together.
fn pointing_to(successor: &TokenId, metadata: &Metadata) -> Metadata {
    let pointer = || (SUCCESSOR.to_owned(), Value::from(successor.as_str()));
    let mut both = metadata.to_map();
    both.extend([pointer()]);
    let alone = || Metadata::new(&Map::from_iter([pointer()])).unwrap_or_default();
    Metadata::new(&both).unwrap_or_else(|_| alone())
}

/// The app's metadata.
fn without_pointer(metadata: &Metadata) -> Metadata {
    let mut own = metadata.to_map();
    own.remove(SUCCESSOR);
    Metadata::new(&own).unwrap_or_default()
}

fn successor_of(token: &Token) -> Option<TokenId> {
    token.metadata.to_map().get(SUCCESSOR)?.as_str()?.parse().ok()
}
