//! Asking a loop from another thread, which it answers between two steps, or not in time.

use crate::clock;
use crate::introspect::current_step::CurrentStep;
use crate::introspect::{Snapshot, Stuck, TurnTrace};
use crate::runtime::{current, with_current};
use crate::scope::{LoopHandle, loop_handle};
use crate::task::TaskId;
use crate::watchdog::Pulse;
use std::fmt;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Requests that a loop has not come to yet. More are refused: a loop that is stuck must not
/// be buried under those who ask why.
const REQUESTS_MAX: usize = 1024;

/// A snapshot is not taken before this many times the duration of the last one has passed, so
/// that those who ask get a tenth of the loop's time at most.
const REST_PER_SNAPSHOT: u32 = 9;

/// Makes a probe for this thread's loop, which from now on is [observed](super::observe).
///
/// # Panics
/// When the thread has no loop.
#[must_use]
#[track_caller]
pub fn probe() -> Probe {
    let (current_step, pulse) =
        with_current(|core| (core.observe().current_step.clone(), core.pulse.clone()));
    Probe {
        desk: Arc::new(Desk {
            handle: loop_handle(),
            current_step,
            pulse,
            book: Mutex::default(),
        }),
    }
}

/// Looks at a loop from any thread. It does not keep the loop alive, and clones of it share what
/// they ask for.
///
/// ```
/// use monoloop_runtime::{Runtime, introspect, spawn_blocking};
/// use std::time::Duration;
///
/// Runtime::new()?.block_on(async {
///     let probe = introspect::probe();
///     let seen = spawn_blocking(move || probe.snapshot(Duration::from_secs(1)));
///     let snapshot = seen.await.expect("no panic").expect("the loop is not stuck");
///     assert_eq!(snapshot.tasks[0].waits_on[0].what, "blocking job");
/// });
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone)]
pub struct Probe {
    desk: Arc<Desk>,
}

/// Where requests wait for the loop.
struct Desk {
    handle: LoopHandle,
    current_step: Arc<CurrentStep>,
    pulse: Arc<Pulse>,
    book: Mutex<Book>,
}

#[derive(Default)]
struct Book {
    requests: Vec<(u64, Request)>,
    /// The number of the next request.
    next: u64,
    /// Whether the loop was asked to come to the desk, and has not yet.
    loop_is_called: bool,
    last: Option<Arc<Snapshot>>,
}

enum Request {
    Snapshot(Sender<Arc<Snapshot>>),
    Cancel(TaskId, &'static str, Sender<bool>),
    Trace(u32, Sender<TurnTrace>),
}

/// A loop has not answered.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum NoAnswer {
    /// Not in time. What is known without it.
    Stuck(Stuck),
    /// It never will: it has ended.
    Ended,
    /// It has not come to too many other requests yet.
    Full,
}

impl Probe {
    /// Has the loop look at its tasks, and waits for the answer at most `patience`. Snapshots
    /// get a tenth of the loop's time; who asks more often is made to wait here.
    ///
    /// # Errors
    /// When the loop does not answer in time, or has ended.
    pub fn snapshot(&self, patience: Duration) -> Result<Arc<Snapshot>, NoAnswer> {
        let rest = self
            .desk
            .book()
            .last
            .as_ref()
            .map_or(Duration::ZERO, |last| {
                let earliest = last.taken_at + last.took * (REST_PER_SNAPSHOT + 1);
                earliest.saturating_duration_since(clock::read())
            });
        if !rest.is_zero() {
            let (_nobody_sends, rested) = channel::<()>();
            let _ = rested.recv_timeout(rest);
        }
        self.ask(patience, Request::Snapshot)
    }

    /// Has the loop cancel a task. Returns whether there was such a task, and it had not ended.
    ///
    /// # Errors
    /// When the loop does not answer in time: then it cancels the task when it goes on. When it
    /// has ended.
    pub fn cancel(
        &self,
        task: TaskId,
        reason: &'static str,
        patience: Duration,
    ) -> Result<bool, NoAnswer> {
        self.ask(patience, |answer| Request::Cancel(task, reason, answer))
    }

    /// Has the loop say what each of its next turns does; as many as `turns`, which come as they
    /// happen.
    ///
    /// # Errors
    /// When the loop has ended.
    pub fn trace(&self, turns: u32) -> Result<TurnTraces, NoAnswer> {
        let (to, traces) = channel();
        if turns > 0 {
            self.desk.leave(Request::Trace(turns, to))?;
        }
        Ok(TurnTraces {
            desk: self.desk.clone(),
            traces,
        })
    }

    /// Whether the loop has ended.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.desk.handle.has_ended()
    }

    fn ask<T>(
        &self,
        patience: Duration,
        request: impl FnOnce(Sender<T>) -> Request,
    ) -> Result<T, NoAnswer> {
        let (to, answer) = channel();
        let number = self.desk.leave(request(to))?;
        match answer.recv_timeout(patience) {
            Ok(answer) => Ok(answer),
            Err(_) => {
                self.desk.withdraw(number);
                // It may have come at the last moment.
                answer.try_recv().map_err(|_| self.desk.no_answer())
            }
        }
    }
}

impl fmt::Debug for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Probe")
            .field("has_ended", &self.has_ended())
            .finish_non_exhaustive()
    }
}

/// The turns that [`Probe::trace`] asked for. When it is dropped the loop stops tracing.
pub struct TurnTraces {
    desk: Arc<Desk>,
    traces: Receiver<TurnTrace>,
}

impl TurnTraces {
    /// Waits for the next turn; `None` when all that were asked for have come.
    ///
    /// # Errors
    /// When none comes in time: also a loop that has nothing to do takes no turn.
    pub fn next(&self, patience: Duration) -> Result<Option<TurnTrace>, NoAnswer> {
        match self.traces.recv_timeout(patience) {
            Ok(turn) => Ok(Some(turn)),
            Err(RecvTimeoutError::Disconnected) => Ok(None),
            Err(RecvTimeoutError::Timeout) => Err(self.desk.no_answer()),
        }
    }
}

impl fmt::Debug for TurnTraces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TurnTraces").finish_non_exhaustive()
    }
}

impl Desk {
    /// Leaves a request, and calls the loop when it is the first.
    fn leave(self: &Arc<Self>, request: Request) -> Result<u64, NoAnswer> {
        if self.handle.has_ended() {
            return Err(NoAnswer::Ended);
        }
        let mut book = self.book();
        if book.requests.len() >= REQUESTS_MAX {
            return Err(NoAnswer::Full);
        }
        let number = book.next;
        book.next += 1;
        book.requests.push((number, request));
        if std::mem::replace(&mut book.loop_is_called, true) {
            return Ok(number);
        }
        drop(book);
        let desk = self.clone();
        match self.handle.call_soon_threadsafe(move || desk.serve()) {
            Ok(_) => Ok(number),
            Err(_ended) => Err(NoAnswer::Ended),
        }
    }

    /// Takes back a request that is of no use any more; who wants a task cancelled wants it
    /// later, too.
    fn withdraw(&self, number: u64) {
        let mut book = self.book();
        book.requests
            .retain(|(other, request)| *other != number || matches!(request, Request::Cancel(..)));
    }

    /// Answers all requests, on the loop.
    fn serve(&self) {
        let requests = {
            let mut book = self.book();
            book.loop_is_called = false;
            std::mem::take(&mut book.requests)
        };
        let core = current();
        let mut snapshot = None;
        // Nobody minds when one who asked has gone.
        for (_, request) in requests {
            match request {
                Request::Snapshot(to) => {
                    let snapshot = snapshot
                        .get_or_insert_with(|| Arc::new(Snapshot::take(&core, core.running())));
                    let _ = to.send(snapshot.clone());
                }
                Request::Cancel(id, reason, to) => {
                    let can = !core.tasks.borrow().is_finished(id);
                    core.cancel(id, reason);
                    let _ = to.send(can);
                }
                Request::Trace(turns, to) => core.observe().trace(turns, to),
            }
        }
        if snapshot.is_some() {
            self.book().last = snapshot;
        }
    }

    fn no_answer(&self) -> NoAnswer {
        match self.handle.has_ended() {
            true => NoAnswer::Ended,
            false => {
                let stack = self.pulse.stack().unwrap_or_default().to_vec();
                let last = self.book().last.clone();
                NoAnswer::Stuck(self.current_step.stuck(stack, last))
            }
        }
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Display for NoAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NoAnswer::Stuck(stuck) => stuck.fmt(f),
            NoAnswer::Ended => f.write_str("the loop has ended"),
            NoAnswer::Full => write!(
                f,
                "the loop has not come to the {REQUESTS_MAX} requests before this one"
            ),
        }
    }
}

impl std::error::Error for NoAnswer {}
