//! Tests through the public interface.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::needless_pass_by_value,
    reason = "a test that cannot go on fails, and hands over what it made"
)]

#[cfg(feature = "api")]
mod api_lists;
#[cfg(all(feature = "api", feature = "axum"))]
mod api_self;
#[cfg(feature = "api")]
mod api_session;
#[cfg(feature = "api")]
mod api_support;
#[cfg(feature = "api")]
mod api_tokens;
#[cfg(feature = "conformance")]
mod broken;
#[cfg(all(feature = "cache", feature = "conformance"))]
mod cached;
#[cfg(all(feature = "cache", feature = "conformance"))]
mod cached_engine;
#[cfg(all(feature = "cache", feature = "conformance"))]
mod cached_support;
mod cancellation;
#[cfg(feature = "conformance")]
mod conformance;
#[cfg(feature = "console")]
mod console_pages;
#[cfg(feature = "console")]
mod console_refusals;
#[cfg(feature = "console")]
mod console_support;
mod exchange;
#[cfg(all(feature = "fetch", feature = "jwt", feature = "oauth", feature = "axum"))]
mod fetch;
#[cfg(all(feature = "api", feature = "jwt"))]
mod host_tokens;
#[cfg(feature = "http")]
mod http_answers;
#[cfg(feature = "axum")]
mod http_axum;
#[cfg(feature = "http")]
mod http_headers;
#[cfg(feature = "http")]
mod http_hostile;
#[cfg(all(feature = "http", feature = "jwt"))]
mod http_jwt;
#[cfg(feature = "http")]
mod http_scopes;
#[cfg(feature = "http")]
mod http_support;
#[cfg(feature = "http")]
mod http_tokens;
#[cfg(feature = "tower")]
mod http_tower;
mod issue;
#[cfg(feature = "jwt")]
mod jwt;
#[cfg(all(feature = "jwt", feature = "oauth"))]
mod jwt_endpoints;
#[cfg(feature = "jwt")]
mod jwt_keys;
mod leak;
#[cfg(feature = "tokio")]
mod limited;
mod list;
mod maintain;
mod narrowing;
mod notices;
#[cfg(all(feature = "axum", feature = "oauth"))]
mod oauth_axum;
#[cfg(feature = "oauth")]
mod oauth_clients;
#[cfg(feature = "oauth")]
mod oauth_exchange;
#[cfg(feature = "oauth")]
mod oauth_introspect;
#[cfg(feature = "oauth")]
mod oauth_support;
#[cfg(any(feature = "api", feature = "console"))]
mod outage;
mod peppers;
mod refresh;
#[cfg(feature = "sqlite")]
mod restore;
mod revoke;
mod rotate;
#[cfg(feature = "scan")]
mod scan;
#[cfg(feature = "scan")]
mod scan_keys;
#[cfg(feature = "scan")]
mod scan_support;
mod secrecy;
#[cfg(all(feature = "conformance", feature = "sqlite"))]
mod sqlite_file;
mod times;
mod transfer;
mod update;
mod usage;
mod verify;
mod world;
