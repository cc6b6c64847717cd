//! The automation platform: OAuth-style tokens with the scope `read` or `write`, made with the
//! account's password.

use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use chrono::TimeDelta;
use hallpass::{Edit, Expiry, Issue, RevocationReason, Status, Timestamp, Token, TokenId};
use serde::{Deserialize, Serialize};

use super::app::{App, PageQuery, needs};
use super::body::Json;
use super::catalog::Product;
use super::problem::Problem;
use super::sign_in::{Claim, SignedIn};

const OWN: Product = Product::Automation;

/// The registered applications, by client id. A token for one is an application token, with a
/// refresh token that gets the next ones at the token endpoint.
pub(crate) const APPLICATIONS: [(u32, &str); 2] = [(1, "Command line"), (2, "Nightly jobs")];

pub(crate) fn routes() -> Router<App> {
    Router::new()
        .route("/api/gateway/v1/tokens/", get(list).post(create))
        .route("/api/gateway/v1/tokens/{id}/", get(show).patch(change).delete(remove))
        .route("/api/gateway/v1/applications/", get(applications))
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Access {
    Read,
    Write,
}

impl Access {
    fn scope(&self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NewToken {
    description: String,
    scope: Access,
    application: Option<u32>,
    #[serde(default, deserialize_with = "present")]
    expires_in: Option<i64>,
}

/// A field that may be left out but not be null.
fn present<'de, D: serde::Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TokenPatch {
    #[serde(default, deserialize_with = "present")]
    description: Option<String>,
    #[serde(default, deserialize_with = "present")]
    scope: Option<Access>,
}

/// A token as this platform shows it.
#[derive(Debug, Serialize)]
struct View {
    id: TokenId,
    #[serde(rename = "type")]
    kind: &'static str,
    url: String,
    user: String,
    description: String,
    scope: String,
    application: Option<u32>,
    created: Timestamp,
    expires: Option<Timestamp>,
    last_used: Option<Timestamp>,
    status: Status,
    /// Only in the answer that made the token.
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<String>,
    /// There too, if it is an application's.
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<String>,
}

impl View {
    fn of(token: &Token, now: Timestamp) -> Self {
        Self {
            id: token.id,
            kind: "token",
            url: format!("/api/gateway/v1/tokens/{}/", token.id),
            user: token.owner.to_string(),
            description: token.name.to_string(),
            scope: token.scopes.to_string(),
            application: token.client.as_ref().and_then(|client| client.parse().ok()),
            created: token.created_at,
            expires: token.expires_at,
            last_used: token.last_use.as_ref().map(|used| used.at),
            status: Status::at(token, now),
            token: None,
            refresh_token: None,
        }
    }
}

async fn create(
    State(app): State<App>,
    SignedIn(account): SignedIn,
    Json(new): Json<NewToken>,
) -> Result<Response, Problem> {
    let mut issue = Issue::new(new.description).scopes([new.scope.scope()]);
    if let Some(seconds) = new.expires_in {
        let life = TimeDelta::try_seconds(seconds);
        let life = life.ok_or_else(|| Problem::bad("the lifetime is longer than allowed"))?;
        issue = issue.expiry(Expiry::In(life));
    }
    let (issued, refresh) = match new.application {
        None => (app.issue(&account, OWN, issue).await?, None),
        Some(application) if APPLICATIONS.iter().any(|(id, _)| *id == application) => {
            let issue = issue.for_client(application.to_string());
            let granted = app.issue_with_refresh(&account, OWN, issue).await?;
            (granted.access, Some(granted.refresh))
        }
        Some(_) => return Err(Problem::bad("there is no such application")),
    };
    let mut view = View::of(&issued.token, app.hallpass.now());
    view.token = Some(issued.plain.expose().to_owned());
    view.refresh_token = refresh.map(|refresh| refresh.plain.expose().to_owned());
    let location = [("location", view.url.clone())];
    Ok((StatusCode::CREATED, location, axum::Json(view)).into_response())
}

async fn list(
    State(app): State<App>,
    SignedIn(account): SignedIn,
    query: PageQuery,
) -> Result<axum::Json<serde_json::Value>, Problem> {
    let page = app.list(app.manager(&account, OWN), query).await?;
    let now = app.hallpass.now();
    let results: Vec<View> = page.tokens.iter().map(|token| View::of(token, now)).collect();
    let next = page.next.map(|cursor| format!("/api/gateway/v1/tokens/?cursor={cursor}"));
    Ok(axum::Json(serde_json::json!({ "next": next, "results": results })))
}

async fn show(
    State(app): State<App>,
    SignedIn(account): SignedIn,
    Path(id): Path<String>,
) -> Result<axum::Json<View>, Problem> {
    let token = app.token(app.manager(&account, OWN), &id).await?;
    Ok(axum::Json(View::of(&token, app.hallpass.now())))
}

async fn change(
    State(app): State<App>,
    SignedIn(account): SignedIn,
    Path(id): Path<String>,
    Json(patch): Json<TokenPatch>,
) -> Result<axum::Json<View>, Problem> {
    let token = app.token(app.manager(&account, OWN), &id).await?;
    let mut edit = Edit::new().if_version(token.version);
    if let Some(description) = patch.description {
        edit = edit.name(description);
    }
    if let Some(scope) = patch.scope {
        edit = edit.scopes([scope.scope()]);
    }
    let manager = app.hallpass.on_behalf_of(app.manager(&account, OWN));
    let token = manager.update(&token.id, edit).await?;
    Ok(axum::Json(View::of(&token, app.hallpass.now())))
}

async fn remove(
    State(app): State<App>,
    SignedIn(account): SignedIn,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    let token = app.token(app.manager(&account, OWN), &id).await?;
    let manager = app.hallpass.on_behalf_of(app.manager(&account, OWN));
    // An application's token ends together with the grant that could replace it.
    if let Some(grant) = token.parent {
        manager.revoke(&grant, RevocationReason::Requested).await?;
    }
    manager.revoke(&token.id, RevocationReason::Requested).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// What a person may see here, a token that reads may see too.
async fn applications(State(app): State<App>, mut head: Parts) -> Result<Response, Response> {
    let results: Vec<_> = APPLICATIONS
        .iter()
        .map(|(id, name)| serde_json::json!({ "id": id, "type": "application", "name": name }))
        .collect();
    let body = axum::Json(serde_json::json!({ "next": null, "results": results }));
    let mut response = body.into_response();
    if let Some(claim) = Claim::on(&head, &app) {
        let signed_in = app.sign_in(&head, (&claim.user, &claim.password)).await;
        signed_in.map_err(IntoResponse::into_response)?;
    } else {
        let read = app.boundary.compile(needs("read"));
        let read = read.map_err(|error| Problem::bad(&error).into_response())?;
        let peer = hallpass::axum::peer(&head.extensions);
        let admitted = app.boundary.admit(&mut head, Some(&read), peer).await;
        let (_, duties) = admitted.map_err(IntoResponse::into_response)?.into_parts();
        duties.apply(response.headers_mut());
    }
    Ok(response)
}
