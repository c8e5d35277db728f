//! What one turn of the loop did, stage by stage.

use crate::stats::TurnStats;
use crate::task::TaskId;
use std::panic::Location;
use std::time::Duration;

/// What one turn of the loop did.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct TurnTrace {
    /// Which turn it was, counted from the loop's first.
    pub number: u64,
    /// What its stages brought in.
    pub stats: TurnStats,
    /// From the end of the turn before to the return of the operating system: mostly the time in
    /// which there was nothing to do.
    pub waited: Duration,
    /// From there to the end of the last step.
    pub took: Duration,
    /// The tasks that were stepped, in their order; of a long turn the first
    /// [`STEPPED_MAX`](TurnTrace::STEPPED_MAX).
    pub stepped: Vec<SteppedTask>,
}

impl TurnTrace {
    /// Steps of one turn that are written down at most.
    pub const STEPPED_MAX: usize = 128;
}

/// A step of a turn.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SteppedTask {
    /// The task.
    pub id: TaskId,
    /// The name given at spawn.
    pub name: Option<String>,
    /// Where it was spawned.
    pub place: &'static Location<'static>,
    /// How long the step took.
    pub took: Duration,
}
