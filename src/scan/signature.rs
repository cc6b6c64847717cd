//! Who signed a report.

use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, ParsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderName};

const KEY_IDENTIFIER: HeaderName = HeaderName::from_static("github-public-key-identifier");
const SIGNATURE: HeaderName = HeaderName::from_static("github-public-key-signature");

/// Longest name of a key, in bytes. GitHub's have 64.
pub(super) const MAX_KEY_ID_LEN: usize = 256;
/// Longest signature in base64. One in DER has at most 72 bytes.
const MAX_SIGNATURE_LEN: usize = 96;

/// What a request says of its signature.
#[derive(Debug)]
pub(super) struct Claim<'a> {
    pub(super) key_id: &'a str,
    signature: Vec<u8>,
}

impl<'a> Claim<'a> {
    /// What the headers say, if each is there once and can be what it has to be.
    pub(super) fn read(headers: &'a HeaderMap) -> Option<Self> {
        let key_id = only(headers, &KEY_IDENTIFIER).filter(|id| is_key_id(id))?;
        let signature = only(headers, &SIGNATURE)
            .filter(|text| (1..=MAX_SIGNATURE_LEN).contains(&text.len()))?;
        Some(Self { key_id, signature: STANDARD.decode(signature).ok()? })
    }
}

fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut lines = headers.get_all(name).iter();
    match (lines.next(), lines.next()) {
        (Some(line), None) => line.to_str().ok(),
        _ => None,
    }
}

pub(super) fn is_key_id(text: &str) -> bool {
    (1..=MAX_KEY_ID_LEN).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// A public key on P-256.
#[derive(Debug)]
pub(super) struct PartnerKey(ParsedPublicKey);

impl PartnerKey {
    /// Reads a key in PEM form, `-----BEGIN PUBLIC KEY-----` (RFC 7468 section 13).
    pub(super) fn from_pem(pem: &str) -> Option<Self> {
        let inner = pem
            .trim()
            .strip_prefix("-----BEGIN PUBLIC KEY-----")
            .and_then(|rest| rest.strip_suffix("-----END PUBLIC KEY-----"))?;
        let digits: String = inner.chars().filter(|c| !c.is_ascii_whitespace()).collect();
        let der = STANDARD.decode(digits).ok()?;
        // Not a bare point, which the library reads too.
        der.starts_with(&[0x30])
            .then(|| ParsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, &der).ok())
            .flatten()
            .map(Self)
    }

    /// Whether the signature is of this message, and written in the one way that DER has.
    pub(super) fn verifies(&self, message: &[u8], claim: &Claim<'_>) -> bool {
        self.0.verify_sig(message, &claim.signature).is_ok()
    }
}
