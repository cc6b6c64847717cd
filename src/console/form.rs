//! What comes with a request: the fields of a form, and the query.

use zeroize::Zeroizing;

use crate::credential::pairs;

/// Longest body, in bytes.
pub(super) const MAX_BODY: usize = 64 * 1024;
/// Most fields of a form: all scopes of a catalog, or a page of tokens, and the rest.
const MAX_FIELDS: usize = 512;

/// The fields of a form, in the order in which they came. It has no `Debug`, since they may be
/// secrets.
pub(super) struct Form(Vec<(String, Zeroizing<String>)>);

/// The fields that may come more than once.
const REPEATABLE: [&str; 2] = ["scope", "id"];

impl Form {
    /// Reads `application/x-www-form-urlencoded`. What could be read in two ways is refused: a
    /// broken escape, bytes that are not UTF-8, a field that is given twice.
    pub(super) fn parse(text: &[u8]) -> Option<Self> {
        let mut fields: Vec<(String, Zeroizing<String>)> = Vec::new();
        for pair in pairs(text) {
            let (name, value) = pair?;
            let again = fields.iter().any(|(known, _)| *known == *name);
            if fields.len() == MAX_FIELDS || (again && !REPEATABLE.contains(&name.as_str())) {
                return None;
            }
            fields.push((name.to_string(), value));
        }
        Some(Self(fields))
    }

    /// Whether every field is one of these.
    pub(super) fn knows_only(&self, names: &[&str]) -> bool {
        self.0.iter().all(|(name, _)| names.contains(&name.as_str()))
    }

    /// The value of a field.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    /// The value of a field, or nothing.
    pub(super) fn text(&self, name: &str) -> &str {
        self.get(name).unwrap_or_default()
    }

    /// Every value of a field that may be repeated.
    pub(super) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Every field but these.
    pub(super) fn without(&self, names: &[&str]) -> Vec<(&str, &str)> {
        let kept = self.0.iter().filter(|(name, _)| !names.contains(&name.as_str()));
        kept.map(|(name, value)| (name.as_str(), value.as_str())).collect()
    }
}

/// A value as it stands in a query: everything but letters, digits and `-._~` escaped.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            escaped.push_str(&format!("%{byte:02X}"));
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_are_read_as_browsers_write_them() {
        let form = Form::parse(b"name=a+b%0D%0A%C3%A9&scope=x&scope=y&&empty=&bare").unwrap();
        assert_eq!(form.text("name"), "a b\r\n\u{e9}");
        assert_eq!(form.all("scope").collect::<Vec<_>>(), ["x", "y"]);
        assert_eq!(
            (form.get("empty"), form.get("bare"), form.get("none")),
            (Some(""), Some(""), None)
        );
        assert_eq!(form.without(&["name", "scope"]), [("empty", ""), ("bare", "")]);
        assert!(form.knows_only(&["name", "scope", "empty", "bare"]));
        assert!(!form.knows_only(&["name"]));
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_refused() {
        for body in [&b"a=%"[..], b"a=%2", b"a=%zz", b"a=%+1", b"a=%FF", b"\xff=1", b"a=1&a=1"] {
            assert!(Form::parse(body).is_none(), "{body:?}");
        }
        let many = "scope=x&".repeat(MAX_FIELDS);
        assert!(Form::parse(many.as_bytes()).is_some());
        assert!(Form::parse(format!("{many}scope=x").as_bytes()).is_none());
    }

    #[test]
    fn what_is_escaped_reads_the_same() {
        let text = "a b&c=d/é?";
        assert_eq!(Form::parse(format!("q={}", escape(text)).as_bytes()).unwrap().text("q"), text);
    }
}
