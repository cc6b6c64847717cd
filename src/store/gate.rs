//! How many steps a store lets in.
//!
//! A server that is slow makes steps wait, and those that come after them. Each that waits holds
//! memory and somebody's request; past some number it is better for all to be told at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::error::StoreError;

/// Counts the steps that are under way.
#[derive(Debug)]
pub(super) struct Gate {
    most: usize,
    inside: Arc<AtomicUsize>,
}

/// The right to take a step, until it is dropped. Work that goes on when nobody waits for it any
/// more takes it along.
#[derive(Debug)]
pub(super) struct Pass(Arc<AtomicUsize>);

impl Gate {
    /// Most steps at a time, unless told otherwise.
    pub(super) const MOST: usize = 4096;

    /// Lets in that many at a time, at least one.
    pub(super) fn new(most: usize) -> Self {
        Self { most: most.max(1), inside: Arc::default() }
    }

    pub(super) fn enter(&self) -> Result<Pass, StoreError> {
        let pass = Pass(Arc::clone(&self.inside));
        if self.inside.fetch_add(1, Ordering::Relaxed) < self.most {
            return Ok(pass);
        }
        Err(StoreError::unavailable(format!("{} steps are under way already", self.most)))
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_does_not_fit_is_turned_away_and_takes_no_place() {
        let gate = Gate::new(2);
        let (first, _second) = (gate.enter().unwrap(), gate.enter().unwrap());
        for _ in 0..10 {
            assert!(matches!(gate.enter(), Err(StoreError::Unavailable(_))));
        }
        drop(first);
        let _third = gate.enter().unwrap();
        assert!(gate.enter().is_err());
        assert!(Gate::new(0).enter().is_ok());
    }
}
