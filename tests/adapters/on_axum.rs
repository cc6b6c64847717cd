//! axum.

use std::net::SocketAddr;

use axum::Router;
use axum::extract::OriginalUri;
use axum::routing::any;
use hallpass::axum::{GuardedRouter, original_uri, peer};
use hallpass::credential::Rejection;
use hallpass::credential::conformance::Matrix;
use hallpass::{Boundary, Verified};
use http::Uri;
use tokio::net::TcpListener;

/// Serves the routes of the matrix until the runtime ends.
pub(crate) async fn serve(boundary: &Boundary) -> SocketAddr {
    let mut guarded = GuardedRouter::new(boundary.clone());
    let mut app = Router::new();
    for (path, requirement) in Matrix::routes() {
        match requirement {
            Some(requirement) if path == Matrix::RESOURCE => {
                guarded = guarded.route(path, requirement, any(resource));
            }
            Some(requirement) => guarded = guarded.route(path, requirement, any(whose)),
            None => {
                let guard = boundary.layer().peer_from(peer).uri_copy_in(original_uri);
                app = app.route(path, any(whose).layer(guard));
            }
        }
    }
    let app = app.merge(guarded.into_router().unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, app).await });
    address
}

async fn whose(token: Verified, uri: Uri, OriginalUri(original): OriginalUri) -> String {
    assert_eq!(uri, original);
    format!("{} {uri}", token.owner())
}

async fn resource(token: Verified, uri: Uri) -> Result<String, Rejection> {
    token.on("org/secret")?;
    Ok(format!("{} {uri}", token.owner()))
}

#[tokio::test]
async fn axum_answers_as_the_boundary_does() {
    let matrix = Matrix::new().await;
    let address = serve(matrix.boundary()).await;
    matrix.ask(address, matrix.cases()).await;
}
