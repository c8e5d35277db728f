//! Waking one who waits, or all.

use crate::sync::line::{Line, Wait};
use crate::sync::wait_list::WaitList;
use std::cell::Cell;

/// Wakes one task, or all that wait. It carries no value: look at the state that it stands for.
///
/// [`notify_one`](Notify::notify_one) is remembered, once, when nobody waits; so it may come
/// before the wait. asyncio has no such thing: an [`Event`](crate::sync::Event) that is cleared
/// by the one it wakes comes near.
///
/// ```
/// use monoloop_runtime::{spawn, sync::Notify, Runtime};
/// use std::{cell::RefCell, rc::Rc};
///
/// Runtime::new()?.block_on(async {
///     let jobs = Rc::new((RefCell::new(Vec::new()), Notify::new()));
///     let worker = spawn({
///         let jobs = jobs.clone();
///         async move {
///             loop {
///                 let job = jobs.0.borrow_mut().pop();
///                 match job {
///                     Some(job) => return job,
///                     None => jobs.1.notified().await,
///                 }
///             }
///         }
///     });
///     jobs.0.borrow_mut().push("job");
///     jobs.1.notify_one();
///     assert_eq!(worker.await.expect("it ends by itself"), "job");
/// });
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Notify {
    is_stored: Cell<bool>,
    waiters: WaitList<(), NotifiedBy>,
}

/// Whether a notification was meant for one alone: then it must not get lost with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NotifiedBy {
    One,
    All,
}

impl Notify {
    /// Makes one that has no notification stored.
    #[must_use]
    pub const fn new() -> Self {
        Notify {
            is_stored: Cell::new(false),
            waiters: WaitList::new(),
        }
    }

    /// Wakes who has waited longest. When nobody waits, the next one that comes goes on at
    /// once; several notifications that find nobody are one.
    pub fn notify_one(&self) {
        if !self.waiters.choose_first(|()| NotifiedBy::One) {
            self.is_stored.set(true);
        }
        self.waiters.wake_chosen();
    }

    /// Wakes all who wait now, in the order in which they came. Nothing is stored.
    pub fn notify_all(&self) {
        self.waiters.choose_all(|()| NotifiedBy::All);
        self.waiters.wake_chosen();
    }

    /// Waits for a notification, from the first poll on. Counts as an operation of the step
    /// when one is stored.
    ///
    /// # Cancel safety
    /// Nothing is lost: a notification for one that is dropped before it goes on wakes the
    /// next, or is stored. The place in the line is lost.
    pub async fn notified(&self) {
        Wait::new(self, ()).await;
    }
}

impl Default for Notify {
    fn default() -> Self {
        Notify::new()
    }
}

impl Line for Notify {
    type Wants = ();
    type Grant = NotifiedBy;

    fn waiters(&self) -> &WaitList<(), NotifiedBy> {
        &self.waiters
    }

    fn is_free(&self, (): &()) -> bool {
        self.is_stored.get()
    }

    fn what(&self) -> &'static str {
        "notify"
    }

    fn take(&self, (): ()) -> NotifiedBy {
        self.is_stored.set(false);
        NotifiedBy::One
    }

    fn pass_on(&self, by: NotifiedBy) {
        match by {
            NotifiedBy::One => self.notify_one(),
            NotifiedBy::All => {}
        }
    }
}
