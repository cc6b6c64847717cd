//! What the tests of the OAuth endpoints share.

use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use hallpass::oauth::{Client, ClientSecret, Clients, OAuthBuilder};
use hallpass::{Issue, Issued, OAuth, Policy, Tenant};
use http::request::Builder;
use http::{Request, Response};
use serde_json::Value;

use crate::http_support::written;
use crate::world::{World, ci, run};

pub(crate) const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
pub(crate) const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
pub(crate) const FORM: &str = "application/x-www-form-urlencoded";

/// The endpoints on a world of their own.
///
/// `billing` is a client for the audiences `billing` and `https://billing.example`, `gateway` one
/// that may ask about the app's own tokens, `writer` one that may not ask at all, `elsewhere` one
/// of another tenant; `phone` cannot keep a secret.
pub(crate) struct Server {
    pub(crate) world: World,
    pub(crate) oauth: OAuth,
    pub(crate) secret: ClientSecret,
}

impl Server {
    pub(crate) fn new() -> Self {
        Self::with(|_| {}, |builder| builder)
    }

    pub(crate) fn with(
        policy: impl FnOnce(&mut Policy),
        change: impl FnOnce(OAuthBuilder) -> OAuthBuilder,
    ) -> Self {
        let world = World::with(|own| {
            own.exchange_audiences =
                ["billing", "search", "https://billing.example"].map(Into::into).to_vec();
            policy(own);
        });
        let secret = ClientSecret::generate().unwrap();
        let confidential = |id: &str| Client::confidential(id, secret.digest_for(id));
        let billing = ["billing", "https://billing.example"];
        let clients = Clients::none()
            .with(confidential("billing").exchanges_for(billing).introspects_for(billing))
            .with(confidential("gateway").introspects_app())
            .with(confidential("writer"))
            .with(
                confidential("elsewhere")
                    .in_tenant(Tenant::parse("other").unwrap())
                    .introspects_for(billing)
                    .introspects_app(),
            )
            .with(Client::public("phone"));
        let builder = OAuth::builder(world.hallpass.clone(), "https://acme.example")
            .clients(clients)
            .target("billing", ["repo:write", "hooks"]);
        let oauth = change(builder).build().unwrap();
        Self { world, oauth, secret }
    }

    /// The corpus calls it OK.
    pub(crate) fn ok(&self) -> Issued {
        self.world.issue(ci("ok"))
    }

    pub(crate) fn issue(&self, name: &str, scopes: &[&str]) -> Issued {
        self.world.issue(Issue::new(name).owner("u1").scopes(scopes.iter().copied()))
    }

    pub(crate) fn basic(&self, client: &str) -> String {
        basic(client, self.secret.expose())
    }

    pub(crate) fn token(&self, request: Builder, body: impl AsRef<[u8]>) -> Answer {
        let peer: IpAddr = "192.0.2.7".parse().unwrap();
        let (head, ()) = request.body(()).unwrap().into_parts();
        Answer::from(run(self.oauth.token(&head, body.as_ref(), Some(peer))))
    }

    /// Sends parameters to the token endpoint, without saying who.
    pub(crate) fn ask(&self, pairs: &[(&str, &str)]) -> Answer {
        self.token(post(), form(pairs))
    }

    pub(crate) fn ask_as(&self, client: &str, pairs: &[(&str, &str)]) -> Answer {
        self.token(post().header("authorization", self.basic(client)), form(pairs))
    }

    pub(crate) fn introspect(&self, request: Builder, body: impl AsRef<[u8]>) -> Answer {
        let (head, ()) = request.body(()).unwrap().into_parts();
        Answer::from(run(self.oauth.introspect(&head, body.as_ref())))
    }

    pub(crate) fn introspect_as(&self, client: &str, text: &str) -> Answer {
        let request = post().header("authorization", self.basic(client));
        self.introspect(request, form(&[("token", text)]))
    }

    pub(crate) fn revoke(&self, request: Builder, body: impl AsRef<[u8]>) -> Answer {
        let (head, ()) = request.body(()).unwrap().into_parts();
        Answer::from(run(self.oauth.revoke(&head, body.as_ref())))
    }
}

pub(crate) fn post() -> Builder {
    Request::post("/oauth/token").header("content-type", FORM)
}

pub(crate) fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
}

/// The baseline valid request of the corpus, B.
pub(crate) fn b(subject: &Issued) -> Vec<(&'static str, String)> {
    vec![
        ("grant_type", EXCHANGE.to_owned()),
        ("subject_token", subject.plain.expose().to_owned()),
        ("subject_token_type", ACCESS_TOKEN.to_owned()),
    ]
}

/// B and more.
pub(crate) fn b_with(subject: &Issued, more: &[(&'static str, &str)]) -> String {
    let mut pairs = b(subject);
    pairs.extend(more.iter().map(|(name, value)| (*name, (*value).to_owned())));
    encoded(&pairs)
}

pub(crate) fn encoded(pairs: &[(&'static str, String)]) -> String {
    let pairs: Vec<_> = pairs.iter().map(|(name, value)| (*name, value.as_str())).collect();
    form(&pairs)
}

pub(crate) fn form(pairs: &[(&str, &str)]) -> String {
    let encode = |text: &str| {
        text.bytes().fold(String::new(), |mut encoded, byte| {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' => {
                    encoded.push(char::from(byte));
                }
                b' ' => encoded.push('+'),
                other => encoded.push_str(&format!("%{other:02X}")),
            }
            encoded
        })
    };
    let pairs: Vec<_> =
        pairs.iter().map(|(name, value)| format!("{}={}", encode(name), encode(value))).collect();
    pairs.join("&")
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Status, header lines sorted by name, body.
    pub(crate) text: String,
    body: Bytes,
}

impl From<Response<Bytes>> for Answer {
    fn from(response: Response<Bytes>) -> Self {
        let text = written(&response);
        Self { status: response.status().as_u16(), text, body: response.into_body() }
    }
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// The member of a response that is a text.
    pub(crate) fn text_of(&self, member: &str) -> String {
        self.json()[member].as_str().unwrap_or_else(|| panic!("{}", self.text)).to_owned()
    }

    /// Asserts that this is H12, whole.
    #[track_caller]
    pub(crate) fn is_error(&self, error: &str) {
        assert_eq!(self.status, 400, "{}", self.text);
        let json = self.json();
        assert_eq!(json["error"], error, "{}", self.text);
        let description = json["error_description"].as_str().unwrap();
        assert_eq!(
            self.text,
            format!(
                "400\ncache-control: no-store\ncontent-type: application/json\npragma: no-cache\n\n\
                 {{\"error\":\"{error}\",\"error_description\":\"{description}\"}}"
            )
        );
    }

    /// Asserts that this is H14 for a method other than POST, whole.
    #[track_caller]
    pub(crate) fn is_method_refused(&self) {
        assert_eq!(
            self.text,
            "405\nallow: POST\ncache-control: no-store\ncontent-type: application/json\n\
             pragma: no-cache\n\n{\"error\":\"invalid_request\",\
             \"error_description\":\"The method is not allowed\"}"
        );
    }

    /// Asserts that this is H13, whole.
    #[track_caller]
    pub(crate) fn is_invalid_client(&self, challenged: bool) {
        let challenge = if challenged {
            "www-authenticate: Basic realm=\"acme\", charset=\"UTF-8\"\n"
        } else {
            ""
        };
        assert_eq!(
            self.text,
            format!(
                "401\ncache-control: no-store\ncontent-type: application/json\npragma: no-cache\n\
                 {challenge}\n{{\"error\":\"invalid_client\",\
                 \"error_description\":\"Client authentication failed\"}}"
            )
        );
    }

    /// Asserts that this is H8 as the endpoints say it.
    #[track_caller]
    pub(crate) fn is_unavailable(&self) {
        assert_eq!(
            self.text,
            "503\ncache-control: no-store\ncontent-type: application/json\npragma: no-cache\n\
             retry-after: 5\n\n{\"error\":\"temporarily_unavailable\",\
             \"error_description\":\"This cannot be told right now\"}"
        );
    }
}
