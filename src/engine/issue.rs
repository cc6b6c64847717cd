//! Issues tokens.

use chrono::{DateTime, Utc};
use ipnet::IpNet;

use super::event::{Event, Subject};
use super::on_behalf::OnBehalf;
use super::settings::{
    OwnerError, ScopeWish, SettingsError, check_description, check_networks, check_parties,
    parse_name,
};
use super::{Engine, Hallpass};
use crate::clock::Timestamp;
use crate::policy::{Expiry, ExpiryError};
use crate::scope::{ParseResourceError, Resources, ScopeSet};
use crate::store::{Admission, Conflict, StoreError};
use crate::token::{
    EntropyError, IdempotencyKey, Kind, Metadata, Networks, Owner, ParseLabelError, PlainToken,
    Record, Tenant, Token, TokenDigest, TokenId, TokenText,
};

/// A token to be issued.
///
/// ```
/// use chrono::TimeDelta;
/// use hallpass::{Expiry, Issue};
///
/// let issue = Issue::new("nightly build")
///     .owner("u1")
///     .scopes(["repo:read"])
///     .expiry(Expiry::In(TimeDelta::days(90)));
/// ```
#[derive(Debug, Clone)]
pub struct Issue {
    name: String,
    tenant: Option<Tenant>,
    owner: Option<Result<Owner, ParseLabelError>>,
    kind: Kind,
    description: Option<String>,
    wish: ScopeWish,
    resources: Result<Resources, ParseResourceError>,
    networks: Option<Vec<IpNet>>,
    audience: Vec<String>,
    pub(super) expiry: Option<Expiry>,
    not_before: Option<DateTime<Utc>>,
    pub(super) client: Option<String>,
    metadata: Metadata,
    idempotency_key: Option<String>,
}

impl Issue {
    /// A personal access token with this name, for a caller that is an owner itself. Anybody else
    /// says for whom: [`owner`](Self::owner).
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            tenant: None,
            owner: None,
            kind: Kind::Personal,
            description: None,
            wish: ScopeWish::default(),
            resources: Ok(Resources::none()),
            networks: None,
            audience: Vec::new(),
            expiry: None,
            not_before: None,
            client: None,
            metadata: Metadata::default(),
            idempotency_key: None,
        }
    }

    /// Whose token it becomes.
    #[must_use]
    pub fn owner(mut self, owner: impl AsRef<str>) -> Self {
        self.owner = Some(Owner::parse(owner.as_ref()));
        self
    }

    /// The owner's organisation; the caller's own or the default one unless given.
    #[must_use]
    pub fn tenant(mut self, tenant: Tenant) -> Self {
        self.tenant = Some(tenant);
        self
    }

    /// Makes it an application token for this client, 1 to 256 printable ASCII characters.
    #[must_use]
    pub fn for_client(mut self, client: impl Into<String>) -> Self {
        self.kind = Kind::Application;
        self.client = Some(client.into());
        self
    }

    /// What the owner says of it; at most 1,000 characters.
    #[must_use]
    pub fn description(mut self, description: impl Into<String>) -> Self {
        self.description = Some(description.into());
        self
    }

    /// Asks for these scopes, beside those asked for already.
    #[must_use]
    pub fn scopes<T: Into<String>>(mut self, scopes: impl IntoIterator<Item = T>) -> Self {
        self.wish.scopes.extend(scopes.into_iter().map(Into::into));
        self
    }

    /// Asks for the scopes of a preset.
    #[must_use]
    pub fn preset(mut self, preset: impl Into<String>) -> Self {
        self.wish.presets.push(preset.into());
        self
    }

    /// Which named things it reaches; none unless given.
    #[must_use]
    pub fn resources(mut self, resources: Resources) -> Self {
        self.resources = Ok(resources);
        self
    }

    /// Names the things it reaches: exact names, or prefixes followed by `*`.
    #[must_use]
    pub fn on<T: AsRef<str>>(mut self, resources: impl IntoIterator<Item = T>) -> Self {
        self.resources = Resources::listed(resources);
        self
    }

    /// From which networks it may be used; from anywhere unless given.
    #[must_use]
    pub fn networks(mut self, networks: impl IntoIterator<Item = IpNet>) -> Self {
        self.networks = Some(networks.into_iter().collect());
        self
    }

    /// Whom it is for, if not this app; at most 8 of 1 to 256 printable ASCII characters.
    #[must_use]
    pub fn audience<T: Into<String>>(mut self, audience: impl IntoIterator<Item = T>) -> Self {
        self.audience = audience.into_iter().map(Into::into).collect();
        self
    }

    /// When it ends; after policy's default lifetime unless given.
    #[must_use]
    pub fn expiry(mut self, expiry: Expiry) -> Self {
        self.expiry = Some(expiry);
        self
    }

    /// From when it is usable; at once unless given.
    #[must_use]
    pub fn not_before(mut self, instant: DateTime<Utc>) -> Self {
        self.not_before = Some(instant);
        self
    }

    /// What the app keeps with it.
    #[must_use]
    pub fn metadata(mut self, metadata: Metadata) -> Self {
        self.metadata = metadata;
        self
    }

    /// A text of the caller's choice, 1 to 255 bytes, that makes repeating the request harmless:
    /// for as long as the token is kept, the same owner's same request with the same key gives
    /// [`IssueError::Replayed`] instead of a second token.
    #[must_use]
    pub fn idempotency_key(mut self, key: impl Into<String>) -> Self {
        self.idempotency_key = Some(key.into());
        self
    }
}

/// A token just issued or rotated: the one time its secret text exists.
#[derive(Debug)]
#[non_exhaustive]
pub struct Issued {
    /// The secret text, to be shown once.
    pub plain: PlainToken,
    /// The token.
    pub token: Token,
}

/// What [`issue_if_absent`](Hallpass::issue_if_absent) gives.
#[derive(Debug)]
pub enum Ensured {
    /// There was none; it was issued.
    Issued(Box<Issued>),
    /// The owner has a live token of this name. Its secret is not known any more.
    Existing(Box<Token>),
}

/// Why a token was not issued.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IssueError {
    /// Nobody was named for whom to issue, and the caller is no owner.
    #[error("say for whom to issue: call `.owner(...)`")]
    OwnerMissing,
    /// The owner's id is not one.
    #[error(transparent)]
    OwnerLabel(#[from] ParseLabelError),
    /// No client was named to refresh the token.
    #[error("say for which client to issue: call `.for_client(...)`")]
    ClientMissing,
    /// The caller may not act for this owner.
    #[error("not found")]
    NotFound,
    /// The caller must confirm its presence first.
    #[error("confirm your identity first")]
    Unconfirmed,
    /// A setting is not allowed.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The owner cannot be given this.
    #[error(transparent)]
    Owner(#[from] OwnerError),
    /// The lifetime is not allowed.
    #[error(transparent)]
    Expiry(#[from] ExpiryError),
    /// It would end before it starts, or start outside the years 1970 to 9999.
    #[error("the token must start before it ends")]
    Window,
    /// A live token of the owner has this name.
    #[error("the owner has a live token of this name")]
    NameTaken {
        /// The token that has it.
        by: TokenId,
    },
    /// The owner holds as many live tokens as policy allows.
    #[error("the owner holds {limit} live tokens, the most allowed; revoke one first")]
    QuotaFull {
        /// The most live tokens allowed.
        limit: u32,
    },
    /// The same request with the same idempotency key issued this token. Its secret was shown
    /// then.
    #[error("the request was made before and gave token {}", .0.id)]
    Replayed(Box<Token>),
    /// The idempotency key is not 1 to 255 bytes, or was used for another request.
    #[error("the idempotency key is malformed or was used for another request")]
    IdempotencyKey,
    /// The random source failed; nothing was issued.
    #[error(transparent)]
    Entropy(#[from] EntropyError),
    /// The store failed. Whether the token was issued is unknown; nobody has its secret.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl IssueError {
    fn of(conflict: StoreError) -> Self {
        match conflict {
            StoreError::Conflict(Conflict::NameTaken { by }) => Self::NameTaken { by },
            StoreError::Conflict(Conflict::QuotaFull { limit }) => Self::QuotaFull { limit },
            other => Self::Store(other),
        }
    }
}

impl Hallpass {
    /// Issues a token as the app itself.
    ///
    /// # Errors
    /// [`IssueError`] tells what is not allowed or failed; nothing was issued then, unless it is
    /// a store's outage.
    pub async fn issue(&self, issue: Issue) -> Result<Issued, IssueError> {
        Ok(self.as_system().make(issue).await?.into())
    }

    /// Issues a token as the app itself, unless its owner has a live one of the name.
    ///
    /// # Errors
    /// As [`issue`](Self::issue), except for [`IssueError::NameTaken`].
    pub async fn issue_if_absent(&self, issue: Issue) -> Result<Ensured, IssueError> {
        self.as_system().issue_if_absent(issue).await
    }
}

impl OnBehalf<'_> {
    /// Issues a token.
    ///
    /// # Errors
    /// [`IssueError`] tells what is not allowed or failed; nothing was issued then, unless it is
    /// a store's outage.
    pub async fn issue(&self, issue: Issue) -> Result<Issued, IssueError> {
        Ok(self.make(issue).await?.into())
    }

    /// Issues a token, unless its owner has a live one of the name.
    ///
    /// # Errors
    /// As [`issue`](Self::issue), except for [`IssueError::NameTaken`].
    pub async fn issue_if_absent(&self, issue: Issue) -> Result<Ensured, IssueError> {
        let now = self.engine.clock.now();
        let draft = self.draft(issue, Operation::Issue, now).await?;
        match self.engine.store_new(draft, true, now).await {
            Ok(made) => {
                self.tell_issued(&made.record.token, now);
                Ok(Ensured::Issued(Box::new(made.into())))
            }
            Err(IssueError::NameTaken { by }) => match self.engine.store.find(&by).await? {
                Some(record) => Ok(Ensured::Existing(Box::new(record.token))),
                None => Err(IssueError::NameTaken { by }),
            },
            Err(other) => Err(other),
        }
    }

    async fn make(&self, issue: Issue) -> Result<Made, IssueError> {
        let now = self.engine.clock.now();
        let draft = self.draft(issue, Operation::Issue, now).await?;
        let unique_name = self.engine.policy.unique_names;
        let made = self.engine.store_new(draft, unique_name, now).await?;
        self.tell_issued(&made.record.token, now);
        Ok(made)
    }

    fn tell_issued(&self, token: &Token, now: Timestamp) {
        let event =
            Event::Issued { token: Subject::from(token), by: self.caller.actor(), parent: None };
        self.engine.events.emit(now, &event);
    }

    /// Checks a request and makes of it all of a token but its id.
    pub(super) async fn draft(
        &self,
        issue: Issue,
        operation: Operation,
        now: Timestamp,
    ) -> Result<Draft, IssueError> {
        let (draft, set) = self.check_request(issue, operation, now)?;
        let token = &draft.record.token;
        let facts = self.engine.admitted_owner(&token.tenant, &token.owner).await?;
        self.engine.check_rights(&facts, &set)?;
        Ok(draft)
    }

    /// Checks what a request says by itself, and tells which scopes it amounts to.
    fn check_request(
        &self,
        issue: Issue,
        operation: Operation,
        now: Timestamp,
    ) -> Result<(Draft, ScopeSet), IssueError> {
        let request = issue.idempotency_key.is_some().then(|| format!("{operation:?} {issue:?}"));
        let (tenant, owner) = self.owner_of(&issue)?;
        self.confirm(now).map_err(|_| IssueError::Unconfirmed)?;
        let name = parse_name(issue.name)?;
        if let Some(description) = &issue.description {
            check_description(description)?;
        }
        check_parties(issue.audience.iter().map(String::as_str))?;
        check_parties(issue.client.as_deref())?;
        let networks = match issue.networks {
            None => Networks::Anywhere,
            Some(networks) => check_networks(networks)?,
        };
        let resources = issue.resources.map_err(SettingsError::from)?;
        let (scopes, set) = self.engine.resolve_wish(&issue.wish, issue.kind)?;
        let expires_at = self.engine.policy.expiry(issue.expiry, now)?;
        let not_before = match issue.not_before {
            None => None,
            Some(start) => Some(Timestamp::try_from(start).map_err(|_| IssueError::Window)?),
        };
        if let (Some(start), Some(end)) = (not_before, expires_at)
            && start >= end
        {
            return Err(IssueError::Window);
        }
        let idempotency = match (&issue.idempotency_key, &request) {
            (Some(key), Some(request)) => Some(idempotency_key((&tenant, &owner), key, request)?),
            _ => None,
        };
        let nobody = TokenId::from_bytes([b'0'; TokenId::LEN]).ok_or(EntropyError)?;
        let token = Token::new(nobody, issue.kind, owner, name, scopes, now);
        let mut draft = Draft::new(token, idempotency, self.engine.policy.quota);
        let token = &mut draft.record.token;
        token.tenant = tenant;
        token.description = issue.description;
        token.resources = resources;
        token.networks = networks;
        token.audience = issue.audience;
        token.created_by = self.caller.actor();
        token.not_before = not_before;
        token.expires_at = expires_at;
        token.client = issue.client;
        token.metadata = issue.metadata;
        Ok((draft, set))
    }

    /// For whom to issue.
    fn owner_of(&self, issue: &Issue) -> Result<(Tenant, Owner), IssueError> {
        let bound = self.caller.bound_owner();
        let owner = match (&issue.owner, bound) {
            (Some(owner), _) => owner.clone()?,
            (None, Some((_, own))) => own.clone(),
            (None, None) => return Err(IssueError::OwnerMissing),
        };
        let tenant = issue.tenant.clone();
        let tenant = tenant.or_else(|| self.caller.bound_tenant().cloned()).unwrap_or_default();
        if self.caller.reaches(&tenant, &owner) {
            Ok((tenant, owner))
        } else {
            Err(IssueError::NotFound)
        }
    }
}

/// What a request is for: one operation's key is no answer to another's.
#[derive(Debug, Clone, Copy)]
pub(super) enum Operation {
    Issue,
    /// An application token with a refresh token.
    Grant,
}

/// All of a token but its id and secret. A record is large, so it stays in one place from here on.
pub(super) struct Draft {
    pub(super) record: Box<Record>,
    pub(super) quota: Option<u32>,
}

impl Draft {
    #[inline]
    pub(super) fn new(
        token: Token,
        idempotency: Option<IdempotencyKey>,
        quota: Option<u32>,
    ) -> Self {
        let mut record = Box::new(Record::new(token, TokenDigest::blank()));
        record.idempotency = idempotency;
        Self { record, quota }
    }
}

/// What becomes an [`Issued`] where it is handed out.
pub(super) struct Made {
    pub(super) plain: PlainToken,
    pub(super) record: Box<Record>,
}

impl From<Made> for Issued {
    fn from(made: Made) -> Self {
        Self { plain: made.plain, token: made.record.token }
    }
}

impl Engine {
    /// Gives a draft an id and a secret, and stores it.
    pub(super) async fn store_new(
        &self,
        draft: Draft,
        unique_name: bool,
        now: Timestamp,
    ) -> Result<Made, IssueError> {
        let named = |record: &mut Record| {
            let (plain, id) =
                PlainToken::generate(self.brands.current(), record.token.kind, &*self.entropy)?;
            record.token.id = id;
            record.digest = self.digest_of(&plain)?;
            Ok(plain)
        };
        let (plain, record) = self.store_named(draft, unique_name, now, named).await?;
        Ok(Made { plain, record })
    }

    /// Gives a draft an id that will be signed, and stores it. It has no secret.
    #[cfg(feature = "jwt")]
    pub(super) async fn store_signed(
        &self,
        draft: Draft,
        now: Timestamp,
    ) -> Result<Box<Record>, IssueError> {
        let named = |record: &mut Record| {
            record.token.id = TokenId::generate(&*self.entropy)?;
            record.digest = self.peppers.digest_of_none(&*self.entropy)?;
            Ok(())
        };
        let ((), record) = self.store_named(draft, false, now, named).await?;
        Ok(record)
    }

    /// Stores a draft under an id of its own.
    async fn store_named<T>(
        &self,
        draft: Draft,
        unique_name: bool,
        now: Timestamp,
        named: impl Fn(&mut Record) -> Result<T, EntropyError>,
    ) -> Result<(T, Box<Record>), IssueError> {
        /// An id that is taken already is as good as impossible; two in a row are a broken
        /// generator.
        const ATTEMPTS: u32 = 2;
        let Draft { mut record, quota } = draft;
        let admission = Admission { now, quota, unique_name };
        for attempt in 1.. {
            let given = named(&mut record)?;
            match self.store.insert(&record, &admission).await {
                Ok(()) => return Ok((given, record)),
                Err(StoreError::Conflict(Conflict::IdTaken)) if attempt < ATTEMPTS => {}
                Err(StoreError::Conflict(Conflict::Replayed { id })) => {
                    return Err(self.replayed(&id, record.idempotency).await);
                }
                Err(other) => return Err(IssueError::of(other)),
            }
        }
        Err(EntropyError.into())
    }

    /// The digest of a text made here.
    pub(super) fn digest_of(&self, plain: &PlainToken) -> Result<TokenDigest, EntropyError> {
        // A text that was just generated parses; if it does not, its source is broken.
        let text = TokenText::parse(plain.expose(), &self.brands).map_err(|_| EntropyError)?;
        Ok(self.peppers.digest(&text))
    }

    async fn replayed(&self, id: &TokenId, asked: Option<IdempotencyKey>) -> IssueError {
        match self.store.find(id).await {
            Ok(Some(record)) if record.idempotency == asked => {
                IssueError::Replayed(Box::new(record.token))
            }
            Ok(_) => IssueError::IdempotencyKey,
            Err(error) => error.into(),
        }
    }
}

pub(super) fn idempotency_key(
    (tenant, owner): (&Tenant, &Owner),
    key: &str,
    request: &str,
) -> Result<IdempotencyKey, IssueError> {
    if key.is_empty() || key.len() > 255 {
        return Err(IssueError::IdempotencyKey);
    }
    let digest = |context: &str, parts: &[&str]| {
        let mut hasher = blake3::Hasher::new_derive_key(context);
        for part in parts {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part.as_bytes());
        }
        let mut digest = [0; 16];
        hasher.finalize_xof().fill(&mut digest);
        digest
    };
    Ok(IdempotencyKey {
        key: digest(
            "hallpass 2026-11-22 idempotency key v1",
            &[tenant.as_str(), owner.as_str(), key],
        ),
        request: digest("hallpass 2026-11-22 idempotent request v1", &[request]),
    })
}
