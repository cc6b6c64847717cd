//! The OAuth endpoints as axum routes.

use ::axum::Router;
use ::axum::body::{Body, to_bytes};
use ::axum::extract::{Request, State};
use ::axum::response::Response;
use ::axum::routing::any;
use bytes::Bytes;

use super::extract::peer;
use crate::oauth::{MAX_FORM_LEN, OAuth};

/// The endpoints, under the [paths](OAuth::paths) that the metadata tells. Merge it into the app's
/// router.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use axum::Router;
/// use hallpass::{Hallpass, MemoryStore, OAuth, ScopeCatalog};
///
/// let hallpass = Hallpass::builder(MemoryStore::new())
///     .brand("acme")
///     .catalog(ScopeCatalog::of(["repo:read"])?)
///     .build()?;
/// let oauth = OAuth::builder(hallpass, "https://acme.example").build()?;
/// let app: Router = Router::new().merge(hallpass::axum::oauth(oauth));
/// # drop(app);
/// # Ok(()) }
/// ```
pub fn oauth<S: Clone + Send + Sync + 'static>(oauth: OAuth) -> Router<S> {
    let paths = oauth.paths().clone();
    // Every method comes here, so that a wrong one is answered as OAuth clients expect.
    let router = Router::new()
        .route(&paths.token, any(token))
        .route(&paths.introspect, any(introspect))
        .route(&paths.revoke, any(revoke))
        .route(&paths.metadata, any(metadata));
    #[cfg(feature = "jwt")]
    let router = router.route(&paths.jwks, any(jwks));
    router.with_state(oauth)
}

async fn token(State(oauth): State<OAuth>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    answer(match to_bytes(body, MAX_FORM_LEN).await {
        Ok(body) => oauth.token(&head, &body, peer(&head.extensions)).await,
        Err(_) => oauth.too_large(),
    })
}

async fn introspect(State(oauth): State<OAuth>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    answer(match to_bytes(body, MAX_FORM_LEN).await {
        Ok(body) => oauth.introspect(&head, &body).await,
        Err(_) => oauth.too_large(),
    })
}

async fn revoke(State(oauth): State<OAuth>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    answer(match to_bytes(body, MAX_FORM_LEN).await {
        Ok(body) => oauth.revoke(&head, &body).await,
        Err(_) => oauth.too_large(),
    })
}

async fn metadata(State(oauth): State<OAuth>, request: Request) -> Response {
    let (head, _) = request.into_parts();
    answer(oauth.metadata(&head))
}

#[cfg(feature = "jwt")]
async fn jwks(State(oauth): State<OAuth>, request: Request) -> Response {
    let (head, _) = request.into_parts();
    let nothing = || {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = http::StatusCode::NOT_FOUND;
        response
    };
    oauth.jwks(&head).map_or_else(nothing, answer)
}

fn answer(response: http::Response<Bytes>) -> Response {
    response.map(Body::from)
}
