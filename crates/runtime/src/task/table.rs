//! All tasks of a loop, in slots that carry a generation.
//!
//! Plain data: it never polls, drops or wakes anything itself. Whatever may run user
//! code (futures, outputs, wakers) is handed out to the caller.

use crate::context::Context;
use crate::debug::Unread;
use crate::task::{Cancelled, JoinError, Step, TaskId, TaskState, Waiter, Work};
use slotmap::SlotMap;
use std::backtrace::Backtrace;
use std::borrow::Cow;
use std::panic::Location;
use std::pin::Pin;
use std::rc::Rc;
use std::task::Waker;

/// The future of a task; absent while it is stepped, and for the loop's main future.
pub(crate) type BoxedWork = Pin<Box<dyn Work>>;

/// One task. What every step touches comes first and is small; the rest is boxed when
/// there is any of it, so that a plain task costs 80 bytes beside its future.
pub(crate) struct Slot {
    work: Option<BoxedWork>,
    context: Context,
    joiner: Waiter,
    rare: Option<Box<Rare>>,
    place: &'static Location<'static>,
    parent: Option<TaskId>,
    steps: u32,
    state: TaskState,
    detached: bool,
}

const _: () = assert!(size_of::<Slot>() <= 80);

/// What few tasks have.
#[derive(Default)]
struct Rare {
    name: Option<Cow<'static, str>>,
    cancel_reason: Option<&'static str>,
    /// The task's own waker, once somebody has cloned it.
    waker: Option<Waker>,
    /// Why there is no output.
    failure: Option<JoinError>,
    /// In debug mode, if it was asked for.
    spawned_from: Option<Rc<Backtrace>>,
}

/// What a task is born with.
pub(crate) struct NewTask {
    pub(crate) work: Option<BoxedWork>,
    pub(crate) context: Context,
    pub(crate) name: Option<Cow<'static, str>>,
    pub(crate) place: &'static Location<'static>,
    pub(crate) parent: Option<TaskId>,
}

/// A task lifted out of its slot for one step.
pub(crate) struct Stepping {
    pub(crate) step: Step,
    pub(crate) work: Option<BoxedWork>,
    pub(crate) context: Context,
    pub(crate) waker: Option<Waker>,
}

/// What a joiner finds.
pub(crate) enum Joined {
    /// Not finished yet; the joiner is remembered. Inside is who was remembered before.
    Pending(Waiter),
    /// Finished with an output, which is still inside.
    Output(BoxedWork),
    /// Cancelled or panicked.
    Failed(JoinError),
}

/// Where and under what name a task was spawned, for messages.
pub(crate) struct TaskLabel {
    pub(crate) name: Option<Cow<'static, str>>,
    pub(crate) place: &'static Location<'static>,
    pub(crate) spawned_from: Option<Rc<Backtrace>>,
}

/// What can be seen of a task.
pub(crate) struct TaskView<'a> {
    pub(crate) name: Option<&'a str>,
    pub(crate) place: &'static Location<'static>,
    pub(crate) parent: Option<TaskId>,
    pub(crate) state: TaskState,
    pub(crate) steps: u32,
    pub(crate) cancel_reason: Option<&'static str>,
    /// Empty while the task is being stepped.
    pub(crate) context: &'a Context,
}

#[derive(Default)]
pub(crate) struct TaskTable {
    slots: SlotMap<slotmap::DefaultKey, Slot>,
}

impl TaskTable {
    /// Adds a task that has to be queued at once.
    pub(crate) fn insert(&mut self, new: NewTask) -> TaskId {
        let rare = new.name.map(|name| {
            Box::new(Rare {
                name: Some(name),
                ..Rare::default()
            })
        });
        TaskId(self.slots.insert(Slot {
            work: new.work,
            context: new.context,
            joiner: Waiter::NOBODY,
            rare,
            place: new.place,
            parent: new.parent,
            steps: 0,
            state: TaskState::Ready,
            detached: false,
        }))
    }

    pub(crate) fn set_spawned_from(&mut self, id: TaskId, backtrace: Rc<Backtrace>) {
        if let Some(slot) = self.slots.get_mut(id.0) {
            slot.rare.get_or_insert_default().spawned_from = Some(backtrace);
        }
    }

    /// Returns whether the task has to be queued; a task that is gone has not.
    #[inline]
    pub(crate) fn wake(&mut self, id: TaskId) -> bool {
        self.slots
            .get_mut(id.0)
            .is_some_and(|slot| slot.state.wake())
    }

    /// Returns whether the task has to be queued.
    pub(crate) fn cancel(&mut self, id: TaskId, reason: &'static str) -> bool {
        let Some(slot) = self.slots.get_mut(id.0) else {
            return false;
        };
        let enqueue = slot.state.cancel();
        let cancelled = matches!(
            slot.state,
            TaskState::Cancelled | TaskState::RunningCancelled
        );
        if cancelled {
            // The first reason stands.
            let rare = slot.rare.get_or_insert_default();
            rare.cancel_reason.get_or_insert(reason);
        }
        enqueue
    }

    /// Lifts the task out for a step. `None` when it is gone.
    #[inline]
    pub(crate) fn start_step(&mut self, id: TaskId) -> Option<Stepping> {
        let slot = self.slots.get_mut(id.0)?;
        let step = slot.state.start_step()?;
        slot.steps = slot.steps.saturating_add(1);
        Some(Stepping {
            step,
            work: slot.work.take(),
            context: slot.context.take(),
            waker: slot.rare.as_mut().and_then(|rare| rare.waker.take()),
        })
    }

    /// Lifts the task out to be dropped out of its turn. `None` when it has ended, or is being
    /// stepped.
    pub(crate) fn start_drop(&mut self, id: TaskId, reason: &'static str) -> Option<Stepping> {
        let slot = self.slots.get_mut(id.0)?;
        if !slot.state.drop_now() {
            return None;
        }
        let rare = slot.rare.get_or_insert_default();
        rare.cancel_reason.get_or_insert(reason);
        Some(Stepping {
            step: Step::Drop,
            work: slot.work.take(),
            context: slot.context.take(),
            waker: rare.waker.take(),
        })
    }

    /// Puts the task back after a step that ended in `Pending`. Returns whether it has
    /// to be queued again.
    // Two copies of the loop call it, each of which is the only one that runs.
    #[inline(always)]
    pub(crate) fn end_step(&mut self, id: TaskId, stepped: Stepping) -> bool {
        let slot = &mut self.slots[id.0];
        slot.work = stepped.work;
        slot.context = stepped.context;
        if stepped.waker.is_some() {
            slot.rare.get_or_insert_default().waker = stepped.waker;
        }
        slot.state.end_step()
    }

    /// Ends the task. Returns who waits for it, and what has to be dropped by the caller
    /// because nobody will ever ask for it.
    pub(crate) fn finish(
        &mut self,
        id: TaskId,
        work: Option<BoxedWork>,
        failure: Option<JoinError>,
    ) -> Finished {
        let slot = &mut self.slots[id.0];
        slot.state.finish();
        slot.work = work;
        if let Some(failure) = failure {
            slot.rare.get_or_insert_default().failure = Some(failure);
        }
        let joiner = slot.joiner.take();
        if slot.detached {
            return Finished {
                joiner,
                removed: self.slots.remove(id.0).map(Removed),
            };
        }
        Finished {
            joiner,
            removed: None,
        }
    }

    /// What became of the task; remembers who asks when it is not finished.
    pub(crate) fn poll_join(&mut self, id: TaskId, joiner: Waiter) -> Joined {
        let Some(slot) = self.slots.get_mut(id.0) else {
            // A slot stays until its join handle was answered or dropped, unless the loop ended.
            return Joined::Failed(JoinError::Cancelled(Cancelled::LOOP_ENDED));
        };
        if slot.state != TaskState::Finished {
            return Joined::Pending(std::mem::replace(&mut slot.joiner, joiner));
        }
        let mut slot = self.slots.remove(id.0).expect("it was found just now");
        match slot.rare.as_mut().and_then(|rare| rare.failure.take()) {
            Some(failure) => Joined::Failed(failure),
            None => Joined::Output(
                slot.work
                    .take()
                    .expect("a task without failure has its output"),
            ),
        }
    }

    /// The join handle is gone: from now on nobody asks for the result. Returns what
    /// has to be dropped by the caller: who was remembered, and the task when it is already
    /// finished.
    pub(crate) fn detach(&mut self, id: TaskId) -> (Option<Waiter>, Option<Removed>) {
        let Some(slot) = self.slots.get_mut(id.0) else {
            return (None, None);
        };
        slot.detached = true;
        let joiner = slot.joiner.take();
        if slot.state != TaskState::Finished {
            return (joiner, None);
        }
        (joiner, self.slots.remove(id.0).map(Removed))
    }

    /// The reason given to `cancel`.
    pub(crate) fn cancelled(&self, id: TaskId) -> Cancelled {
        let reason = self.cancel_reason(id);
        Cancelled {
            reason: reason.unwrap_or(Cancelled::DEFAULT_REASON),
        }
    }

    /// The reason given to `cancel`, when somebody has asked the task to end.
    pub(crate) fn cancel_reason(&self, id: TaskId) -> Option<&'static str> {
        self.slots.get(id.0)?.rare.as_ref()?.cancel_reason
    }

    pub(crate) fn state(&self, id: TaskId) -> Option<TaskState> {
        self.slots.get(id.0).map(|slot| slot.state)
    }

    pub(crate) fn is_finished(&self, id: TaskId) -> bool {
        self.slots
            .get(id.0)
            .is_none_or(|slot| slot.state == TaskState::Finished)
    }

    pub(crate) fn label(&self, id: TaskId) -> Option<TaskLabel> {
        self.slots.get(id.0).map(Slot::label)
    }

    pub(crate) fn parent(&self, id: TaskId) -> Option<TaskId> {
        self.slots.get(id.0).and_then(|slot| slot.parent)
    }

    pub(crate) fn steps(&self, id: TaskId) -> Option<u32> {
        self.slots.get(id.0).map(|slot| slot.steps)
    }

    /// What can be seen of a task from outside.
    pub(crate) fn view(&self, id: TaskId) -> Option<TaskView<'_>> {
        let slot = self.slots.get(id.0)?;
        let rare = slot.rare.as_ref();
        Some(TaskView {
            name: rare.and_then(|rare| rare.name.as_deref()),
            place: slot.place,
            parent: slot.parent,
            state: slot.state,
            steps: slot.steps,
            cancel_reason: rare.and_then(|rare| rare.cancel_reason),
            context: &slot.context,
        })
    }

    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    /// The ids of all tasks.
    pub(crate) fn ids(&self) -> Vec<TaskId> {
        self.slots.keys().map(TaskId).collect()
    }

    /// Takes one task out.
    pub(crate) fn remove(&mut self, id: TaskId) -> Option<Removed> {
        self.slots.remove(id.0).map(Removed)
    }
}

impl Slot {
    fn label(&self) -> TaskLabel {
        TaskLabel {
            name: self.rare.as_ref().and_then(|rare| rare.name.clone()),
            place: self.place,
            spawned_from: self
                .rare
                .as_ref()
                .and_then(|rare| rare.spawned_from.clone()),
        }
    }
}

/// The end of a task, as [`TaskTable::finish`] reports it.
pub(crate) struct Finished {
    pub(crate) joiner: Option<Waiter>,
    pub(crate) removed: Option<Removed>,
}

/// What had become of a task when it left the table.
pub(crate) enum Fate {
    Finished,
    NeverPolled(TaskLabel),
    Pending(TaskLabel),
}

/// A slot that left the table. Dropping it may run user code: never while the table is
/// borrowed.
pub(crate) struct Removed(Slot);

impl Removed {
    /// Why there is no output.
    pub(crate) fn into_failure(mut self) -> Option<JoinError> {
        self.0.rare.as_mut()?.failure.take()
    }

    /// The output that nobody took, if it may be an error. May run the error's own code.
    pub(crate) fn unread(&self) -> Option<(TaskLabel, Unread)> {
        let work = self.0.work.as_ref()?;
        Some((self.0.label(), work.as_ref().unread()?))
    }

    /// How it ended, when it did not end by itself.
    pub(crate) fn fate(&self) -> Fate {
        match (self.0.state, self.0.steps) {
            (TaskState::Finished, _) => Fate::Finished,
            (_, 0) => Fate::NeverPolled(self.0.label()),
            _ => Fate::Pending(self.0.label()),
        }
    }

    /// The panic that nobody joined, with the task's label.
    pub(crate) fn unjoined_panic(&self) -> Option<(TaskLabel, &str)> {
        match self.0.rare.as_ref()?.failure.as_ref()? {
            JoinError::Panicked(panic) => Some((self.0.label(), panic.message())),
            JoinError::Cancelled(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::{Panic, WorkCell};

    fn insert(table: &mut TaskTable, name: Option<&'static str>) -> TaskId {
        table.insert(NewTask {
            work: Some(Box::pin(WorkCell::new(async { 7 }))),
            context: Context::default(),
            name: name.map(Cow::Borrowed),
            place: Location::caller(),
            parent: None,
        })
    }

    fn panicked() -> JoinError {
        JoinError::Panicked(Panic::new(Box::new("on purpose")))
    }

    /// Steps a task to its end; with an output when nothing failed.
    fn finish(table: &mut TaskTable, id: TaskId, failure: Option<JoinError>) -> Finished {
        let mut stepping = table.start_step(id).unwrap();
        let cx = &mut std::task::Context::from_waker(Waker::noop());
        let work = stepping.work.as_mut().unwrap();
        assert!(work.as_mut().step(cx).is_ready());
        table.finish(id, stepping.work, failure)
    }

    fn output(work: &mut BoxedWork) -> Option<i32> {
        let mut output: Option<i32> = None;
        work.as_mut().take_output(&mut output);
        output
    }

    #[test]
    fn the_id_of_a_task_that_is_gone_names_nothing_even_when_its_slot_is_used_again() {
        let mut table = TaskTable::default();
        let old = insert(&mut table, None);
        assert!(table.remove(old).is_some());
        let new = insert(&mut table, None);
        assert_eq!(old.to_bits() as u32, new.to_bits() as u32, "the same slot");
        assert!(!table.wake(old) && !table.cancel(old, "late"));
        assert!(table.start_step(old).is_none() && table.remove(old).is_none());
        assert!(table.is_finished(old) && !table.is_finished(new));
        assert_eq!((table.steps(old), table.steps(new)), (None, Some(0)));
        assert!(table.label(old).is_none());
        assert_eq!(table.ids(), [new]);
    }

    #[test]
    fn an_output_waits_in_the_table_until_it_is_joined() {
        let mut table = TaskTable::default();
        let id = insert(&mut table, None);
        let finished = finish(&mut table, id, None);
        assert!(finished.joiner.is_none() && finished.removed.is_none());
        let Joined::Output(mut work) = table.poll_join(id, Waiter::NOBODY) else {
            panic!("it has an output");
        };
        assert_eq!((output(&mut work), table.len()), (Some(7), 0));
    }

    #[test]
    fn the_last_who_asked_is_the_one_who_is_told() {
        let mut table = TaskTable::default();
        let (id, first, second) = {
            let mut insert = || insert(&mut table, None);
            (insert(), insert(), insert())
        };
        for joiner in [first, second] {
            let joined = table.poll_join(id, Waiter::Task(Some(joiner)));
            assert!(matches!(joined, Joined::Pending(Waiter::Task(before))
                if before == (joiner == second).then_some(first)));
        }
        let told = finish(&mut table, id, None).joiner;
        assert!(matches!(told, Some(Waiter::Task(Some(task))) if task == second));
    }

    #[test]
    fn a_detached_task_leaves_the_table_when_it_ends_or_has_ended() {
        let mut table = TaskTable::default();
        let early = insert(&mut table, None);
        assert!(table.detach(early).1.is_none());
        assert!(finish(&mut table, early, None).removed.is_some());
        let late = insert(&mut table, None);
        assert!(finish(&mut table, late, None).removed.is_none());
        assert!(table.detach(late).1.is_some());
        assert_eq!(table.len(), 0);
    }

    #[test]
    fn a_panic_that_nobody_joined_is_told_with_the_tasks_name_and_place() {
        let mut table = TaskTable::default();
        let id = insert(&mut table, Some("worker"));
        table.detach(id);
        let removed = finish(&mut table, id, Some(panicked())).removed.unwrap();
        let (label, message) = removed.unjoined_panic().unwrap();
        assert_eq!(message, "on purpose");
        assert_eq!(label.name.as_deref(), Some("worker"));
        assert!(label.place.file().ends_with("table.rs"));
    }

    #[test]
    fn the_first_reason_given_to_cancel_stands_and_a_finished_task_takes_none() {
        let mut table = TaskTable::default();
        let id = insert(&mut table, None);
        assert!(!table.cancel(id, "first"), "it is queued already");
        assert!(!table.cancel(id, "second"));
        assert_eq!(table.cancelled(id).reason, "first");
        let done = insert(&mut table, None);
        finish(&mut table, done, None);
        assert!(!table.cancel(done, "too late"));
        assert_eq!(table.cancelled(done).reason, Cancelled::DEFAULT_REASON);
    }

    #[test]
    fn a_handle_whose_task_went_with_the_loop_is_told_that_the_loop_has_ended() {
        let mut table = TaskTable::default();
        let id = insert(&mut table, None);
        table.remove(id);
        let Joined::Failed(JoinError::Cancelled(cancelled)) = table.poll_join(id, Waiter::NOBODY)
        else {
            panic!("there is nothing to join");
        };
        assert_eq!(cancelled, Cancelled::LOOP_ENDED);
    }
}
