//! JWT access tokens: C90 to C104.

use std::sync::Arc;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::TimeDelta;
use hallpass::jwt::{Algorithm, JwkSet, JwtError, JwtIssuer, JwtVerifier, KeyRing, SigningKey};
use hallpass::{
    Context, DenialReason, Exchange, ExchangeError, Issued, Resources, RevocationReason, Tenant,
};
use serde_json::{Value, json};

use crate::jwt_keys::Fetcher;
use crate::world::{Fault, Step, World, ci, micro, run, start};

pub(crate) const ISSUER: &str = "https://acme.example";

/// A world with an issuer, and the key it signs with.
pub(crate) struct Mint {
    pub(crate) world: World,
    pub(crate) issuer: JwtIssuer,
    pair: EcdsaKeyPair,
    pub(crate) kid: String,
    /// The id of a live access token for `us`.
    record: String,
}

impl Mint {
    pub(crate) fn new() -> Self {
        Self::with(|_| {})
    }

    pub(crate) fn with(policy: impl FnOnce(&mut hallpass::Policy)) -> Self {
        let world = World::with(|own| {
            own.exchange_audiences = vec!["us".into(), "them".into()];
            policy(own);
        });
        let (key, der) = SigningKey::generate(Algorithm::Es256).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &der).unwrap();
        let kid = key.public().kid().to_owned();
        let parent = world.token("the record's");
        let for_us = Exchange::new().audience(["us"]);
        let text = parent.plain.expose();
        let issued = run(world.hallpass.exchange(text, &Context::default(), for_us)).unwrap();
        let record = issued.token.id.to_string();
        Self { world, issuer: JwtIssuer::new(ISSUER, KeyRing::new(key)), pair, kid, record }
    }

    fn keys(&self) -> JwkSet {
        JwkSet::parse(self.issuer.keys().jwks(self.world.now()).as_bytes()).unwrap()
    }

    /// A service that only verifies.
    pub(crate) fn offline(&self) -> JwtVerifier {
        JwtVerifier::new(ISSUER, "us", self.keys()).clock(Arc::clone(&self.world.clock))
    }

    /// One that asks whether tokens were revoked.
    fn online(&self) -> JwtVerifier {
        self.offline().revocations(self.world.hallpass.clone())
    }

    pub(crate) fn exchange(
        &self,
        parent: &Issued,
        exchange: Exchange,
    ) -> Result<String, ExchangeError> {
        let text = parent.plain.expose();
        let exchanged =
            run(self.issuer.exchange(&self.world.hallpass, text, &Context::default(), exchange));
        exchanged.map(|issued| issued.plain.expose().to_owned())
    }

    pub(crate) fn jwt(&self) -> (Issued, String) {
        let parent = self.world.token("ci");
        let text = self.exchange(&parent, Exchange::new().audience(["us"])).unwrap();
        (parent, text)
    }

    pub(crate) fn header(&self) -> Value {
        json!({"alg": "ES256", "typ": "at+jwt", "kid": self.kid})
    }

    pub(crate) fn claims(&self) -> Value {
        let now = self.world.now().as_micros() / 1_000_000;
        json!({
            "iss": ISSUER, "sub": "u1", "aud": "us", "client_id": "c", "jti": self.record,
            "iat": now, "exp": now + 600, "scope": "repo:read",
        })
    }

    pub(crate) fn signed(&self, header: &str, claims: &str) -> String {
        let message =
            format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
        let signature = self.pair.sign(&SystemRandom::new(), message.as_bytes()).unwrap();
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature.as_ref()))
    }

    /// Whether a service that only verifies accepts the text.
    fn accepts_offline(&self, text: &str) -> bool {
        accepts(&self.offline(), text)
    }

    /// The same, and the app's own boundary agrees: it lets the token in, or gives the answer that
    /// every bad token gets.
    fn accepts(&self, text: &str) -> bool {
        let accepted = self.accepts_offline(text);
        #[cfg(feature = "http")]
        if let Some(let_in) = crate::http_jwt::lets_in(self, text) {
            let lenient = self.offline().leeway(TimeDelta::seconds(30));
            assert!(let_in || !accepted, "the boundary is stricter: {text}");
            assert!(!let_in || accepts(&lenient, text), "the boundary is laxer: {text}");
        }
        accepted
    }

    /// Whether a well-signed token is accepted whose header member is another, or gone.
    fn with_header(&self, member: &str, value: Value) -> bool {
        let header = replaced(self.header(), member, value);
        self.accepts(&self.signed(&header.to_string(), &self.claims().to_string()))
    }

    fn with_claim(&self, member: &str, value: Value) -> bool {
        let claims = replaced(self.claims(), member, value);
        self.accepts(&self.signed(&self.header().to_string(), &claims.to_string()))
    }

    /// Whether a token is accepted whose claim is spelled like this.
    fn with_raw(&self, member: &str, spelled: &str) -> bool {
        let claims = replaced(self.claims(), member, json!("@@")).to_string();
        let claims = claims.replace("\"@@\"", spelled);
        self.accepts(&self.signed(&self.header().to_string(), &claims))
    }
}

fn accepts(verifier: &JwtVerifier, text: &str) -> bool {
    match run(verifier.verify(text)) {
        Ok(_) => true,
        Err(JwtError::Denied) => false,
        Err(other) => panic!("{other:?}"),
    }
}

/// Stands for a member that is left out.
pub(crate) fn absent() -> Value {
    json!("\u{0}absent")
}

pub(crate) fn replaced(mut object: Value, member: &str, value: Value) -> Value {
    let members = object.as_object_mut().unwrap();
    if value == absent() {
        members.remove(member);
    } else {
        members.insert(member.to_owned(), value);
    }
    object
}

#[test]
fn a_jwt_says_what_rfc_9068_asks_and_no_more() {
    let mint = Mint::new();
    let other = Tenant::parse("other").unwrap();
    let parent = mint
        .world
        .issue(ci("secret name").scopes(["repo:write", "session"]).on(["org/*"]).tenant(other));
    let text = mint.exchange(&parent, Exchange::new().audience(["us", "them"])).unwrap();
    let part = |index: usize| -> Value {
        let part = text.split('.').nth(index).unwrap();
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
    };
    assert_eq!(part(0), mint.header());
    let now = start().as_micros() / 1_000_000;
    let jti = part(1)["jti"].as_str().unwrap().to_owned();
    assert_eq!(
        part(1),
        json!({
            "iss": ISSUER, "sub": "u1", "aud": ["them", "us"],
            "client_id": parent.token.id.as_str(), "jti": jti, "iat": now, "exp": now + 600,
            "scope": "repo:read repo:write", "resources": ["org/*"], "tenant": "other",
        })
    );
    let claims = run(mint.online().verify(&text)).unwrap();
    assert!(claims.require("repo:read").is_ok() && claims.require("session").is_err());
    assert!(claims.on("org/x").is_ok() && claims.on("elsewhere").is_err());
    assert_eq!((claims.subject(), claims.tenant(), claims.id()), ("u1", Some("other"), &*jti));
    let record = run(mint.world.hallpass.get(&jti.parse().unwrap())).unwrap().unwrap();
    assert_eq!(record.parent, Some(parent.token.id));
}

#[test]
fn every_algorithm_signs_and_is_verified() {
    for algorithm in [Algorithm::Es256, Algorithm::EdDsa, Algorithm::Rs256] {
        let mut mint = Mint::new();
        let (key, _) = SigningKey::generate(algorithm).unwrap();
        mint.issuer = JwtIssuer::new(ISSUER, KeyRing::new(key));
        let (_, text) = mint.jwt();
        assert!(mint.accepts(&text), "{algorithm:?}");
        // A library that knows nothing of hallpass agrees.
        let jwks = mint.issuer.keys().jwks(mint.world.now());
        let set: jsonwebtoken::jwk::JwkSet = serde_json::from_str(&jwks).unwrap();
        let key = jsonwebtoken::DecodingKey::from_jwk(&set.keys[0]).unwrap();
        let mut rules = jsonwebtoken::Validation::new(algorithm.as_str().parse().unwrap());
        rules.set_audience(&["us"]);
        rules.validate_exp = false;
        let decoded = jsonwebtoken::decode::<Value>(&text, &key, &rules).unwrap();
        assert_eq!(decoded.claims["sub"], "u1");
    }
}

#[test]
fn c90_a_revoked_parent_ends_a_jwt_where_somebody_asks() {
    let mint = Mint::new();
    let (parent, text) = mint.jwt();
    assert!(run(mint.online().verify(&text)).is_ok());
    let requested = RevocationReason::Requested;
    run(mint.world.hallpass.revoke(&parent.token.id, requested)).unwrap();
    assert!(matches!(run(mint.online().verify(&text)), Err(JwtError::Denied)));
    // Who does not ask accepts it until it ends, and no longer.
    assert!(mint.accepts_offline(&text));
    mint.world.advance(TimeDelta::minutes(10) - micro());
    assert!(mint.accepts_offline(&text));
    mint.world.advance(micro());
    assert!(!mint.accepts_offline(&text));
    // Not to be told is not a denial.
    let (_, text) = {
        mint.world.clock.set(start());
        (0, mint.exchange(&mint.world.token("b"), Exchange::new().audience(["us"])).unwrap())
    };
    mint.world.store.cool();
    mint.world.store.breaks(Step::Find, Fault::Fails);
    assert!(matches!(run(mint.online().verify(&text)), Err(JwtError::Revocations(_))));
}

#[test]
fn c91_c92_the_key_decides_the_algorithm() {
    let mint = Mint::new();
    assert!(mint.with_header("alg", json!("ES256")), "the control");
    for alg in
        ["none", "None", "NONE", "HS256", "HS512", "ES384", "PS256", "RS256", "EdDSA", "es256", ""]
    {
        assert!(!mint.with_header("alg", json!(alg)), "{alg}");
    }
    for alg in [absent(), json!(null), json!(1), json!(["ES256"])] {
        assert!(!mint.with_header("alg", alg));
    }
    let (_, text) = mint.jwt();
    let unsigned = text.rsplit_once('.').unwrap().0;
    assert!(!mint.accepts(&format!("{unsigned}.")) && !mint.accepts(unsigned));
    // Signed with the public key as if it were a shared secret.
    let header = replaced(mint.header(), "alg", json!("HS256"));
    let message = format!(
        "{}.{}",
        URL_SAFE_NO_PAD.encode(header.to_string()),
        URL_SAFE_NO_PAD.encode(mint.claims().to_string())
    );
    let public = mint.issuer.keys().jwks(mint.world.now());
    let secret = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, public.as_bytes());
    let tag = aws_lc_rs::hmac::sign(&secret, message.as_bytes());
    assert!(!mint.accepts(&format!("{message}.{}", URL_SAFE_NO_PAD.encode(tag.as_ref()))));
}

#[test]
fn c93_a_key_id_is_looked_up_and_nothing_else() {
    let mint = Mint::new();
    let fetches = Fetcher::of(&mint);
    let verifier = JwtVerifier::fetching(ISSUER, "us", Arc::clone(&fetches))
        .clock(Arc::clone(&mint.world.clock));
    let (_, text) = mint.jwt();
    assert!(run(verifier.verify(&text)).is_ok());
    let other = SigningKey::generate(Algorithm::Es256).unwrap().0;
    for kid in [
        absent(),
        json!("unknown"),
        json!("../../x"),
        json!("' OR 1=1"),
        json!([mint.kid]),
        json!("k".repeat(10 * 1024)),
        json!(other.public().kid()),
        json!(null),
        json!(""),
    ] {
        let header = replaced(mint.header(), "kid", kid).to_string();
        let text = mint.signed(&header, &mint.claims().to_string());
        assert!(matches!(run(verifier.verify(&text)), Err(JwtError::Denied)));
    }
    assert_eq!(fetches.count(), 1, "unknown keys are no reason to fetch");
}

#[test]
fn c94_a_header_brings_no_keys_and_no_extensions() {
    let mint = Mint::new();
    let jwk: Value = serde_json::from_str(&mint.issuer.keys().jwks(mint.world.now())).unwrap();
    for (member, value) in [
        ("jwk", jwk["keys"][0].clone()),
        ("jku", json!("https://evil.example/jwks")),
        ("x5u", json!("https://evil.example/x")),
        ("x5c", json!(["AA"])),
        ("crit", json!(["x"])),
        ("crit", json!([])),
        ("b64", json!(false)),
        ("b64", json!(true)),
        ("zip", json!("DEF")),
    ] {
        assert!(!mint.with_header(member, value), "{member}");
    }
}

#[test]
fn c95_it_is_an_access_token() {
    let mint = Mint::new();
    for good in ["at+jwt", "AT+JWT", "application/at+jwt", "Application/AT+jwt"] {
        assert!(mint.with_header("typ", json!(good)), "{good}");
    }
    for bad in [
        absent(),
        json!("JWT"),
        json!("id_token+jwt"),
        json!("at+jwt "),
        json!(1),
        json!(["at+jwt"]),
    ] {
        assert!(!mint.with_header("typ", bad.clone()), "{bad}");
    }
}

#[test]
fn c96_it_ends_at_a_whole_second_that_is_ahead() {
    let mint = Mint::new();
    let now = mint.world.now().as_micros() / 1_000_000;
    assert!(!mint.with_claim("exp", absent()));
    for bad in [
        "null",
        "\"9999999999\"",
        "1e400",
        "-1",
        &format!("{}.5", now + 100),
        "9223372036854775808",
        "18446744073709551615",
        "9223372036854775807",
        "0",
        &now.to_string(),
        "true",
        "[]",
        &format!("{}", now + 3601),
        "1e10",
    ] {
        assert!(!mint.with_raw("exp", bad), "{bad}");
    }
    assert!(mint.with_raw("exp", &(now + 1).to_string()));
    assert!(mint.with_raw("exp", &(now + 3600).to_string()));
}

#[test]
fn c97_it_has_begun() {
    let mint = Mint::new();
    let now = mint.world.now().as_micros() / 1_000_000;
    for (claim, bad) in [
        ("iat", json!(now + 31)),
        ("iat", json!(now + 1)),
        ("iat", json!("1")),
        ("iat", absent()),
        ("iat", json!(null)),
        ("iat", json!(1.5)),
        ("nbf", json!(now + 1)),
        ("nbf", json!(null)),
        ("nbf", json!("1")),
    ] {
        assert!(!mint.with_claim(claim, bad.clone()), "{claim} {bad}");
    }
    assert!(mint.with_claim("nbf", json!(now)));
    // Clocks may differ by what the service allows, and by 30 seconds at most.
    let lenient = mint.offline().leeway(TimeDelta::hours(1));
    let verify = |claim: &str, value: i64| {
        let claims = replaced(mint.claims(), claim, json!(value)).to_string();
        run(lenient.verify(&mint.signed(&mint.header().to_string(), &claims))).is_ok()
    };
    assert!(verify("iat", now + 30) && !verify("iat", now + 31));
    assert!(verify("nbf", now + 30) && !verify("nbf", now + 31));
    let ended = |ago: i64| {
        let claims = replaced(mint.claims(), "iat", json!(now - 100));
        let claims = replaced(claims, "exp", json!(now - ago)).to_string();
        run(lenient.verify(&mint.signed(&mint.header().to_string(), &claims))).is_ok()
    };
    assert!(ended(29) && !ended(30));
}

#[test]
fn c98_c99_it_is_from_the_issuer_and_for_us() {
    let mint = Mint::new();
    for bad in [
        absent(),
        json!(null),
        json!(7),
        json!([]),
        json!(["x"]),
        json!(["us", 7]),
        json!({"us": true}),
        json!("us/"),
        json!("u"),
        json!("xusx"),
        json!("US"),
        json!(""),
        json!([["us"]]),
    ] {
        assert!(!mint.with_claim("aud", bad.clone()), "{bad}");
    }
    assert!(mint.with_claim("aud", json!(["x", "us"])));
    for bad in [
        absent(),
        json!([ISSUER]),
        json!(format!("{ISSUER}/")),
        json!("https://ACME.example"),
        json!(null),
        json!(""),
    ] {
        assert!(!mint.with_claim("iss", bad.clone()), "{bad}");
    }
}

#[test]
fn c100_it_says_whose_it_is() {
    let mint = Mint::new();
    for claim in ["sub", "jti", "client_id"] {
        for bad in [absent(), json!(""), json!(7), json!(null), json!(["u1"])] {
            assert!(!mint.with_claim(claim, bad.clone()), "{claim} {bad}");
        }
    }
    for (claim, bad) in [
        ("scope", json!(["repo:read"])),
        ("scope", json!(null)),
        ("resources", json!("some")),
        ("resources", json!(null)),
        ("tenant", json!(7)),
        ("cnf", json!({"jkt": "x"})),
        ("cnf", json!(null)),
    ] {
        assert!(!mint.with_claim(claim, bad.clone()), "{claim} {bad}");
    }
    // Nothing absent grants anything.
    let claims = replaced(mint.claims(), "scope", absent()).to_string();
    let text = mint.signed(&mint.header().to_string(), &claims);
    let claims = run(mint.offline().verify(&text)).unwrap();
    assert!(claims.require("repo:read").is_err() && claims.on("org/x").is_err());
}

#[test]
fn c101_nothing_is_said_twice() {
    let mint = Mint::new();
    let (header, claims) = (mint.header().to_string(), mint.claims().to_string());
    let twice = |object: &str, member: &str| format!("{{{member},{}", &object[1..]);
    assert!(!mint.accepts(&mint.signed(&header, &twice(&claims, "\"exp\":1"))));
    assert!(!mint.accepts(&mint.signed(&header, &twice(&claims, "\"\\u0065xp\":1"))));
    assert!(!mint.accepts(&mint.signed(&twice(&header, "\"alg\":\"none\""), &claims)));
    for bad in ["[]", "null", "\"x\"", "", "{", "{}x"] {
        assert!(!mint.accepts(&mint.signed(bad, &claims)), "{bad}");
        assert!(!mint.accepts(&mint.signed(&header, bad)), "{bad}");
    }
    let deep = format!("{}1{}", "[".repeat(200), "]".repeat(200));
    assert!(!mint.with_raw("sub", &deep));
}

#[test]
fn c102_it_has_three_parts_and_one_spelling() {
    let mint = Mint::new();
    let (_, text) = mint.jwt();
    assert!(mint.accepts(&text));
    let parts: Vec<_> = text.split('.').collect();
    for bad in [
        parts[..2].join("."),
        format!("{text}."),
        format!("{text}.x"),
        ".".repeat(100_000),
        format!("{text}.{}.{}", parts[0], parts[1]),
        format!("{text}="),
        format!("{}==.{}.{}", parts[0], parts[1], parts[2]),
        format!("{text}\n"),
        format!(" {text}"),
        format!("{text}{}", "A".repeat(9 * 1024)),
        format!("{}.{}+.{}", parts[0], parts[1], parts[2]),
        String::new(),
        "..".to_owned(),
    ] {
        assert!(!mint.accepts(&bad), "{bad:.80}");
    }
}

#[test]
fn c103_a_twin_of_a_signature_is_the_same_token() {
    let mint = Mint::new();
    let (_, text) = mint.jwt();
    let (message, signature) = text.rsplit_once('.').unwrap();
    let with = |bytes: &[u8]| format!("{message}.{}", URL_SAFE_NO_PAD.encode(bytes));
    assert!(!mint.accepts(&with(&[0; 64])) && !mint.accepts(&with(&[0xff; 64])));
    let good = URL_SAFE_NO_PAD.decode(signature).unwrap();
    assert!(!mint.accepts(&with(&good[..63])));
    assert!(!mint.accepts(&with(&[good.as_slice(), &[0]].concat())));
    // n - s is as good as s; the id is what is revoked.
    let twin = with(&[&good[..32], &order_minus(&good[32..])].concat());
    assert_ne!(twin, text);
    let id = run(mint.online().verify(&twin)).unwrap().id().parse().unwrap();
    run(mint.world.hallpass.revoke(&id, RevocationReason::Requested)).unwrap();
    for revoked in [&text, &twin] {
        assert!(matches!(run(mint.online().verify(revoked)), Err(JwtError::Denied)));
    }
}

/// The order of P-256 less a number.
fn order_minus(number: &[u8]) -> Vec<u8> {
    const ORDER: [u8; 32] = [
        0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc,
        0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
    ];
    let mut borrow = 0;
    let mut difference = vec![0; 32];
    for place in (0..32).rev() {
        let digit = i16::from(ORDER[place]) - i16::from(number[place]) - borrow;
        borrow = i16::from(digit < 0);
        difference[place] = u8::try_from(digit + 256 * borrow).unwrap();
    }
    difference
}

#[test]
fn c104_another_token_of_the_same_key_is_none() {
    let mint = Mint::new();
    assert!(!mint.with_header("typ", json!("JWT")));
    let (_, text) = mint.jwt();
    let elsewhere = JwtVerifier::new(ISSUER, "them", mint.keys());
    assert!(run(elsewhere.verify(&text)).is_err());
    let other = Mint::new();
    assert!(!other.accepts(&text));
    // And a token of hallpass is no JWT.
    assert!(!mint.accepts(mint.world.token("opaque").plain.expose()));
}

#[test]
fn a_jwt_is_no_wider_and_no_longer_than_its_parent() {
    let mint = Mint::with(|policy| policy.max_exchange_lifetime = TimeDelta::hours(2));
    let parent = mint.world.issue(ci("ci").networks(["10.0.0.0/8".parse().unwrap()]));
    let near = Context { ip: Some("10.0.0.1".parse().unwrap()), ..Context::default() };
    let asked = mint.issuer.exchange(
        &mint.world.hallpass,
        parent.plain.expose(),
        &near,
        Exchange::new().audience(["us"]),
    );
    assert!(matches!(run(asked), Err(ExchangeError::Denied(_))), "a JWT is used from anywhere");
    let parent = mint.world.issue(ci("all").resources(Resources::All));
    let exchange = |lifetime: TimeDelta| {
        mint.exchange(&parent, Exchange::new().audience(["us"]).lifetime(lifetime))
    };
    assert!(mint.accepts(&exchange(TimeDelta::minutes(60)).unwrap()));
    let long = exchange(TimeDelta::minutes(60) + TimeDelta::seconds(1));
    assert!(matches!(long, Err(ExchangeError::Expiry(_))));
    let text = exchange(TimeDelta::seconds(30)).unwrap();
    assert!(run(mint.offline().verify(&text)).unwrap().on("anything").is_ok());
    mint.world.advance(TimeDelta::seconds(30));
    assert!(!mint.accepts(&text));
    assert!(matches!(
        mint.exchange(&parent, Exchange::new().audience(["unknown"])),
        Err(ExchangeError::Audience)
    ));
}

#[test]
fn a_jwt_is_not_released_before_its_record_is_durable() {
    let mint = Mint::new();
    let parent = mint.world.token("ci");
    for fault in [Fault::Fails, Fault::Loses] {
        mint.world.store.breaks(Step::Insert, fault);
        let exchanged = mint.exchange(&parent, Exchange::new().audience(["us"]));
        assert!(matches!(exchanged, Err(ExchangeError::Unavailable(_))));
    }
}

#[test]
fn no_text_has_the_record_of_a_jwt() {
    let mint = Mint::new();
    let (_, text) = mint.jwt();
    let id = run(mint.online().verify(&text)).unwrap().id().to_owned();
    mint.world.events.take();
    for secret in ["0".repeat(43), "a".repeat(43)] {
        let guess = crate::world::text_of("at", &id, &secret);
        assert_eq!(mint.world.refusal(&guess), DenialReason::WrongSecret);
    }
    assert!(run(mint.online().verify(&text)).is_ok());
}

#[test]
fn a_clone_is_set_up_on_its_own() {
    let mint = Mint::new();
    let trusting = mint.offline();
    let careful = trusting.clone().revocations(mint.world.hallpass.clone());
    let (parent, text) = mint.jwt();
    let requested = RevocationReason::Requested;
    run(mint.world.hallpass.revoke(&parent.token.id, requested)).unwrap();
    assert!(run(trusting.verify(&text)).is_ok());
    assert!(matches!(run(careful.verify(&text)), Err(JwtError::Denied)));
}
