//! `POST revoke` (RFC 7009).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::Response;
use http::request::Parts;
use serde_json::{Map, Value};

use super::answer::{Refusal, nothing};
use super::endpoints::Inner;
use super::request;
#[cfg(feature = "jwt")]
use crate::jwt::JwtIssuer;
use crate::token::RevocationReason;

impl Inner {
    /// Revokes the token of whoever presents its text. The answer is the same for every text that
    /// could be a token of this server.
    pub(super) async fn revoke(
        &self,
        head: &Parts,
        body: &[u8],
    ) -> Result<Response<Bytes>, Refusal> {
        let form = request::read(head, body)?;
        let client = request::client(head, &form, &*self.clients).await?;
        let text = form.required("token")?;
        if self.is_of_another_type(text) {
            // Its sender has to know that it goes on living.
            return Err(Refusal::Bad(
                "unsupported_token_type",
                "Tokens of this type cannot be revoked here",
            ));
        }
        let reason = RevocationReason::Requested;
        #[cfg(feature = "jwt")]
        if self.revoke_jwt(text, client.as_ref(), reason).await? {
            // Looked up as an opaque text too, it would be reported as a malformed one.
            return Ok(nothing());
        }
        match client.filter(super::Client::is_confidential) {
            // Having the secret is enough, whoever it is.
            None => self.hallpass.revoke_text(text, reason).await?,
            Some(client) => self.hallpass.revoke_text_of_client(text, client.id(), reason).await?,
        };
        Ok(nothing())
    }

    /// Whether a text is a signed or encrypted object (RFC 7515, RFC 7516) of a type that is not
    /// issued here: an ID token, or any at all where access tokens are opaque.
    fn is_of_another_type(&self, text: &str) -> bool {
        #[cfg(feature = "jwt")]
        if self.jwt.is_some() && JwtIssuer::recognises(text) {
            return false;
        }
        let (header, rest) = text.split_once('.').unwrap_or_default();
        let header = URL_SAFE_NO_PAD.decode(header).unwrap_or_default();
        let header: Option<Map<String, Value>> = serde_json::from_slice(&header).ok();
        let parts = rest.bytes().filter(|byte| *byte == b'.').count() + 2;
        matches!(parts, 3 | 5) && header.is_some_and(|header| header.contains_key("alg"))
    }

    /// Revokes the record of a JWT, on the same terms. Tells whether the text is one.
    #[cfg(feature = "jwt")]
    async fn revoke_jwt(
        &self,
        text: &str,
        client: Option<&super::Client>,
        reason: RevocationReason,
    ) -> Result<bool, Refusal> {
        let Some(issuer) = &self.jwt else {
            return Ok(false);
        };
        let Some(id) = issuer.recognise(text, self.hallpass.now()) else {
            return Ok(false);
        };
        let client = client.filter(|client| client.is_confidential()).map(super::Client::id);
        self.hallpass.revoke_vouched(&id, client, reason).await?;
        Ok(true)
    }
}
