//! Which requests may be sent when: the closed loop, and the schedule of the open loop.
//!
//! Plain arithmetic on the instants it is handed. Requests are numbered from zero; in the open
//! loop request `k` is due `k / rate` seconds after the start, whatever happened to those before.

use std::time::{Duration, Instant};

/// Consecutive requests that one connection sends in one write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Batch {
    /// Number of the first request.
    pub(crate) first: u64,
    /// How many, at least one.
    pub(crate) count: u32,
    /// Whether the answers are counted: the batch was taken after the warm-up.
    pub(crate) counted: bool,
}

impl Batch {
    /// What is left when the first `answered` requests are done.
    pub(crate) fn after(self, answered: u32) -> Option<Self> {
        let left = self.count.checked_sub(answered).filter(|left| *left > 0)?;
        Some(Self {
            first: self.first + u64::from(answered),
            count: left,
            ..self
        })
    }
}

/// Hands out requests, each once, in order.
#[derive(Debug)]
pub(crate) struct Pace {
    /// Requests per second; `None` in the closed loop.
    rate: Option<f64>,
    batch_max: u32,
    started_at: Instant,
    taken: u64,
    requests_max: u64,
    counted: bool,
}

impl Pace {
    /// A pace that hands out nothing until it is started.
    pub(crate) fn new(rate: Option<f64>, batch_max: u32, now: Instant) -> Self {
        Self {
            rate,
            batch_max,
            started_at: now,
            taken: 0,
            requests_max: 0,
            counted: false,
        }
    }

    /// Begins anew at `now`. What was due and not taken before is forgotten.
    pub(crate) fn start(&mut self, now: Instant, requests_max: Option<u64>, counted: bool) {
        self.started_at = now;
        self.taken = 0;
        self.requests_max = requests_max.unwrap_or(u64::MAX);
        self.counted = counted;
    }

    /// Hands out nothing more.
    pub(crate) fn stop(&mut self) {
        self.requests_max = self.taken;
    }

    /// Takes the next requests that may be sent at `now`: up to a batch, or none.
    pub(crate) fn take(&mut self, now: Instant) -> Option<Batch> {
        let available = match self.rate {
            None => self.requests_max - self.taken,
            Some(_) => self.waiting(now),
        };
        let count = u32::try_from(available)
            .unwrap_or(u32::MAX)
            .min(self.batch_max);
        if count == 0 {
            return None;
        }
        let first = self.taken;
        self.taken += u64::from(count);
        Some(Batch {
            first,
            count,
            counted: self.counted,
        })
    }

    /// When request `number` is due; `None` in the closed loop, where nothing is ever due.
    pub(crate) fn due(&self, number: u64) -> Option<Instant> {
        let rate = self.rate?;
        // Exact to a nanosecond for ten days at 10,000 a second; the end of time is far away.
        let offset = Duration::try_from_secs_f64(number as f64 / rate).unwrap_or(Duration::MAX);
        self.started_at.checked_add(offset)
    }

    /// When the next request that nobody took is due; `None` when there is none to wait for.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        if self.taken < self.requests_max {
            self.due(self.taken)
        } else {
            None
        }
    }

    /// How many requests are due at `now` and were not taken. Zero in the closed loop.
    pub(crate) fn waiting(&self, now: Instant) -> u64 {
        let (Some(rate), Some(elapsed)) = (self.rate, now.checked_duration_since(self.started_at))
        else {
            return 0;
        };
        // Rounding may put the estimate off by one: `due` decides.
        let mut due_count = (elapsed.as_secs_f64() * rate) as u64 + 2;
        while due_count > 0 && self.due(due_count - 1).is_none_or(|due| due > now) {
            due_count -= 1;
        }
        due_count.min(self.requests_max).saturating_sub(self.taken)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use monoloop_runtime::{Runtime, time};

    use super::*;

    /// Any instant will do: everything is counted from it.
    pub(crate) fn instant() -> Instant {
        Runtime::new()
            .expect("loop")
            .block_on(async { time::now() })
    }

    const MS: Duration = Duration::from_millis(1);

    fn started(rate: Option<f64>, batch_max: u32, requests_max: Option<u64>) -> (Pace, Instant) {
        let start = instant();
        let mut pace = Pace::new(rate, batch_max, start);
        pace.start(start, requests_max, true);
        (pace, start)
    }

    fn batch(first: u64, count: u32) -> Option<Batch> {
        Some(Batch {
            first,
            count,
            counted: true,
        })
    }

    #[test]
    fn the_closed_loop_gives_a_batch_whenever_asked_until_none_is_left() {
        let (mut pace, start) = started(None, 4, Some(6));
        assert_eq!(pace.take(start), batch(0, 4));
        assert_eq!(pace.take(start), batch(4, 2));
        assert_eq!(pace.take(start), None);
        assert_eq!(pace.next_due(), None);
        assert_eq!(pace.waiting(start + MS), 0);
    }

    #[test]
    fn the_open_loop_gives_a_request_when_it_is_due_and_not_before() {
        let (mut pace, start) = started(Some(1_000.0), 1, None);
        assert_eq!(pace.take(start), batch(0, 1));
        assert_eq!(pace.take(start), None);
        assert_eq!(pace.next_due(), Some(start + MS));
        assert_eq!(pace.take(start + MS - Duration::from_nanos(1)), None);
        assert_eq!(pace.take(start + MS), batch(1, 1));
    }

    #[test]
    fn what_is_left_of_a_batch_keeps_its_numbers() {
        let whole = batch(10, 4).expect("a batch");
        assert_eq!(whole.after(0), Some(whole));
        assert_eq!(whole.after(3), batch(13, 1));
        assert_eq!(whole.after(4), None);
    }

    #[test]
    fn what_nobody_took_waits_and_keeps_the_time_it_was_due() {
        let (mut pace, start) = started(Some(1_000.0), 3, None);
        let late = start + 9 * MS;
        assert_eq!(pace.waiting(late), 10);
        assert_eq!(pace.take(late), batch(0, 3));
        assert_eq!(pace.due(0), Some(start));
        assert_eq!(pace.due(2), Some(start + 2 * MS));
        assert_eq!(pace.waiting(late), 7);
    }

    #[test]
    fn starting_anew_drops_the_backlog_of_the_warm_up() {
        let start = instant();
        let mut pace = Pace::new(Some(1_000.0), 100, start);
        assert_eq!(pace.take(start + MS), None);
        pace.start(start, None, false);
        assert_eq!(pace.take(start).map(|batch| batch.counted), Some(false));
        pace.start(start + 50 * MS, Some(2), true);
        assert_eq!(pace.waiting(start + 50 * MS), 1);
        assert_eq!(pace.take(start + 90 * MS), batch(0, 2));
        assert_eq!(pace.take(start + 99 * MS), None);
    }

    #[test]
    fn waiting_and_due_agree_at_every_nanosecond_near_an_edge() {
        for rate in [0.3, 3.0, 999.9, 7_001.0, 123_456.7] {
            let (pace, start) = started(Some(rate), 1, None);
            for number in [0, 1, 2, 10, 1_000, 123_456] {
                let due = pace.due(number).expect("open loop");
                assert!(pace.waiting(due) > number, "{rate} {number}");
                if let Some(before) = due.checked_sub(Duration::from_nanos(1))
                    && before >= start
                {
                    assert!(pace.waiting(before) <= number, "{rate} {number}");
                }
            }
        }
    }
}
