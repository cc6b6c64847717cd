//! Ends tokens, for good.

use super::denial::denied;
use super::event::Event;
use super::on_behalf::{OnBehalf, Unreachable};
use super::owner_event::OwnerChange;
use super::{Context, DenialReason, Hallpass, Outage, VerifyError};
use crate::clock::Timestamp;
use crate::store::{Facts, Filter, Reach, StoreError};
use crate::token::{
    Actor, Kind, KindSet, Owner, Revocation, RevocationReason, Tenant, TokenId, TokenText,
};

/// Why tokens were not revoked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RevokeError {
    /// There is no such token for this caller.
    #[error("not found")]
    NotFound,
    /// The caller must confirm its presence first.
    #[error("confirm your identity first")]
    Unconfirmed,
    /// The store failed. Take it that the tokens live.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<Unreachable> for RevokeError {
    fn from(why: Unreachable) -> Self {
        match why {
            Unreachable::NotFound => Self::NotFound,
            Unreachable::Store(error) => Self::Store(error),
        }
    }
}

impl Hallpass {
    /// Revokes a token as the app itself. Tells whether it was not revoked before.
    ///
    /// # Errors
    /// [`RevokeError`] if there is no such token or the store failed.
    pub async fn revoke(
        &self,
        id: &TokenId,
        reason: RevocationReason,
    ) -> Result<bool, RevokeError> {
        self.as_system().revoke(id, reason).await
    }

    /// Revokes all tokens that a filter admits, as the app itself, and returns which.
    ///
    /// # Errors
    /// [`RevokeError::Store`] if it is unknown whether all are revoked.
    pub async fn revoke_matching(
        &self,
        filter: Filter,
        reason: RevocationReason,
    ) -> Result<Vec<TokenId>, RevokeError> {
        self.as_system().revoke_matching(filter, reason).await
    }

    /// Revokes the token with this text: whoever holds the secret may end it. Tells which token it
    /// was, whether or not it was live, and `None` for any other text, which is reported as a
    /// refusal. A refresh token ends the whole grant it belongs to.
    ///
    /// # Errors
    /// [`Outage`] if it cannot be told whose text it is, or whether the token is revoked.
    pub async fn revoke_text(
        &self,
        text: &str,
        reason: RevocationReason,
    ) -> Result<Option<TokenId>, Outage> {
        self.revoke_presented(text, None, reason).await
    }

    /// Revokes the token with this text if it was issued to this client: what
    /// [`revoke_text`](Self::revoke_text) does, for a client that says who it is. Any other text
    /// is passed over.
    ///
    /// # Errors
    /// [`Outage`] if it cannot be told whose text it is, or whether the token is revoked.
    pub async fn revoke_text_of_client(
        &self,
        text: &str,
        client: &str,
        reason: RevocationReason,
    ) -> Result<Option<TokenId>, Outage> {
        self.revoke_presented(text, Some(client), reason).await
    }

    async fn revoke_presented(
        &self,
        text: &str,
        client: Option<&str>,
        reason: RevocationReason,
    ) -> Result<Option<TokenId>, Outage> {
        let engine = &*self.0;
        let now = engine.clock.now();
        let checked = match TokenText::parse(text, &engine.brands) {
            Err(_) => Err(denied(None, DenialReason::Malformed)),
            Ok(text) => match engine.facts(text.id()).await? {
                Some(facts) => {
                    let presented = engine.check_secret(&text, &facts, now);
                    presented.map(|_| facts).map_err(|refusal| refusal.of(text.id()))
                }
                None => {
                    engine.peppers.check_nothing(&text);
                    Err(denied(Some(text.id()), DenialReason::Unknown))
                }
            },
        };
        let facts = match checked {
            Ok(facts) => facts,
            Err(error) => {
                engine.report(&error, &Context::default(), now);
                return match error {
                    VerifyError::Denied(_) => Ok(None),
                    VerifyError::Unavailable(outage) => Err(outage),
                };
            }
        };
        engine.end_presented(&facts, client, (reason, now)).await
    }

    /// Takes note that an owner changed, as the host app tells it.
    ///
    /// A deleted owner's tokens are revoked. A suspended owner's tokens are refused because the
    /// owner directory says so, and are good again when the owner is reinstated; a revoked one
    /// never is. A changed password revokes the owner's exchanged access tokens; whether the
    /// other tokens go too is the owner's choice, and one call of
    /// [`revoke_matching`](Self::revoke_matching). Returns which tokens were revoked.
    ///
    /// # Errors
    /// [`StoreError`] if it is unknown whether all are revoked; tell it again.
    pub async fn owner_changed(
        &self,
        tenant: &Tenant,
        owner: &Owner,
        change: OwnerChange,
    ) -> Result<Vec<TokenId>, StoreError> {
        let engine = &*self.0;
        let now = engine.clock.now();
        let mut filter = Filter::new(Reach::Owner(tenant.clone(), owner.clone()));
        let reason = match change {
            OwnerChange::Deleted => Some(RevocationReason::OwnerDeleted),
            OwnerChange::PasswordChanged => {
                filter.kinds = KindSet::only(Kind::Access);
                Some(RevocationReason::PasswordChanged)
            }
            OwnerChange::Suspended | OwnerChange::Reinstated => None,
        };
        let event = Event::OwnerChanged { tenant: tenant.clone(), owner: owner.clone(), change };
        let revoked = match reason {
            None => Vec::new(),
            Some(reason) => engine.revoke(filter, (Actor::System, reason), now).await?,
        };
        engine.events.emit(now, &event);
        Ok(revoked)
    }
}

impl OnBehalf<'_> {
    /// Revokes a token, and with it what was made from it, unless policy lets that finish. Tells
    /// whether the token was not revoked before; the first revocation stands.
    ///
    /// # Errors
    /// [`RevokeError`] if there is no such token or the store failed.
    pub async fn revoke(
        &self,
        id: &TokenId,
        reason: RevocationReason,
    ) -> Result<bool, RevokeError> {
        let now = self.engine.clock.now();
        let token = self.reach(id).await?.token;
        let target = ended_with(token.kind, id, token.parent);
        let filter = self.engine.revocation_reach(&target, reason);
        let revoked = self.engine.revoke(filter, (self.caller.actor(), reason), now).await?;
        Ok(revoked.contains(id))
    }

    /// Revokes all tokens that a filter admits and the caller reaches, and returns which. Needs a
    /// recent confirmation, if policy asks for one.
    ///
    /// # Errors
    /// [`RevokeError`] if the caller may not, or it is unknown whether all are revoked.
    pub async fn revoke_matching(
        &self,
        filter: Filter,
        reason: RevocationReason,
    ) -> Result<Vec<TokenId>, RevokeError> {
        let now = self.engine.clock.now();
        self.confirm(now).map_err(|_| RevokeError::Unconfirmed)?;
        let filter = self.confine(filter).await?;
        let by = self.caller.actor();
        let spared = self.engine.spared_parents(&filter, reason, now).await?;
        let mut revoked = self.engine.revoke(filter, (by.clone(), reason), now).await?;
        for parent in spared {
            let family = Filter::new(Reach::Family(parent));
            revoked.extend(self.engine.revoke(family, (by.clone(), reason), now).await?);
        }
        Ok(revoked)
    }

    /// Narrows a filter to what the caller reaches.
    pub(super) async fn confine(&self, mut filter: Filter) -> Result<Filter, Unreachable> {
        let own = match (self.caller.bound_owner(), self.caller.bound_tenant()) {
            (Some((tenant, owner)), _) => Reach::Owner(tenant.clone(), owner.clone()),
            (None, Some(tenant)) => Reach::Tenant(tenant.clone()),
            (None, None) => return Ok(filter),
        };
        filter.reach = match filter.reach {
            Reach::All => own,
            Reach::Tenant(tenant) if Some(&tenant) == self.caller.bound_tenant() => own,
            Reach::Owner(tenant, owner) if self.caller.reaches(&tenant, &owner) => {
                Reach::Owner(tenant, owner)
            }
            Reach::Family(root) => {
                self.reach(&root).await?;
                Reach::Family(root)
            }
            Reach::Tenant(_) | Reach::Owner(..) => return Err(Unreachable::NotFound),
        };
        Ok(filter)
    }
}

/// Which token is revoked with one: a refresh token stands for the grant it belongs to.
fn ended_with(kind: Kind, id: &TokenId, parent: Option<TokenId>) -> TokenId {
    if kind == Kind::Refresh { parent.unwrap_or(*id) } else { *id }
}

impl super::Engine {
    /// Ends a token that somebody presented, whatever its state, if it is this client's.
    pub(super) async fn end_presented(
        &self,
        facts: &Facts,
        client: Option<&str>,
        (reason, now): (RevocationReason, Timestamp),
    ) -> Result<Option<TokenId>, Outage> {
        let rare = facts.rare.as_ref();
        if client.is_some() && rare.and_then(|rare| rare.client.as_deref()) != client {
            return Ok(None);
        }
        let by = Actor::Token(facts.id);
        let target = ended_with(facts.kind, &facts.id, rare.and_then(|rare| rare.parent));
        self.revoke(self.revocation_reach(&target, reason), (by, reason), now).await?;
        Ok(Some(facts.id))
    }

    /// What goes with a token that is revoked for this reason.
    fn revocation_reach(&self, id: &TokenId, reason: RevocationReason) -> Filter {
        if self.policy.spares_children(reason) {
            let mut filter = Filter::new(Reach::Family(*id));
            filter.ids = Some(vec![*id]);
            filter
        } else {
            Filter::new(Reach::Family(*id))
        }
    }

    /// The tokens named by id that are revoked already for a reason that lets what was made from
    /// them finish, if the new reason does not. The first reason stands, so what was made from
    /// them has to be revoked itself.
    async fn spared_parents(
        &self,
        filter: &Filter,
        reason: RevocationReason,
        now: Timestamp,
    ) -> Result<Vec<TokenId>, StoreError> {
        let mut spared = Vec::new();
        if self.policy.let_sessions_finish && reason.is_compromise() {
            for id in filter.ids.iter().flatten() {
                let record = self.store.find(id).await?;
                let is_spared =
                    record.filter(|record| filter.admits(record, now)).is_some_and(|record| {
                        let before = record.token.revocation;
                        before.is_some_and(|before| self.policy.spares_children(before.reason))
                    });
                spared.extend(is_spared.then_some(*id));
            }
        }
        Ok(spared)
    }

    pub(super) async fn revoke(
        &self,
        filter: Filter,
        (by, reason): (Actor, RevocationReason),
        at: Timestamp,
    ) -> Result<Vec<TokenId>, StoreError> {
        let mark = Revocation { at, by: by.clone(), reason };
        let ids = self.store.revoke(&filter, &mark).await?;
        if !ids.is_empty() {
            self.events.emit(at, &Event::Revoked { ids: ids.clone(), by, reason });
        }
        Ok(ids)
    }
}
