//! The data platform: tokens that always let their holder see the profile, work wherever an
//! access token does, and can be exchanged for one.

use std::error::Error;

use axum::Router;
use axum::extract::{RawQuery, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use hallpass::axum::GuardedRouter;
use hallpass::{
    Context, Exchange, ExchangeError, Expiry, Issue, Issued, Kind, KindSet, Verified, VerifyError,
};

use super::app::{App, needs, usual_sources};
use super::body::{Form, Json};
use super::catalog::Product;
use super::problem::Problem;
use super::sign_in::SignedIn;
use super::tokens::{NewToken, created, list_and_delete};

const OWN: Product = Product::Data;

/// The scope that every token of this platform has, asked for or not.
const ALWAYS: &str = "profile";

pub(crate) fn routes(app: &App) -> Result<Router<App>, Box<dyn Error + Send + Sync>> {
    let guarded = GuardedRouter::new(app.boundary_with(usual_sources())?)
        .route("/api/data/v1/profile", needs("profile"), get(profile))
        .route("/api/data/v1/credentials", needs("credentials"), get(credentials));
    Ok(Router::new()
        .route("/api/data/v1/tokens", post(create))
        .merge(list_and_delete(OWN, "/api/data/v1/tokens"))
        .route("/api/data/v1/token", post(exchange))
        .merge(guarded.into_router()?))
}

async fn create(
    State(app): State<App>,
    SignedIn(account): SignedIn,
    Json(new): Json<NewToken>,
) -> Result<Response, Problem> {
    if new.scopes.is_empty() {
        return Err(Problem::bad("ask for at least one scope"));
    }
    app.check_scopes(OWN, &new.scopes)?;
    let expiry = app.data_lifetime.map_or(Expiry::Never, Expiry::In);
    let issue = Issue::new(new.name).scopes(new.scopes).scopes([ALWAYS]).expiry(expiry);
    Ok(created(&app.issue_named(&account, OWN, issue).await?))
}

async fn profile(token: Verified) -> axum::Json<serde_json::Value> {
    axum::Json(serde_json::json!({ "name": token.owner() }))
}

async fn credentials(token: Verified) -> axum::Json<serde_json::Value> {
    let user = token.owner();
    axum::Json(serde_json::json!({ "user": user, "storage": format!("s3://demo-{user}") }))
}

const TOKEN_EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";

/// Most parameters of an exchange.
const MAX_PARAMETERS: usize = 32;

/// Token exchange (RFC 8693) of one's own token: no client, no actor.
async fn exchange(
    State(app): State<App>,
    RawQuery(query): RawQuery,
    form: Result<Form, Problem>,
) -> Result<Response, OauthError> {
    let Ok(Form(pairs)) = form else {
        return Err(OauthError::invalid_request("send a form in the body"));
    };
    if query.is_some() {
        return Err(OauthError::invalid_request("send every parameter in the body"));
    }
    let wish = Wish::read(&pairs)?;
    // The subject is a parameter here, not the credential of the request, so it does not come
    // through the boundary. It meets the same verifier.
    let kinds = KindSet::only(Kind::Personal);
    let context = Context { kinds, ..Context::default() };
    let subject = match app.hallpass.verify(wish.subject, &context).await {
        Ok(verified) if Product::of(verified.tenant()) == Some(OWN) => verified,
        Ok(_) | Err(VerifyError::Denied(_)) => return Err(OauthError::bad_subject()),
        Err(VerifyError::Unavailable(_)) => return Err(OauthError::unavailable()),
    };
    let mut exchange = Exchange::new();
    if let Some(scope) = wish.scope {
        exchange = exchange.scopes(scope.split(' ')).scopes([ALWAYS]);
    }
    let issued = app.hallpass.exchange_verified(&subject, exchange).await?;
    Ok(success(&issued))
}

fn success(issued: &Issued) -> Response {
    let end = issued.token.expires_at;
    let body = serde_json::json!({
        "access_token": issued.plain.expose(),
        "issued_token_type": ACCESS_TOKEN,
        "token_type": "Bearer",
        "expires_in": end.map(|end| end.since(issued.token.created_at).num_seconds()),
        "scope": issued.token.scopes.to_string(),
    });
    ([(header::CACHE_CONTROL, "no-store"), (header::PRAGMA, "no-cache")], axum::Json(body))
        .into_response()
}

/// The parameters of an exchange.
#[derive(Debug)]
struct Wish<'a> {
    subject: &'a str,
    scope: Option<&'a str>,
}

impl<'a> Wish<'a> {
    fn read(pairs: &'a [(String, String)]) -> Result<Self, OauthError> {
        if pairs.len() > MAX_PARAMETERS {
            return Err(OauthError::invalid_request("too many parameters"));
        }
        // Empty is absent (RFC 6749 section 3.1).
        let one = |name: &str| -> Result<Option<&'a str>, OauthError> {
            let mut named = pairs.iter().filter(|(given, _)| given == name);
            match (named.next(), named.next()) {
                (_, Some(_)) => Err(OauthError::invalid_request("a parameter is given twice")),
                (first, None) => {
                    Ok(first.map(|(_, value)| value.as_str()).filter(|v| !v.is_empty()))
                }
            }
        };
        match one("grant_type")? {
            Some(TOKEN_EXCHANGE) => {}
            Some(_) => {
                return Err(OauthError::new("unsupported_grant_type", "only token exchange"));
            }
            None => return Err(OauthError::invalid_request("grant_type is missing")),
        }
        for name in ["actor_token", "actor_token_type", "requested_subject"] {
            if one(name)?.is_some() {
                return Err(OauthError::invalid_request("nobody acts for somebody else here"));
            }
        }
        let is_named = |name: &str| pairs.iter().any(|(n, value)| n == name && !value.is_empty());
        if is_named("audience") || is_named("resource") {
            return Err(OauthError::new("invalid_target", "the token is for this platform only"));
        }
        let given = (one("subject_token")?, one("subject_token_type")?);
        let (Some(subject), Some(ACCESS_TOKEN)) = given else {
            let detail = "subject_token and subject_token_type access_token are needed";
            return Err(OauthError::invalid_request(detail));
        };
        if !matches!(one("requested_token_type")?, None | Some(ACCESS_TOKEN)) {
            return Err(OauthError::invalid_request("only access tokens are issued"));
        }
        for (name, _) in pairs {
            if !matches!(name.as_str(), "audience" | "resource") {
                one(name)?;
            }
        }
        Ok(Self { subject, scope: one("scope")? })
    }
}

/// A failed exchange, as RFC 6749 section 5.2 and RFC 8693 section 2.2.2 tell it.
#[derive(Debug)]
struct OauthError {
    status: StatusCode,
    error: &'static str,
    description: &'static str,
}

impl OauthError {
    fn new(error: &'static str, description: &'static str) -> Self {
        Self { status: StatusCode::BAD_REQUEST, error, description }
    }

    fn invalid_request(description: &'static str) -> Self {
        Self::new("invalid_request", description)
    }

    /// The same for every subject that is not accepted.
    fn bad_subject() -> Self {
        Self::invalid_request("the subject token is invalid")
    }

    fn unavailable() -> Self {
        let status = StatusCode::SERVICE_UNAVAILABLE;
        Self { status, ..Self::new("temporarily_unavailable", "try again in a moment") }
    }
}

impl From<ExchangeError> for OauthError {
    fn from(error: ExchangeError) -> Self {
        match error {
            ExchangeError::Denied(_) => Self::bad_subject(),
            ExchangeError::Settings(_) | ExchangeError::Wider { .. } => {
                Self::new("invalid_scope", "the subject token does not grant this scope")
            }
            ExchangeError::Expiry(_) => Self::invalid_request("the subject token ends too soon"),
            ExchangeError::QuotaFull { .. } => {
                Self::invalid_request("the account holds too many access tokens")
            }
            _ => Self::unavailable(),
        }
    }
}

impl IntoResponse for OauthError {
    fn into_response(self) -> Response {
        let body =
            serde_json::json!({ "error": self.error, "error_description": self.description });
        let headers = [(header::CACHE_CONTROL, "no-store"), (header::PRAGMA, "no-cache")];
        let mut response = (self.status, headers, axum::Json(body)).into_response();
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            let after = header::HeaderValue::from_static("5");
            response.headers_mut().insert(header::RETRY_AFTER, after);
        }
        response
    }
}
