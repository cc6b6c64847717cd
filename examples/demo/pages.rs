//! The demo's own pages: to sign in, to choose a product, and to sign out. The console does the
//! rest.

use axum::RequestExt as _;
use axum::Router;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, Request, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, LOCATION, REFERRER_POLICY, RETRY_AFTER, SET_COOKIE,
    X_CONTENT_TYPE_OPTIONS,
};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};
use hallpass::host::{CsrfKey, Refused, SignedIn};
use serde::Deserialize;

use super::app::App;
use super::attempts::SignInError;
use super::body::Form;
use super::catalog::Product;
use super::problem::Problem;

/// Where the console is.
pub(crate) const CONSOLE: &str = "/settings/tokens";

pub(crate) fn routes() -> Router<App> {
    Router::new()
        .route("/", get(home))
        .route("/login", get(sign_in_form).post(sign_in))
        .route("/logout", post(sign_out))
        .route("/product", post(choose))
}

#[derive(Debug, Default, Deserialize)]
struct Next {
    #[serde(default)]
    next: String,
}

async fn sign_in_form(
    State(app): State<App>,
    query: Result<Query<Next>, QueryRejection>,
) -> Response {
    let next = query.map(|Query(query)| query.next).unwrap_or_default();
    sign_in_page(&app, StatusCode::OK, None, &next)
}

fn sign_in_page(app: &App, status: StatusCode, problem: Option<&str>, next: &str) -> Response {
    let problem = problem.map_or(String::new(), |text| {
        format!(r#"<div class="note note-bad" role="alert"><div>{text}</div></div>"#)
    });
    let next = escape(next);
    let content = format!(
        r#"<section class="card pad center">
<form class="stack" method="post" action="/login">
<input type="hidden" name="next" value="{next}">
<div><h1>Sign in</h1><p class="lead">The accounts and passwords are printed where the demo runs.</p></div>
{problem}
<div class="field"><label for="name">User name</label><input id="name" name="name" required maxlength="100" autocomplete="username" autocapitalize="none" spellcheck="false"></div>
<div class="field"><label for="password">Password</label><input id="password" name="password" type="password" required maxlength="1024" autocomplete="current-password"></div>
<div class="form-end"><button class="btn btn-main">Sign in</button></div>
</form>
</section>"#
    );
    page(app, status, "Sign in", &content)
}

async fn sign_in(State(app): State<App>, request: Request) -> Result<Response, Response> {
    let (head, form) = read(request).await?;
    // Nobody is signed in yet, so there is no session that a token could belong to.
    let nobody = (&CsrfKey::new([0; 32]), &[0; 32]);
    if app.host.origin().check(&head.headers, nobody, None).is_err() {
        return Err(super::sign_in::cross_site().into_response());
    }
    let (name, password, next) =
        (field(&form, "name"), field(&form, "password"), field(&form, "next"));
    let peer = hallpass::axum::peer(&head.extensions);
    let now = app.hallpass.now();
    match app.sessions.sign_in(&head, peer, (name, password), now).await {
        Ok(cookie) => Ok(see_other(if is_ours(next) { next } else { CONSOLE }, Some(&cookie))),
        Err(SignInError::Wrong) => {
            let text = "That user name and password do not go together.";
            Err(sign_in_page(&app, StatusCode::FORBIDDEN, Some(text), next))
        }
        Err(SignInError::TooMany) => {
            let text = "Too many attempts. Wait five minutes.";
            let mut response = sign_in_page(&app, StatusCode::TOO_MANY_REQUESTS, Some(text), next);
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("300"));
            Err(response)
        }
        Err(SignInError::Unavailable) => Err(Problem::unavailable().into_response()),
    }
}

/// Whether an address is a path of this app, and of no other: a link that says otherwise was made
/// to lead people away.
fn is_ours(next: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_graphic() && byte != b'\\';
    next.starts_with('/') && !next.starts_with("//") && next.bytes().all(plain)
}

async fn home(State(app): State<App>, request: Request) -> Result<Response, Response> {
    let (head, _) = request.into_parts();
    let who = match app.host.signed_in(&head).await {
        Ok(who) => who,
        Err(Refused::Nobody) => return Ok(see_other("/login?next=/", None)),
        Err(refused) => return Err(answer(&refused)),
    };
    let chosen = app.sessions.product(&head);
    let csrf = app.host.csrf_token(&who).map_err(|_| Problem::unavailable().into_response())?;
    let products: String = Product::ALL
        .into_iter()
        .map(|product| {
            let (name, title) = (product.name(), product.title());
            let badge = if chosen == Some(product) {
                r#" <span class="badge badge-active">Chosen</span>"#
            } else {
                ""
            };
            format!(
                r#"<form class="card pad" method="post" action="/product">
<input type="hidden" name="csrf" value="{csrf}"><input type="hidden" name="product" value="{name}">
<div class="title-line"><h2>{title}</h2>{badge}</div>
<p class="lead small">Its tokens, names and lists have nothing to do with another product's.</p>
<div class="form-end"><button class="btn">Look after its tokens</button></div>
</form>"#
            )
        })
        .collect();
    let name = escape(who.owner().as_str());
    let content = format!(
        r#"<div class="head"><div><h1>Five products</h1><p class="lead">You are {name}. Choose whose tokens you want to look after.</p></div>
<form method="post" action="/logout"><input type="hidden" name="csrf" value="{csrf}"><button class="btn">Sign out</button></form></div>
<div class="tiles">{products}</div>"#
    );
    Ok(page(&app, StatusCode::OK, "Products", &content))
}

async fn choose(State(app): State<App>, request: Request) -> Result<Response, Response> {
    let (head, form, _) = signed_in(&app, request).await?;
    let product = Product::ALL.into_iter().find(|own| own.name() == field(&form, "product"));
    let product =
        product.ok_or_else(|| Problem::bad("there is no such product").into_response())?;
    app.sessions.choose(&head, product);
    Ok(see_other(CONSOLE, None))
}

async fn sign_out(State(app): State<App>, request: Request) -> Result<Response, Response> {
    let (head, ..) = signed_in(&app, request).await?;
    let cookie = app.sessions.sign_out(&head);
    Ok(see_other("/login", Some(&cookie)))
}

/// A form of somebody who is signed in, sent from the demo's own pages.
async fn signed_in(
    app: &App,
    request: Request,
) -> Result<(Parts, Vec<(String, String)>, SignedIn), Response> {
    let (head, form) = read(request).await?;
    let who = app.host.signed_in(&head).await.map_err(|refused| answer(&refused))?;
    let csrf = form.iter().find(|(name, _)| name == "csrf").map(|(_, value)| value.as_str());
    app.host.check_same_site(&head, &who, csrf).map_err(|refused| answer(&refused))?;
    Ok((head, form, who))
}

async fn read(request: Request) -> Result<(Parts, Vec<(String, String)>), Response> {
    let (head, body) = request.into_parts();
    let again = Request::from_parts(head.clone(), body);
    let Form(form) = again.extract().await.map_err(IntoResponse::into_response)?;
    Ok((head, form))
}

fn field<'a>(form: &'a [(String, String)], name: &str) -> &'a str {
    form.iter()
        .find(|(known, _)| known == name)
        .map(|(_, value)| value.as_str())
        .unwrap_or_default()
}

fn answer(refused: &Refused) -> Response {
    match refused {
        Refused::Unavailable(_) => Problem::unavailable().into_response(),
        other => Problem::new(StatusCode::FORBIDDEN, "refused", other).into_response(),
    }
}

fn see_other(url: &str, cookie: Option<&str>) -> Response {
    let mut response = StatusCode::SEE_OTHER.into_response();
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    for (name, value) in [(LOCATION, Some(url)), (SET_COOKIE, cookie)] {
        match value.map(HeaderValue::from_str) {
            None => {}
            Some(Ok(value)) => drop(headers.insert(name, value)),
            Some(Err(_)) => return Problem::bad("the address is malformed").into_response(),
        }
    }
    response
}

/// A page that looks like the console's.
fn page(app: &App, status: StatusCode, title: &str, content: &str) -> Response {
    let css = app.console.stylesheet();
    let html = format!(
        r#"<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>{title} · Demo</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="stylesheet" href="{css}">
</head>
<body>
<header class="bar"><div class="bar-in"><a class="brand" href="/">Demo</a></div></header>
<main>
{content}
</main>
</body>
</html>
"#
    );
    let headers = [
        (
            CONTENT_SECURITY_POLICY,
            "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'self'; \
             frame-ancestors 'none'",
        ),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "same-origin"),
        (CACHE_CONTROL, "no-store"),
    ];
    (status, headers, Html(html)).into_response()
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_are_led_to_paths_of_this_app_only() {
        assert!(is_ours("/") && is_ours("/settings/tokens?q=%20"));
        for next in
            ["", "//evil.example", "https://evil.example", "/\\evil.example", "/a\r\nb", "a"]
        {
            assert!(!is_ours(next), "{next:?}");
        }
    }
}
