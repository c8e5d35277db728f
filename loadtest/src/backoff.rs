//! How long to wait before connecting again.

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(10);
const LONGEST: Duration = Duration::from_secs(1);

/// Delays that double from 10 ms to a second, spread so that thousands of connections that broke
/// together do not come back together.
#[derive(Debug, Clone)]
pub(crate) struct Backoff {
    failures: u32,
    waited: Duration,
    /// Between one half and one.
    spread: f64,
}

impl Backoff {
    /// Connections with other numbers wait for other times.
    pub(crate) fn new(number: usize) -> Self {
        // Multiples of the golden ratio spread evenly, however many there are.
        let fraction = (number as f64 * 0.618_033_988_75).fract();
        Self {
            failures: 0,
            waited: Duration::ZERO,
            spread: 0.5 + fraction / 2.0,
        }
    }

    /// Counts a failure and says how long to wait after it.
    pub(crate) fn next(&mut self) -> Duration {
        let doubled = FIRST * 2_u32.saturating_pow(self.failures.min(16));
        let delay = doubled.min(LONGEST).mul_f64(self.spread);
        self.failures += 1;
        self.waited += delay;
        delay
    }

    /// Failures since the last success.
    pub(crate) fn failures(&self) -> u32 {
        self.failures
    }

    /// Time waited since the last success.
    pub(crate) fn waited(&self) -> Duration {
        self.waited
    }

    /// The connection worked.
    pub(crate) fn reset(&mut self) {
        self.failures = 0;
        self.waited = Duration::ZERO;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_a_second_and_begin_anew_after_success() {
        let mut backoff = Backoff::new(0);
        let delays: Vec<_> = (0..9).map(|_| backoff.next().as_millis()).collect();
        assert_eq!(delays, [5, 10, 20, 40, 80, 160, 320, 500, 500]);
        assert_eq!(backoff.failures(), 9);
        backoff.reset();
        assert_eq!(backoff.next().as_millis(), 5);
    }

    #[test]
    fn connections_are_spread_over_half_of_the_delay() {
        let delays: Vec<_> = (0..100).map(|n| Backoff::new(n).next()).collect();
        let in_range = |delay: &Duration| (FIRST / 2..=FIRST).contains(delay);
        assert!(delays.iter().all(in_range));
        let early = delays
            .iter()
            .filter(|delay| **delay < FIRST.mul_f64(0.75))
            .count();
        assert!((40..=60).contains(&early), "{early} of 100 are early");
    }
}
