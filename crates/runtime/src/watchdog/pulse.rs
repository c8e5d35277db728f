//! What the loop is doing at this moment, for other threads to read.
//!
//! The loop writes and never waits: two stores a step, a store and an exchange around a wait for
//! I/O. It takes no lock, so that a loop that is stuck can be looked at, and costs the loop
//! nothing.

use super::stacks::Calls;
use crate::task::TaskId;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::Thread;

/// Shared by a loop (`Core::pulse`) and those who watch it. [`read`](Pulse::read) is for
/// everybody; the rest is for the loop, and for its one watchdog.
#[derive(Debug)]
pub(crate) struct Pulse {
    /// A task's bits, or one of the numbers below that no task has.
    doing: AtomicU64,
    /// Counts the steps.
    step: AtomicU64,
    /// Whether somebody wants to know of the end of this step.
    is_wanted: AtomicBool,
    /// Whether the watchdog sleeps until the loop is up again.
    watchdog_sleeps: AtomicBool,
    watchdog: OnceLock<Thread>,
    /// Where the loop was when it was caught last. Never touched by the loop.
    stack: Mutex<Option<(Beat, Calls)>>,
}

/// What a look at a [`Pulse`] sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Beat {
    /// The number of the step that is running, or was the last to run; the first is 1. The loop
    /// made progress when it has changed.
    pub(crate) step: u64,
    pub(crate) doing: Doing,
}

/// What a loop is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Doing {
    /// Nothing: no `block_on` runs, the thread does what it likes.
    Nothing,
    /// It waits for I/O, a timer or another thread.
    Waiting,
    /// The loop's own work at the beginning of a turn: it collects what became ready.
    Turning,
    /// It steps this task, or puts it away after its step.
    Stepping(TaskId),
}

// The generation of a task that exists is not 0, so that its bits are beyond 32.
const NOTHING: u64 = 0;
const WAITING: u64 = 1;
const TURNING: u64 = 2;

impl Pulse {
    pub(crate) fn new() -> Self {
        Pulse {
            doing: AtomicU64::new(NOTHING),
            step: AtomicU64::new(0),
            is_wanted: AtomicBool::new(false),
            watchdog_sleeps: AtomicBool::new(false),
            watchdog: OnceLock::new(),
            stack: Mutex::default(),
        }
    }

    /// Looks at the loop, from any thread. Of a step that lasts, number and task are right. While
    /// steps are short the two may be of neighbouring steps.
    pub(crate) fn read(&self) -> Beat {
        let step = self.step.load(Ordering::Acquire);
        let doing = match self.doing.load(Ordering::Acquire) {
            NOTHING => Doing::Nothing,
            WAITING => Doing::Waiting,
            TURNING => Doing::Turning,
            task => Doing::Stepping(TaskId::from_bits(task)),
        };
        Beat { step, doing }
    }

    /// A step begins. It counts until the next begins, or the turn ends: what a task leaves
    /// behind is dropped after its step.
    #[inline]
    pub(crate) fn start_step(&self, id: TaskId) {
        // Only the loop writes, so that this need not be one operation.
        let step = self.step.load(Ordering::Relaxed) + 1;
        self.doing.store(id.to_bits(), Ordering::Relaxed);
        self.step.store(step, Ordering::Release);
    }

    /// The number of the running step.
    #[inline]
    pub(crate) fn step(&self) -> u64 {
        self.step.load(Ordering::Relaxed)
    }

    /// The loop is going to wait.
    #[inline]
    pub(crate) fn start_waiting(&self) {
        self.doing.store(WAITING, Ordering::Release);
    }

    /// No `block_on` runs any more.
    pub(crate) fn stop(&self) {
        self.doing.store(NOTHING, Ordering::Release);
    }

    /// The loop has something to do again. A watchdog that sleeps is woken.
    #[inline]
    pub(crate) fn start_turning(&self) {
        // Pairs with `may_park`: one writes `doing` and reads `watchdog_sleeps`, the
        // other the other way round, and one of them has to see the other. A plain store
        // would be allowed to come after the load.
        self.doing.swap(TURNING, Ordering::SeqCst);
        if self.watchdog_sleeps.load(Ordering::SeqCst) {
            self.wake_watchdog();
        }
    }

    #[cold]
    fn wake_watchdog(&self) {
        self.watchdog_sleeps.store(false, Ordering::Relaxed);
        if let Some(thread) = self.watchdog.get() {
            thread.unpark();
        }
    }

    /// Says who is to be woken. Once.
    pub(crate) fn set_watchdog(&self, thread: Thread) {
        let first = self.watchdog.set(thread);
        assert!(first.is_ok(), "a loop has one watchdog");
    }

    /// Announces that the watchdog is about to park. Returns false, and takes it back, when the
    /// loop is up already.
    pub(crate) fn may_park(&self) -> bool {
        self.watchdog_sleeps.store(true, Ordering::SeqCst);
        let doing = self.doing.load(Ordering::SeqCst);
        let may = matches!(doing, WAITING | NOTHING);
        if !may {
            self.watchdog_sleeps.store(false, Ordering::SeqCst);
        }
        may
    }

    /// Asks the loop to look, at the end of its step, whether that is the one somebody means.
    pub(crate) fn want_end_of_step(&self) {
        self.is_wanted.store(true, Ordering::Release);
    }

    /// Whether the end of this step may be wanted.
    #[inline]
    pub(crate) fn is_wanted(&self) -> bool {
        self.is_wanted.load(Ordering::Relaxed)
    }

    /// The loop has looked.
    pub(crate) fn want_no_more(&self) {
        self.is_wanted.store(false, Ordering::Relaxed);
    }

    /// The watchdog has seen where the loop is stuck.
    pub(crate) fn show_stack(&self, beat: Beat, calls: Calls) {
        *self.shown() = Some((beat, calls));
    }

    /// Where the loop was seen in what it is doing still; `None` when nobody has looked yet.
    pub(crate) fn stack(&self) -> Option<Calls> {
        let shown = self.shown();
        let (beat, calls) = shown.as_ref()?;
        (*beat == self.read()).then(|| calls.clone())
    }

    fn shown(&self) -> MutexGuard<'_, Option<(Beat, Calls)>> {
        self.stack.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(slot: u64) -> TaskId {
        TaskId::from_bits(1 << 32 | slot)
    }

    #[test]
    fn what_the_loop_does_is_read_as_it_was_written() {
        let pulse = Pulse::new();
        let doing = |doing, step| assert_eq!(pulse.read(), Beat { step, doing });
        doing(Doing::Nothing, 0);
        pulse.start_turning();
        doing(Doing::Turning, 0);
        pulse.start_step(task(0));
        doing(Doing::Stepping(task(0)), 1);
        pulse.start_step(task(7));
        doing(Doing::Stepping(task(7)), 2);
        pulse.start_waiting();
        doing(Doing::Waiting, 2);
        pulse.stop();
        doing(Doing::Nothing, 2);
    }

    #[test]
    fn a_stack_is_shown_for_as_long_as_the_step_lasts_that_it_is_of() {
        let pulse = Pulse::new();
        pulse.start_step(task(3));
        assert_eq!(pulse.stack(), None);
        let calls: Calls = vec!["reads (a.rs:1)".to_owned()].into();
        pulse.show_stack(pulse.read(), calls.clone());
        assert_eq!(pulse.stack(), Some(calls));
        // The same task, the next step.
        pulse.start_step(task(3));
        assert_eq!(pulse.stack(), None);
    }

    #[test]
    fn a_watchdog_parks_only_while_the_loop_rests_and_is_woken_once() {
        let pulse = Pulse::new();
        pulse.set_watchdog(std::thread::current());
        pulse.start_turning();
        assert!(!pulse.may_park());
        pulse.start_waiting();
        assert!(pulse.may_park());
        pulse.start_turning();
        // Returns at once: it was unparked.
        std::thread::park();
        assert!(!pulse.watchdog_sleeps.load(Ordering::Relaxed));
    }
}
