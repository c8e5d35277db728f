//! The CPU time that this program uses.

use std::time::Duration;

/// CPU time used so far, user and system together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct CpuTime {
    /// By this thread, on which the whole load client runs.
    pub(crate) thread: Duration,
    /// By all threads of the process.
    pub(crate) process: Duration,
}

impl CpuTime {
    /// Reads the clocks of the system; zero where there are none.
    pub(crate) fn now() -> Self {
        #[cfg(unix)]
        {
            use rustix::time::{ClockId, clock_gettime};
            let read = |id| {
                let time = clock_gettime(id);
                // CPU time is never negative, and its nanoseconds are below a second.
                Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec as u32)
            };
            Self {
                thread: read(ClockId::ThreadCPUTime),
                process: read(ClockId::ProcessCPUTime),
            }
        }
        #[cfg(not(unix))]
        Self::default()
    }

    /// What was used between `earlier` and this.
    pub(crate) fn since(self, earlier: Self) -> Self {
        Self {
            thread: self.thread.saturating_sub(earlier.thread),
            process: self.process.saturating_sub(earlier.process),
        }
    }

    /// Used by threads other than this one.
    pub(crate) fn others(self) -> Duration {
        self.process.saturating_sub(self.thread)
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn work_on_this_thread_counts_for_thread_and_process() {
        let before = CpuTime::now();
        let mut used = CpuTime::default();
        while used.thread < Duration::from_millis(1) {
            used = CpuTime::now().since(before);
        }
        // The clocks are read one after the other.
        assert!(used.process >= Duration::from_micros(500));
    }
}
