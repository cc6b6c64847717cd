//! Reports of leaked tokens, from whoever signs with the keys that the demo was started with.

use std::error::Error;
use std::sync::Arc;

use axum::Router;
use hallpass::Hallpass;
use hallpass::fetch::Fetch;
use hallpass::scan::{Leaks, PartnerKeys};

use super::app::App;

/// Where reports are sent.
pub(crate) const PATH: &str = "/leaks";

/// The endpoint, if anybody is believed.
///
/// # Errors
/// Never, as long as the partner has a good name.
pub(crate) fn endpoint(
    hallpass: &Hallpass,
    keys: Option<&Arc<dyn Fetch>>,
) -> Result<Option<Leaks>, Box<dyn Error + Send + Sync>> {
    let Some(keys) = keys else {
        return Ok(None);
    };
    let keys = PartnerKeys::fetched(Arc::clone(keys));
    Ok(Some(Leaks::new(hallpass.clone(), "github", keys)?))
}

pub(crate) fn routes(app: &App) -> Router<App> {
    match &app.leaks {
        Some(leaks) => hallpass::axum::leaks(PATH, leaks.clone()),
        None => Router::new(),
    }
}
