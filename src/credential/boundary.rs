//! Lets requests in or refuses them.

use std::net::IpAddr;
use std::sync::Arc;

use http::header::{USER_AGENT, VARY, WWW_AUTHENTICATE};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};

use super::admission::Admitted;
use super::challenge::Challenges;
use super::duties::Duties;
use super::extract::{Found, Presented};
use super::problem::Problem;
use super::query;
use super::rejection::Rejection;
use super::requirement::{CompiledRequirement, Requirement, RequirementError};
use super::source::{Sources, SourcesError, Table};
use crate::engine::{Context, Hallpass, Verified, VerifyError};
#[cfg(feature = "jwt")]
use crate::jwt::JwtIssuer;
use crate::token::KindSet;
#[cfg(all(feature = "api", feature = "jwt"))]
use crate::token::TokenId;

/// After how many seconds a client should try again when tokens cannot be verified.
const OUTAGE_RETRY_SECONDS: u32 = 5;

/// Lets requests in or refuses them: an engine, the places where credentials may be, and a realm.
/// Cheap to clone.
///
/// See the [module](super) for its rules and an example.
#[derive(Debug, Clone)]
pub struct Boundary(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    hallpass: Hallpass,
    #[cfg(feature = "jwt")]
    jwt: Option<JwtIssuer>,
    sources: Table,
    challenges: Challenges,
    vary: HeaderValue,
}

impl Boundary {
    /// Starts putting a boundary together on this engine.
    #[must_use]
    pub fn builder(hallpass: Hallpass) -> BoundaryBuilder {
        BoundaryBuilder {
            hallpass,
            #[cfg(feature = "jwt")]
            jwt: None,
            realm: None,
            sources: Sources::bearer(),
        }
    }

    /// The engine.
    #[must_use]
    pub fn hallpass(&self) -> &Hallpass {
        &self.0.hallpass
    }

    /// Whether a text has the form of a token that could be let in here. It says nothing of
    /// whether there is such a token.
    #[must_use]
    pub fn recognises(&self, text: &str) -> bool {
        self.0.recognises(text)
    }

    /// Checks that what a route asks for exists. Do this at start.
    ///
    /// # Errors
    /// [`RequirementError`] if a scope is not declared, or nothing could meet the requirement.
    pub fn compile(
        &self,
        requirement: Requirement,
    ) -> Result<CompiledRequirement, RequirementError> {
        requirement.compile(self.0.hallpass.catalog(), &self.0.challenges)
    }

    /// Lets a request in if it carries exactly one credential, the token is good, and it meets the
    /// requirement of the route. Without a requirement no request is let in: not even a good token
    /// is enough, and the engine reports that one was used there.
    ///
    /// Afterwards, whatever the answer, the credentials in `head` are marked sensitive and taken
    /// out of its URI. `peer` is the client's address from a source that the app trusts.
    ///
    /// # Errors
    /// [`Rejection`] holds the response.
    pub async fn admit(
        &self,
        head: &mut Parts,
        requirement: Option<&CompiledRequirement>,
        peer: Option<IpAddr>,
    ) -> Result<Admitted, Rejection> {
        let found = self.find(head);
        self.admit_found(&found, head, requirement, peer).await
    }

    /// The first half of [`admit`](Self::admit): counts the credentials, marks them sensitive and
    /// takes them out of the URI.
    pub(crate) fn find(&self, head: &mut Parts) -> Found {
        self.0.sources.find(head)
    }

    /// The second half, if all it takes is in memory.
    #[cfg(feature = "tower")]
    pub(crate) fn admit_at_once(
        &self,
        found: &Found,
        head: &Parts,
        requirement: Option<&CompiledRequirement>,
        peer: Option<IpAddr>,
    ) -> Option<Result<Admitted, Rejection>> {
        let inner = &*self.0;
        let presented = match inner.read(found, head) {
            Ok(presented) => presented,
            Err(rejection) => return Some(Err(rejection)),
        };
        #[cfg(feature = "jwt")]
        if inner.jwt(&presented).is_some() {
            return None;
        }
        let context = context(head, requirement, peer);
        let verdict = inner.hallpass.verify_at_once(presented.text(), &context)?;
        Some(inner.decide(verdict, presented.is_basic(), found, head, requirement))
    }

    /// The second half.
    pub(crate) async fn admit_found(
        &self,
        found: &Found,
        head: &Parts,
        requirement: Option<&CompiledRequirement>,
        peer: Option<IpAddr>,
    ) -> Result<Admitted, Rejection> {
        let inner = &*self.0;
        let presented = inner.read(found, head)?;
        let context = context(head, requirement, peer);
        #[cfg(feature = "jwt")]
        if let Some((issuer, text)) = inner.jwt(&presented) {
            let verdict = Box::pin(issuer.verify(&inner.hallpass, text, &context)).await;
            return inner.decide(verdict, presented.is_basic(), found, head, requirement);
        }
        let verdict = inner.hallpass.verify(presented.text(), &context).await;
        inner.decide(verdict, presented.is_basic(), found, head, requirement)
    }

    /// The text in the place where a credential was found: what a route needs that does more with
    /// a token than let it in.
    #[cfg(feature = "api")]
    pub(crate) fn presented<'a>(
        &self,
        found: &'a Found,
        head: &'a Parts,
    ) -> Result<Presented<'a>, Rejection> {
        self.0.read(found, head)
    }

    /// Which record a JWT names that this app's issuer signed.
    #[cfg(all(feature = "api", feature = "jwt"))]
    pub(crate) fn vouched_id(&self, presented: &Presented<'_>) -> Option<TokenId> {
        let (issuer, text) = self.0.jwt(presented)?;
        issuer.recognise(text, self.0.hallpass.now())
    }

    /// What must be on every response to a request in which a token was sought.
    #[cfg(feature = "api")]
    pub(crate) fn duties(&self, found: &Found) -> Duties {
        self.0.duties(found.in_uri)
    }

    /// The refusal of the token that was found.
    #[cfg(feature = "api")]
    pub(crate) fn denied(&self, found: &Found) -> Rejection {
        self.0.reject(Problem::InvalidToken, found.in_uri)
    }

    /// The answer to a request whose token cannot be judged now.
    #[cfg(feature = "api")]
    pub(crate) fn unavailable(&self, found: &Found) -> Rejection {
        let rejection = self.0.reject(Problem::Unavailable, found.in_uri);
        rejection.retry_after(OUTAGE_RETRY_SECONDS)
    }

    /// The refusal of a request that another site made a browser send, if it is one.
    #[cfg(feature = "api")]
    pub(crate) fn cross_site(&self, head: &Parts) -> Option<Rejection> {
        let is_cross_site = is_cross_site(&head.method, &head.headers);
        is_cross_site.then(|| self.0.reject(Problem::CrossSite, false))
    }

    /// The refusal of a client that sends too many requests; it may try again after so many
    /// seconds. For layers that count.
    #[must_use]
    pub fn too_many_requests(&self, retry_after_seconds: u32) -> Rejection {
        self.0.reject(Problem::TooManyRequests, false).retry_after(retry_after_seconds)
    }

    /// Takes credentials out of a copy of the URI that a framework keeps.
    pub fn redact(&self, uri: &mut Uri) {
        if let Some(name) = &self.0.sources.query {
            // What cannot be put together again is left empty.
            let _ = query::take(uri, name);
        }
    }
}

/// What is known of a presentation beside the text.
fn context<'a>(
    head: &'a Parts,
    requirement: Option<&'a CompiledRequirement>,
    peer: Option<IpAddr>,
) -> Context<'a> {
    Context {
        now: None,
        ip: peer,
        agent: head.headers.get(USER_AGENT).and_then(|agent| agent.to_str().ok()),
        kinds: requirement.map_or(KindSet::CALLING, CompiledRequirement::kinds),
        audience: requirement.and_then(CompiledRequirement::audience),
    }
}

impl Inner {
    fn recognises(&self, text: &str) -> bool {
        #[cfg(feature = "jwt")]
        if self.jwt.is_some() && JwtIssuer::recognises(text) {
            return true;
        }
        self.hallpass.recognises(text)
    }

    /// Who looks at a text that can be nothing but a JWT.
    #[cfg(feature = "jwt")]
    fn jwt<'a>(&'a self, presented: &'a Presented<'_>) -> Option<(&'a JwtIssuer, &'a str)> {
        self.jwt.as_ref().zip(presented.jwt())
    }

    /// The text presented in the place where a credential was found.
    fn read<'a>(&self, found: &'a Found, head: &'a Parts) -> Result<Presented<'a>, Rejection> {
        let place = found.place.as_ref().map_err(|problem| *problem);
        place
            .and_then(|place| self.sources.read(place, &head.headers, |text| self.recognises(text)))
            .map_err(|problem| self.reject(problem, found.in_uri))
    }

    /// Whether a request with this verdict on its token is let in.
    fn decide(
        &self,
        verdict: Result<Verified, VerifyError>,
        is_basic: bool,
        found: &Found,
        head: &Parts,
        requirement: Option<&CompiledRequirement>,
    ) -> Result<Admitted, Rejection> {
        let in_uri = found.in_uri;
        let verified = match verdict {
            Ok(verified) => verified,
            Err(VerifyError::Denied(_)) => return Err(self.reject(Problem::InvalidToken, in_uri)),
            Err(VerifyError::Unavailable(outage)) => {
                let rejection = self.reject(Problem::Unavailable, in_uri);
                return Err(rejection.retry_after(OUTAGE_RETRY_SECONDS).caused_by(outage));
            }
        };
        // Only now, so that whoever watches events learns which token was used against its owner.
        if is_basic && is_cross_site(&head.method, &head.headers) {
            let required = "a request from the same site";
            return Err(self.forbid(&verified, required, Problem::CrossSite, in_uri));
        }
        let Some(requirement) = requirement else {
            let required = "a route that declares a requirement";
            return Err(self.forbid(&verified, required, Problem::NoRequirement, in_uri));
        };
        if !requirement.is_met_by(&verified) {
            let required = requirement.scopes();
            let mut rejection =
                self.forbid(&verified, required, Problem::InsufficientScope, in_uri);
            rejection.headers_mut().insert(WWW_AUTHENTICATE, requirement.challenge().clone());
            return Err(rejection);
        }
        Ok(Admitted::new(verified, self.duties(in_uri)))
    }

    /// The refusal for a problem, with its challenges.
    fn reject(&self, problem: Problem, in_uri: bool) -> Rejection {
        let mut rejection = Rejection::new(problem);
        let headers = rejection.headers_mut();
        headers.insert(VARY, self.vary.clone());
        for challenge in self.challenges.of(problem) {
            headers.append(WWW_AUTHENTICATE, challenge.clone());
        }
        if in_uri {
            self.duties(in_uri).apply(headers);
        }
        rejection
    }

    /// The refusal of a good token, which the engine reports.
    fn forbid(
        &self,
        verified: &Verified,
        required: &str,
        problem: Problem,
        in_uri: bool,
    ) -> Rejection {
        self.hallpass.report_forbidden(verified, required);
        self.reject(problem, in_uri)
    }

    fn duties(&self, in_uri: bool) -> Duties {
        Duties { vary: self.vary.clone(), in_uri }
    }
}

/// Whether a browser says that another site made it send an unsafe request.
fn is_cross_site(method: &Method, headers: &HeaderMap) -> bool {
    const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
    let trusted = |site: &HeaderValue| site == "same-origin" || site == "none";
    !method.is_safe() && !headers.get_all(SEC_FETCH_SITE).iter().all(trusted)
}

/// Collects what a boundary is made of; see [`Boundary::builder`].
#[derive(Debug)]
pub struct BoundaryBuilder {
    hallpass: Hallpass,
    #[cfg(feature = "jwt")]
    jwt: Option<JwtIssuer>,
    realm: Option<String>,
    sources: Sources,
}

impl BoundaryBuilder {
    /// The realm of challenges: 1 to 128 printable ASCII characters without quote and backslash.
    /// The engine's brand unless given.
    #[must_use]
    pub fn realm(mut self, realm: impl Into<String>) -> Self {
        self.realm = Some(realm.into());
        self
    }

    /// Where credentials may be; [`Sources::bearer`] unless given.
    #[must_use]
    pub fn sources(mut self, sources: Sources) -> Self {
        self.sources = sources;
        self
    }

    /// Lets JWTs of this issuer in too, wherever a token may be: an issuer that signs what it
    /// exchanges on this engine. None are let in unless given.
    ///
    /// A JWT is judged by its signature, by its claims and by its record, so it means what the
    /// opaque token would, and a revoked one is refused at once. One without audience of its own
    /// names the issuer.
    #[cfg(feature = "jwt")]
    #[must_use]
    pub fn jwt(mut self, issuer: JwtIssuer) -> Self {
        self.jwt = Some(issuer);
        self
    }

    /// Checks everything.
    ///
    /// # Errors
    /// [`BoundaryError`] names what cannot be used.
    pub fn build(self) -> Result<Boundary, BoundaryError> {
        let realm = self.realm.unwrap_or_else(|| self.hallpass.brand().as_str().to_owned());
        let challenges =
            Challenges::new(&realm, self.sources.challenges_basic()).ok_or(BoundaryError::Realm)?;
        let sources = self.sources.compile()?;
        let vary = sources.vary().ok_or(BoundaryError::TooManyHeaders)?;
        Ok(Boundary(Arc::new(Inner {
            hallpass: self.hallpass,
            #[cfg(feature = "jwt")]
            jwt: self.jwt,
            sources,
            challenges,
            vary,
        })))
    }
}

/// Why a boundary cannot be built.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BoundaryError {
    /// The realm is empty, too long, or not printable ASCII without quote and backslash.
    #[error("a realm is 1 to 128 printable ASCII characters without quote and backslash")]
    Realm,
    /// A source cannot be used.
    #[error(transparent)]
    Sources(#[from] SourcesError),
    /// The names of the headers do not fit a `Vary`.
    #[error("too many headers for tokens")]
    TooManyHeaders,
}
