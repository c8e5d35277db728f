//! The result of a run, and what is to be thought of it.

use std::time::Duration;

use crate::cpu::CpuTime;
use crate::format;
use crate::plan::Plan;
use crate::record::Record;
use crate::server_watch::ServerSide;

/// A client that uses this share of its one core is what limits the result.
const CPU_SHARE_MAX: f64 = 0.95;
/// Timers tick once a millisecond; a p99 this late is more than that.
const SEND_LAG_MAX: Duration = Duration::from_millis(5);
/// Part of the requests that may find every connection busy without a word about it.
const QUEUED_SHARE_MAX: f64 = 0.01;

/// Why a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// Its time was up.
    Time,
    /// Its requests were done.
    Requests,
    /// Ctrl-C, or SIGTERM.
    Interrupted,
    /// No connection was left to go on with.
    GaveUp,
}

impl Ended {
    /// The name in JSON.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Time => "time",
            Self::Requests => "requests",
            Self::Interrupted => "interrupted",
            Self::GaveUp => "gave_up",
        }
    }
}

/// Everything a run has found.
pub(crate) struct Outcome {
    pub(crate) plan: Plan,
    pub(crate) ended: Ended,
    /// From the first attempt to connect until every connection was tried.
    pub(crate) set_up: Duration,
    /// From the end of the warm-up to the end of the run; zero when it did not get there.
    pub(crate) measured: Duration,
    pub(crate) record: Record,
    /// CPU time used while measuring.
    pub(crate) cpu: CpuTime,
    /// Requests sent and not answered when the run ended.
    pub(crate) in_flight: u64,
    pub(crate) oldest_in_flight: Option<Duration>,
    /// Requests due and not sent when the run ended.
    pub(crate) unsent: u64,
    pub(crate) oldest_unsent: Option<Duration>,
    /// Connections open when the run ended.
    pub(crate) open: usize,
    /// What was found at the server's side.
    pub(crate) server: ServerSide,
}

impl Outcome {
    pub(crate) fn has_succeeded(&self) -> bool {
        self.record.answered() > 0
    }

    /// `count` per second of the measured time.
    pub(crate) fn per_second(&self, count: u64) -> f64 {
        if self.measured.is_zero() {
            0.0
        } else {
            count as f64 / self.measured.as_secs_f64()
        }
    }

    /// The part of one core that the client used.
    pub(crate) fn cpu_share(&self) -> f64 {
        self.share_of_core(self.cpu.thread)
    }

    pub(crate) fn share_of_core(&self, used: Duration) -> f64 {
        if self.measured.is_zero() {
            0.0
        } else {
            used.as_secs_f64() / self.measured.as_secs_f64()
        }
    }

    pub(crate) fn cpu_per_answer(&self, used: Duration) -> Duration {
        match self.record.answered() {
            0 => Duration::ZERO,
            answered => Duration::from_secs_f64(used.as_secs_f64() / answered as f64),
        }
    }

    /// Whether the numbers say more about the client than about the server.
    pub(crate) fn is_client_limited(&self) -> bool {
        self.cpu_share() >= CPU_SHARE_MAX || self.is_sending_late()
    }

    fn is_sending_late(&self) -> bool {
        let lag = &self.record.send_lag;
        !lag.is_empty() && lag.percentile(99.0) > SEND_LAG_MAX
    }

    /// What a reader of the numbers must know, most important first.
    pub(crate) fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if self.cpu_share() >= CPU_SHARE_MAX {
            warnings.push(format!(
                "The client used {:.0} % of its core: it was the limit, not the server. Latency \
                 includes its own queue; use --rate, fewer connections, or several clients.",
                self.cpu_share() * 100.0
            ));
        }
        if self.is_sending_late() {
            warnings.push(format!(
                "The client sent late (p99 {} after requests were due, with connections free): \
                 it, or a machine too busy for it, was the limit. Ask for a lower --rate.",
                format::duration(self.record.send_lag.percentile(99.0))
            ));
        }
        if self.plan.rate.is_some() {
            self.warn_of_queueing(&mut warnings);
        }
        if !self.server.is_reconciled() {
            warnings.push(
                "Client and server do not tell the same: see \"reconciled\" above.".to_owned(),
            );
        }
        self.warn_of_failures(&mut warnings);
        self.warn_of_few_samples(&mut warnings);
        warnings
    }

    fn warn_of_queueing(&self, warnings: &mut Vec<String>) {
        let answered = self.record.answered();
        if self.record.queued as f64 > answered as f64 * QUEUED_SHARE_MAX {
            warnings.push(format!(
                "{} requests found every connection busy when they were due. The wait counts in \
                 the latency from due; with more --connections it would be the server's queue.",
                format::count(self.record.queued)
            ));
        }
        // What became due in the last tick is no backlog.
        if let Some(age) = self.oldest_unsent.filter(|age| *age > SEND_LAG_MAX) {
            warnings.push(format!(
                "{} requests were due and never sent, the oldest for {}: the server did not keep \
                 up. They are in no percentile.",
                format::count(self.unsent),
                format::duration(age)
            ));
        }
    }

    fn warn_of_failures(&self, warnings: &mut Vec<String>) {
        let failed = self.record.failed.total();
        if failed > 0 {
            warnings.push(format!(
                "{} requests failed. They are in no percentile.",
                format::count(failed)
            ));
        }
        // Where every answer ends its connection, some are always being made again.
        let ends_are_normal = self.record.connections.closed_by_answer > 0;
        if self.open < self.plan.connections && !ends_are_normal {
            warnings.push(format!(
                "Only {} of {} connections were open at the end.",
                format::count(self.open as u64),
                format::count(self.plan.connections as u64)
            ));
        }
        let refused: u64 = self
            .record
            .statuses()
            .filter(|(code, _)| *code >= 400)
            .map(|(_, count)| count)
            .sum();
        if refused > 0 {
            warnings.push(format!(
                "{} of {} answers have a status of 400 or more. They count like all others.",
                format::count(refused),
                format::count(self.record.answered())
            ));
        }
    }

    /// A percentile that fewer than ten answers lie beyond is close to the maximum by chance.
    fn warn_of_few_samples(&self, warnings: &mut Vec<String>) {
        let answered = self.record.answered();
        let (percentile, needed) = match answered {
            0 => return,
            1..1_000 => ("p99", 1_000),
            1_000..10_000 => ("p99.9", 10_000),
            10_000..100_000 => ("p99.99", 100_000),
            _ => return,
        };
        warnings.push(format!(
            "{percentile} and beyond rest on fewer than ten answers each; {} answers or more \
             make {percentile} mean something.",
            format::count(needed)
        ));
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::net::SocketAddr;

    use super::*;
    use crate::fault::{Fault, FaultKind};
    use crate::plan::{Stop, Work};
    use crate::server_watch::Watched;
    use crate::sources::Sources;

    /// A run of ten seconds with 1,000 connections in which nothing was answered yet.
    pub(crate) fn outcome() -> Outcome {
        let mut record = Record::new();
        for _ in 0..1_000 {
            record.connections.connect.record(Duration::from_millis(1));
        }
        Outcome {
            plan: Plan {
                work: Work::Echo { message_bytes: 64 },
                address: SocketAddr::from(([127, 0, 0, 1], 7000)),
                connections: 1_000,
                stop: Stop::After(Duration::from_secs(10)),
                rate: None,
                warmup: Duration::from_secs(1),
                pipeline: 1,
                timeout: Duration::from_secs(10),
                connect_rate: 10_000.0,
                sources: Sources::default(),
                json: None,
                watched: Watched::default(),
            },
            ended: Ended::Time,
            set_up: Duration::from_millis(100),
            measured: Duration::from_secs(10),
            record,
            cpu: CpuTime {
                thread: Duration::from_secs(4),
                process: Duration::from_secs(4),
            },
            in_flight: 0,
            oldest_in_flight: None,
            unsent: 0,
            oldest_unsent: None,
            open: 1_000,
            server: ServerSide::default(),
        }
    }

    fn answered(outcome: &mut Outcome, count: u64) {
        for _ in 0..count {
            outcome.record.service.record(Duration::from_millis(1));
        }
    }

    #[test]
    fn a_busy_client_is_said_to_be_the_limit() {
        let mut outcome = outcome();
        answered(&mut outcome, 100_000);
        assert!(outcome.warnings().is_empty(), "{:?}", outcome.warnings());
        outcome.cpu.thread = Duration::from_millis(9_600);
        assert!(outcome.is_client_limited());
        assert!(outcome.warnings()[0].contains("96 % of its core"));
    }

    #[test]
    fn a_client_that_sends_late_is_said_to_be_the_limit() {
        let mut outcome = outcome();
        outcome.plan.rate = Some(10_000.0);
        answered(&mut outcome, 100_000);
        outcome.record.send_lag.record(Duration::from_millis(1));
        assert!(!outcome.is_client_limited());
        outcome.record.send_lag.record(Duration::from_millis(20));
        assert!(outcome.is_client_limited());
        assert!(outcome.warnings()[0].contains("sent late (p99 20.0 ms"));
    }

    #[test]
    fn what_the_percentiles_leave_out_is_said() {
        let mut outcome = outcome();
        outcome.plan.rate = Some(10_000.0);
        answered(&mut outcome, 100_000);
        outcome.record.queued = 5_000;
        outcome.unsent = 12;
        outcome.oldest_unsent = Some(Duration::from_secs(2));
        outcome
            .record
            .failed
            .add(&Fault::new(FaultKind::Reset, "reset"), 3);
        outcome.record.status(503);
        outcome.open = 999;
        let warnings = outcome.warnings().join("\n");
        for part in [
            "5,000 requests found every connection busy",
            "12 requests were due and never sent, the oldest for 2.00 s",
            "3 requests failed",
            "Only 999 of 1,000 connections",
            "1 of 100,000 answers have a status of 400 or more",
        ] {
            assert!(warnings.contains(part), "{part}\n{warnings}");
        }
    }

    #[test]
    fn rates_of_a_run_that_measured_nothing_are_zero() {
        let mut outcome = outcome();
        outcome.measured = Duration::ZERO;
        assert_eq!(outcome.per_second(5), 0.0);
        assert_eq!(outcome.cpu_share(), 0.0);
        assert_eq!(
            outcome.cpu_per_answer(Duration::from_secs(1)),
            Duration::ZERO
        );
        assert!(!outcome.has_succeeded());
    }
}
