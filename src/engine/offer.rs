//! What can be granted, for pages and forms that offer it.

use super::on_behalf::OnBehalf;
use super::settings::OwnerError;
use crate::scope::ScopeSet;
use crate::token::Kind;

impl OnBehalf<'_> {
    /// The scopes that a token of this kind can be granted today: those the owner has itself, as
    /// far as policy lets it, or every one for a caller that is no owner. Issuing checks again.
    ///
    /// # Errors
    /// [`OwnerError`] if the owner cannot be given any, or that cannot be told.
    pub async fn grantable(&self, kind: Kind) -> Result<ScopeSet, OwnerError> {
        let all = self.engine.catalog.grantable(kind);
        let Some((tenant, owner)) = self.caller.bound_owner() else {
            return Ok(all);
        };
        let owner = self.engine.admitted_owner(tenant, owner).await?;
        Ok(self.engine.limit(&owner, &all)?)
    }
}
