//! The commands on the management API of a server.

use async_trait::async_trait;
use chrono::TimeDelta;
use tokio::sync::OnceCell;

use super::backend::{Backend, Identity, LoggedIn, NewPat, Pat, PatWithSecret};
use super::failure::{Class, Failure};
use super::session::{SavedSession, SessionFile};
use super::span::PatExpiry;
use super::terminal::ask_password;
use crate::client::{Client, ClientError, Credential, Management, TokenExchange};
use crate::clock::{Clock as _, SystemClock};
use crate::wire::{Issued, ListQuery, NewToken, Rotate, Token};

/// Signs whoever types in, when a command needs that.
type SignIn = dyn Fn() -> Result<Client, Failure> + Send + Sync;

/// The commands on the management API of a server, which its feature `api` mounts.
///
/// A login exchanges the token at the server's OAuth endpoint and keeps the short-lived one in the
/// program's [`SessionFile`].
///
/// ```no_run
/// use hallpass::cli::{ManagementBackend, ask_password};
/// use hallpass::client::Client;
///
/// let backend = ManagementBackend::new("acme", "https://acme.example", "/api/pat", || {
///     let password = ask_password("password of alice", "set ACME_PASSWORD")?;
///     Ok(Client::builder("https://acme.example").person("alice", password.as_str()).build()?)
/// });
/// # let _: &dyn hallpass::cli::Backend = &backend;
/// ```
pub struct ManagementBackend {
    program: String,
    address: String,
    mount: String,
    exchange: TokenExchange,
    sign_in: Box<SignIn>,
    signed_in: OnceCell<Management>,
}

impl ManagementBackend {
    /// The program with this name, on the API that is mounted at `mount` of the server at
    /// `address`. `sign_in` gives a client for whoever may manage tokens; it is called once, when a
    /// command needs it, and may ask.
    pub fn new(
        program: impl Into<String>,
        address: impl Into<String>,
        mount: impl Into<String>,
        sign_in: impl Fn() -> Result<Client, Failure> + Send + Sync + 'static,
    ) -> Self {
        Self {
            program: program.into(),
            address: address.into(),
            mount: mount.into(),
            exchange: TokenExchange::new(),
            sign_in: Box::new(sign_in),
            signed_in: OnceCell::new(),
        }
    }

    /// What a login exchanges the token for, if not for all that it grants at `/oauth/token`.
    #[must_use]
    pub fn exchange(mut self, exchange: TokenExchange) -> Self {
        self.exchange = exchange;
        self
    }

    async fn management(&self) -> Result<&Management, Failure> {
        let sign_in = async || Ok((self.sign_in)()?.management(&self.mount));
        self.signed_in.get_or_try_init(sign_in).await
    }

    /// The one token with this name or id; of several with this name, the one that is live.
    async fn find(&self, name: &str) -> Result<Token, Failure> {
        let all = self.management().await?.list_all(&ListQuery::default()).await?;
        let named = all.into_iter().filter(|t| t.name == name || t.id.as_str() == name);
        let mut named: Vec<Token> = named.collect();
        if named.len() > 1 {
            named.retain(|token| token.status.is_live());
        }
        let mut named = named.into_iter();
        match (named.next(), named.next()) {
            (Some(token), None) => Ok(token),
            (None, _) => Err(Failure::new(Class::NotFound, "there is no such token")),
            (Some(_), Some(_)) => {
                Err(Failure::new(Class::Conflict, "several tokens have this name")
                    .with_hint("give the id, which the list shows"))
            }
        }
    }

    /// Asks for the confirmation that was missing, so that what was refused can be tried again.
    async fn confirm(&self, refused: ClientError) -> Result<(), Failure> {
        let code = refused.refusal().and_then(|refusal| refusal.code.as_deref());
        if code != Some("confirmation-required") {
            return Err(refused.into());
        }
        let management = self.management().await?;
        let session = management.session().await?;
        if let Some(page) = session.confirmation_page {
            let failure = Failure::new(Class::Forbidden, "this needs a fresh confirmation");
            let server = management.client().server();
            return Err(failure.with_hint(format!("confirm it on {server}{page}, and try again")));
        }
        let what = format!("password of {} to confirm", session.name);
        let password = ask_password(&what, "run this in a terminal")?;
        Ok(management.confirm(&password).await?)
    }

    /// Why a token was not exchanged. A token endpoint says the same of a token that is no good and
    /// of a request that it does not understand (RFC 8693 section 2.2.2); another endpoint tells.
    async fn of_exchange(&self, error: ClientError, pat: Credential) -> Failure {
        let is_unclear = error.refusal().is_some_and(|refusal| {
            refusal.status == 400 && refusal.code.as_deref() == Some("invalid_request")
        });
        let failure = Failure::from(error);
        if !is_unclear {
            return failure;
        }
        let own = match Client::builder(&self.address).token(pat).build() {
            Ok(client) => client.management(&self.mount).own().await,
            Err(_) => return failure,
        };
        let is_bad = own.is_err_and(|error| error.refusal().is_some_and(|r| r.status == 401));
        if is_bad { Failure::new(Class::Refused, failure.to_string()) } else { failure }
    }

    fn session_file(&self) -> Result<SessionFile, Failure> {
        SessionFile::of_program(&self.program)
    }

    fn log_in_hint(&self) -> String {
        format!("log in with `{} login --pat` or `--pat-file PATH`", self.program)
    }
}

#[async_trait]
impl Backend for ManagementBackend {
    async fn create(&self, new: &NewPat) -> Result<PatWithSecret, Failure> {
        let some = |names: &Vec<String>| (!names.is_empty()).then(|| names.clone());
        let mut wanted = NewToken {
            name: new.name.clone(),
            scopes: some(&new.scopes),
            presets: some(&new.presets),
            ..NewToken::default()
        };
        match new.expires {
            Some(PatExpiry::In(life)) => wanted.lifetime_seconds = Some(life.num_seconds()),
            Some(PatExpiry::At(end)) => wanted.expires_at = Some(end.to_string()),
            Some(PatExpiry::Never) => wanted.expires_at = Some("never".to_owned()),
            None => {}
        }
        let management = self.management().await?;
        with_secret(match management.create(&wanted).await {
            Ok(issued) => issued,
            Err(refused) => {
                self.confirm(refused).await?;
                management.create(&wanted).await?
            }
        })
    }

    async fn list(&self) -> Result<Vec<Pat>, Failure> {
        let all = self.management().await?.list_all(&ListQuery::default()).await?;
        Ok(all.into_iter().map(Pat::from).collect())
    }

    async fn delete(&self, name: &str) -> Result<(), Failure> {
        let token = self.find(name).await?;
        let management = self.management().await?;
        if let Err(refused) = management.revoke(&token.id).await {
            self.confirm(refused).await?;
            management.revoke(&token.id).await?;
        }
        Ok(())
    }

    async fn rotate(
        &self,
        name: &str,
        overlap: Option<TimeDelta>,
    ) -> Result<PatWithSecret, Failure> {
        let token = self.find(name).await?;
        let overlap_seconds = overlap.map(|overlap| overlap.num_seconds());
        let how = Rotate { overlap_seconds, ..Rotate::default() };
        let management = self.management().await?;
        with_secret(match management.rotate(&token.id, token.version, &how).await {
            Ok(issued) => issued,
            Err(refused) => {
                self.confirm(refused).await?;
                management.rotate(&token.id, token.version, &how).await?
            }
        })
    }

    async fn login(&self, pat: Credential) -> Result<LoggedIn, Failure> {
        let itself = Credential::from_text(pat.expose())?;
        let client = Client::builder(&self.address).token(pat).exchanged(self.exchange.clone());
        let client = client.build()?;
        let own = match client.management(&self.mount).own().await {
            Ok(own) => own,
            Err(error) => return Err(self.of_exchange(error, itself).await),
        };
        let token = Credential::from_text(client.token().await?.expose())?;
        let kept = SavedSession { token, expires_at: own.expires_at };
        self.session_file()?.save(client.server(), &kept)?;
        Ok(LoggedIn { user: Some(own.owner), until: own.expires_at })
    }

    async fn logout(&self) -> Result<bool, Failure> {
        self.session_file()?.remove()
    }

    async fn whoami(&self) -> Result<Identity, Failure> {
        let nobody = || Failure::new(Class::Refused, "nobody is logged in");
        let hint = |failure: Failure| failure.with_hint(self.log_in_hint());
        let server = Client::builder(&self.address).build()?;
        let session = self.session_file()?.load(server.server(), SystemClock.now());
        let session = session.and_then(|session| session.ok_or_else(nobody)).map_err(hint)?;
        let client = Client::builder(&self.address).token(session.token).build()?;
        let own = client.management(&self.mount).own().await;
        let own = own.map_err(|error| hint(Failure::from(error)))?;
        let mut identity = Identity::new(own.owner);
        identity.scopes = own.scopes;
        identity.expires_at = own.expires_at;
        Ok(identity)
    }
}

impl std::fmt::Debug for ManagementBackend {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ManagementBackend")
            .field("program", &self.program)
            .field("address", &self.address)
            .field("mount", &self.mount)
            .finish_non_exhaustive()
    }
}

impl From<Token> for Pat {
    fn from(token: Token) -> Self {
        let mut pat = Self::new(token.id.to_string(), token.name);
        pat.scopes = token.scopes;
        pat.status = token.status.to_string();
        pat.created_at = Some(token.created_at);
        pat.expires_at = token.expires_at;
        pat.last_used_at = token.last_use.map(|used| used.at);
        pat
    }
}

fn with_secret(issued: Issued) -> Result<PatWithSecret, Failure> {
    let secret = issued.secret.ok_or_else(|| {
        Failure::new(Class::Other, "the server's answer was lost, and with it the secret")
            .with_hint("delete the token and make another")
    })?;
    Ok(PatWithSecret { pat: issued.token.into(), secret: Credential::from_text(secret.expose())? })
}
