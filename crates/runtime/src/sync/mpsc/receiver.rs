//! The side that receives.

use super::Queue;
use crate::sync::TryRecvError;
use crate::sync::caller::poll_budget;
use futures_core::Stream;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

/// Receives from a queue; also a [`Stream`]. Dropping it closes the queue and drops what is in
/// it.
pub struct Receiver<T> {
    queue: Rc<Queue<T>>,
}

impl<T> Receiver<T> {
    pub(super) fn new(queue: Rc<Queue<T>>) -> Self {
        Receiver { queue }
    }

    /// Waits for a value: asyncio's `get`. `None` when nothing will come any more: the queue
    /// was closed, or all senders are gone.
    ///
    /// Counts as an operation of the step when a value is there already, so that a task whose
    /// queue is always full cannot starve the others.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub async fn recv(&mut self) -> Option<T> {
        Recv { receiver: self }.await
    }

    /// Polls for what [`recv`](Receiver::recv) returns. Who polled last is woken.
    pub fn poll_recv(&mut self, cx: &Context<'_>) -> Poll<Option<T>> {
        if !self.is_ready() {
            self.queue.receiver.wait(cx, "channel");
            if !self.is_ready() {
                return Poll::Pending;
            }
        }
        ready!(poll_budget(cx));
        Poll::Ready(self.pop())
    }

    /// The next value, if it is there: asyncio's `get_nowait`.
    ///
    /// # Errors
    /// [`TryRecvError::Empty`] when one may still come, [`TryRecvError::Closed`] when none
    /// will.
    pub fn try_recv(&mut self) -> Result<T, TryRecvError> {
        match self.pop() {
            Some(value) => Ok(value),
            None if self.queue.is_finished() => Err(TryRecvError::Closed),
            None => Err(TryRecvError::Empty),
        }
    }

    /// Refuses further values, those included that wait for room: they go back to who sends
    /// them. What is in the queue, and what room was reserved for, can still be received:
    /// asyncio's `shutdown`.
    pub fn close(&mut self) {
        self.queue.close();
    }

    /// Whether nothing more is accepted.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.queue.closed.is_set()
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

    fn is_ready(&self) -> bool {
        !self.queue.is_empty() || self.queue.is_finished()
    }

    fn pop(&mut self) -> Option<T> {
        let value = self.queue.values.borrow_mut().pop_front()?;
        self.queue.serve();
        Some(value)
    }
}

impl<T> Stream for Receiver<T> {
    type Item = T;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        self.poll_recv(cx)
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        self.queue.receiver.clear();
        self.queue.receiver_is_gone.set(true);
        self.queue.close();
        // Dropped with nothing borrowed: they may hold senders of this very queue.
        let values = self.queue.values.take();
        drop(values);
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver")
            .field("len", &self.len())
            .field("capacity", &self.queue.capacity)
            .finish_non_exhaustive()
    }
}

/// Made by [`Receiver::recv`]; dropped, it is not woken any more.
struct Recv<'a, T> {
    receiver: &'a mut Receiver<T>,
}

impl<T> Future for Recv<'_, T> {
    type Output = Option<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        self.receiver.poll_recv(cx)
    }
}

impl<T> Drop for Recv<'_, T> {
    fn drop(&mut self) {
        self.receiver.queue.receiver.clear();
    }
}
