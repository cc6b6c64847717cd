//! What can be offered to somebody who is about to make a token.

use super::on_behalf::OnBehalf;
use super::settings::OwnerError;
use crate::scope::ScopeSet;
use crate::token::Kind;

impl OnBehalf<'_> {
    /// The scopes that a new token of this kind could be granted now: those that the catalog
    /// grants to the kind, and for an owner only what it may do itself.
    ///
    /// # Errors
    /// [`OwnerError`] if the owner may not hold tokens, or that cannot be told.
    pub async fn grantable(&self, kind: Kind) -> Result<ScopeSet, OwnerError> {
        let scopes = self.engine.catalog.grantable(kind);
        let Some((tenant, owner)) = self.caller.bound_owner() else {
            return Ok(scopes);
        };
        let facts = self.engine.admitted_owner(tenant, owner).await?;
        Ok(self.engine.limit(&facts, &scopes)?)
    }
}
