//! A future for the result of a blocking job.

use crate::blocking::pool::{Job, Submitted, Ticket};
use crate::core::Core;
use crate::introspect::WaitsOn;
use crate::runtime::current;
use crate::task::{JoinError, Panic};
use std::fmt;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context as TaskContext, Poll, Waker};

/// Runs a function in the blocking pool, beside the loop.
///
/// It gets a thread at once or a place in the pool's queue, whether or not anybody awaits the
/// handle. When the queue is full, it is queued once the handle is awaited: those who await
/// stand in line, first come, first served. The values of the context that are `Send` go with
/// it.
///
/// # Panics
/// When the thread has no loop, or the operating system cannot start a single thread.
#[track_caller]
pub fn spawn_blocking<T, F>(function: F) -> BlockingHandle<T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    let core = current();
    let answer = Arc::new(Answer::default());
    let context = core.inherited_context().capture();
    let job: Job = Box::new({
        let answer = answer.clone();
        move || {
            let result = catch_unwind(AssertUnwindSafe(|| context.run(function)));
            answer.give(result.map_err(|payload| JoinError::Panicked(Panic::new(payload))));
        }
    });
    let waits = core.pool().offer(job).err().map(|job| {
        tracing::warn!("the blocking pool's queue is full; callers wait");
        (job, None)
    });
    BlockingHandle {
        core,
        answer,
        waits,
    }
}

/// The result of a function in the blocking pool: `Err` when it panicked.
///
/// # Cancel safety
/// Dropping it loses the result; a function that has a thread or a place in the queue runs
/// all the same, one that the full queue turned away does not.
#[must_use = "the function may not run before the handle is awaited"]
pub struct BlockingHandle<T> {
    core: Rc<Core>,
    answer: Arc<Answer<T>>,
    /// A job that the full queue turned away; with a ticket once it stands in line.
    waits: Option<(Job, Option<Ticket>)>,
}

impl<T> Future for BlockingHandle<T> {
    type Output = Result<T, JoinError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        if let Some((job, ticket)) = this.waits.take() {
            match this.core.pool().stand_in_line(job, ticket, cx.waker()) {
                Submitted::Accepted => {}
                Submitted::Full(job, ticket) => {
                    this.waits = Some((job, Some(ticket)));
                    this.core.note(WaitsOn::Named("room in the blocking pool"));
                    return Poll::Pending;
                }
            }
        }
        let answer = this.answer.poll(cx.waker());
        if answer.is_pending() {
            this.core.note(WaitsOn::Named("blocking job"));
        }
        answer
    }
}

impl<T> Drop for BlockingHandle<T> {
    fn drop(&mut self) {
        if let Some((_job, Some(ticket))) = self.waits.take() {
            self.core.pool().leave_line(ticket);
        }
    }
}

impl<T> fmt::Debug for BlockingHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlockingHandle")
            .field("waits", &self.waits.is_some())
            .finish_non_exhaustive()
    }
}

/// Where the thread leaves the result for the loop.
struct Answer<T> {
    state: Mutex<AnswerState<T>>,
}

enum AnswerState<T> {
    Running(Option<Waker>),
    Done(Result<T, JoinError>),
    Taken,
}

impl<T> Default for Answer<T> {
    fn default() -> Self {
        Answer {
            state: Mutex::new(AnswerState::Running(None)),
        }
    }
}

impl<T> Answer<T> {
    fn give(&self, result: Result<T, JoinError>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::replace(&mut *state, AnswerState::Done(result));
        drop(state);
        if let AnswerState::Running(Some(waker)) = before {
            waker.wake();
        }
    }

    fn poll(&self, waker: &Waker) -> Poll<Result<T, JoinError>> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match std::mem::replace(&mut *state, AnswerState::Taken) {
            AnswerState::Done(result) => Poll::Ready(result),
            AnswerState::Running(_) => {
                *state = AnswerState::Running(Some(waker.clone()));
                Poll::Pending
            }
            AnswerState::Taken => {
                unreachable!("a blocking handle was polled after it had answered")
            }
        }
    }
}
