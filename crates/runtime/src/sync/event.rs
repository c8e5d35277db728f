//! A flag that can be waited for.

use crate::sync::line::{Line, Wait};
use crate::sync::wait_list::WaitList;
use std::cell::Cell;

/// A flag that is set or not, and that any number of tasks can wait for: `asyncio.Event`.
///
/// Who waits when it is set goes on, even if it is cleared again right away.
///
/// ```
/// use monoloop_runtime::{spawn, sync::Event, Runtime};
/// use std::rc::Rc;
///
/// Runtime::new()?.block_on(async {
///     let ready = Rc::new(Event::new());
///     let waiting = spawn({
///         let ready = ready.clone();
///         async move { ready.wait().await }
///     });
///     ready.set();
///     waiting.await.expect("it neither panics nor is cancelled");
///     assert!(ready.is_set());
/// });
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Event {
    is_set: Cell<bool>,
    waiters: WaitList<(), ()>,
}

impl Event {
    /// Makes an event that is not set.
    #[must_use]
    pub const fn new() -> Self {
        Event {
            is_set: Cell::new(false),
            waiters: WaitList::new(),
        }
    }

    /// Sets the flag and wakes all who wait, in the order in which they came.
    pub fn set(&self) {
        self.is_set.set(true);
        self.waiters.choose_all(|()| ());
        self.waiters.wake_chosen();
    }

    /// Clears the flag: who comes from now on waits.
    pub fn clear(&self) {
        self.is_set.set(false);
    }

    /// Whether the flag is set.
    #[must_use]
    pub fn is_set(&self) -> bool {
        self.is_set.get()
    }

    /// Waits until the flag is set. Counts as an operation of the step when it is already.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub async fn wait(&self) {
        Wait::new(self, ()).await;
    }
}

impl Default for Event {
    fn default() -> Self {
        Event::new()
    }
}

impl Line for Event {
    type Wants = ();
    type Grant = ();

    fn waiters(&self) -> &WaitList<(), ()> {
        &self.waiters
    }

    fn is_free(&self, (): &()) -> bool {
        self.is_set.get()
    }

    fn what(&self) -> &'static str {
        "event"
    }

    fn take(&self, (): ()) {}
}
