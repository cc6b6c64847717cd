//! The engine: policy, catalog, store and clock behind the verbs.
//!
//! [`Hallpass`] performs every operation as the app itself; [`Hallpass::on_behalf_of`] binds them
//! to a [`Caller`](crate::Caller).

mod builder;
mod callback;
mod denial;
mod duplicate;
mod event;
mod exchange;
mod idle;
mod introspect;
mod issue;
mod judge;
mod list;
mod maintain;
mod notice;
mod offer;
mod on_behalf;
mod owner_event;
mod peppers;
mod refresh;
mod revoke;
mod rotate;
mod settings;
#[cfg(feature = "tracing")]
mod trace;
mod update;
mod usage;
mod verified;
mod verify;
#[cfg(feature = "jwt")]
mod vouched;
mod whose;

use std::fmt;
use std::sync::Arc;

use zeroize::Zeroizing;

use self::event::Events;
use self::notice::LastRound;
use self::usage::Uses;
use crate::clock::{Clock, Timestamp};
use crate::owner::OwnerDirectory;
use crate::policy::Policy;
use crate::scope::ScopeCatalog;
use crate::store::TokenStore;
use crate::token::{Brand, Brands, Entropy, PepperRing, TokenText};

pub use builder::{BuildError, HallpassBuilder};
pub use denial::{Denial, DenialReason, Forbidden, Outage, VerifyError};
pub use event::{Event, EventSink, NoEvents, Subject, Update};
pub use exchange::{Exchange, ExchangeError};
pub use introspect::Introspection;
pub use issue::{Ensured, Issue, IssueError, Issued};
pub use list::{ListError, ListRequest, Page};
pub use maintain::Maintenance;
pub use on_behalf::OnBehalf;
pub use owner_event::OwnerChange;
pub use peppers::PepperUse;
pub use refresh::{Granted, Refresh, RefreshError};
pub use revoke::RevokeError;
pub use rotate::{Rotate, RotateError};
pub use settings::{OwnerError, SettingsError};
#[cfg(feature = "tracing")]
pub use trace::TracingSink;
pub use update::{Edit, UpdateError};
pub use verified::{Context, Verified};
pub use whose::SecretMatch;

/// The engine. Cheap to clone; clones are the same engine.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use hallpass::{Context, Hallpass, Issue, MemoryStore, ScopeCatalog};
///
/// let hallpass = Hallpass::builder(MemoryStore::new())
///     .brand("acme")
///     .catalog(ScopeCatalog::of(["repo:read", "repo:write"])?)
///     .build()?;
/// let issued = hallpass.issue(Issue::new("ci").owner("u1").scopes(["repo:read"])).await?;
///
/// let verified = hallpass.verify(issued.plain.expose(), &Context::default()).await?;
/// assert_eq!(verified.owner().as_str(), "u1");
/// assert!(verified.require("repo:read").is_ok());
/// assert!(verified.require("repo:write").is_err());
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Hallpass(Arc<Engine>);

pub(crate) struct Engine {
    store: Arc<dyn TokenStore>,
    brands: Brands,
    catalog: ScopeCatalog,
    policy: Policy,
    owners: Option<Box<dyn OwnerDirectory>>,
    peppers: PepperRing,
    events: Events,
    clock: Box<dyn Clock>,
    entropy: Box<dyn Entropy>,
    uses: Uses,
    noticed: LastRound,
    idle_checked: LastRound,
    cursor_key: Zeroizing<[u8; 32]>,
}

impl Hallpass {
    /// Starts putting an engine together on this store.
    #[must_use]
    pub fn builder(store: impl TokenStore) -> HallpassBuilder {
        HallpassBuilder::new(Arc::new(store))
    }

    /// The brand of new tokens.
    #[must_use]
    pub fn brand(&self) -> &Brand {
        self.0.brands.current()
    }

    /// Whether a text has the grammar, a brand and the checksum of this app's tokens. It tells a
    /// token from a password; whether the token is any good, only [`verify`](Self::verify) tells.
    #[must_use]
    pub fn recognises(&self, text: &str) -> bool {
        TokenText::parse(text, &self.0.brands).is_ok()
    }

    /// The scopes of the app.
    #[must_use]
    pub fn catalog(&self) -> &ScopeCatalog {
        &self.0.catalog
    }

    /// What the app allows.
    #[must_use]
    pub fn policy(&self) -> &Policy {
        &self.0.policy
    }

    /// The engine's current instant.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    /// Tells the event sink that a verified token was not enough for what a route asked.
    pub fn report_forbidden(&self, verified: &Verified, required: impl Into<String>) {
        let event = Event::Forbidden { token: Subject::from(verified), required: required.into() };
        self.0.events.emit(self.now(), &event);
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hallpass")
            .field("brands", &self.brands)
            .field("catalog", &self.catalog)
            .field("policy", &self.policy)
            .field("store", &self.store)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Hallpass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
