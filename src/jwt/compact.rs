//! The compact form (RFC 7515 section 7.1), taken apart without trusting it.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::key::VerifyingKey;
use super::object::Object;

/// Longest token, in bytes.
pub const MAX_JWT_LEN: usize = 8 * 1024;

/// What would make the token mean something else, or name a key of its own.
const REFUSED: [&str; 8] = ["crit", "b64", "zip", "jwk", "jku", "x5u", "x5c", "enc"];

/// A token whose header is sound and whose signature is still to be verified.
pub(super) struct Compact<'a> {
    /// What is signed.
    signed: &'a str,
    payload: &'a str,
    signature: Vec<u8>,
    algorithm: String,
    pub(super) kid: String,
}

impl<'a> Compact<'a> {
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        if text.len() > MAX_JWT_LEN || text.bytes().filter(|byte| *byte == b'.').count() != 2 {
            return None;
        }
        let (signed, signature) = text.rsplit_once('.')?;
        let (header, payload) = signed.split_once('.')?;
        let header = Object::parse(&URL_SAFE_NO_PAD.decode(header).ok()?)?;
        if REFUSED.iter().any(|member| header.get(member).is_some()) {
            return None;
        }
        let kind = header.text("typ")?;
        let is_access_token = ["at+jwt", "application/at+jwt"]
            .iter()
            .any(|accepted| kind.eq_ignore_ascii_case(accepted));
        if !is_access_token {
            return None;
        }
        Some(Self {
            signed,
            payload,
            signature: URL_SAFE_NO_PAD.decode(signature).ok()?,
            algorithm: header.text("alg")?.to_owned(),
            kid: header.text("kid")?.to_owned(),
        })
    }

    /// Whether the claims, whoever signed them, name this issuer.
    #[cfg(feature = "host")]
    pub(super) fn names(&self, issuer: &str) -> bool {
        let claims = URL_SAFE_NO_PAD.decode(self.payload).ok();
        let claims = claims.and_then(|claims| Object::parse(&claims));
        claims.is_some_and(|claims| claims.text("iss") == Some(issuer))
    }

    /// The claims, if this key signed them. The key decides the algorithm; the header only has to
    /// agree.
    pub(super) fn signed_by(&self, key: &VerifyingKey) -> Option<Object> {
        let signed = self.algorithm == key.algorithm().as_str()
            && key.verifies(self.signed.as_bytes(), &self.signature);
        if signed { Object::parse(&URL_SAFE_NO_PAD.decode(self.payload).ok()?) } else { None }
    }
}
