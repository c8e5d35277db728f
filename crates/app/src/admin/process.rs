//! What the system knows of this process, by the names that all of Prometheus' libraries have for
//! it. On Linux alone, through `/proc`; elsewhere there is nothing of it.

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use std::fmt;

/// The unit of times in `/proc`: `USER_HZ`, which is 100 on all of Linux' own systems, and taken for
/// that by Prometheus' own libraries.
const TICKS_PER_SECOND: f64 = 100.0;

/// A process at one moment. What could not be read is not told.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Process {
    cpu_seconds: Option<f64>,
    start_time_seconds: Option<f64>,
    resident_memory_bytes: Option<u64>,
    virtual_memory_bytes: Option<u64>,
    open_fds: Option<u64>,
    max_fds: Option<u64>,
}

impl Process {
    /// Reads what there is. It blocks, for as long as it takes to count descriptors.
    pub(super) fn read() -> Process {
        let text = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let open_fds = std::fs::read_dir("/proc/self/fd").ok();
        Process {
            // One of them is the directory's own.
            open_fds: open_fds.map(|fds| (fds.count() as u64).saturating_sub(1)),
            ..Process::of(
                &text("/proc/self/stat"),
                &text("/proc/self/status"),
                &text("/proc/self/limits"),
                &text("/proc/stat"),
            )
        }
    }

    /// See proc_pid_stat(5), proc_pid_status(5), proc_pid_limits(5) and proc_stat(5).
    fn of(stat: &str, status: &str, limits: &str, system: &str) -> Process {
        // The second field is the program's name, in which there may be anything.
        let behind_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
        let ticks = |number: usize| {
            let field = behind_name.split_ascii_whitespace().nth(number - 3)?;
            Some(field.parse::<u64>().ok()? as f64 / TICKS_PER_SECOND)
        };
        let booted_at = number_behind(system, "btime").map(|seconds| seconds as f64);
        let bytes = |name| number_behind(status, name).map(|kib| kib * 1024);
        Process {
            cpu_seconds: ticks(14).zip(ticks(15)).map(|(user, system)| user + system),
            start_time_seconds: ticks(22).zip(booted_at).map(|(ran, boot)| ran + boot),
            resident_memory_bytes: bytes("VmRSS:"),
            virtual_memory_bytes: bytes("VmSize:"),
            open_fds: None,
            max_fds: number_behind(limits, "Max open files"),
        }
    }
}

/// The number that follows in the line that begins so.
fn number_behind(text: &str, start: &str) -> Option<u64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(start))?;
    rest.split_ascii_whitespace().next()?.parse().ok()
}

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        if let Some(seconds) = self.cpu_seconds {
            let help = "Total user and system CPU time spent in seconds";
            let name = "process_cpu_seconds";
            let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            metric.encode_counter::<NoLabelSet, _, f64>(&seconds, None)?;
        }
        if let Some(seconds) = self.start_time_seconds {
            let help = "Start time of the process since the Unix epoch in seconds";
            let name = "process_start_time_seconds";
            let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            metric.encode_gauge(&seconds)?;
        }
        for (name, help, value) in [
            (
                "process_resident_memory_bytes",
                "Resident memory size in bytes",
                self.resident_memory_bytes,
            ),
            (
                "process_virtual_memory_bytes",
                "Virtual memory size in bytes",
                self.virtual_memory_bytes,
            ),
            (
                "process_open_fds",
                "Number of open file descriptors",
                self.open_fds,
            ),
            (
                "process_max_fds",
                "Maximum number of open file descriptors",
                self.max_fds,
            ),
        ] {
            if let Some(value) = value {
                let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
                metric.encode_gauge(&value)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_read_whatever_its_name_is() {
        let stat = "7 (a) b (c) S 1 7 7 0 -1 4194560 1 0 0 0 150 50 0 0 20 0 3 0 2000 9 9";
        let status = "Name:\ta\nVmSize:\t   2048 kB\nVmRSS:\t    1024 kB\n";
        let limits =
            "Limit  Soft  Hard  Units\nMax open files            1024        4096    files\n";
        let seen = Process::of(stat, status, limits, "cpu 1 2\nbtime 1000000\n");
        let expected = Process {
            cpu_seconds: Some(2.0),
            start_time_seconds: Some(1_000_020.0),
            resident_memory_bytes: Some(1024 * 1024),
            virtual_memory_bytes: Some(2048 * 1024),
            open_fds: None,
            max_fds: Some(1024),
        };
        assert_eq!(seen, expected);
    }

    #[test]
    fn what_cannot_be_read_is_not_told() {
        let unlimited = "Max open files            unlimited        4096    files\n";
        assert_eq!(Process::of("", "", unlimited, ""), Process::default());
    }
}
