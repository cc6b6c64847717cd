//! The API and what it is set up with.

use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::Response;
use http::request::Parts;

use super::answer;
use super::problem::{Code, Failure};
use super::route::{Access, Match, Operation, Route, find};
use super::{MAX_BODY_LEN, about, document, own, tokens};
use crate::caller::Caller;
use crate::credential::{
    Boundary, BoundaryError, CompiledRequirement, MAX_URI_LEN, Requirement, RequirementError,
};
use crate::engine::Hallpass;
use crate::host::{CSRF_HEADER, CsrfRefused, Host, MountPath, ParseMountPathError, SignedIn};
use crate::token::TokenId;

/// The management API of an app. Cheap to clone.
///
/// See the [module](super) for the rules and an example.
#[derive(Debug, Clone)]
pub struct Api(Arc<Inner>);

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) host: Host,
    pub(super) boundary: Boundary,
    pub(super) any_token: CompiledRequirement,
    mount: MountPath,
    document: Bytes,
}

/// A request on its way to what the route does.
pub(super) struct Asked<'a> {
    pub(super) head: &'a Parts,
    pub(super) body: &'a [u8],
    pub(super) who: &'a SignedIn,
    pub(super) caller: Caller,
    pub(super) id: Option<TokenId>,
}

impl Api {
    /// Starts setting the API up for this host app.
    #[must_use]
    pub fn builder(host: Host) -> ApiBuilder {
        ApiBuilder {
            host,
            boundary: None,
            mount: "/api/pat".to_owned(),
            session_cookie: "session".to_owned(),
        }
    }

    /// Under which path of the host the API is.
    #[must_use]
    pub fn mount(&self) -> &MountPath {
        &self.0.mount
    }

    /// The OpenAPI 3.1 document, as `GET /openapi.json` gives it.
    #[must_use]
    pub fn document(&self) -> &[u8] {
        &self.0.document
    }

    /// Answers a request. Its path is that of the host, with the mount path in front; its body is
    /// whole. `peer` is the client's address from a source that the app trusts.
    pub async fn respond(&self, head: Parts, body: &[u8], peer: Option<IpAddr>) -> Response<Bytes> {
        let inner = &*self.0;
        let answered = match inner.route(&head, body) {
            Ok((route, None)) if route.access == Access::Token => {
                Ok(own::respond(inner, route.operation, head, body, peer).await)
            }
            Ok((route, id)) => inner.serve(route, &head, body, id).await,
            Err(failure) => Err(failure),
        };
        answered.unwrap_or_else(|failure| inner.refuse(failure))
    }

    /// The response to a body that was too long to be read to its end. Bodies longer than
    /// [`MAX_BODY_LEN`] need not be.
    #[must_use]
    pub fn too_large(&self) -> Response<Bytes> {
        self.0.refuse(Code::BodyTooLarge.into())
    }
}

impl Inner {
    pub(super) fn hallpass(&self) -> &Hallpass {
        self.host.hallpass()
    }

    pub(super) fn refuse(&self, failure: Failure) -> Response<Bytes> {
        failure.into_response(self.hallpass().brand().as_str())
    }

    /// A path of the host, for `Location`.
    pub(super) fn path_of(&self, id: &TokenId) -> String {
        self.mount.join(&format!("/tokens/{id}"))
    }

    /// The route, and the text in place of an id.
    fn route<'a>(
        &self,
        head: &'a Parts,
        body: &[u8],
    ) -> Result<(&'static Route, Option<&'a str>), Failure> {
        let whole = head.uri.path_and_query().map_or(0, |rest| rest.as_str().len());
        if whole > MAX_URI_LEN {
            return Err(Code::UriTooLong.into());
        }
        if body.len() > MAX_BODY_LEN {
            return Err(Code::BodyTooLarge.into());
        }
        let below = head.uri.path().strip_prefix(self.mount.as_str());
        match below.map_or(Match::Nothing, |path| find(&head.method, path)) {
            Match::Found(route, id) => Ok((route, id)),
            Match::Methods(methods) => Err(Failure::from(Code::MethodNotAllowed).allow(&methods)),
            Match::Nothing => Err(Code::NotFound.into()),
        }
    }

    /// What a route answers that is for sessions, or for everybody.
    async fn serve(
        &self,
        route: &Route,
        head: &Parts,
        body: &[u8],
        id: Option<&str>,
    ) -> Result<Response<Bytes>, Failure> {
        if route.operation == Operation::Document {
            return Ok(answer::document(self.document.clone()));
        }
        let who = self.host.signed_in(head).await?;
        let mut confirmed_at = None;
        if route.changes() {
            self.host.check_same_site(head, &who, presented(head)?)?;
            // Ending a token needs none, so an outage of whoever keeps them does not stop that.
            if !matches!(route.operation, Operation::Revoke | Operation::Suspend) {
                confirmed_at = self.host.confirmed_at(head, &who).await?;
            }
        }
        let caller = if route.access == Access::Administrator {
            who.as_administrator(confirmed_at).ok_or(Code::AdministratorRequired)?
        } else {
            who.as_owner(confirmed_at)
        };
        // A malformed id is as unknown as any other.
        let id = id.map(|id| id.parse().map_err(|_| Code::NotFound)).transpose()?;
        let asked = Asked { head, body, who: &who, caller, id };
        match route.operation {
            Operation::Session => about::session(self, &asked).await,
            Operation::Confirm => about::confirm(self, &asked).await,
            Operation::Scopes => about::scopes(self, &asked).await,
            Operation::Policy => about::policy(self, &asked).await,
            Operation::List => tokens::list(self, &asked).await,
            Operation::Create => tokens::create(self, &asked).await,
            Operation::RevokeMany => tokens::revoke_many(self, &asked).await,
            Operation::Read => tokens::read(self, &asked).await,
            Operation::Edit => tokens::edit(self, &asked).await,
            Operation::Revoke => tokens::revoke(self, &asked).await,
            Operation::Rotate => tokens::rotate(self, &asked).await,
            Operation::Suspend => tokens::suspend(self, &asked).await,
            Operation::Resume => tokens::resume(self, &asked).await,
            Operation::Lookup => tokens::lookup(self, &asked).await,
            Operation::Document
            | Operation::Own
            | Operation::RevokeOwn
            | Operation::RotateOwn
            | Operation::CheckOwn => Err(Code::NotFound.into()),
        }
    }
}

/// The CSRF token that a request carries.
fn presented(head: &Parts) -> Result<Option<&str>, Failure> {
    let mut lines = head.headers.get_all(CSRF_HEADER).iter();
    let unreadable = || Failure::from(Code::CsrfRefused).detail(CsrfRefused::Token);
    match (lines.next(), lines.next()) {
        (None, _) => Ok(None),
        (Some(line), None) => line.to_str().map(Some).map_err(|_| unreadable()),
        (Some(_), Some(_)) => Err(unreadable()),
    }
}

/// Collects what the API is set up with; see [`Api::builder`].
#[derive(Debug)]
pub struct ApiBuilder {
    host: Host,
    boundary: Option<Boundary>,
    mount: String,
    session_cookie: String,
}

impl ApiBuilder {
    /// Under which path of the host the API is; `/api/pat` unless given.
    #[must_use]
    pub fn mounted_at(mut self, path: impl Into<String>) -> Self {
        self.mount = path.into();
        self
    }

    /// Where the routes under `/self` look for a token; in `Authorization: Bearer` unless given.
    #[must_use]
    pub fn boundary(mut self, boundary: Boundary) -> Self {
        self.boundary = Some(boundary);
        self
    }

    /// The name of the host's session cookie, for readers of the OpenAPI document; `session`
    /// unless given.
    #[must_use]
    pub fn session_cookie(mut self, name: impl Into<String>) -> Self {
        self.session_cookie = name.into();
        self
    }

    /// Checks everything.
    ///
    /// # Errors
    /// [`ApiError`] names what cannot be used.
    pub fn build(self) -> Result<Api, ApiError> {
        let mount: MountPath = self.mount.parse()?;
        let boundary = match self.boundary {
            Some(boundary) => boundary,
            None => Boundary::builder(self.host.hallpass().clone()).build()?,
        };
        let any_token = boundary.compile(Requirement::any_token())?;
        let document = document::written(&self.host, &mount, &self.session_cookie)?;
        Ok(Api(Arc::new(Inner { host: self.host, boundary, any_token, mount, document })))
    }
}

/// Why the API cannot be set up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ApiError {
    /// The path is not one.
    #[error(transparent)]
    Mount(#[from] ParseMountPathError),
    /// Tokens cannot be looked for.
    #[error(transparent)]
    Boundary(#[from] BoundaryError),
    /// Tokens cannot be let in.
    #[error(transparent)]
    Requirement(#[from] RequirementError),
    /// The OpenAPI document cannot be written.
    #[error("the OpenAPI document cannot be written")]
    Document(#[from] serde_json::Error),
}
