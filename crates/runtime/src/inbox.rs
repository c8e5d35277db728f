//! What other threads may touch of a loop: the place where they leave wakes.
//!
//! No other thread ever holds, drops or sees a future. A waker is a task id and a
//! reference to this inbox, nothing else.

use crate::task::TaskId;
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Wake;

/// Ends the wait of a driver from another thread.
pub(crate) trait Notify: Send + Sync {
    /// The driver's current or next wait returns at once.
    fn notify(&self);
}

/// Wakes a task from the loop's own thread.
pub(crate) trait WakeLocal {
    /// Puts the task into the ready queue.
    fn wake_local(&self, id: TaskId);
}

/// The loop of this thread, as wakers find it.
struct Local {
    inbox: *const Inbox,
    target: Rc<dyn WakeLocal>,
}

thread_local! {
    static LOCAL: RefCell<Option<Local>> = const { RefCell::new(None) };
}

/// Wakes from other threads, until the loop's next turn.
pub(crate) struct Inbox {
    wakes: Mutex<Vec<TaskId>>,
    /// Whether `wakes` is not empty; also, whether the driver was notified already.
    has_wakes: AtomicBool,
    notify: Box<dyn Notify>,
}

impl Inbox {
    pub(crate) fn new(notify: Box<dyn Notify>) -> Arc<Self> {
        Arc::new(Inbox {
            wakes: Mutex::new(Vec::new()),
            has_wakes: AtomicBool::new(false),
            notify,
        })
    }

    /// Makes wakes on this thread go straight to the ready queue.
    pub(crate) fn attach_thread(inbox: &Arc<Inbox>, target: Rc<dyn WakeLocal>) {
        let local = Local {
            inbox: Arc::as_ptr(inbox),
            target,
        };
        LOCAL.with(|slot| *slot.borrow_mut() = Some(local));
    }

    /// Undoes [`attach_thread`](Inbox::attach_thread).
    pub(crate) fn detach_thread() {
        // The thread may be ending, with its locals gone already.
        let local = LOCAL.try_with(|slot| slot.borrow_mut().take());
        drop(local);
    }

    /// Leaves a wake for the loop's next turn, and ends its wait when this is the first.
    fn push(&self, id: TaskId) {
        let mut wakes = self.wakes.lock().unwrap_or_else(PoisonError::into_inner);
        wakes.push(id);
        let first = !self.has_wakes.swap(true, Ordering::Release);
        drop(wakes);
        if first {
            self.notify.notify();
        }
    }

    /// Moves all wakes to `woken`, oldest first.
    #[inline]
    pub(crate) fn drain_into(&self, woken: &mut Vec<TaskId>) {
        // A wake that is pushed right after this load has notified the driver, whose
        // next wait returns at once.
        if self.has_wakes.load(Ordering::Acquire) {
            let mut wakes = self.wakes.lock().unwrap_or_else(PoisonError::into_inner);
            self.has_wakes.store(false, Ordering::Relaxed);
            woken.append(&mut wakes);
        }
    }
}

/// The waker of a task.
pub(crate) struct TaskWaker {
    /// Changed only while nobody else has the waker, see `event_loop::WakerCache`.
    pub(crate) id: AtomicU64,
    pub(crate) inbox: Arc<Inbox>,
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    #[inline]
    fn wake_by_ref(self: &Arc<Self>) {
        let id = TaskId::from_bits(self.id.load(Ordering::Relaxed));
        // While the thread ends its locals may be gone: then the inbox takes the wake.
        let local = LOCAL.try_with(|slot| {
            let slot = slot.borrow();
            let local = slot.as_ref()?;
            std::ptr::eq(local.inbox, Arc::as_ptr(&self.inbox)).then(|| local.target.wake_local(id))
        });
        if !matches!(local, Ok(Some(()))) {
            self.inbox.push(id);
        }
    }
}
