//! Naming tasks: the running one, all of them, and what can be seen of each.

use crate::core::Core;
use crate::runtime::{current, try_current};
use crate::task::{Cancelled, TaskId, TaskState};
use std::borrow::Cow;
use std::fmt;
use std::panic::Location;
use std::rc::Rc;

/// A handle of the running task; `None` outside of tasks.
#[must_use]
pub fn current_task() -> Option<TaskHandle> {
    let core = try_current()?;
    let id = core.running()?;
    Some(TaskHandle { core, id })
}

/// Why the running task was asked to end; `None` when it was not. A destructor learns from it
/// whether it runs because of a cancellation.
///
/// ```
/// use monoloop_runtime::{Runtime, cancelled, spawn};
///
/// struct Order;
/// impl Drop for Order {
///     fn drop(&mut self) {
///         assert_eq!(cancelled().unwrap().reason, "out of stock");
///     }
/// }
///
/// Runtime::new()?.block_on(async {
///     let order = Order;
///     let task = spawn(async move {
///         let _order = order;
///         std::future::pending::<()>().await
///     });
///     task.cancel_with("out of stock");
///     assert!(task.await.is_err());
/// });
/// # Ok::<(), std::io::Error>(())
/// ```
#[must_use]
pub fn cancelled() -> Option<Cancelled> {
    current_task()?.cancelled()
}

/// Handles of all tasks that this thread's loop has at the moment, the oldest slot first. Costs a
/// copy of their ids.
///
/// # Panics
/// When the thread has no loop.
#[must_use]
#[track_caller]
pub fn all_tasks() -> AllTasks {
    let core = current();
    let ids = core.tasks.borrow().ids().into_iter();
    AllTasks { core, ids }
}

/// Made by [`all_tasks`].
#[derive(Clone)]
pub struct AllTasks {
    core: Rc<Core>,
    ids: std::vec::IntoIter<TaskId>,
}

impl Iterator for AllTasks {
    type Item = TaskHandle;

    fn next(&mut self) -> Option<TaskHandle> {
        let id = self.ids.next()?;
        Some(TaskHandle {
            core: self.core.clone(),
            id,
        })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.ids.size_hint()
    }
}

impl ExactSizeIterator for AllTasks {}

impl fmt::Debug for AllTasks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.ids.as_slice()).finish()
    }
}

/// Names a task and can ask it to end, but not wait for its output. Keeps nothing alive.
#[derive(Clone)]
pub struct TaskHandle {
    pub(super) core: Rc<Core>,
    pub(super) id: TaskId,
}

impl TaskHandle {
    /// The task's id.
    #[must_use]
    pub fn id(&self) -> TaskId {
        self.id
    }

    /// Asks the task to end; see [`JoinHandle::cancel`](crate::JoinHandle::cancel).
    pub fn cancel(&self) {
        self.cancel_with(Cancelled::DEFAULT_REASON);
    }

    /// [`cancel`](TaskHandle::cancel), with a reason for whoever joins. The first reason stands.
    pub fn cancel_with(&self, reason: &'static str) {
        self.core.cancel(self.id, reason);
    }

    /// Why the task was asked to end, from then on until it is gone; `None` when it was not.
    #[must_use]
    pub fn cancelled(&self) -> Option<Cancelled> {
        let reason = self.core.tasks.borrow().cancel_reason(self.id)?;
        Some(Cancelled { reason })
    }

    /// Has the task stepped once more, so that it can look at something that changed.
    pub fn wake(&self) {
        self.core.wake_task(self.id);
    }

    /// What the task is doing; [`RunState::Finished`] also when it is gone.
    #[must_use]
    pub fn state(&self) -> RunState {
        let state = self.core.tasks.borrow().state(self.id);
        state.map_or(RunState::Finished, RunState::from)
    }

    /// Whether the task has ended.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.core.tasks.borrow().is_finished(self.id)
    }

    /// The task that spawned this one, unless it was spawned outside of tasks; for a child of a
    /// [`TaskGroup`](crate::TaskGroup) the task that the group is in. Its id may be that of a task
    /// that has ended.
    #[must_use]
    pub fn parent(&self) -> Option<TaskId> {
        self.core.tasks.borrow().parent(self.id)
    }

    /// How often the task was stepped; `None` when it is gone.
    #[must_use]
    pub fn steps(&self) -> Option<u32> {
        self.core.tasks.borrow().steps(self.id)
    }

    /// The name given at spawn.
    #[must_use]
    pub fn name(&self) -> Option<String> {
        let label = self.core.tasks.borrow().label(self.id)?;
        label.name.map(Cow::into_owned)
    }

    /// Where the task was spawned; `None` when it is gone.
    #[must_use]
    pub fn place(&self) -> Option<&'static Location<'static>> {
        let label = self.core.tasks.borrow().label(self.id)?;
        Some(label.place)
    }
}

impl fmt::Debug for TaskHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TaskHandle").field(&self.id).finish()
    }
}

impl From<TaskState> for RunState {
    fn from(state: TaskState) -> Self {
        match state {
            TaskState::Idle => RunState::Waiting,
            TaskState::Ready => RunState::Ready,
            TaskState::Running | TaskState::RunningWoken => RunState::Running,
            TaskState::Cancelled | TaskState::RunningCancelled | TaskState::Dropping => {
                RunState::Ending
            }
            TaskState::Finished => RunState::Finished,
        }
    }
}

/// What a task is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RunState {
    /// It waits to be woken.
    Waiting,
    /// It is in the ready queue.
    Ready,
    /// It is being stepped.
    Running,
    /// It was asked to end, and its future is there still.
    Ending,
    /// It has ended.
    Finished,
}
