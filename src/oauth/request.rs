//! What every endpoint asks of a request before it looks at the parameters, and who sent it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method};
use zeroize::Zeroizing;

use super::answer::Refusal;
use super::client::{Client, ClientRegistry};
use super::form::Form;
use crate::credential::decode;

/// Longest `Authorization` that is looked at, in bytes.
const MAX_AUTHORIZATION_LEN: usize = 8 * 1024;
/// Longest client id, in bytes.
const MAX_CLIENT_ID_LEN: usize = 256;

/// The parameters of a request, which are in its body alone.
pub(super) fn read(head: &Parts, body: &[u8]) -> Result<Form, Refusal> {
    if head.method != Method::POST {
        return Err(Refusal::Method("POST"));
    }
    if head.uri.query().is_some_and(|query| !query.is_empty()) {
        return Err(Refusal::invalid("Parameters belong in the body"));
    }
    if !is_form(&head.headers) {
        return Err(Refusal::invalid("The body must be application/x-www-form-urlencoded"));
    }
    Form::parse(body)
}

/// Whether the body says it is a form, in UTF-8 if it says in what.
fn is_form(headers: &HeaderMap) -> bool {
    let mut lines = headers.get_all(CONTENT_TYPE).iter();
    let (Some(line), None) = (lines.next(), lines.next()) else {
        return false;
    };
    let Ok(line) = line.to_str() else {
        return false;
    };
    let mut parts = line.split(';').map(str::trim);
    let essence = parts.next().unwrap_or_default();
    essence.eq_ignore_ascii_case("application/x-www-form-urlencoded")
        && parts.filter(|part| !part.is_empty()).all(|parameter| {
            parameter.split_once('=').is_some_and(|(name, value)| {
                !name.eq_ignore_ascii_case("charset")
                    || value.trim_matches('"').eq_ignore_ascii_case("utf-8")
            })
        })
}

/// Who sent a request, by what it proves.
///
/// A client names itself in one place: in `Authorization: Basic` or in the body. One that holds a
/// secret proves it; one that holds none only says its name.
pub(super) async fn client(
    head: &Parts,
    form: &Form,
    registry: &dyn ClientRegistry,
) -> Result<Option<Client>, Refusal> {
    let in_body = (form.get("client_id"), form.get("client_secret"));
    let mut lines = head.headers.get_all(AUTHORIZATION).iter();
    let (id, secret, challenge) = match (lines.next(), lines.next()) {
        (Some(_), Some(_)) => return Err(Refusal::invalid("Several credentials")),
        (Some(line), None) => {
            let pair = basic(line).ok_or(Refusal::Client { challenge: true })?;
            if in_body.1.is_some() || in_body.0.is_some_and(|id| id != *pair.0) {
                return Err(Refusal::invalid("Several credentials"));
            }
            (pair.0, Some(pair.1), true)
        }
        (None, _) => match in_body {
            (None, None) => return Ok(None),
            (None, Some(_)) => return Err(Refusal::invalid("A secret belongs to a client_id")),
            (Some(id), secret) => {
                let owned = |text: &str| Zeroizing::new(text.to_owned());
                (owned(id), secret.map(owned), false)
            }
        },
    };
    let known = if is_client_id(&id) {
        registry.find(&id).await.map_err(|_| Refusal::Unavailable)?
    } else {
        None
    };
    let known = known.filter(|client| client.id() == *id);
    let proven = match (&known, &secret) {
        (Some(client), Some(secret)) => client.holds(secret),
        (Some(client), None) => !client.is_confidential(),
        (None, _) => {
            // An unknown client takes as long as a wrong secret.
            Client::public("").holds(secret.as_deref().map_or("", String::as_str));
            false
        }
    };
    match known {
        Some(client) if proven => Ok(Some(client)),
        _ => Err(Refusal::Client { challenge }),
    }
}

fn is_client_id(id: &str) -> bool {
    !id.is_empty()
        && id.len() <= MAX_CLIENT_ID_LEN
        && id.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Id and secret in a Basic credential, both form-encoded (RFC 6749 section 2.3.1).
fn basic(line: &HeaderValue) -> Option<(Zeroizing<String>, Zeroizing<String>)> {
    let line = line.as_bytes();
    if line.len() > MAX_AUTHORIZATION_LEN {
        return None;
    }
    let (scheme, payload) = line.split_at_checked("Basic ".len())?;
    if !scheme.eq_ignore_ascii_case(b"basic ") {
        return None;
    }
    let mut bytes = Zeroizing::new(vec![0; base64::decoded_len_estimate(payload.len())]);
    let len = STANDARD.decode_slice(payload, &mut bytes).ok()?;
    let pair = bytes.get(..len)?;
    let colon = pair.iter().position(|byte| *byte == b':')?;
    let (id, secret) = pair.split_at_checked(colon)?;
    Some((decode(id)?, decode(secret.strip_prefix(b":")?)?))
}
