//! The time of a loop: read once a turn, counted in ticks of a millisecond.
//!
//! The one file that reads `Instant::now`. Everybody else asks the loop.

use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// A point in time in milliseconds since the loop was made.
pub(crate) type Tick = u64;

/// Where the time of a loop comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ClockMode {
    /// The monotonic clock of the operating system.
    #[default]
    System,
    /// Time stands still and moves only by [`time::advance`](crate::time::advance).
    Manual,
    /// Time stands still while anything can still happen, and jumps to the next
    /// deadline when all is quiet. Hours of timeouts pass in milliseconds. As long
    /// as sockets are open, "quiet" means that the operating system reported
    /// nothing for two real milliseconds.
    Jumping,
}

/// The time of a simulated world, moved by the driver that simulates it.
pub(crate) type WorldTime = Rc<Cell<Instant>>;

#[derive(Debug)]
pub(crate) struct Clock {
    mode: ClockMode,
    /// Read in place of the operating system's clock.
    world: Option<WorldTime>,
    origin: Instant,
    now: Cell<Instant>,
}

impl Clock {
    pub(crate) fn new(mode: ClockMode) -> Self {
        let now = read();
        Clock {
            mode,
            world: None,
            origin: now,
            now: Cell::new(now),
        }
    }

    /// A clock that shows the time of a simulated world. To the loop it is the system's: it
    /// passes while the driver waits.
    pub(crate) fn simulated(world: WorldTime) -> Self {
        Clock {
            mode: ClockMode::System,
            origin: world.get(),
            now: Cell::new(world.get()),
            world: Some(world),
        }
    }

    pub(crate) fn mode(&self) -> ClockMode {
        self.mode
    }

    /// The time of this turn.
    #[inline]
    pub(crate) fn now(&self) -> Instant {
        self.now.get()
    }

    /// The time right now, at the price of reading the clock (some 25 ns).
    #[inline]
    pub(crate) fn now_precise(&self) -> Instant {
        match self.mode {
            ClockMode::System => self.read(),
            ClockMode::Manual | ClockMode::Jumping => self.now.get(),
        }
    }

    /// What this clock shows when the operating system's, just read, shows `real`.
    pub(crate) fn shown_at(&self, real: Instant) -> Instant {
        match (self.mode, &self.world) {
            (ClockMode::System, None) => real,
            _ => self.now_precise(),
        }
    }

    /// Reads the clock for a new turn.
    #[inline]
    pub(crate) fn start_turn(&self) {
        if self.mode == ClockMode::System {
            self.now.set(self.read());
        }
    }

    /// The time by which work beside the loop is measured. It passes even where the loop's own
    /// stands still, unless the whole world is made up.
    #[inline]
    pub(crate) fn read(&self) -> Instant {
        match &self.world {
            None => read(),
            Some(world) => world.get(),
        }
    }

    /// Moves a clock that is not the system's.
    pub(crate) fn advance_to(&self, instant: Instant) {
        assert!(
            self.mode != ClockMode::System,
            "the system's clock cannot be moved; build the runtime with Builder::clock(ClockMode::Manual)"
        );
        self.now.set(self.now.get().max(instant));
    }

    /// The last tick that has begun.
    #[inline]
    pub(crate) fn now_tick(&self) -> Tick {
        millis(self.now.get().saturating_duration_since(self.origin))
    }

    /// The first tick that is not before `deadline`: a timer is never early.
    #[inline]
    pub(crate) fn tick_at(&self, deadline: Instant) -> Tick {
        let since = deadline.saturating_duration_since(self.origin);
        millis(since.saturating_add(Duration::from_nanos(999_999)))
    }

    /// When `tick` begins.
    pub(crate) fn instant_of(&self, tick: Tick) -> Instant {
        self.origin + Duration::from_millis(tick)
    }
}

#[inline]
fn millis(duration: Duration) -> Tick {
    duration.as_secs() * 1000 + u64::from(duration.subsec_millis())
}

/// Reads the monotonic clock, for threads that have no loop.
#[allow(
    clippy::disallowed_methods,
    reason = "the one place that may read the clock"
)]
pub(crate) fn read() -> Instant {
    Instant::now()
}

/// `now + delay`, or some thirty years from now when that is beyond what an
/// [`Instant`] can hold: far enough to be never.
pub(crate) fn deadline_after(now: Instant, delay: Duration) -> Instant {
    const NEVER: Duration = Duration::from_secs(30 * 365 * 86_400);
    now + delay.min(NEVER)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_is_rounded_up_to_a_tick_and_the_time_down() {
        let clock = Clock::new(ClockMode::Manual);
        let start = clock.now();
        assert_eq!(clock.tick_at(start), 0);
        assert_eq!(clock.tick_at(start + Duration::from_nanos(1)), 1);
        assert_eq!(clock.tick_at(start + Duration::from_millis(1)), 1);
        clock.advance_to(start + Duration::from_micros(1999));
        assert_eq!(clock.now_tick(), 1);
        assert_eq!(clock.instant_of(1), start + Duration::from_millis(1));
    }

    #[test]
    fn a_manual_clock_never_goes_back() {
        let clock = Clock::new(ClockMode::Manual);
        let start = clock.now();
        clock.advance_to(start + Duration::from_secs(5));
        clock.advance_to(start);
        assert_eq!(clock.now(), start + Duration::from_secs(5));
    }

    #[test]
    fn a_delay_without_end_does_not_overflow() {
        let now = read();
        assert!(deadline_after(now, Duration::MAX) > now + Duration::from_secs(86_400 * 365));
    }
}
