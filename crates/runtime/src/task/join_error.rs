//! Why a task has no output: it was cancelled, or it panicked.

use std::any::Any;
use std::fmt;

/// The task was cancelled; never confused with a timeout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cancelled {
    /// What the one who cancelled gave as the reason.
    pub reason: &'static str,
}

impl Cancelled {
    pub(crate) const DEFAULT_REASON: &'static str = "cancelled";
    pub(crate) const LOOP_ENDED: Cancelled = Cancelled {
        reason: "the loop has ended",
    };
}

impl fmt::Display for Cancelled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "task was cancelled: {}", self.reason)
    }
}

impl std::error::Error for Cancelled {}

/// What a panic left behind.
pub struct Panic {
    message: String,
    payload: Box<dyn Any + Send>,
}

impl Panic {
    /// What [`catch_unwind`](std::panic::catch_unwind) caught.
    #[must_use]
    pub fn new(payload: Box<dyn Any + Send>) -> Self {
        let message = payload
            .downcast_ref::<&'static str>()
            .map(ToString::to_string)
            .or_else(|| payload.downcast_ref::<String>().cloned())
            .unwrap_or_else(|| "a panic without a message".into());
        Panic { message, payload }
    }

    /// The panic's message, when it was a string.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What was given to `panic_any`, to be passed on with
    /// [`std::panic::resume_unwind`].
    #[must_use]
    pub fn into_payload(self) -> Box<dyn Any + Send> {
        self.payload
    }
}

impl fmt::Debug for Panic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Panic").field(&self.message).finish()
    }
}

/// A task that was joined has no output.
#[derive(Debug)]
pub enum JoinError {
    /// Somebody cancelled it.
    Cancelled(Cancelled),
    /// It panicked. The loop and all other tasks go on.
    Panicked(Panic),
}

impl fmt::Display for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            JoinError::Cancelled(cancelled) => cancelled.fmt(f),
            JoinError::Panicked(panic) => write!(f, "task panicked: {}", panic.message()),
        }
    }
}

impl std::error::Error for JoinError {}
