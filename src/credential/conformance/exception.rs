//! What frameworks do to requests before anybody sees them.

use super::Case;

/// Requests that a framework does not hand on as they came, and what becomes of them.
///
/// An adapter cannot mend that. It says so in its documentation, and the [matrix](super::Matrix)
/// holds it to what it says.
#[derive(Debug, Clone, Copy)]
pub struct Exception {
    /// What the framework does.
    pub reason: &'static str,
    /// Which requests it does that to.
    pub concerns: fn(&Case) -> bool,
    /// What becomes of them.
    pub instead: Instead,
}

/// What becomes of a request that a framework does not hand on as it came.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Instead {
    /// This arrives, and the boundary's answer to it is the right one.
    Arrives(fn(&Case) -> Case),
    /// Nothing does: the framework refuses the request with this status.
    Refused(u16),
}
