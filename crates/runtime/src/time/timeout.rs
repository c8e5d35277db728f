//! A limit on how long something may take.

use crate::clock::deadline_after;
use crate::runtime::current;
use crate::time::{Sleep, now};
use pin_project_lite::pin_project;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

/// Limits how long `future` may take. At the limit it is dropped.
///
/// What is finished at the deadline is kept: the future is polled first.
///
/// # Panics
/// When the thread has no loop.
///
/// # Cancel safety
/// That of `future`.
#[track_caller]
pub fn timeout<F: Future>(limit: Duration, future: F) -> Timeout<F> {
    let core = current();
    let started = core.clock.now();
    Timeout {
        future: Some(future),
        started,
        sleep: Sleep::new(core, deadline_after(started, limit)),
    }
}

/// [`timeout`] with a point in time.
///
/// # Panics
/// When the thread has no loop.
///
/// # Cancel safety
/// That of `future`.
#[track_caller]
pub fn timeout_at<F: Future>(deadline: Instant, future: F) -> Timeout<F> {
    let core = current();
    Timeout {
        future: Some(future),
        started: core.clock.now(),
        sleep: Sleep::new(core, deadline),
    }
}

pin_project! {
    /// Made by [`timeout`] and [`timeout_at`].
    #[derive(Debug)]
    #[must_use = "futures do nothing unless awaited"]
    pub struct Timeout<F> {
        #[pin]
        future: Option<F>,
        started: Instant,
        sleep: Sleep,
    }
}

impl<F: Future> Future for Timeout<F> {
    type Output = Result<F::Output, TimedOut>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let future = this.future.as_mut().as_pin_mut();
        let future = future.expect("a timeout was polled after it had answered");
        if let Poll::Ready(output) = future.poll(cx) {
            return Poll::Ready(Ok(output));
        }
        if this.sleep.poll_elapsed(cx).is_pending() {
            return Poll::Pending;
        }
        // It stops here, not when whoever holds the timeout gets round to dropping it.
        this.future.set(None);
        let limit = this
            .sleep
            .deadline()
            .saturating_duration_since(*this.started);
        Poll::Ready(Err(TimedOut {
            limit,
            waited: now().saturating_duration_since(*this.started),
        }))
    }
}

/// Something took longer than it was allowed to. Never confused with a cancellation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct TimedOut {
    /// How long it was allowed to take.
    pub limit: Duration,
    /// How long it had taken when that was noticed. Much more than `limit` when something
    /// held up the loop.
    pub waited: Duration,
}

impl fmt::Display for TimedOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "timed out after {:?} (limit {:?})",
            self.waited, self.limit
        )
    }
}

impl std::error::Error for TimedOut {}

impl From<TimedOut> for std::io::Error {
    fn from(timed_out: TimedOut) -> Self {
        std::io::Error::new(std::io::ErrorKind::TimedOut, timed_out)
    }
}
