//! The client from crates.io.

use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;

use oauth2::basic::{BasicClient, BasicErrorResponseType, BasicTokenType};
use oauth2::{
    AccessToken, AuthType, ClientId, ClientSecret, EmptyExtraTokenFields, EndpointNotSet,
    EndpointSet, ExtraTokenFields, HttpRequest, HttpResponse, IntrospectionUrl, RefreshToken,
    RequestTokenError, RevocationUrl, Scope, StandardRevocableToken, StandardTokenResponse,
    TokenIntrospectionResponse as _, TokenResponse as _, TokenUrl,
};
use serde::{Deserialize, Serialize};

use crate::Server;

/// A test and its name.
pub(crate) type Case = (&'static str, fn(&Server));

pub(crate) const CASES: &[Case] = &[
    ("oauth2_reads_an_exchange", oauth2_reads_an_exchange),
    ("oauth2_refreshes", oauth2_refreshes),
    ("oauth2_introspects_and_revokes", oauth2_introspects_and_revokes),
    ("oauth2_tells_refusals_apart", oauth2_tells_refusals_apart),
];

type Client = BasicClient<EndpointNotSet, EndpointNotSet, EndpointSet, EndpointSet, EndpointSet>;

/// A client that knows the demo's endpoints. It insists on `https` for revocation, so its requests
/// go to such URLs and [`Server::send`] stands for what ends the TLS.
fn client(server: &Server, id: &str, secret: &str) -> Client {
    let url = |path: &str| format!("https://{}/oauth/{path}", server.address);
    BasicClient::new(ClientId::new(id.to_owned()))
        .set_client_secret(ClientSecret::new(secret.to_owned()))
        .set_auth_type(AuthType::BasicAuth)
        .set_token_uri(TokenUrl::new(url("token")).unwrap())
        .set_introspection_url(IntrospectionUrl::new(url("introspect")).unwrap())
        .set_revocation_url(RevocationUrl::new(url("revoke")).unwrap())
}

impl Server {
    fn nightly_client(&self) -> Client {
        client(self, "2", self.nightly().expose())
    }

    fn gateway_client(&self) -> Client {
        client(self, "gateway", self.gateway().expose())
    }

    /// Sends a request as HTTP/1.1.
    fn send(&self, request: HttpRequest) -> io::Result<HttpResponse> {
        let (head, body) = request.into_parts();
        let mut text = format!("{} {} HTTP/1.1\r\nhost: demo\r\n", head.method, head.uri.path());
        for (name, value) in &head.headers {
            text.push_str(&format!("{name}: {}\r\n", value.to_str().unwrap()));
        }
        text.push_str(&format!("content-length: {}\r\nconnection: close\r\n\r\n", body.len()));
        let mut stream = TcpStream::connect(self.address)?;
        stream.write_all(text.as_bytes())?;
        stream.write_all(&body)?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let mut lines = head.lines();
        let status = lines.next().unwrap().split(' ').nth(1).unwrap();
        let mut response = http::Response::builder().status(status);
        for line in lines {
            let (name, value) = line.split_once(": ").unwrap();
            response = response.header(name, value);
        }
        Ok(response.body(body.as_bytes().to_vec()).unwrap())
    }

    fn sender(&self) -> impl Fn(HttpRequest) -> io::Result<HttpResponse> + '_ {
        |request| self.send(request)
    }

    fn is_active(&self, token: &AccessToken) -> bool {
        let client = self.gateway_client();
        client.introspect(token).request(&self.sender()).unwrap().active()
    }
}

/// What an exchange tells beside what every token response does (RFC 8693 section 2.2.1).
#[derive(Debug, Serialize, Deserialize)]
struct Exchanged {
    issued_token_type: String,
}

impl ExtraTokenFields for Exchanged {}

/// The crate knows no other grants than those of RFC 6749 and RFC 8628, so the request is written
/// here and the answer read by it.
fn oauth2_reads_an_exchange(server: &Server) {
    for kind in ["access_token", "jwt"] {
        let kind = format!("urn:ietf:params:oauth:token-type:{kind}");
        let body = format!(
            "grant_type=urn:ietf:params:oauth:grant-type:token-exchange\
             &subject_token_type=urn:ietf:params:oauth:token-type:access_token\
             &subject_token={}&requested_token_type={kind}&scope=read",
            server.personal()
        );
        let request = http::Request::post("/oauth/token")
            .header("content-type", "application/x-www-form-urlencoded")
            .body(body.into_bytes())
            .unwrap();
        let response = server.send(request).unwrap();
        let token: StandardTokenResponse<Exchanged, BasicTokenType> =
            serde_json::from_slice(response.body()).unwrap();
        assert_eq!(token.token_type(), &BasicTokenType::Bearer);
        assert_eq!(token.extra_fields().issued_token_type, kind);
        assert_eq!(token.scopes(), Some(&vec![Scope::new("read".to_owned())]));
        assert!(token.expires_in().unwrap().as_secs() > 0 && token.refresh_token().is_none());
        assert!(server.is_active(token.access_token()));
    }
}

fn oauth2_refreshes(server: &Server) {
    let client = server.nightly_client();
    let first = RefreshToken::new(server.refresh_token());
    let answer = client
        .exchange_refresh_token(&first)
        .add_scope(Scope::new("read".to_owned()))
        .request(&server.sender())
        .unwrap();
    assert_eq!(answer.expires_in().unwrap().as_secs(), 3600);
    assert_eq!(answer.scopes(), Some(&vec![Scope::new("read".to_owned())]));
    let next = answer.refresh_token().unwrap();
    assert_ne!(next.secret(), first.secret());
    assert!(server.is_active(answer.access_token()));
    let again = client.exchange_refresh_token(next).request(&server.sender()).unwrap();
    assert!(again.refresh_token().is_some() && server.is_active(again.access_token()));
    // Reuse ends all of it.
    assert_eq!(
        refusal(client.exchange_refresh_token(&first).request(&server.sender())),
        "invalid_grant"
    );
    assert!(!server.is_active(again.access_token()));
}

fn oauth2_introspects_and_revokes(server: &Server) {
    let nightly = server.nightly_client();
    let refresh = RefreshToken::new(server.refresh_token());
    let answer = nightly.exchange_refresh_token(&refresh).request(&server.sender()).unwrap();
    let access = answer.access_token().clone();
    let gateway = server.gateway_client();
    let told = gateway
        .introspect(&access)
        .set_token_type_hint("access_token")
        .request(&server.sender())
        .unwrap();
    assert!(told.active());
    assert_eq!(told.sub(), Some("alice"));
    assert_eq!(told.client_id().map(|id| id.as_str()), Some("2"));
    assert_eq!(told.iss(), Some(server.issuer.as_str()));
    assert_eq!((told.exp().unwrap() - told.iat().unwrap()).num_seconds(), 3600);
    let revoke = |client: &Client, token: StandardRevocableToken| {
        client.revoke_token(token).unwrap().request(&server.sender()).unwrap();
    };
    // Of another client it changes nothing, and is answered the same.
    revoke(&gateway, access.clone().into());
    assert!(server.is_active(&access));
    revoke(&nightly, access.clone().into());
    assert!(!server.is_active(&access));
    let next = answer.refresh_token().unwrap();
    let answer = nightly.exchange_refresh_token(next).request(&server.sender()).unwrap();
    // Without its refresh token the grant is over.
    let last = answer.refresh_token().unwrap().clone();
    revoke(&nightly, last.clone().into());
    assert!(!server.is_active(answer.access_token()));
    assert_eq!(
        refusal(nightly.exchange_refresh_token(&last).request(&server.sender())),
        "invalid_grant"
    );
}

fn oauth2_tells_refusals_apart(server: &Server) {
    let refresh = RefreshToken::new(server.refresh_token());
    let send = server.sender();
    let wrong = client(server, "2", "wrong");
    assert_eq!(refusal(wrong.exchange_refresh_token(&refresh).request(&send)), "invalid_client");
    let wider = server.nightly_client();
    let wider = wider.exchange_refresh_token(&refresh).add_scope(Scope::new("openid".to_owned()));
    assert_eq!(refusal(wider.request(&send)), "invalid_scope");
    let password = server.nightly_client();
    let password = password.exchange_client_credentials();
    assert_eq!(refusal(password.request(&send)), "unsupported_grant_type");
    // None of them spent it.
    assert!(server.nightly_client().exchange_refresh_token(&refresh).request(&send).is_ok());
    let asked = server.nightly_client();
    let asked = asked.introspect(&AccessToken::new("x".to_owned())).request(&send).unwrap_err();
    let RequestTokenError::ServerResponse(answer) = asked else { panic!("{asked:?}") };
    assert_eq!(answer.error(), &BasicErrorResponseType::UnauthorizedClient);
}

type Answered = StandardTokenResponse<EmptyExtraTokenFields, BasicTokenType>;

/// The error code of a refusal.
fn refusal(
    answer: Result<
        Answered,
        RequestTokenError<io::Error, oauth2::StandardErrorResponse<BasicErrorResponseType>>,
    >,
) -> String {
    match answer {
        Err(RequestTokenError::ServerResponse(answer)) => answer.error().to_string(),
        other => panic!("not refused: {other:?}"),
    }
}
