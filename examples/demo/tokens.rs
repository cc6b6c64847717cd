//! What products have in common whose tokens have a name and scopes.

use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get};
use hallpass::{Issued, Page, RevocationReason, Status, Timestamp};
use serde::Deserialize;

use super::app::{App, PageQuery};
use super::catalog::Product;
use super::problem::Problem;
use super::sign_in::SignedIn;

/// A token to be made.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewToken {
    pub(crate) name: String,
    pub(crate) scopes: Vec<String>,
}

/// The answer that shows a new token's secret, the only one that does.
pub(crate) fn created(issued: &Issued) -> Response {
    let body = serde_json::json!({
        "id": issued.token.id,
        "name": issued.token.name,
        "scopes": issued.token.scopes,
        "created_at": issued.token.created_at,
        "expires_at": issued.token.expires_at,
        "token": issued.plain.expose(),
    });
    (StatusCode::CREATED, axum::Json(body)).into_response()
}

/// A page of tokens, without their secrets, which nobody knows any more.
pub(crate) fn listed(page: &Page, now: Timestamp) -> Response {
    let tokens: Vec<_> = page
        .tokens
        .iter()
        .map(|token| {
            serde_json::json!({
                "id": token.id,
                "user": token.owner,
                "name": token.name,
                "scopes": token.scopes,
                "status": Status::at(token, now),
                "created_at": token.created_at,
                "expires_at": token.expires_at,
                "last_used_at": token.last_use.as_ref().map(|used| used.at),
            })
        })
        .collect();
    axum::Json(serde_json::json!({ "tokens": tokens, "next": page.next })).into_response()
}

/// `GET` of the list and `DELETE` by id, under this path. Root reaches everybody's tokens.
pub(crate) fn list_and_delete(product: Product, path: &str) -> Router<App> {
    let list =
        async move |State(app): State<App>, SignedIn(account): SignedIn, query: PageQuery| {
            let page = app.list(app.manager(&account, product), query).await?;
            Ok::<_, Problem>(listed(&page, app.hallpass.now()))
        };
    let remove =
        async move |State(app): State<App>, SignedIn(account): SignedIn, Path(id): Path<String>| {
            let token = app.token(app.manager(&account, product), &id).await?;
            let manager = app.hallpass.on_behalf_of(app.manager(&account, product));
            manager.revoke(&token.id, RevocationReason::Requested).await?;
            Ok::<_, Problem>(StatusCode::NO_CONTENT)
        };
    Router::new().route(path, get(list)).route(&format!("{path}/{{id}}"), delete(remove))
}
