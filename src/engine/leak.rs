//! Ends tokens whose secret was found where it must not be.

#[cfg(feature = "scan")]
use std::collections::HashSet;
use std::fmt;

use super::denial::{Denial, DenialReason, Outage, VerifyError};
use super::event::{Event, Subject};
use super::judge::Presented;
use super::whose::SecretMatch;
use super::{Context, Hallpass};
use crate::store::Facts;
#[cfg(feature = "scan")]
use crate::store::{Filter, Reach};
use crate::token::{Actor, Owner, RevocationReason, TokenId, TokenText};

/// Who found a secret, and where. Its `Debug` shows only who: a place may hold the secret.
#[derive(Clone, Copy)]
pub struct Leak<'a> {
    by: &'a Owner,
    url: Option<&'a str>,
    source: Option<&'a str>,
}

impl<'a> Leak<'a> {
    /// Found by the service with this name, which becomes the
    /// [actor](crate::Actor::Scanner) of the revocation.
    #[must_use]
    pub fn found_by(scanner: &'a Owner) -> Self {
        Self { by: scanner, url: None, source: None }
    }

    /// At this URL.
    #[must_use]
    pub fn url(mut self, url: &'a str) -> Self {
        self.url = Some(url);
        self
    }

    /// In something of this sort, such as `commit`.
    #[must_use]
    pub fn source(mut self, source: &'a str) -> Self {
        self.source = Some(source);
        self
    }

    fn actor(&self) -> Actor {
        Actor::Scanner(self.by.clone())
    }
}

impl fmt::Debug for Leak<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Leak").field("by", &self.by).finish_non_exhaustive()
    }
}

impl Hallpass {
    /// Takes note that this text was found where it must not be. If it is the secret of a token,
    /// the token is revoked with all that was made from it, for
    /// [`Leaked`](RevocationReason::Leaked), and [`Event::Leaked`] is emitted, once. Tells which
    /// token it was, whatever became of it, and `None` for any other text, which changes nothing.
    ///
    /// A secret that was replaced ends the token too, in the overlap and after it: a token can be
    /// rotated with its secret alone, so whoever found the older secret may have made the current
    /// one. A refresh token ends the whole grant it belongs to. It is no use of the token.
    ///
    /// # Errors
    /// [`Outage`] if it cannot be told whose secret it is, or whether the token is revoked. Report
    /// it again then.
    pub async fn report_leak(&self, text: &str, leak: Leak<'_>) -> Result<Option<TokenId>, Outage> {
        let Some(leaked) = self.leaked(text, leak).await? else {
            return Ok(None);
        };
        self.end_leaked(&leaked).await?;
        Ok(Some(leaked.facts.id))
    }

    /// The token whose secret this text is, or was before its last rotation.
    pub(crate) async fn leaked<'a>(
        &self,
        text: &'a str,
        leak: Leak<'a>,
    ) -> Result<Option<Leaked<'a>>, Outage> {
        let engine = &*self.0;
        let now = engine.clock.now();
        let Ok(text) = TokenText::parse(text, &engine.brands) else {
            return Ok(None);
        };
        let error = match engine.presented(&text, now).await {
            Ok((facts, presented)) => return Ok(Some(Leaked::new(text, facts, presented, leak))),
            Err(error) => error,
        };
        // What anybody may put in public is no refusal of anything.
        let is_noise = |denial: &Denial| denial.reason != DenialReason::UnusableDigest;
        if !matches!(&error, VerifyError::Denied(denial) if is_noise(denial)) {
            engine.report(&error, &Context::default(), now);
        }
        match error {
            VerifyError::Denied(_) => Ok(None),
            VerifyError::Unavailable(outage) => Err(outage),
        }
    }

    /// Ends a leaked token with what was made from it. An owner who was told before is not
    /// told again.
    pub(crate) async fn end_leaked(&self, leaked: &Leaked<'_>) -> Result<(), Outage> {
        let engine = &*self.0;
        let now = engine.clock.now();
        let mark = (leaked.leak.actor(), RevocationReason::Leaked);
        let ended = engine.end(&leaked.facts, mark, now).await?;
        if !ended.is_empty() && !leaked.is_told {
            engine.events.emit(now, &leaked.event());
        }
        Ok(())
    }

    /// Ends leaked tokens that one scanner found in one step of the store, which is many times faster
    /// than one by one. What was made from them is refused from then on and has yet to be
    /// [ended](Self::end_leaked), each by itself; so have they, if this fails.
    #[cfg(feature = "scan")]
    pub(crate) async fn end_leaked_at_once(&self, found: &mut [Leaked<'_>]) -> Result<(), Outage> {
        let engine = &*self.0;
        let now = engine.clock.now();
        let live = found.iter().filter(|leaked| leaked.facts.revoked_for.is_none());
        let Some(first) = live.clone().next() else {
            return Ok(());
        };
        let mut filter = Filter::new(Reach::All);
        filter.ids = Some(live.map(|leaked| leaked.facts.id).collect());
        let mark = (first.leak.actor(), RevocationReason::Leaked);
        let revoked = engine.revoke(filter, mark, now).await?;
        let revoked: HashSet<TokenId> = revoked.into_iter().collect();
        let mut told = HashSet::new();
        for leaked in found {
            let id = leaked.facts.id;
            leaked.is_told = revoked.contains(&id);
            // The same one may have been found twice.
            if leaked.is_told && told.insert(id) {
                engine.events.emit(now, &leaked.event());
            }
        }
        Ok(())
    }
}

/// A token whose secret was found.
pub(crate) struct Leaked<'a> {
    text: TokenText<'a>,
    facts: Facts,
    presented: Presented,
    leak: Leak<'a>,
    /// Whether its owner was told already.
    is_told: bool,
}

impl<'a> Leaked<'a> {
    fn new(text: TokenText<'a>, facts: Facts, presented: Presented, leak: Leak<'a>) -> Self {
        Self { text, facts, presented, leak, is_told: false }
    }

    fn event(&self) -> Event {
        let leak = &self.leak;
        Event::Leaked {
            token: Subject::from(&self.facts),
            by: leak.actor(),
            secret: match self.presented {
                Presented::Current => SecretMatch::Current,
                Presented::Older => SecretMatch::Superseded,
            },
            url: leak.url.and_then(|url| shown(url, self.text.secret())),
            source: leak.source.filter(|source| is_word(source)).map(str::to_owned),
        }
    }
}

/// Longest URL that is handed on, in bytes.
const MAX_URL_LEN: usize = 2048;
/// How many times a URL is decoded in search of the secret.
const MAX_LAYERS: usize = 4;

/// A URL as it may be shown: not with a query, in which credentials are common, and not at all if
/// it holds the secret itself.
fn shown(url: &str, secret: &[u8]) -> Option<String> {
    let url = url.split(['?', '#']).next()?;
    let is_web = ["https://", "http://"].iter().any(|scheme| url.starts_with(scheme));
    if !is_web || url.len() > MAX_URL_LEN || !url.bytes().all(|byte| byte.is_ascii_graphic()) {
        return None;
    }
    let mut layer = url.as_bytes().to_vec();
    for _ in 0..MAX_LAYERS {
        if layer.windows(secret.len()).any(|part| part == secret) {
            return None;
        }
        let below = decoded(&layer);
        if below == layer {
            return Some(url.to_owned());
        }
        layer = below;
    }
    None
}

/// Without one layer of percent-encoding. What is no escape stays.
fn decoded(text: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, after)) = rest.split_first() {
        let escaped = after.first_chunk().filter(|_| *first == b'%').and_then(byte_of);
        decoded.push(escaped.unwrap_or(*first));
        rest = match escaped {
            Some(_) => after.get(2..).unwrap_or_default(),
            None => after,
        };
    }
    decoded
}

fn byte_of(digits: &[u8; 2]) -> Option<u8> {
    let [high, low] = digits.map(|digit| char::from(digit).to_digit(16));
    u8::try_from(high? * 16 + low?).ok()
}

/// Whether a text is a short name such as `pull_request_comment`.
fn is_word(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
    (1..=64).contains(&text.len()) && text.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &[u8] = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFG";

    #[test]
    fn a_url_is_shown_without_what_may_hold_secrets() {
        for (url, expected) in [
            ("https://github.com/a/b/blob/1/c.txt", Some("https://github.com/a/b/blob/1/c.txt")),
            ("https://a.example/x%20y?token=1#L3", Some("https://a.example/x%20y")),
            ("http://a.example#x", Some("http://a.example")),
            ("https://a.example/100%", Some("https://a.example/100%")),
            ("", None),
            ("javascript:alert(1)", None),
            ("https://a.example/ b", None),
            ("https://a.example/\u{e4}", None),
            ("https://a.example/\r\nx", None),
        ] {
            assert_eq!(shown(url, SECRET).as_deref(), expected, "{url}");
        }
        assert_eq!(shown(&format!("https://a.example/{}", "x".repeat(2048)), SECRET), None);
    }

    #[test]
    fn a_url_that_holds_the_secret_is_not_shown_however_it_is_written() {
        let text = std::str::from_utf8(SECRET).unwrap();
        assert_eq!(shown(&format!("https://a.example/{text}"), SECRET), None);
        let mut written = text.replace('a', "%61");
        for layers in 1..6 {
            assert_eq!(shown(&format!("https://a.example/{written}"), SECRET), None, "{layers}");
            written = written.replace('%', "%25");
        }
    }

    #[test]
    fn a_source_is_a_word() {
        assert!(is_word("pull_request_comment") && is_word("npm"));
        assert!(!is_word("") && !is_word("a b") && !is_word("a\n") && !is_word(&"a".repeat(65)));
    }
}
