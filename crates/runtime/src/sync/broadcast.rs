//! A channel on which everybody receives everything.

use crate::sync::SendError;
use crate::sync::line::{Line, Wait};
use crate::sync::wait_list::WaitList;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::error::Error;
use std::fmt;
use std::rc::Rc;

/// Makes a channel on which every receiver gets every value sent since it subscribed.
///
/// Sending never waits. The channel keeps the last `capacity` values for those who are slow;
/// who falls further behind is told how many it has missed, and goes on with the oldest that is
/// left. A value is dropped as soon as everybody has it.
///
/// ```
/// use monoloop_runtime::{sync::broadcast, Runtime};
///
/// Runtime::new()?.block_on(async {
///     let (sender, mut one) = broadcast::channel(2);
///     let mut other = sender.subscribe();
///     for number in 1..=3 {
///         sender.send(number).expect("somebody receives");
///     }
///     for receiver in [&mut one, &mut other] {
///         assert_eq!(receiver.recv().await, Err(broadcast::RecvError::Lagged(1)));
///         assert_eq!(receiver.recv().await, Ok(2));
///         assert_eq!(receiver.recv().await, Ok(3));
///     }
/// });
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Panics
/// When `capacity` is 0.
pub fn channel<T: Clone>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    assert!(capacity > 0, "a channel needs room for one value at least");
    let shared = Rc::new(Shared {
        capacity,
        kept: RefCell::new(Kept {
            values: VecDeque::new(),
            first: 0,
        }),
        senders: Cell::new(1),
        receivers: Cell::new(0),
        waiters: WaitList::new(),
    });
    let receiver = Receiver::new(&shared);
    (Sender { shared }, receiver)
}

struct Shared<T> {
    capacity: usize,
    kept: RefCell<Kept<T>>,
    senders: Cell<usize>,
    receivers: Cell<usize>,
    /// Each wants the value of that number.
    waiters: WaitList<u64, ()>,
}

/// The values that somebody has yet to receive, numbered through.
struct Kept<T> {
    values: VecDeque<Value<T>>,
    /// The number of the first in `values`.
    first: u64,
}

struct Value<T> {
    value: Rc<T>,
    /// How many receivers have not received it. Who has not received a value has not received
    /// the next one either, so that the first is the first to be done with.
    unseen: usize,
}

impl<T> Kept<T> {
    /// The number that the next value will have.
    fn end(&self) -> u64 {
        self.first + self.values.len() as u64
    }

    fn pop(&mut self) -> Option<Rc<T>> {
        let oldest = self.values.pop_front()?;
        self.first += 1;
        Some(oldest.value)
    }

    /// Receives the value of that number, once for each receiver.
    fn see(&mut self, number: u64) -> Option<Rc<T>> {
        let index = usize::try_from(number.checked_sub(self.first)?).ok()?;
        let value = self.values.get_mut(index)?;
        value.unseen -= 1;
        match (value.unseen, index) {
            (0, 0) => self.pop(),
            _ => Some(value.value.clone()),
        }
    }
}

impl<T> Shared<T> {
    fn end(&self) -> u64 {
        self.kept.borrow().end()
    }

    fn is_closed(&self) -> bool {
        self.senders.get() == 0
    }

    fn wake_all(&self) {
        self.waiters.choose_all(|_number| ());
        self.waiters.wake_chosen();
    }
}

impl<T> Line for Shared<T> {
    /// The number of a value.
    type Wants = u64;
    type Grant = ();

    fn waiters(&self) -> &WaitList<u64, ()> {
        &self.waiters
    }

    fn is_free(&self, number: &u64) -> bool {
        self.end() > *number || self.is_closed()
    }

    fn what(&self) -> &'static str {
        "broadcast"
    }

    fn take(&self, _number: u64) {}
}

/// Sends to all receivers; cloned for each who does.
pub struct Sender<T> {
    shared: Rc<Shared<T>>,
}

impl<T> Sender<T> {
    /// Sends a value to all who receive now, and says how many they are. Never waits: the
    /// oldest value goes when there is no room.
    ///
    /// # Errors
    /// The value comes back when there is no receiver.
    pub fn send(&self, value: T) -> Result<usize, SendError<T>> {
        let unseen = self.receiver_count();
        if unseen == 0 {
            return Err(SendError(value));
        }
        let value = Value {
            value: Rc::new(value),
            unseen,
        };
        // Dropped when nothing is borrowed any more.
        let _overwritten = {
            let mut kept = self.shared.kept.borrow_mut();
            let is_full = kept.values.len() == self.shared.capacity;
            let overwritten = is_full.then(|| kept.pop());
            kept.values.push_back(value);
            overwritten
        };
        self.shared.wake_all();
        Ok(unseen)
    }

    /// Makes a receiver of what is sent from now on.
    pub fn subscribe(&self) -> Receiver<T> {
        Receiver::new(&self.shared)
    }

    /// How many receivers there are.
    #[must_use]
    pub fn receiver_count(&self) -> usize {
        self.shared.receivers.get()
    }

    /// How many values somebody has yet to receive.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shared.kept.borrow().values.len()
    }

    /// Whether everybody has received everything.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
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

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender")
            .field("len", &self.len())
            .field("receivers", &self.receiver_count())
            .finish_non_exhaustive()
    }
}

/// Receives what was sent since it subscribed.
pub struct Receiver<T> {
    shared: Rc<Shared<T>>,
    /// The number of the value that it receives next.
    next: u64,
}

impl<T> Receiver<T> {
    fn new(shared: &Rc<Shared<T>>) -> Self {
        shared.receivers.set(shared.receivers.get() + 1);
        Receiver {
            next: shared.end(),
            shared: shared.clone(),
        }
    }

    /// How many values wait for it, those that it has missed included.
    #[must_use]
    pub fn len(&self) -> usize {
        usize::try_from(self.shared.end() - self.next).unwrap_or(usize::MAX)
    }

    /// Whether it has received everything.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Makes another receiver of what is sent from now on.
    pub fn resubscribe(&self) -> Receiver<T> {
        Receiver::new(&self.shared)
    }
}

impl<T: Clone> Receiver<T> {
    /// Waits for a value. Counts as an operation of the step when one is there already, so that
    /// a task on a busy channel cannot starve the others.
    ///
    /// # Errors
    /// [`RecvError::Lagged`] when it was too slow: the next call goes on with the oldest value
    /// that is left. [`RecvError::Closed`] when all senders are gone and everything was
    /// received.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub async fn recv(&mut self) -> Result<T, RecvError> {
        Wait::new(&*self.shared, self.next).await;
        match self.try_recv() {
            Ok(value) => Ok(value),
            Err(TryRecvError::Lagged(missed)) => Err(RecvError::Lagged(missed)),
            Err(TryRecvError::Closed) => Err(RecvError::Closed),
            Err(TryRecvError::Empty) => unreachable!("the wait ends when there is an answer"),
        }
    }

    /// The next value, if it is there.
    ///
    /// # Errors
    /// As [`recv`](Receiver::recv), and [`TryRecvError::Empty`] when a value may still come.
    pub fn try_recv(&mut self) -> Result<T, TryRecvError> {
        let first = self.shared.kept.borrow().first;
        if self.next < first {
            let missed = first - self.next;
            self.next = first;
            return Err(TryRecvError::Lagged(missed));
        }
        let seen = self.shared.kept.borrow_mut().see(self.next);
        let Some(value) = seen else {
            return Err(match self.shared.is_closed() {
                true => TryRecvError::Closed,
                false => TryRecvError::Empty,
            });
        };
        self.next += 1;
        // The last to receive it gets the value itself.
        Ok(Rc::try_unwrap(value).unwrap_or_else(|shared| T::clone(&shared)))
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        self.shared.receivers.set(self.shared.receivers.get() - 1);
        // What nobody else has yet to receive goes with it, one by one: a destructor may use
        // the channel.
        let (mut number, end) = {
            let kept = self.shared.kept.borrow();
            (self.next.max(kept.first), kept.end())
        };
        while number < end {
            let seen = self.shared.kept.borrow_mut().see(number);
            drop(seen);
            number += 1;
        }
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver")
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}

/// There is no next value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecvError {
    /// The receiver was too slow, and has missed so many values.
    Lagged(u64),
    /// All senders are gone and everything was received.
    Closed,
}

impl fmt::Display for RecvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RecvError::Lagged(missed) => write!(f, "too slow: {missed} values were missed"),
            RecvError::Closed => f.write_str("the channel is closed"),
        }
    }
}

impl Error for RecvError {}

/// There is no next value now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TryRecvError {
    /// Everything was received that has been sent.
    Empty,
    /// The receiver was too slow, and has missed so many values.
    Lagged(u64),
    /// All senders are gone and everything was received.
    Closed,
}

impl fmt::Display for TryRecvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TryRecvError::Empty => f.write_str("the channel is empty"),
            TryRecvError::Lagged(missed) => RecvError::Lagged(*missed).fmt(f),
            TryRecvError::Closed => RecvError::Closed.fmt(f),
        }
    }
}

impl Error for TryRecvError {}
