//! Who waits, who is woken and who has to let others run first: with a loop or without.
//!
//! On a loop a task that polls by itself is remembered by its id. Under a combinator, or where
//! there is no loop at all, its waker is cloned. Cloning, waking and dropping a waker may run
//! user code, so none of it happens here under a borrow, not even of the thread's loop.

use crate::introspect::{WaitsOn, note};
use crate::runtime::try_current;
use crate::task::Waiter;
use std::cell::Cell;
use std::task::{Context, Poll};

/// The waiter for whoever polls, and is about to wait on `what`.
pub(super) fn waiter(cx: &Context<'_>, what: &'static str) -> Waiter {
    let own_task = try_current().and_then(|core| {
        core.note(WaitsOn::Named(what));
        core.caller(cx).task
    });
    match own_task {
        Some(id) => Waiter::Task(Some(id)),
        None => Waiter::Waker(cx.waker().clone()),
    }
}

/// Whether `waiter` is the one that polls; then it goes on waiting on `what`.
pub(super) fn is_waiter(waiter: &Waiter, cx: &Context<'_>, what: &'static str) -> bool {
    match waiter {
        Waiter::Task(Some(id)) => try_current().is_some_and(|core| {
            let same = core.caller(cx).task == Some(*id);
            if same {
                core.note(WaitsOn::Named(what));
            }
            same
        }),
        Waiter::Task(None) => false,
        Waiter::Waker(waker) => {
            let same = waker.will_wake(cx.waker());
            if same {
                note(what);
            }
            same
        }
    }
}

pub(super) fn wake(waiter: Waiter) {
    match waiter {
        // A task has no life beyond its loop.
        Waiter::Task(id) => {
            if let (Some(id), Some(core)) = (id, try_current()) {
                core.wake_task(id);
            }
        }
        Waiter::Waker(waker) => waker.wake(),
    }
}

/// Uses up one of the step's operations; without a loop there is nobody to let run.
pub(super) fn poll_budget(cx: &Context<'_>) -> Poll<()> {
    match try_current() {
        Some(core) => core.poll_budget(cx),
        None => Poll::Ready(()),
    }
}

/// A place for one who waits.
pub(super) struct WaiterCell(Cell<Waiter>);

impl WaiterCell {
    pub(super) const fn new() -> Self {
        WaiterCell(Cell::new(Waiter::NOBODY))
    }

    /// Makes whoever polls the one who waits. May run user code: what is waited for has to be
    /// looked at again afterwards.
    pub(super) fn wait(&self, cx: &Context<'_>, what: &'static str) {
        let before = self.0.replace(Waiter::NOBODY);
        if is_waiter(&before, cx, what) {
            self.0.set(before);
        } else {
            let _displaced = self.0.replace(waiter(cx, what));
        }
    }

    pub(super) fn wake(&self) {
        if let Some(waiter) = self.0.replace(Waiter::NOBODY).take() {
            wake(waiter);
        }
    }

    pub(super) fn clear(&self) {
        let _waited = self.0.replace(Waiter::NOBODY);
    }
}
