//! What a token may know of itself and do to itself.

use std::net::IpAddr;

use bytes::Bytes;
use http::Response;
use http::header::USER_AGENT;
use http::request::Parts;

use super::answer::{nothing, ok};
use super::problem::{Code, Failure, member};
use super::route::Operation;
use super::service::Inner;
use super::{failures, request, settings, tokens, view};
use crate::credential::{Found, Rejection};
use crate::engine::{Context, RotateError, Verified};
use crate::scope::Scope;
use crate::token::RevocationReason;
use crate::wire;

type Answered = Result<Response<Bytes>, Failure>;

/// Most scopes, and most things, of a check.
const MAX_CHECKED: usize = 64;
/// Longest name of a thing, in characters.
const MAX_RESOURCE_LEN: usize = 256;

/// Answers whoever presents a token. What is wrong with the token is the boundary's to say.
pub(super) async fn respond(
    api: &Inner,
    operation: Operation,
    mut head: Parts,
    body: &[u8],
    peer: Option<IpAddr>,
) -> Response<Bytes> {
    let found = api.boundary.find(&mut head);
    let asked = Presented { api, head: &head, found: &found, peer };
    let answered = match operation {
        Operation::RotateOwn => asked.rotate(body).await,
        Operation::RevokeOwn => asked.revoke().await,
        Operation::CheckOwn => asked.check(body).await,
        _ => asked.own().await,
    };
    let mut response = answered.unwrap_or_else(|failure| api.refuse(failure));
    api.boundary.duties(&found).apply(response.headers_mut());
    response
}

struct Presented<'a> {
    api: &'a Inner,
    head: &'a Parts,
    found: &'a Found,
    peer: Option<IpAddr>,
}

impl Presented<'_> {
    /// What the token is good for, once it was let in.
    async fn own(&self) -> Answered {
        self.admitted(|token| {
            Ok(ok(&wire::Own {
                id: *token.id(),
                kind: token.kind(),
                tenant: token.tenant().to_string(),
                owner: token.owner().to_string(),
                scopes: token.scopes().iter().map(ToString::to_string).collect(),
                resources: view::resources(token.resources()),
                audience: token.audience().to_vec(),
                expires_at: token.expires_at(),
            }))
        })
        .await
    }

    async fn check(&self, body: &[u8]) -> Answered {
        self.admitted(|token| {
            let body: wire::Check = request::body(self.head, body)?;
            let scopes = body.scopes.unwrap_or_default();
            let resources = body.resources.unwrap_or_default();
            self.check_lists(&scopes, &resources)?;
            let missing_scopes: Vec<String> =
                scopes.into_iter().filter(|scope| !token.grants(scope)).collect();
            let missing_resources: Vec<String> =
                resources.into_iter().filter(|name| token.on(name).is_err()).collect();
            let passes = missing_scopes.is_empty() && missing_resources.is_empty();
            Ok(ok(&wire::Checked { passes, missing_scopes, missing_resources }))
        })
        .await
    }

    /// Refuses a check for what no route can ask.
    fn check_lists(&self, scopes: &[String], resources: &[String]) -> Result<(), Failure> {
        let mut problems = Vec::new();
        for (pointer, list) in [("/scopes", scopes), ("/resources", resources)] {
            if list.len() > MAX_CHECKED {
                problems.push(member(pointer, "out-of-range", "at most 64"));
            }
        }
        let catalog = self.api.hallpass().catalog();
        for (index, text) in scopes.iter().enumerate().take(MAX_CHECKED) {
            let known = text.parse::<Scope>().is_ok() && catalog.get(text).is_some();
            if !known {
                problems.push(member(&format!("/scopes/{index}"), "unknown", "unknown scope"));
            }
        }
        for (index, name) in resources.iter().enumerate().take(MAX_CHECKED) {
            if !(1..=MAX_RESOURCE_LEN).contains(&name.chars().count()) {
                let detail = "a resource is 1 to 256 characters long";
                problems.push(member(&format!("/resources/{index}"), "invalid", detail));
            }
        }
        if problems.is_empty() { Ok(()) } else { Err(Failure::body(problems)) }
    }

    /// Lets the token in, and answers.
    async fn admitted(&self, respond: impl FnOnce(&Verified) -> Answered) -> Answered {
        let any = Some(&self.api.any_token);
        match self.api.boundary.admit_found(self.found, self.head, any, self.peer).await {
            Ok(admitted) => respond(admitted.verified()),
            Err(rejection) => Ok(rejection.into_response()),
        }
    }

    async fn rotate(&self, body: &[u8]) -> Answered {
        let text = match self.text() {
            Ok(text) => text,
            Err(rejection) => return Ok(rejection.into_response()),
        };
        #[cfg(feature = "jwt")]
        if self.api.boundary.vouched_id(&text).is_some() {
            return self.admitted(|_| Err(Code::NotRotatable.into())).await;
        }
        let asked: wire::Rotate = request::body_or_default(self.head, body)?;
        let pointer = settings::expiry_pointer(asked.expires_at.as_deref());
        let rotate = settings::rotate(&asked, self.api.hallpass())?;
        let context = Context {
            ip: self.peer,
            agent: self.head.headers.get(USER_AGENT).and_then(|agent| agent.to_str().ok()),
            ..Context::default()
        };
        match self.api.hallpass().rotate_presented(text.text(), &context, rotate).await {
            Ok(rotated) => Ok(tokens::issued(self.api, &rotated)),
            Err(RotateError::Denied(_)) => Ok(self.denied()),
            Err(RotateError::Unavailable(_)) => {
                Ok(self.api.boundary.unavailable(self.found).into_response())
            }
            Err(RotateError::Unconfirmed) => Err(Code::WouldLiveLonger.into()),
            Err(error) => Err(failures::rotate(error, pointer)),
        }
    }

    /// Ends the token, whatever its state: whoever holds the secret may.
    async fn revoke(&self) -> Answered {
        let text = match self.text() {
            Ok(text) => text,
            Err(rejection) => return Ok(rejection.into_response()),
        };
        let reason = RevocationReason::Requested;
        #[cfg(feature = "jwt")]
        let ended = match self.api.boundary.vouched_id(&text) {
            Some(id) => self.api.hallpass().revoke_vouched(&id, None, reason).await,
            None => self.api.hallpass().revoke_text(text.text(), reason).await,
        };
        #[cfg(not(feature = "jwt"))]
        let ended = self.api.hallpass().revoke_text(text.text(), reason).await;
        match ended {
            Ok(Some(_)) => Ok(nothing()),
            Ok(None) => Ok(self.denied()),
            Err(_) => Ok(self.api.boundary.unavailable(self.found).into_response()),
        }
    }

    /// The text of the token, unless another site made the browser send a stored one.
    fn text(&self) -> Result<crate::credential::Presented<'_>, Rejection> {
        let text = self.api.boundary.presented(self.found, self.head)?;
        match self.api.boundary.cross_site(self.head) {
            Some(rejection) if text.is_basic() => Err(rejection),
            _ => Ok(text),
        }
    }

    fn denied(&self) -> Response<Bytes> {
        self.api.boundary.denied(self.found).into_response()
    }
}
