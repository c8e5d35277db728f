//! All tasks of a loop, in slots that carry a generation.
//!
//! Plain data: it never polls, drops or wakes anything itself. Whatever may run user
//! code (futures, outputs, wakers) is handed out to the caller.

use crate::context::Context;
use crate::debug::Unread;
use crate::task::{Cancelled, JoinError, Step, TaskId, TaskState, Waiter, Work};
use std::backtrace::Backtrace;
use std::borrow::Cow;
use std::mem;
use std::panic::Location;
use std::pin::Pin;
use std::rc::Rc;
use std::task::Waker;

/// The future of a task; absent while it is stepped, and for the loop's main future.
pub(crate) type BoxedWork = Pin<Box<dyn Work>>;

/// What the steps of a task touch, in one cache line: with thousands of tasks each is cold by the
/// time it is stepped, and every line less is time. Whence it came lies beside the slots, what few
/// tasks have is boxed: a plain task costs 80 bytes beside its future.
#[repr(align(64))]
pub(crate) struct Slot {
    work: Option<BoxedWork>,
    context: Context,
    joiner: Waiter,
    rare: Option<Box<Rare>>,
    /// Odd while a task is here. One that ends leaves an empty slot of the next generation.
    generation: u32,
    steps: u32,
    state: TaskState,
    detached: bool,
}

/// Where a task was spawned, and by whom.
#[derive(Clone, Copy)]
struct Origin {
    place: &'static Location<'static>,
    parent: Option<TaskId>,
}

const _: () = assert!(size_of::<Slot>() + size_of::<Origin>() <= 80);

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

impl Rare {
    #[cold]
    fn named(name: Cow<'static, str>) -> Box<Rare> {
        Box::new(Rare {
            name: Some(name),
            ..Rare::default()
        })
    }
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

impl TaskLabel {
    fn of(place: &'static Location<'static>, rare: Option<&Rare>) -> Self {
        TaskLabel {
            name: rare.and_then(|rare| rare.name.clone()),
            place,
            spawned_from: rare.and_then(|rare| rare.spawned_from.clone()),
        }
    }
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
    slots: Vec<Slot>,
    /// Of the task in the slot of the same number.
    origins: Vec<Origin>,
    /// Empty slots; the one that was left last is used first.
    free: Vec<u32>,
}

impl TaskTable {
    /// Adds a task that has to be queued at once.
    #[inline]
    pub(crate) fn insert(&mut self, new: NewTask) -> TaskId {
        let origin = Origin {
            place: new.place,
            parent: new.parent,
        };
        let index = match self.free.pop() {
            Some(index) => {
                self.origins[index as usize] = origin;
                index
            }
            None => self.grow(origin),
        };
        let slot = &mut self.slots[index as usize];
        slot.generation = slot.generation.wrapping_add(1);
        slot.work = new.work;
        slot.context = new.context;
        if let Some(name) = new.name {
            slot.rare = Some(Rare::named(name));
        }
        slot.steps = 0;
        slot.state = TaskState::Ready;
        slot.detached = false;
        TaskId::new(index, slot.generation)
    }

    #[cold]
    fn grow(&mut self, origin: Origin) -> u32 {
        let index = u32::try_from(self.slots.len()).expect("so many tasks do not fit into memory");
        self.origins.push(origin);
        self.slots.push(Slot {
            work: None,
            context: Context::default(),
            joiner: Waiter::NOBODY,
            rare: None,
            generation: 0,
            steps: 0,
            state: TaskState::Finished,
            detached: false,
        });
        index
    }

    #[inline]
    fn get(&self, id: TaskId) -> Option<&Slot> {
        let slot = self.slots.get(id.slot())?;
        (slot.generation == id.generation()).then_some(slot)
    }

    #[inline]
    fn get_mut(&mut self, id: TaskId) -> Option<&mut Slot> {
        let slot = self.slots.get_mut(id.slot())?;
        (slot.generation == id.generation()).then_some(slot)
    }

    fn origin(&self, id: TaskId) -> Option<Origin> {
        self.get(id)?;
        Some(self.origins[id.slot()])
    }

    pub(crate) fn set_spawned_from(&mut self, id: TaskId, backtrace: Rc<Backtrace>) {
        if let Some(slot) = self.get_mut(id) {
            slot.rare.get_or_insert_default().spawned_from = Some(backtrace);
        }
    }

    /// Returns whether the task has to be queued; a task that is gone has not.
    #[inline]
    pub(crate) fn wake(&mut self, id: TaskId) -> bool {
        self.get_mut(id).is_some_and(|slot| slot.state.wake())
    }

    /// Returns whether the task has to be queued.
    pub(crate) fn cancel(&mut self, id: TaskId, reason: &'static str) -> bool {
        let Some(slot) = self.get_mut(id) else {
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
        let slot = self.get_mut(id)?;
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
        let slot = self.get_mut(id)?;
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
    pub(crate) fn end_step(
        &mut self,
        id: TaskId,
        work: Option<BoxedWork>,
        context: Context,
        waker: Option<Waker>,
    ) -> bool {
        let slot = self.get_mut(id).expect("a task stays while it is stepped");
        slot.work = work;
        slot.context = context;
        if waker.is_some() {
            slot.rare.get_or_insert_default().waker = waker;
        }
        slot.state.end_step()
    }

    /// Ends the task. Returns who waits for it. One that nobody will ever ask for has to be taken
    /// out by the caller.
    #[inline]
    pub(crate) fn finish(
        &mut self,
        id: TaskId,
        work: Option<BoxedWork>,
        failure: Option<JoinError>,
    ) -> Finished {
        let slot = self.get_mut(id).expect("a task stays while it is stepped");
        slot.state.finish();
        // It was lifted out for the step.
        slot.work = work;
        if let Some(failure) = failure {
            slot.rare.get_or_insert_default().failure = Some(failure);
        }
        Finished {
            joiner: slot.joiner.take(),
            detached: slot.detached,
        }
    }

    /// What became of the task; remembers who asks when it is not finished.
    #[inline]
    pub(crate) fn poll_join(&mut self, id: TaskId, joiner: Waiter) -> Joined {
        let Some(slot) = self.get_mut(id) else {
            // A slot stays until its join handle was answered or dropped, unless the loop ended.
            return Joined::Failed(JoinError::Cancelled(Cancelled::LOOP_ENDED));
        };
        if slot.state != TaskState::Finished {
            return Joined::Pending(mem::replace(&mut slot.joiner, joiner));
        }
        let work = slot.work.take();
        let failure = slot.rare.as_mut().and_then(|rare| rare.failure.take());
        slot.rare = None;
        self.vacate(id);
        match failure {
            Some(failure) => Joined::Failed(failure),
            None => Joined::Output(work.expect("a task without failure has its output")),
        }
    }

    /// The join handle is gone: from now on nobody asks for the result. Returns what
    /// has to be dropped by the caller: who was remembered, and the task when it is already
    /// finished.
    pub(crate) fn detach(&mut self, id: TaskId) -> (Option<Waiter>, Option<Removed>) {
        let Some(slot) = self.get_mut(id) else {
            return (None, None);
        };
        slot.detached = true;
        let joiner = slot.joiner.take();
        if slot.state != TaskState::Finished {
            return (joiner, None);
        }
        (joiner, self.remove(id))
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
        self.get(id)?.rare.as_ref()?.cancel_reason
    }

    pub(crate) fn state(&self, id: TaskId) -> Option<TaskState> {
        self.get(id).map(|slot| slot.state)
    }

    pub(crate) fn is_finished(&self, id: TaskId) -> bool {
        self.get(id)
            .is_none_or(|slot| slot.state == TaskState::Finished)
    }

    pub(crate) fn label(&self, id: TaskId) -> Option<TaskLabel> {
        let place = self.origin(id)?.place;
        let rare = self.get(id)?.rare.as_deref();
        Some(TaskLabel::of(place, rare))
    }

    pub(crate) fn parent(&self, id: TaskId) -> Option<TaskId> {
        self.origin(id)?.parent
    }

    pub(crate) fn steps(&self, id: TaskId) -> Option<u32> {
        self.get(id).map(|slot| slot.steps)
    }

    /// What can be seen of a task from outside.
    pub(crate) fn view(&self, id: TaskId) -> Option<TaskView<'_>> {
        let (slot, origin) = (self.get(id)?, self.origin(id)?);
        let rare = slot.rare.as_ref();
        Some(TaskView {
            name: rare.and_then(|rare| rare.name.as_deref()),
            place: origin.place,
            parent: origin.parent,
            state: slot.state,
            steps: slot.steps,
            cancel_reason: rare.and_then(|rare| rare.cancel_reason),
            context: &slot.context,
        })
    }

    pub(crate) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// The ids of all tasks.
    pub(crate) fn ids(&self) -> Vec<TaskId> {
        let slots = (0..).zip(&self.slots);
        let taken = slots.filter(|(_, slot)| slot.generation % 2 == 1);
        taken
            .map(|(index, slot)| TaskId::new(index, slot.generation))
            .collect()
    }

    /// Takes one task out.
    pub(crate) fn remove(&mut self, id: TaskId) -> Option<Removed> {
        let place = self.origin(id)?.place;
        let slot = self.get_mut(id)?;
        let removed = Removed {
            place,
            state: mem::replace(&mut slot.state, TaskState::Finished),
            steps: slot.steps,
            rare: slot.rare.take(),
            work: slot.work.take(),
            _context: slot.context.take(),
            _joiner: slot.joiner.take(),
        };
        self.vacate(id);
        Some(removed)
    }

    /// Gives an empty slot back. The id of the task that was in it names nothing from now on.
    #[inline]
    fn vacate(&mut self, id: TaskId) {
        let slot = &mut self.slots[id.slot()];
        slot.generation = slot.generation.wrapping_add(1);
        self.free.push(id.slot() as u32);
    }
}

/// The end of a task, as [`TaskTable::finish`] reports it.
pub(crate) struct Finished {
    pub(crate) joiner: Option<Waiter>,
    /// Whether its join handle is gone.
    pub(crate) detached: bool,
}

/// What had become of a task when it left the table.
pub(crate) enum Fate {
    Finished,
    NeverPolled(TaskLabel),
    Pending(TaskLabel),
}

/// A task that left the table. Dropping it may run user code: never while the table is
/// borrowed.
pub(crate) struct Removed {
    place: &'static Location<'static>,
    state: TaskState,
    steps: u32,
    rare: Option<Box<Rare>>,
    work: Option<BoxedWork>,
    _context: Context,
    _joiner: Option<Waiter>,
}

impl Removed {
    fn label(&self) -> TaskLabel {
        TaskLabel::of(self.place, self.rare.as_deref())
    }

    /// Why there is no output.
    pub(crate) fn into_failure(mut self) -> Option<JoinError> {
        self.rare.as_mut()?.failure.take()
    }

    /// The output that nobody took, if it may be an error. May run the error's own code.
    pub(crate) fn unread(&self) -> Option<(TaskLabel, Unread)> {
        let work = self.work.as_ref()?;
        Some((self.label(), work.as_ref().unread()?))
    }

    /// How it ended, when it did not end by itself.
    pub(crate) fn fate(&self) -> Fate {
        match (self.state, self.steps) {
            (TaskState::Finished, _) => Fate::Finished,
            (_, 0) => Fate::NeverPolled(self.label()),
            _ => Fate::Pending(self.label()),
        }
    }

    /// The panic that nobody joined, with the task's label.
    pub(crate) fn unjoined_panic(&self) -> Option<(TaskLabel, &str)> {
        match self.rare.as_ref()?.failure.as_ref()? {
            JoinError::Panicked(panic) => Some((self.label(), panic.message())),
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
        assert!(finished.joiner.is_none() && !finished.detached);
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
        assert!(finish(&mut table, early, None).detached);
        assert!(table.remove(early).is_some());
        let late = insert(&mut table, None);
        assert!(!finish(&mut table, late, None).detached);
        assert!(table.detach(late).1.is_some());
        assert_eq!(table.len(), 0);
    }

    #[test]
    fn a_panic_that_nobody_joined_is_told_with_the_tasks_name_and_place() {
        let mut table = TaskTable::default();
        let id = insert(&mut table, Some("worker"));
        table.detach(id);
        assert!(finish(&mut table, id, Some(panicked())).detached);
        let removed = table.remove(id).unwrap();
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
