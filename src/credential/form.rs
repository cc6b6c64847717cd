//! What `application/x-www-form-urlencoded` and queries are made of, read to the letter.

#[cfg(any(feature = "oauth", feature = "api", feature = "console"))]
use zeroize::Zeroizing;

/// A name or value; it may be a secret.
#[cfg(any(feature = "oauth", feature = "api", feature = "console"))]
type Text = Zeroizing<String>;

/// The pairs of a form. One that [cannot be read](unescape) is `None`.
#[cfg(any(feature = "oauth", feature = "api", feature = "console"))]
pub(crate) fn pairs(form: &[u8]) -> impl Iterator<Item = Option<(Text, Text)>> {
    let pairs = form.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty());
    pairs.map(|pair| {
        let middle = pair.iter().position(|byte| *byte == b'=').unwrap_or(pair.len());
        let (name, value) = pair.split_at_checked(middle)?;
        Some((unescape(name)?, unescape(value.strip_prefix(b"=").unwrap_or(value))?))
    })
}

/// Undoes the encoding of a name or value, as [`unescape`] does; there is none for control
/// characters but the tabulator either.
#[cfg(feature = "oauth")]
pub(crate) fn decode(text: &[u8]) -> Option<Text> {
    unescape(text).filter(|text| is_clean(text))
}

/// Whether a text holds no control character but the tabulator.
#[cfg(any(feature = "oauth", feature = "api"))]
pub(crate) fn is_clean(text: &str) -> bool {
    text.chars().all(|c| !c.is_control() || c == '\t')
}

/// Undoes the encoding of a name or value. There is none for a percent sign without two
/// hexadecimal digits and for bytes that are not UTF-8.
#[cfg(any(feature = "oauth", feature = "api", feature = "console"))]
fn unescape(text: &[u8]) -> Option<Text> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(text.len()));
    let mut rest = text.iter();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => hex(*rest.next()?)? << 4 | hex(*rest.next()?)?,
            other => *other,
        });
    }
    let text = std::str::from_utf8(&bytes).ok()?;
    Some(Zeroizing::new(text.to_owned()))
}

/// Undoes the encoding wherever there is one and keeps the rest as it is, to look for something in
/// it that somebody who reads less strictly could find.
#[cfg(feature = "host")]
pub(crate) fn decode_leniently(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        let escaped = match (byte, after) {
            (b'%', [high, low, after @ ..]) => {
                hex(*high).zip(hex(*low)).map(|(high, low)| (high << 4 | low, after))
            }
            (b'+', _) => Some((b' ', after)),
            _ => None,
        };
        let (byte, after) = escaped.unwrap_or((*byte, after));
        bytes.push(byte);
        rest = after;
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}
