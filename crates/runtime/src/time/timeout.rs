//! A limit on how long something may take.

use crate::clock::deadline_after;
use crate::core::Core;
use crate::deadline::earlier;
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
/// - What is finished at the deadline is kept: the future is polled first.
/// - It is never confused with a cancellation. A task that is cancelled in the turn in which its
///   timeout is due is dropped and never sees the timeout; one that has seen its timeout and is
///   cancelled afterwards ends as cancelled at its next `.await` that waits.
/// - Of nested timeouts that are due together the one with the earlier deadline answers, and of
///   two with the same the outer one: what waits inside is given up with everything else there.
/// - Inside, [`current_deadline`](crate::time::current_deadline) is the earliest deadline around.
///   This costs no allocation: the deadline is put down for the poll, and enters the context only
///   of tasks that are spawned there.
///
/// ```compile_fail
/// # #![deny(unused_must_use)]
/// # use monoloop_runtime::time;
/// # fn started() {
/// time::timeout(std::time::Duration::ZERO, async {}); // nothing happens: it is not awaited
/// # }
/// ```
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
        what: None,
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
        what: None,
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
        what: Option<&'static str>,
        sleep: Sleep,
    }
}

impl<F> Timeout<F> {
    /// Says what is limited, for the error: "reading the head timed out after 2s (limit 2s)".
    pub fn named(mut self, what: &'static str) -> Self {
        self.what = Some(what);
        self
    }
}

impl<F: Future> Future for Timeout<F> {
    type Output = Result<F::Output, TimedOut>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let future = this.future.as_mut().as_pin_mut();
        let future = future.expect("a timeout was polled after it had answered");
        let deadline = this.sleep.deadline();
        let around = {
            let limit = Limit::enter(this.sleep.core(), deadline);
            if let Poll::Ready(output) = future.poll(cx) {
                return Poll::Ready(Ok(output));
            }
            limit.around
        };
        if this.sleep.poll_elapsed(cx).is_pending() {
            return Poll::Pending;
        }
        if around.is_some_and(|around| around <= deadline) {
            // A timeout around this one is due as well and is the one to answer: it gives up all
            // this when the poll comes back to it.
            return Poll::Pending;
        }
        // It stops here, not when whoever holds the timeout gets round to dropping it.
        this.future.set(None);
        Poll::Ready(Err(TimedOut {
            what: *this.what,
            limit: deadline.saturating_duration_since(*this.started),
            waited: now().saturating_duration_since(*this.started),
        }))
    }
}

/// Puts the deadline around back when it is dropped, also when a panic unwinds.
struct Limit<'a> {
    core: &'a Core,
    around: Option<Instant>,
}

impl<'a> Limit<'a> {
    #[inline]
    fn enter(core: &'a Core, deadline: Instant) -> Self {
        let around = core.enclosing_deadline();
        core.set_enclosing_deadline(earlier(around, Some(deadline)));
        Limit { core, around }
    }
}

impl Drop for Limit<'_> {
    #[inline]
    fn drop(&mut self) {
        self.core.set_enclosing_deadline(self.around);
    }
}

/// Something took longer than it was allowed to. Never confused with a cancellation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct TimedOut {
    /// What was limited, when that was [said](Timeout::named).
    pub what: Option<&'static str>,
    /// How long it was allowed to take.
    pub limit: Duration,
    /// How long it had taken when that was noticed. Much more than `limit` when something
    /// held up the loop.
    pub waited: Duration,
}

impl fmt::Display for TimedOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let TimedOut { limit, waited, .. } = self;
        match self.what {
            None => write!(f, "timed out after {waited:?} (limit {limit:?})"),
            Some(what) => write!(f, "{what} timed out after {waited:?} (limit {limit:?})"),
        }
    }
}

impl std::error::Error for TimedOut {}

impl From<TimedOut> for std::io::Error {
    fn from(timed_out: TimedOut) -> Self {
        std::io::Error::new(std::io::ErrorKind::TimedOut, timed_out)
    }
}
