//! One value that changes, and those who follow it.

use crate::sync::line::{Line, Wait};
use crate::sync::wait_list::WaitList;
use crate::sync::{Closed, Event, SendError};
use std::cell::{Cell, RefCell};
use std::fmt;
use std::rc::Rc;

/// Makes a value that changes. Who follows it sees the latest, not each: a configuration, a
/// state, a wish to stop.
///
/// The value is read as an `Rc`, a snapshot that stays as it is while the sender goes on.
///
/// ```
/// use monoloop_runtime::{spawn, sync::watch, Runtime};
///
/// Runtime::new()?.block_on(async {
///     let (sender, mut receiver) = watch::channel("starting");
///     let follower = spawn(async move {
///         while receiver.changed().await.is_ok() {
///             if *receiver.get() == "stopping" {
///                 break;
///             }
///         }
///     });
///     sender.send("running").expect("somebody follows");
///     sender.send("stopping").expect("somebody follows");
///     follower.await.expect("it ends by itself");
/// });
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn channel<T>(value: T) -> (Sender<T>, Receiver<T>) {
    let shared = Rc::new(Shared {
        value: RefCell::new(Rc::new(value)),
        version: Cell::new(0),
        senders: Cell::new(1),
        receivers: Cell::new(0),
        unwatched: Event::new(),
        waiters: WaitList::new(),
    });
    let receiver = Receiver::new(&shared);
    (Sender { shared }, receiver)
}

struct Shared<T> {
    value: RefCell<Rc<T>>,
    /// How often it was changed.
    version: Cell<u64>,
    senders: Cell<usize>,
    receivers: Cell<usize>,
    /// Set while there is no receiver.
    unwatched: Event,
    waiters: WaitList<u64, ()>,
}

impl<T> Shared<T> {
    fn get(&self) -> Rc<T> {
        self.value.borrow().clone()
    }

    fn is_closed(&self) -> bool {
        self.senders.get() == 0
    }

    fn wake_all(&self) {
        self.waiters.choose_all(|_seen| ());
        self.waiters.wake_chosen();
    }
}

impl<T> Line for Shared<T> {
    /// The version that was seen last.
    type Wants = u64;
    type Grant = ();

    fn waiters(&self) -> &WaitList<u64, ()> {
        &self.waiters
    }

    fn is_free(&self, seen: &u64) -> bool {
        self.version.get() != *seen || self.is_closed()
    }

    fn what(&self) -> &'static str {
        "watch"
    }

    fn take(&self, _seen: u64) {}
}

/// Changes the value; cloned for each who does. When the last is dropped the value stays what it
/// is and the receivers are told.
pub struct Sender<T> {
    shared: Rc<Shared<T>>,
}

impl<T> Sender<T> {
    /// Changes the value and wakes all who wait for that, in the order in which they came.
    ///
    /// # Errors
    /// The value comes back, and nothing changes, when there is no receiver.
    /// [`send_replace`](Sender::send_replace) changes it all the same.
    pub fn send(&self, value: T) -> Result<(), SendError<T>> {
        if self.receiver_count() == 0 {
            return Err(SendError(value));
        }
        self.send_replace(value);
        Ok(())
    }

    /// Changes the value, whether or not there is a receiver, and returns the one before.
    pub fn send_replace(&self, value: T) -> Rc<T> {
        let before = self.shared.value.replace(Rc::new(value));
        self.shared.version.set(self.shared.version.get() + 1);
        self.shared.wake_all();
        before
    }

    /// Changes a clone of the value, which then takes its place, whether or not there is a
    /// receiver. Snapshots stay as they are.
    pub fn send_modify(&self, change: impl FnOnce(&mut T))
    where
        T: Clone,
    {
        // Nothing is borrowed meanwhile: the function may use the channel.
        let mut value = T::clone(&self.get());
        change(&mut value);
        self.send_replace(value);
    }

    /// The value as it is now.
    #[must_use]
    pub fn get(&self) -> Rc<T> {
        self.shared.get()
    }

    /// Makes a receiver, for which the value as it is now counts as seen.
    pub fn subscribe(&self) -> Receiver<T> {
        Receiver::new(&self.shared)
    }

    /// How many receivers there are.
    #[must_use]
    pub fn receiver_count(&self) -> usize {
        self.shared.receivers.get()
    }

    /// Whether there is no receiver.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.receiver_count() == 0
    }

    /// Waits until there is no receiver.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub async fn closed(&self) {
        self.shared.unwatched.wait().await;
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        self.shared.senders.set(self.shared.senders.get() + 1);
        Sender {
            shared: self.shared.clone(),
        }
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        self.shared.senders.set(self.shared.senders.get() - 1);
        if self.shared.is_closed() {
            self.shared.wake_all();
        }
    }
}

impl<T: fmt::Debug> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender")
            .field("value", &self.get())
            .finish_non_exhaustive()
    }
}

/// Follows the value; a clone has seen what this one has.
pub struct Receiver<T> {
    shared: Rc<Shared<T>>,
    seen: u64,
}

impl<T> Receiver<T> {
    fn new(shared: &Rc<Shared<T>>) -> Self {
        Receiver::with_seen(shared, shared.version.get())
    }

    fn with_seen(shared: &Rc<Shared<T>>, seen: u64) -> Self {
        shared.receivers.set(shared.receivers.get() + 1);
        shared.unwatched.clear();
        Receiver {
            shared: shared.clone(),
            seen,
        }
    }

    /// Waits until the value is one that this receiver has not seen, which then counts as
    /// seen. Several changes since are one. Counts as an operation of the step when it has
    /// changed already.
    ///
    /// # Errors
    /// [`Closed`] when it will not change any more: all senders are gone, and the last change
    /// was seen.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub async fn changed(&mut self) -> Result<(), Closed> {
        Wait::new(&*self.shared, self.seen).await;
        if self.has_changed() {
            self.mark_seen();
            return Ok(());
        }
        Err(Closed)
    }

    /// Waits until the value, which may be the one that is there, is as needed.
    ///
    /// # Errors
    /// [`Closed`] when it is not, and will not change any more.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub async fn wait_for(&mut self, mut is_met: impl FnMut(&T) -> bool) -> Result<Rc<T>, Closed> {
        loop {
            let value = self.get_and_mark_seen();
            if is_met(&value) {
                return Ok(value);
            }
            self.changed().await?;
        }
    }

    /// The value as it is now.
    #[must_use]
    pub fn get(&self) -> Rc<T> {
        self.shared.get()
    }

    /// The value as it is now, which then counts as seen.
    #[must_use]
    pub fn get_and_mark_seen(&mut self) -> Rc<T> {
        self.mark_seen();
        self.get()
    }

    /// Whether the value is one that this receiver has not seen.
    #[must_use]
    pub fn has_changed(&self) -> bool {
        self.shared.version.get() != self.seen
    }

    /// Whether all senders are gone.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.shared.is_closed()
    }

    fn mark_seen(&mut self) {
        self.seen = self.shared.version.get();
    }
}

impl<T> Clone for Receiver<T> {
    fn clone(&self) -> Self {
        Receiver::with_seen(&self.shared, self.seen)
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        let left = self.shared.receivers.get() - 1;
        self.shared.receivers.set(left);
        if left == 0 {
            self.shared.unwatched.set();
        }
    }
}

impl<T: fmt::Debug> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver")
            .field("value", &self.get())
            .field("has_changed", &self.has_changed())
            .finish_non_exhaustive()
    }
}
