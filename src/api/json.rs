//! JSON that has one meaning.

use std::fmt;

use serde::de::{DeserializeOwned, DeserializeSeed, Error as _, MapAccess, SeqAccess, Visitor};
use serde::{Deserializer, de};
use serde_json::{Map, Number, Value};
use serde_path_to_error::Segment;

use super::problem::{Code, Failure, member};

/// How deep a body may be nested.
const MAX_DEPTH: u32 = 16;

/// Reads a body. What readers of JSON disagree about is refused: a key that is repeated, wherever
/// it is, and what follows after the end.
///
/// # Errors
/// The [`Failure`] names the member that is not as it must be.
pub(super) fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Failure> {
    let mut reader = serde_json::Deserializer::from_slice(body);
    let value = Strict { left: MAX_DEPTH }.deserialize(&mut reader);
    let value = value.and_then(|value| reader.end().map(|()| value));
    let value = value.map_err(|error| Failure::from(Code::MalformedJson).detail(error))?;
    serde_path_to_error::deserialize(value).map_err(|error| {
        let pointer = pointer(error.path());
        Failure::body(vec![member(&pointer, "invalid", error.into_inner())])
    })
}

/// A path as a JSON Pointer (RFC 6901).
fn pointer(path: &serde_path_to_error::Path) -> String {
    let mut pointer = String::new();
    for segment in path {
        let step = match segment {
            Segment::Seq { index } => index.to_string(),
            Segment::Map { key } => key.replace('~', "~0").replace('/', "~1"),
            Segment::Enum { .. } | Segment::Unknown => continue,
        };
        pointer.push('/');
        pointer.push_str(&step);
    }
    pointer
}

/// Reads a value with so many levels left.
#[derive(Clone, Copy)]
struct Strict {
    left: u32,
}

impl Strict {
    fn inner<E: de::Error>(self) -> Result<Self, E> {
        match self.left.checked_sub(1) {
            Some(left) => Ok(Self { left }),
            None => Err(E::custom("nested too deep")),
        }
    }
}

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("not a number"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let inner = self.inner()?;
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(inner)? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let inner = self.inner()?;
        let mut map = Map::new();
        while let Some(key) = members.next_key::<String>()? {
            if map.contains_key(&key) {
                return Err(A::Error::custom("a key is repeated"));
            }
            let value = members.next_value_seed(inner)?;
            map.insert(key, value);
        }
        Ok(Value::Object(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{NewToken, Rotate};

    fn code<T: DeserializeOwned + fmt::Debug>(body: &[u8]) -> Code {
        read::<T>(body).unwrap_err().code
    }

    fn wrong(body: &str) -> String {
        let response = read::<NewToken>(body.as_bytes()).unwrap_err().into_response("acme");
        let json: Value = serde_json::from_slice(response.body()).unwrap();
        json["errors"][0]["pointer"].as_str().unwrap().to_owned()
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_refused() {
        let deep = |depth| {
            format!(
                r#"{{"name":"a","metadata":{}1{}}}"#,
                r#"{"a":"#.repeat(depth),
                "}".repeat(depth)
            )
        };
        for body in [
            "",
            "{",
            r#"{"name":"a"} x"#,
            r#"{"name":"a"}{"#,
            "\u{feff}{}",
            r#"{"name":"a","name":"a"}"#,
            r#"{"name":"a","metadata":{"a":1,"a":2}}"#,
            r#"{"name":"\ud800"}"#,
            r#"{"lifetime_seconds":NaN}"#,
            r#"{"lifetime_seconds":+1}"#,
            "{'name':'a'}",
            &deep(200),
            &deep(16),
        ] {
            assert_eq!(code::<NewToken>(body.as_bytes()), Code::MalformedJson, "{body}");
        }
        assert_eq!(code::<NewToken>(b"{\"name\":\"\xff\"}"), Code::MalformedJson);
        assert!(read::<NewToken>(deep(15).as_bytes()).is_ok());
    }

    #[test]
    fn the_member_that_is_wrong_is_named() {
        assert_eq!(wrong(r#"{"name":1}"#), "/name");
        assert_eq!(wrong(r#"{"name":"a","scopes":["a",1]}"#), "/scopes/1");
        assert_eq!(wrong(r#"{"name":"a","scopes":"a"}"#), "/scopes");
        assert_eq!(wrong(r#"{"name":"a","scopes":null}"#), "/scopes");
        assert_eq!(wrong(r#"{"name":"a","copy_of":"x"}"#), "/copy_of");
        assert_eq!(wrong(r#"{"name":"a","user_id":"x"}"#), "/user_id");
        assert_eq!(wrong(r#"{"scopes":[]}"#), "");
        assert_eq!(wrong("[]"), "");
    }

    #[test]
    fn numbers_are_whole() {
        for number in ["1.0", "1e3", "\"3600\"", "null", "true", "9223372036854775808", "1e400"] {
            let body = format!(r#"{{"overlap_seconds":{number}}}"#);
            assert!(read::<Rotate>(body.as_bytes()).is_err(), "{number}");
        }
        assert!(read::<Rotate>(br#"{"overlap_seconds":9223372036854775807}"#).is_ok());
    }
}
