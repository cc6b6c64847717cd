//! The endpoint for reports of leaked tokens as an axum route.

use ::axum::Router;
use ::axum::body::{Body, to_bytes};
use ::axum::extract::{Request, State};
use ::axum::response::Response;
use ::axum::routing::any;

use crate::scan::{Leaks, MAX_REPORT_LEN};

/// The endpoint at this path, such as `/leaks`. Merge it into the app's router.
///
/// ```
/// # fn app(hallpass: hallpass::Hallpass) -> Result<(), Box<dyn std::error::Error>> {
/// use axum::Router;
/// use hallpass::scan::{Leaks, PartnerKeys};
///
/// let keys = PartnerKeys::fixed(&std::fs::read("partner-keys.json")?)?;
/// let leaks = Leaks::new(hallpass, "github", keys)?;
/// let app: Router = Router::new().merge(hallpass::axum::leaks("/leaks", leaks));
/// # drop(app);
/// # Ok(()) }
/// ```
///
/// # Panics
/// If the path does not start with a slash, as [`Router::route`] does.
pub fn leaks<S: Clone + Send + Sync + 'static>(path: &str, leaks: Leaks) -> Router<S> {
    Router::new().route(path, any(report)).with_state(leaks)
}

async fn report(State(leaks): State<Leaks>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let response = match to_bytes(body, MAX_REPORT_LEN).await {
        Ok(body) => leaks.report(&head, &body).await,
        Err(_) => leaks.too_large(),
    };
    response.map(Body::from)
}
