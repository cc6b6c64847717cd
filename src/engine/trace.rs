//! Events through `tracing`.

use tracing::{Level, event};

use super::event::{Event, EventSink};
use crate::clock::Timestamp;

/// Writes every event as a `tracing` event with the target `hallpass`: refusals at debug level,
/// what somebody must look at as a warning, everything else as information.
///
/// Text in events is written as Rust string literals, so that no name or client can begin a new
/// line or field.
#[derive(Debug, Clone, Copy, Default)]
pub struct TracingSink;

impl EventSink for TracingSink {
    fn emit(&self, at: Timestamp, event: &Event) {
        match event {
            Event::Denied { .. } | Event::Forbidden { .. } => {
                event!(target: "hallpass", Level::DEBUG, %at, ?event);
            }
            Event::Reused { .. }
            | Event::Leaked { .. }
            | Event::UnusableDigest { .. }
            | Event::MissingPepper { .. }
            | Event::Unavailable { .. }
            | Event::UsesDropped { .. }
            | Event::MaintenanceFailed { .. } => {
                event!(target: "hallpass", Level::WARN, %at, ?event);
            }
            _ => event!(target: "hallpass", Level::INFO, %at, ?event),
        }
    }
}
