//! Tests through the public interface.

#[cfg(feature = "http")]
mod http_answers;
#[cfg(feature = "axum")]
mod http_axum;
#[cfg(feature = "http")]
mod http_headers;
#[cfg(feature = "http")]
mod http_hostile;
#[cfg(feature = "http")]
mod http_scopes;
#[cfg(feature = "http")]
mod http_support;
#[cfg(feature = "http")]
mod http_tokens;
#[cfg(feature = "tower")]
mod http_tower;
