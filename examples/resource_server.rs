//! A service that takes JWT access tokens of another app, over real sockets: it fetches the app's
//! public keys by URL, and asks the app's introspection endpoint whether a token was revoked.
//!
//! `cargo run --example resource_server --features axum,client,fetch,jwt,oauth`

use std::error::Error;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::get;
use hallpass::client::{Client, Credential};
use hallpass::fetch::Endpoint;
use hallpass::jwt::{
    Algorithm, IntrospectionCheck, JwtError, JwtIssuer, JwtVerifier, KeyRing, SigningKey,
};
use hallpass::oauth::{self, ClientSecret, Clients};
use hallpass::{
    Context, Exchange, Hallpass, Issue, MemoryStore, OAuth, Policy, RevocationReason, ScopeCatalog,
};
use tokio::net::TcpListener;

/// `GET /search` of the service, for whoever brings a token with that scope.
async fn search(State(verifier): State<JwtVerifier>, headers: HeaderMap) -> StatusCode {
    let line = headers.get("authorization").and_then(|line| line.to_str().ok());
    let Some(text) = line.and_then(|line| line.strip_prefix("Bearer ")) else {
        return StatusCode::UNAUTHORIZED;
    };
    match verifier.verify(text).await {
        Ok(token) if token.require("search").is_ok() => StatusCode::OK,
        Ok(_) => StatusCode::FORBIDDEN,
        Err(JwtError::Denied) => StatusCode::UNAUTHORIZED,
        // Whether it is good cannot be told; the client keeps it.
        Err(_) => StatusCode::SERVICE_UNAVAILABLE,
    }
}

/// Starts a server on a free port; its address.
async fn serve(listener: TcpListener, router: Router) -> Result<String, Box<dyn Error>> {
    let address = format!("http://{}", listener.local_addr()?);
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(address)
}

/// What the service answers to this token.
async fn ask(service: &str, text: &str) -> Result<u16, Box<dyn Error>> {
    let client = Client::builder(service).token(Credential::from_text(text)?).build()?;
    match client.get("/search").send().await {
        Ok(_) => Ok(200),
        Err(error) => Ok(error.refusal().ok_or("no answer")?.status),
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // The app: tokens, keys, endpoints, and the service as a client of them.
    let hallpass = Hallpass::builder(MemoryStore::new())
        .brand("acme")
        .catalog(ScopeCatalog::of(["search", "other"])?)
        .policy(Policy { exchange_audiences: vec!["search".to_owned()], ..Policy::default() })
        .build()?;
    let keys = KeyRing::new(SigningKey::generate(Algorithm::EdDsa)?.0);
    let secret = ClientSecret::generate()?;
    let client = oauth::Client::confidential("search", secret.digest_for("search"));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let issuer = format!("http://{}", listener.local_addr()?);
    let endpoints = OAuth::builder(hallpass.clone(), &issuer)
        .clients(Clients::none().with(client.introspects_for(["search"])))
        .jwt(keys.clone())
        .build()?;
    serve(listener, hallpass::axum::oauth(endpoints)).await?;

    // The service, elsewhere: it knows the app's address and its own secret there.
    let jwks = Endpoint::new(format!("{issuer}/oauth/jwks.json"))?;
    let introspect = Endpoint::new(format!("{issuer}/oauth/introspect"))?;
    let check = IntrospectionCheck::new(introspect, "search", secret.expose())?;
    let trusting = JwtVerifier::fetching(&issuer, "search", jwks);
    let careful = trusting.clone().revocations(check);
    let mut services = Vec::new();
    for verifier in [careful, trusting] {
        let router = Router::new().route("/search", get(search)).with_state(verifier);
        services.push(serve(TcpListener::bind("127.0.0.1:0").await?, router).await?);
    }

    // Somebody's personal token, exchanged for what the service takes.
    let issue = Issue::new("robot").owner("alice").scopes(["search", "other"]);
    let personal = hallpass.issue(issue).await?;
    let signs = JwtIssuer::new(&issuer, keys);
    let exchange = async |scope: &str| {
        let asked = Exchange::new().audience(["search"]).scopes([scope]);
        signs.exchange(&hallpass, personal.plain.expose(), &Context::default(), asked).await
    };
    let (good, other) = (exchange("search").await?, exchange("other").await?);
    for service in &services {
        assert_eq!(ask(service, good.plain.expose()).await?, 200);
        assert_eq!(ask(service, other.plain.expose()).await?, 403);
        assert_eq!(ask(service, personal.plain.expose()).await?, 401);
    }
    hallpass.revoke(&personal.token.id, RevocationReason::Leaked).await?;
    let [careful, trusting] = services.as_slice() else { return Err("two services".into()) };
    println!("revoked: who asks answers {}", ask(careful, good.plain.expose()).await?);
    assert_eq!(ask(careful, good.plain.expose()).await?, 401);
    println!("who does not: {}, for 10 minutes", ask(trusting, good.plain.expose()).await?);
    assert_eq!(ask(trusting, good.plain.expose()).await?, 200);
    Ok(())
}

#[cfg(test)]
mod tests {
    #[test]
    fn it_runs() {
        super::main().unwrap();
    }
}
