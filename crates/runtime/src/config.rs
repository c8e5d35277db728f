//! Every bound of the runtime, with its default and where the number comes from.

use std::time::Duration;

/// The bounds of one event loop.
///
/// Built with [`Config::default`] and changed field by field; given to
/// [`Builder::config`](crate::Builder::config). A bound of 0 counts as 1, except that no receive
/// buffer need be kept, and no watchdog.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Config {
    /// Steps (polls of a task) in one turn at most. What is left stays first in
    /// the queue. Default 1,024, as many as one poll of the operating system
    /// can wake at the default of `events_per_poll_max`.
    pub steps_per_turn_max: u32,
    /// Steps after which the operating system is asked for I/O and the timers
    /// are judged even though tasks are still ready. Default 61, the precedent
    /// is tokio's `event_interval`: a system call costs as much as some dozens of
    /// short steps, and a task that only yields must not pay one each time.
    pub steps_per_poll_max: u32,
    /// I/O events taken from the operating system in one poll. Default 1,024
    /// (tokio, nginx: 512 to 1,024). poll(2) gives all there are.
    pub events_per_poll_max: u32,
    /// I/O operations that one step may complete before the task has to wait
    /// for its next turn, so that a busy connection cannot starve the others.
    /// Default 128, the precedent is tokio's cooperative budget.
    pub ops_per_step_max: u32,
    /// Size of the buffers that the loop lends to
    /// [`TcpStream::receive`](crate::net::TcpStream::receive), in bytes. Default
    /// 64 KiB: a message of 16 or 32 KiB arrives in one read, and a read that
    /// does not fill the buffer needs no second system call to learn that the
    /// socket is drained.
    pub receive_buffer_bytes: u32,
    /// Receive buffers kept for reuse. More are made when more are out at once.
    /// Default 4.
    pub receive_buffers_kept_max: u32,
    /// Threads of the blocking pool at most. Default `min(32, CPUs + 4)`, as
    /// Python's `ThreadPoolExecutor` has it. Files ([`fs`](crate::fs)) and names
    /// ([`lookup_host`](crate::net::lookup_host)) need them, too. A thread is started when it is
    /// needed and ends after ten idle seconds.
    pub blocking_threads_max: u32,
    /// Jobs that wait for a thread of the blocking pool at most. Beyond that,
    /// callers of [`spawn_blocking`](crate::spawn_blocking) wait their turn.
    /// Default 1,024.
    pub blocking_queue_max: u32,
    /// How long a step may take before the watchdog [speaks](crate::debug); 0 is for ever, and
    /// then there is no watchdog. Default 100 ms, as asyncio's `slow_callback_duration`.
    pub watchdog: Duration,
}

impl Default for Config {
    fn default() -> Self {
        let cpus = std::thread::available_parallelism().map_or(1, usize::from);
        Config {
            steps_per_turn_max: 1024,
            steps_per_poll_max: 61,
            events_per_poll_max: 1024,
            ops_per_step_max: 128,
            receive_buffer_bytes: 64 * 1024,
            receive_buffers_kept_max: 4,
            blocking_threads_max: u32::try_from(cpus + 4).map_or(32, |n| n.min(32)),
            blocking_queue_max: 1024,
            watchdog: Duration::from_millis(100),
        }
    }
}

impl Config {
    /// A loop that may do nothing at a time would stand still.
    pub(crate) fn at_least_one_of_each(mut self) -> Self {
        for bound in [
            &mut self.steps_per_turn_max,
            &mut self.steps_per_poll_max,
            &mut self.events_per_poll_max,
            &mut self.ops_per_step_max,
            &mut self.receive_buffer_bytes,
            &mut self.blocking_threads_max,
            &mut self.blocking_queue_max,
        ] {
            *bound = (*bound).max(1);
        }
        self
    }
}
