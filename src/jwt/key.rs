//! Keys that sign and keys that verify.

use std::fmt;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, ED25519, EcdsaKeyPair,
    Ed25519KeyPair, KeyPair, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256,
    RsaKeyPair, RsaPublicKeyComponents,
};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde::Serialize;
use zeroize::Zeroizing;

use super::object::Object;

/// How tokens are signed. There are only these, each with a private and a public key; a secret
/// that two sides share is none of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Algorithm {
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// Ed25519.
    EdDsa,
    /// RSA PKCS #1 v1.5 with SHA-256, 2,048 bits or more.
    Rs256,
}

impl Algorithm {
    /// The name of the algorithm in a header (RFC 7518 section 3.1, RFC 8037).
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Es256 => "ES256",
            Self::EdDsa => "EdDSA",
            Self::Rs256 => "RS256",
        }
    }
}

/// Why a key cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// Not a PKCS #8 private key of the algorithm.
    #[error("not a PKCS #8 private key of this algorithm")]
    Private,
    /// Not a public key of an algorithm that is supported, or one that holds private members.
    #[error("not a supported public key")]
    Public,
    /// The key did not verify what it signed.
    #[error("the key does not verify what it signs")]
    SelfTest,
    /// A key could not be made.
    #[error("no key could be made")]
    Generate,
}

/// A private key. Its `Debug` shows the key id and nothing else.
pub struct SigningKey {
    pair: Pair,
    public: VerifyingKey,
    header: String,
}

/// The header of whatever a key signs.
#[derive(Serialize)]
struct Header<'a> {
    alg: &'static str,
    typ: &'static str,
    kid: &'a str,
}

enum Pair {
    Es256(EcdsaKeyPair),
    EdDsa(Ed25519KeyPair),
    Rs256(Box<RsaKeyPair>),
}

impl SigningKey {
    /// A new key, and its PKCS #8 form (DER) to be kept where secrets are kept. RSA keys have
    /// 3,072 bits.
    ///
    /// # Errors
    /// [`KeyError`] if none could be made.
    pub fn generate(algorithm: Algorithm) -> Result<(Self, Zeroizing<Vec<u8>>), KeyError> {
        let random = SystemRandom::new();
        let failed = |_| KeyError::Generate;
        let der = match algorithm {
            Algorithm::Es256 => {
                EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random)
                    .map_err(failed)?
                    .as_ref()
                    .to_vec()
            }
            Algorithm::EdDsa => {
                Ed25519KeyPair::generate_pkcs8(&random).map_err(failed)?.as_ref().to_vec()
            }
            Algorithm::Rs256 => {
                let pair = RsaKeyPair::generate(KeySize::Rsa3072).map_err(failed)?;
                AsDer::<Pkcs8V1Der<'_>>::as_der(&pair).map_err(failed)?.as_ref().to_vec()
            }
        };
        let der = Zeroizing::new(der);
        Ok((Self::from_pkcs8(algorithm, &der)?, der))
    }

    /// Reads a key in PKCS #8 form (DER), signs something with it and verifies that.
    ///
    /// # Errors
    /// [`KeyError`] if it is no such key, or does not work.
    pub fn from_pkcs8(algorithm: Algorithm, der: &[u8]) -> Result<Self, KeyError> {
        let (pair, public) = match algorithm {
            Algorithm::Es256 => {
                let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der);
                let pair = pair.map_err(|_| KeyError::Private)?;
                let public = VerifyingKey::es256(pair.public_key().as_ref())?;
                (Pair::Es256(pair), public)
            }
            Algorithm::EdDsa => {
                let pair = Ed25519KeyPair::from_pkcs8(der).map_err(|_| KeyError::Private)?;
                let public = VerifyingKey::ed_dsa(pair.public_key().as_ref())?;
                (Pair::EdDsa(pair), public)
            }
            Algorithm::Rs256 => {
                let pair = RsaKeyPair::from_pkcs8(der).map_err(|_| KeyError::Private)?;
                let public = pair.public_key();
                let (n, e) = (public.modulus(), public.exponent());
                let public = VerifyingKey::rs256(
                    n.big_endian_without_leading_zero(),
                    e.big_endian_without_leading_zero(),
                )?;
                (Pair::Rs256(Box::new(pair)), public)
            }
        };
        let header = Header { alg: algorithm.as_str(), typ: "at+jwt", kid: &public.kid };
        let header = serde_json::to_vec(&header).map_err(|_| KeyError::Private)?;
        let key = Self { pair, public, header: URL_SAFE_NO_PAD.encode(header) };
        key.test_itself()?;
        Ok(key)
    }

    /// Reads a key in PEM form, `-----BEGIN PRIVATE KEY-----`.
    ///
    /// # Errors
    /// [`KeyError`] if it is no such key, or does not work.
    pub fn from_pem(algorithm: Algorithm, pem: &str) -> Result<Self, KeyError> {
        let inner = pem
            .trim()
            .strip_prefix("-----BEGIN PRIVATE KEY-----")
            .and_then(|rest| rest.strip_suffix("-----END PRIVATE KEY-----"))
            .ok_or(KeyError::Private)?;
        let digits: Zeroizing<String> =
            Zeroizing::new(inner.chars().filter(|c| !c.is_ascii_whitespace()).collect());
        let der = STANDARD.decode(digits.as_bytes()).map_err(|_| KeyError::Private)?;
        Self::from_pkcs8(algorithm, &Zeroizing::new(der))
    }

    /// The public half.
    #[must_use]
    pub fn public(&self) -> &VerifyingKey {
        &self.public
    }

    /// The first part of a token that this key signs.
    pub(super) fn header(&self) -> &str {
        &self.header
    }

    /// How many bytes a signature has.
    pub(super) fn signature_len(&self) -> usize {
        match &self.pair {
            Pair::Es256(_) | Pair::EdDsa(_) => 64,
            Pair::Rs256(pair) => pair.public_modulus_len(),
        }
    }

    /// The signature over a message.
    pub(super) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        let random = SystemRandom::new();
        match &self.pair {
            Pair::Es256(pair) => {
                let signature = pair.sign(&random, message).map_err(|_| KeyError::SelfTest)?;
                Ok(signature.as_ref().to_vec())
            }
            Pair::EdDsa(pair) => {
                let signature = pair.try_sign(message).map_err(|_| KeyError::SelfTest)?;
                Ok(signature.as_ref().to_vec())
            }
            Pair::Rs256(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature)
                    .map_err(|_| KeyError::SelfTest)?;
                Ok(signature)
            }
        }
    }

    fn test_itself(&self) -> Result<(), KeyError> {
        let message = b"hallpass signs with this key";
        let signature = self.sign(message)?;
        let refused = !self.public.verifies(b"hallpass signs with that key", &signature);
        if refused && self.public.verifies(message, &signature) {
            Ok(())
        } else {
            Err(KeyError::SelfTest)
        }
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SigningKey").field(&self.public.kid).finish()
    }
}

/// A public key with its one algorithm. Its id is its thumbprint (RFC 7638), so that a key never
/// has another's id.
pub struct VerifyingKey {
    algorithm: Algorithm,
    kid: String,
    jwk: String,
    parsed: ParsedPublicKey,
}

/// The members of a key that its thumbprint is made of, in order.
#[derive(Serialize)]
#[serde(untagged)]
enum Members {
    Ec { crv: &'static str, kty: &'static str, x: String, y: String },
    Okp { crv: &'static str, kty: &'static str, x: String },
    Rsa { e: String, kty: &'static str, n: String },
}

#[derive(Serialize)]
struct Jwk<'a> {
    #[serde(flatten)]
    members: &'a Members,
    alg: &'static str,
    kid: &'a str,
    r#use: &'static str,
}

impl VerifyingKey {
    /// Reads a key out of a JWK (RFC 7517). Its `kid`, `alg` and `use` must say nothing else than
    /// the key itself does.
    ///
    /// # Errors
    /// [`KeyError::Public`] if it is none, or holds more than a public key.
    pub fn from_jwk(json: &str) -> Result<Self, KeyError> {
        let jwk = Object::parse(json.as_bytes()).ok_or(KeyError::Public)?;
        Self::from_members(&jwk).ok_or(KeyError::Public)
    }

    pub(super) fn from_members(jwk: &Object) -> Option<Self> {
        const PRIVATE: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];
        if PRIVATE.iter().any(|member| jwk.get(member).is_some()) {
            return None;
        }
        let bytes = |member: &str| URL_SAFE_NO_PAD.decode(jwk.text(member)?).ok();
        let key = match (jwk.text("kty")?, jwk.text("crv")) {
            ("EC", Some("P-256")) => {
                let (x, y) = (bytes("x")?, bytes("y")?);
                if x.len() != 32 || y.len() != 32 {
                    return None;
                }
                Self::es256(&[&[4], x.as_slice(), y.as_slice()].concat())
            }
            ("OKP", Some("Ed25519")) => Self::ed_dsa(&bytes("x")?),
            ("RSA", None) => Self::rs256(&bytes("n")?, &bytes("e")?),
            _ => return None,
        };
        let key = key.ok()?;
        let agrees = |member: &str, own: &str| match jwk.get(member) {
            None => true,
            Some(said) => said.as_str() == Some(own),
        };
        let same = agrees("alg", key.algorithm.as_str()) && agrees("use", "sig");
        (same && agrees("kid", &key.kid)).then_some(key)
    }

    /// A point, uncompressed.
    fn es256(point: &[u8]) -> Result<Self, KeyError> {
        let parsed = ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point);
        let (x, y) = point
            .strip_prefix(&[4])
            .and_then(|rest| rest.split_at_checked(32))
            .ok_or(KeyError::Public)?;
        let members = Members::Ec {
            crv: "P-256",
            kty: "EC",
            x: URL_SAFE_NO_PAD.encode(x),
            y: URL_SAFE_NO_PAD.encode(y),
        };
        Self::new(Algorithm::Es256, &members, parsed.map_err(|_| KeyError::Public)?)
    }

    fn ed_dsa(x: &[u8]) -> Result<Self, KeyError> {
        let parsed = ParsedPublicKey::new(&ED25519, x).map_err(|_| KeyError::Public)?;
        let members = Members::Okp { crv: "Ed25519", kty: "OKP", x: URL_SAFE_NO_PAD.encode(x) };
        Self::new(Algorithm::EdDsa, &members, parsed)
    }

    fn rs256(n: &[u8], e: &[u8]) -> Result<Self, KeyError> {
        // 2,048 to 8,192 bits without leading zeros, so that one key has one thumbprint.
        if !(256..=1024).contains(&n.len()) || n.first() == Some(&0) || e.first() == Some(&0) {
            return Err(KeyError::Public);
        }
        let parsed = RsaPublicKeyComponents { n, e }
            .to_parsed_public_key(&RSA_PKCS1_2048_8192_SHA256)
            .map_err(|_| KeyError::Public)?;
        let members =
            Members::Rsa { e: URL_SAFE_NO_PAD.encode(e), kty: "RSA", n: URL_SAFE_NO_PAD.encode(n) };
        Self::new(Algorithm::Rs256, &members, parsed)
    }

    fn new(
        algorithm: Algorithm,
        members: &Members,
        parsed: ParsedPublicKey,
    ) -> Result<Self, KeyError> {
        let json = serde_json::to_vec(members).map_err(|_| KeyError::Public)?;
        let kid = URL_SAFE_NO_PAD.encode(digest(&SHA256, &json));
        let jwk = Jwk { members, alg: algorithm.as_str(), kid: &kid, r#use: "sig" };
        let jwk = serde_json::to_string(&jwk).map_err(|_| KeyError::Public)?;
        Ok(Self { algorithm, kid, jwk, parsed })
    }

    /// The key's id: its thumbprint, 43 characters of base64url.
    #[must_use]
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// The one algorithm the key is for.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The key as a JWK, public members only.
    #[must_use]
    pub fn to_jwk(&self) -> &str {
        &self.jwk
    }

    pub(super) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        self.parsed.verify_sig(message, signature).is_ok()
    }
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("VerifyingKey").field(&self.algorithm).field(&self.kid).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_thumbprint_is_that_of_rfc_7638_and_rfc_8037() {
        // RFC 8037 appendix A.2 and A.3.
        let ed = r#"{"kty":"OKP","crv":"Ed25519",
            "x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
        let key = VerifyingKey::from_jwk(ed).unwrap();
        assert_eq!(key.kid(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
        // RFC 7638 section 3.1.
        let rsa = r#"{"kty":"RSA","n":"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw","e":"AQAB","alg":"RS256"}"#;
        let key = VerifyingKey::from_jwk(rsa).unwrap();
        assert_eq!(key.kid(), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
    }

    #[test]
    fn keys_are_read_back_and_show_no_secret() {
        for algorithm in [Algorithm::Es256, Algorithm::EdDsa, Algorithm::Rs256] {
            let (key, der) = SigningKey::generate(algorithm).unwrap();
            let pem = format!(
                "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n",
                STANDARD.encode(&*der)
            );
            let again = SigningKey::from_pem(algorithm, &pem).unwrap();
            assert_eq!(again.public().kid(), key.public().kid());
            let public = VerifyingKey::from_jwk(key.public().to_jwk()).unwrap();
            assert_eq!(public.kid(), key.public().kid());
            let signature = again.sign(b"message").unwrap();
            assert!(public.verifies(b"message", &signature));
            assert!(!public.verifies(b"massage", &signature));
            assert_eq!(format!("{key:?}"), format!("SigningKey({:?})", key.public().kid()));
            for member in ["\"d\"", "\"p\"", "\"q\"", "\"k\""] {
                assert!(!key.public().to_jwk().contains(member));
            }
            for other in [Algorithm::Es256, Algorithm::EdDsa, Algorithm::Rs256] {
                assert_eq!(SigningKey::from_pkcs8(other, &der).is_ok(), other == algorithm);
            }
        }
        assert_eq!(SigningKey::from_pem(Algorithm::Es256, "x").unwrap_err(), KeyError::Private);
    }

    #[test]
    fn a_key_that_says_something_else_is_refused() {
        let (key, _) = SigningKey::generate(Algorithm::Es256).unwrap();
        let jwk = key.public().to_jwk();
        assert!(VerifyingKey::from_jwk(jwk).is_ok());
        let with = |from: &str, to: &str| VerifyingKey::from_jwk(&jwk.replace(from, to)).is_err();
        assert!(with("ES256", "HS256") && with("ES256", "ES384"));
        assert!(with("\"use\":\"sig\"", "\"use\":\"enc\""));
        assert!(with(key.public().kid(), "x"));
        assert!(with("\"kty\":\"EC\"", "\"kty\":\"EC\",\"d\":\"AA\""));
        assert!(with("\"kty\":\"EC\"", "\"kty\":\"oct\",\"k\":\"AA\""));
        assert!(with("P-256", "P-384"));
        assert!(with("\"kty\":\"EC\"", "\"kty\":\"EC\",\"kty\":\"EC\""));
        assert!(VerifyingKey::from_jwk("{}").is_err() && VerifyingKey::from_jwk("[]").is_err());
    }
}
