//! The states of a task. Pure: no socket, no clock, no queue.

/// ```text
///            wake                start_step
///   Idle ───────────> Ready ──────────────────> Running ──> finish
///    ^  \               │                        │    │
///    │   \ cancel       │ cancel            wake │    │ cancel
///    │    v             v                        v    v
///    │   Cancelled <────┘            RunningWoken ──> RunningCancelled ──> finish
///    │      ^   │                        │                    │
///    │      │   │ start_step    end_step │ (Ready)   end_step │ (Cancelled)
///    │      │   v                        v                    │
///    │      │  Dropping ──> finish     queued again           │
///    │      └─────────────────────────────────────────────────┘
///    └─ end_step from Running
///
///   Idle, Ready, Cancelled ──────────> Dropping ──> finish
///                          drop_now
/// ```
/// A task that is `Ready` or `Cancelled` is in the ready queue, once. Nobody else is, but for
/// one that was dropped out of its turn: the queue finds it `Finished`, or gone, and goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TaskState {
    /// Waits for a wake.
    Idle,
    /// In the ready queue.
    Ready,
    /// Being polled.
    Running,
    /// Being polled, and woken meanwhile.
    RunningWoken,
    /// In the ready queue; its next step drops the future.
    Cancelled,
    /// Being polled, and cancelled meanwhile.
    RunningCancelled,
    /// Its future is being dropped.
    Dropping,
    /// Ended; the slot waits for whoever joins.
    Finished,
}

/// What a step is going to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// Poll the future.
    Poll,
    /// Drop the future: the task was cancelled.
    Drop,
}

impl TaskState {
    /// A wake. Returns whether the task has to be queued.
    #[inline]
    pub(crate) fn wake(&mut self) -> bool {
        use TaskState::*;
        let (next, enqueue) = match *self {
            Idle => (Ready, true),
            // Queued when the step ends, so that no task is in the queue twice.
            Running => (RunningWoken, false),
            same @ (Ready | RunningWoken | Cancelled | RunningCancelled | Dropping | Finished) => {
                (same, false)
            }
        };
        *self = next;
        enqueue
    }

    /// A request to cancel. Returns whether the task has to be queued.
    pub(crate) fn cancel(&mut self) -> bool {
        use TaskState::*;
        let (next, enqueue) = match *self {
            Idle => (Cancelled, true),
            // It keeps its place in the queue.
            Ready => (Cancelled, false),
            Running | RunningWoken => (RunningCancelled, false),
            same @ (Cancelled | RunningCancelled | Dropping | Finished) => (same, false),
        };
        *self = next;
        enqueue
    }

    /// The task was taken from the ready queue.
    /// `None` when it was dropped while it was queued.
    #[inline]
    pub(crate) fn start_step(&mut self) -> Option<Step> {
        use TaskState::*;
        let (next, step) = match *self {
            Ready => (Running, Step::Poll),
            Cancelled => (Dropping, Step::Drop),
            Finished => return None,
            Idle | Running | RunningWoken | RunningCancelled | Dropping => {
                unreachable!("only tasks in the ready queue are stepped, this one is {self:?}")
            }
        };
        *self = next;
        Some(step)
    }

    /// The task has to end at once, out of its turn. Returns whether its future can be dropped
    /// here; that of a task that is being stepped, further down the stack, cannot.
    pub(crate) fn drop_now(&mut self) -> bool {
        use TaskState::*;
        let (next, can_drop) = match *self {
            Idle | Ready | Cancelled => (Dropping, true),
            same @ (Running | RunningWoken | RunningCancelled | Dropping | Finished) => {
                (same, false)
            }
        };
        *self = next;
        can_drop
    }

    /// The poll returned `Pending`. Returns whether the task has to be queued again.
    #[inline]
    pub(crate) fn end_step(&mut self) -> bool {
        use TaskState::*;
        let (next, enqueue) = match *self {
            Running => (Idle, false),
            RunningWoken => (Ready, true),
            RunningCancelled => (Cancelled, true),
            Idle | Ready | Cancelled | Dropping | Finished => {
                unreachable!("only a running task ends a step, this one is {self:?}")
            }
        };
        *self = next;
        enqueue
    }

    /// The future is done, has panicked or was dropped.
    pub(crate) fn finish(&mut self) {
        use TaskState::*;
        match *self {
            Running | RunningWoken | RunningCancelled | Dropping => *self = Finished,
            Idle | Ready | Cancelled | Finished => {
                unreachable!("only a task in its step finishes, this one is {self:?}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::TaskState::{self, *};
    use super::*;
    use proptest::prelude::*;

    fn after(mut state: TaskState, event: fn(&mut TaskState) -> bool) -> (TaskState, bool) {
        let enqueue = event(&mut state);
        (state, enqueue)
    }

    #[test]
    fn a_wake_queues_an_idle_task_once() {
        assert_eq!(after(Idle, TaskState::wake), (Ready, true));
        assert_eq!(after(Ready, TaskState::wake), (Ready, false));
    }

    #[test]
    fn a_wake_during_the_step_requeues_once() {
        assert_eq!(after(Running, TaskState::wake), (RunningWoken, false));
        assert_eq!(after(RunningWoken, TaskState::wake), (RunningWoken, false));
        assert_eq!(after(RunningWoken, TaskState::end_step), (Ready, true));
        assert_eq!(after(Running, TaskState::end_step), (Idle, false));
    }

    #[test]
    fn cancelling_queues_an_idle_task_and_keeps_the_place_of_a_ready_one() {
        assert_eq!(after(Idle, TaskState::cancel), (Cancelled, true));
        assert_eq!(after(Ready, TaskState::cancel), (Cancelled, false));
        assert_eq!(after(Cancelled, TaskState::cancel), (Cancelled, false));
    }

    #[test]
    fn a_task_that_is_cancelled_while_it_runs_is_dropped_by_its_next_step() {
        assert_eq!(after(Running, TaskState::cancel), (RunningCancelled, false));
        assert_eq!(
            after(RunningWoken, TaskState::cancel),
            (RunningCancelled, false)
        );
        assert_eq!(
            after(RunningCancelled, TaskState::wake),
            (RunningCancelled, false)
        );
        let (mut state, enqueue) = after(RunningCancelled, TaskState::end_step);
        assert_eq!((state, enqueue), (Cancelled, true));
        assert_eq!(state.start_step(), Some(Step::Drop));
        state.finish();
        assert_eq!(state, Finished);
    }

    #[test]
    fn a_task_is_dropped_out_of_its_turn_unless_it_is_on_the_stack() {
        for state in [Idle, Ready, Cancelled] {
            assert_eq!(after(state, TaskState::drop_now), (Dropping, true));
        }
        for state in [Running, RunningWoken, RunningCancelled, Dropping, Finished] {
            assert_eq!(after(state, TaskState::drop_now), (state, false));
        }
        let mut queued = Finished;
        assert_eq!((queued.start_step(), queued), (None, Finished));
    }

    #[test]
    fn nothing_wakes_or_cancels_a_finished_task() {
        assert_eq!(after(Finished, TaskState::wake), (Finished, false));
        assert_eq!(after(Finished, TaskState::cancel), (Finished, false));
        assert_eq!(after(Dropping, TaskState::wake), (Dropping, false));
        assert_eq!(after(Dropping, TaskState::cancel), (Dropping, false));
    }

    /// What is done to a task.
    #[derive(Debug, Clone, Copy)]
    enum Event {
        Wake,
        Cancel,
        /// The queue has come to it, when it is in it.
        Step,
        /// Its poll returns `Pending`, or it is done.
        Pend,
        End,
        DropNow,
    }

    fn event() -> impl Strategy<Value = Event> {
        use Event::*;
        prop_oneof![
            4 => Just(Wake),
            1 => Just(Cancel),
            4 => Just(Step),
            4 => Just(Pend),
            1 => Just(End),
            1 => Just(DropNow),
        ]
    }

    #[derive(Debug, Clone, Copy, PartialEq)]
    enum Life {
        Waiting,
        Stepping,
        Dropping,
        Over,
    }

    /// A task told in facts that say nothing of each other.
    struct Model {
        life: Life,
        is_woken: bool,
        is_cancelled: bool,
        /// How often it is in the queue.
        queued: u32,
    }

    impl Model {
        /// Who waits and has a reason to be stepped has to be in the queue.
        fn has_to_be_queued(&self) -> bool {
            self.life == Life::Waiting && self.queued == 0 && (self.is_woken || self.is_cancelled)
        }
    }

    proptest! {
        #[test]
        fn a_task_with_a_reason_to_run_is_in_the_queue_once_and_without_one_it_is_not(
            events in prop::collection::vec(event(), 0..60),
        ) {
            let mut state = Ready;
            let mut model = Model {
                life: Life::Waiting,
                is_woken: true,
                is_cancelled: false,
                queued: 1,
            };
            for event in events {
                let queued = match event {
                    Event::Wake => {
                        model.is_woken |= matches!(model.life, Life::Waiting | Life::Stepping);
                        state.wake()
                    }
                    Event::Cancel => {
                        model.is_cancelled |= matches!(model.life, Life::Waiting | Life::Stepping);
                        state.cancel()
                    }
                    Event::Step if model.queued > 0 && model.life != Life::Dropping => {
                        model.queued -= 1;
                        let expected = match (model.life, model.is_cancelled) {
                            (Life::Over, _) => None,
                            (_, true) => Some((Step::Drop, Life::Dropping)),
                            (_, false) => Some((Step::Poll, Life::Stepping)),
                        };
                        prop_assert_eq!(state.start_step(), expected.map(|(step, _)| step));
                        model.life = expected.map_or(Life::Over, |(_, life)| life);
                        model.is_woken = false;
                        false
                    }
                    Event::Pend if model.life == Life::Stepping => {
                        model.life = Life::Waiting;
                        state.end_step()
                    }
                    Event::End if matches!(model.life, Life::Stepping | Life::Dropping) => {
                        model.life = Life::Over;
                        state.finish();
                        false
                    }
                    Event::DropNow => {
                        let can = state.drop_now();
                        prop_assert_eq!(can, model.life == Life::Waiting);
                        if can {
                            model.life = Life::Dropping;
                        }
                        false
                    }
                    Event::Step | Event::Pend | Event::End => continue,
                };
                prop_assert_eq!(queued, model.has_to_be_queued(), "{:?} in {:?}", event, state);
                model.queued += u32::from(queued);
                prop_assert!(model.queued <= 1);
            }
        }
    }
}
