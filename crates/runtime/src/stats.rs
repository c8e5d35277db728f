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
