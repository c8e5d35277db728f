//! Moving a clock that stands still.

use crate::runtime::current;
use crate::scope::yield_now;
use std::time::Duration;

/// Moves the loop's manual clock and lets what is due run.
///
/// # Panics
/// When the loop runs on the system's clock.
///
/// # Cancel safety
/// The clock was moved at the first poll; what is due runs anyway.
pub async fn advance(duration: Duration) {
    let core = current();
    core.clock.advance_to(core.clock.now() + duration);
    // Timers are judged when the operating system is asked, at the latest after so many steps.
    for _ in 0..=core.config.steps_per_poll_max {
        yield_now().await;
    }
}
