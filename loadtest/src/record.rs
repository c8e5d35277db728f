//! What is measured: histograms and counters of one run. No socket, no clock.

use std::time::Duration;

use hdrhistogram::Histogram;

use crate::fault::{Fault, FaultKind};

/// The finest difference the histograms keep, in nanoseconds.
const RESOLUTION_NS: u64 = 100;
/// Durations beyond are recorded as an hour.
const LONGEST_NS: u64 = 3_600_000_000_000;
/// Percentiles are exact to one part in a thousand.
const SIGNIFICANT_DIGITS: u8 = 3;

/// A histogram of durations.
pub(crate) struct Durations(Histogram<u64>);

impl Durations {
    pub(crate) fn new() -> Self {
        let histogram = Histogram::new_with_bounds(RESOLUTION_NS, LONGEST_NS, SIGNIFICANT_DIGITS);
        Self(histogram.expect("the bounds are constants that the histogram accepts"))
    }

    pub(crate) fn record(&mut self, duration: Duration) {
        let nanoseconds = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        self.0.saturating_record(nanoseconds);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn count(&self) -> u64 {
        self.0.len()
    }

    /// The value that `percentile` percent of all values do not exceed.
    pub(crate) fn percentile(&self, percentile: f64) -> Duration {
        // The histogram answers with the upper end of a bucket, which may lie above the maximum.
        Duration::from_nanos(self.0.value_at_percentile(percentile).min(self.0.max()))
    }

    pub(crate) fn max(&self) -> Duration {
        Duration::from_nanos(self.0.max())
    }

    pub(crate) fn min(&self) -> Duration {
        Duration::from_nanos(self.0.min())
    }

    pub(crate) fn mean(&self) -> Duration {
        Duration::from_nanos(self.0.mean() as u64)
    }

    pub(crate) fn stddev(&self) -> Duration {
        Duration::from_nanos(self.0.stdev() as u64)
    }
}

/// How one kind of fault showed itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FaultCount {
    pub(crate) kind: FaultKind,
    pub(crate) count: u64,
    /// What the first of its kind said.
    pub(crate) first: String,
}

/// Faults by kind, in the order in which the kinds first appeared.
#[derive(Debug, Default)]
pub(crate) struct Faults(Vec<FaultCount>);

impl Faults {
    pub(crate) fn add(&mut self, fault: &Fault, count: u64) {
        if let Some(known) = self.0.iter_mut().find(|known| known.kind == fault.kind) {
            known.count += count;
        } else if count > 0 {
            self.0.push(FaultCount {
                kind: fault.kind,
                count,
                first: fault.detail.clone(),
            });
        }
    }

    pub(crate) fn total(&self) -> u64 {
        self.0.iter().map(|fault| fault.count).sum()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &FaultCount> {
        self.0.iter()
    }
}

const STATUS_FIRST: u16 = 100;
const STATUS_COUNT: usize = 900;

/// Everything counted between the end of the warm-up and the end of the run, and the life of the
/// connections from the very beginning.
pub(crate) struct Record {
    /// Sent to answered.
    pub(crate) service: Durations,
    /// Due to answered. Empty in the closed loop.
    pub(crate) corrected: Durations,
    /// Due to sent, of requests for which a connection was free: the client's own lateness.
    pub(crate) send_lag: Durations,
    statuses: Box<[u64; STATUS_COUNT]>,
    pub(crate) received_bytes: u64,
    pub(crate) sent_bytes: u64,
    /// Requests that will not be answered.
    pub(crate) failed: Faults,
    /// Requests that found every connection busy when they were due.
    pub(crate) queued: u64,
    /// Requests sent again because an answer before them announced the end of the connection.
    pub(crate) resent: u64,
    pub(crate) connections: Connections,
}

/// The life of the connections, set-up and warm-up included.
pub(crate) struct Connections {
    /// Attempt to established.
    pub(crate) connect: Durations,
    pub(crate) failed: Faults,
    /// Connections that were made again after they had been up.
    pub(crate) reconnects: u64,
    /// Ends that the peer announced with its answer.
    pub(crate) closed_by_answer: u64,
    /// Ends between requests.
    pub(crate) closed_idle: u64,
    /// Ends that failed requests: reset, closed early, timed out, not understood.
    pub(crate) broken: u64,
}

impl Record {
    pub(crate) fn new() -> Self {
        Self {
            service: Durations::new(),
            corrected: Durations::new(),
            send_lag: Durations::new(),
            statuses: Box::new([0; STATUS_COUNT]),
            received_bytes: 0,
            sent_bytes: 0,
            failed: Faults::default(),
            queued: 0,
            resent: 0,
            connections: Connections {
                connect: Durations::new(),
                failed: Faults::default(),
                reconnects: 0,
                closed_by_answer: 0,
                closed_idle: 0,
                broken: 0,
            },
        }
    }

    pub(crate) fn status(&mut self, status: u16) {
        let index = usize::from(status.wrapping_sub(STATUS_FIRST));
        if let Some(count) = self.statuses.get_mut(index) {
            *count += 1;
        }
    }

    /// Status codes that were seen, with their counts.
    pub(crate) fn statuses(&self) -> impl Iterator<Item = (u16, u64)> {
        let all = (STATUS_FIRST..).zip(self.statuses.iter().copied());
        all.filter(|(_, count)| *count > 0)
    }

    pub(crate) fn answered(&self) -> u64 {
        self.service.count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_exact_to_a_thousandth() {
        let mut durations = Durations::new();
        for microseconds in 1..=100_000 {
            durations.record(Duration::from_micros(microseconds));
        }
        for (percentile, exact_us) in [(50.0, 50_000.0), (99.0, 99_000.0), (99.99, 99_990.0)] {
            let found_us = durations.percentile(percentile).as_nanos() as f64 / 1_000.0;
            assert!(
                (found_us / exact_us - 1.0).abs() < 0.001,
                "p{percentile}: {found_us}"
            );
        }
        assert!(durations.percentile(100.0) <= durations.max());
    }

    #[test]
    fn a_duration_past_the_range_is_kept_as_the_longest() {
        let mut durations = Durations::new();
        durations.record(Duration::from_secs(100_000));
        assert_eq!(durations.count(), 1);
        assert!(durations.max() >= Duration::from_secs(3_600));
    }

    #[test]
    fn statuses_are_counted_apart_and_nonsense_is_left_out() {
        let mut record = Record::new();
        for status in [200, 200, 503, 999, 100, 0, 1_000] {
            record.status(status);
        }
        let counts: Vec<_> = record.statuses().collect();
        assert_eq!(counts, [(100, 1), (200, 2), (503, 1), (999, 1)]);
    }

    #[test]
    fn the_first_of_a_kind_of_fault_is_remembered() {
        let mut faults = Faults::default();
        faults.add(&Fault::new(FaultKind::Timeout, "after 1s"), 2);
        faults.add(&Fault::new(FaultKind::Reset, "by peer"), 1);
        faults.add(&Fault::new(FaultKind::Timeout, "after 2s"), 3);
        faults.add(&Fault::new(FaultKind::ClosedEarly, "nothing was lost"), 0);
        let seen: Vec<_> = faults
            .iter()
            .map(|f| (f.kind, f.count, f.first.as_str()))
            .collect();
        assert_eq!(
            seen,
            [
                (FaultKind::Timeout, 5, "after 1s"),
                (FaultKind::Reset, 1, "by peer")
            ]
        );
        assert_eq!(faults.total(), 6);
    }
}
