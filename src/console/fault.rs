//! Why a page cannot be shown, and the page that says so.

use ::axum::response::{IntoResponse, Response};
use askama::Template;
use http::header::{ALLOW, LOCATION};
use http::{HeaderValue, Method, StatusCode, Uri};

use super::builder::Site;
use super::form::escape;
use super::router::page;
use super::shell::Shell;
use crate::engine::{ListError, RevokeError};
use crate::host::{Refused, SignedIn};
use crate::store::StoreError;

/// Why a page cannot be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reason {
    SignIn,
    TokenPresented,
    Csrf,
    NotFound,
    Bad,
    Cursor,
    TooLarge,
    MediaType,
    Method,
    Unavailable,
}

/// What ends a request early: a reason, or an answer that is ready.
#[derive(Debug)]
pub(super) enum Fault {
    Because(Reason),
    Answer(Box<Response>),
}

#[expect(non_upper_case_globals, reason = "they read as the reasons they are")]
impl Fault {
    pub(super) const NotFound: Self = Self::Because(Reason::NotFound);
    pub(super) const Bad: Self = Self::Because(Reason::Bad);
    pub(super) const Unavailable: Self = Self::Because(Reason::Unavailable);

    pub(super) fn answer(response: Response) -> Self {
        Self::Answer(Box::new(response))
    }
}

impl From<Refused> for Fault {
    fn from(refused: Refused) -> Self {
        Self::Because(match refused {
            Refused::Nobody => Reason::SignIn,
            Refused::TokenPresented => Reason::TokenPresented,
            Refused::Csrf(_) => Reason::Csrf,
            Refused::Unavailable(_) => Reason::Unavailable,
        })
    }
}

impl From<StoreError> for Fault {
    fn from(_: StoreError) -> Self {
        Self::Unavailable
    }
}

impl From<ListError> for Fault {
    fn from(error: ListError) -> Self {
        Self::Because(match error {
            ListError::NotFound => Reason::NotFound,
            ListError::Limit => Reason::Bad,
            ListError::Cursor => Reason::Cursor,
            ListError::Store(_) => Reason::Unavailable,
        })
    }
}

/// The reason travels in the answer, to where it is known how pages look.
impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        match self {
            Self::Answer(response) => *response,
            Self::Because(reason) => {
                let mut response = reason.status().into_response();
                response.extensions_mut().insert(reason);
                response
            }
        }
    }
}

impl Reason {
    fn status(self) -> StatusCode {
        match self {
            Self::SignIn => StatusCode::UNAUTHORIZED,
            Self::TokenPresented | Self::Csrf => StatusCode::FORBIDDEN,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::Bad | Self::Cursor => StatusCode::BAD_REQUEST,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::MediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// The page that says so.
    pub(super) fn page(
        self,
        console: &Site,
        who: Option<&SignedIn>,
        (method, uri): (&Method, &Uri),
        bare: &Response,
    ) -> Response {
        let sign_in = console.sign_in_page.as_ref().map(|url| {
            let asked = uri.path_and_query().map_or("/", |asked| asked.as_str());
            // What was sent is lost in any case; the list is where to start again.
            let asked = if method.is_safe() { asked } else { console.mount.as_str() };
            url.replace("{next}", &escape(asked))
        });
        if let (Self::SignIn, true, Some(url)) = (self, method.is_safe(), &sign_in)
            && let Ok(url) = HeaderValue::from_str(url)
        {
            let mut response = StatusCode::SEE_OTHER.into_response();
            response.headers_mut().insert(LOCATION, url);
            return response;
        }
        let s = Shell::bare(console, who);
        let t = s.t;
        let (title, text) = match self {
            Self::SignIn => (&t.sign_in_title, &t.sign_in_text),
            Self::TokenPresented => (&t.token_title, &t.token_text),
            Self::Csrf => (&t.csrf_title, &t.csrf_text),
            Self::NotFound => (&t.not_found_title, &t.not_found_text),
            Self::Bad | Self::MediaType => (&t.bad_title, &t.bad_text),
            Self::Cursor => (&t.bad_title, &t.cursor_text),
            Self::TooLarge => (&t.too_large_title, &t.too_large_text),
            Self::Method => (&t.method_title, &t.method_text),
            Self::Unavailable => (&t.unavailable_title, &t.unavailable_text),
        };
        let link = match self {
            Self::SignIn => sign_in.map(|url| (t.sign_in_action.to_string(), url)),
            Self::TokenPresented => None,
            _ => who.map(|_| (t.back_to_list.to_string(), s.home().to_owned())),
        };
        let message = Message { title: title.to_string(), text: text.to_string(), link, s };
        let mut response = page(self.status(), &message);
        if let Some(allow) = bare.headers().get(ALLOW) {
            response.headers_mut().insert(ALLOW, allow.clone());
        }
        response
    }
}

/// A page that says one thing.
#[derive(Template)]
#[template(path = "message.html")]
pub(super) struct Message<'a> {
    pub(super) s: Shell<'a>,
    pub(super) title: String,
    pub(super) text: String,
    pub(super) link: Option<(String, String)>,
}

impl From<RevokeError> for Fault {
    fn from(error: RevokeError) -> Self {
        match error {
            RevokeError::NotFound => Self::NotFound,
            // Whoever can get it asks for a confirmation first.
            RevokeError::Unconfirmed | RevokeError::Store(_) => Self::Unavailable,
        }
    }
}
