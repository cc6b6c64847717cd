//! One request, as often as it takes.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, COOKIE, HeaderValue, LOCATION};
use reqwest::{Method, StatusCode};
use serde::Serialize;
use zeroize::Zeroizing;

use super::answer::Answer;
use super::builder::{Client, Identity};
use super::credential::Credential;
use super::error::{ClientError, Refusal};
use super::presentation::{Presentation, basic, insert};
use crate::fetch::read;

/// How long to wait for a busy server that does not say.
const WAIT: Duration = Duration::from_secs(1);

/// A request to the client's server.
#[must_use = "a request does nothing until it is sent"]
pub struct Request<'a> {
    client: &'a Client,
    /// Without what is presented.
    request: reqwest::Request,
    /// The first thing that was wrong with what the caller gave.
    wrong: Option<&'static str>,
    can_repeat: bool,
    /// A secret in the body, of a request that presents nothing.
    anonymous: Option<&'a Credential>,
}

impl<'a> Request<'a> {
    pub(super) fn new(client: &'a Client, method: Method, path: &str) -> Self {
        let mut url = client.0.base.clone();
        let (path, query) = path.split_once('?').map_or((path, None), |(p, q)| (p, Some(q)));
        // Set and not joined: whatever the text is, it stays on this server.
        url.set_path(&format!("{}{}", client.0.base.path(), path.trim_start_matches('/')));
        url.set_query(query);
        let is_below = url.path().starts_with(client.0.base.path());
        let can_repeat = method.is_idempotent();
        let request = reqwest::Request::new(method, url);
        let wrong = (!is_below).then_some("the path leads out of the server's address");
        Self { client, request, wrong, can_repeat, anonymous: None }
    }

    /// Appends one segment to the path, whatever characters it has.
    pub fn segment(mut self, segment: &str) -> Self {
        // These two are not names, however they are escaped.
        if matches!(segment, "" | "." | "..") {
            self.wrong.get_or_insert("an empty name, `.` and `..` cannot be in a path");
        } else if let Ok(mut path) = self.request.url_mut().path_segments_mut() {
            path.pop_if_empty().push(segment);
        }
        self
    }

    /// Appends one pair to the query. It is no place for secrets.
    pub fn query(mut self, name: &str, value: &str) -> Self {
        self.request.url_mut().query_pairs_mut().append_pair(name, value);
        self
    }

    /// Sends this as JSON.
    pub fn json(self, body: &impl Serialize) -> Self {
        match serde_json::to_vec(body) {
            Ok(json) => self.body("application/json", json.into()),
            Err(_) => self.but("the body is no JSON"),
        }
    }

    /// Sends this as a form. A name may come twice.
    pub fn form(self, pairs: &[(&str, String)]) -> Self {
        let mut form = self.client.0.base.clone();
        form.query_pairs_mut().clear().extend_pairs(pairs);
        let body = form.query().unwrap_or_default().to_owned();
        self.body("application/x-www-form-urlencoded", body.into())
    }

    /// Sets a header.
    pub fn header(mut self, name: &'static str, value: &str) -> Self {
        match HeaderValue::from_str(value) {
            Ok(value) => {
                self.request.headers_mut().insert(name, value);
                self
            }
            Err(_) => self.but("a header cannot have this value"),
        }
    }

    /// Allows to repeat the request although its method does not, because the server knows a
    /// repetition by an idempotency key.
    pub fn idempotent(mut self) -> Self {
        self.can_repeat = true;
        self
    }

    /// Presents nothing; the secret is in the body.
    pub(super) fn anonymous(mut self, secret: &'a Credential) -> Self {
        self.anonymous = Some(secret);
        self
    }

    /// Sends the request and reads the whole answer.
    ///
    /// A request that can be repeated is repeated while the server is busy (429, 503), after the
    /// wait that it asks for. A short-lived token that is refused is renewed once.
    ///
    /// # Errors
    /// [`ClientError`] if there is no answer, or it is a refusal.
    pub async fn send(self) -> Result<Answer, ClientError> {
        if let Some(reason) = self.wrong {
            return Err(ClientError::Request { reason });
        }
        let limits = &self.client.0.limits;
        let (mut tries, mut is_renewed) = (0, false);
        loop {
            // No copy can be made of bodies that are streams, and there are none.
            let again = self.request.try_clone();
            let mut request =
                again.ok_or(ClientError::Request { reason: "it cannot be copied" })?;
            let token = self.present(&mut request).await?;
            let refusal = match self.once(request, token.as_deref()).await {
                Err(ClientError::Refused(refusal)) => refusal,
                other => return other,
            };
            if refusal.status == 401
                && !is_renewed
                && let Identity::Exchanged { session, .. } = &self.client.0.identity
                && let Some(token) = &token
            {
                is_renewed = true;
                if session.reject(token) {
                    continue;
                }
            }
            let wait = refusal.retry_after.unwrap_or(WAIT);
            let is_busy = matches!(refusal.status, 429 | 503);
            if !is_busy || !self.can_repeat || tries >= limits.retries || wait > limits.longest_wait
            {
                return Err(ClientError::Refused(refusal));
            }
            tokio::time::sleep(wait).await;
            tries += 1;
        }
    }

    /// Puts what the client presents on the request; the token, if it is one.
    async fn present(
        &self,
        request: &mut reqwest::Request,
    ) -> Result<Option<Arc<Credential>>, ClientError> {
        if self.anonymous.is_some() {
            return Ok(None);
        }
        match &self.client.0.identity {
            Identity::Nobody => Ok(None),
            Identity::Person { user, password } => {
                insert(request, AUTHORIZATION, &basic(user, password));
                Ok(None)
            }
            Identity::Session { cookie } => {
                insert(request, COOKIE, cookie);
                Ok(None)
            }
            Identity::Token(token, presentation) => {
                presentation.attach(token, request);
                Ok(Some(token.clone()))
            }
            Identity::Exchanged { .. } => {
                // Boxed, because the exchange is a request too.
                let token = Box::pin(self.client.token()).await?;
                Presentation::bearer().attach(&token, request);
                Ok(Some(token))
            }
        }
    }

    async fn once(
        &self,
        request: reqwest::Request,
        token: Option<&Credential>,
    ) -> Result<Answer, ClientError> {
        let client = &self.client.0;
        let failed = |error| ClientError::of(error, &client.server);
        // As it was sent: Basic has another spelling of the secret.
        let sent = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let sent = sent.and_then(|value| value.split_once(' '));
        let sent = sent.map(|(_, credentials)| Zeroizing::new(credentials.to_owned()));
        let mut response = client.http.execute(request).await.map_err(failed)?;
        let status = response.status();
        if status.is_redirection() && status != StatusCode::NOT_MODIFIED {
            let to = response.headers().get(LOCATION).and_then(|to| to.to_str().ok());
            let to = to.and_then(|to| response.url().join(to).ok());
            let to = to.map_or("nowhere".to_owned(), |to| to.origin().ascii_serialization());
            return Err(ClientError::Redirected { server: client.server.clone(), to });
        }
        let limit = client.limits.answer;
        let too_large = || ClientError::TooLarge { server: client.server.clone(), limit };
        let body =
            Bytes::from(read(&mut response, limit).await.map_err(failed)?.ok_or_else(too_large)?);
        let headers = std::mem::take(response.headers_mut());
        if status.is_success() {
            let server = client.server.clone();
            return Ok(Answer { server, status, headers, body });
        }
        let mut secrets: Vec<&str> = token.into_iter().map(Credential::expose).collect();
        secrets.extend(self.anonymous.map(Credential::expose));
        secrets.extend(sent.as_deref().map(String::as_str));
        match &client.identity {
            Identity::Person { password, .. } => secrets.push(password),
            Identity::Session { cookie } => {
                secrets.extend(cookie.split_once('=').map(|(_, value)| value));
            }
            _ => {}
        }
        let now = client.clock.now();
        Err(Box::new(Refusal::read(status, &headers, &body, &secrets, now)).into())
    }

    fn body(mut self, media_type: &'static str, body: Bytes) -> Self {
        let headers = self.request.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
        *self.request.body_mut() = Some(body.into());
        self
    }

    fn but(mut self, wrong: &'static str) -> Self {
        self.wrong.get_or_insert(wrong);
        self
    }
}

impl std::fmt::Debug for Request<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Request")
            .field("method", self.request.method())
            .field("server", &self.client.server())
            .finish_non_exhaustive()
    }
}
