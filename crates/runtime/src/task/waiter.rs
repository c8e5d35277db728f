//! Who waits for something, in two words of memory.
//!
//! A future that is polled directly by its task is remembered by the task's id, which
//! costs nothing; one that sits inside a combinator with wakers of its own is
//! remembered by a clone of that waker.

use crate::task::TaskId;
use std::task::{Context, RawWakerVTable, Waker};

/// Who is woken when the thing waited for has happened.
#[derive(Debug)]
pub(crate) enum Waiter {
    /// A task of this loop, or nobody.
    Task(Option<TaskId>),
    /// Somebody else's waker.
    Waker(Waker),
}

const _: () = assert!(size_of::<Waiter>() == 2 * size_of::<usize>() || size_of::<usize>() < 8);

impl Waiter {
    pub(crate) const NOBODY: Waiter = Waiter::Task(None);

    /// The waiter, leaving nobody.
    #[inline]
    pub(crate) fn take(&mut self) -> Option<Waiter> {
        match std::mem::replace(self, Waiter::NOBODY) {
            Waiter::Task(None) => None,
            somebody => Some(somebody),
        }
    }
}

/// Tells the waker of the running step from all others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct WakerIdentity(*const (), *const RawWakerVTable);

impl WakerIdentity {
    pub(crate) const NONE: WakerIdentity = WakerIdentity(std::ptr::null(), std::ptr::null());

    #[inline]
    pub(crate) fn of(waker: &Waker) -> Self {
        WakerIdentity(waker.data(), waker.vtable())
    }
}

/// Whoever polls: knows how to become a [`Waiter`], and does so only if it has to wait.
#[derive(Debug)]
pub(crate) struct Caller<'a> {
    /// Set when the waker is that of the running step.
    pub(crate) task: Option<TaskId>,
    pub(crate) waker: &'a Waker,
}

impl<'a> Caller<'a> {
    #[inline]
    pub(crate) fn new(task: Option<TaskId>, running: WakerIdentity, cx: &'a Context<'_>) -> Self {
        let waker = cx.waker();
        Caller {
            task: task.filter(|_| WakerIdentity::of(waker) == running),
            waker,
        }
    }

    #[inline]
    pub(crate) fn waiter(&self) -> Waiter {
        match self.task {
            Some(id) => Waiter::Task(Some(id)),
            None => Waiter::Waker(self.waker.clone()),
        }
    }
}
