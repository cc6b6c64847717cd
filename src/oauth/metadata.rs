//! What clients can learn of the endpoints (RFC 8414).

use bytes::Bytes;
use serde::Serialize;

use super::endpoints::{Inner, Paths};
use super::token::{EXCHANGE_GRANT, REFRESH_GRANT};
use crate::token::Kind;

#[derive(Serialize)]
struct Metadata<'a> {
    issuer: &'a str,
    token_endpoint: String,
    introspection_endpoint: String,
    revocation_endpoint: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    jwks_uri: Option<String>,
    scopes_supported: Vec<&'a str>,
    response_types_supported: [&'static str; 0],
    grant_types_supported: Vec<&'static str>,
    token_endpoint_auth_methods_supported: [&'static str; 3],
    introspection_endpoint_auth_methods_supported: [&'static str; 2],
    revocation_endpoint_auth_methods_supported: [&'static str; 3],
}

/// The metadata, which lists only what is on.
pub(super) fn written(inner: &Inner, paths: &Paths) -> Bytes {
    const BASIC: &str = "client_secret_basic";
    const BODY: &str = "client_secret_post";
    let path_len = inner.issuer.find("://").and_then(|scheme| {
        let host = inner.issuer.get(scheme + 3..)?;
        host.find('/').map(|path| scheme + 3 + path)
    });
    let origin = path_len.and_then(|len| inner.issuer.get(..len)).unwrap_or(&inner.issuer);
    let url = |path: &str| format!("{origin}{path}");
    let mut grants = vec![EXCHANGE_GRANT];
    if inner.refreshes {
        grants.push(REFRESH_GRANT);
    }
    let scopes = inner.hallpass.catalog().grantable(Kind::Access);
    let metadata = Metadata {
        issuer: &inner.issuer,
        token_endpoint: url(&paths.token),
        introspection_endpoint: url(&paths.introspect),
        revocation_endpoint: url(&paths.revoke),
        jwks_uri: inner.has_keys().then(|| url(&paths.jwks)),
        scopes_supported: scopes.iter().map(crate::scope::Scope::as_str).collect(),
        response_types_supported: [],
        grant_types_supported: grants,
        token_endpoint_auth_methods_supported: [BASIC, BODY, "none"],
        introspection_endpoint_auth_methods_supported: [BASIC, BODY],
        revocation_endpoint_auth_methods_supported: [BASIC, BODY, "none"],
    };
    // A struct of texts is always JSON.
    serde_json::to_vec(&metadata).map(Bytes::from).unwrap_or_default()
}
