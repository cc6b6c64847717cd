//! JWTs, good and forged.

use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::tokens::{Desk, Named};
use super::world::World;
use crate::engine::{Context, Exchange, Issued};
use crate::jwt::{Algorithm, JwtIssuer, KeyRing, SigningKey};
use crate::token::TokenId;

const NAME: &str = "https://acme.example";

/// An issuer, and the key that it signs with.
pub(super) struct Forge {
    pub(super) issuer: JwtIssuer,
    pair: EcdsaKeyPair,
    kid: String,
}

impl Forge {
    pub(super) fn new() -> Self {
        let (key, der) = SigningKey::generate(Algorithm::Es256).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &der).unwrap();
        let kid = key.public().kid().to_owned();
        Self { issuer: JwtIssuer::new(NAME, KeyRing::new(key)), pair, kid }
    }

    /// What a token is exchanged for, and the id of its record.
    pub(super) async fn mint(
        &self,
        world: &World,
        parent: &Issued,
        exchange: Exchange,
    ) -> (TokenId, String) {
        mint(&self.issuer, world, parent, exchange).await
    }

    /// Adds the JWTs that are as they are now.
    pub(super) async fn fill(
        &self,
        world: &World,
        desk: &Desk<'_>,
        others: &mut Vec<Named>,
        bad: &mut Vec<Named>,
    ) {
        let parent = desk.issue("signed", |issue| issue).await;
        let (_, good) = self.mint(world, &parent, Exchange::new()).await;
        let third = Exchange::new().audience(["third"]);
        bad.push(("that is a JWT for another audience", self.mint(world, &parent, third).await.1));
        let (id, revoked) = self.mint(world, &parent, Exchange::new()).await;
        desk.revoke(&id).await;
        bad.push(("that is a JWT and revoked", revoked));
        let ending = desk.issue("ending too", |issue| issue).await;
        let (_, orphan) = self.mint(world, &ending, Exchange::new()).await;
        desk.revoke(&ending.token.id).await;
        bad.push(("that is a JWT whose parent was revoked", orphan));

        let foreign = JwtIssuer::new(NAME, Self::new().issuer.keys().clone());
        let (_, unknown) = mint(&foreign, world, &parent, Exchange::new()).await;
        bad.push(("that is a JWT of an unknown key", unknown));
        let foreign = JwtIssuer::new("https://other.example", self.issuer.keys().clone());
        let (_, other) = mint(&foreign, world, &parent, Exchange::new()).await;
        bad.push(("that is a JWT of another issuer", other));
        bad.extend(self.forged(world, &good));
        others.push(("that is a JWT", good));
    }

    /// What somebody may make of a good JWT, with the key or without.
    fn forged(&self, world: &World, good: &str) -> Vec<Named> {
        let parts: Vec<&str> = good.split('.').collect();
        let [head, claims, signature] = parts.try_into().unwrap();
        let payload: Value =
            serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap();
        let wider = encoded(&with(&payload, "scope", json!("repo:read repo:write")));
        let mut other = signature.to_owned();
        let first = if other.starts_with('A') { "B" } else { "A" };
        other.replace_range(..1, first);
        let header = json!({"alg": "ES256", "typ": "at+jwt", "kid": self.kid});
        let none = encoded(&with(&header, "alg", json!("none")));
        let shared = encoded(&with(&header, "alg", json!("HS256")));
        // The secret that a verifier would take which asks the header for the algorithm.
        let keys = self.issuer.keys().jwks(world.hallpass.now());
        let key = hmac::Key::new(hmac::HMAC_SHA256, keys.as_bytes());
        let tag = hmac::sign(&key, format!("{shared}.{claims}").as_bytes());
        let tag = URL_SAFE_NO_PAD.encode(tag.as_ref());
        let headed =
            |member: &str, value: Value| self.signed(&with(&header, member, value), &payload);
        let claimed =
            |member: &str, value: Value| self.signed(&header, &with(&payload, member, value));
        vec![
            ("that is a JWT with a bad signature", format!("{head}.{claims}.{other}")),
            ("that is a JWT without signature", format!("{head}.{claims}.")),
            ("that is a JWT with the claims of another", format!("{head}.{wider}.{signature}")),
            ("that is a JWT of two parts", format!("{head}.{claims}")),
            ("that is a JWT of four parts", format!("{good}.{signature}")),
            ("that is a JWT signed by nobody", format!("{none}.{claims}.")),
            (
                "that is a JWT signed by nobody, with a signature",
                format!("{none}.{claims}.{signature}"),
            ),
            ("that is a JWT signed with the public key", format!("{shared}.{claims}.{tag}")),
            ("that is a JWT for something else", headed("typ", json!("JWT"))),
            ("that is a JWT without key id", headed("kid", Value::Null)),
            ("that is a JWT whose key id is a path", headed("kid", json!("../../etc/passwd"))),
            ("that is a JWT with a key of its own", headed("jwk", json!({"kty": "EC"}))),
            ("that is a JWT with something critical", headed("crit", json!(["exp"]))),
            ("that is a JWT without end", claimed("exp", Value::Null)),
            ("that is a JWT whose end is a text", claimed("exp", json!("9999999999"))),
            ("that is a JWT for nobody", claimed("aud", Value::Null)),
            ("that is a JWT of another owner", claimed("sub", json!("u2"))),
            ("that is a JWT of the future", claimed("nbf", json!(9_999_999_999_u64))),
            ("that is a JWT without record", claimed("jti", json!("0000000000000009"))),
        ]
    }

    fn signed(&self, header: &Value, claims: &Value) -> String {
        let message = format!("{}.{}", encoded(header), encoded(claims));
        let signature = self.pair.sign(&SystemRandom::new(), message.as_bytes()).unwrap();
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature.as_ref()))
    }
}

async fn mint(
    issuer: &JwtIssuer,
    world: &World,
    parent: &Issued,
    exchange: Exchange,
) -> (TokenId, String) {
    let text = parent.plain.expose();
    let minted = issuer.exchange(&world.hallpass, text, &Context::default(), exchange).await;
    let minted = minted.unwrap();
    (minted.token.id, minted.plain.expose().to_owned())
}

fn encoded(json: &Value) -> String {
    URL_SAFE_NO_PAD.encode(json.to_string())
}

/// The object with this member, or without it if that is null.
fn with(object: &Value, member: &str, value: Value) -> Value {
    let mut object = object.clone();
    let members = object.as_object_mut().unwrap();
    if value.is_null() {
        members.remove(member);
    } else {
        members.insert(member.to_owned(), value);
    }
    object
}
