//! Who asks: C88, the metadata, and what cannot be set up.

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hallpass::OAuth;
use hallpass::oauth::{Client, ClientRegistry, ClientRegistryError, OAuthError};

use crate::http_support::written;
use crate::oauth_support::{Server, b_with, basic, post};

#[test]
fn c88_a_client_says_who_it_is_in_one_place() {
    let server = Server::new();
    let subject = server.ok();
    let body = b_with(&subject, &[]);
    let secret = server.secret.expose();
    let with =
        |header: String, body: &str| server.token(post().header("authorization", header), body);

    assert_eq!(with(basic("writer", secret), &body).status, 200);
    let named = b_with(&subject, &[("client_id", "writer")]);
    assert_eq!(with(basic("writer", secret), &named).status, 200);
    let proven = b_with(&subject, &[("client_id", "writer"), ("client_secret", secret)]);
    assert_eq!(server.token(post(), &proven).status, 200);

    with(basic("writer", secret), &proven).is_error("invalid_request");
    with(basic("billing", secret), &named).is_error("invalid_request");
    server
        .token(post(), b_with(&subject, &[("client_secret", secret)]))
        .is_error("invalid_request");
    let twice = post()
        .header("authorization", basic("writer", secret))
        .header("authorization", basic("writer", secret));
    server.token(twice, &body).is_error("invalid_request");

    with(basic("writer", "wrong"), &body).is_invalid_client(true);
    with(basic("writer", ""), &body).is_invalid_client(true);
    with(basic("nobody", secret), &body).is_invalid_client(true);
    let wrong = b_with(&subject, &[("client_id", "writer"), ("client_secret", "wrong")]);
    server.token(post(), wrong).is_invalid_client(false);
    server.token(post(), named).is_invalid_client(false);
    let unknown = b_with(&subject, &[("client_id", "nobody")]);
    server.token(post(), unknown).is_invalid_client(false);
}

#[test]
fn a_client_credential_has_one_spelling() {
    let server = Server::new();
    let body = b_with(&server.ok(), &[]);
    let secret = server.secret.expose();
    let with = |header: String| server.token(post().header("authorization", header), &body);
    // Both halves are form-encoded.
    assert_eq!(with(basic("%77riter", secret)).status, 200);
    assert_eq!(with(basic("writer", secret).replace("Basic", "bAsIc")).status, 200);
    let payload = STANDARD.encode(format!("writer:{secret}"));
    for bad in [
        format!("Bearer {secret}"),
        format!("Basic  {payload}"),
        format!("Basic {payload} "),
        format!("Basic\t{payload}"),
        format!("Basic {}", payload.trim_end_matches('=')) + "!",
        "Basic".to_owned(),
        "Basic ".to_owned(),
        basic("writer%2", secret),
        basic("writer%00", secret),
        format!("Basic {}", STANDARD.encode("writer")),
        format!("Basic {}", STANDARD.encode([0xff, b':', b'a'])),
        format!("Basic {}", "A".repeat(9000)),
    ] {
        with(bad).is_invalid_client(true);
    }
}

#[test]
fn a_secret_can_be_replaced_without_a_pause() {
    let next = hallpass::oauth::ClientSecret::generate().unwrap();
    let digest = next.digest_for("both");
    let server = Server::new();
    let old = server.secret.digest_for("both");
    let clients =
        hallpass::oauth::Clients::none().with(Client::confidential("both", old).or_secret(digest));
    let oauth = OAuth::builder(server.world.hallpass.clone(), "https://acme.example")
        .clients(clients)
        .build()
        .unwrap();
    let server = Server { oauth, ..server };
    let body = b_with(&server.ok(), &[]);
    for secret in [server.secret.expose(), next.expose()] {
        let request = post().header("authorization", basic("both", secret));
        assert_eq!(server.token(request, &body).status, 200);
    }
}

#[derive(Debug)]
struct Broken;

#[async_trait]
impl ClientRegistry for Broken {
    async fn find(&self, _: &str) -> Result<Option<Client>, ClientRegistryError> {
        Err(ClientRegistryError("unplugged".into()))
    }
}

#[test]
fn a_registry_out_of_order_is_an_outage() {
    let server = Server::with(|_| {}, |builder| builder.clients(Broken));
    let body = b_with(&server.ok(), &[]);
    let request = post().header("authorization", server.basic("writer"));
    server.token(request, &body).is_unavailable();
    server.introspect_as("gateway", "x").is_unavailable();
    assert_eq!(server.token(post(), &body).status, 200);
}

#[test]
fn h19_the_metadata_lists_what_is_on() {
    let server = Server::with(|_| {}, hallpass::oauth::OAuthBuilder::refresh_tokens);
    let path = &server.oauth.paths().metadata;
    assert_eq!(path, "/.well-known/oauth-authorization-server");
    let ask = |method: &str| {
        let (head, ()) =
            http::Request::builder().method(method).uri(path).body(()).unwrap().into_parts();
        written(&server.oauth.metadata(&head))
    };
    assert_eq!(
        ask("GET"),
        "200\ncache-control: public, max-age=300\ncontent-type: application/json\n\n\
         {\"issuer\":\"https://acme.example\",\
         \"token_endpoint\":\"https://acme.example/oauth/token\",\
         \"introspection_endpoint\":\"https://acme.example/oauth/introspect\",\
         \"revocation_endpoint\":\"https://acme.example/oauth/revoke\",\
         \"scopes_supported\":[\"repo:read\",\"repo:write\",\"repo:admin\",\"hooks\"],\
         \"response_types_supported\":[],\
         \"grant_types_supported\":[\"urn:ietf:params:oauth:grant-type:token-exchange\",\
         \"refresh_token\"],\
         \"token_endpoint_auth_methods_supported\":[\"client_secret_basic\",\
         \"client_secret_post\",\"none\"],\
         \"introspection_endpoint_auth_methods_supported\":[\"client_secret_basic\",\
         \"client_secret_post\"],\
         \"revocation_endpoint_auth_methods_supported\":[\"client_secret_basic\",\
         \"client_secret_post\",\"none\"]}"
    );
    assert_eq!(ask("HEAD"), ask("GET"));
    assert!(ask("POST").starts_with("405\nallow: GET, HEAD\ncache-control: no-store\n"));
}

#[test]
fn an_issuer_with_a_path_has_its_metadata_beside_it() {
    let server = Server::new();
    let hallpass = server.world.hallpass.clone();
    let oauth =
        OAuth::builder(hallpass, "https://h.example/acme").mounted_at("/acme/o").build().unwrap();
    assert_eq!(oauth.paths().metadata, "/.well-known/oauth-authorization-server/acme");
    let (head, ()) = http::Request::get("/").body(()).unwrap().into_parts();
    let text = written(&oauth.metadata(&head));
    assert!(text.contains("\"token_endpoint\":\"https://h.example/acme/o/token\""), "{text}");
}

#[test]
fn what_cannot_be_used_stops_the_start() {
    let server = Server::new();
    let build = |change: fn(hallpass::oauth::OAuthBuilder) -> hallpass::oauth::OAuthBuilder| {
        let builder = OAuth::builder(server.world.hallpass.clone(), "https://acme.example");
        change(builder).build().unwrap_err()
    };
    assert!(matches!(build(|b| b.mounted_at("oauth")), OAuthError::Mount));
    assert!(matches!(build(|b| b.mounted_at("/oauth/")), OAuthError::Mount));
    assert!(matches!(build(|b| b.mounted_at("/{x}")), OAuthError::Mount));
    assert!(matches!(build(|b| b.target("billing", ["unknown"])), OAuthError::Scope(_)));
    assert!(matches!(build(|b| b.target("x", ["repo:read"])), OAuthError::Audience { .. }));
    assert!(matches!(build(|b| b.default_audience(["x"])), OAuthError::Audience { .. }));
    let plain = OAuth::builder(server.world.hallpass.clone(), "http://acme.example");
    assert_eq!(plain.build().unwrap_err(), OAuthError::Issuer);
}

#[test]
fn a_default_audience_stands_in_for_none() {
    let server = Server::with(|_| {}, |builder| builder.default_audience(["billing"]));
    let subject = server.issue("ci", &["repo:admin"]);
    let answer = server.token(post(), b_with(&subject, &[]));
    assert_eq!(answer.text_of("scope"), "repo:write");
    let told = server.introspect_as("billing", &answer.text_of("access_token"));
    assert_eq!(told.json()["aud"], "billing");
}
