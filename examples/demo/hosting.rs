//! The hosting platform: tokens limited to single API methods, in the query parameter `session`.
//!
//! Its clients look at `result` in the body and not at the status: `0`, or what is wrong, with an
//! `error`. A result is the number that HTTP has for it. The status is 200 even so, except where
//! nobody could be told from the request or a token was used to manage tokens: that is 401 or 403
//! for everybody to see.

use std::error::Error;

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Router, middleware};
use chrono::{NaiveDate, NaiveTime};
use hallpass::axum::GuardedRouter;
use hallpass::{
    Expiry, Issue, Issued, RevocationReason, Rotate, Token, Verified,
    credential::Problem as Refused,
};
use serde::Deserialize;
use std::sync::Arc;

use super::accounts::Account;
use super::app::{App, needs, usual_sources};
use super::body::JsonOrForm;
use super::catalog::{HOSTING_METHODS, Product};
use super::problem::Problem;
use super::sign_in::{Claim, cross_site, is_cross_site, refuse_token};

const OWN: Product = Product::Hosting;

/// Most tokens that are removed at once.
const MAX_IDS: usize = 100;

pub(crate) fn routes(app: &App) -> Result<Router<App>, Box<dyn Error + Send + Sync>> {
    let mut guarded =
        GuardedRouter::new(app.boundary_with(usual_sources().danger_query("session"))?);
    for method in HOSTING_METHODS {
        guarded = guarded.route(&path_of(method), needs(method), get(call));
    }
    let base = "/1.0/users/authentication/rest";
    Ok(Router::new()
        .route(&format!("{base}/createtoken"), post(create))
        .route(&format!("{base}/regeneratetoken"), post(regenerate))
        .route(&format!("{base}/copytoken"), post(copy))
        .route(&format!("{base}/removetokens"), post(remove))
        .merge(guarded.into_router()?.layer(middleware::map_response(refusal_as_result))))
}

/// `environment.control.stopenv` is at `/1.0/environment/control/rest/stopenv`.
fn path_of(method: &str) -> String {
    let mut parts = method.split('.');
    let mut part = || parts.next().unwrap_or_default();
    let (group, service) = (part(), part());
    format!("/1.0/{group}/{service}/rest/{}", part())
}

#[derive(Debug, Deserialize)]
struct Call {
    #[serde(rename = "envName")]
    environment: Option<String>,
}

/// Pretends to do what the method says. Every method of an environment wants to know which.
async fn call(_: Verified, query: Query<Call>) -> Response {
    match &query.environment {
        Some(name) if !name.is_empty() => result(serde_json::json!({})),
        _ => Failure::from(Problem::bad("say which environment: envName")).into_response(),
    }
}

/// Says what the boundary refused the way clients of this platform look for it. An outage stays
/// one.
async fn refusal_as_result(response: Response) -> Response {
    let Some(refused) = response.extensions().get::<Refused>().copied() else {
        return response;
    };
    if refused.status().is_server_error() {
        return response;
    }
    let (mut head, _) = response.into_parts();
    head.status = StatusCode::OK;
    head.headers.remove("www-authenticate");
    head.headers.remove("content-length");
    head.headers.remove("content-type");
    let body = failed(refused.status(), refused.detail());
    (head, axum::Json(body)).into_response()
}

fn failed(status: StatusCode, error: &str) -> serde_json::Value {
    serde_json::json!({ "result": status.as_u16(), "error": error })
}

fn result(mut body: serde_json::Value) -> Response {
    if let Some(members) = body.as_object_mut() {
        members.insert("result".to_owned(), 0.into());
    }
    axum::Json(body).into_response()
}

/// What went wrong with a call that manages tokens.
#[derive(Debug)]
enum Failure {
    /// Told in the body.
    Result(Problem),
    /// Told by the status too.
    Refused(Problem),
    /// Told by somebody else.
    Answered(Box<Response>),
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self::Result(problem)
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let (status, problem) = match self {
            Self::Answered(response) => return *response,
            Self::Result(problem) if problem.status == StatusCode::SERVICE_UNAVAILABLE => {
                (problem.status, problem)
            }
            Self::Result(problem) => (StatusCode::OK, problem),
            Self::Refused(problem) => (problem.status, problem),
        };
        let body = axum::Json(failed(problem.status, &problem.detail));
        let mut response = problem.into_response();
        *response.status_mut() = status;
        let (mut head, _) = response.into_parts();
        head.headers.remove("content-type");
        (head, body).into_response()
    }
}

/// Who asks for a change. The password comes with every one: as Basic, or as `password` beside
/// the user name in `login` or in Basic. Where it comes twice, both must be right.
async fn sign_in(
    app: &App,
    head: &Parts,
    login: Option<String>,
    password: Option<String>,
) -> Result<Arc<Account>, Failure> {
    if is_cross_site(head) {
        return Err(Failure::Refused(cross_site()));
    }
    let given = [&login, &password].into_iter().flatten();
    if given.into_iter().any(|text| app.hallpass.recognises(text)) {
        return Err(Failure::Refused(Problem::token_presented()));
    }
    let (user, passwords) = match Claim::on(head, app) {
        Some(basic) => {
            if login.as_ref().is_some_and(|login| *login != basic.user) {
                return Err(Failure::Refused(Problem::sign_in()));
            }
            let basic_password = Some(basic.password).filter(|text| !text.is_empty());
            (basic.user, [basic_password, password])
        }
        None if has_credential(head) => {
            let answer = refuse_token(head, app).await;
            return Err(match answer.status() {
                StatusCode::FORBIDDEN => Failure::Refused(Problem::token_presented()),
                StatusCode::UNAUTHORIZED => Failure::Refused(Problem::sign_in()),
                _ => Failure::Answered(Box::new(answer)),
            });
        }
        None => (login.unwrap_or_default(), [password, None]),
    };
    let mut account = None;
    for password in passwords.into_iter().flatten() {
        let signed_in = app.sign_in(head, (&user, &password)).await;
        account = Some(signed_in.map_err(Failure::Refused)?);
    }
    account.ok_or_else(|| Failure::Refused(Problem::sign_in()))
}

fn has_credential(head: &Parts) -> bool {
    let names = ["authorization", super::release::TOKEN_HEADER, super::release::WEBHOOK_HEADER];
    names.iter().any(|name| head.headers.contains_key(*name))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct NewToken {
    login: Option<String>,
    password: Option<String>,
    description: String,
    api_list: Option<Several>,
    token_template: Option<String>,
    expires_at: Option<String>,
}

/// Texts with commas between them, or a JSON array.
#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "texts with commas between them, or an array")]
enum Several {
    Text(String),
    Array(Vec<String>),
}

impl Several {
    fn into_vec(self) -> Vec<String> {
        match self {
            Self::Text(text) => text.split(',').map(str::to_owned).collect(),
            Self::Array(texts) => texts,
        }
    }
}

async fn create(
    State(app): State<App>,
    head: Parts,
    body: Result<JsonOrForm<NewToken>, Problem>,
) -> Result<Response, Failure> {
    let JsonOrForm(new) = body_of(&app, &head, body).await?;
    let account = sign_in(&app, &head, new.login, new.password).await?;
    let mut issue = Issue::new(new.description);
    issue = match (new.api_list, new.token_template) {
        (Some(methods), None) => {
            let methods = methods.into_vec();
            app.check_scopes(OWN, &methods)?;
            issue.scopes(methods)
        }
        (None, Some(preset)) => issue.preset(preset),
        _ => return Err(Problem::bad("give either apiList or tokenTemplate").into()),
    };
    if let Some(day) = new.expires_at {
        issue = issue
            .expiry(end_of(&day).ok_or_else(|| Problem::bad("expiresAt is a day, as dd-mm-yyyy"))?);
    }
    Ok(shown(&app.issue(&account, OWN, issue).await?))
}

/// A token that is good through a day is good until midnight UTC after it.
fn end_of(day: &str) -> Option<Expiry> {
    let shaped = day.len() == 10
        && day.bytes().enumerate().all(|(place, byte)| match place {
            2 | 5 => byte == b'-',
            _ => byte.is_ascii_digit(),
        });
    let day = shaped.then(|| NaiveDate::parse_from_str(day, "%d-%m-%Y").ok())??;
    Some(Expiry::At(day.succ_opt()?.and_time(NaiveTime::MIN).and_utc()))
}

/// A body that cannot be read is told after a token that does not belong there.
async fn body_of<T>(
    app: &App,
    head: &Parts,
    body: Result<JsonOrForm<T>, Problem>,
) -> Result<JsonOrForm<T>, Failure> {
    match body {
        Ok(body) => Ok(body),
        Err(problem) => {
            if has_credential(head) {
                sign_in(app, head, None, None).await?;
            }
            Err(problem.into())
        }
    }
}

/// The answer that shows a secret, the only one that does.
fn shown(issued: &Issued) -> Response {
    let token = &issued.token;
    result(serde_json::json!({
        "token": issued.plain.expose(),
        "id": token.id,
        "description": token.name,
        "apiList": token.scopes,
        "created": token.created_at,
        "expiresAt": token.expires_at,
    }))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct OneToken {
    login: Option<String>,
    password: Option<String>,
    id: String,
}

async fn regenerate(
    State(app): State<App>,
    head: Parts,
    body: Result<JsonOrForm<OneToken>, Problem>,
) -> Result<Response, Failure> {
    let JsonOrForm(one) = body_of(&app, &head, body).await?;
    let account = sign_in(&app, &head, one.login, one.password).await?;
    let token = own_token(&app, &account, &one.id).await?;
    let owner = app.hallpass.on_behalf_of(app.owner(&account, OWN));
    // The old value is invalid at once, as on this platform.
    let rotate = Rotate::new().if_version(token.version).overlap(chrono::TimeDelta::zero());
    let issued = owner.rotate(&token.id, rotate).await.map_err(Problem::from)?;
    Ok(shown(&issued))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Copy {
    login: Option<String>,
    password: Option<String>,
    id: String,
    description: String,
}

async fn copy(
    State(app): State<App>,
    head: Parts,
    body: Result<JsonOrForm<Copy>, Problem>,
) -> Result<Response, Failure> {
    let JsonOrForm(copy) = body_of(&app, &head, body).await?;
    let account = sign_in(&app, &head, copy.login, copy.password).await?;
    let token = own_token(&app, &account, &copy.id).await?;
    let owner = app.hallpass.on_behalf_of(app.owner(&account, OWN));
    let issued = owner.duplicate(&token.id, &copy.description).await.map_err(Problem::from)?;
    Ok(shown(&issued))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Removal {
    login: Option<String>,
    password: Option<String>,
    ids: Several,
}

/// Removes all of the tokens, or none if one of them is not the caller's.
async fn remove(
    State(app): State<App>,
    head: Parts,
    body: Result<JsonOrForm<Removal>, Problem>,
) -> Result<Response, Failure> {
    let JsonOrForm(removal) = body_of(&app, &head, body).await?;
    let account = sign_in(&app, &head, removal.login, removal.password).await?;
    let ids = removal.ids.into_vec();
    if ids.is_empty() || ids.len() > MAX_IDS {
        return Err(Problem::bad("give 1 to 100 ids").into());
    }
    let mut tokens = Vec::with_capacity(ids.len());
    for id in &ids {
        tokens.push(own_token(&app, &account, id).await?.id);
    }
    let owner = app.hallpass.on_behalf_of(app.manager(&account, OWN));
    for id in tokens {
        owner.revoke(&id, RevocationReason::Requested).await.map_err(Problem::from)?;
    }
    Ok(result(serde_json::json!({})))
}

/// One's own token; root reaches everybody's, to remove it.
async fn own_token(app: &App, account: &Account, id: &str) -> Result<Token, Problem> {
    app.token(app.manager(account, OWN), id).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_have_the_paths_that_clients_call() {
        let path = path_of("environment.control.stopenv");
        assert_eq!(path, "/1.0/environment/control/rest/stopenv");
    }

    #[test]
    fn a_day_is_read_in_one_spelling_and_lasts_until_midnight() {
        let Some(Expiry::At(end)) = end_of("31-12-2026") else { panic!("no end") };
        assert_eq!(end.to_string(), "2027-01-01 00:00:00 UTC");
        for day in
            ["", "31-02-2026", "1-12-2026", "2026-12-31", "31/12/2026", "31-12-26", "+1-12-2026"]
        {
            assert_eq!(end_of(day), None, "{day}");
        }
    }
}
