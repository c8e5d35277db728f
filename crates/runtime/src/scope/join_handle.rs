//! Waiting for a task, and asking it to end.

use crate::core::Core;
use crate::runtime::try_current;
use crate::task::{Cancelled, JoinError, Joined, TaskId};
use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

/// Waits for a task: a future of its output.
///
/// Dropping it detaches the task, which goes on. Nothing cancels a task but
/// [`cancel`](JoinHandle::cancel) and the end of its loop.
///
/// # Cancel safety
/// Nothing is lost: until the output was handed out it stays with the task.
#[must_use = "dropping a JoinHandle detaches the task; say so with drop(handle)"]
pub struct JoinHandle<T> {
    task: TaskHandle,
    answered: bool,
    output: PhantomData<fn() -> T>,
}

impl<T> JoinHandle<T> {
    pub(crate) fn new(core: Rc<Core>, id: TaskId) -> Self {
        JoinHandle {
            task: TaskHandle { core, id },
            answered: false,
            output: PhantomData,
        }
    }

    /// Asks the task to end. Its next step drops the future; who joins it sees
    /// [`JoinError::Cancelled`]. A task that is done already stays done.
    pub fn cancel(&self) {
        self.task.cancel();
    }

    /// [`cancel`](JoinHandle::cancel), with a reason for whoever joins.
    pub fn cancel_with(&self, reason: &'static str) {
        self.task.cancel_with(reason);
    }

    /// Whether the task has ended.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.task.is_finished()
    }

    /// The task's id.
    #[must_use]
    pub fn id(&self) -> TaskId {
        self.task.id
    }

    /// A handle that can do everything but join.
    #[must_use]
    pub fn task(&self) -> TaskHandle {
        self.task.clone()
    }
}

impl<T: 'static> Future for JoinHandle<T> {
    type Output = Result<T, JoinError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        assert!(
            !self.answered,
            "a JoinHandle was polled after it had answered"
        );
        let core = &self.task.core;
        let joiner = core.caller(cx).waiter();
        let joined = core.tasks.borrow_mut().poll_join(self.task.id, joiner);
        let result = match joined {
            Joined::Pending(_before) => return Poll::Pending,
            Joined::Failed(failure) => Err(failure),
            Joined::Output(mut work) => {
                let mut output: Option<T> = None;
                work.as_mut().take_output(&mut output);
                Ok(output.expect("the output is taken once"))
            }
        };
        self.answered = true;
        Poll::Ready(result)
    }
}

impl<T> Drop for JoinHandle<T> {
    fn drop(&mut self) {
        if self.answered {
            return;
        }
        let core = &self.task.core;
        let (_joiner, removed) = core.tasks.borrow_mut().detach(self.task.id);
        if let Some(removed) = removed {
            core.discard(removed);
        }
    }
}

impl<T> fmt::Debug for JoinHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("JoinHandle").field(&self.task.id).finish()
    }
}

/// A handle of the running task; `None` outside of tasks.
#[must_use]
pub fn current_task() -> Option<TaskHandle> {
    let core = try_current()?;
    let id = core.running()?;
    Some(TaskHandle { core, id })
}

/// Names a task and can ask it to end, but not wait for its output. Keeps nothing alive.
#[derive(Clone)]
pub struct TaskHandle {
    core: Rc<Core>,
    id: TaskId,
}

impl TaskHandle {
    /// The task's id.
    #[must_use]
    pub fn id(&self) -> TaskId {
        self.id
    }

    /// Asks the task to end; see [`JoinHandle::cancel`].
    pub fn cancel(&self) {
        self.cancel_with(Cancelled::DEFAULT_REASON);
    }

    /// [`cancel`](TaskHandle::cancel), with a reason for whoever joins.
    pub fn cancel_with(&self, reason: &'static str) {
        self.core.cancel(self.id, reason);
    }

    /// Has the task stepped once more, so that it can look at something that changed.
    pub fn wake(&self) {
        self.core.wake_task(self.id);
    }

    /// Whether the task has ended.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.core.tasks.borrow().is_finished(self.id)
    }

    /// The task that spawned this one, unless it was spawned outside of tasks. Its id may be
    /// that of a task that has ended.
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
        label.name.map(std::borrow::Cow::into_owned)
    }
}

impl fmt::Debug for TaskHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TaskHandle").field(&self.id).finish()
    }
}
