//! How the commands reach the playground: its routes under `/api/playground/v1`.

use std::sync::OnceLock;

use async_trait::async_trait;
use chrono::TimeDelta;
use hallpass::cli::{
    Backend, Class, Failure, Identity, LoggedIn, NewPat, Pat, PatWithSecret, SavedSession,
    SessionFile, ask, ask_password,
};
use hallpass::client::{Client, Credential};
use hallpass::{Clock, SystemClock, Timestamp};
use serde::Deserialize;
use serde_json::json;
use zeroize::Zeroizing;

const PATS: &str = "/api/playground/v1/pats";
const LOGIN: &str = "/api/playground/v1/login";

/// Most pages of a list.
const MAX_PAGES: usize = 100;

/// The playground, as its command-line tool knows it.
pub(crate) struct Playground {
    server: String,
    user: Option<String>,
    /// Whoever was asked for the password, which happens once.
    person: OnceLock<Client>,
}

/// A token, in the playground's own words.
#[derive(Deserialize)]
struct WirePat {
    id: String,
    name: String,
    scopes: Vec<String>,
    status: Option<String>,
    created_at: Option<Timestamp>,
    expires_at: Option<Timestamp>,
    last_used_at: Option<Timestamp>,
    token: Option<String>,
}

#[derive(Deserialize)]
struct WirePage {
    tokens: Vec<WirePat>,
    next: Option<String>,
}

#[derive(Deserialize)]
struct WireSession {
    access_token: String,
    expires_at: Option<Timestamp>,
}

#[derive(Deserialize)]
struct WireMe {
    user: String,
    scopes: Vec<String>,
    expires_at: Option<Timestamp>,
}

impl Playground {
    pub(crate) fn new(server: String, user: Option<String>) -> Self {
        Self { server, user, person: OnceLock::new() }
    }

    /// A client for whoever may manage tokens: a person with a password.
    fn person(&self) -> Result<&Client, Failure> {
        if let Some(client) = self.person.get() {
            return Ok(client);
        }
        // Said before anybody types a password.
        Client::builder(&self.server).build()?;
        // What is set to nothing is not set.
        let user = match self.user.clone().filter(|user| !user.is_empty()) {
            Some(user) => user,
            None => ask("user", "add --user NAME, or set PLAYGROUND_USER")?,
        };
        let password = std::env::var("PLAYGROUND_PASSWORD").map(Zeroizing::new);
        let password = match password.ok().filter(|password| !password.is_empty()) {
            Some(password) => password,
            None => ask_password(&format!("password of {user}"), "set PLAYGROUND_PASSWORD")?,
        };
        let client = Client::builder(&self.server).person(user, password.as_str()).build()?;
        Ok(self.person.get_or_init(|| client))
    }

    fn bearer(&self, token: Credential) -> Result<Client, Failure> {
        Ok(Client::builder(&self.server).token(token).build()?)
    }

    fn session_file() -> Result<SessionFile, Failure> {
        SessionFile::of_program("playground")
    }
}

#[async_trait]
impl Backend for Playground {
    async fn create(&self, new: &NewPat) -> Result<PatWithSecret, Failure> {
        if !new.scopes.is_empty() || !new.presets.is_empty() || new.expires.is_some() {
            let message = "tokens of the playground are all alike: they log in, for 30 days";
            let failure = Failure::new(Class::Usage, message);
            return Err(failure.with_hint("leave out --scope, --preset and --expires"));
        }
        let client = self.person()?;
        let answer = client.post(PATS).json(&json!({ "name": new.name })).send().await;
        let made: WirePat = answer.map_err(of_person)?.json()?;
        let token = Zeroizing::new(made.token.clone().unwrap_or_default());
        Ok(PatWithSecret { pat: made.into(), secret: Credential::from_text(&token)? })
    }

    async fn list(&self) -> Result<Vec<Pat>, Failure> {
        let client = self.person()?;
        let (mut pats, mut next) = (Vec::new(), None::<String>);
        for _ in 0..MAX_PAGES {
            let request = client.get(PATS);
            let request = match &next {
                Some(cursor) => request.query("cursor", cursor),
                None => request,
            };
            let page: WirePage = request.send().await.map_err(of_person)?.json()?;
            pats.extend(page.tokens.into_iter().map(Pat::from));
            next = page.next;
            if next.is_none() {
                return Ok(pats);
            }
        }
        Err(Failure::new(Class::Other, "the list of tokens does not end"))
    }

    async fn delete(&self, name: &str) -> Result<(), Failure> {
        let client = self.person()?;
        client.delete(PATS).segment(name).send().await.map_err(of_person)?;
        Ok(())
    }

    async fn rotate(&self, name: &str, _: Option<TimeDelta>) -> Result<PatWithSecret, Failure> {
        let hint = format!("make another one, use it, then `playground user pat delete {name}`");
        Err(Failure::new(Class::Usage, "the playground does not rotate tokens").with_hint(hint))
    }

    async fn login(&self, pat: Credential) -> Result<LoggedIn, Failure> {
        let client = self.bearer(pat)?;
        let session: WireSession = client.post(LOGIN).send().await?.json()?;
        let token = Zeroizing::new(session.access_token);
        let until = session.expires_at;
        let token = Credential::from_text(&token)?;
        let me = self.bearer(Credential::from_text(token.expose())?)?.get("/me").send().await?;
        let me: WireMe = me.json()?;
        let kept = SavedSession { token, expires_at: until };
        Self::session_file()?.save(client.server(), &kept)?;
        Ok(LoggedIn { user: Some(me.user), until })
    }

    async fn logout(&self) -> Result<bool, Failure> {
        Self::session_file()?.remove()
    }

    async fn whoami(&self) -> Result<Identity, Failure> {
        const HINT: &str = "log in with `PLAYGROUND_PAT=... playground login --pat`";
        let server = Client::builder(&self.server).build()?;
        let session = Self::session_file()?.load(server.server(), SystemClock.now());
        let session = session.and_then(|session| {
            session.ok_or_else(|| Failure::new(Class::Refused, "nobody is logged in"))
        });
        let client = self.bearer(session.map_err(|failure| failure.with_hint(HINT))?.token)?;
        let me = client.get("/me").send().await;
        let me: WireMe = me.map_err(|error| Failure::from(error).with_hint(HINT))?.json()?;
        let mut identity = Identity::new(me.user);
        identity.scopes = me.scopes;
        identity.expires_at = me.expires_at;
        Ok(identity)
    }
}

impl From<WirePat> for Pat {
    fn from(wire: WirePat) -> Self {
        let mut pat = Self::new(wire.id, wire.name);
        pat.scopes = wire.scopes;
        pat.status = wire.status.unwrap_or(pat.status);
        pat.created_at = wire.created_at;
        pat.expires_at = wire.expires_at;
        pat.last_used_at = wire.last_used_at;
        pat
    }
}

/// Of a request that carried a user name and a password.
fn of_person(error: hallpass::client::ClientError) -> Failure {
    let failure = Failure::from(error);
    match failure.class() {
        Class::Refused => failure.with_hint("the user name or the password is wrong"),
        _ => failure,
    }
}
