//! Callbacks: plain functions in the queue of the tasks.

use crate::clock::deadline_after;
use crate::scope::{TaskHandle, spawn};
use crate::time::{now, sleep_until};
use std::time::{Duration, Instant};

/// Runs a function in the next turn of the loop, behind everything that is ready now.
/// Callbacks run one by one, in the order they were given, in one queue with the tasks.
///
/// # Panics
/// When the thread has no loop.
#[track_caller]
pub fn call_soon(callback: impl FnOnce() + 'static) -> CallHandle {
    CallHandle {
        task: spawn(async move { callback() }).task(),
    }
}

/// Runs a function when `delay` has passed.
///
/// # Panics
/// When the thread has no loop.
#[track_caller]
pub fn call_later(delay: Duration, callback: impl FnOnce() + 'static) -> CallHandle {
    call_at(deadline_after(now(), delay), callback)
}

/// Runs a function at `deadline`, or in the next turn when that has passed.
///
/// # Panics
/// When the thread has no loop.
#[track_caller]
pub fn call_at(deadline: Instant, callback: impl FnOnce() + 'static) -> CallHandle {
    let task = spawn(async move {
        sleep_until(deadline).await;
        callback();
    });
    CallHandle { task: task.task() }
}

/// Can call a callback off. Dropping it does not.
#[derive(Debug, Clone)]
pub struct CallHandle {
    task: TaskHandle,
}

impl CallHandle {
    /// Calls the callback off; does nothing when it has run already.
    pub fn cancel(&self) {
        self.task.cancel();
    }

    /// Whether the callback has run or was called off.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.task.is_finished()
    }
}
