//! How much memory a server has in RAM, and whether it grows.

use std::time::Duration;

use crate::usage::UsageError;

/// Bytes of a process of this machine that are in RAM; `None` where they cannot be known.
pub(crate) fn resident_bytes(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    parse_status(&status)
}

/// Judges a process id that the user gave.
pub(crate) fn check_pid(pid: u32) -> Result<(), UsageError> {
    match resident_bytes(pid) {
        Some(_) => Ok(()),
        None => Err(UsageError::new(
            format!("--pid {pid}"),
            "no process of this machine whose memory can be read",
            "Give the server's process id, or leave it out: then its memory is not looked at.",
        )),
    }
}

fn parse_status(status: &str) -> Option<u64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.split_ascii_whitespace().next()?.parse().ok()?;
    Some(kib * 1024)
}

/// Memory at several moments of a run.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Samples(Vec<(Duration, u64)>);

impl Samples {
    /// Adds what it was at `elapsed`.
    pub(crate) fn add(&mut self, elapsed: Duration, bytes: u64) {
        self.0.push((elapsed, bytes));
    }

    pub(crate) fn first(&self) -> Option<u64> {
        self.0.first().map(|(_, bytes)| *bytes)
    }

    pub(crate) fn last(&self) -> Option<u64> {
        self.0.last().map(|(_, bytes)| *bytes)
    }

    pub(crate) fn max(&self) -> Option<u64> {
        self.0.iter().map(|(_, bytes)| *bytes).max()
    }

    /// Bytes by which it grew a second, by least squares over the second half: at the beginning
    /// every server takes what it needs. `None` of fewer than four samples.
    pub(crate) fn slope_per_second(&self) -> Option<f64> {
        let half = &self.0[self.0.len() / 2..];
        if self.0.len() < 4 {
            return None;
        }
        let count = half.len() as f64;
        let points = || {
            half.iter()
                .map(|(at, bytes)| (at.as_secs_f64(), *bytes as f64))
        };
        let (sum_x, sum_y) = points().fold((0.0, 0.0), |(x, y), (at, bytes)| (x + at, y + bytes));
        let (mean_x, mean_y) = (sum_x / count, sum_y / count);
        let spread: f64 = points().map(|(x, _)| (x - mean_x).powi(2)).sum();
        let common: f64 = points().map(|(x, y)| (x - mean_x) * (y - mean_y)).sum();
        (spread > 0.0).then(|| common / spread)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_word_is_read() {
        assert_eq!(
            parse_status("Name:\tx\nVmRSS:\t    5708 kB\n"),
            Some(5_844_992)
        );
        assert_eq!(parse_status("Name:\tkthreadd\n"), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_process_has_memory_and_another_may_not_be_there() {
        assert!(resident_bytes(std::process::id()).is_some_and(|bytes| bytes > 100_000));
        assert_eq!(resident_bytes(u32::MAX), None);
    }

    fn samples(bytes: impl Fn(u64) -> u64) -> Samples {
        let mut samples = Samples::default();
        for second in 0..20 {
            samples.add(Duration::from_secs(second), bytes(second));
        }
        samples
    }

    #[test]
    fn a_steady_growth_has_its_slope_and_a_beginning_has_none() {
        let grows = samples(|second| 1_000 + 50 * second).slope_per_second();
        assert!((grows.expect("enough") - 50.0).abs() < 0.001, "{grows:?}");
        let settles = samples(|second| 1_000 * second.min(5)).slope_per_second();
        assert_eq!(settles, Some(0.0));
        assert_eq!(Samples::default().slope_per_second(), None);
    }
}
