//! A channel from any thread into a loop.
//!
//! The one place of `sync` that has a lock: other threads take part. Nothing of the user's runs
//! under it, neither a waker nor a destructor.

use crate::introspect::note;
use crate::runtime::try_current;
use crate::sync::caller::poll_budget;
use crate::sync::{SendError, TryRecvError, TrySendError};
use crate::threads::{Condvar, Mutex, MutexGuard};
use futures_core::Stream;
use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, PoisonError};
use std::task::{Context, Poll, Waker, ready};

/// Makes a channel with room for so many values: any thread sends, a task of a loop receives.
/// Memory is taken as it fills. Both sides may be moved to where they are needed.
///
/// ```
/// use monoloop_runtime::{sync::remote, Runtime};
///
/// let (sender, mut receiver) = remote::channel(16);
/// let thread = std::thread::spawn(move || {
///     for number in 0..100 {
///         sender.send_blocking(number).expect("it is received");
///     }
/// });
/// let sum = Runtime::new()?.block_on(async {
///     let mut sum = 0;
///     while let Some(number) = receiver.recv().await {
///         sum += number;
///     }
///     sum
/// });
/// assert_eq!(sum, 4950);
/// thread.join().expect("it does not panic");
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Panics
/// When `capacity` is 0.
pub fn channel<T: Send>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    assert!(capacity > 0, "a channel needs room for one value at least");
    let shared = Arc::new(Shared {
        capacity,
        state: Mutex::new(State {
            values: VecDeque::new(),
            senders: 1,
            is_closed: false,
            blocked: 0,
            receiver: None,
        }),
        room: Condvar::new(),
    });
    (
        Sender {
            shared: shared.clone(),
        },
        Receiver { shared },
    )
}

struct Shared<T> {
    capacity: usize,
    state: Mutex<State<T>>,
    room: Condvar,
}

struct State<T> {
    values: VecDeque<T>,
    senders: usize,
    is_closed: bool,
    /// Threads that wait for room.
    blocked: usize,
    receiver: Option<Waker>,
}

impl<T> Shared<T> {
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        // Nobody panics while holding it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a value where there is room for it.
    fn push(mut state: MutexGuard<'_, State<T>>, value: T) {
        state.values.push_back(value);
        let receiver = state.receiver.take();
        drop(state);
        if let Some(receiver) = receiver {
            receiver.wake();
        }
    }

    /// The next value, if it is there; then a thread that waits for room is told.
    fn pop(&self) -> Result<T, TryRecvError> {
        let mut state = self.lock();
        let value = state.pop()?;
        let is_awaited = state.blocked > 0;
        drop(state);
        if is_awaited {
            self.room.notify_one();
        }
        Ok(value)
    }

    fn close(&self) {
        self.lock().is_closed = true;
        self.room.notify_all();
    }
}

impl<T> State<T> {
    fn pop(&mut self) -> Result<T, TryRecvError> {
        match self.values.pop_front() {
            Some(value) => Ok(value),
            None if self.senders == 0 || self.is_closed => Err(TryRecvError::Closed),
            None => Err(TryRecvError::Empty),
        }
    }

    /// Whether there is neither a value nor the end.
    fn has_to_wait(&self) -> bool {
        self.values.is_empty() && self.senders > 0 && !self.is_closed
    }
}

/// Sends into a loop, from any thread; cloned for each who does. When the last is dropped the
/// receiver gets what is left and then the end.
pub struct Sender<T> {
    shared: Arc<Shared<T>>,
}

impl<T: Send> Sender<T> {
    /// Sends a value if there is room. Never waits, so it can be used on a loop as well.
    ///
    /// # Errors
    /// The value comes back when the channel is full, or nobody receives any more.
    pub fn try_send(&self, value: T) -> Result<(), TrySendError<T>> {
        let state = self.shared.lock();
        if state.is_closed {
            drop(state);
            return Err(TrySendError::Closed(value));
        }
        if state.values.len() >= self.shared.capacity {
            drop(state);
            return Err(TrySendError::Full(value));
        }
        Shared::push(state, value);
        Ok(())
    }

    /// Sends a value, after stopping the thread until there is room. Which of several threads
    /// that wait comes first is up to the operating system; the values of one thread keep their
    /// order.
    ///
    /// # Errors
    /// The value comes back when nobody receives any more, also while it waits.
    ///
    /// # Panics
    /// When called inside a task, whose loop it would stop.
    pub fn send_blocking(&self, value: T) -> Result<(), SendError<T>> {
        let is_in_a_task = try_current().is_some_and(|core| core.running().is_some());
        assert!(
            !is_in_a_task,
            "send_blocking was called inside a task, where it would stop the loop; use try_send, \
             or a channel of the loop's own"
        );
        let mut state = self.shared.lock();
        while state.values.len() >= self.shared.capacity && !state.is_closed {
            state.blocked += 1;
            let woken = self.shared.room.wait(state);
            state = woken.unwrap_or_else(PoisonError::into_inner);
            state.blocked -= 1;
        }
        if state.is_closed {
            drop(state);
            return Err(SendError(value));
        }
        Shared::push(state, value);
        Ok(())
    }

    /// Whether nobody receives any more.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.shared.lock().is_closed
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        self.shared.lock().senders += 1;
        Sender {
            shared: self.shared.clone(),
        }
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.senders -= 1;
        let receiver = match state.senders {
            0 => state.receiver.take(),
            _ => None,
        };
        drop(state);
        if let Some(receiver) = receiver {
            receiver.wake();
        }
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender")
            .field("len", &self.shared.lock().values.len())
            .finish_non_exhaustive()
    }
}

/// Receives in a task of a loop; also a [`Stream`]. Dropping it closes the channel and drops
/// what is in it.
pub struct Receiver<T> {
    shared: Arc<Shared<T>>,
}

impl<T> Receiver<T> {
    /// Waits for a value. `None` when nothing will come any more.
    ///
    /// Counts as an operation of the step, so that a task whose channel is always full cannot
    /// starve the others.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub async fn recv(&mut self) -> Option<T> {
        poll_fn(|cx| self.poll_recv(cx)).await
    }

    /// Polls for what [`recv`](Receiver::recv) returns. Who polled last is woken.
    pub fn poll_recv(&mut self, cx: &Context<'_>) -> Poll<Option<T>> {
        // Before the lock: what it does when there is no operation left is user code.
        ready!(poll_budget(cx));
        match self.shared.pop() {
            Ok(value) => Poll::Ready(Some(value)),
            Err(TryRecvError::Closed) => Poll::Ready(None),
            Err(TryRecvError::Empty) => self.wait(cx),
        }
    }

    fn wait(&self, cx: &Context<'_>) -> Poll<Option<T>> {
        // Outlives the lock: cloning and dropping a waker are user code.
        let mut waker = Some(cx.waker().clone());
        let mut state = self.shared.lock();
        if state.has_to_wait() {
            std::mem::swap(&mut state.receiver, &mut waker);
            drop(state);
            note("remote channel");
            return Poll::Pending;
        }
        drop(state);
        Poll::Ready(self.shared.pop().ok())
    }

    /// The next value, if it is there.
    ///
    /// # Errors
    /// [`TryRecvError::Empty`] when one may still come, [`TryRecvError::Closed`] when none
    /// will.
    pub fn try_recv(&mut self) -> Result<T, TryRecvError> {
        self.shared.pop()
    }

    /// Refuses further values, those included that threads wait to send. What is in the channel
    /// can still be received.
    pub fn close(&mut self) {
        self.shared.close();
    }

    /// How many values are in the channel.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shared.lock().values.len()
    }

    /// Whether no value is in the channel.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
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
        self.shared.close();
        let mut state = self.shared.lock();
        let left = (std::mem::take(&mut state.values), state.receiver.take());
        drop(state);
        drop(left);
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver")
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}
