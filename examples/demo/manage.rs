//! The management API, for whoever is signed in to the demo's pages.

use hallpass::api::{Api, ApiError};
use hallpass::host::Host;

use super::session::COOKIE_NAME;

/// The API, at `/api/pat`, in the product that was chosen on the pages.
pub(crate) fn api(host: Host) -> Result<Api, ApiError> {
    Api::builder(host).session_cookie(COOKIE_NAME).build()
}
