//! What a turn did, and what all turns did.

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
    /// Functions that other threads gave to the loop.
    pub remote_calls: usize,
    /// Tasks that all of these made ready. One that was ready already is not made so.
    pub woken: usize,
    /// Tasks that were stepped.
    pub steps: usize,
    /// Tasks that are ready when the turn ends, for the next.
    pub ready: usize,
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
