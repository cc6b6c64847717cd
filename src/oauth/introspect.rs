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

/// A live token, whom it is for and which client it was issued to. A JWT says these itself.
struct Found {
    introspection: Introspection,
    audience: Vec<String>,
    client: Option<String>,
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
            let verified = &found.introspection.verified;
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

    async fn found(&self, text: &str) -> Result<Option<Found>, Refusal> {
        #[cfg(feature = "jwt")]
        if let Some(issuer) = &self.jwt
            && let Some(claims) = issuer.read(text, self.hallpass.now())
            && let Some(id) = claims.record()
        {
            let found = self.hallpass.standing_of(&id).await?;
            return Ok(found.map(|introspection| Found {
                introspection,
                audience: claims.audience().to_vec(),
                client: Some(claims.client().to_owned()),
            }));
        }
        let found = self.hallpass.introspect(text).await?;
        Ok(found.map(|introspection| Found {
            audience: introspection.verified.audience().to_vec(),
            client: introspection.verified.client().map(str::to_owned),
            introspection,
        }))
    }

    fn told<'a>(&'a self, found: &'a Found) -> Active<'a> {
        let Found { introspection, audience, client } = found;
        let verified = &introspection.verified;
        let scopes: Vec<_> = verified.scopes().iter().map(crate::scope::Scope::as_str).collect();
        Active {
            active: true,
            scope: scopes.join(" "),
            client_id: client.as_deref(),
            token_type: (verified.kind() != Kind::Refresh).then_some("Bearer"),
            exp: verified.expires_at().map(seconds),
            iat: seconds(introspection.issued_at),
            nbf: introspection.not_before.map(seconds),
            sub: verified.owner().as_str(),
            aud: match audience.as_slice() {
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
