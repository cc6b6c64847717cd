//! Which peppers are still needed.

use std::collections::BTreeMap;

use super::Hallpass;
use crate::store::{Filter, PageRequest, Position, Reach, SortKey, StoreError};
use crate::token::{PepperId, Record, Status};

/// Records read in one step of the store.
const PAGE: u32 = 500;

/// How much a pepper is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct PepperUse {
    /// The pepper; none stands for digests made without one.
    pub pepper: Option<PepperId>,
    /// How many live tokens have a secret that can only be checked with it. A token in the overlap
    /// of a rotation has two secrets, maybe under two peppers.
    pub tokens: u64,
    /// Whether this engine accepts such digests. Where it does not, verifying these tokens is an
    /// outage, or with [`PepperRing::require`](crate::PepperRing::require) a denial.
    pub accepted: bool,
}

impl Hallpass {
    /// Which peppers the digests of live tokens need, by number: before a retired one is removed
    /// from the ring, to see that no token needs it any more, and at start, to see that none is
    /// missing. It reads every live token.
    ///
    /// A token is digested anew under the current pepper when it is used; those that nobody uses
    /// keep the old one until they end.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let hallpass = hallpass::Hallpass::builder(hallpass::MemoryStore::new())
    /// #     .brand("acme").catalog(hallpass::ScopeCatalog::default()).build()?;
    /// for need in hallpass.peppers_in_use().await? {
    ///     assert!(need.accepted, "{} tokens need pepper {:?}", need.tokens, need.pepper);
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`StoreError`] if the store cannot be read whole.
    pub async fn peppers_in_use(&self) -> Result<Vec<PepperUse>, StoreError> {
        let now = self.now();
        let mut live = Filter::new(Reach::All);
        live.statuses = Some(vec![Status::Active, Status::NotYetValid, Status::Suspended]);
        let sort = SortKey::CreatedAt;
        let mut page = PageRequest { sort, descending: false, after: None, limit: PAGE };
        let mut needed = BTreeMap::<Option<PepperId>, u64>::new();
        loop {
            let records = self.0.store.list(&live, &page, now).await?;
            let Some(last) = records.last() else {
                break;
            };
            page.after = Some(Position { value: sort.value_of(last), id: last.token.id });
            for record in &records {
                let overlaps =
                    record.token.rotation.is_some_and(|rotation| now < rotation.grace_until);
                let Record { digest, superseded, .. } = record;
                let older = superseded.as_ref().filter(|_| overlaps);
                let older = older.filter(|older| older.pepper() != digest.pepper());
                for digest in [Some(digest), older].into_iter().flatten() {
                    if digest.is_usable() {
                        *needed.entry(digest.pepper()).or_default() += 1;
                    }
                }
            }
        }
        let peppers = &self.0.peppers;
        let uses = needed.into_iter().map(|(pepper, tokens)| PepperUse {
            pepper,
            tokens,
            accepted: peppers.accepts(pepper),
        });
        Ok(uses.collect())
    }
}
