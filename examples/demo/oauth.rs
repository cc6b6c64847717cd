//! The OAuth endpoints: any token of any product is exchanged for a short-lived one, opaque or a
//! JWT, and applications refresh theirs.

use std::error::Error;

use axum::Router;
use hallpass::jwt::{Algorithm, JwtIssuer, KeyRing, SigningKey};
use hallpass::oauth::{Client, ClientSecret, Clients};
use hallpass::{Hallpass, OAuth};

use super::app::App;
use super::automation::APPLICATIONS;
use super::catalog::Product;
use super::guide::{Step, keep};

/// A service beside the demo, for which tokens are exchanged. It verifies JWTs by itself.
pub(crate) const REPORTS: &str = "https://reports.example";

/// The client that stands for such a service and for whatever is in front of the demo.
pub(crate) const GATEWAY: &str = "gateway";

/// The clients and their secrets, which are new each time the demo starts.
#[derive(Debug)]
pub(crate) struct Registered {
    pub(crate) gateway: ClientSecret,
    pub(crate) nightly: ClientSecret,
}

/// The endpoints, the issuer of JWTs, and who is registered.
#[derive(Debug)]
pub(crate) struct Endpoints {
    pub(crate) oauth: OAuth,
    pub(crate) jwt: JwtIssuer,
    pub(crate) registered: Registered,
}

impl Endpoints {
    /// Sets the endpoints up for a demo that clients know by this URL.
    ///
    /// # Errors
    /// The URL is none that clients can trust, or no key or secret can be made.
    pub(crate) fn new(
        hallpass: &Hallpass,
        issuer: &str,
    ) -> Result<Self, Box<dyn Error + Send + Sync>> {
        let registered =
            Registered { gateway: ClientSecret::generate()?, nightly: ClientSecret::generate()? };
        let [(command_line, _), (nightly, _)] =
            APPLICATIONS.map(|(id, name)| (id.to_string(), name));
        let automation = Product::Automation.tenant();
        let gateway = registered.gateway.digest_for(GATEWAY);
        let clients = Clients::none()
            // Runs on people's machines, where no secret is kept.
            .with(Client::public(command_line).in_tenant(automation.clone()))
            .with(
                Client::confidential(nightly.as_str(), registered.nightly.digest_for(&nightly))
                    .in_tenant(automation),
            )
            .with(
                Client::confidential(GATEWAY, gateway)
                    .in_every_tenant()
                    .introspects_for([REPORTS])
                    .introspects_app(),
            );
        // A real app keeps the key where it keeps its other secrets. Here a JWT of before a restart
        // is refused, as is a session of before one elsewhere.
        let keys = KeyRing::new(SigningKey::generate(Algorithm::Es256)?.0);
        let oauth = OAuth::builder(hallpass.clone(), issuer)
            .clients(clients)
            .refresh_tokens()
            .jwt(keys.clone())
            .build()
            .map_err(|error| format!("clients cannot know the demo as {issuer}: {error}"))?;
        Ok(Self { oauth, jwt: JwtIssuer::new(issuer, keys), registered })
    }
}

pub(crate) fn routes(app: &App) -> Router<App> {
    hallpass::axum::oauth(app.endpoints.oauth.clone())
}

/// What `introduce` prints of the clients: their ids, their secrets, and what they are.
pub(crate) fn clients(registered: &Registered) -> [(String, String, &'static str); 3] {
    let [(command_line, on_machines), (nightly, jobs)] = APPLICATIONS;
    [
        (command_line.to_string(), "has no secret".to_owned(), on_machines),
        (nightly.to_string(), registered.nightly.expose().to_owned(), jobs),
        (GATEWAY.to_owned(), registered.gateway.expose().to_owned(), "may ask about tokens"),
    ]
}

/// The OAuth part of the guide. `alice` is how curl signs her in.
pub(crate) fn steps(address: &str, alice: &str, registered: &Registered) -> Vec<Step> {
    let step = |title, status, command| Step { title, status, command };
    let url = |path: &str| format!("{address}{path}");
    let make = |fields: &str| {
        format!(
            "curl -s -X POST {} {alice} -H 'Content-Type: application/json' -d '{{{fields}}}'",
            url("/api/gateway/v1/tokens/")
        )
    };
    let exchange = |more: &str| {
        format!(
            "curl -s {} -d grant_type=urn:ietf:params:oauth:grant-type:token-exchange \
             -d subject_token_type=urn:ietf:params:oauth:token-type:access_token \
             -d \"subject_token=$PAT\"{more}",
            url("/oauth/token")
        )
    };
    let call = |name: &str| format!("curl -s {} -H \"Authorization: Bearer ${name}\"", url("/me"));
    let gateway = format!("-u {GATEWAY}:{}", registered.gateway.expose());
    let ask =
        |name: &str| format!("curl -s {} {gateway} -d \"token=${name}\"", url("/oauth/introspect"));
    let refreshed = format!(
        "curl -s {} -d client_id=1 -d grant_type=refresh_token -d \"refresh_token=$REFRESH\"",
        url("/oauth/token")
    );
    vec![
        step(
            "OAuth: make a token to exchange",
            201,
            keep(&make("\"description\":\"CI\",\"scope\":\"write\""), &[("PAT", "token")]),
        ),
        step(
            "exchange it for one that lives for 15 minutes and only reads",
            200,
            keep(&exchange(" -d scope=read"), &[("SHORT", "access_token")]),
        ),
        step("use that", 200, call("SHORT")),
        step(
            "exchange it for a JWT",
            200,
            keep(
                &exchange(" -d requested_token_type=urn:ietf:params:oauth:token-type:jwt"),
                &[("JWT", "access_token")],
            ),
        ),
        step("use that", 200, call("JWT")),
        step("the keys that verify it", 200, format!("curl -s {}", url("/oauth/jwks.json"))),
        step("ask what a token is worth, as a registered client", 200, ask("SHORT")),
        step(
            "whoever holds a token may end it",
            200,
            format!("curl -s {} -d \"token=$PAT\"", url("/oauth/revoke")),
        ),
        step("what was exchanged from it ends too", 401, call("SHORT")),
        step("in either form", 401, call("JWT")),
        step("and is worth nothing", 200, ask("JWT")),
        step(
            "make a token for an application",
            201,
            keep(
                &make("\"description\":\"laptop\",\"scope\":\"read\",\"application\":1"),
                &[("APP", "token"), ("APP_ID", "id"), ("REFRESH", "refresh_token")],
            ),
        ),
        step(
            "refresh it",
            200,
            keep(&refreshed, &[("APP", "access_token"), ("REFRESH", "refresh_token")]),
        ),
        step("use it", 200, call("APP")),
        step(
            "delete it, and with it what could refresh it",
            204,
            format!("curl -s -X DELETE {}$APP_ID/ {alice}", url("/api/gateway/v1/tokens/")),
        ),
        step(
            "where everything is",
            200,
            format!("curl -s {}", url("/.well-known/oauth-authorization-server")),
        ),
    ]
}
