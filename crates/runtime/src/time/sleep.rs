//! Waiting for a point in time.

use crate::clock::deadline_after;
use crate::core::Core;
use crate::introspect::WaitsOn;
use crate::runtime::current;
use crate::task::TaskId;
use crate::timer::TimerKey;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

/// Waits until `delay` has passed.
///
/// # Panics
/// When the thread has no loop.
///
/// # Cancel safety
/// Nothing is lost.
#[track_caller]
pub fn sleep(delay: Duration) -> Sleep {
    let core = current();
    let deadline = deadline_after(core.clock.now(), delay);
    Sleep::new(core, deadline)
}

/// Waits until `deadline`.
///
/// # Panics
/// When the thread has no loop.
///
/// # Cancel safety
/// Nothing is lost.
#[track_caller]
pub fn sleep_until(deadline: Instant) -> Sleep {
    Sleep::new(current(), deadline)
}

/// A future that is done at its deadline: never before, and in the turn after the
/// millisecond in which it lies.
///
/// It is armed when it is first polled. [`reset`](Sleep::reset) to a later deadline costs one
/// store: the armed timer is left where it is, and when it comes up it is armed again. A
/// connection that moves its idle deadline at each request so touches the timers once per idle
/// time, not once per request.
#[must_use = "futures do nothing unless awaited"]
pub struct Sleep {
    core: Rc<Core>,
    deadline: Instant,
    armed: Option<Armed>,
}

struct Armed {
    key: TimerKey,
    /// When the timer comes up.
    at: Instant,
    /// The task it wakes; `None` when it holds a waker.
    task: Option<TaskId>,
}

impl Sleep {
    pub(crate) fn new(core: Rc<Core>, deadline: Instant) -> Self {
        Sleep {
            core,
            deadline,
            armed: None,
        }
    }

    #[inline]
    pub(crate) fn core(&self) -> &Core {
        &self.core
    }

    /// When it is done.
    #[must_use]
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// How long the loop was stuck so far; see [`time::stuck`](crate::time::stuck). Two loads.
    #[inline]
    #[must_use]
    pub fn stuck(&self) -> Duration {
        self.core.stuck()
    }

    /// Whether the deadline has passed.
    #[inline]
    #[must_use]
    pub fn is_elapsed(&self) -> bool {
        self.core.clock.now() >= self.deadline
    }

    /// Moves the deadline, also after it has passed. O(1); to a later deadline one store.
    /// Who waits already is woken at the new deadline without being polled before.
    pub fn reset(&mut self, deadline: Instant) {
        self.deadline = deadline;
        let Some(armed) = &mut self.armed else { return };
        if deadline < armed.at {
            if deadline <= self.core.clock.now() {
                // The wheel would come to it in the next tick, on a clock that stands still
                // never.
                let waiter = self.core.timers.borrow_mut().cancel(armed.key);
                self.armed = None;
                if let Some(waiter) = waiter {
                    self.core.wake(waiter);
                }
                return;
            }
            let tick = self.core.clock.tick_at(deadline);
            armed.at = deadline;
            if !self.core.timers.borrow_mut().move_to(armed.key, tick) {
                // It has come up; the next poll arms it.
                self.armed = None;
            }
        }
    }

    /// Waits by reference, for one that is reset and polled again.
    #[inline]
    pub fn poll_elapsed(&mut self, cx: &Context<'_>) -> Poll<()> {
        if self.is_elapsed() {
            self.disarm();
            return Poll::Ready(());
        }
        self.arm(cx);
        self.core.note(WaitsOn::Timer(self.deadline));
        Poll::Pending
    }

    #[inline]
    fn arm(&mut self, cx: &Context<'_>) {
        let caller = self.core.caller(cx);
        if let Some(armed) = &self.armed {
            let comes_up = self.core.clock.now() < armed.at;
            if comes_up && armed.task.is_some() && armed.task == caller.task {
                return;
            }
            if comes_up {
                let before = self
                    .core
                    .timers
                    .borrow_mut()
                    .set_waiter(armed.key, caller.waiter());
                if before.is_some() {
                    self.armed = Some(Armed {
                        task: caller.task,
                        ..*armed
                    });
                    return;
                }
            }
        }
        self.disarm();
        let tick = self.core.clock.tick_at(self.deadline);
        let key = self.core.timers.borrow_mut().insert(tick, caller.waiter());
        self.armed = Some(Armed {
            key,
            at: self.deadline,
            task: caller.task,
        });
    }

    fn disarm(&mut self) {
        if let Some(armed) = self.armed.take() {
            let waiter = self.core.timers.borrow_mut().cancel(armed.key);
            drop(waiter);
        }
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.poll_elapsed(cx)
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        self.disarm();
    }
}

impl fmt::Debug for Sleep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sleep")
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}
