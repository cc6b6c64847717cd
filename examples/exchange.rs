//! A personal access token is exchanged for a short-lived JWT, with which a second service is
//! called that knows neither the token nor the database.
//!
//! `cargo run --example exchange --features oauth,jwt`

use std::error::Error;

use bytes::Bytes;
use hallpass::jwt::{Algorithm, JwkSet, JwtVerifier, KeyRing, SigningKey};
use hallpass::{Hallpass, Issue, MemoryStore, OAuth, Policy, ScopeCatalog};
use http::{Request, Response};

const ISSUER: &str = "https://acme.example";
const BILLING: &str = "https://billing.example";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    // The app: it has the tokens, the endpoints and the keys.
    let hallpass = Hallpass::builder(MemoryStore::new())
        .brand("acme")
        .catalog(ScopeCatalog::of(["invoices:read", "invoices:write"])?)
        .policy(Policy { exchange_audiences: vec![BILLING.to_owned()], ..Policy::default() })
        .build()?;
    let (key, _keep_where_secrets_are_kept) = SigningKey::generate(Algorithm::Es256)?;
    let keys = KeyRing::new(key);
    let oauth = OAuth::builder(hallpass.clone(), ISSUER).jwt(keys.clone()).build()?;

    // Somebody's personal token, for everything to do with invoices.
    let issue = Issue::new("nightly").owner("alice").scopes(["invoices:read", "invoices:write"]);
    let personal = hallpass.issue(issue).await?;

    // What a job does first: any OAuth client can send this.
    let response = exchange(&oauth, personal.plain.expose(), "invoices:read").await?;
    let answer: Answer = serde_json::from_slice(response.body())?;
    println!("exchanged for {} seconds of {}", answer.expires_in, answer.scope);
    let jwt = answer.access_token.as_str();

    // The second service: it has the issuer's public keys, from a file or its `jwks_uri`.
    let published = keys.jwks(hallpass.now());
    let service = JwtVerifier::new(ISSUER, BILLING, JwkSet::parse(published.as_bytes())?);
    let claims = service.verify(jwt).await?;
    println!("billing is called for {}", claims.subject());
    assert!(claims.require("invoices:read").is_ok());
    assert!(claims.require("invoices:write").is_err(), "the job did not ask for it");
    assert!(service.verify(personal.plain.expose()).await.is_err(), "billing takes JWTs only");

    // More than the token grants is refused, and so is exchanging what was exchanged.
    let wider = exchange(&oauth, personal.plain.expose(), "invoices:admin").await?;
    println!("more: {}", std::str::from_utf8(wider.body())?);
    assert_eq!(wider.status(), 400);
    assert_eq!(exchange(&oauth, jwt, "invoices:read").await?.status(), 400);
    Ok(())
}

/// What the token endpoint answers.
#[derive(serde::Deserialize)]
struct Answer {
    access_token: String,
    expires_in: u64,
    scope: String,
}

async fn exchange(
    oauth: &OAuth,
    token: &str,
    scope: &str,
) -> Result<Response<Bytes>, Box<dyn Error>> {
    let request = Request::post(&oauth.paths().token)
        .header("content-type", "application/x-www-form-urlencoded")
        .body(format!(
            "grant_type=urn:ietf:params:oauth:grant-type:token-exchange\
             &subject_token_type=urn:ietf:params:oauth:token-type:access_token\
             &requested_token_type=urn:ietf:params:oauth:token-type:jwt\
             &subject_token={token}&audience={BILLING}&scope={scope}"
        ))?;
    let (head, body) = request.into_parts();
    Ok(oauth.token(&head, body.as_bytes(), None).await)
}

#[cfg(test)]
mod tests {
    #[test]
    fn it_runs() {
        super::main().unwrap();
    }
}
