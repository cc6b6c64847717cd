//! What the tests of the HTTP boundary share.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use hallpass::credential::Problem;
use hallpass::store::{Admission, Change, Filter, PageRequest, Purge, Use};
use hallpass::{
    Boundary, Event, EventSink, Hallpass, HallpassBuilder, Issue, Issued, ManualClock, MemoryStore,
    Owner, OwnerDirectory, OwnerDirectoryError, OwnerFacts, Record, Requirement, Revocation,
    Rights, ScopeCatalog, ScopeDefinition, Sources, StoreError, Tenant, Timestamp, TokenId,
    TokenStore, Verified,
};
use http::request::{Builder, Parts};
use http::{Request, Response};

pub(crate) const V2: &str =
    "acme_pat_ABCDEFGHIJKLMNOP_0123456789abcdefghijklmnopqrstuvwxyzABCDEFG4RAzs0";
pub(crate) const V3: &str =
    "acme_at_ABCDEFGHIJKLMNOP_0123456789abcdefghijklmnopqrstuvwxyzABCDEFG4gHy2a";
pub(crate) const V4: &str =
    "acme_pat_000000000000004H_bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb00pS2y";

/// The constant answer to every bad token.
pub(crate) const H5: &str = "401
cache-control: no-store
content-type: application/problem+json
vary: Authorization
www-authenticate: Bearer realm=\"acme\", error=\"invalid_token\", \
error_description=\"The access token is invalid\"

{\"type\":\"urn:hallpass:problem:invalid-token\",\"title\":\"Invalid token\",\"status\":401,\
\"detail\":\"The access token is invalid\"}";

/// An engine with a boundary, and all that it stands on.
pub(crate) struct World {
    pub(crate) hallpass: Hallpass,
    pub(crate) boundary: Boundary,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) store: Arc<Spy>,
    pub(crate) owners: Arc<Directory>,
    pub(crate) events: Arc<Recorder>,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(Sources::bearer())
    }

    pub(crate) fn with(sources: Sources) -> Self {
        Self::built(sources, |builder| builder)
    }

    pub(crate) fn built(
        sources: Sources,
        configure: impl FnOnce(HallpassBuilder) -> HallpassBuilder,
    ) -> Self {
        let clock = Arc::new(ManualClock::at("2026-11-22T09:00:00Z".parse().unwrap()));
        let store = Arc::new(Spy::default());
        let owners = Arc::new(Directory::default());
        let events = Arc::new(Recorder::default());
        let builder = Hallpass::builder(Arc::clone(&store))
            .brand("acme")
            .catalog(catalog())
            .owners(Arc::clone(&owners))
            .events(Arc::clone(&events))
            .clock(Arc::clone(&clock));
        let hallpass = configure(builder).build().unwrap();
        let boundary =
            Boundary::builder(hallpass.clone()).realm("acme").sources(sources).build().unwrap();
        Self { hallpass, boundary, clock, store, owners, events }
    }

    /// A token of u1 with `repo:read`: the corpus calls it OK.
    pub(crate) async fn ok(&self) -> String {
        self.issue(&["repo:read"]).await.plain.expose().to_owned()
    }

    pub(crate) async fn issue(&self, scopes: &[&str]) -> Issued {
        self.issue_as(|issue| issue, scopes).await
    }

    pub(crate) async fn issue_as(
        &self,
        configure: impl FnOnce(Issue) -> Issue,
        scopes: &[&str],
    ) -> Issued {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("token {}", COUNT.fetch_add(1, Ordering::Relaxed));
        let issue = Issue::new(name).owner("u1").scopes(scopes.iter().copied());
        self.hallpass.issue(configure(issue)).await.unwrap()
    }

    /// Sends a request to a route that needs `repo:read`.
    pub(crate) async fn send(&self, request: Builder) -> Answer {
        self.ask(request, Some(Requirement::scope("repo:read"))).await
    }

    pub(crate) async fn ask(&self, request: Builder, requirement: Option<Requirement>) -> Answer {
        let (mut head, ()) = request.body(()).unwrap().into_parts();
        self.admit(&mut head, requirement).await
    }

    pub(crate) async fn admit(&self, head: &mut Parts, requirement: Option<Requirement>) -> Answer {
        let requirement = requirement.map(|asked| self.boundary.compile(asked).unwrap());
        let peer: IpAddr = "192.0.2.7".parse().unwrap();
        match self.boundary.admit(head, requirement.as_ref(), Some(peer)).await {
            Ok(admitted) => {
                let (verified, duties) = admitted.into_parts();
                let mut response = Response::new(Bytes::new());
                duties.apply(response.headers_mut());
                Answer { text: written(&response), status: 200, verified: Some(verified) }
            }
            Err(rejection) => {
                assert!(!format!("{rejection:?}").contains("_pat_"));
                Answer::from(rejection.into_response())
            }
        }
    }

    /// The answer to this text as a bearer token.
    pub(crate) async fn bearer(&self, text: impl AsRef<[u8]>) -> Answer {
        self.send(get().header("authorization", [b"Bearer ", text.as_ref()].concat())).await
    }

    /// The status for this value of `Authorization`.
    pub(crate) async fn authorization(&self, value: impl AsRef<[u8]>) -> u16 {
        self.send(get().header("authorization", value.as_ref())).await.status
    }

    pub(crate) async fn basic(&self, pair: impl AsRef<[u8]>) -> Answer {
        self.send(get().header("authorization", basic(pair))).await
    }
}

pub(crate) fn get() -> Builder {
    Request::get("/repos")
}

pub(crate) fn basic(pair: impl AsRef<[u8]>) -> String {
    format!("Basic {}", STANDARD.encode(pair))
}

/// A token text with the right checksum.
pub(crate) fn text_of(body: &str) -> String {
    const BASE62: &[u8] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut rest = crc32fast::hash(body.as_bytes());
    let mut digits = Vec::new();
    for _ in 0..6 {
        digits.insert(0, BASE62[(rest % 62) as usize]);
        rest /= 62;
    }
    format!("{body}{}", String::from_utf8(digits).unwrap())
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Status, header lines sorted by name, body.
    pub(crate) text: String,
    pub(crate) verified: Option<Verified>,
}

impl Answer {
    pub(crate) fn owner(&self) -> &str {
        self.verified.as_ref().unwrap().owner().as_str()
    }

    /// Asserts that this is the constant answer to a bad token.
    #[track_caller]
    pub(crate) fn is_h5(&self) {
        assert_eq!(self.text, H5);
    }
}

impl From<Response<Bytes>> for Answer {
    fn from(response: Response<Bytes>) -> Self {
        let problem = response.extensions().get::<Problem>();
        assert_eq!(problem.map(|problem| problem.status()), Some(response.status()));
        Self {
            status: response.status().as_u16(),
            text: written(&response),
            verified: response.extensions().get::<Verified>().cloned(),
        }
    }
}

pub(crate) fn written(response: &Response<Bytes>) -> String {
    let mut lines: Vec<String> = response
        .headers()
        .iter()
        .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
        .collect();
    lines.sort_by_key(|line| line.split(':').next().unwrap().to_owned());
    let body = std::str::from_utf8(response.body()).unwrap();
    format!("{}\n{}\n\n{body}", response.status().as_u16(), lines.join("\n"))
}

pub(crate) fn catalog() -> ScopeCatalog {
    ScopeCatalog::builder()
        .scope(ScopeDefinition::new("repo:read"))
        .scope(ScopeDefinition::new("repo:write").implies(["repo:read"]))
        .scope(ScopeDefinition::new("org:read"))
        .scope(ScopeDefinition::new("repo"))
        .scope(ScopeDefinition::new("repo:readonly"))
        .build()
        .unwrap()
}

/// A store that counts look-ups and can be out of order. Nothing in it is resident.
#[derive(Debug, Default)]
pub(crate) struct Spy {
    pub(crate) inner: MemoryStore,
    pub(crate) finds: AtomicUsize,
    pub(crate) broken: AtomicBool,
}

impl Spy {
    /// How many look-ups there were since the last time.
    pub(crate) fn taken_finds(&self) -> usize {
        self.finds.swap(0, Ordering::Relaxed)
    }
}

#[async_trait]
impl TokenStore for Spy {
    async fn insert(&self, record: &Record, admission: &Admission) -> Result<(), StoreError> {
        self.inner.insert(record, admission).await
    }

    async fn find(&self, id: &TokenId) -> Result<Option<Record>, StoreError> {
        self.finds.fetch_add(1, Ordering::Relaxed);
        if self.broken.load(Ordering::Relaxed) {
            return Err(StoreError::unavailable("unplugged"));
        }
        self.inner.find(id).await
    }

    async fn list(
        &self,
        filter: &Filter,
        page: &PageRequest,
        now: Timestamp,
    ) -> Result<Vec<Record>, StoreError> {
        self.inner.list(filter, page, now).await
    }

    async fn update(
        &self,
        id: &TokenId,
        expected_version: u64,
        change: &Change,
        now: Timestamp,
    ) -> Result<Option<Record>, StoreError> {
        self.inner.update(id, expected_version, change, now).await
    }

    async fn revoke(&self, filter: &Filter, mark: &Revocation) -> Result<Vec<TokenId>, StoreError> {
        self.inner.revoke(filter, mark).await
    }

    async fn touch(&self, uses: &[Use]) -> Result<(), StoreError> {
        self.inner.touch(uses).await
    }

    async fn purge(&self, purge: &Purge) -> Result<u64, StoreError> {
        self.inner.purge(purge).await
    }
}

/// Every owner has these facts.
#[derive(Debug)]
pub(crate) struct Directory(pub(crate) Mutex<Option<Option<OwnerFacts>>>);

impl Default for Directory {
    fn default() -> Self {
        Self(Mutex::new(Some(Some(OwnerFacts::active(Rights::All)))))
    }
}

impl Directory {
    /// What is known from now on; `None` for an outage.
    pub(crate) fn set(&self, facts: Option<Option<OwnerFacts>>) {
        *self.0.lock().unwrap() = facts;
    }
}

#[async_trait]
impl OwnerDirectory for Directory {
    async fn find(&self, _: &Tenant, _: &Owner) -> Result<Option<OwnerFacts>, OwnerDirectoryError> {
        let known = *self.0.lock().unwrap();
        known.ok_or_else(|| OwnerDirectoryError("unplugged".into()))
    }
}

#[derive(Debug, Default)]
pub(crate) struct Recorder(Mutex<Vec<Event>>);

impl Recorder {
    pub(crate) fn taken(&self) -> Vec<Event> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

impl EventSink for Recorder {
    fn emit(&self, _: Timestamp, event: &Event) {
        self.0.lock().unwrap().push(event.clone());
    }
}
