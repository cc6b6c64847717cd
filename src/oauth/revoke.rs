//! `POST revoke` (RFC 7009).

use bytes::Bytes;
use http::Response;
use http::request::Parts;

use super::answer::{Refusal, nothing};
use super::endpoints::Inner;
use super::request;
use crate::token::RevocationReason;

impl Inner {
    /// Revokes the token of whoever presents its text. The answer is the same whatever the text
    /// was.
    pub(super) async fn revoke(
        &self,
        head: &Parts,
        body: &[u8],
    ) -> Result<Response<Bytes>, Refusal> {
        let form = request::read(head, body)?;
        let client = request::client(head, &form, &*self.clients).await?;
        let text = form.required("token")?;
        let reason = RevocationReason::Requested;
        #[cfg(feature = "jwt")]
        self.revoke_jwt(text, client.as_ref(), reason).await?;
        match client.filter(super::Client::is_confidential) {
            // Having the secret is enough, whoever it is.
            None => self.hallpass.revoke_text(text, reason).await?,
            Some(client) => self.hallpass.revoke_text_of_client(text, client.id(), reason).await?,
        };
        Ok(nothing())
    }

    /// Revokes the record of a JWT, on the same terms.
    #[cfg(feature = "jwt")]
    async fn revoke_jwt(
        &self,
        text: &str,
        client: Option<&super::Client>,
        reason: RevocationReason,
    ) -> Result<(), Refusal> {
        let Some(issuer) = &self.jwt else {
            return Ok(());
        };
        let Some(found) = issuer.introspect(&self.hallpass, text).await? else {
            return Ok(());
        };
        let client = client.filter(|client| client.is_confidential());
        let foreign = client.is_some_and(|client| found.verified.client() != Some(client.id()));
        if foreign {
            return Ok(());
        }
        match self.hallpass.revoke(found.verified.id(), reason).await {
            Ok(_) => Ok(()),
            Err(_) => Err(Refusal::Unavailable),
        }
    }
}
