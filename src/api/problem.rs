//! What can be wrong with a request, and the response that says so.

use bytes::Bytes;
use http::header::{ALLOW, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, Response, StatusCode};

use super::answer::{PROBLEM_JSON, answer};
use crate::token::TokenId;
use crate::wire::{FieldProblem, Problem};

/// After how many seconds a client should try again when something is out of order.
const RETRY_SECONDS: u32 = 5;

macro_rules! codes {
    ($($name:ident = $status:literal $code:literal $title:literal $detail:literal;)*) => {
        /// A stable name of what is wrong.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub(super) enum Code { $($name),* }

        impl Code {
            /// Every code, in order of declaration.
            #[cfg(test)]
            pub(super) const ALL: &[Self] = &[$(Self::$name),*];

            const fn text(self) -> (u16, &'static str, &'static str, &'static str) {
                match self { $(Self::$name => ($status, $code, $title, $detail)),* }
            }
        }
    };
}

codes! {
    MalformedJson = 400 "malformed-json" "Malformed JSON"
        "The body is not JSON that has one meaning: check its syntax, that no key is repeated, and that it is not nested too deep";
    InvalidBody = 400 "invalid-body" "Invalid body"
        "The body does not say what is needed; see `errors`";
    InvalidQuery = 400 "invalid-query" "Invalid query"
        "The query does not say what is needed; see `errors`";
    InvalidCursor = 400 "invalid-cursor" "Invalid cursor"
        "The cursor is not one of this list; start from the first page";
    InvalidHeader = 400 "invalid-header" "Invalid header"
        "A header is malformed";
    SignInRequired = 401 "sign-in-required" "Sign in"
        "Nobody is signed in; sign in to the app first";
    TokenNotAccepted = 403 "token-not-accepted" "Tokens are not accepted here"
        "Tokens do not manage tokens; sign in to the app instead";
    CsrfRefused = 403 "csrf-refused" "Not from this site"
        "The request does not come from the app's own pages; send the CSRF token of the session";
    ConfirmationRequired = 403 "confirmation-required" "Confirm who you are"
        "This needs a fresh confirmation: POST /session/confirm, then try again";
    WrongSecret = 403 "wrong-secret" "Not confirmed"
        "That is not right; try again";
    AdministratorRequired = 403 "administrator-required" "Administrators only"
        "Only administrators look after other owners' tokens";
    OwnerNotAllowed = 403 "owner-not-allowed" "No tokens for this account"
        "This account may not hold tokens";
    ScopeNotHeld = 403 "scope-not-held" "Scope not held"
        "Nobody can grant a scope that they do not have themselves";
    SuspendedByAdministrator = 403 "suspended-by-administrator" "Suspended by an administrator"
        "An administrator suspended the token; only an administrator can resume it";
    NotRotatable = 403 "not-rotatable" "Not rotated"
        "Tokens from an exchange or a refresh are not rotated";
    WouldLiveLonger = 403 "would-live-longer" "Would live longer"
        "A token cannot lengthen its own life; rotate it without a new end, or in a session";
    NotFound = 404 "not-found" "Not found"
        "There is no such thing";
    MethodNotAllowed = 405 "method-not-allowed" "Method not allowed"
        "This cannot be done here; see the header Allow";
    NameTaken = 409 "name-taken" "Name taken"
        "Another live token has this name; choose another name, or revoke that token";
    QuotaFull = 409 "quota-full" "Too many tokens"
        "No more live tokens are allowed; revoke one first";
    TokenEnded = 409 "token-ended" "Token ended"
        "The token is revoked or expired, so it cannot be changed any more";
    NotEditable = 409 "not-editable" "Not editable"
        "A token from an exchange or a refresh cannot be changed";
    ChangedMeanwhile = 409 "changed-meanwhile" "Changed meanwhile"
        "The token was changed in the meantime; read it again";
    PreconditionFailed = 412 "precondition-failed" "Changed meanwhile"
        "The token is not the one that If-Match names; read it again";
    BodyTooLarge = 413 "body-too-large" "Body too large"
        "A body has at most 65536 bytes";
    UriTooLong = 414 "uri-too-long" "URI too long"
        "The URI is too long";
    UnsupportedMediaType = 415 "unsupported-media-type" "Unsupported media type"
        "Send the body as application/json, in UTF-8";
    KeyReused = 422 "idempotency-key-reused" "Idempotency key reused"
        "The idempotency key was used for another request; take a new one";
    PreconditionRequired = 428 "precondition-required" "Precondition required"
        "Send If-Match with the token's ETag, so that no change in the meantime is lost";
    TooManyAttempts = 429 "too-many-attempts" "Too many attempts"
        "There were too many wrong ones; wait as long as Retry-After says";
    Unavailable = 503 "unavailable" "Unavailable"
        "This cannot be told or done right now; try again";
}

impl Code {
    pub(super) fn status(self) -> StatusCode {
        StatusCode::from_u16(self.text().0).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    pub(super) fn as_str(self) -> &'static str {
        self.text().1
    }

    pub(super) fn title(self) -> &'static str {
        self.text().2
    }
}

/// What is wrong with a request.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) code: Code,
    more: Box<More>,
}

/// What a response says beside the code.
#[derive(Debug, Default)]
struct More {
    detail: Option<String>,
    errors: Vec<FieldProblem>,
    conflicts_with: Option<TokenId>,
    retry_after: Option<u32>,
    allow: Option<HeaderValue>,
}

impl Failure {
    /// With a sentence that says more than the usual one.
    #[expect(clippy::needless_pass_by_value, reason = "callers hand errors and texts over")]
    pub(super) fn detail(mut self, detail: impl ToString) -> Self {
        self.more.detail = Some(sentence(&detail.to_string()));
        self
    }

    pub(super) fn conflicts_with(mut self, id: TokenId) -> Self {
        self.more.conflicts_with = Some(id);
        self
    }

    pub(super) fn retry_after(mut self, seconds: u32) -> Self {
        self.more.retry_after = Some(seconds);
        self
    }

    pub(super) fn allow(mut self, methods: &str) -> Self {
        self.more.allow = HeaderValue::try_from(methods).ok();
        self
    }

    /// A body with these problems.
    pub(super) fn body(errors: Vec<FieldProblem>) -> Self {
        Self::from(Code::InvalidBody).errors(errors)
    }

    /// A query with these problems.
    pub(super) fn query(errors: Vec<FieldProblem>) -> Self {
        Self::from(Code::InvalidQuery).errors(errors)
    }

    /// What is wrong with single members. The first 64 are told.
    pub(super) fn errors(mut self, mut errors: Vec<FieldProblem>) -> Self {
        errors.truncate(MAX_ERRORS);
        self.more.errors = errors;
        self
    }

    /// The response. It is told to a browser as well as to a program.
    pub(super) fn into_response(self, realm: &str) -> Response<Bytes> {
        let (status, code, title, detail) = self.code.text();
        let problem = Problem {
            type_uri: format!("urn:hallpass:problem:{code}"),
            code: code.to_owned(),
            title: title.to_owned(),
            status,
            detail: self.more.detail.unwrap_or_else(|| detail.to_owned()),
            errors: self.more.errors,
            conflicts_with: self.more.conflicts_with,
        };
        let mut response = answer(self.code.status(), PROBLEM_JSON, &problem);
        let headers = response.headers_mut();
        if self.code == Code::SignInRequired
            // The session is the host's own, so there is no registered scheme to name.
            && let Ok(challenge) = HeaderValue::try_from(format!("Session realm=\"{realm}\""))
        {
            headers.insert(WWW_AUTHENTICATE, challenge);
        }
        if let Some(seconds) = self.more.retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if let Some(methods) = self.more.allow {
            headers.insert(ALLOW, methods);
        }
        response
    }
}

impl From<Code> for Failure {
    fn from(code: Code) -> Self {
        let retry_after = (code == Code::Unavailable).then_some(RETRY_SECONDS);
        Self { code, more: Box::new(More { retry_after, ..More::default() }) }
    }
}

/// What is wrong with a member of the body.
#[expect(clippy::needless_pass_by_value, reason = "callers hand errors and texts over")]
pub(super) fn member(pointer: &str, code: &str, detail: impl ToString) -> FieldProblem {
    FieldProblem {
        pointer: Some(pointer.to_owned()),
        parameter: None,
        code: code.to_owned(),
        detail: sentence(&detail.to_string()),
    }
}

/// What is wrong with a parameter of the query.
#[expect(clippy::needless_pass_by_value, reason = "callers hand errors and texts over")]
pub(super) fn parameter(name: &str, code: &str, detail: impl ToString) -> FieldProblem {
    FieldProblem {
        pointer: None,
        parameter: Some(name.to_owned()),
        code: code.to_owned(),
        detail: sentence(&detail.to_string()),
    }
}

/// Most problems of single members that one response tells.
const MAX_ERRORS: usize = 64;
/// Longest sentence, in characters.
const MAX_SENTENCE: usize = 300;

/// An error's text as a sentence for people: it starts with a capital letter and is not endless.
fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    let first = chars.next().into_iter().flat_map(char::to_uppercase);
    first.chain(chars).take(MAX_SENTENCE).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_two_codes_share_a_name() {
        let names: HashSet<_> = Code::ALL.iter().map(|code| code.as_str()).collect();
        assert_eq!(names.len(), Code::ALL.len());
        for code in Code::ALL {
            assert!((400..=503).contains(&code.status().as_u16()), "{code:?}");
        }
    }

    #[test]
    fn a_sentence_is_told_to_people() {
        assert_eq!(sentence("a name is short"), "A name is short");
        assert_eq!(sentence(&"x".repeat(1000)).len(), MAX_SENTENCE);
        assert_eq!(sentence(""), "");
    }
}
