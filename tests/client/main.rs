//! The client against real servers on this machine.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod exchange;
mod files;
mod management;
mod server;
mod silence;
mod strangers;
mod tls;
