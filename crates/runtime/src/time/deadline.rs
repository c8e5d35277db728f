//! The effective deadline: until when the work that runs here is wanted.

use crate::deadline::{DEADLINE, earlier};
use crate::runtime::try_current;
use crate::time::{Timeout, timeout_at};
use std::future::Future;
use std::time::Instant;

/// Until when the running work is wanted: the earliest deadline of the timeouts around it, those
/// of the tasks that spawned it included. `None` when there is none.
///
/// It follows the work into the tasks that it spawns and into its jobs in the blocking pool. A
/// timeout drops what runs in its own task; elsewhere the deadline is advice, for whoever makes a
/// request to another server or starts another round. A [`shield`](crate::shield) is free of it.
///
/// ```
/// use monoloop_runtime::{Runtime, spawn, time};
/// use std::time::Duration;
///
/// Runtime::new()?.block_on(async {
///     let second = Duration::from_secs(1);
///     let child = time::timeout(second, async { spawn(async { time::current_deadline() }) });
///     let deadline = child.await.unwrap().await.unwrap();
///     assert!(deadline.is_some_and(|deadline| deadline <= time::now() + second));
///     assert_eq!(time::current_deadline(), None);
/// });
/// # Ok::<(), std::io::Error>(())
/// ```
#[must_use]
pub fn current_deadline() -> Option<Instant> {
    let around = try_current().and_then(|core| core.enclosing_deadline());
    earlier(around, DEADLINE.get())
}

/// Limits `future` to `deadline`, or to the [`current_deadline`] when that is earlier: a deadline
/// can only be shortened. In a task that was spawned with a deadline this is how it is kept.
///
/// # Panics
/// When the thread has no loop.
///
/// # Cancel safety
/// That of `future`.
#[track_caller]
pub fn with_deadline<F: Future>(deadline: Instant, future: F) -> Timeout<F> {
    let inherited = current_deadline().unwrap_or(deadline);
    timeout_at(deadline.min(inherited), future)
}
