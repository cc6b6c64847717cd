//! `POST introspect` (RFC 7662).

use bytes::Bytes;
use http::request::Parts;
use http::{Response, StatusCode};
use serde::Serialize;

use super::answer::{Refusal, answer};
use super::endpoints::Inner;
use super::request;
use crate::clock::Timestamp;
use crate::engine::Introspection;
use crate::token::Kind;

/// What a client is told of a live token. The owner's name and address are nobody's business.
#[derive(Serialize)]
struct Active<'a> {
    active: bool,
    scope: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    token_type: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    exp: Option<i64>,
    iat: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    nbf: Option<i64>,
    sub: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    aud: Option<Audience<'a>>,
    iss: &'a str,
    jti: &'a str,
}

/// One audience, or several.
#[derive(Serialize)]
#[serde(untagged)]
enum Audience<'a> {
    One(&'a str),
    Some(&'a [String]),
}

/// What a client is told of any other text: nothing (H15).
#[derive(Serialize)]
struct Inactive {
    active: bool,
}

impl Inner {
    pub(super) async fn introspect(
        &self,
        head: &Parts,
        body: &[u8],
    ) -> Result<Response<Bytes>, Refusal> {
        let form = request::read(head, body)?;
        let client = request::client(head, &form, &*self.clients).await?;
        // The token that is asked about never says who asks.
        let client = client.filter(super::Client::is_confidential);
        let client = client.ok_or(Refusal::Client { challenge: true })?;
        if !client.may_introspect() {
            return Err(Refusal::Forbidden);
        }
        let text = form.required("token")?;
        let found = self.found(text).await?.filter(|found| {
            let verified = &found.verified;
            let own = verified.client() == Some(client.id());
            // A refresh token is of no use to anybody but its client.
            (verified.kind() != Kind::Refresh || own)
                && client.may_see(verified.tenant(), verified.audience(), verified.client())
        });
        Ok(match found {
            None => answer(StatusCode::OK, &Inactive { active: false }),
            Some(found) => answer(StatusCode::OK, &self.told(&found)),
        })
    }

    async fn found(&self, text: &str) -> Result<Option<Introspection>, Refusal> {
        #[cfg(feature = "jwt")]
        if let Some(issuer) = &self.jwt
            && let Some(found) = issuer.introspect(&self.hallpass, text).await?
        {
            return Ok(Some(found));
        }
        Ok(self.hallpass.introspect(text).await?)
    }

    fn told<'a>(&'a self, found: &'a Introspection) -> Active<'a> {
        let verified = &found.verified;
        let scopes: Vec<_> = verified.scopes().iter().map(crate::scope::Scope::as_str).collect();
        Active {
            active: true,
            scope: scopes.join(" "),
            client_id: verified.client(),
            token_type: (verified.kind() != Kind::Refresh).then_some("Bearer"),
            exp: verified.expires_at().map(seconds),
            iat: seconds(found.issued_at),
            nbf: found.not_before.map(seconds),
            sub: verified.owner().as_str(),
            aud: match verified.audience() {
                [] => None,
                [one] => Some(Audience::One(one)),
                some => Some(Audience::Some(some)),
            },
            iss: &self.issuer,
            jti: verified.id().as_str(),
        }
    }
}

/// Whole seconds since the Unix epoch, those begun not counted.
pub(super) fn seconds(instant: Timestamp) -> i64 {
    instant.as_micros().div_euclid(1_000_000)
}
