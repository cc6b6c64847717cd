//! Every route of the API: what the router looks up and the OpenAPI document is written from.

use http::Method;

use super::problem::Code;

/// Who may call a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    /// Everybody.
    Public,
    /// Whoever is signed in, for their own tokens.
    Session,
    /// Administrators, for everybody's tokens.
    Administrator,
    /// Whoever holds a token, for that token.
    Token,
}

/// What a route does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Operation {
    Document,
    Session,
    Confirm,
    Scopes,
    Policy,
    List,
    Create,
    RevokeMany,
    Read,
    Edit,
    Revoke,
    Rotate,
    Suspend,
    Resume,
    Own,
    RevokeOwn,
    RotateOwn,
    CheckOwn,
    Lookup,
}

/// The body that a route takes, by the name of its schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Body {
    None,
    Optional(&'static str),
    Required(&'static str),
}

/// What a route says when all is well: a status, a sentence, and the schema of the body.
pub(super) type Success = (u16, &'static str, Option<&'static str>);

/// One route.
#[derive(Debug)]
pub(super) struct Route {
    pub(super) method: Method,
    /// Below the mount path; `{id}` stands for a token's id.
    pub(super) path: &'static str,
    pub(super) access: Access,
    pub(super) operation: Operation,
    pub(super) summary: &'static str,
    pub(super) body: Body,
    pub(super) success: &'static [Success],
    /// What can be wrong, beside what can be wrong with every route of this access and body.
    own_codes: &'static [Code],
}

impl Route {
    /// Whether it changes anything, so that another site must not make a browser call it.
    pub(super) fn changes(&self) -> bool {
        !self.method.is_safe()
    }

    /// Whether it is about one token.
    pub(super) fn has_id(&self) -> bool {
        self.path.contains("{id}")
    }

    /// Whether it wants or takes `If-Match`.
    pub(super) fn takes_if_match(&self) -> bool {
        matches!(self.operation, Operation::Edit | Operation::Rotate)
    }

    /// Everything that can be wrong, but for what the boundary says of tokens.
    pub(super) fn codes(&self) -> Vec<Code> {
        let mut codes = vec![Code::BodyTooLarge, Code::UriTooLong];
        if matches!(self.access, Access::Session | Access::Administrator) {
            codes.extend([Code::SignInRequired, Code::TokenNotAccepted, Code::Unavailable]);
            if self.changes() {
                codes.push(Code::CsrfRefused);
            }
        }
        if self.access == Access::Administrator {
            codes.push(Code::AdministratorRequired);
        }
        if self.body != Body::None {
            codes.extend([Code::MalformedJson, Code::InvalidBody, Code::UnsupportedMediaType]);
        }
        if self.has_id() {
            codes.push(Code::NotFound);
        }
        if self.takes_if_match() {
            codes.extend([Code::InvalidHeader, Code::PreconditionRequired]);
        }
        codes.extend(self.own_codes);
        codes
    }
}

/// What a route can say.
type Answers = (&'static [Success], &'static [Code]);

const fn route(
    method: Method,
    path: &'static str,
    (access, operation, body): (Access, Operation, Body),
    summary: &'static str,
    (success, own_codes): Answers,
) -> Route {
    Route { method, path, access, operation, summary, body, success, own_codes }
}

const TOKEN: &[Success] = &[(200, "The token", Some("Token"))];
const PAGE: &[Success] = &[(200, "A page of tokens", Some("Page"))];
const GONE: &[Success] = &[(204, "The token is revoked, now or before", None)];
const REVOKED: &[Success] = &[(200, "Which tokens were revoked", Some("Revoked"))];
const ISSUED: Success = (201, "The secret is shown this one time", Some("Issued"));
const LIST: &[Code] = &[Code::InvalidQuery, Code::InvalidCursor, Code::NotFound];
const BULK: &[Code] = &[Code::ConfirmationRequired, Code::NotFound];
const STATE: &[Code] = &[Code::TokenEnded, Code::ChangedMeanwhile];
const RESUMED: &[Code] = &[Code::TokenEnded, Code::ChangedMeanwhile, Code::ConfirmationRequired];
const RESUMED_BY_OWNER: &[Code] = &[
    Code::TokenEnded,
    Code::ChangedMeanwhile,
    Code::ConfirmationRequired,
    Code::SuspendedByAdministrator,
];

use Access::{Administrator, Public, Session, Token};
use Body::{None as NoBody, Optional, Required};

/// Every route, in the order of the document.
pub(super) static ROUTES: &[Route] = &[
    route(
        Method::GET,
        "/session",
        (Session, Operation::Session, NoBody),
        "Who is signed in",
        (&[(200, "Who is signed in", Some("Session"))], &[]),
    ),
    route(
        Method::POST,
        "/session/confirm",
        (Session, Operation::Confirm, Required("ConfirmSession")),
        "Confirm who is signed in",
        (&[(204, "The session is confirmed", None)], &[Code::WrongSecret, Code::TooManyAttempts]),
    ),
    route(
        Method::GET,
        "/scopes",
        (Session, Operation::Scopes, NoBody),
        "All scopes of the app, and which of them can be granted",
        (&[(200, "The scopes", Some("Catalog"))], &[]),
    ),
    route(
        Method::GET,
        "/policy",
        (Session, Operation::Policy, NoBody),
        "What the app allows",
        (&[(200, "What the app allows", Some("Policy"))], &[]),
    ),
    route(
        Method::GET,
        "/tokens",
        (Session, Operation::List, NoBody),
        "List one's tokens",
        (PAGE, LIST),
    ),
    route(
        Method::POST,
        "/tokens",
        (Session, Operation::Create, Required("NewToken")),
        "Make a token, or a copy of one",
        (
            &[
                ISSUED,
                (
                    200,
                    "The same request was made before; the secret was shown then",
                    Some("Issued"),
                ),
            ],
            &[
                Code::InvalidHeader,
                Code::ConfirmationRequired,
                Code::OwnerNotAllowed,
                Code::ScopeNotHeld,
                Code::NotFound,
                Code::NameTaken,
                Code::QuotaFull,
                Code::KeyReused,
            ],
        ),
    ),
    route(
        Method::POST,
        "/tokens/revoke",
        (Session, Operation::RevokeMany, Required("Revoke")),
        "Revoke several of one's tokens",
        (REVOKED, BULK),
    ),
    route(
        Method::GET,
        "/tokens/{id}",
        (Session, Operation::Read, NoBody),
        "Read one of one's tokens",
        (TOKEN, &[]),
    ),
    route(
        Method::PATCH,
        "/tokens/{id}",
        (Session, Operation::Edit, Required("Edit")),
        "Change the settings of a token",
        (
            TOKEN,
            &[
                Code::ConfirmationRequired,
                Code::OwnerNotAllowed,
                Code::ScopeNotHeld,
                Code::TokenEnded,
                Code::NotEditable,
                Code::NameTaken,
                Code::PreconditionFailed,
            ],
        ),
    ),
    route(
        Method::DELETE,
        "/tokens/{id}",
        (Session, Operation::Revoke, NoBody),
        "Revoke a token, for good",
        (GONE, &[]),
    ),
    route(
        Method::POST,
        "/tokens/{id}/rotate",
        (Session, Operation::Rotate, Optional("Rotate")),
        "Give a token a new secret",
        (
            &[ISSUED],
            &[
                Code::ConfirmationRequired,
                Code::OwnerNotAllowed,
                Code::NotRotatable,
                Code::TokenEnded,
                Code::ChangedMeanwhile,
            ],
        ),
    ),
    route(
        Method::POST,
        "/tokens/{id}/suspend",
        (Session, Operation::Suspend, NoBody),
        "Set a token aside",
        (TOKEN, STATE),
    ),
    route(
        Method::POST,
        "/tokens/{id}/resume",
        (Session, Operation::Resume, NoBody),
        "Take a suspended token back",
        (TOKEN, RESUMED_BY_OWNER),
    ),
    route(
        Method::GET,
        "/self",
        (Token, Operation::Own, NoBody),
        "What the presented token is good for",
        (&[(200, "What the token is good for", Some("Own"))], &[]),
    ),
    route(
        Method::DELETE,
        "/self",
        (Token, Operation::RevokeOwn, NoBody),
        "Revoke the presented token, for good",
        (GONE, &[]),
    ),
    route(
        Method::POST,
        "/self/rotate",
        (Token, Operation::RotateOwn, Optional("Rotate")),
        "Give the presented token a new secret",
        (
            &[ISSUED],
            &[
                Code::OwnerNotAllowed,
                Code::NotRotatable,
                Code::WouldLiveLonger,
                Code::TokenEnded,
                Code::ChangedMeanwhile,
            ],
        ),
    ),
    route(
        Method::POST,
        "/self/check",
        (Token, Operation::CheckOwn, Required("Check")),
        "Whether the presented token would be let in, without trying",
        (&[(200, "What is missing", Some("Checked"))], &[]),
    ),
    route(
        Method::GET,
        "/admin/tokens",
        (Administrator, Operation::List, NoBody),
        "List all owners' tokens",
        (PAGE, LIST),
    ),
    route(
        Method::POST,
        "/admin/tokens/revoke",
        (Administrator, Operation::RevokeMany, Required("RevokeAny")),
        "Revoke several tokens of any owners",
        (REVOKED, BULK),
    ),
    route(
        Method::GET,
        "/admin/tokens/{id}",
        (Administrator, Operation::Read, NoBody),
        "Read anybody's token",
        (TOKEN, &[]),
    ),
    route(
        Method::DELETE,
        "/admin/tokens/{id}",
        (Administrator, Operation::Revoke, NoBody),
        "Revoke anybody's token, for good",
        (GONE, &[]),
    ),
    route(
        Method::POST,
        "/admin/tokens/{id}/suspend",
        (Administrator, Operation::Suspend, NoBody),
        "Set anybody's token aside",
        (TOKEN, STATE),
    ),
    route(
        Method::POST,
        "/admin/tokens/{id}/resume",
        (Administrator, Operation::Resume, NoBody),
        "Take anybody's suspended token back",
        (TOKEN, RESUMED),
    ),
    route(
        Method::POST,
        "/admin/lookup",
        (Administrator, Operation::Lookup, Required("Lookup")),
        "Whose token this is, by its id or its whole text",
        (&[(200, "Whose token it is", Some("Found"))], &[Code::NotFound]),
    ),
    route(
        Method::GET,
        "/openapi.json",
        (Public, Operation::Document, NoBody),
        "This document",
        (&[(200, "The OpenAPI document", None)], &[]),
    ),
];

/// What a path leads to.
pub(super) enum Match<'a> {
    /// A route, and the text in place of the id.
    Found(&'static Route, Option<&'a str>),
    /// The path exists, and takes other methods.
    Methods(String),
    /// There is no such path.
    Nothing,
}

/// Looks a path below the mount path up: the first form that it has is its own. `HEAD` is `GET`.
pub(super) fn find<'a>(method: &Method, path: &'a str) -> Match<'a> {
    let method = if *method == Method::HEAD { &Method::GET } else { method };
    let Some((form, id)) =
        ROUTES.iter().find_map(|route| Some((route.path, matched(route.path, path)?)))
    else {
        return Match::Nothing;
    };
    let mut methods: Vec<&str> = Vec::new();
    for route in ROUTES.iter().filter(|route| route.path == form) {
        if route.method == *method {
            return Match::Found(route, id);
        }
        methods.push(route.method.as_str());
        if route.method == Method::GET {
            methods.push("HEAD");
        }
    }
    Match::Methods(methods.join(", "))
}

/// The text in place of the id, if there is one, should the path be of this form.
fn matched<'a>(form: &str, path: &'a str) -> Option<Option<&'a str>> {
    let mut id = None;
    let mut steps = path.split('/');
    for expected in form.split('/') {
        let step = steps.next()?;
        if expected == "{id}" && !step.is_empty() {
            id = Some(step);
        } else if expected != step {
            return None;
        }
    }
    steps.next().is_none().then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn operation(method: &Method, path: &str) -> Option<(Operation, Option<String>)> {
        match find(method, path) {
            Match::Found(route, id) => Some((route.operation, id.map(str::to_owned))),
            _ => None,
        }
    }

    fn methods(path: &str) -> String {
        match find(&Method::TRACE, path) {
            Match::Methods(methods) => methods,
            _ => String::new(),
        }
    }

    #[test]
    fn a_path_leads_to_one_route() {
        assert_eq!(operation(&Method::GET, "/tokens"), Some((Operation::List, None)));
        assert_eq!(operation(&Method::HEAD, "/tokens"), Some((Operation::List, None)));
        let id = Some("ABCDEFGHIJKLMNOP".to_owned());
        let path = "/tokens/ABCDEFGHIJKLMNOP";
        assert_eq!(operation(&Method::PATCH, path), Some((Operation::Edit, id)));
        let revoke = operation(&Method::POST, "/tokens/revoke");
        assert_eq!(revoke, Some((Operation::RevokeMany, None)));
        for path in ["", "/", "/tokens/", "//tokens", "/tokens/a/b", "/tokens/a/rotate/", "/Tokens"]
        {
            assert_eq!(operation(&Method::GET, path), None, "{path}");
            assert_eq!(methods(path), "", "{path}");
        }
        assert_eq!(methods("/tokens"), "GET, HEAD, POST");
        assert_eq!(methods("/tokens/x"), "GET, HEAD, PATCH, DELETE");
        assert_eq!(methods("/tokens/revoke"), "POST");
    }

    #[test]
    fn every_code_is_told_of_somewhere() {
        // What is not about a route, or is told by the method.
        let elsewhere = [Code::MethodNotAllowed];
        for code in Code::ALL {
            let told = ROUTES.iter().any(|route| route.codes().contains(code));
            assert!(told || elsewhere.contains(code), "{code:?}");
        }
    }
}
