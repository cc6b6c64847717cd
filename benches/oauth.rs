//! Exchanges, JWTs and introspection, beside the bare signature and jsonwebtoken on the same
//! library, in turns.
//!
//! Under `cargo bench` the figures are also written to `criterion/oauth.json` in the target
//! directory, for the report.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a bench that cannot be set up must stop"
)]

#[expect(dead_code, reason = "each bench uses its part")]
mod support;

use std::hint::black_box;
use std::time::{Duration, Instant};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, ED25519, EcdsaKeyPair,
    Ed25519KeyPair, KeyPair as _, ParsedPublicKey,
};
use hallpass::jwt::{Algorithm, JwkSet, JwtIssuer, JwtVerifier, KeyRing, SigningKey};
use hallpass::oauth::{Client, ClientSecret, Clients};
use hallpass::{Context, Exchange, Hallpass, ManualClock, OAuth};
use http::Request;
use http::request::Parts;
use jsonwebtoken::{DecodingKey, EncodingKey, Header, Validation, decode, encode};

use support::{Text, at_now, is_test, now, populated, ready};

const ISSUER: &str = "https://acme.example";

/// One way to do something: how long so many times take.
struct Way {
    name: String,
    run: Box<dyn FnMut(u64) -> Duration>,
}

impl Way {
    /// The same each time.
    fn repeated<T>(name: impl Into<String>, mut step: impl FnMut() -> T + 'static) -> Self {
        let run = move |times| {
            let started = Instant::now();
            for _ in 0..times {
                black_box(step());
            }
            started.elapsed()
        };
        Self { name: name.into(), run: Box::new(run) }
    }

    /// For one token after the other, of an engine that exchanged none of them before.
    fn exchanging<S>(
        name: impl Into<String>,
        prepare: impl Fn(Hallpass) -> S + 'static,
        step: impl Fn(&S, &str) -> usize + 'static,
    ) -> Self {
        let run = move |times| {
            let prepared = prepare(populated(times));
            let mut text = Text::new();
            let started = Instant::now();
            for number in 0..times {
                black_box(step(&prepared, text.of(number)));
            }
            started.elapsed()
        };
        Self { name: name.into(), run: Box::new(run) }
    }
}

fn main() {
    let (rounds, times) = if is_test() { (1, 2) } else { (41, 1000) };
    let mut ways = exchanges();
    for algorithm in [Algorithm::EdDsa, Algorithm::Es256] {
        ways.extend(signatures(algorithm));
    }
    ways.extend(introspections());
    let mut spent = vec![Vec::new(); ways.len()];
    for round in 0..=rounds {
        for (way, spent) in ways.iter_mut().zip(&mut spent) {
            let took = (way.run)(times);
            // The first round warms up.
            if round > 0 {
                spent
                    .push(took.as_secs_f64() * 1e9 / f64::from(u32::try_from(times).expect("few")));
            }
        }
    }
    let mut figures = serde_json::Map::new();
    for (way, mut spent) in ways.iter().zip(spent) {
        spent.sort_unstable_by(f64::total_cmp);
        let median = spent[spent.len() / 2];
        println!("oauth {}: {median:.0} ns, {:.0} a second", way.name, 1e9 / median);
        figures.insert(format!("oauth {}", way.name), median.into());
    }
    if !is_test() {
        support::write_figures("oauth.json", &figures.into());
    }
}

/// A key, and the same for the libraries beside it.
struct Keys {
    algorithm: Algorithm,
    ring: KeyRing,
    der: Vec<u8>,
}

impl Keys {
    fn new(algorithm: Algorithm) -> Self {
        let (key, der) = SigningKey::generate(algorithm).expect("a key");
        Self { algorithm, ring: KeyRing::new(key), der: der.to_vec() }
    }

    fn set(&self) -> JwkSet {
        JwkSet::parse(self.ring.jwks(now()).as_bytes()).expect("a key set")
    }
}

fn exchanges() -> Vec<Way> {
    let here = Context::default();
    let exchange = move |hallpass: &Hallpass, text: &str| {
        let exchanged = ready(hallpass.exchange(text, &here, Exchange::new()));
        exchanged.expect("exchanged").plain.expose().len()
    };
    let mut ways = vec![
        Way::exchanging("exchange/opaque", |hallpass| hallpass, exchange),
        endpoint("exchange/opaque, at the endpoint", None),
    ];
    for algorithm in [Algorithm::EdDsa, Algorithm::Es256] {
        let keys = Keys::new(algorithm);
        let issuer = JwtIssuer::new(ISSUER, keys.ring.clone());
        let name = algorithm.as_str();
        let exchange = move |hallpass: &Hallpass, text: &str| {
            let exchanged = ready(issuer.exchange(hallpass, text, &here, Exchange::new()));
            exchanged.expect("exchanged").plain.expose().len()
        };
        ways.push(Way::exchanging(format!("exchange/JWT {name}"), |hallpass| hallpass, exchange));
        ways.push(endpoint(format!("exchange/JWT {name}, at the endpoint"), Some(keys.ring)));
    }
    ways
}

/// An exchange from the body of a request to that of the response.
fn endpoint(name: impl Into<String>, keys: Option<KeyRing>) -> Way {
    let head = posted();
    let kind = if keys.is_some() { "jwt" } else { "access_token" };
    let form = format!(
        "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange\
         &subject_token_type=urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Aaccess_token\
         &requested_token_type=urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3A{kind}&subject_token="
    );
    let prepare = move |hallpass| {
        let mut builder = OAuth::builder(hallpass, ISSUER);
        if let Some(keys) = &keys {
            builder = builder.jwt(keys.clone());
        }
        builder.build().expect("endpoints")
    };
    Way::exchanging(name, prepare, move |oauth: &OAuth, text| {
        let body = format!("{form}{text}");
        let response = ready(oauth.token(&head, body.as_bytes(), None));
        assert_eq!(response.status(), 200);
        response.body().len()
    })
}

fn posted() -> Parts {
    let request = Request::post("/oauth/token")
        .header("content-type", "application/x-www-form-urlencoded")
        .body(());
    request.expect("a request").into_parts().0
}

/// Making and verifying a JWT with one algorithm.
fn signatures(algorithm: Algorithm) -> Vec<Way> {
    let name = algorithm.as_str();
    let keys = Keys::new(algorithm);
    let hallpass = populated(1);
    let issuer = JwtIssuer::new(ISSUER, keys.ring.clone());
    let mut text = Text::new();
    let exchanged =
        ready(issuer.exchange(&hallpass, text.of(0), &Context::default(), Exchange::new()));
    let jwt = exchanged.expect("exchanged").plain.expose().to_owned();
    let (message, signature) = jwt.rsplit_once('.').expect("three parts");

    let (sign, verify) = bare(&keys, message, signature);
    let clock = ManualClock::at(now());
    let verifier = JwtVerifier::new(ISSUER, ISSUER, keys.set()).clock(clock);
    let set: jsonwebtoken::jwk::JwkSet =
        serde_json::from_str(&keys.ring.jwks(now())).expect("a key set");
    let public = DecodingKey::from_jwk(&set.keys[0]).expect("a key");
    let (peer, private) = match algorithm {
        Algorithm::Es256 => (jsonwebtoken::Algorithm::ES256, EncodingKey::from_ec_der(&keys.der)),
        _ => (jsonwebtoken::Algorithm::EdDSA, EncodingKey::from_ed_der(&keys.der)),
    };
    let mut rules = Validation::new(peer);
    rules.set_audience(&[ISSUER]);
    rules.set_issuer(&[ISSUER]);
    // The instant of the benches is not today.
    rules.validate_exp = false;
    let claims = decode::<serde_json::Value>(&jwt, &public, &rules).expect("good").claims;
    let mut header = Header::new(peer);
    header.typ = Some("at+jwt".to_owned());
    header.kid = set.keys[0].common.key_id.clone();

    let (texts, own) = ([jwt.clone(), jwt.clone(), jwt], issuer);
    let [offline, recorded, decoded] = texts;
    vec![
        sign,
        Way::repeated(format!("sign {name}/jsonwebtoken"), move || {
            encode(&header, &claims, &private).expect("signed")
        }),
        verify,
        Way::repeated(format!("verify {name}/hallpass"), move || {
            ready(verifier.verify(black_box(&offline))).expect("good")
        }),
        Way::repeated(format!("verify {name}/hallpass, and its record"), move || {
            ready(own.verify(&hallpass, black_box(&recorded), &at_now())).expect("good")
        }),
        Way::repeated(format!("verify {name}/jsonwebtoken"), move || {
            let decoded = decode::<serde_json::Value>(black_box(&decoded), &public, &rules);
            decoded.expect("good")
        }),
    ]
}

type Sign = Box<dyn Fn(&[u8])>;

/// The signature alone, made and verified, over the message of a JWT.
fn bare(keys: &Keys, message: &str, signature: &str) -> (Way, Way) {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    let name = keys.algorithm.as_str();
    let signature = URL_SAFE_NO_PAD.decode(signature).expect("base64url");
    let (message, signed) = (message.to_owned(), message.to_owned());
    let (sign, public): (Sign, _) = match keys.algorithm {
        Algorithm::Es256 => {
            let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &keys.der);
            let (pair, random) = (pair.expect("a key"), SystemRandom::new());
            let public = ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, pair.public_key().as_ref());
            let sign = move |message: &[u8]| {
                black_box(pair.sign(&random, message).expect("signed"));
            };
            (Box::new(sign), public)
        }
        _ => {
            let pair = Ed25519KeyPair::from_pkcs8(&keys.der).expect("a key");
            let public = ParsedPublicKey::new(&ED25519, pair.public_key().as_ref());
            let sign = move |message: &[u8]| {
                black_box(pair.sign(message));
            };
            (Box::new(sign), public)
        }
    };
    let public = public.expect("a key");
    let sign = Way::repeated(format!("sign {name}/bare"), move || {
        sign(black_box(message.as_bytes()));
    });
    let verify = Way::repeated(format!("verify {name}/bare"), move || {
        public.verify_sig(black_box(signed.as_bytes()), &signature).expect("good");
    });
    (sign, verify)
}

fn introspections() -> Vec<Way> {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    let keys = Keys::new(Algorithm::EdDsa);
    let hallpass = populated(1);
    let secret = ClientSecret::generate().expect("a secret");
    let client = Client::confidential("gateway", secret.digest_for("gateway")).introspects_app();
    let oauth = OAuth::builder(hallpass.clone(), ISSUER)
        .clients(Clients::none().with(client))
        .jwt(keys.ring.clone())
        .build()
        .expect("endpoints");
    let mut head = posted();
    let basic = format!("Basic {}", STANDARD.encode(format!("gateway:{}", secret.expose())));
    head.headers.insert("authorization", basic.parse().expect("a header"));

    let mut text = Text::new();
    let text = text.of(0);
    let here = Context::default();
    let opaque = ready(hallpass.exchange(text, &here, Exchange::new())).expect("exchanged");
    let issuer = JwtIssuer::new(ISSUER, keys.ring);
    let signed = ready(issuer.exchange(&hallpass, text, &here, Exchange::new()));
    let ways = [
        ("introspect/opaque", opaque.plain.expose().to_owned()),
        ("introspect/JWT EdDSA", signed.expect("exchanged").plain.expose().to_owned()),
    ];
    ways.map(|(name, token)| {
        let (oauth, head, body) = (oauth.clone(), head.clone(), format!("token={token}"));
        Way::repeated(name, move || {
            let response = ready(oauth.introspect(&head, black_box(body.as_bytes())));
            assert!(response.body().starts_with(br#"{"active":true"#));
        })
    })
    .into()
}
