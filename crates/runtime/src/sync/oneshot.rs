//! A channel for one value.

use crate::sync::caller::{WaiterCell, poll_budget};
use crate::sync::{Closed, TryRecvError};
use std::cell::Cell;
use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

/// Makes a channel for one value: the answer to one question.
///
/// Each side notices when the other is gone. Where an error or a cancellation may take the
/// place of the value, a [`promise`](crate::sync::promise) says it better.
///
/// ```
/// use monoloop_runtime::{spawn, sync::oneshot, Runtime};
///
/// Runtime::new()?.block_on(async {
///     let (answer, answered) = oneshot::channel();
///     drop(spawn(async move {
///         answer.send(42).expect("somebody waits for it");
///     }));
///     assert_eq!(answered.await, Ok(42));
/// });
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn channel<T>() -> (Sender<T>, Receiver<T>) {
    let shared = Rc::new(Shared {
        value: Cell::new(None),
        sender_is_gone: Cell::new(false),
        is_closed: Cell::new(false),
        receiver: WaiterCell::new(),
        sender: WaiterCell::new(),
    });
    (
        Sender {
            shared: shared.clone(),
        },
        Receiver { shared },
    )
}

struct Shared<T> {
    value: Cell<Option<T>>,
    /// It has sent, or never will.
    sender_is_gone: Cell<bool>,
    /// Nobody wants the value.
    is_closed: Cell<bool>,
    receiver: WaiterCell,
    sender: WaiterCell,
}

impl<T> Shared<T> {
    fn close(&self) {
        self.is_closed.set(true);
        self.sender.wake();
    }
}

/// Sends the value. Dropped without, it closes the channel.
pub struct Sender<T> {
    shared: Rc<Shared<T>>,
}

impl<T> Sender<T> {
    /// Sends the value. Never waits.
    ///
    /// # Errors
    /// The value comes back when nobody wants it any more.
    pub fn send(self, value: T) -> Result<(), T> {
        if self.is_closed() {
            return Err(value);
        }
        self.shared.value.set(Some(value));
        // Dropping the sender wakes the receiver.
        Ok(())
    }

    /// Whether nobody wants the value any more.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.shared.is_closed.get()
    }

    /// Waits until nobody wants the value any more: then its work can be left undone.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub async fn closed(&mut self) {
        poll_fn(|cx| self.poll_closed(cx)).await;
    }

    /// Polls for what [`closed`](Sender::closed) waits for. Who polled last is woken.
    pub fn poll_closed(&mut self, cx: &Context<'_>) -> Poll<()> {
        if !self.is_closed() {
            self.shared.sender.wait(cx, "oneshot");
            if !self.is_closed() {
                return Poll::Pending;
            }
        }
        poll_budget(cx)
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        self.shared.sender.clear();
        self.shared.sender_is_gone.set(true);
        self.shared.receiver.wake();
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender")
            .field("is_closed", &self.is_closed())
            .finish_non_exhaustive()
    }
}

/// Receives the value: a future of it, or of [`Closed`] when it will not come: the sender was
/// dropped, or the value has been received already. Dropping it tells the sender that nobody
/// wants the value.
///
/// # Cancel safety
/// Awaited by reference nothing is lost: the value stays until it is received.
#[must_use = "dropping a Receiver tells the sender that nobody wants the value"]
pub struct Receiver<T> {
    shared: Rc<Shared<T>>,
}

impl<T> Receiver<T> {
    /// The value, if it has come.
    ///
    /// # Errors
    /// [`TryRecvError::Empty`] when it may still come, [`TryRecvError::Closed`] when it will
    /// not, or has been received already.
    pub fn try_recv(&mut self) -> Result<T, TryRecvError> {
        // Judged first: who sends is gone afterwards.
        let none_will_come = self.shared.sender_is_gone.get() || self.shared.is_closed.get();
        match self.shared.value.take() {
            Some(value) => Ok(value),
            None if none_will_come => Err(TryRecvError::Closed),
            None => Err(TryRecvError::Empty),
        }
    }

    /// Tells the sender that nobody wants the value any more. One that was sent before can
    /// still be received.
    pub fn close(&mut self) {
        self.shared.close();
    }

    fn has_answer(&self) -> bool {
        self.shared.sender_is_gone.get() || self.shared.is_closed.get()
    }
}

impl<T> Future for Receiver<T> {
    type Output = Result<T, Closed>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if !self.has_answer() {
            self.shared.receiver.wait(cx, "oneshot");
            if !self.has_answer() {
                return Poll::Pending;
            }
        }
        ready!(poll_budget(cx));
        Poll::Ready(self.try_recv().map_err(|_| Closed))
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        self.shared.receiver.clear();
        self.shared.close();
        drop(self.shared.value.take());
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver")
            .field("has_answer", &self.has_answer())
            .finish_non_exhaustive()
    }
}
