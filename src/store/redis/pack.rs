//! `MessagePack`, as far as it is spoken with the scripts: lists of texts, of nothing, and of
//! lists. The server's `cmsgpack` reads and writes the same.

/// One packed value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Packed {
    /// Nothing; `false` in Lua, where a list cannot hold `nil`.
    None,
    Text(Vec<u8>),
}

impl Packed {
    pub(super) fn text(text: impl Into<Vec<u8>>) -> Self {
        Self::Text(text.into())
    }

    pub(super) fn optional(text: Option<impl Into<Vec<u8>>>) -> Self {
        text.map_or(Self::None, Self::text)
    }
}

const NIL: u8 = 0xc0;
const FALSE: u8 = 0xc2;
const SHORT_TEXT: u8 = 0xa0;
const TEXT_8: u8 = 0xd9;
const TEXT_16: u8 = 0xda;
const TEXT_32: u8 = 0xdb;
const SHORT_LIST: u8 = 0x90;
const LIST_16: u8 = 0xdc;
const LIST_32: u8 = 0xdd;

/// Packs a list.
pub(super) fn pack(values: &[Packed]) -> Vec<u8> {
    let texts = values.iter().map(|value| match value {
        Packed::None => 1,
        Packed::Text(text) => text.len() + 5,
    });
    let mut packed = Vec::with_capacity(texts.sum::<usize>() + 5);
    head(&mut packed, values.len(), (SHORT_LIST, 16), LIST_16, LIST_32);
    for value in values {
        match value {
            Packed::None => packed.push(FALSE),
            Packed::Text(text) => {
                head(&mut packed, text.len(), (SHORT_TEXT, 32), TEXT_16, TEXT_32);
                packed.extend_from_slice(text);
            }
        }
    }
    packed
}

/// Writes a type and a length: in one byte where the length is below the short type's bound.
fn head(packed: &mut Vec<u8>, len: usize, (short, bound): (u8, u8), half: u8, full: u8) {
    match (u8::try_from(len), u16::try_from(len)) {
        (Ok(len), _) if len < bound => packed.push(short | len),
        (_, Ok(len)) => {
            packed.push(half);
            packed.extend_from_slice(&len.to_be_bytes());
        }
        _ => {
            packed.push(full);
            packed.extend_from_slice(&u32::try_from(len).unwrap_or(u32::MAX).to_be_bytes());
        }
    }
}

/// Reads a packed list value by value.
#[derive(Debug)]
pub(super) struct Unpack<'a> {
    rest: &'a [u8],
    left: usize,
}

impl<'a> Unpack<'a> {
    /// Begins with a list; `None` if the bytes are none.
    pub(super) fn list(bytes: &'a [u8]) -> Option<Self> {
        let mut list = Self { rest: bytes, left: 0 };
        list.left = match list.byte()? {
            LIST_16 => list.length::<2>()?,
            LIST_32 => list.length::<4>()?,
            short if short & 0xf0 == SHORT_LIST => usize::from(short & 0x0f),
            _ => return None,
        };
        Some(list)
    }

    /// The next text, or `Some(None)` for nothing and past the end of the list, so that columns
    /// can be appended; `None` if it is neither.
    pub(super) fn next(&mut self) -> Option<Option<&'a [u8]>> {
        let Some(left) = self.left.checked_sub(1) else {
            return Some(None);
        };
        self.left = left;
        let len = match self.byte()? {
            NIL | FALSE => return Some(None),
            TEXT_8 => self.length::<1>()?,
            TEXT_16 => self.length::<2>()?,
            TEXT_32 => self.length::<4>()?,
            short if short & 0xe0 == SHORT_TEXT => usize::from(short & 0x1f),
            _ => return None,
        };
        let (text, rest) = self.rest.split_at_checked(len)?;
        self.rest = rest;
        Some(Some(text))
    }

    fn byte(&mut self) -> Option<u8> {
        let (byte, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*byte)
    }

    fn length<const BYTES: usize>(&mut self) -> Option<usize> {
        let (bytes, rest) = self.rest.split_first_chunk::<BYTES>()?;
        self.rest = rest;
        Some(bytes.iter().fold(0, |len, byte| len << 8 | usize::from(*byte)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_come_back() {
        for lengths in [vec![], vec![0], vec![31, 32, 255, 256], vec![65_535, 65_536], vec![1; 70]]
        {
            let mut values: Vec<Packed> =
                lengths.iter().map(|len| Packed::text(vec![b'x'; *len])).collect();
            values.push(Packed::None);
            let packed = pack(&values);
            let mut list = Unpack::list(&packed).unwrap();
            for value in &values {
                let read = list.next().unwrap();
                assert_eq!(Packed::optional(read), *value);
            }
            assert_eq!(list.next(), Some(None));
        }
    }

    #[test]
    fn what_is_cut_or_something_else_is_no_list() {
        let packed = pack(&[Packed::text("some text"), Packed::text(vec![b'x'; 300])]);
        for len in 0..packed.len() {
            let whole = Unpack::list(&packed[..len])
                .is_some_and(|mut list| list.next().is_some() && list.next().is_some());
            assert!(!whole, "{len}");
        }
        for other in [&b"text"[..], &[0x91, 0x01], &[0x91, 0x81], &[0xdd, 0, 0, 0, 1]] {
            let text = Unpack::list(other).and_then(|mut list| list.next());
            assert_eq!(text, None, "{other:?}");
        }
    }
}
