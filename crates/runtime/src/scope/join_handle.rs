//! Waiting for a task, and asking it to end.

use crate::core::Core;
use crate::introspect::WaitsOn;
use crate::scope::TaskHandle;
use crate::task::{JoinError, Joined, TaskId};
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
            Joined::Pending(_before) => {
                core.note(WaitsOn::Task(self.task.id));
                return Poll::Pending;
            }
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
            core.discard(self.task.id, removed);
        }
    }
}

impl<T> fmt::Debug for JoinHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("JoinHandle").field(&self.task.id).finish()
    }
}
