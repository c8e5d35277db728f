//! Waiting until what a lock protects is as one needs it.

use crate::sync::LockGuard;
use crate::sync::line::{Line, Wait};
use crate::sync::notify::NotifiedBy;
use crate::sync::wait_list::WaitList;
use std::future::Future;
use std::future::poll_fn;
use std::pin::Pin;

/// Waits for a change of what a [`Lock`](crate::sync::Lock) protects: `asyncio.Condition`.
///
/// The lock is given up while it waits and held again afterwards. Who notifies need not hold
/// it. Use it with one lock only.
///
/// ```
/// use monoloop_runtime::{spawn, sync::{Condition, Lock}, Runtime};
/// use std::rc::Rc;
///
/// Runtime::new()?.block_on(async {
///     let shared = Rc::new((Lock::new(Vec::new()), Condition::new()));
///     let consumer = spawn({
///         let shared = shared.clone();
///         async move {
///             let items = shared.0.lock().await;
///             let mut items = shared.1.wait_for(items, |items| !items.is_empty()).await;
///             items.pop()
///         }
///     });
///     shared.0.lock().await.push("item");
///     shared.1.notify_one();
///     assert_eq!(consumer.await.expect("it ends by itself"), Some("item"));
/// });
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Condition {
    waiters: WaitList<(), NotifiedBy>,
}

impl Condition {
    /// Makes one that nobody waits for.
    #[must_use]
    pub const fn new() -> Self {
        Condition {
            waiters: WaitList::new(),
        }
    }

    /// Gives up the lock, waits to be notified, and takes the lock again.
    ///
    /// No notification between the two is missed. Whether the state is as needed has to be
    /// looked at again: somebody else may have been faster. [`wait_for`](Condition::wait_for)
    /// does so.
    ///
    /// # Cancel safety
    /// Nothing is lost: a notification that was meant for one alone, which is dropped before it
    /// has the lock, goes to the next who waits. The lock is not held afterwards.
    pub async fn wait<'a, T>(&self, guard: LockGuard<'a, T>) -> LockGuard<'a, T> {
        let lock = guard.lock();
        let mut guard = Some(guard);
        let mut wait = Wait::new(self, ());
        let by = poll_fn(|cx| {
            // It stands in the line before others can take the lock.
            let polled = Pin::new(&mut wait).poll(cx);
            drop(guard.take());
            polled
        })
        .await;
        let owed = Owed {
            condition: self,
            by,
        };
        let guard = lock.lock().await;
        owed.settle();
        guard
    }

    /// Waits until `is_met` says so, which is asked first and after each notification, while
    /// the lock is held.
    ///
    /// # Cancel safety
    /// As [`wait`](Condition::wait).
    pub async fn wait_for<'a, T>(
        &self,
        mut guard: LockGuard<'a, T>,
        mut is_met: impl FnMut(&mut T) -> bool,
    ) -> LockGuard<'a, T> {
        while !is_met(&mut guard) {
            guard = self.wait(guard).await;
        }
        guard
    }

    /// Wakes who has waited longest. When nobody waits it does nothing.
    pub fn notify_one(&self) {
        self.notify(1);
    }

    /// Wakes so many, those first who have waited longest.
    pub fn notify(&self, count: usize) {
        for _ in 0..count.min(self.waiters.len()) {
            self.waiters.choose_first(|()| NotifiedBy::One);
        }
        self.waiters.wake_chosen();
    }

    /// Wakes all who wait now. They get the lock in the order in which they came.
    pub fn notify_all(&self) {
        self.waiters.choose_all(|()| NotifiedBy::All);
        self.waiters.wake_chosen();
    }
}

impl Default for Condition {
    fn default() -> Self {
        Condition::new()
    }
}

impl Line for Condition {
    type Wants = ();
    type Grant = NotifiedBy;

    fn waiters(&self) -> &WaitList<(), NotifiedBy> {
        &self.waiters
    }

    fn is_free(&self, (): &()) -> bool {
        false
    }

    fn what(&self) -> &'static str {
        "condition"
    }

    fn take(&self, (): ()) -> NotifiedBy {
        unreachable!("a condition is never free: there is always something to wait for")
    }

    fn pass_on(&self, by: NotifiedBy) {
        match by {
            NotifiedBy::One => self.notify_one(),
            NotifiedBy::All => {}
        }
    }
}

/// A notification of one that does not have the lock yet.
struct Owed<'a> {
    condition: &'a Condition,
    by: NotifiedBy,
}

impl Owed<'_> {
    fn settle(mut self) {
        self.by = NotifiedBy::All;
    }
}

impl Drop for Owed<'_> {
    fn drop(&mut self) {
        self.condition.pass_on(self.by);
    }
}
