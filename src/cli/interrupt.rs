//! Ctrl-C, where it must not end the program at once.

#[cfg(unix)]
use std::sync::atomic::{AtomicBool, Ordering};
#[cfg(unix)]
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
#[cfg(unix)]
use std::time::Duration;

#[cfg(unix)]
use signal_hook::consts::SIGINT;

/// How long Ctrl-C goes unnoticed by what waits.
#[cfg(unix)]
const PAUSE: Duration = Duration::from_millis(50);

/// While one of these lives, Ctrl-C is noted and does not end the program, so that a terminal gets
/// its echo back and a file is removed. Otherwise Ctrl-C does what it always does.
#[derive(Debug)]
pub(super) struct Held {
    #[cfg(unix)]
    noted: Option<&'static Noted>,
}

#[cfg(unix)]
#[derive(Debug)]
struct Noted {
    /// How many hold it.
    holders: Mutex<usize>,
    /// Whether the signal ends the program.
    ends: Arc<AtomicBool>,
    pressed: Arc<AtomicBool>,
}

#[cfg(unix)]
impl Held {
    pub(super) fn new() -> Self {
        static NOTED: OnceLock<Option<Noted>> = OnceLock::new();
        let noted = NOTED.get_or_init(Noted::register).as_ref();
        if let Some(noted) = noted {
            let mut holders = noted.holders.lock().unwrap_or_else(PoisonError::into_inner);
            if *holders == 0 {
                noted.pressed.store(false, Ordering::SeqCst);
                noted.ends.store(false, Ordering::SeqCst);
            }
            *holders += 1;
        }
        Self { noted }
    }

    /// Whether somebody has pressed Ctrl-C since.
    pub(super) fn is_pressed(&self) -> bool {
        self.noted.is_some_and(|noted| noted.pressed.load(Ordering::SeqCst))
    }

    /// Ends when somebody presses Ctrl-C.
    pub(super) async fn pressed(&self) {
        if self.noted.is_none() {
            // The signal ends the program.
            return std::future::pending().await;
        }
        while !self.is_pressed() {
            tokio::time::sleep(PAUSE).await;
        }
    }
}

#[cfg(unix)]
impl Drop for Held {
    fn drop(&mut self) {
        if let Some(noted) = self.noted {
            let mut holders = noted.holders.lock().unwrap_or_else(PoisonError::into_inner);
            *holders -= 1;
            noted.ends.store(*holders == 0, Ordering::SeqCst);
        }
    }
}

#[cfg(unix)]
impl Noted {
    fn register() -> Option<Self> {
        let (ends, pressed) = (Arc::new(AtomicBool::new(true)), Arc::default());
        signal_hook::flag::register_conditional_default(SIGINT, Arc::clone(&ends)).ok()?;
        signal_hook::flag::register(SIGINT, Arc::clone(&pressed)).ok()?;
        Some(Self { holders: Mutex::default(), ends, pressed })
    }
}

#[cfg(not(unix))]
impl Held {
    pub(super) fn new() -> Self {
        Self {}
    }

    /// Never: Ctrl-C ends the program.
    pub(super) fn is_pressed(&self) -> bool {
        false
    }

    /// Never ends: Ctrl-C ends the program.
    pub(super) async fn pressed(&self) {
        std::future::pending().await
    }
}

/// Ends the program as Ctrl-C does, so that a script that runs it ends too.
pub(super) fn end() {
    #[cfg(unix)]
    // If that fails, the exit code tells it.
    let _ = signal_hook::low_level::emulate_default_handler(SIGINT);
}
