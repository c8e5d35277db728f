//! What a turn did, what all turns did, and what goes on in the blocking pool.

use std::time::Duration;

/// What one turn of the loop did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct TurnStats {
    /// Whether the operating system was asked for I/O in this turn.
    pub polled: bool,
    /// I/O events that were reported.
    pub events: usize,
    /// Timers that were due.
    pub timers: usize,
    /// Wakes from other threads.
    pub remote_wakes: usize,
    /// Tasks that were stepped.
    pub steps: usize,
}

/// What all turns of a loop did so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct LoopStats {
    /// Turns taken.
    pub turns: u64,
    /// Tasks stepped.
    pub steps: u64,
    /// Tasks alive, finished ones that nobody has joined yet included.
    pub tasks: usize,
    /// Timers armed.
    pub timers: usize,
    /// Sockets open.
    pub sockets: usize,
}

/// What goes on in a loop's blocking pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct BlockingStats {
    /// Threads there are, of [`Config::blocking_threads_max`](crate::Config::blocking_threads_max)
    /// there may be.
    pub threads: usize,
    /// Threads that have nothing to do.
    pub idle: usize,
    /// Jobs that run.
    pub running: usize,
    /// Jobs that wait for a thread.
    pub queued: usize,
    /// Callers that wait for a place in the queue.
    pub in_line: usize,
    /// Jobs that have run, those that panicked included.
    pub finished: u64,
    /// The longest that a job has waited for its thread so far, the time in line included.
    pub longest_wait: Duration,
}
