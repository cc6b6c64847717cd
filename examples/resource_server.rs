//! A service that takes JWT access tokens of another app: it fetches the app's public keys and
//! asks the app whether a token was revoked, with whatever HTTP client it has.
//!
//! `cargo run --example resource_server --features jwt`

use std::error::Error;

use async_trait::async_trait;
use hallpass::jwt::{
    Algorithm, FetchKeys, JwtClaims, JwtError, JwtIssuer, JwtVerifier, KeyRing, KeysError,
    RevocationCheck, RevocationCheckError, SigningKey,
};
use hallpass::{
    Context, Exchange, Hallpass, Issue, MemoryStore, Policy, RevocationReason, ScopeCatalog,
};

const ISSUER: &str = "https://acme.example";

/// The app, as the service sees it. A real one sends HTTP requests here.
#[derive(Debug, Clone)]
struct App {
    hallpass: Hallpass,
    issuer: JwtIssuer,
}

/// `GET https://acme.example/oauth/jwks.json`
#[async_trait]
impl FetchKeys for App {
    async fn fetch(&self) -> Result<Vec<u8>, KeysError> {
        Ok(self.issuer.keys().jwks(self.hallpass.now()).into_bytes())
    }
}

/// `POST https://acme.example/oauth/introspect`, as a registered client.
#[async_trait]
impl RevocationCheck for App {
    async fn is_live(&self, token: &JwtClaims) -> Result<bool, RevocationCheckError> {
        self.hallpass.is_live(token).await
    }
}

/// What the service answers to `GET /search` with this text as bearer token.
async fn search(verifier: &JwtVerifier, text: &str) -> u16 {
    match verifier.verify(text).await {
        Ok(token) if token.require("search").is_ok() => 200,
        Ok(_) => 403,
        Err(JwtError::Denied) => 401,
        // Whether it is good cannot be told; the client keeps it.
        Err(JwtError::Keys(_) | JwtError::Revocations(_)) => 503,
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let hallpass = Hallpass::builder(MemoryStore::new())
        .brand("acme")
        .catalog(ScopeCatalog::of(["search", "other"])?)
        .policy(Policy { exchange_audiences: vec!["search".to_owned()], ..Policy::default() })
        .build()?;
    let (key, _) = SigningKey::generate(Algorithm::EdDsa)?;
    let app = App { hallpass, issuer: JwtIssuer::new(ISSUER, KeyRing::new(key)) };

    // A gate on the internet asks about each token, a busy one inside does not.
    let careful = JwtVerifier::fetching(ISSUER, "search", app.clone()).revocations(app.clone());
    let fast = JwtVerifier::fetching(ISSUER, "search", app.clone());

    let issue = Issue::new("robot").owner("alice").scopes(["search", "other"]);
    let personal = app.hallpass.issue(issue).await?;
    let exchange = |scope: &str| {
        let asked = Exchange::new().audience(["search"]).scopes([scope]);
        let (app, text) = (app.clone(), personal.plain.expose());
        async move { app.issuer.exchange(&app.hallpass, text, &Context::default(), asked).await }
    };
    let (good, other) = (exchange("search").await?, exchange("other").await?);
    assert_eq!(search(&careful, good.plain.expose()).await, 200);
    assert_eq!(search(&careful, other.plain.expose()).await, 403);
    assert_eq!(search(&careful, "eyJhbGciOiJub25lIn0.e30.").await, 401);

    app.hallpass.revoke(&personal.token.id, RevocationReason::Leaked).await?;
    println!("revoked: who asks answers {}", search(&careful, good.plain.expose()).await);
    assert_eq!(search(&careful, good.plain.expose()).await, 401);
    println!("who does not: {}, for 10 minutes", search(&fast, good.plain.expose()).await);
    assert_eq!(search(&fast, good.plain.expose()).await, 200);
    Ok(())
}

#[cfg(test)]
mod tests {
    #[test]
    fn it_runs() {
        super::main().unwrap();
    }
}
