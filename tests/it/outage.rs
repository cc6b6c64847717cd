//! A confirmation service that is out of order, for whatever asks it.

use async_trait::async_trait;
use hallpass::Timestamp;
use hallpass::host::{Confirmation, HostOutage, SignedIn};
use http::request::Parts;

/// Confirmations that nobody can tell of.
#[derive(Debug)]
pub(crate) struct Out;

#[async_trait]
impl Confirmation for Out {
    async fn confirmed_at(&self, _: &Parts, _: &SignedIn) -> Result<Option<Timestamp>, HostOutage> {
        Err(HostOutage::new("no connection"))
    }

    async fn confirm(
        &self,
        _: &Parts,
        _: &SignedIn,
        _: &str,
        _: Timestamp,
    ) -> Result<bool, HostOutage> {
        Err(HostOutage::new("no connection"))
    }
}
