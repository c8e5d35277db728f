//! What other threads may touch of a loop: the place where they leave wakes and calls.
//!
//! No other thread ever holds, drops or sees a future. A waker is a task id and a
//! reference to this inbox, nothing else.

use crate::task::TaskId;
use crate::threads::{AtomicBool, Mutex, MutexGuard};
use std::cell::RefCell;
use std::panic::Location;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError};
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

/// What another thread wants of the loop.
pub(crate) enum Letter {
    /// Step this task.
    Wake(TaskId),
    /// Make a task that runs this function.
    Call(RemoteCall),
}

/// A function from another thread. It runs, and is dropped, on the loop.
pub(crate) struct RemoteCall {
    pub(crate) function: Box<dyn FnOnce() + Send>,
    pub(crate) place: &'static Location<'static>,
}

/// Wakes and calls from other threads, until the loop's next turn.
pub(crate) struct Inbox {
    /// `None` once the loop is gone: wakers may outlive it and must not pile up wakes.
    letters: Mutex<Option<Vec<Letter>>>,
    /// Whether `letters` is not empty; also, whether the driver was notified already.
    has_letters: AtomicBool,
    notify: Box<dyn Notify>,
}

impl Inbox {
    pub(crate) fn new(notify: Box<dyn Notify>) -> Arc<Self> {
        Arc::new(Inbox {
            letters: Mutex::new(Some(Vec::new())),
            has_letters: AtomicBool::new(false),
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

    /// Leaves a letter for the loop's next turn, and ends its wait when this is the first.
    /// Returns it when the loop is gone.
    pub(crate) fn push(&self, letter: Letter) -> Result<(), Letter> {
        let mut letters = self.lock();
        let Some(list) = &mut *letters else {
            return Err(letter);
        };
        list.push(letter);
        let first = !self.has_letters.swap(true, Ordering::Release);
        drop(letters);
        if first {
            self.notify.notify();
        }
        Ok(())
    }

    /// A wake from another thread. Out of line, to keep it out of the way of those that are not.
    #[inline(never)]
    fn push_wake(&self, id: TaskId) {
        // A task of a loop that is gone is gone.
        let _ = self.push(Letter::Wake(id));
    }

    /// Ends the loop's current or next wait.
    pub(crate) fn notify(&self) {
        self.notify.notify();
    }

    /// Moves all letters to `received`, oldest first.
    #[inline]
    pub(crate) fn drain_into(&self, received: &mut Vec<Letter>) {
        // A letter that is pushed right after this load has notified the driver, whose
        // next wait returns at once.
        if self.has_letters.load(Ordering::Acquire) {
            let mut letters = self.lock();
            self.has_letters.store(false, Ordering::Relaxed);
            if let Some(list) = &mut *letters {
                received.append(list);
            }
        }
    }

    /// From now on wakes do nothing and calls are refused. Returns what has to be dropped by
    /// the caller: the destructors of calls that never ran may well look at this inbox.
    #[must_use]
    pub(crate) fn close(&self) -> Option<Vec<Letter>> {
        self.lock().take()
    }

    /// Whether the loop is gone.
    pub(crate) fn is_closed(&self) -> bool {
        self.lock().is_none()
    }

    fn lock(&self) -> MutexGuard<'_, Option<Vec<Letter>>> {
        self.letters.lock().unwrap_or_else(PoisonError::into_inner)
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
            self.inbox.push_wake(id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicUsize;
    use std::task::Waker;

    #[derive(Default)]
    struct Notified(Arc<AtomicUsize>);

    impl Notify for Notified {
        fn notify(&self) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn id(bits: u64) -> TaskId {
        TaskId::from_bits(1 << 32 | bits)
    }

    fn inbox() -> (Arc<Inbox>, Arc<AtomicUsize>) {
        let notified = Notified::default();
        let count = notified.0.clone();
        (Inbox::new(Box::new(notified)), count)
    }

    fn waker(inbox: &Arc<Inbox>, id: TaskId) -> Waker {
        Waker::from(Arc::new(TaskWaker {
            id: AtomicU64::new(id.to_bits()),
            inbox: inbox.clone(),
        }))
    }

    fn drain(inbox: &Inbox) -> Vec<TaskId> {
        let mut received = Vec::new();
        inbox.drain_into(&mut received);
        let wakes = received.into_iter().map(|letter| match letter {
            Letter::Wake(id) => id,
            Letter::Call(_) => panic!("nobody called"),
        });
        wakes.collect()
    }

    #[test]
    fn wakes_are_kept_in_order_and_the_first_of_a_turn_notifies() {
        let (inbox, notified) = inbox();
        for turn in 1..=3 {
            for bits in [5, 3, 5] {
                waker(&inbox, id(bits)).wake();
            }
            assert_eq!(notified.load(Ordering::Relaxed), turn);
            assert_eq!(drain(&inbox), [id(5), id(3), id(5)]);
            assert_eq!(drain(&inbox), []);
        }
    }

    #[test]
    fn a_wake_on_the_loops_own_thread_goes_straight_to_the_queue_of_that_loop() {
        #[derive(Default)]
        struct Queue(RefCell<Vec<TaskId>>);
        impl WakeLocal for Queue {
            fn wake_local(&self, id: TaskId) {
                self.0.borrow_mut().push(id);
            }
        }
        let ((own, notified), (other, others_notified)) = (inbox(), inbox());
        let queue = Rc::new(Queue::default());
        Inbox::attach_thread(&own, queue.clone());
        waker(&own, id(1)).wake_by_ref();
        waker(&other, id(2)).wake_by_ref();
        std::thread::scope(|scope| {
            scope.spawn(|| waker(&own, id(3)).wake());
        });
        Inbox::detach_thread();
        waker(&own, id(4)).wake();
        assert_eq!(*queue.0.borrow(), [id(1)]);
        assert_eq!(
            (drain(&own), drain(&other)),
            (vec![id(3), id(4)], vec![id(2)])
        );
        assert_eq!(notified.load(Ordering::Relaxed), 1);
        assert_eq!(others_notified.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn wakes_of_a_loop_that_is_gone_do_not_pile_up() {
        let (inbox, notified) = inbox();
        waker(&inbox, id(1)).wake();
        assert_eq!(inbox.close().unwrap().len(), 1);
        for _ in 0..1000 {
            waker(&inbox, id(1)).wake();
        }
        assert!(inbox.is_closed());
        assert_eq!(drain(&inbox), []);
        assert_eq!(notified.load(Ordering::Relaxed), 1);
    }
}
