//! The routes, and what holds for every answer.

use std::sync::Arc;

use ::axum::Router;
use ::axum::body::Body;
use ::axum::extract::{Request, State};
use ::axum::middleware::{Next, from_fn_with_state};
use ::axum::response::{IntoResponse, Response};
use ::axum::routing::{MethodRouter, get, post};
use askama::Template;
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, LOCATION, REFERRER_POLICY, RETRY_AFTER,
    X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderName, HeaderValue, StatusCode};

use super::builder::Site;
use super::fault::{Fault, Reason};
use super::{admin, create, list, regenerate, revoke, secret, token};

/// What pages may load and do: their own style sheet and script, and forms to their own app.
const CSP: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
    base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/// On every page.
const HEADERS: [(HeaderName, &str); 5] = [
    (CONTENT_SECURITY_POLICY, CSP),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (CACHE_CONTROL, "no-store"),
];

pub(super) fn routes<S: Clone + Send + Sync + 'static>(console: Arc<Site>) -> Router<S> {
    let mount = console.mount.clone();
    let at = |below: &str| mount.join(below);
    let home = if mount.as_str().is_empty() { "/" } else { mount.as_str() };
    let pages: Router<Arc<Site>> = Router::new()
        .route(home, get(list::own))
        .route(&at("/new"), get(create::form).post(create::send))
        .route(&at("/revoke"), post(revoke::own_many))
        .route(&at("/download"), post(secret::download))
        .route(&at("/admin"), get(admin::list))
        .route(&at("/admin/whose"), post(admin::whose))
        .route(&at("/admin/revoke"), post(revoke::any_many))
        .route(&at("/admin/{id}"), get(admin::token))
        .route(&at("/admin/{id}/revoke"), get(revoke::any_form).post(revoke::any))
        .route(&at("/admin/{id}/suspend"), post(admin::suspend))
        .route(&at("/admin/{id}/resume"), post(admin::resume))
        .route(&at("/{id}"), get(token::own).post(token::save))
        .route(&at("/{id}/regenerate"), get(regenerate::form).post(regenerate::send))
        .route(&at("/{id}/revoke"), get(revoke::own_form).post(revoke::own))
        .route(&at("/{id}/suspend"), post(token::suspend))
        .route(&at("/{id}/resume"), post(token::resume));
    let pages = pages.layer(from_fn_with_state(Arc::clone(&console), around));
    let css: MethodRouter<Arc<Site>> =
        get(async |State(console): State<Arc<Site>>| console.css.response());
    let js: MethodRouter<Arc<Site>> =
        get(async |State(console): State<Arc<Site>>| console.js.response());
    let assets = Router::new().route(&at(&console.css.path), css).route(&at(&console.js.path), js);
    pages.merge(assets).with_state(console)
}

/// Finds out who it is, makes pages of faults, and puts the headers on every answer.
async fn around(State(console): State<Arc<Site>>, request: Request, next: Next) -> Response {
    let (mut head, body) = request.into_parts();
    let (method, uri) = (head.method.clone(), head.uri.clone());
    let (who, mut response) = match console.host.signed_in(&head).await {
        Ok(who) => {
            head.extensions.insert(who.clone());
            (Some(who), next.run(Request::from_parts(head, body)).await)
        }
        Err(refused) => (None, Fault::from(refused).into_response()),
    };
    let reason = response.extensions_mut().remove::<Reason>();
    let wrong_method =
        (response.status() == StatusCode::METHOD_NOT_ALLOWED).then_some(Reason::Method);
    if let Some(reason) = reason.or(wrong_method) {
        response = reason.page(&console, who.as_ref(), (&method, &uri), &response);
    }
    if response.status() == StatusCode::SERVICE_UNAVAILABLE {
        let seconds = HeaderValue::from_static("5");
        response.headers_mut().entry(RETRY_AFTER).or_insert(seconds);
    }
    for (name, value) in HEADERS {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

/// A page as an answer.
pub(super) fn page(status: StatusCode, template: &impl Template) -> Response {
    match template.render() {
        Ok(html) => {
            let mut response = Response::new(Body::from(html));
            *response.status_mut() = status;
            let html = HeaderValue::from_static("text/html; charset=utf-8");
            response.headers_mut().insert(CONTENT_TYPE, html);
            response
        }
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// To another page, after something was done.
pub(super) fn see_other(url: &str) -> Result<Response, Fault> {
    let url = HeaderValue::from_str(url).map_err(|_| Fault::Bad)?;
    let mut response = StatusCode::SEE_OTHER.into_response();
    response.headers_mut().insert(LOCATION, url);
    Ok(response)
}
