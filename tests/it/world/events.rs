//! A sink that keeps what it is told.

use std::sync::Mutex;

use hallpass::{Event, EventSink, Timestamp};

#[derive(Debug, Default)]
pub(crate) struct Recorder(Mutex<Vec<Event>>);

impl Recorder {
    /// What was told since the last call.
    pub(crate) fn take(&self) -> Vec<Event> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }

    /// How many of what was told so far are such events.
    pub(crate) fn count(&self, such: impl Fn(&Event) -> bool) -> usize {
        self.0.lock().unwrap().iter().filter(|event| such(event)).count()
    }
}

impl EventSink for Recorder {
    fn emit(&self, _: Timestamp, event: &Event) {
        self.0.lock().unwrap().push(event.clone());
    }
}
