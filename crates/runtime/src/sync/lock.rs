//! Mutual exclusion across awaits.

use crate::sync::Semaphore;
use crate::sync::semaphore::Permit;
use std::cell::{RefCell, RefMut};
use std::fmt;
use std::ops::{Deref, DerefMut};

/// A value that one task at a time may use, also across awaits: `asyncio.Lock`.
///
/// Between two awaits a task is alone anyway: a [`RefCell`] is enough for state that is not
/// held over one. Strictly first come, first served. A panic while it is held unlocks it and
/// leaves the value as it is.
///
/// ```
/// use monoloop_runtime::{spawn, sync::Lock, time, Runtime};
/// use std::{rc::Rc, time::Duration};
///
/// let mut runtime = Runtime::new()?;
/// runtime.block_on(async {
///     let total = Rc::new(Lock::new(0));
///     let tasks: Vec<_> = (0..3).map(|_| {
///         let total = total.clone();
///         spawn(async move {
///             let mut total = total.lock().await;
///             let before = *total;
///             time::sleep(Duration::from_millis(1)).await;
///             *total = before + 1;
///         })
///     }).collect();
///     for task in tasks {
///         task.await.expect("it neither panics nor is cancelled");
///     }
///     assert_eq!(*total.lock().await, 3);
/// });
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct Lock<T> {
    turns: Semaphore,
    /// Borrowed by who has the turn, and by nobody else.
    value: RefCell<T>,
}

impl<T> Lock<T> {
    /// Makes a lock that nobody holds.
    pub const fn new(value: T) -> Self {
        Lock {
            turns: Semaphore::of(1, "lock"),
            value: RefCell::new(value),
        }
    }

    /// Waits until nobody holds it. Counts as an operation of the step when nobody does.
    ///
    /// A task that holds it and asks again waits for ever.
    ///
    /// # Cancel safety
    /// Nothing is lost: the turn of one that is dropped goes to the next. The place in the line
    /// is lost.
    pub async fn lock(&self) -> LockGuard<'_, T> {
        let turn = self.turns.acquire().await;
        self.guard(turn.expect("the turns of a lock are never closed"))
    }

    /// Takes it if nobody holds it or waits for it.
    #[must_use = "a guard that is dropped unlocks"]
    pub fn try_lock(&self) -> Option<LockGuard<'_, T>> {
        self.turns.try_acquire().map(|turn| self.guard(turn))
    }

    /// Whether somebody holds it or is about to.
    #[must_use]
    pub fn is_locked(&self) -> bool {
        self.turns.is_locked()
    }

    /// The value, without locking: nobody else can have it.
    pub fn get_mut(&mut self) -> &mut T {
        self.value.get_mut()
    }

    /// The value.
    pub fn into_inner(self) -> T {
        self.value.into_inner()
    }

    fn guard<'a>(&'a self, turn: Permit<'a>) -> LockGuard<'a, T> {
        LockGuard {
            value: self.value.borrow_mut(),
            lock: self,
            _turn: turn,
        }
    }
}

impl<T: Default> Default for Lock<T> {
    fn default() -> Self {
        Lock::new(T::default())
    }
}

impl<T: fmt::Debug> fmt::Debug for Lock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut lock = f.debug_struct("Lock");
        match self.try_lock() {
            Some(guard) => lock.field("value", &*guard).finish(),
            None => lock.finish_non_exhaustive(),
        }
    }
}

/// The right to use what is in a [`Lock`]; dropped, it unlocks.
#[must_use = "a guard that is dropped unlocks"]
pub struct LockGuard<'a, T> {
    // Dropped before the turn: who is woken then must find the value free.
    value: RefMut<'a, T>,
    lock: &'a Lock<T>,
    _turn: Permit<'a>,
}

impl<'a, T> LockGuard<'a, T> {
    /// The lock that it holds.
    pub(super) fn lock(&self) -> &'a Lock<T> {
        self.lock
    }
}

impl<T> Deref for LockGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T> DerefMut for LockGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.value
    }
}

impl<T: fmt::Debug> fmt::Debug for LockGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LockGuard").field(&*self.value).finish()
    }
}
