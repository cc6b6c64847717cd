//! What a report says, and what is said to it.

use std::fmt;

use aws_lc_rs::digest::{SHA256, digest};
use serde::de::{Deserializer, IgnoredAny, SeqAccess, Visitor};
use serde::{Deserialize, Serialize, Serializer};

use super::answer::Refusal;

/// Most matches in a report.
pub const MAX_MATCHES: usize = 10_000;

/// Something that looked like a token, and where it was found.
pub(super) struct Match {
    /// Empty if the report held no text in its place.
    pub(super) token: String,
    /// What the partner calls such tokens.
    kind: Option<String>,
    pub(super) url: Option<String>,
    pub(super) source: Option<String>,
}

/// Reads a report: a JSON array. What is in place of a match and is none has an empty token, so that
/// the others are dealt with.
pub(super) fn parse(body: &[u8]) -> Result<Vec<Match>, Refusal> {
    let Report(matches) = serde_json::from_slice(body).map_err(|_| Refusal::Malformed)?;
    if matches.len() > MAX_MATCHES { Err(Refusal::TooLarge) } else { Ok(matches) }
}

/// What was found of each match, as JSON.
pub(super) fn labels(matches: &[Match], known: &[bool]) -> Vec<u8> {
    // Texts are always JSON.
    serde_json::to_vec(&Labels { matches, known }).unwrap_or_default()
}

struct Report(Vec<Match>);

impl<'de> Deserialize<'de> for Report {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Matches;

        impl<'de> Visitor<'de> for Matches {
            type Value = Report;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Report, A::Error> {
                let mut matches = Vec::new();
                while let Some(item) = list.next_element::<Item>()? {
                    matches.push(item.into());
                    if matches.len() > MAX_MATCHES {
                        // The rest is only read for its form.
                        while list.next_element::<IgnoredAny>()?.is_some() {}
                        break;
                    }
                }
                Ok(Report(matches))
            }
        }

        deserializer.deserialize_seq(Matches)
    }
}

/// Whatever an array holds.
#[derive(Deserialize)]
#[serde(untagged)]
enum Item {
    Match {
        token: String,
        #[serde(default)]
        r#type: Text,
        #[serde(default)]
        url: Text,
        #[serde(default)]
        source: Text,
    },
    Other(IgnoredAny),
}

/// A text, or something in its place that does not matter.
#[derive(Deserialize)]
#[serde(untagged)]
enum Text {
    Some(String),
    Other(IgnoredAny),
}

impl Default for Text {
    fn default() -> Self {
        Self::Other(IgnoredAny)
    }
}

impl From<Text> for Option<String> {
    fn from(text: Text) -> Self {
        match text {
            Text::Some(text) => Some(text),
            Text::Other(_) => None,
        }
    }
}

impl From<Item> for Match {
    fn from(item: Item) -> Self {
        match item {
            Item::Match { token, r#type, url, source } => {
                Self { token, kind: r#type.into(), url: url.into(), source: source.into() }
            }
            Item::Other(_) => Self { token: String::new(), kind: None, url: None, source: None },
        }
    }
}

struct Labels<'a> {
    matches: &'a [Match],
    known: &'a [bool],
}

impl Serialize for Labels<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.matches.iter().zip(self.known).map(|(found, known)| Label {
            token_hash: hex(digest(&SHA256, found.token.as_bytes()).as_ref()),
            token_type: found.kind.as_deref(),
            label: if *known { "true_positive" } else { "false_positive" },
        }))
    }
}

#[derive(Serialize)]
struct Label<'a> {
    token_hash: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    token_type: Option<&'a str>,
    label: &'static str,
}

fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::with_capacity(2 * bytes.len()), |text, byte| text + &format!("{byte:02x}"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn tokens(body: &str) -> Result<Vec<String>, Refusal> {
        let matches = parse(body.as_bytes())?;
        Ok(matches.into_iter().map(|found| found.token).collect())
    }

    #[test]
    fn what_is_no_match_does_not_hide_the_others() {
        let one = r#"{"token":"a","type":"t","url":"u","source":"s"}"#;
        for (other, token) in [
            ("1", ""),
            ("null", ""),
            ("\"a\"", ""),
            ("[]", ""),
            ("{}", ""),
            (r#"{"token":7}"#, ""),
            (r#"{"token":null}"#, ""),
            (r#"{"token":{"token":"a"}}"#, ""),
            (r#"{"token":"a","token":"b"}"#, ""),
            (r#"{"token":"b","url":7,"source":[],"type":null,"more":{"deep":[1]}}"#, "b"),
        ] {
            let found = tokens(&format!("[{one},{other},{one}]"));
            assert_eq!(found.unwrap(), ["a", token, "a"], "{other}");
        }
        assert_eq!(tokens("[]").unwrap(), [""; 0]);
    }

    #[test]
    fn what_is_no_array_is_no_report() {
        let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
        for body in ["", "{}", "null", "7", "[", "[1", "[1,]", "[] []", "[]x", "\u{feff}[]", &deep]
        {
            assert_eq!(tokens(body).unwrap_err(), Refusal::Malformed, "{body}");
        }
        assert_eq!(parse(b"[\"\xff\"]").err(), Some(Refusal::Malformed));
    }

    #[test]
    fn a_report_has_a_bound() {
        let full = |count: usize| format!("[{}]", vec!["0"; count].join(","));
        assert_eq!(tokens(&full(MAX_MATCHES)).unwrap().len(), MAX_MATCHES);
        assert_eq!(tokens(&full(MAX_MATCHES + 1)).unwrap_err(), Refusal::TooLarge);
        let broken = full(MAX_MATCHES + 5).replace(']', "");
        assert_eq!(tokens(&broken).unwrap_err(), Refusal::Malformed);
    }

    #[test]
    fn a_label_holds_the_hash_and_no_token() {
        let body = r#"[{"token":"abc","type":"a\"b"},7]"#;
        let matches = parse(body.as_bytes()).unwrap();
        // FIPS 180-2 appendix B.1, and the hash of nothing.
        let expected = concat!(
            r#"[{"token_hash":"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad","#,
            r#""token_type":"a\"b","label":"true_positive"},"#,
            r#"{"token_hash":"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855","#,
            r#""label":"false_positive"}]"#,
        );
        assert_eq!(String::from_utf8(labels(&matches, &[true, false])).unwrap(), expected);
    }

    /// JSON of any shape, as often as not something like a match.
    fn json() -> impl Strategy<Value = serde_json::Value> {
        use serde_json::Value;
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            ".{0,8}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 24, 4, |inner| {
            let name = prop_oneof!["token", "type", "url", "source", ".{0,4}"];
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::vec((name, inner), 0..5)
                    .prop_map(|members| members.into_iter().collect()),
            ]
        })
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_report_or_refused(body in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = parse(&body).map(|matches| labels(&matches, &vec![true; matches.len()]));
        }

        #[test]
        fn every_array_is_a_report_of_its_tokens(list in prop::collection::vec(json(), 0..8)) {
            let body = serde_json::to_vec(&list).unwrap();
            let matches = parse(&body).unwrap();
            let expected: Vec<_> = list
                .iter()
                .map(|item| item.get("token").and_then(|token| token.as_str()).unwrap_or_default())
                .collect();
            let found: Vec<_> = matches.iter().map(|found| found.token.as_str()).collect();
            prop_assert_eq!(found, expected);
            let labelled = labels(&matches, &vec![false; matches.len()]);
            let labelled: Vec<serde_json::Value> = serde_json::from_slice(&labelled).unwrap();
            prop_assert_eq!(labelled.len(), list.len());
        }
    }
}
