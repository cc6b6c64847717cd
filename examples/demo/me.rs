//! Every product: whom does this token speak for?

use std::error::Error;

use axum::Router;
use axum::routing::get;
use hallpass::axum::GuardedRouter;
use hallpass::{Kind, Requirement, Scope, Timestamp, TokenId, Verified};
use serde::Serialize;

use super::app::App;

pub(crate) fn routes(app: &App) -> Result<Router<App>, Box<dyn Error + Send + Sync>> {
    let guarded = GuardedRouter::new(app.boundary.clone());
    Ok(guarded.route("/me", Requirement::any_token(), get(me)).into_router()?)
}

#[derive(Debug, Serialize)]
struct Me {
    user: String,
    product: String,
    id: TokenId,
    kind: Kind,
    scopes: Vec<&'static Scope>,
    expires_at: Option<Timestamp>,
}

async fn me(token: Verified) -> axum::Json<Me> {
    axum::Json(Me {
        user: token.owner().to_string(),
        product: token.tenant().to_string(),
        id: *token.id(),
        kind: token.kind(),
        scopes: token.scopes().iter().collect(),
        expires_at: token.expires_at(),
    })
}
