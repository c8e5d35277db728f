//! A future for the result of a blocking job.

use crate::blocking::pool::{Job, Pool, Ticket};
use crate::core::Core;
use crate::introspect::WaitsOn;
use crate::runtime::{current, with_current};
use crate::stats::BlockingStats;
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
/// handle. When the queue is full, it stands in line for a place there, first come, first served,
/// as long as the handle is kept: who awaits it waits the longer, and nothing fails. A warning
/// says so, at most every ten seconds, and [`blocking_stats`] tells how long jobs wait. The values
/// of the context that are `Send` go with it.
///
/// # Panics
/// When the thread has no loop, or the operating system cannot start a single thread.
#[track_caller]
pub fn spawn_blocking<T, F>(function: F) -> BlockingHandle<T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    submit(Home::Loop(current()), function)
}

/// [`spawn_blocking`] in a pool that belongs to the process, not to a loop.
#[track_caller]
pub(crate) fn spawn_in<T, F>(pool: &'static Pool, function: F) -> BlockingHandle<T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    submit(Home::Process(pool, current()), function)
}

/// Runs a function of this crate's in the blocking pool, and waits for it.
pub(crate) async fn run_blocking<T, F>(function: F) -> T
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    output(spawn_blocking(function).await)
}

/// What a function of this crate's came to; a panic is passed on.
pub(crate) fn output<T>(result: Result<T, JoinError>) -> T {
    match result {
        Ok(output) => output,
        Err(JoinError::Panicked(panic)) => std::panic::resume_unwind(panic.into_payload()),
        Err(JoinError::Cancelled(_)) => unreachable!("a job that was accepted runs"),
    }
}

/// What goes on in the blocking pool of this thread's loop.
///
/// # Panics
/// When the thread has no loop.
#[must_use]
#[track_caller]
pub fn blocking_stats() -> BlockingStats {
    with_current(Core::blocking_stats)
}

fn submit<T, F>(home: Home, function: F) -> BlockingHandle<T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    let core = home.core();
    let answer = Arc::new(Answer::default());
    let context = core.inherited_context().capture();
    let job: Job = Box::new({
        let answer = answer.clone();
        move || {
            let result = catch_unwind(AssertUnwindSafe(|| context.run(function)));
            answer.give(result.map_err(|payload| JoinError::Panicked(Panic::new(payload))));
        }
    });
    let now = core.clock.read();
    BlockingHandle {
        answer,
        ticket: home.pool().offer(job, now),
        home,
    }
}

/// Whose pool it is. A loop's lives as long as anybody waits for it.
enum Home {
    Loop(Rc<Core>),
    Process(&'static Pool, Rc<Core>),
}

impl Home {
    fn core(&self) -> &Core {
        match self {
            Home::Loop(core) | Home::Process(_, core) => core,
        }
    }

    fn pool(&self) -> &Pool {
        match self {
            Home::Loop(core) => core.pool(),
            Home::Process(pool, _) => pool,
        }
    }
}

/// The result of a function in the blocking pool: `Err` when it panicked.
///
/// # Cancel safety
/// Dropping it loses the result; a function that has a thread or a place in the queue runs
/// all the same, one that still stands in line for a place does not.
#[must_use = "when the queue is full, the function runs only if the handle is kept"]
pub struct BlockingHandle<T> {
    home: Home,
    answer: Arc<Answer<T>>,
    /// The job's place in line, when the queue was full.
    ticket: Option<Ticket>,
}

impl<T> Future for BlockingHandle<T> {
    type Output = Result<T, JoinError>;

    fn poll(self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Self::Output> {
        let answer = self.answer.poll(cx.waker());
        if answer.is_pending() {
            self.home.core().note(WaitsOn::Named("blocking job"));
        }
        answer
    }
}

impl<T> Drop for BlockingHandle<T> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket {
            let called_off = self.home.pool().leave_line(ticket);
            drop(called_off);
        }
    }
}

impl<T> fmt::Debug for BlockingHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlockingHandle")
            .field(
                "in_line",
                &self
                    .ticket
                    .is_some_and(|ticket| self.home.pool().stands_in_line(ticket)),
            )
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
