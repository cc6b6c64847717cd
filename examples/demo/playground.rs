//! The developer playground: a token by name, good for logging in.

use std::error::Error;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use axum::{Json as Answer, Router};
use hallpass::axum::GuardedRouter;
use hallpass::store::{Filter, Reach};
use hallpass::{
    Exchange, Issue, Kind, KindSet, ListRequest, RevocationReason, Status, TokenName, Verified,
};
use serde::Deserialize;

use super::app::{App, PageQuery, needs, usual_sources};
use super::body::Json;
use super::catalog::Product;
use super::problem::Problem;
use super::sign_in::SignedIn;
use super::tokens::{created, listed};

const OWN: Product = Product::Playground;

pub(crate) fn routes(app: &App) -> Result<Router<App>, Box<dyn Error + Send + Sync>> {
    let guarded = GuardedRouter::new(app.boundary_with(usual_sources())?).route(
        "/api/playground/v1/login",
        needs("playground").kinds([Kind::Personal]),
        post(login),
    );
    Ok(Router::new()
        .route("/api/playground/v1/pats", get(list).post(create))
        .route("/api/playground/v1/pats/{name}", delete(remove))
        .merge(guarded.into_router()?))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NewToken {
    name: String,
}

async fn create(
    State(app): State<App>,
    SignedIn(account): SignedIn,
    Json(new): Json<NewToken>,
) -> Result<Response, Problem> {
    let issue = Issue::new(new.name).scopes(["playground"]);
    Ok(created(&app.issue_named(&account, OWN, issue).await?))
}

async fn list(
    State(app): State<App>,
    SignedIn(account): SignedIn,
    query: PageQuery,
) -> Result<Response, Problem> {
    let page = app.list(app.owner(&account, OWN), query).await?;
    Ok(listed(&page, app.hallpass.now()))
}

async fn remove(
    State(app): State<App>,
    SignedIn(account): SignedIn,
    Path(name): Path<String>,
) -> Result<StatusCode, Problem> {
    let name: TokenName = name.parse().map_err(|_| Problem::not_found())?;
    let mut filter = Filter::new(Reach::All);
    filter.kinds = KindSet::only(Kind::Personal);
    filter.statuses = Some(Status::ALL.into_iter().filter(|status| status.is_live()).collect());
    // An account holds at most 50 live tokens, so one page has all that contain the name.
    filter.text = Some(name.to_string());
    let owner = app.hallpass.on_behalf_of(app.owner(&account, OWN));
    let found = owner.list(&ListRequest::new(filter).limit(ListRequest::MAX_LIMIT)).await?;
    let token = found.tokens.iter().find(|token| token.name.key() == name.key());
    let token = token.ok_or_else(Problem::not_found)?;
    owner.revoke(&token.id, RevocationReason::Requested).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Gives a session for a token. The session is an access token that ends after a quarter of an
/// hour; whether it ends with the token is what `--sessions` decides.
async fn login(State(app): State<App>, token: Verified) -> Result<Response, Problem> {
    let session = app.hallpass.exchange_verified(&token, Exchange::new()).await?;
    let end = session.token.expires_at;
    let seconds = end.map(|end| end.since(session.token.created_at).num_seconds());
    Ok(Answer(serde_json::json!({
        "access_token": session.plain.expose(),
        "token_type": "Bearer",
        "expires_in": seconds,
        "expires_at": end,
    }))
    .into_response())
}
