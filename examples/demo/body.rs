//! Bodies, read strictly: one content type, every field known, none twice.

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, StatusCode, header};
use serde::de::DeserializeOwned;

use super::problem::Problem;

/// A JSON body.
#[derive(Debug)]
pub(crate) struct Json<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        if !is(request.headers(), "application/json") {
            return Err(wrong_type("send the body with Content-Type: application/json"));
        }
        let body = read(request, state).await?;
        Ok(Self(serde_json::from_slice(&body).map_err(|error| Problem::bad(&error))?))
    }
}

/// A body that is JSON or a form, with the same fields in both.
#[derive(Debug)]
pub(crate) struct JsonOrForm<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for JsonOrForm<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        if is(request.headers(), "application/json") {
            return Ok(Self(Json::from_request(request, state).await?.0));
        }
        let pairs = Form::from_request(request, state).await?.0;
        let mut fields = serde_json::Map::new();
        for (name, value) in pairs {
            if fields.insert(name, value.into()).is_some() {
                return Err(Problem::bad("a field is given twice"));
            }
        }
        Ok(Self(serde_json::from_value(fields.into()).map_err(|error| Problem::bad(&error))?))
    }
}

/// A form, as pairs in the order in which they came. A name may come twice.
#[derive(Debug)]
pub(crate) struct Form(pub(crate) Vec<(String, String)>);

impl<S: Send + Sync> FromRequest<S> for Form {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        if !is(request.headers(), "application/x-www-form-urlencoded") {
            return Err(wrong_type("send a form or JSON"));
        }
        let body = read(request, state).await?;
        pairs(&body).map(Self).ok_or_else(|| Problem::bad("the form is malformed"))
    }
}

async fn read<S: Send + Sync>(request: Request, state: &S) -> Result<Bytes, Problem> {
    Bytes::from_request(request, state).await.map_err(|rejection: BytesRejection| {
        let status = rejection.status();
        Problem::new(status, "body", "the body cannot be read or is too large")
    })
}

fn wrong_type(detail: &str) -> Problem {
    Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "content-type", detail)
}

/// Whether the body is of this type, in UTF-8.
fn is(headers: &HeaderMap, media_type: &str) -> bool {
    let mut lines = headers.get_all(header::CONTENT_TYPE).iter();
    let (Some(line), None) = (lines.next(), lines.next()) else {
        return false;
    };
    let Ok(line) = line.to_str() else {
        return false;
    };
    let (essence, parameters) = line.split_once(';').unwrap_or((line, ""));
    let charset = parameters.trim().to_ascii_lowercase();
    essence.trim().eq_ignore_ascii_case(media_type)
        && matches!(charset.as_str(), "" | "charset=utf-8" | "charset=\"utf-8\"")
}

/// The pairs of a form; `None` if an escape is broken or something is not UTF-8.
fn pairs(body: &[u8]) -> Option<Vec<(String, String)>> {
    let parts = body.split(|byte| *byte == b'&').filter(|part| !part.is_empty());
    let pair = |part: &[u8]| {
        let middle = part.iter().position(|byte| *byte == b'=').unwrap_or(part.len());
        let (name, value) = part.split_at(middle);
        Some((unescape(name)?, unescape(value.strip_prefix(b"=").unwrap_or(value))?))
    };
    parts.map(pair).collect()
}

fn unescape(text: &[u8]) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.iter();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let mut digit = || char::from(*rest.next()?).to_digit(16);
                u8::try_from(digit()? * 16 + digit()?).ok()?
            }
            other => *other,
        });
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_are_read_as_browsers_write_them() {
        let read = pairs(b"a=1&b=x+y%2Cz&&c&d=%C3%A9=").unwrap();
        let read: Vec<(&str, &str)> = read.iter().map(|(n, v)| (&**n, &**v)).collect();
        assert_eq!(read, [("a", "1"), ("b", "x y,z"), ("c", ""), ("d", "é=")]);
    }

    #[test]
    fn broken_escapes_and_bad_utf8_are_refused() {
        for body in [&b"a=%"[..], b"a=%2", b"a=%zz", b"a=%FF", b"\xff=1", b"%+1=x"] {
            assert_eq!(pairs(body), None, "{body:?}");
        }
    }
}
