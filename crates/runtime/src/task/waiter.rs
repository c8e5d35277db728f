//! Who waits for something, in two words of memory.
//!
//! A future that is polled directly by its task is remembered by the task's id, which
//! costs nothing; one that sits inside a combinator with wakers of its own is
//! remembered by a clone of that waker.

use crate::task::TaskId;
use std::cell::Cell;
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
pub(crate) struct Caller<'a> {
    /// Set when the waker is that of the running step.
    pub(crate) task: Option<TaskId>,
    pub(crate) waker: &'a Waker,
    /// Who waited before. Its destructor may be the user's, so it is dropped with the caller,
    /// when no part of the loop is borrowed any more.
    displaced: Cell<Waiter>,
}

impl<'a> Caller<'a> {
    #[inline]
    pub(crate) fn new(task: Option<TaskId>, running: WakerIdentity, cx: &'a Context<'_>) -> Self {
        let waker = cx.waker();
        Caller {
            task: task.filter(|_| WakerIdentity::of(waker) == running),
            waker,
            displaced: Cell::new(Waiter::NOBODY),
        }
    }

    /// Waits in `place`, instead of whoever did so far.
    #[inline]
    pub(crate) fn wait_in(&self, place: &mut Waiter) {
        self.displaced.set(std::mem::replace(place, self.waiter()));
    }

    #[inline]
    pub(crate) fn waiter(&self) -> Waiter {
        match self.task {
            Some(id) => Waiter::Task(Some(id)),
            None => Waiter::Waker(self.waker.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::task::Wake;

    struct Foreign;

    impl Wake for Foreign {
        fn wake(self: Arc<Self>) {}
    }

    fn id(bits: u64) -> TaskId {
        TaskId::from_bits(1 << 32 | bits)
    }

    // There a clone is kept as if it were a foreign waker, which costs an allocation and changes
    // nothing else.
    #[test]
    #[cfg_attr(miri, ignore = "Miri gives one vtable several addresses")]
    fn who_polls_with_the_waker_of_the_step_is_remembered_by_the_tasks_id() {
        let own = Waker::from(Arc::new(Foreign));
        let foreign = Waker::from(Arc::new(Foreign));
        let caller = |waker: &Waker, running| {
            Caller::new(Some(id(1)), running, &Context::from_waker(waker)).waiter()
        };
        let running = WakerIdentity::of(&own);
        assert!(matches!(caller(&own, running), Waiter::Task(Some(task)) if task == id(1)));
        // A clone is the same waker.
        let clone = own.clone();
        assert!(matches!(caller(&clone, running), Waiter::Task(_)));
        let Waiter::Waker(kept) = caller(&foreign, running) else {
            panic!("another waker has to be kept");
        };
        assert!(kept.will_wake(&foreign));
        assert!(matches!(
            caller(&own, WakerIdentity::NONE),
            Waiter::Waker(_)
        ));
        let outside = Caller::new(None, running, &Context::from_waker(&own)).waiter();
        assert!(matches!(outside, Waiter::Waker(_)));
    }

    #[test]
    fn who_waited_before_lives_as_long_as_the_one_who_took_the_place() {
        let foreign = Arc::new(Foreign);
        let mut place = Waiter::Waker(Waker::from(foreign.clone()));
        let cx = Context::from_waker(Waker::noop());
        let caller = Caller::new(Some(id(1)), WakerIdentity::of(cx.waker()), &cx);
        caller.wait_in(&mut place);
        assert!(matches!(place, Waiter::Task(Some(task)) if task == id(1)));
        assert_eq!(Arc::strong_count(&foreign), 2);
        drop(caller);
        assert_eq!(Arc::strong_count(&foreign), 1);
    }

    #[test]
    fn a_waiter_is_taken_once() {
        let mut place = Waiter::Task(Some(id(3)));
        assert!(matches!(place.take(), Some(Waiter::Task(Some(task))) if task == id(3)));
        assert!(place.take().is_none());
    }
}
