//! Ticking at a fixed rate.

use crate::clock::deadline_after;
use crate::runtime::current;
use crate::time::{Sleep, now};
use std::future::poll_fn;
use std::time::{Duration, Instant};

/// Ticks every `period`, the first time at once.
///
/// # Panics
/// When `period` is zero, or the thread has no loop.
#[track_caller]
pub fn interval(period: Duration) -> Interval {
    interval_at(now(), period)
}

/// Ticks every `period`, the first time at `start`.
///
/// # Panics
/// When `period` is zero, or the thread has no loop.
#[track_caller]
pub fn interval_at(start: Instant, period: Duration) -> Interval {
    assert!(!period.is_zero(), "an interval needs a period above zero");
    Interval {
        sleep: Sleep::new(current(), start),
        period,
        missed: MissedTick::default(),
    }
}

/// What an [`Interval`] does about ticks that nobody was there to see.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MissedTick {
    /// They come at once, one behind the other: the count stays right.
    #[default]
    Burst,
    /// They are left out: the next tick is one that was planned.
    Skip,
    /// The next tick is a period after the late one.
    Delay,
}

/// Made by [`interval`] and [`interval_at`]. Its ticks are planned from its start, so being
/// late once does not shift those that follow.
#[derive(Debug)]
pub struct Interval {
    sleep: Sleep,
    period: Duration,
    missed: MissedTick,
}

impl Interval {
    /// What to do about ticks that were missed.
    #[must_use]
    pub fn missed(mut self, missed: MissedTick) -> Self {
        self.missed = missed;
        self
    }

    /// Waits for the next tick and returns when it was due.
    ///
    /// # Cancel safety
    /// Nothing is lost: the tick is there at the next call.
    pub async fn tick(&mut self) -> Instant {
        poll_fn(|cx| self.sleep.poll_elapsed(cx)).await;
        let due = self.sleep.deadline();
        let now = now();
        let next = deadline_after(due, self.period);
        let next = match self.missed {
            MissedTick::Burst => next,
            MissedTick::Delay => deadline_after(now.max(due), self.period),
            MissedTick::Skip => {
                let late = now.saturating_duration_since(next).as_nanos();
                let periods = late.div_ceil(self.period.as_nanos());
                next + self.period * u32::try_from(periods).unwrap_or(u32::MAX)
            }
        };
        self.sleep.reset(next);
        due
    }

    /// When the next tick is due.
    #[must_use]
    pub fn next_due(&self) -> Instant {
        self.sleep.deadline()
    }
}
