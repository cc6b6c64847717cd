//! What whoever is signed in does with tokens: their own, or as an administrator anybody's.

use bytes::Bytes;
use http::{Response, StatusCode};

use super::answer::{JSON, answer, located, nothing, ok, tagged};
use super::problem::{Code, Failure, member};
use super::service::{Asked, Inner};
use super::settings::{self, Wanted};
use super::{failures, query, request, view};
use crate::engine::{IssueError, OnBehalf, SecretMatch};
use crate::store::{Filter, Reach};
use crate::token::{RevocationReason, Token, TokenId};
use crate::wire;

type Answered = Result<Response<Bytes>, Failure>;

/// Most tokens that are revoked by id at once.
const MAX_IDS: usize = 100;

impl Asked<'_> {
    fn tokens<'a>(&self, api: &'a Inner) -> OnBehalf<'a> {
        api.hallpass().on_behalf_of(self.caller.clone())
    }

    fn id(&self) -> Result<TokenId, Failure> {
        self.id.ok_or_else(|| Code::NotFound.into())
    }

    /// The token that the path names.
    async fn token(&self, api: &Inner) -> Result<Token, Failure> {
        let token = self.tokens(api).get(&self.id()?).await?;
        token.ok_or_else(|| Code::NotFound.into())
    }
}

/// The response that shows a token.
fn shown(api: &Inner, token: &Token) -> Response<Bytes> {
    tagged(ok(&view::token(api.hallpass(), token)), token.version)
}

/// The response that shows a new secret.
pub(super) fn issued(api: &Inner, issued: &crate::engine::Issued) -> Response<Bytes> {
    let response = answer(StatusCode::CREATED, JSON, &view::issued(api.hallpass(), issued));
    let token = &issued.token;
    located(tagged(response, token.version), &api.path_of(&token.id))
}

pub(super) async fn list(api: &Inner, asked: &Asked<'_>) -> Answered {
    let request = query::list(query::read(asked.head.uri.query())?, &asked.caller)?;
    let page = asked.tokens(api).list(&request).await?;
    let tokens = page.tokens.iter().map(|token| view::token(api.hallpass(), token)).collect();
    Ok(ok(&wire::Page { tokens, next: page.next }))
}

pub(super) async fn create(api: &Inner, asked: &Asked<'_>) -> Answered {
    let key = request::idempotency_key(asked.head)?;
    let body: wire::NewToken = request::body(asked.head, asked.body)?;
    let pointer = settings::expiry_pointer(body.expires_at.as_deref());
    let tokens = asked.tokens(api);
    let made = match (settings::new(body, api.hallpass())?, key) {
        (Wanted::New(issue), None) => tokens.issue(*issue).await,
        (Wanted::New(issue), Some(key)) => tokens.issue((*issue).idempotency_key(key)).await,
        (Wanted::Copy { of, name }, None) => tokens.duplicate(&of, &name).await,
        (Wanted::Copy { of, name }, Some(key)) => tokens.duplicate_once(&of, &name, key).await,
    };
    match made {
        Ok(made) => Ok(issued(api, &made)),
        Err(IssueError::Replayed(token)) => {
            let shown = wire::Issued { secret: None, token: view::token(api.hallpass(), &token) };
            Ok(located(tagged(ok(&shown), token.version), &api.path_of(&token.id)))
        }
        Err(error) => Err(failures::issue(error, pointer)),
    }
}

pub(super) async fn revoke_many(api: &Inner, asked: &Asked<'_>) -> Answered {
    let body: wire::Revoke = request::body(asked.head, asked.body)?;
    let filter = match (body.ids, body.filter) {
        (Some(ids), None) if (1..=MAX_IDS).contains(&ids.len()) => {
            let mut filter = Filter::new(Reach::All);
            filter.ids = Some(ids);
            filter
        }
        (Some(_), None) => {
            let detail = "name 1 to 100 tokens";
            return Err(Failure::body(vec![member("/ids", "out-of-range", detail)]));
        }
        (None, Some(filter)) => query::bulk(filter, &asked.caller).map_err(Failure::body)?,
        (None, None) | (Some(_), Some(_)) => {
            let detail = "say `ids` or `filter`, and not both";
            return Err(Failure::body(vec![member("", "one-of", detail)]));
        }
    };
    let reason = RevocationReason::Requested;
    let revoked = asked.tokens(api).revoke_matching(filter, reason).await?;
    Ok(ok(&wire::Revoked { revoked }))
}

pub(super) async fn read(api: &Inner, asked: &Asked<'_>) -> Answered {
    Ok(shown(api, &asked.token(api).await?))
}

pub(super) async fn edit(api: &Inner, asked: &Asked<'_>) -> Answered {
    let body: wire::Edit = request::body(asked.head, asked.body)?;
    let pointer = settings::expiry_pointer(body.expires_at.as_deref());
    let edit = settings::edit(body, api.hallpass())?;
    let token = asked.token(api).await?;
    if !request::matches(asked.head, token.version)? {
        return Err(Code::PreconditionFailed.into());
    }
    let Some(edit) = edit else {
        return Ok(shown(api, &token));
    };
    let edited = asked.tokens(api).update(&token.id, edit.if_version(token.version)).await;
    match edited {
        Ok(token) => Ok(shown(api, &token)),
        Err(error) => Err(failures::update(error, pointer, Code::PreconditionFailed)),
    }
}

pub(super) async fn revoke(api: &Inner, asked: &Asked<'_>) -> Answered {
    asked.tokens(api).revoke(&asked.id()?, RevocationReason::Requested).await?;
    Ok(nothing())
}

pub(super) async fn rotate(api: &Inner, asked: &Asked<'_>) -> Answered {
    let body: wire::Rotate = request::body_or_default(asked.head, asked.body)?;
    let pointer = settings::expiry_pointer(body.expires_at.as_deref());
    let rotate = settings::rotate(&body, api.hallpass())?;
    let token = asked.token(api).await?;
    // Of several rotations that started from the same version one wins, and the others are told
    // the same whether or not they were fast enough to try.
    if !request::matches(asked.head, token.version)? {
        return Err(Code::ChangedMeanwhile.into());
    }
    let rotated = asked.tokens(api).rotate(&token.id, rotate.if_version(token.version)).await;
    match rotated {
        Ok(rotated) => Ok(issued(api, &rotated)),
        Err(error) => Err(failures::rotate(error, pointer)),
    }
}

pub(super) async fn suspend(api: &Inner, asked: &Asked<'_>) -> Answered {
    match asked.tokens(api).suspend(&asked.id()?).await {
        Ok(token) => Ok(shown(api, &token)),
        Err(error) => Err(failures::update(error, "", Code::ChangedMeanwhile)),
    }
}

pub(super) async fn resume(api: &Inner, asked: &Asked<'_>) -> Answered {
    match asked.tokens(api).resume(&asked.id()?).await {
        Ok(token) => Ok(shown(api, &token)),
        Err(error) => Err(failures::update(error, "", Code::ChangedMeanwhile)),
    }
}

pub(super) async fn lookup(api: &Inner, asked: &Asked<'_>) -> Answered {
    let body: wire::Lookup = request::body(asked.head, asked.body)?;
    let tokens = asked.tokens(api);
    let text = body.text.expose();
    let found = match text.parse::<TokenId>() {
        Ok(id) => tokens.get(&id).await?.map(|token| (token, None)),
        Err(_) => tokens.whose(text).await?.map(|(token, secret)| (token, Some(secret))),
    };
    let (token, secret) = found.ok_or(Code::NotFound)?;
    let secret = secret.map(|secret| match secret {
        SecretMatch::Current => wire::SecretMatch::Current,
        SecretMatch::Superseded => wire::SecretMatch::Superseded,
        SecretMatch::Wrong => wire::SecretMatch::Wrong,
    });
    let token = view::token(api.hallpass(), &token);
    Ok(ok(&wire::Found { token, secret }))
}
