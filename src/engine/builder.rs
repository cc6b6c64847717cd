//! Puts an engine together.

use std::fmt;
use std::sync::Arc;

use zeroize::Zeroizing;

use super::event::{EventSink, Events};
use super::notice::LastRound;
use super::usage::Uses;
use super::{Engine, Hallpass};
use crate::clock::{Clock, SystemClock};
use crate::owner::OwnerDirectory;
use crate::policy::{Policy, PolicyError};
use crate::scope::ScopeCatalog;
use crate::store::TokenStore;
use crate::token::{Brand, Brands, Entropy, EntropyError, OsEntropy, ParseBrandError, PepperRing};

/// Collects what an engine is made of; see [`Hallpass::builder`].
#[derive(Debug)]
pub struct HallpassBuilder {
    store: Arc<dyn TokenStore>,
    brand: Option<String>,
    retired: Vec<String>,
    catalog: Option<ScopeCatalog>,
    policy: Policy,
    owners: Option<Box<dyn OwnerDirectory>>,
    peppers: PepperRing,
    events: Option<Box<dyn EventSink>>,
    clock: Box<dyn Clock>,
    entropy: Box<dyn Entropy>,
    cursor_key: Option<CursorKey>,
}

impl HallpassBuilder {
    pub(super) fn new(store: Arc<dyn TokenStore>) -> Self {
        Self {
            store,
            brand: None,
            retired: Vec::new(),
            catalog: None,
            policy: Policy::default(),
            owners: None,
            peppers: PepperRing::none(),
            events: None,
            clock: Box::new(SystemClock),
            entropy: Box::new(OsEntropy),
            cursor_key: None,
        }
    }

    /// The brand of new tokens: 2 to 16 of `a-z0-9`, starting with a letter. Must be given.
    #[must_use]
    pub fn brand(mut self, brand: impl Into<String>) -> Self {
        self.brand = Some(brand.into());
        self
    }

    /// A brand whose tokens go on being accepted.
    #[must_use]
    pub fn retired_brand(mut self, brand: impl Into<String>) -> Self {
        self.retired.push(brand.into());
        self
    }

    /// The scopes of the app. Must be given.
    #[must_use]
    pub fn catalog(mut self, catalog: ScopeCatalog) -> Self {
        self.catalog = Some(catalog);
        self
    }

    /// What the app allows; [`Policy::default`] unless given.
    #[must_use]
    pub fn policy(mut self, policy: Policy) -> Self {
        self.policy = policy;
        self
    }

    /// Where owners are looked up. Unless given, every owner is taken for an active local account
    /// with all rights, as by [`EveryOwner`](crate::EveryOwner).
    #[must_use]
    pub fn owners(mut self, owners: impl OwnerDirectory) -> Self {
        self.owners = Some(Box::new(owners));
        self
    }

    /// The peppers of digests; none unless given.
    #[must_use]
    pub fn peppers(mut self, peppers: PepperRing) -> Self {
        self.peppers = peppers;
        self
    }

    /// Where events go; nowhere unless given, and then [expiry notices](Policy::expiry_notices) are
    /// left to other nodes.
    #[must_use]
    pub fn events(mut self, events: impl EventSink) -> Self {
        self.events = Some(Box::new(events));
        self
    }

    /// The clock; the operating system's unless given.
    #[must_use]
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Box::new(clock);
        self
    }

    /// The key that authenticates list cursors. Give the same one to every node and keep it over
    /// restarts; without one, cursors are good on this engine only.
    #[must_use]
    pub fn cursor_key(mut self, key: [u8; 32]) -> Self {
        self.cursor_key = Some(CursorKey(Zeroizing::new(key)));
        self
    }

    /// Another source of random bytes, for tests. Tokens made from anything but a good generator
    /// can be guessed.
    #[must_use]
    pub fn danger_entropy(mut self, entropy: impl Entropy) -> Self {
        self.entropy = Box::new(entropy);
        self
    }

    /// Checks everything and starts the engine.
    ///
    /// # Errors
    /// [`BuildError`] names what is missing or contradicts itself.
    pub fn build(self) -> Result<Hallpass, BuildError> {
        let brand: Brand = self.brand.ok_or(BuildError::BrandMissing)?.parse()?;
        let mut brands = Brands::new(brand);
        for retired in self.retired {
            brands = brands.with_retired(retired.parse()?);
        }
        let catalog = self.catalog.ok_or(BuildError::CatalogMissing)?;
        self.policy.check()?;
        if !self.peppers.accepts_its_own() {
            return Err(BuildError::PepperMissing);
        }
        let cursor_key = match self.cursor_key {
            Some(CursorKey(key)) => key,
            None => {
                let mut key = Zeroizing::new([0; 32]);
                self.entropy.fill(&mut *key)?;
                key
            }
        };
        self.store.attach(&catalog);
        Ok(Hallpass(Arc::new(Engine {
            uses: Uses::new(self.policy.last_use_interval),
            noticed: LastRound::default(),
            idle_checked: LastRound::default(),
            events: Events::new(self.events),
            store: self.store,
            brands,
            catalog,
            policy: self.policy,
            owners: self.owners,
            peppers: self.peppers,
            clock: self.clock,
            entropy: self.entropy,
            cursor_key,
        })))
    }
}

struct CursorKey(Zeroizing<[u8; 32]>);

impl fmt::Debug for CursorKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CursorKey(redacted)")
    }
}

/// Why an engine cannot be built.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// No brand was given.
    #[error("no brand: call `.brand(\"acme\")`")]
    BrandMissing,
    /// A brand is malformed.
    #[error(transparent)]
    Brand(#[from] ParseBrandError),
    /// No catalog was given.
    #[error("no scopes: call `.catalog(...)`")]
    CatalogMissing,
    /// Peppers are required and none is current, so no token issued here would ever be accepted.
    #[error("peppers are required and none is current: call `.with_current(...)`")]
    PepperMissing,
    /// The policy contradicts itself.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// The random source failed.
    #[error(transparent)]
    Entropy(#[from] EntropyError),
}
