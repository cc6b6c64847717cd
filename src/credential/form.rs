//! What `application/x-www-form-urlencoded` and queries are made of, read to the letter.

use zeroize::Zeroizing;

/// A name or value; it may be a secret.
type Text = Zeroizing<String>;

/// The pairs of a form. One that [cannot be read](unescape) is `None`.
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

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}
