//! The style sheet and the script.

use std::fmt;

use ::axum::body::Body;
use ::axum::response::Response;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderName, HeaderValue};

const CSS: &str = include_str!("assets/console.css");
const JS: &str = include_str!("assets/console.js");

/// One file, and the path that names its content, so that it can be kept for good.
pub(super) struct Asset {
    pub(super) path: String,
    media_type: &'static str,
    text: String,
}

impl Asset {
    /// The style sheet, and what the host adds to it.
    pub(super) fn css(added: &str) -> Self {
        Self::new("css", "text/css; charset=utf-8", format!("{CSS}{added}"))
    }

    pub(super) fn js() -> Self {
        Self::new("js", "text/javascript; charset=utf-8", JS.to_owned())
    }

    fn new(extension: &str, media_type: &'static str, text: String) -> Self {
        let hash = blake3::hash(text.as_bytes()).to_hex();
        let name: String = hash.chars().take(16).collect();
        Self { path: format!("/assets/console-{name}.{extension}"), media_type, text }
    }

    pub(super) fn response(&self) -> Response {
        let headers: [(HeaderName, &'static str); 3] = [
            (CONTENT_TYPE, self.media_type),
            (CACHE_CONTROL, "public, max-age=31536000, immutable"),
            (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        ];
        let mut response = Response::new(Body::from(self.text.clone()));
        for (name, value) in headers {
            response.headers_mut().insert(name, HeaderValue::from_static(value));
        }
        response
    }
}

impl fmt::Debug for Asset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.path)
    }
}
