//! The text of a token: its grammar, generator and parser.
//!
//! ```text
//! token  = brand "_" kind "_" id "_" secret check
//! brand  = [a-z][a-z0-9]{1,15}
//! kind   = "pat" | "app" | "at" | "rt"
//! id     = 16 of [0-9A-Za-z]     public, the lookup key
//! secret = 43 of [0-9A-Za-z]     256 bits
//! check  = CRC-32/ISO-HDLC of all bytes before it, base62, zero-padded to 6
//! ```
//!
//! A token has one spelling. Nothing is trimmed, folded, normalised or decoded.

use std::fmt;

use super::brand::{Brand, Brands};
use super::entropy::{BASE62, Entropy, EntropyError, fill_base62};
use super::id::{TokenId, all_base62};
use super::kind::Kind;
use super::wiped::{Wiped, wipe};

/// Length of the secret part, in bytes.
pub(crate) const SECRET_LEN: usize = 43;
/// Length of the checksum, in bytes.
const CHECK_LEN: usize = 6;
/// Length of everything behind `brand_kind_`.
const TAIL_LEN: usize = TokenId::LEN + 1 + SECRET_LEN + CHECK_LEN;

/// Longest text a token can have, in bytes.
pub const MAX_TOKEN_LEN: usize = Brand::MAX_LEN + 1 + 3 + 1 + TAIL_LEN;

/// The whole secret text of a token.
///
/// It exists when a token is issued or rotated, and nowhere else. It is wiped from memory when
/// dropped, its `Debug` shows nothing of the secret, and it has no `Display`, `Serialize` or
/// `Clone`: [`expose`](Self::expose) is the one way out.
pub struct PlainToken(String);

impl PlainToken {
    /// A new token text with a fresh id and secret.
    pub(crate) fn generate(
        brand: &Brand,
        kind: Kind,
        entropy: &dyn Entropy,
    ) -> Result<(Self, TokenId), EntropyError> {
        let mut digits = Wiped([0; TokenId::LEN + SECRET_LEN]);
        fill_base62(entropy, &mut digits.0)?;
        let (id, secret) = digits.0.split_first_chunk().ok_or(EntropyError)?;
        let id = TokenId::from_bytes(*id).ok_or(EntropyError)?;
        Ok((Self::assemble(brand.as_str(), kind, id.as_str(), secret)?, id))
    }

    /// A new token text with a fresh secret for an existing id.
    pub(crate) fn with_id(
        brand: &Brand,
        kind: Kind,
        id: &TokenId,
        entropy: &dyn Entropy,
    ) -> Result<Self, EntropyError> {
        let mut secret = Wiped([0; SECRET_LEN]);
        fill_base62(entropy, &mut secret.0)?;
        Self::assemble(brand.as_str(), kind, id.as_str(), &secret.0)
    }

    /// The text with these parts, all base62 digits, and the checksum that belongs to them.
    pub(crate) fn assemble(
        brand: &str,
        kind: Kind,
        id: &str,
        secret: &[u8],
    ) -> Result<Self, EntropyError> {
        // The capacity is the final length's bound, so that no half-written copy is left behind
        // by a reallocation.
        let mut plain = Self(String::with_capacity(MAX_TOKEN_LEN));
        let digits = |bytes| std::str::from_utf8(bytes).map_err(|_| EntropyError);
        for part in [brand, "_", kind.as_str(), "_", id, "_", digits(secret)?] {
            plain.0.push_str(part);
        }
        let check = checksum(plain.0.as_bytes());
        plain.0.push_str(std::str::from_utf8(&check).map_err(|_| EntropyError)?);
        Ok(plain)
    }

    /// The secret text. Show it once, store it nowhere.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl Drop for PlainToken {
    fn drop(&mut self) {
        wipe(&mut std::mem::take(&mut self.0).into_bytes());
    }
}

impl fmt::Debug for PlainToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PlainToken(redacted)")
    }
}

/// A presented text that has the grammar and checksum of a token with an accepted brand.
///
/// It borrows the text; parsing allocates nothing.
#[derive(Clone, Copy)]
pub struct TokenText<'a> {
    kind: Kind,
    id: TokenId,
    secret: &'a [u8; SECRET_LEN],
}

impl<'a> TokenText<'a> {
    /// Reads a token with one of the accepted brands.
    ///
    /// # Errors
    /// [`ParseTokenError`] if the text is not a token, has another brand, or its checksum is
    /// wrong. The error does not tell which, and says nothing of the text.
    pub fn parse(text: &'a str, brands: &Brands) -> Result<Self, ParseTokenError> {
        let text = text.as_bytes();
        let (kind, tail) = brands
            .iter()
            .find_map(|brand| after_prefix(text, brand.as_str().as_bytes()))
            .ok_or(ParseTokenError)?;
        let (id, tail) = tail.split_first_chunk().ok_or(ParseTokenError)?;
        let (b"_", tail) = tail.split_first_chunk().ok_or(ParseTokenError)? else {
            return Err(ParseTokenError);
        };
        let (secret, check) = tail.split_first_chunk().ok_or(ParseTokenError)?;
        let check: &[u8; CHECK_LEN] = check.try_into().map_err(|_| ParseTokenError)?;
        // The secret and as many digits of the checksum as make whole blocks.
        let digits: &[u8; SECRET_LEN + 5] = tail.first_chunk().ok_or(ParseTokenError)?;

        // Six digits have one value and a value has one spelling in six digits; values past 2^32
        // are no checksum of anything.
        let covered = text.split_last_chunk::<CHECK_LEN>().ok_or(ParseTokenError)?.0;
        if value(check) != Some(u64::from(crc32fast::hash(covered))) || !all_base62(digits) {
            return Err(ParseTokenError);
        }
        let id = TokenId::from_bytes(*id).ok_or(ParseTokenError)?;
        Ok(Self { kind, id, secret })
    }

    /// The kind written in the text.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The public id written in the text.
    #[must_use]
    pub fn id(&self) -> &TokenId {
        &self.id
    }

    pub(crate) fn secret(&self) -> &[u8; SECRET_LEN] {
        self.secret
    }
}

impl fmt::Debug for TokenText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenText").field("kind", &self.kind).field("id", &self.id).finish()
    }
}

/// The text is not a token of this app: wrong grammar, brand or checksum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a token")]
pub struct ParseTokenError;

/// The kind and the tail of a text that starts with `brand_kind_` and is as long as it must be.
fn after_prefix<'a>(text: &'a [u8], brand: &[u8]) -> Option<(Kind, &'a [u8])> {
    let rest = text.strip_prefix(brand)?.strip_prefix(b"_")?;
    let split = rest.len().checked_sub(TAIL_LEN)?;
    let (kind, tail) = rest.split_at_checked(split)?;
    let kind = match kind {
        b"pat_" => Kind::Personal,
        b"app_" => Kind::Application,
        b"at_" => Kind::Access,
        b"rt_" => Kind::Refresh,
        _ => return None,
    };
    Some((kind, tail))
}

/// The number that base62 digits spell, if they all are digits.
fn value(digits: &[u8; CHECK_LEN]) -> Option<u64> {
    let values = digits.map(digit_value);
    let all_digits = values.iter().fold(0, |all, value| all | value) < NO_DIGIT;
    all_digits.then(|| values.iter().fold(0, |sum, value| sum * 62 + u64::from(*value)))
}

/// A bit that no digit's value has.
const NO_DIGIT: u8 = 64;

#[expect(clippy::indexing_slicing, reason = "a byte is always below 256")]
fn digit_value(digit: u8) -> u8 {
    const VALUES: [u8; 256] = {
        let mut values = [NO_DIGIT; 256];
        let mut value = 0;
        while value < BASE62.len() {
            #[expect(clippy::cast_possible_truncation, reason = "there are 62 digits")]
            let small = value as u8;
            values[BASE62[value] as usize] = small;
            value += 1;
        }
        values
    };
    VALUES[usize::from(digit)]
}

/// CRC-32/ISO-HDLC in base62, zero-padded to six digits.
fn checksum(bytes: &[u8]) -> [u8; CHECK_LEN] {
    let mut rest = crc32fast::hash(bytes);
    let mut digits = [b'0'; CHECK_LEN];
    for digit in digits.iter_mut().rev() {
        // A value below 62 always has its digit.
        *digit = BASE62.get((rest % 62) as usize).copied().unwrap_or(b'0');
        rest /= 62;
    }
    digits
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::token::entropy::OsEntropy;

    const SECRET: &str = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFG";

    fn brands(brand: &str) -> Brands {
        Brands::new(brand.parse().unwrap())
    }

    fn build(brand: &str, kind: Kind, id: &str, secret: &str) -> String {
        PlainToken::assemble(brand, kind, id, secret.as_bytes()).unwrap().expose().to_owned()
    }

    /// Brand, kind, id, secret, and the whole token they make.
    fn vectors() -> [(&'static str, Kind, &'static str, String, &'static str); 5] {
        [
            (
                "acme",
                Kind::Personal,
                "0000000000000001",
                "a".repeat(43),
                "acme_pat_0000000000000001_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa2uWCeV",
            ),
            (
                "acme",
                Kind::Personal,
                "ABCDEFGHIJKLMNOP",
                SECRET.to_owned(),
                "acme_pat_ABCDEFGHIJKLMNOP_0123456789abcdefghijklmnopqrstuvwxyzABCDEFG4RAzs0",
            ),
            (
                "acme",
                Kind::Access,
                "ABCDEFGHIJKLMNOP",
                SECRET.to_owned(),
                "acme_at_ABCDEFGHIJKLMNOP_0123456789abcdefghijklmnopqrstuvwxyzABCDEFG4gHy2a",
            ),
            (
                "acme",
                Kind::Personal,
                "000000000000004H",
                "b".repeat(43),
                "acme_pat_000000000000004H_bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb00pS2y",
            ),
            (
                "x2",
                Kind::Refresh,
                "zzzzzzzzzzzzzzzz",
                "Z".repeat(43),
                "x2_rt_zzzzzzzzzzzzzzzz_ZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZ1EqDJk",
            ),
        ]
    }

    #[test]
    fn the_vectors_are_built_and_read() {
        for (brand, kind, id, secret, whole) in vectors() {
            assert_eq!(build(brand, kind, id, &secret), whole);
            let text = TokenText::parse(whole, &brands(brand)).unwrap();
            assert_eq!(text.kind(), kind);
            assert_eq!(text.id().as_str(), id);
            assert_eq!(text.secret(), secret.as_bytes());
        }
    }

    #[test]
    fn retired_brands_are_read_and_foreign_ones_are_not() {
        let [(.., v1), .., (.., x2)] = vectors();
        let both = brands("acme").with_retired("x2".parse().unwrap());
        assert!(TokenText::parse(v1, &both).is_ok());
        assert!(TokenText::parse(x2, &both).is_ok());
        assert!(TokenText::parse(x2, &brands("acme")).is_err());
        // A brand that is the beginning of another does not open the other's tokens.
        assert!(TokenText::parse(v1, &brands("ac")).is_err());
    }

    #[test]
    fn damaged_vectors_are_refused() {
        let accepted = brands("acme");
        let [_, (.., v2), (.., v3), (.., v4), _] = vectors();
        let head = |text: &str| text[..text.len() - 6].to_owned();
        let damaged = [
            v2[..v2.len() - 1].to_owned(),
            format!("{v2}0"),
            format!("{v2}="),
            v2.to_uppercase(),
            v2.to_lowercase(),
            v2.replace("acme_pat", "Acme_pat"),
            v3.replace("acme_at", "acme_pat"),
            format!("{}zzzzzz", head(v2)),
            format!("{}4gfFC4", head(v2)),
            format!("{}------", head(v2)),
            format!("{}0pS2y", head(v4)),
            format!("{}pS2y", head(v4)),
            v2.replace("pat_A", "pat__A"),
            v2.replace("pat_A", "pat-A"),
            v2.replace("P_0", "P0"),
            format!("secret-token:{v2}"),
            format!("\"{v2}\""),
            format!("{v2}\0"),
            format!("{v2}\n"),
            format!(" {v2}"),
            format!("{v2}\u{a0}"),
            format!("\u{feff}{v2}"),
            v2.replace("acme", "ａｃｍｅ"),
            v2.replace("pat", "рat"),
            String::new(),
            "acme_pat_".to_owned(),
            "a".repeat(1 << 20),
            format!("ghp_{}", "a".repeat(36)),
        ];
        for text in damaged {
            assert!(
                TokenText::parse(&text, &accepted).is_err(),
                "{}",
                text.get(..99).unwrap_or(&text)
            );
        }
    }

    #[test]
    fn no_proper_part_of_a_token_is_a_token() {
        let accepted = brands("acme");
        let [_, (.., v2), ..] = vectors();
        for cut in 1..v2.len() {
            assert!(TokenText::parse(&v2[..cut], &accepted).is_err());
            assert!(TokenText::parse(&v2[cut..], &accepted).is_err());
        }
    }

    #[test]
    fn every_single_substitution_and_transposition_is_refused() {
        let accepted = brands("acme");
        let [_, (.., v2), ..] = vectors();
        let alphabet = BASE62.iter().chain(b"_- %");
        for place in 0..v2.len() {
            for byte in alphabet.clone().filter(|byte| **byte != v2.as_bytes()[place]) {
                let mut text = v2.as_bytes().to_vec();
                text[place] = *byte;
                let text = String::from_utf8(text).unwrap();
                assert!(TokenText::parse(&text, &accepted).is_err(), "{place} {byte}");
            }
            let mut text = v2.as_bytes().to_vec();
            if place + 1 < text.len() && text[place] != text[place + 1] {
                text.swap(place, place + 1);
                let text = String::from_utf8(text).unwrap();
                assert!(TokenText::parse(&text, &accepted).is_err(), "{place}");
            }
        }
    }

    #[test]
    fn non_digits_under_a_right_checksum_are_refused() {
        for secret in [format!("{}_", "a".repeat(42)), format!("{}-", "a".repeat(42))] {
            let text = build("acme", Kind::Personal, "0000000000000001", &secret);
            assert!(TokenText::parse(&text, &brands("acme")).is_err());
        }
        let text = build("acme", Kind::Personal, "00000000_0000001", &"a".repeat(43));
        assert!(TokenText::parse(&text, &brands("acme")).is_err());
    }

    #[test]
    fn the_longest_token_fits_its_bound() {
        let brand: Brand = "abcdefghijklmnop".parse().unwrap();
        let (plain, _) = PlainToken::generate(&brand, Kind::Personal, &OsEntropy).unwrap();
        assert_eq!(plain.expose().len(), MAX_TOKEN_LEN);
    }

    #[test]
    fn formatting_shows_no_secret() {
        let [_, (.., v2), ..] = vectors();
        let accepted = brands("acme");
        let text = TokenText::parse(v2, &accepted).unwrap();
        assert!(!format!("{text:?}").contains(SECRET));
        let (plain, _) =
            PlainToken::generate(accepted.current(), Kind::Personal, &OsEntropy).unwrap();
        assert_eq!(format!("{plain:?}"), "PlainToken(redacted)");
    }

    proptest! {
        #[test]
        fn generated_tokens_are_read_back(index in 0..4_usize) {
            let accepted = brands("acme");
            let kind = Kind::ALL[index];
            let (plain, id) = PlainToken::generate(accepted.current(), kind, &OsEntropy).unwrap();
            let text = TokenText::parse(plain.expose(), &accepted).unwrap();
            prop_assert_eq!(text.kind(), kind);
            prop_assert_eq!(*text.id(), id);
        }

        #[test]
        fn any_single_edit_is_refused(
            place in 0..=76_usize, edit in 0..3_u8, byte in any::<u8>(),
        ) {
            let accepted = brands("acme");
            let (plain, _) =
                PlainToken::generate(accepted.current(), Kind::Personal, &OsEntropy).unwrap();
            let whole = plain.expose().as_bytes();
            let place = place.min(whole.len() - 1);
            let mut text = whole.to_vec();
            match edit {
                0 => text[place] = byte,
                1 => { text.remove(place); }
                _ => text.insert(place, byte),
            }
            if let Ok(edited) = String::from_utf8(text) {
                prop_assume!(edited.as_bytes() != whole);
                prop_assert!(TokenText::parse(&edited, &accepted).is_err());
            }
        }

        #[test]
        fn no_input_panics(text in any::<String>(), brand in "[a-z][a-z0-9]{1,15}") {
            let accepted = brands(&brand);
            prop_assert!(TokenText::parse(&text, &accepted).is_err());
            let branded = format!("{brand}_pat_{text}");
            prop_assert!(TokenText::parse(&branded, &accepted).is_err());
        }
    }
}
