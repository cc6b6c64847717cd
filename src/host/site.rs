//! The host app, and what it is asked about a request.

use std::sync::Arc;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use http::header::COOKIE;
use http::request::Parts;

use super::attempts::Attempts;
use super::confirmation::Confirmation;
use super::csrf::{CsrfKey, CsrfRefused, Origin, ParseOriginError};
use super::signed_in::{CallerResolver, HostOutage, SignedIn};
use crate::clock::Timestamp;
use crate::credential::decode_leniently;
use crate::engine::Hallpass;
#[cfg(feature = "jwt")]
use crate::jwt::JwtIssuer;
use crate::token::EntropyError;

/// Longest secret that is handed to the host, in bytes.
const MAX_SECRET_LEN: usize = 1024;

/// The host app as the management API and the console see it. Cheap to clone.
///
/// See the [module](super) for the rules and an example.
#[derive(Debug, Clone)]
pub struct Host(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    hallpass: Hallpass,
    #[cfg(feature = "jwt")]
    jwt: Option<JwtIssuer>,
    callers: Box<dyn CallerResolver>,
    confirmation: Box<dyn Confirmation>,
    origin: Origin,
    csrf: CsrfKey,
    attempts: Attempts,
}

impl Host {
    /// Starts with an engine, the origin of the host's pages (`https://acme.example`), and
    /// whoever tells who is signed in.
    #[must_use]
    pub fn builder(
        hallpass: Hallpass,
        origin: impl Into<String>,
        callers: impl CallerResolver,
    ) -> HostBuilder {
        HostBuilder {
            hallpass,
            #[cfg(feature = "jwt")]
            jwt: None,
            origin: origin.into(),
            callers: Box::new(callers),
            confirmation: None,
            csrf: None,
        }
    }

    /// The engine.
    #[must_use]
    pub fn hallpass(&self) -> &Hallpass {
        &self.0.hallpass
    }

    /// The origin of the host's pages.
    #[must_use]
    pub fn origin(&self) -> &Origin {
        &self.0.origin
    }

    /// Where people confirm who they are, if not by typing a secret.
    #[must_use]
    pub fn confirmation_page(&self) -> Option<&str> {
        self.0.confirmation.page()
    }

    /// Who makes a request. One that carries a token of the app is refused, whoever is signed in.
    ///
    /// # Errors
    /// [`Refused::TokenPresented`], [`Refused::Nobody`] or [`Refused::Unavailable`].
    pub async fn signed_in(&self, head: &Parts) -> Result<SignedIn, Refused> {
        if self.carries_token(head) {
            return Err(Refused::TokenPresented);
        }
        self.0.callers.signed_in(head).await?.ok_or(Refused::Nobody)
    }

    /// Refuses a request that other sites can make a browser send. To be asked before anything
    /// is changed. `presented` is the CSRF token that came with the request: in
    /// [`CSRF_HEADER`](super::CSRF_HEADER), or in a field of a form.
    ///
    /// # Errors
    /// [`Refused::Csrf`]; see [`Origin::check`] for the rule.
    pub fn check_same_site(
        &self,
        head: &Parts,
        who: &SignedIn,
        presented: Option<&str>,
    ) -> Result<(), Refused> {
        let bound = (&self.0.csrf, who.session());
        Ok(self.0.origin.check(&head.headers, bound, presented)?)
    }

    /// A CSRF token for whoever is signed in, as long as the session lasts.
    ///
    /// # Errors
    /// [`EntropyError`] if the random source failed.
    pub fn csrf_token(&self, who: &SignedIn) -> Result<String, EntropyError> {
        self.0.csrf.token(who.session())
    }

    /// When the session was last confirmed. Whether that is recent enough, the engine tells.
    ///
    /// # Errors
    /// [`Refused::Unavailable`].
    pub async fn confirmed_at(
        &self,
        head: &Parts,
        who: &SignedIn,
    ) -> Result<Option<Timestamp>, Refused> {
        Ok(self.0.confirmation.confirmed_at(head, who).await?)
    }

    /// Confirms the session with a secret: five failures within five minutes, then the session
    /// has to wait. A token is never a secret, and neither is a text of more than 1,024 bytes.
    ///
    /// # Errors
    /// [`ConfirmError`] if the session is not confirmed.
    pub async fn confirm(
        &self,
        head: &Parts,
        who: &SignedIn,
        secret: &str,
    ) -> Result<(), ConfirmError> {
        let now = self.0.hallpass.now();
        let attempts = &self.0.attempts;
        attempts
            .begin(who.session(), now)
            .map_err(|retry_after_seconds| ConfirmError::TooMany { retry_after_seconds })?;
        if secret.is_empty() || secret.len() > MAX_SECRET_LEN || self.is_token(secret) {
            return Err(ConfirmError::Wrong);
        }
        match self.0.confirmation.confirm(head, who, secret, now).await {
            Ok(true) => {
                attempts.succeeded(who.session());
                Ok(())
            }
            Ok(false) => Err(ConfirmError::Wrong),
            Err(outage) => {
                attempts.unknown(who.session());
                Err(outage.into())
            }
        }
    }

    /// Whether a token of the app is anywhere in the head: in a header, alone or behind a scheme
    /// word, in a Basic credential, or in the query, escaped or not. Cookies are the host's own.
    fn carries_token(&self, head: &Parts) -> bool {
        let lines = head.headers.iter().filter(|(name, _)| **name != COOKIE);
        let mut lines = lines.map(|(_, line)| String::from_utf8_lossy(line.as_bytes()));
        lines.any(|line| self.holds_token(&line) || self.holds_token(&basic(&line)))
            || head.uri.query().is_some_and(|query| {
                self.holds_token(query) || self.holds_token(&decode_leniently(query))
            })
    }

    fn holds_token(&self, text: &str) -> bool {
        let is_opaque = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let is_compact = |c: char| is_opaque(c) || c == '-' || c == '.';
        // A JWT is longer than an opaque token, and made of more characters.
        text.split(|c| !is_compact(c)).any(|word| {
            word.split(|c| !is_opaque(c)).any(|word| self.0.hallpass.recognises(word))
                || self.is_jwt(word)
        })
    }

    /// Whether a text is a token of the app, good or not.
    fn is_token(&self, text: &str) -> bool {
        self.0.hallpass.recognises(text) || self.is_jwt(text)
    }

    #[cfg(feature = "jwt")]
    fn is_jwt(&self, text: &str) -> bool {
        self.0.jwt.as_ref().is_some_and(|issuer| issuer.is_named_by(text))
    }

    #[cfg(not(feature = "jwt"))]
    #[expect(clippy::unused_self, reason = "with the feature `jwt` it depends on the settings")]
    fn is_jwt(&self, _: &str) -> bool {
        false
    }
}

/// What a Basic credential decodes to, with padding or without.
fn basic(line: &str) -> String {
    const LENIENT: GeneralPurpose = GeneralPurpose::new(
        &alphabet::STANDARD,
        GeneralPurposeConfig::new()
            .with_decode_padding_mode(DecodePaddingMode::Indifferent)
            .with_decode_allow_trailing_bits(true),
    );
    let (scheme, payload) = line.trim_start().split_once(' ').unwrap_or_default();
    if !scheme.eq_ignore_ascii_case("basic") {
        return String::new();
    }
    let decoded = LENIENT.decode(payload.trim()).unwrap_or_default();
    String::from_utf8_lossy(&decoded).into_owned()
}

/// Collects what is known of the host app; see [`Host::builder`].
#[derive(Debug)]
pub struct HostBuilder {
    hallpass: Hallpass,
    #[cfg(feature = "jwt")]
    jwt: Option<JwtIssuer>,
    origin: String,
    callers: Box<dyn CallerResolver>,
    confirmation: Option<Box<dyn Confirmation>>,
    csrf: Option<CsrfKey>,
}

impl HostBuilder {
    /// How sessions are confirmed. Must be given, unless policy asks for no confirmation.
    #[must_use]
    pub fn confirmation(mut self, confirmation: impl Confirmation) -> Self {
        self.confirmation = Some(Box::new(confirmation));
        self
    }

    /// Knows tokens by this issuer too, as the boundary does: a request that carries one is refused.
    #[cfg(feature = "jwt")]
    #[must_use]
    pub fn jwt(mut self, issuer: JwtIssuer) -> Self {
        self.jwt = Some(issuer);
        self
    }

    /// The key of CSRF tokens. Give the same one to every node and keep it over restarts; without
    /// one, tokens are good on this node until it ends.
    #[must_use]
    pub fn csrf_key(mut self, key: CsrfKey) -> Self {
        self.csrf = Some(key);
        self
    }

    /// Checks everything.
    ///
    /// # Errors
    /// [`HostError`] names what is missing.
    pub fn build(self) -> Result<Host, HostError> {
        let confirmation = match self.confirmation {
            Some(confirmation) => confirmation,
            None if self.hallpass.policy().confirmation.is_none() => {
                Box::new(super::NoConfirmation)
            }
            None => return Err(HostError::ConfirmationMissing),
        };
        let csrf = match self.csrf {
            Some(key) => key,
            None => CsrfKey::generate()?,
        };
        Ok(Host(Arc::new(Inner {
            hallpass: self.hallpass,
            #[cfg(feature = "jwt")]
            jwt: self.jwt,
            callers: self.callers,
            confirmation,
            origin: self.origin.parse()?,
            csrf,
            attempts: Attempts::default(),
        })))
    }
}

/// Why the host app cannot be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HostError {
    /// The origin is not one.
    #[error(transparent)]
    Origin(#[from] ParseOriginError),
    /// Policy asks for confirmations and nobody can give any.
    #[error("policy asks for confirmations: call `.confirmation(...)`, or turn that off in policy")]
    ConfirmationMissing,
    /// The random source failed.
    #[error(transparent)]
    Entropy(#[from] EntropyError),
}

/// Why a request is not served.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// It carries a token. Answer 403.
    #[error("tokens do not manage tokens; sign in instead")]
    TokenPresented,
    /// Nobody is signed in. Answer 401, or show the page to sign in.
    #[error("sign in first")]
    Nobody,
    /// It does not come from the host's own pages. Answer 403.
    #[error(transparent)]
    Csrf(#[from] CsrfRefused),
    /// The host cannot tell. Answer 503.
    #[error(transparent)]
    Unavailable(#[from] HostOutage),
}

/// Why a session is not confirmed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfirmError {
    /// The secret is not the right one. Answer 403.
    #[error("that is not right")]
    Wrong,
    /// There were too many wrong ones. Answer 429.
    #[error("too many attempts; wait {retry_after_seconds} seconds")]
    TooMany {
        /// After how many seconds the owner may try again.
        retry_after_seconds: u32,
    },
    /// The host cannot tell. Answer 503.
    #[error(transparent)]
    Unavailable(#[from] HostOutage),
}
