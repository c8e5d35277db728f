//! Time: sleeping, timeouts, intervals. The clock is the loop's.

mod advance;
mod deadline;
mod interval;
mod sleep;
mod timeout;

pub use advance::advance;
pub use deadline::{current_deadline, with_deadline};
pub use interval::{Interval, MissedTick, interval, interval_at};
pub use sleep::{Sleep, sleep, sleep_until};
pub use timeout::{TimedOut, Timeout, timeout, timeout_at};

use crate::core::Core;
use crate::runtime::with_current;
use std::time::{Duration, Instant};

/// The time of this turn: read once, the same for everything that runs in the turn.
///
/// # Panics
/// When the thread has no loop.
#[inline]
#[must_use]
#[track_caller]
pub fn now() -> Instant {
    with_current(|core| core.clock.now())
}

/// The time right now, at the price of reading the clock (some 25 ns). For measuring.
///
/// # Panics
/// When the thread has no loop.
#[must_use]
#[track_caller]
pub fn now_precise() -> Instant {
    with_current(|core| core.clock.now_precise())
}

/// How long the loop was stuck so far: the sum of all stretches of 100 ms or more in which it did not
/// look at the operating system, because a step, or a row of steps, took so long, and of waits that
/// ended so much later than asked, because the process or its machine was stopped.
///
/// Whoever judges others by a clock takes this from it: they cannot have been served meanwhile. On a
/// clock that is moved by hand it is always zero. See [`Sleep::stuck`], which is cheaper.
///
/// # Panics
/// When the thread has no loop.
#[must_use]
#[track_caller]
pub fn stuck() -> Duration {
    with_current(Core::stuck)
}

/// The point in time that lies `delay` behind this turn. One that no [`Instant`] can hold is
/// some thirty years away: far enough to be never.
///
/// # Panics
/// When the thread has no loop.
#[inline]
#[must_use]
#[track_caller]
pub fn deadline_after(delay: Duration) -> Instant {
    with_current(|core| crate::clock::deadline_after(core.clock.now(), delay))
}
