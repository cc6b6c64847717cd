//! What can be wrong with a request, as RFC 9457 tells it.

use bytes::Bytes;
use http::StatusCode;

/// What is wrong with a request. Its [`body`](Self::body) is an RFC 9457 problem, the same for
/// every request.
///
/// Adapters put it in the extensions of the response, so that a layer around them can count and
/// log refusals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Problem {
    /// No credential, or only one of a scheme that is not accepted. 401.
    CredentialRequired,
    /// A credential that breaks the grammar of its place. 400.
    MalformedCredential,
    /// More than one credential. 400.
    SeveralCredentials,
    /// The token was refused, for whatever reason. 401.
    InvalidToken,
    /// The token is good and lacks a scope. 403.
    InsufficientScope,
    /// The token is good and does not reach what the request is about. 403.
    InsufficientResource,
    /// A browser sent stored Basic credentials on behalf of another site. 403.
    CrossSite,
    /// The route declares no requirement, so nobody may call it. 403.
    NoRequirement,
    /// Too many requests. 429.
    TooManyRequests,
    /// The URI is too long. 414.
    UriTooLong,
    /// The header, or the credential in it, is too large. 431.
    HeaderTooLarge,
    /// It cannot be told right now whether the token is good. 503.
    Unavailable,
    /// A handler asked for a verified token on a route that no layer guards. 500.
    NotGuarded,
}

/// The body of an RFC 9457 problem, of which nothing depends on the request.
macro_rules! problem_json {
    ($status:literal, $name:literal, $title:literal, $detail:literal) => {
        concat!(
            r#"{"type":"urn:hallpass:problem:"#,
            $name,
            r#"","title":""#,
            $title,
            r#"","status":"#,
            $status,
            r#","detail":""#,
            $detail,
            r#""}"#
        )
    };
}
#[cfg(feature = "scan")]
pub(crate) use problem_json;

macro_rules! problem {
    ($status:literal, $name:literal, $title:literal, $detail:literal) => {
        Text {
            status: $status,
            type_uri: concat!("urn:hallpass:problem:", $name),
            title: $title,
            detail: $detail,
            json: problem_json!($status, $name, $title, $detail),
        }
    };
}

struct Text {
    status: u16,
    type_uri: &'static str,
    title: &'static str,
    detail: &'static str,
    json: &'static str,
}

impl Problem {
    /// Every problem, in order of declaration.
    pub const ALL: [Self; 13] = [
        Self::CredentialRequired,
        Self::MalformedCredential,
        Self::SeveralCredentials,
        Self::InvalidToken,
        Self::InsufficientScope,
        Self::InsufficientResource,
        Self::CrossSite,
        Self::NoRequirement,
        Self::TooManyRequests,
        Self::UriTooLong,
        Self::HeaderTooLarge,
        Self::Unavailable,
        Self::NotGuarded,
    ];

    /// The status of the response.
    #[must_use]
    pub fn status(self) -> StatusCode {
        StatusCode::from_u16(self.text().status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// The stable name of the problem, a URN.
    #[must_use]
    pub fn type_uri(self) -> &'static str {
        self.text().type_uri
    }

    /// A few words for people.
    #[must_use]
    pub fn title(self) -> &'static str {
        self.text().title
    }

    /// One sentence for people.
    #[must_use]
    pub fn detail(self) -> &'static str {
        self.text().detail
    }

    /// The body, `application/problem+json`.
    #[must_use]
    pub fn body(self) -> Bytes {
        Bytes::from_static(self.text().json.as_bytes())
    }

    const fn text(self) -> Text {
        match self {
            Self::CredentialRequired => problem!(
                401,
                "credential-required",
                "Credential required",
                "This resource needs an access token"
            ),
            Self::MalformedCredential => problem!(
                400,
                "malformed-credential",
                "Malformed credential",
                "The credential is malformed"
            ),
            Self::SeveralCredentials => problem!(
                400,
                "several-credentials",
                "Several credentials",
                "The request carries more than one credential"
            ),
            Self::InvalidToken => {
                problem!(401, "invalid-token", "Invalid token", "The access token is invalid")
            }
            Self::InsufficientScope => problem!(
                403,
                "insufficient-scope",
                "Insufficient scope",
                "The access token lacks a scope that this resource needs"
            ),
            Self::InsufficientResource => problem!(
                403,
                "insufficient-resource",
                "Insufficient resource",
                "The access token does not reach this resource"
            ),
            Self::CrossSite => problem!(
                403,
                "cross-site",
                "Cross-site request",
                "Stored credentials are not accepted on a request from another site"
            ),
            Self::NoRequirement => problem!(
                403,
                "no-requirement",
                "No requirement",
                "This resource does not declare who may use it"
            ),
            Self::TooManyRequests => {
                problem!(429, "too-many-requests", "Too many requests", "Try again later")
            }
            Self::UriTooLong => {
                problem!(414, "uri-too-long", "URI too long", "The URI is too long")
            }
            Self::HeaderTooLarge => {
                problem!(431, "header-too-large", "Header too large", "The header is too large")
            }
            Self::Unavailable => problem!(
                503,
                "unavailable",
                "Unavailable",
                "Access tokens cannot be verified right now"
            ),
            Self::NotGuarded => problem!(
                500,
                "not-guarded",
                "Not guarded",
                "No layer verifies access tokens on this route"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_body_is_json_that_tells_the_same_as_the_accessors() {
        for problem in Problem::ALL {
            let json: serde_json::Value = serde_json::from_slice(&problem.body()).unwrap();
            let expected = serde_json::json!({
                "type": problem.type_uri(),
                "title": problem.title(),
                "status": problem.status().as_u16(),
                "detail": problem.detail(),
            });
            assert_eq!(json, expected);
        }
    }

    #[test]
    fn no_two_problems_share_a_type() {
        let types: std::collections::HashSet<_> =
            Problem::ALL.iter().map(|problem| problem.type_uri()).collect();
        assert_eq!(types.len(), Problem::ALL.len());
    }
}
