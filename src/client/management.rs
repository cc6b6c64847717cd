//! The management API of a server, typed.

use std::fmt;
use std::sync::Arc;

use reqwest::Method;
use tokio::sync::Mutex;
use zeroize::Zeroizing;

use super::answer::Answer;
use super::builder::Client;
use super::error::ClientError;
use super::request::Request;
use crate::token::{Entropy as _, OsEntropy, TokenId};
use crate::wire::{
    Catalog, Check, Checked, ConfirmSession, Edit, Found, Issued, ListQuery, Lookup, NewToken, Own,
    Page, Policy, Revoke, Revoked, Rotate, Secret, Session, Token,
};

/// Most pages that are read for one list.
const MAX_PAGES: usize = 1000;
/// How a CSRF token is presented.
const CSRF_HEADER: &str = "x-csrf-token";

/// The management API of a server: what its feature `api` mounts.
///
/// The client comes as whoever may manage tokens, a [person](super::ClientBuilder::person) or a
/// [session](super::ClientBuilder::session_cookie) of the host app; what [`Own`] is about comes
/// with a token. CSRF tokens are fetched when they are needed, and fetched again when they are
/// refused.
///
/// ```no_run
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use hallpass::client::Client;
/// use hallpass::wire::NewToken;
///
/// let acme = Client::builder("https://acme.example").session_cookie("session", "8f3a")?.build()?;
/// let tokens = acme.management("/api/pat");
/// let scopes = Some(vec!["notes:read".to_owned()]);
/// let made = tokens.create(&NewToken { name: "ci".to_owned(), scopes, ..NewToken::default() }).await?;
/// for token in tokens.list_all(&Default::default()).await? {
///     println!("{} {}", token.id, token.name);
/// }
/// tokens.revoke(&made.token.id).await?;
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Management {
    client: Client,
    mount: String,
    /// `/admin`, or nothing.
    whose: &'static str,
    csrf: Arc<Mutex<Option<Zeroizing<String>>>>,
}

impl Client {
    /// The management API that is mounted at this path below the client's address.
    #[must_use]
    pub fn management(&self, mount: &str) -> Management {
        let mount = mount.trim_end_matches('/').to_owned();
        Management { client: self.clone(), mount, whose: "", csrf: Arc::default() }
    }
}

impl Management {
    /// The same for everybody's tokens; for administrators. Only listing, reading, revoking,
    /// suspending, resuming and [`look_up`](Self::look_up) are done for others.
    #[must_use]
    pub fn as_administrator(&self) -> Self {
        Self { whose: "/admin", ..self.clone() }
    }

    /// The client that is used.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Who is signed in.
    ///
    /// # Errors
    /// [`ClientError`] if it cannot be told, or nobody is.
    pub async fn session(&self) -> Result<Session, ClientError> {
        self.get("/session").send().await?.json()
    }

    /// Confirms who is signed in, by the password or whatever the host app asks for.
    ///
    /// # Errors
    /// [`ClientError`] if it is not confirmed; its code is `wrong-secret` if that is not right.
    pub async fn confirm(&self, secret: &str) -> Result<(), ClientError> {
        let body = ConfirmSession { secret: Secret::new(secret) };
        self.change(|| self.post("/session/confirm").json(&body)).await?;
        Ok(())
    }

    /// All scopes of the app.
    ///
    /// # Errors
    /// [`ClientError`] if they cannot be told.
    pub async fn scopes(&self) -> Result<Catalog, ClientError> {
        self.get("/scopes").send().await?.json()
    }

    /// What the app allows.
    ///
    /// # Errors
    /// [`ClientError`] if it cannot be told.
    pub async fn policy(&self) -> Result<Policy, ClientError> {
        self.get("/policy").send().await?.json()
    }

    /// One page of tokens.
    ///
    /// # Errors
    /// [`ClientError`] if it cannot be told.
    pub async fn list(&self, query: &ListQuery) -> Result<Page, ClientError> {
        let mut request = self.get(&format!("{}/tokens", self.whose));
        for (name, value) in query.pairs() {
            request = request.query(name, &value);
        }
        request.send().await?.json()
    }

    /// Every token that a query admits, from all pages.
    ///
    /// # Errors
    /// [`ClientError`] if they cannot all be told.
    pub async fn list_all(&self, query: &ListQuery) -> Result<Vec<Token>, ClientError> {
        let mut query = ListQuery { limit: query.limit.or(Some(100)), ..query.clone() };
        let mut tokens = Vec::new();
        for _ in 0..MAX_PAGES {
            let page = self.list(&query).await?;
            tokens.extend(page.tokens);
            if page.next.is_none() {
                return Ok(tokens);
            }
            query.cursor = page.next;
        }
        Err(ClientError::unexpected(&self.client.0.server, "the list does not end"))
    }

    /// Makes a token. The request has an idempotency key of its own, so that a busy server can be
    /// asked again.
    ///
    /// # Errors
    /// [`ClientError`] if there is none now, or it is unknown whether there is.
    pub async fn create(&self, new: &NewToken) -> Result<Issued, ClientError> {
        let key = idempotency_key()?;
        let made = self
            .change(|| self.post("/tokens").json(new).header("idempotency-key", &key).idempotent())
            .await?;
        made.json()
    }

    /// The token with this id.
    ///
    /// # Errors
    /// [`ClientError`] if there is none for whoever asks, or it cannot be told.
    pub async fn read(&self, id: &TokenId) -> Result<Token, ClientError> {
        self.get(&self.token(id)).send().await?.json()
    }

    /// Changes settings of the token whose version is this.
    ///
    /// # Errors
    /// [`ClientError`] if it is not changed, for instance because somebody else was faster.
    pub async fn edit(
        &self,
        id: &TokenId,
        version: u64,
        edit: &Edit,
    ) -> Result<Token, ClientError> {
        let path = self.token(id);
        let edited = self
            .change(|| {
                let request = self.client.request(Method::PATCH, &self.path(&path));
                request.json(edit).header("if-match", &format!("\"{version}\""))
            })
            .await?;
        edited.json()
    }

    /// Gives the token whose version is this a new secret.
    ///
    /// # Errors
    /// [`ClientError`] if it keeps the old secret, or that is unknown.
    pub async fn rotate(
        &self,
        id: &TokenId,
        version: u64,
        rotate: &Rotate,
    ) -> Result<Issued, ClientError> {
        let path = format!("{}/rotate", self.token(id));
        let rotated = self
            .change(|| self.post(&path).json(rotate).header("if-match", &format!("\"{version}\"")))
            .await?;
        rotated.json()
    }

    /// Sets a token aside.
    ///
    /// # Errors
    /// [`ClientError`] if it still works, or that is unknown.
    pub async fn suspend(&self, id: &TokenId) -> Result<Token, ClientError> {
        let path = format!("{}/suspend", self.token(id));
        self.change(|| self.post(&path)).await?.json()
    }

    /// Takes a suspended token back.
    ///
    /// # Errors
    /// [`ClientError`] if it is still suspended, or that is unknown.
    pub async fn resume(&self, id: &TokenId) -> Result<Token, ClientError> {
        let path = format!("{}/resume", self.token(id));
        self.change(|| self.post(&path)).await?.json()
    }

    /// Revokes a token, for good.
    ///
    /// # Errors
    /// [`ClientError`] if it is unknown whether it is revoked.
    pub async fn revoke(&self, id: &TokenId) -> Result<(), ClientError> {
        let path = self.token(id);
        self.change(|| self.client.delete(&self.path(&path))).await?;
        Ok(())
    }

    /// Revokes several tokens, for good.
    ///
    /// # Errors
    /// [`ClientError`] if it is unknown whether all of them are revoked.
    pub async fn revoke_many(&self, which: &Revoke) -> Result<Revoked, ClientError> {
        let path = format!("{}/tokens/revoke", self.whose);
        self.change(|| self.post(&path).json(which)).await?.json()
    }

    /// Whose token this is, by its id or its whole text; for administrators.
    ///
    /// # Errors
    /// [`ClientError`] if there is none, or it cannot be told.
    pub async fn look_up(&self, text: &str) -> Result<Found, ClientError> {
        let body = Lookup { text: Secret::new(text) };
        self.change(|| self.post("/admin/lookup").json(&body)).await?.json()
    }

    /// What the client's own token is good for.
    ///
    /// # Errors
    /// [`ClientError`] if it is good for nothing, or that cannot be told.
    pub async fn own(&self) -> Result<Own, ClientError> {
        self.get("/self").send().await?.json()
    }

    /// Whether the client's own token would be let in, without trying.
    ///
    /// # Errors
    /// [`ClientError`] if it cannot be told.
    pub async fn check_own(&self, check: &Check) -> Result<Checked, ClientError> {
        self.post("/self/check").json(check).send().await?.json()
    }

    /// Gives the client's own token a new secret. The client goes on presenting the old one: build
    /// another.
    ///
    /// # Errors
    /// [`ClientError`] if it keeps the old secret, or that is unknown.
    pub async fn rotate_own(&self, rotate: &Rotate) -> Result<Issued, ClientError> {
        self.post("/self/rotate").json(rotate).send().await?.json()
    }

    /// Revokes the client's own token, for good.
    ///
    /// # Errors
    /// [`ClientError`] if it is unknown whether it is revoked.
    pub async fn revoke_own(&self) -> Result<(), ClientError> {
        self.client.delete(&self.path("/self")).send().await?;
        Ok(())
    }

    fn token(&self, id: &TokenId) -> String {
        format!("{}/tokens/{id}", self.whose)
    }

    fn path(&self, path: &str) -> String {
        format!("{}{path}", self.mount)
    }

    fn get(&self, path: &str) -> Request<'_> {
        self.client.get(&self.path(path))
    }

    fn post(&self, path: &str) -> Request<'_> {
        self.client.post(&self.path(path))
    }

    /// Sends what changes something, with a CSRF token of the session.
    async fn change<'a>(
        &'a self,
        request: impl Fn() -> Request<'a>,
    ) -> Result<Answer, ClientError> {
        let known = self.csrf.lock().await.clone();
        if let Some(csrf) = known {
            match request().header(CSRF_HEADER, &csrf).send().await {
                // The session is another one by now.
                Err(ClientError::Refused(refusal))
                    if refusal.code.as_deref() == Some("csrf-refused") => {}
                other => return other,
            }
        }
        let csrf = Zeroizing::new(self.session().await?.csrf_token);
        let answer = request().header(CSRF_HEADER, &csrf).send().await;
        *self.csrf.lock().await = Some(csrf);
        answer
    }
}

impl fmt::Debug for Management {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Management")
            .field("client", &self.client)
            .field("mount", &self.mount)
            .finish_non_exhaustive()
    }
}

/// A text that nobody used before.
fn idempotency_key() -> Result<String, ClientError> {
    let mut bytes = [0; 16];
    let filled = OsEntropy.fill(&mut bytes);
    filled.map_err(|_| ClientError::Request { reason: "the random source is unavailable" })?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
