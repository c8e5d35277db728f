//! How busy a loop is, and how long what is ready has to wait for it.
//!
//! The loop reads the clock when a wait for I/O has ended, and before one begins: two readings a
//! poll, none a step. All that is here comes from these.

use std::fmt;
use std::time::{Duration, Instant};

/// How busy a loop was, as [`Runtime::lag`](crate::Runtime::lag) and [`lag`](crate::lag()) tell.
///
/// A *stretch* is what the loop does between two looks at the operating system: from the end of one
/// to the beginning of the next wait, or to the end of the next look if there is no wait. With the
/// default of [`steps_per_poll_max`](crate::Config::steps_per_poll_max) it is one turn, or
/// several short ones.
///
/// All numbers are from the making of the loop on; [`since`](Lag::since) makes them those of a
/// time in between.
///
/// ```
/// use monoloop_runtime::{Runtime, lag, yield_now};
///
/// Runtime::new()?.block_on(async {
///     let before = lag();
///     for _ in 0..1000 {
///         yield_now().await;
///     }
///     let lag = lag().since(&before);
///     println!(
///         "{:.0} % busy, 99 % of the steps begin within {:?}",
///         lag.utilisation() * 100.0,
///         lag.queue_delay().quantile(0.99),
///     );
/// });
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lag {
    busy: Duration,
    waiting: Duration,
    turn_time: Histogram,
    queue_delay: Histogram,
}

impl Lag {
    /// The time in stretches.
    #[must_use]
    pub fn busy(&self) -> Duration {
        self.busy
    }

    /// The time in waits for I/O, timers and other threads.
    #[must_use]
    pub fn waiting(&self) -> Duration {
        self.waiting
    }

    /// The share of the time, from 0 to 1, in which the loop did not wait; 0 before there was any.
    /// At 1 it cannot keep up. A look at the operating system that does not wait counts as busy.
    #[must_use]
    pub fn utilisation(&self) -> f64 {
        let all = self.busy + self.waiting;
        if all.is_zero() {
            return 0.0;
        }
        self.busy.as_secs_f64() / all.as_secs_f64()
    }

    /// How long stretches last: for so long nobody looks for I/O, and no timer fires.
    #[must_use]
    pub fn turn_time(&self) -> &Histogram {
        &self.turn_time
    }

    /// From when a task was found to be ready until its step, once for each step. Not exact, for
    /// that would take a reading of the clock each: each step of a stretch is given the length
    /// of the stretch, which is more than it has waited, unless more tasks were ready than one
    /// turn steps. What happened in the kernel before the loop looked is not in it.
    #[must_use]
    pub fn queue_delay(&self) -> &Histogram {
        &self.queue_delay
    }

    /// What has come since an earlier reading of the same loop.
    #[must_use]
    pub fn since(&self, earlier: &Lag) -> Lag {
        Lag {
            busy: self.busy.saturating_sub(earlier.busy),
            waiting: self.waiting.saturating_sub(earlier.waiting),
            turn_time: self.turn_time.since(&earlier.turn_time),
            queue_delay: self.queue_delay.since(&earlier.queue_delay),
        }
    }
}

/// A stretch from which on the loop was *stuck* ([`time::stuck`](crate::time::stuck)): nobody can have
/// been served by it meanwhile, and whoever was waited for cannot be blamed. The watchdog calls the
/// same late by default.
pub(crate) const STUCK_MIN: Duration = Duration::from_millis(100);

/// Measures; owned by the loop.
pub(crate) struct LagMeter {
    lag: Lag,
    busy_since: Instant,
}

impl LagMeter {
    pub(crate) fn new(now: Instant) -> Self {
        LagMeter {
            lag: Lag {
                busy: Duration::ZERO,
                waiting: Duration::ZERO,
                turn_time: Histogram::new(),
                queue_delay: Histogram::new(),
            },
            busy_since: now,
        }
    }

    /// The loop begins to run. Whatever was before is no stretch of its.
    pub(crate) fn begin(&mut self, now: Instant) {
        self.busy_since = now;
    }

    /// A stretch in which so many tasks were stepped ends; another follows. Returns how long it was.
    #[inline]
    pub(crate) fn end_stretch(&mut self, now: Instant, steps: u32) -> Duration {
        let stretch = now.saturating_duration_since(self.busy_since);
        self.busy_since = now;
        self.lag.busy += stretch;
        self.lag.turn_time.record(stretch, 1);
        self.lag.queue_delay.record(stretch, u64::from(steps));
        stretch
    }

    /// The wait that followed ends. Returns how long it was.
    #[inline]
    pub(crate) fn end_wait(&mut self, now: Instant) -> Duration {
        let waited = now.saturating_duration_since(self.busy_since);
        self.lag.waiting += waited;
        self.busy_since = now;
        waited
    }

    pub(crate) fn lag(&self) -> &Lag {
        &self.lag
    }
}

/// The nearest power of two below it, in nanoseconds: what is shorter is all the same.
const SHORTEST_BITS: u32 = 10;
/// Buckets from one power of two to the next, as bits.
const STEPS_BITS: u32 = 2;
/// Powers of two: the last bucket holds what is longer than about an hour.
const OCTAVES: usize = 32;
const BUCKETS: usize = 1 + (OCTAVES << STEPS_BITS);

/// How often which times were seen.
///
/// The buckets are a quarter of a power of two wide, from 1 µs to an hour, so that a quantile is too
/// long by a quarter at most. 1 KiB; recording costs some ten instructions, which is why it is
/// not one of the well-known histograms: their precision is not needed here.
#[derive(Clone, PartialEq, Eq)]
pub struct Histogram {
    counts: Box<[u64; BUCKETS]>,
    count: u64,
    max: Duration,
}

impl Histogram {
    fn new() -> Self {
        Histogram {
            counts: Box::new([0; BUCKETS]),
            count: 0,
            max: Duration::ZERO,
        }
    }

    #[inline]
    fn record(&mut self, time: Duration, count: u64) {
        if count == 0 {
            return;
        }
        self.counts[bucket_of(time)] += count;
        self.count += count;
        self.max = self.max.max(time);
    }

    /// How many times there are in it.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The longest, exactly. In a difference of two readings it is that of the later one.
    #[must_use]
    pub fn max(&self) -> Duration {
        self.max
    }

    /// The time that the share `q` of all, from 0 to 1, does not exceed; zero when there are none.
    #[must_use]
    pub fn quantile(&self, q: f64) -> Duration {
        let wanted = (q.clamp(0.0, 1.0) * self.count as f64).ceil().max(1.0) as u64;
        let mut seen = 0;
        for (end, count) in self.buckets() {
            seen += count;
            if seen >= wanted {
                return end.min(self.max);
            }
        }
        self.max
    }

    /// The buckets that have something in them: the time that they end with, and how many.
    pub fn buckets(&self) -> impl Iterator<Item = (Duration, u64)> {
        let counted = self
            .counts
            .iter()
            .enumerate()
            .filter(|(_, count)| **count > 0);
        counted.map(|(bucket, count)| (end_of(bucket), *count))
    }

    fn since(&self, earlier: &Histogram) -> Histogram {
        let mut later = self.clone();
        for (count, before) in later.counts.iter_mut().zip(earlier.counts.iter()) {
            *count = count.saturating_sub(*before);
        }
        later.count = later.count.saturating_sub(earlier.count);
        later
    }
}

#[inline]
fn bucket_of(time: Duration) -> usize {
    let seconds = time.as_secs().saturating_mul(1_000_000_000);
    let nanos = seconds.saturating_add(time.subsec_nanos().into());
    if nanos >> SHORTEST_BITS == 0 {
        return 0;
    }
    let octave = nanos.ilog2();
    let step = (nanos >> (octave - STEPS_BITS)) as usize & ((1 << STEPS_BITS) - 1);
    let bucket = 1 + (((octave - SHORTEST_BITS) as usize) << STEPS_BITS) + step;
    bucket.min(BUCKETS - 1)
}

fn end_of(bucket: usize) -> Duration {
    let Some(after) = bucket.checked_sub(1) else {
        return Duration::from_nanos(1 << SHORTEST_BITS);
    };
    if bucket == BUCKETS - 1 {
        return Duration::MAX;
    }
    let octave = SHORTEST_BITS + (after >> STEPS_BITS) as u32;
    let steps = (1 << STEPS_BITS) + (after & ((1 << STEPS_BITS) - 1)) as u64 + 1;
    Duration::from_nanos(steps << (octave - STEPS_BITS))
}

impl fmt::Debug for Histogram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Histogram")
            .field("count", &self.count)
            .field("p50", &self.quantile(0.5))
            .field("p99", &self.quantile(0.99))
            .field("max", &self.max)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    #[test]
    fn a_time_is_in_the_bucket_that_ends_at_most_a_quarter_above_it() {
        let mut before = 0;
        for bits in 0..42 {
            for quarter in 0..16 {
                let nanos = (1_u64 << bits) + ((1 << bits) / 16) * quarter;
                let time = Duration::from_nanos(nanos);
                let bucket = bucket_of(time);
                assert!(bucket >= before, "{time:?}");
                before = bucket;
                let end = end_of(bucket);
                assert!(end > time, "{time:?} {end:?}");
                if bucket > 0 && bucket < BUCKETS - 1 {
                    assert!(end <= time * 5 / 4, "{time:?} {end:?}");
                }
            }
        }
        assert_eq!(bucket_of(Duration::MAX), BUCKETS - 1);
    }

    #[test]
    fn quantiles_are_right_to_a_bucket_and_the_longest_exactly() {
        let mut histogram = Histogram::new();
        assert_eq!(histogram.quantile(0.5), Duration::ZERO);
        for millis in 1..=1000 {
            histogram.record(Duration::from_millis(millis), 1);
        }
        for (q, right) in [(0.5, 500), (0.99, 990), (0.001, 1)] {
            let (found, right) = (histogram.quantile(q), Duration::from_millis(right));
            assert!(found >= right && found <= right * 5 / 4, "{q}: {found:?}");
        }
        assert_eq!(histogram.quantile(1.0), Duration::from_secs(1));
    }

    #[test]
    fn stretches_and_waits_add_up_to_the_utilisation() {
        let start = clock::read();
        let at = |millis| start + Duration::from_millis(millis);
        let mut meter = LagMeter::new(start);
        meter.begin(at(1000));
        meter.end_stretch(at(1030), 3);
        meter.end_wait(at(1100));
        let before = meter.lag().clone();
        assert_eq!(
            (before.busy().as_millis(), before.waiting().as_millis()),
            (30, 70)
        );
        meter.end_stretch(at(1120), 0);
        meter.end_stretch(at(1150), 7);
        meter.end_wait(at(1150));
        let lag = meter.lag().since(&before);
        assert_eq!(lag.utilisation(), 1.0);
        assert_eq!((lag.turn_time().count(), lag.queue_delay().count()), (2, 7));
        assert!((meter.lag().utilisation() - 80.0 / 150.0).abs() < 1e-9);
    }
}
