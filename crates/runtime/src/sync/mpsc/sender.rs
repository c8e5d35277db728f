//! The side that sends.

use super::{Answer, Queue, Wanted};
use crate::sync::line::{Line, Wait};
use crate::sync::{Closed, SendError, TrySendError};
use std::fmt;
use std::rc::Rc;

/// Sends into a queue; cloned for each who does. When the last is dropped the receiver gets
/// what is left and then the end.
pub struct Sender<T> {
    queue: Rc<Queue<T>>,
}

impl<T> Sender<T> {
    pub(super) fn new(queue: Rc<Queue<T>>) -> Self {
        Sender { queue }
    }

    /// Sends a value, after waiting for room behind those who came before: asyncio's `put`.
    /// Counts as an operation of the step when there is room already.
    ///
    /// # Errors
    /// The value comes back when nobody receives any more, also while it waits.
    ///
    /// # Cancel safety
    /// Dropped while it waits, it sends nothing and drops the value. But the receiver may have
    /// made room and accepted the value since the last poll: then it is sent. Who must know,
    /// or wants to keep the value, waits with [`reserve`](Sender::reserve).
    pub async fn send(&self, value: T) -> Result<(), SendError<T>> {
        match Wait::new(&*self.queue, Wanted::ToSend(value)).await {
            Answer::Sent => Ok(()),
            Answer::Closed(Wanted::ToSend(value)) => Err(SendError(value)),
            Answer::Reserved | Answer::Closed(Wanted::Room) => {
                unreachable!("who wanted to send did not ask for room")
            }
        }
    }

    /// Sends a value if there is room and nobody waits for it: asyncio's `put_nowait`.
    ///
    /// # Errors
    /// The value comes back when the queue is full, or nobody receives any more.
    pub fn try_send(&self, value: T) -> Result<(), TrySendError<T>> {
        let wanted = Wanted::ToSend(value);
        let is_free = self.queue.is_free(&wanted);
        match (wanted, is_free) {
            (Wanted::ToSend(value), _) if self.is_closed() => Err(TrySendError::Closed(value)),
            (Wanted::ToSend(value), false) => Err(TrySendError::Full(value)),
            (wanted, _) => {
                self.queue.take(wanted);
                Ok(())
            }
        }
    }

    /// Waits for room, as [`send`](Sender::send) does, and holds it. The value is sent later,
    /// and takes its place in the order then.
    ///
    /// # Errors
    /// [`Closed`] when nobody receives any more, also while it waits.
    ///
    /// # Cancel safety
    /// Nothing is lost: room that was meant for one that is dropped goes to the next. The place
    /// in the line is lost.
    pub async fn reserve(&self) -> Result<Permit<'_, T>, Closed> {
        match Wait::new(&*self.queue, Wanted::Room).await {
            Answer::Reserved => Ok(Permit { queue: &self.queue }),
            Answer::Sent | Answer::Closed(_) => Err(Closed),
        }
    }

    /// Waits until nobody receives any more.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub async fn closed(&self) {
        self.queue.closed.wait().await;
    }

    /// Whether nobody receives any more.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.queue.closed.is_set()
    }

    /// How many values fit in: asyncio's `maxsize`.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.queue.capacity
    }

    /// How many values are in the queue: asyncio's `qsize`.
    #[must_use]
    pub fn len(&self) -> usize {
        self.queue.values.borrow().len()
    }

    /// Whether no value is in the queue.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Whether a send would have to wait.
    #[must_use]
    pub fn is_full(&self) -> bool {
        !self.queue.has_room() || !self.queue.line.is_empty()
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        self.queue.senders.set(self.queue.senders.get() + 1);
        Sender {
            queue: self.queue.clone(),
        }
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        self.queue.senders.set(self.queue.senders.get() - 1);
        if self.queue.is_finished() {
            self.queue.receiver.wake();
        }
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender")
            .field("len", &self.len())
            .field("capacity", &self.capacity())
            .finish_non_exhaustive()
    }
}

/// Room for one value, held. Dropped, it is free again.
#[must_use = "room that is dropped is free again"]
pub struct Permit<'a, T> {
    queue: &'a Queue<T>,
}

impl<T> Permit<'_, T> {
    /// Sends a value. Never waits. When the receiver is gone meanwhile the value is dropped.
    pub fn send(self, value: T) {
        if self.queue.receiver_is_gone.get() {
            return;
        }
        // One more than fits in, until the permit is dropped.
        self.queue.push(value);
    }
}

impl<T> Drop for Permit<'_, T> {
    fn drop(&mut self) {
        self.queue.free_reserved();
    }
}

impl<T> fmt::Debug for Permit<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit").finish_non_exhaustive()
    }
}
