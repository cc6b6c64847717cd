//! Access tokens that are vouched for otherwise than by their secret: by a signature over their id.

use super::denial::{DenialReason, Outage, VerifyError, denied};
use super::introspect::Introspection;
use super::judge::Purpose;
use super::verified::{Context, Verified};
use super::{Engine, Hallpass};
use crate::clock::Timestamp;
use crate::store::Facts;
#[cfg(any(feature = "oauth", feature = "api"))]
use crate::token::RevocationReason;
use crate::token::{Kind, TokenId};

impl Hallpass {
    /// Verifies a token that was presented by a signature over its id, as
    /// [`verify`](Self::verify) does one presented by its secret.
    pub(crate) async fn verify_vouched(
        &self,
        id: &TokenId,
        context: &Context<'_>,
    ) -> Result<Verified, VerifyError> {
        let engine = &*self.0;
        let now = context.now.unwrap_or_else(|| engine.clock.now());
        match engine.vouched(id, (context, now, Purpose::Use)).await {
            Ok((_, verified)) => Ok(verified),
            Err(error) => {
                engine.report(&error, context, now);
                Err(error)
            }
        }
    }

    /// Ends such a token, whatever its state, as [`revoke_text`](Self::revoke_text) does one
    /// presented by its secret; with a client, only if it is that client's.
    #[cfg(any(feature = "oauth", feature = "api"))]
    pub(crate) async fn revoke_vouched(
        &self,
        id: &TokenId,
        client: Option<&str>,
        reason: RevocationReason,
    ) -> Result<Option<TokenId>, Outage> {
        let engine = &*self.0;
        match engine.facts(id).await? {
            Some(facts) if facts.kind == Kind::Access => {
                engine.end_presented(&facts, client, reason, engine.clock.now()).await
            }
            _ => Ok(None),
        }
    }

    /// What such a token is worth right now, for nobody's use.
    pub(crate) async fn standing_of(&self, id: &TokenId) -> Result<Option<Introspection>, Outage> {
        let engine = &*self.0;
        let context = Context::default();
        match engine.vouched(id, (&context, engine.clock.now(), Purpose::Look)).await {
            Ok(found) => Ok(Some(Introspection::new(found))),
            Err(VerifyError::Denied(_)) => Ok(None),
            Err(VerifyError::Unavailable(outage)) => Err(outage),
        }
    }
}

impl Engine {
    async fn vouched(
        &self,
        id: &TokenId,
        case: (&Context<'_>, Timestamp, Purpose),
    ) -> Result<(Facts, Verified), VerifyError> {
        let facts = self.facts(id).await.map_err(Outage::from)?;
        let facts = facts.ok_or_else(|| denied(Some(id), DenialReason::Unknown))?;
        // No other kind is ever signed.
        if facts.kind != Kind::Access || !case.0.kinds.contains(Kind::Access) {
            return Err(denied(Some(id), DenialReason::WrongKind));
        }
        let verified = self.standing(&facts, case).await?;
        Ok((facts, verified))
    }
}
