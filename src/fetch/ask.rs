//! Questions to an endpoint of another server, as a client that is registered there.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::Method;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use zeroize::Zeroizing;

use super::endpoint::Endpoint;
use super::error::FetchError;
use super::http::EndpointError;

/// The id and secret of a client, ready to be sent.
pub(crate) struct Credentials(HeaderValue);

impl Credentials {
    /// By Basic, both form-encoded (RFC 6749 section 2.3.1).
    pub(crate) fn basic(id: &str, secret: &str) -> Result<Self, EndpointError> {
        if id.is_empty() || secret.is_empty() {
            return Err(EndpointError::Credentials);
        }
        let mut pair = Zeroizing::new(String::with_capacity(3 * (id.len() + secret.len()) + 1));
        encode(id, &mut pair);
        pair.push(':');
        encode(secret, &mut pair);
        let line = Zeroizing::new(format!("Basic {}", STANDARD.encode(pair.as_bytes())));
        let mut line = HeaderValue::from_str(&line).map_err(|_| EndpointError::Credentials)?;
        line.set_sensitive(true);
        Ok(Self(line))
    }
}

impl Endpoint {
    /// What it answers to a form, if that is 200.
    pub(crate) async fn ask(
        &self,
        credentials: &Credentials,
        form: &[(&str, &str)],
    ) -> Result<Vec<u8>, FetchError> {
        let mut body = String::new();
        for (name, value) in form {
            if !body.is_empty() {
                body.push('&');
            }
            encode(name, &mut body);
            body.push('=');
            encode(value, &mut body);
        }
        let mut request = self.request(Method::POST);
        let headers = request.headers_mut();
        headers.insert(AUTHORIZATION, credentials.0.clone());
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        let form = HeaderValue::from_static("application/x-www-form-urlencoded");
        headers.insert(CONTENT_TYPE, form);
        *request.body_mut() = Some(body.into());
        self.send(request).await
    }
}

/// Appends a text as it stands in a form.
fn encode(text: &str, form: &mut String) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._*".contains(&byte) {
            form.push(char::from(byte));
        } else {
            form.push('%');
            let digits = [byte >> 4, byte & 15].map(|digit| char::from_digit(digit.into(), 16));
            form.extend(digits.into_iter().flatten().map(|digit| digit.to_ascii_uppercase()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_survive_whatever_characters_they_have() {
        let line = Credentials::basic("a:b", "p&= é+%").unwrap().0;
        assert_eq!(line, format!("Basic {}", STANDARD.encode("a%3Ab:p%26%3D%20%C3%A9%2B%25")));
        assert!(line.is_sensitive());
        assert!(Credentials::basic("", "x").is_err() && Credentials::basic("x", "").is_err());
    }
}
