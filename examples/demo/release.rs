//! The release tool: tokens in its own headers, as Basic password, and as Bearer.

use std::error::Error;
use std::sync::{Mutex, PoisonError};

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::{delete, get, post};
use axum::{Json as Answer, Router};
use hallpass::axum::GuardedRouter;
use hallpass::{Issue, Sources, Verified};
use serde::{Deserialize, Serialize};

use super::app::{App, needs, usual_sources};
use super::body::Json;
use super::catalog::{ADMIN_SCOPE, Product};
use super::problem::Problem;
use super::sign_in::SignedIn;
use super::tokens::{NewToken, created, list_and_delete};

/// Where API clients put a token.
pub(crate) const TOKEN_HEADER: &str = "x-release-personal-token";
/// Where webhook senders put a token.
pub(crate) const WEBHOOK_HEADER: &str = "x-release-webhook-token";

pub(crate) fn routes(app: &App) -> Result<Router<App>, Box<dyn Error + Send + Sync>> {
    let api = app.boundary_with(usual_sources().header(TOKEN_HEADER))?;
    let hooks = app.boundary_with(Sources::bearer().header(WEBHOOK_HEADER))?;
    let api = GuardedRouter::new(api)
        .route("/api/v1/releases", needs("release:read"), get(list))
        .route("/api/v1/releases", needs("release:write"), post(start))
        .route("/api/v1/releases", needs(ADMIN_SCOPE), delete(forget));
    let hooks =
        GuardedRouter::new(hooks).route("/webhooks/{endpoint}", needs("webhook"), post(trigger));
    Ok(Router::new()
        .route("/api/v1/tokens", post(create))
        .merge(list_and_delete(Product::Release, "/api/v1/tokens"))
        .merge(api.into_router()?)
        .merge(hooks.into_router()?))
}

async fn create(
    State(app): State<App>,
    SignedIn(account): SignedIn,
    Json(new): Json<NewToken>,
) -> Result<Response, Problem> {
    app.check_scopes(Product::Release, &new.scopes)?;
    let issue = Issue::new(new.name).scopes(new.scopes);
    Ok(created(&app.issue_named(&account, Product::Release, issue).await?))
}

/// The releases, newest last. They are forgotten when the demo ends, and the oldest go first.
#[derive(Debug, Default)]
pub(crate) struct Releases(Mutex<Vec<Release>>);

/// Most releases that are kept.
const MAX_RELEASES: usize = 100;

#[derive(Debug, Clone, Serialize)]
pub(crate) struct Release {
    name: String,
    started_by: String,
}

#[derive(Debug, Deserialize)]
struct NewRelease {
    #[serde(alias = "title")]
    name: String,
}

async fn list(State(app): State<App>, _: Verified) -> Answer<Vec<Release>> {
    let releases = app.releases.0.lock().unwrap_or_else(PoisonError::into_inner);
    Answer(releases.clone())
}

/// Starts a release: `{"name": …}`, or one with a made-up name if there is no body.
async fn start(
    State(app): State<App>,
    token: Verified,
    body: Bytes,
) -> Result<(StatusCode, Answer<Release>), Problem> {
    let named: Option<NewRelease> = match body.is_empty() {
        true => None,
        false => Some(serde_json::from_slice(&body).map_err(|error| Problem::bad(&error))?),
    };
    let mut releases = app.releases.0.lock().unwrap_or_else(PoisonError::into_inner);
    let name = named.map_or_else(|| format!("release {}", releases.len() + 1), |new| new.name);
    let release = Release { name, started_by: token.owner().to_string() };
    if releases.len() == MAX_RELEASES {
        releases.remove(0);
    }
    releases.push(release.clone());
    Ok((StatusCode::CREATED, Answer(release)))
}

/// Forgets all releases.
async fn forget(State(app): State<App>, _: Verified) -> StatusCode {
    app.releases.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    StatusCode::NO_CONTENT
}

async fn trigger(token: Verified, Path(endpoint): Path<String>) -> Answer<serde_json::Value> {
    let owner = token.owner().as_str();
    Answer(serde_json::json!({ "triggered": endpoint, "by": owner }))
}
