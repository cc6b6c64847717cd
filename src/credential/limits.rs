//! Bounds on what arrives.

use http::Uri;
use http::request::Parts;

use super::problem::Problem;

/// Longest value of a header that may carry a credential, in bytes.
pub const MAX_CREDENTIAL_LEN: usize = 8 * 1024;

/// Longest text that is looked at as a token, in bytes. Longer ones are no tokens.
pub const MAX_OPAQUE_LEN: usize = 256;

/// Most header lines of a request.
pub const MAX_HEADER_LINES: usize = 100;

/// Longest URI, in bytes.
pub const MAX_URI_LEN: usize = 16 * 1024;

/// Refuses heads that are too large to look at.
pub(super) fn check(head: &Parts, longest_credential: usize) -> Result<(), Problem> {
    if uri_len(&head.uri) > MAX_URI_LEN {
        return Err(Problem::UriTooLong);
    }
    if head.headers.len() > MAX_HEADER_LINES || longest_credential > MAX_CREDENTIAL_LEN {
        return Err(Problem::HeaderTooLarge);
    }
    Ok(())
}

fn uri_len(uri: &Uri) -> usize {
    let scheme = uri.scheme_str().map_or(0, |scheme| scheme.len() + "://".len());
    let authority = uri.authority().map_or(0, |authority| authority.as_str().len());
    let rest = uri.path_and_query().map_or(0, |rest| rest.as_str().len());
    scheme + authority + rest
}
