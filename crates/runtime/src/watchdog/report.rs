//! What a watchdog says.

use super::stacks::Calls;
use super::watch::Seen;
use crate::task::TaskId;
use std::panic::Location;
use std::time::{Duration, Instant};

/// What the loop tells of a step that was caught, when it has ended.
#[derive(Debug)]
pub(crate) struct LateStep {
    pub(crate) step: u64,
    pub(crate) task: TaskId,
    pub(crate) name: Option<String>,
    pub(crate) place: &'static Location<'static>,
    /// What the variables that are shown say.
    pub(crate) context: String,
    /// The turn began no later than the step did.
    pub(crate) turn_began: Instant,
    pub(crate) ended: Instant,
    /// Tasks that were ready when it ended, or were found to be in the turn after.
    pub(crate) waiting: usize,
    /// That turn.
    pub(crate) next_turn: Instant,
}

/// A step that was caught while it lasted.
pub(super) struct CaughtStep {
    pub(super) seen: Seen,
    pub(super) stack: Option<Calls>,
}

/// What stands in the place of a stack.
const NO_STACK: &str = "could not be taken";

impl CaughtStep {
    /// In one line, as fields of a log are.
    fn stack(&self) -> String {
        match &self.stack {
            Some(calls) => calls.join(" <- "),
            None => NO_STACK.to_owned(),
        }
    }

    /// The step has ended.
    pub(super) fn tell(&self, late: &LateStep) {
        // It began after both.
        let began = self.seen.before.max(late.turn_began);
        tracing::warn!(
            target: TARGET,
            task = late.name.as_deref().unwrap_or("unnamed"),
            id = %late.task,
            spawned_at = %late.place,
            ran_ms = millis(late.ended.saturating_duration_since(began)),
            context = late.context,
            waiting = late.waiting,
            waited_ms = millis(late.next_turn.saturating_duration_since(began)),
            stack = self.stack(),
            "a step stopped the loop: give work that blocks to spawn_blocking, and let long work \
             yield_now"
        );
    }

    /// The step goes on and on.
    pub(super) fn tell_stuck(&self, task: TaskId, lasts: Duration) {
        tracing::warn!(
            target: TARGET,
            id = %task,
            runs_ms = millis(lasts),
            stack = self.stack(),
            "a step is stuck, and the loop with it"
        );
    }

    /// It was no step.
    pub(super) fn tell_of_turn(&self, lasts: Duration) {
        tracing::warn!(
            target: TARGET,
            runs_ms = millis(lasts),
            stack = self.stack(),
            "the loop is stuck outside of its tasks"
        );
    }
}

/// The module that users find in the documentation.
const TARGET: &str = "monoloop_runtime::watchdog";

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
