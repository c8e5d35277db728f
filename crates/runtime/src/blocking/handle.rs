//! A future for the result of a blocking job.

use crate::blocking::pool::{Job, Submitted, Ticket};
use crate::context::Context;
use crate::core::Core;
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
/// handle. When the queue is full, it stands in line and is queued when the handle is awaited
/// and its turn has come. The values of the context that are `Send` go with it.
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
    let context = Context::current().capture();
    let job: Job = Box::new({
        let answer = answer.clone();
        move || {
            let result = catch_unwind(AssertUnwindSafe(|| context.run(function)));
            answer.give(result.map_err(|payload| JoinError::Panicked(Panic::new(payload))));
        }
    });
    let in_line = match core.pool().submit(job, None, Waker::noop()) {
        Submitted::Accepted => None,
        Submitted::Full(job, ticket) => {
            tracing::warn!("the blocking pool's queue is full; callers wait");
            Some((job, ticket))
        }
    };
    BlockingHandle {
        core,
        answer,
        in_line,
    }
}

/// The result of a function in the blocking pool: `Err` when it panicked.
///
/// # Cancel safety
/// Dropping it loses the result; a function that has a thread or a place in the queue runs
/// all the same, one that stands in line does not.
#[must_use = "the function may not run before the handle is awaited"]
pub struct BlockingHandle<T> {
    core: Rc<Core>,
    answer: Arc<Answer<T>>,
    in_line: Option<(Job, Ticket)>,
}

impl<T> Future for BlockingHandle<T> {
    type Output = Result<T, JoinError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        if let Some((job, ticket)) = this.in_line.take() {
            match this.core.pool().submit(job, Some(ticket), cx.waker()) {
                Submitted::Accepted => {}
                Submitted::Full(job, ticket) => {
                    this.in_line = Some((job, ticket));
                    return Poll::Pending;
                }
            }
        }
        this.answer.poll(cx.waker())
    }
}

impl<T> Drop for BlockingHandle<T> {
    fn drop(&mut self) {
        if let Some((_, ticket)) = self.in_line.take() {
            self.core.pool().leave_line(ticket);
        }
    }
}

impl<T> fmt::Debug for BlockingHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlockingHandle")
            .field("in_line", &self.in_line.is_some())
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
