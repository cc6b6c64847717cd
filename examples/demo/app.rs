//! What the products share: the engine, the accounts, the boundaries, and the rules of the demo.

use std::error::Error;
use std::ops::Deref;
use std::sync::Arc;

use argon2::Argon2;
use axum::extract::rejection::QueryRejection;
use axum::extract::{DefaultBodyLimit, FromRequestParts, Query};
use axum::http::header::{CACHE_CONTROL, HeaderValue, VARY};
use axum::http::request::Parts;
use axum::response::Response;
use axum::routing::get;
use axum::{Router, middleware};
use chrono::TimeDelta;
use hallpass::console::Console;
use hallpass::host::Host;
use hallpass::store::{Filter, Reach};
use hallpass::{
    Boundary, Caller, Ensured, Granted, Hallpass, Issue, Issued, Kind, KindSet, ListRequest, Page,
    Policy, Requirement, Sources, Status, Token, TokenId, TokenStore, TracingSink,
};
use serde::Deserialize;

use super::accounts::{Account, Accounts};
use super::attempts::SignInError;
use super::catalog::{Product, catalog};
use super::oauth::{self, Endpoints, REPORTS};
use super::problem::Problem;
use super::quota::OverallQuota;
use super::session::Sessions;
use super::{automation, data, hosting, manage, me, pages, playground, release};

/// Most live tokens of an account, over all products.
pub(crate) const QUOTA: u32 = 50;

/// Longest body, in bytes.
const MAX_BODY: usize = 64 * 1024;

/// What whoever starts the demo decides.
#[derive(Debug)]
pub(crate) struct Settings {
    /// The URL by which browsers and OAuth clients know the demo: `http://127.0.0.1:3000`.
    pub(crate) origin: String,
    /// Whether sessions that a token negotiated survive the deletion of the token.
    pub(crate) let_sessions_finish: bool,
    /// How long tokens of the data platform live; for ever if absent.
    pub(crate) data_lifetime: Option<TimeDelta>,
    /// The passwords of alice, bob, root and carol.
    pub(crate) passwords: [String; 4],
    /// How passwords are hashed.
    pub(crate) argon2: Argon2<'static>,
}

/// The demo. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct App(Arc<Shared>);

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) hallpass: Hallpass,
    pub(crate) accounts: Arc<Accounts>,
    /// Takes a token from every place where any product takes one, the query aside.
    pub(crate) boundary: Boundary,
    pub(crate) endpoints: Endpoints,
    pub(crate) data_lifetime: Option<TimeDelta>,
    pub(crate) releases: release::Releases,
    /// Who is signed in with a browser.
    pub(crate) sessions: Arc<Sessions>,
    pub(crate) host: Host,
    pub(crate) console: Console,
}

impl Deref for App {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}

impl App {
    /// Puts the demo together on this store.
    ///
    /// # Errors
    /// Whatever is wrong with the settings.
    pub(crate) fn new(
        store: impl TokenStore,
        settings: &Settings,
    ) -> Result<Self, Box<dyn Error + Send + Sync>> {
        let catalog = catalog()?;
        let accounts =
            Arc::new(Accounts::new(&settings.passwords, settings.argon2.clone(), &catalog)?);
        let policy = Policy {
            // Only the data platform asks for it. Where it may not any more, its old tokens end too.
            allow_never: settings.data_lifetime.is_none(),
            quota: Some(QUOTA),
            // Descriptions on the automation and hosting platforms can repeat. Where names cannot,
            // `issue_named` says so.
            unique_names: false,
            let_sessions_finish: settings.let_sessions_finish,
            exchange_audiences: vec![REPORTS.to_owned()],
            ..Policy::default()
        };
        let hallpass = Hallpass::builder(OverallQuota::new(store))
            .brand("demo")
            .catalog(catalog)
            .policy(policy)
            .owners(Arc::clone(&accounts))
            .events(TracingSink)
            .build()?;
        let sources =
            Sources::bearer().basic().header(release::TOKEN_HEADER).header(release::WEBHOOK_HEADER);
        let endpoints = Endpoints::new(&hallpass, &settings.origin)?;
        let boundary = Boundary::builder(hallpass.clone())
            .jwt(endpoints.jwt.clone())
            .sources(sources)
            .build()?;
        let sessions = Arc::new(Sessions::new(Arc::clone(&accounts)));
        let host = Host::builder(hallpass.clone(), &settings.origin, Arc::clone(&sessions))
            .confirmation(Arc::clone(&sessions))
            .jwt(endpoints.jwt.clone())
            .build()?;
        let console = Console::builder(host.clone())
            .title("Demo")
            .back("Products", "/")
            .sign_in_page("/login?next={next}")
            .with_tenants()
            .mounted_at(pages::CONSOLE)
            .build()?;
        Ok(Self(Arc::new(Shared {
            sessions,
            host,
            console,
            hallpass,
            accounts,
            boundary,
            endpoints,
            data_lifetime: settings.data_lifetime,
            releases: release::Releases::default(),
        })))
    }

    /// Every route.
    ///
    /// # Errors
    /// A requirement names a scope that does not exist.
    pub(crate) fn router(&self) -> Result<Router, Box<dyn Error + Send + Sync>> {
        Ok(Router::new()
            .merge(automation::routes())
            .merge(release::routes(self)?)
            .merge(hosting::routes(self)?)
            .merge(playground::routes(self)?)
            .merge(data::routes(self)?)
            .merge(me::routes(self)?)
            .merge(pages::routes())
            .merge(self.console.router())
            .route("/healthz", get(async || "ok\n"))
            .layer(DefaultBodyLimit::max(MAX_BODY))
            .layer(middleware::map_response(keep_from_caches))
            // They say themselves who may keep what, and how long a body may be.
            .merge(manage::api(self.host.clone())?.into_router())
            .merge(oauth::routes(self))
            .with_state(self.clone()))
    }

    /// A boundary that takes tokens from these places.
    ///
    /// # Errors
    /// A source cannot be used.
    pub(crate) fn boundary_with(
        &self,
        sources: Sources,
    ) -> Result<Boundary, hallpass::credential::BoundaryError> {
        let builder = Boundary::builder(self.hallpass.clone()).jwt(self.endpoints.jwt.clone());
        builder.sources(sources).build()
    }

    /// Issues a token; the name can repeat.
    ///
    /// # Errors
    /// A [`Problem`] tells why not.
    pub(crate) async fn issue(
        &self,
        account: &Account,
        product: Product,
        issue: Issue,
    ) -> Result<Issued, Problem> {
        Ok(self.hallpass.on_behalf_of(self.owner(account, product)).issue(issue).await?)
    }

    /// Issues a token for an application, with a refresh token.
    ///
    /// # Errors
    /// A [`Problem`] tells why not.
    pub(crate) async fn issue_with_refresh(
        &self,
        account: &Account,
        product: Product,
        issue: Issue,
    ) -> Result<Granted, Problem> {
        let owner = self.hallpass.on_behalf_of(self.owner(account, product));
        Ok(owner.issue_with_refresh(issue).await?)
    }

    /// Issues a token whose name no other live token of the account has in this product.
    ///
    /// # Errors
    /// A [`Problem`] tells why not.
    pub(crate) async fn issue_named(
        &self,
        account: &Account,
        product: Product,
        issue: Issue,
    ) -> Result<Issued, Problem> {
        let owner = self.hallpass.on_behalf_of(self.owner(account, product));
        match owner.issue_if_absent(issue).await? {
            Ensured::Issued(issued) => Ok(*issued),
            Ensured::Existing(_) => Err(Problem::name_taken()),
        }
    }

    /// The account with this name and password, as a request claims.
    ///
    /// # Errors
    /// [`Problem::sign_in`], or [`Problem::too_many`] after too many wrong ones.
    pub(crate) async fn sign_in(
        &self,
        head: &Parts,
        (name, password): (&str, &str),
    ) -> Result<Arc<Account>, Problem> {
        let peer = hallpass::axum::peer(&head.extensions);
        let signed_in = self.accounts.sign_in(peer, (name, password), self.hallpass.now()).await;
        signed_in.map_err(|error| match error {
            SignInError::Wrong => Problem::sign_in(),
            SignInError::TooMany => Problem::too_many(),
            SignInError::Unavailable => Problem::unavailable(),
        })
    }

    /// The account as the owner of tokens of a product. Every request that comes here carried the
    /// password, so its presence is confirmed now.
    pub(crate) fn owner(&self, account: &Account, product: Product) -> Caller {
        Caller::owner_in(product.tenant(), account.owner.clone()).confirmed_at(self.hallpass.now())
    }

    /// The account as whoever looks after a product: root reaches everybody's tokens.
    pub(crate) fn manager(&self, account: &Account, product: Product) -> Caller {
        if account.is_admin {
            let caller = Caller::admin_in(product.tenant(), account.owner.clone());
            caller.confirmed_at(self.hallpass.now())
        } else {
            self.owner(account, product)
        }
    }

    /// A page of the tokens in the caller's reach, deleted ones aside, newest first.
    ///
    /// # Errors
    /// [`Problem`] if the page cannot be had.
    pub(crate) async fn list(&self, caller: Caller, query: PageQuery) -> Result<Page, Problem> {
        let mut filter = Filter::new(Reach::All);
        filter.kinds = LASTING;
        filter.statuses = Some(Status::ALL.into_iter().filter(|s| *s != Status::Revoked).collect());
        let mut request = ListRequest::new(filter).limit(query.limit);
        if let Some(cursor) = query.cursor {
            request = request.after(cursor);
        }
        Ok(self.hallpass.on_behalf_of(caller).list(&request).await?)
    }

    /// A token in the caller's reach that was not deleted.
    ///
    /// # Errors
    /// [`Problem::not_found`] if there is none, or the id is none.
    pub(crate) async fn token(&self, caller: Caller, id: &str) -> Result<Token, Problem> {
        let id: TokenId = id.parse().map_err(|_| Problem::not_found())?;
        let token = self.hallpass.on_behalf_of(caller).get(&id).await?;
        token
            .filter(|token| LASTING.contains(token.kind) && token.revocation.is_none())
            .ok_or_else(Problem::not_found)
    }

    /// Refuses scopes of other products as if they did not exist.
    ///
    /// # Errors
    /// [`Problem`] names the first.
    pub(crate) fn check_scopes(&self, product: Product, scopes: &[String]) -> Result<(), Problem> {
        let foreign = |scope: &&String| {
            let declared = self.hallpass.catalog().get(scope.as_str());
            declared.is_some_and(|scope| scope.group() != product.name())
        };
        match scopes.iter().find(foreign) {
            Some(scope) => Err(Problem::bad(&format!("unknown scope or preset `{scope}`"))),
            None => Ok(()),
        }
    }
}

/// The kinds that people see in lists; sessions are not among them.
pub(crate) const LASTING: KindSet = KindSet::NONE.with(Kind::Personal).with(Kind::Application);

/// The boundary of a product that takes tokens as `Authorization: Bearer` and as Basic.
pub(crate) fn usual_sources() -> Sources {
    Sources::bearer().basic()
}

/// What a product's token must be: of the product, and with one of its scopes.
pub(crate) fn needs(scope: &str) -> Requirement {
    Requirement::scope(scope)
}

/// Which page of a list is wanted: `limit` (1 to 100, 100 unless given) and `cursor`.
#[derive(Debug)]
pub(crate) struct PageQuery {
    limit: u32,
    cursor: Option<String>,
}

impl<S: Send + Sync> FromRequestParts<S> for PageQuery {
    type Rejection = Problem;

    async fn from_request_parts(head: &mut Parts, state: &S) -> Result<Self, Problem> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Wire {
            limit: Option<String>,
            cursor: Option<String>,
        }
        let bad = |_: QueryRejection| Problem::bad("the query takes `limit` and `cursor`");
        let Query(wire) = Query::<Wire>::from_request_parts(head, state).await.map_err(bad)?;
        let limit = match wire.limit {
            None => ListRequest::MAX_LIMIT,
            // `parse` alone would take `+5`.
            Some(text) if text.bytes().all(|byte| byte.is_ascii_digit()) => {
                text.parse().map_err(|_| Problem::bad("a page has 1 to 100 tokens"))?
            }
            Some(_) => return Err(Problem::bad("`limit` is a number")),
        };
        Ok(Self { limit, cursor: wire.cursor })
    }
}

/// The headers in which somebody may say who they are.
const CREDENTIALS: &str = "Authorization, x-release-personal-token, x-release-webhook-token";

/// Nothing that the demo answers is for a cache, or the same for everybody.
async fn keep_from_caches(mut response: Response) -> Response {
    let strict = |value: &HeaderValue| {
        value.to_str().is_ok_and(|value| value.split(',').any(|part| part.trim() == "no-store"))
    };
    if !response.headers().get_all(CACHE_CONTROL).iter().any(strict) {
        response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    if !response.headers().contains_key(VARY) {
        response.headers_mut().insert(VARY, HeaderValue::from_static(CREDENTIALS));
    }
    response
}
