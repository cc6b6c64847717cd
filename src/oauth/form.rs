//! The body of a request, `application/x-www-form-urlencoded`, read to the letter.

use zeroize::Zeroizing;

use super::answer::Refusal;
use crate::credential::{self, is_clean};

/// Longest body, in bytes.
pub const MAX_FORM_LEN: usize = 16 * 1024;
/// Most parameters of a body.
pub const MAX_PARAMETERS: usize = 32;
/// Most audiences and resources of a body, together.
pub const MAX_TARGETS: usize = 8;

/// The parameters that may be repeated (RFC 8693 section 2.1).
const REPEATABLE: [&str; 2] = ["audience", "resource"];

/// The parameters of a body. It has no `Debug`, since they may be secrets.
pub(super) struct Form(Vec<(String, Zeroizing<String>)>);

impl Form {
    /// Reads a body. Whatever could be read in two ways is refused: a parameter that is repeated,
    /// a percent sign without two hexadecimal digits, bytes that are not UTF-8, control
    /// characters.
    pub(super) fn parse(body: &[u8]) -> Result<Self, Refusal> {
        if body.len() > MAX_FORM_LEN {
            return Err(Refusal::TooLarge);
        }
        let mut pairs: Vec<(String, Zeroizing<String>)> = Vec::new();
        for pair in credential::pairs(body) {
            if pairs.len() == MAX_PARAMETERS {
                return Err(Refusal::invalid("Too many parameters"));
            }
            let pair = pair.filter(|(name, value)| is_clean(name) && is_clean(value));
            let (name, value) = pair.ok_or(Refusal::invalid("The body is malformed"))?;
            let repeated = pairs.iter().any(|(known, _)| *known == *name);
            if repeated && !REPEATABLE.contains(&name.as_str()) {
                return Err(Refusal::invalid("A parameter is repeated"));
            }
            pairs.push((name.to_string(), value));
        }
        let targets = pairs.iter().filter(|(name, _)| REPEATABLE.contains(&name.as_str()));
        if targets.count() > MAX_TARGETS {
            return Err(Refusal::invalid("Too many audiences and resources"));
        }
        Ok(Self(pairs))
    }

    /// The value of a parameter. An empty one is as good as none (RFC 6749 section 3.1).
    pub(super) fn get<'a>(&'a self, name: &'a str) -> Option<&'a str> {
        self.all(name).next()
    }

    /// The value of a parameter that must be there.
    pub(super) fn required<'a>(&'a self, name: &'a str) -> Result<&'a str, Refusal> {
        self.get(name).ok_or(Refusal::invalid("A required parameter is missing"))
    }

    /// Every value of a parameter that may be repeated.
    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let named = self.0.iter().filter(move |(known, _)| known == name);
        named.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(body: &str) -> Option<Form> {
        Form::parse(body.as_bytes()).ok()
    }

    #[test]
    fn a_body_is_read_to_the_letter() {
        let form = parse("a=1&b=x+y%2B%c3%A9&&c&d=&audience=p&audience=q&e==").unwrap();
        assert_eq!(form.get("a"), Some("1"));
        assert_eq!(form.get("b"), Some("x y+é"));
        assert_eq!((form.get("c"), form.get("d"), form.get("f")), (None, None, None));
        assert_eq!(form.all("audience").collect::<Vec<_>>(), ["p", "q"]);
        assert_eq!(form.get("e"), Some("="));
        assert!(parse("").is_some());
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_refused() {
        for body in [
            "a=%FF",
            "a=%C3",
            "a=%00",
            "a=%0a",
            "a=%7f",
            "a=%2",
            "a=%",
            "a=%zz",
            "a=%+1",
            "%ff=1",
            "a=1&a=1",
            "a=&a=1",
            "a&a",
            "a=1&%61=1",
        ] {
            assert!(parse(body).is_none(), "{body}");
        }
        assert!(Form::parse(b"a=\xff").is_err());
    }

    #[test]
    fn limits_hold() {
        let many = |count: usize| (0..count).map(|n| format!("p{n}=1&")).collect::<String>();
        assert!(parse(&many(32)).is_some() && parse(&many(33)).is_none());
        assert!(parse(&"audience=a&".repeat(8)).is_some());
        assert!(parse(&("audience=a&".repeat(8) + "resource=b")).is_none());
        let long = |len: usize| Form::parse(&[b"a=", vec![b'x'; len - 2].as_slice()].concat());
        assert!(long(MAX_FORM_LEN).is_ok());
        assert!(matches!(long(MAX_FORM_LEN + 1), Err(Refusal::TooLarge)));
    }
}
