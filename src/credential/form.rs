//! What `application/x-www-form-urlencoded` and queries are made of, read to the letter.

use zeroize::Zeroizing;

/// Undoes the encoding of a name or value. There is none for a percent sign without two
/// hexadecimal digits, for bytes that are not UTF-8, and for control characters but the tabulator.
pub(crate) fn decode(text: &[u8]) -> Option<Zeroizing<String>> {
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
    let clean = text.chars().all(|c| !c.is_control() || c == '\t');
    clean.then(|| Zeroizing::new(text.to_owned()))
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}
