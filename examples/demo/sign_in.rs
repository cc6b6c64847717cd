//! Tells which person makes a request to manage tokens.
//!
//! Only a user name with its password does. A token, wherever it is on the request, never does:
//! a token that could make tokens would outlive its own deletion.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hallpass::{Requirement, credential::Problem as Refused};

use super::accounts::Account;
use super::app::App;
use super::problem::Problem;
use super::release;

/// The person who makes the request, by Basic user name and password.
#[derive(Debug)]
pub(crate) struct SignedIn(pub(crate) Arc<Account>);

impl FromRequestParts<App> for SignedIn {
    type Rejection = Response;

    async fn from_request_parts(head: &mut Parts, app: &App) -> Result<Self, Response> {
        if is_cross_site(head) {
            return Err(cross_site().into_response());
        }
        let Some(claim) = Claim::on(head, app) else {
            return Err(refuse_token(head, app).await);
        };
        let signed_in = app.sign_in(head, (&claim.user, &claim.password)).await;
        signed_in.map(Self).map_err(IntoResponse::into_response)
    }
}

/// Who somebody claims to be.
pub(crate) struct Claim {
    pub(crate) user: String,
    pub(crate) password: String,
}

impl Claim {
    /// The user name and password on a request that carries them and nothing that could be a
    /// token.
    pub(crate) fn on(head: &Parts, app: &App) -> Option<Self> {
        let other = [release::TOKEN_HEADER, release::WEBHOOK_HEADER];
        if other.iter().any(|name| head.headers.contains_key(*name)) {
            return None;
        }
        let claim = Self::basic(&head.headers)?;
        let tokens = [&claim.user, &claim.password];
        (!tokens.iter().any(|text| app.boundary.recognises(text))).then_some(claim)
    }

    /// RFC 7617: the base64 of `user:password`.
    fn basic(headers: &HeaderMap) -> Option<Self> {
        let mut lines = headers.get_all(header::AUTHORIZATION).iter();
        let (Some(line), None) = (lines.next(), lines.next()) else {
            return None;
        };
        let (scheme, encoded) = line.to_str().ok()?.split_once(' ')?;
        if !scheme.eq_ignore_ascii_case("basic") {
            return None;
        }
        let text = String::from_utf8(STANDARD.decode(encoded).ok()?).ok()?;
        let (user, password) = text.split_once(':')?;
        Some(Self { user: user.to_owned(), password: password.to_owned() })
    }
}

/// The answer to a request that carries no password: 403 if it carries a good token instead, so
/// that its sender learns why that is of no use, and whatever the boundary answers if it carries
/// something malformed.
pub(crate) async fn refuse_token(head: &Parts, app: &App) -> Response {
    let any = match app.boundary.compile(Requirement::any_token()) {
        Ok(any) => any,
        Err(error) => return Problem::bad(&error).into_response(),
    };
    let mut head = head.clone();
    match app.boundary.admit(&mut head, Some(&any), None).await {
        Ok(_) => Problem::token_presented().into_response(),
        Err(rejection) => match rejection.problem() {
            Refused::CredentialRequired | Refused::InvalidToken => {
                Problem::sign_in().into_response()
            }
            _ => IntoResponse::into_response(rejection),
        },
    }
}

/// Whether a browser says that another site made it send an unsafe request. It would add a stored
/// password.
pub(crate) fn is_cross_site(head: &Parts) -> bool {
    let mut sites = head.headers.get_all("sec-fetch-site").iter();
    !head.method.is_safe() && !sites.all(|site| site == "same-origin" || site == "none")
}

pub(crate) fn cross_site() -> Problem {
    Problem::new(StatusCode::FORBIDDEN, "cross-site", "the request comes from another site")
}
