//! The host app, and what it is asked about a request.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use http::header::{AUTHORIZATION, COOKIE};
use http::request::Parts;

use super::attempts::Attempts;
use super::confirmation::Confirmation;
use super::csrf::{CsrfKey, CsrfRefused, Origin, ParseOriginError};
use super::signed_in::{CallerResolver, HostOutage, SignedIn};
use crate::clock::Timestamp;
use crate::engine::Hallpass;
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
        if secret.is_empty() || secret.len() > MAX_SECRET_LEN || self.0.hallpass.recognises(secret)
        {
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
    /// word, in a Basic credential, or in the query. Cookies are the host's own.
    fn carries_token(&self, head: &Parts) -> bool {
        let hallpass = &self.0.hallpass;
        let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let holds = |text: &str| text.split(|c| !is_word(c)).any(|word| hallpass.recognises(word));
        let lines = head.headers.iter().filter(|(name, _)| **name != COOKIE);
        lines.filter_map(|(_, line)| line.to_str().ok()).any(holds)
            || basic_texts(&head.headers).any(|text| holds(&text))
            || head.uri.query().is_some_and(holds)
    }
}

/// What Basic credentials decode to.
fn basic_texts(headers: &HeaderMap) -> impl Iterator<Item = String> {
    headers.get_all(AUTHORIZATION).iter().filter_map(|line| {
        let (scheme, encoded) = line.to_str().ok()?.split_once(' ')?;
        let decoded = scheme.eq_ignore_ascii_case("basic").then(|| STANDARD.decode(encoded.trim()));
        String::from_utf8(decoded?.ok()?).ok()
    })
}

/// Collects what is known of the host app; see [`Host::builder`].
#[derive(Debug)]
pub struct HostBuilder {
    hallpass: Hallpass,
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
