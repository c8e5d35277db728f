//! A bounded queue from many tasks to one: `asyncio.Queue`.

mod receiver;
mod sender;

pub use receiver::Receiver;
pub use sender::{Permit, Sender};

use crate::sync::Event;
use crate::sync::caller::WaiterCell;
use crate::sync::line::Line;
use crate::sync::wait_list::WaitList;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

/// Makes a queue with room for so many values. Memory is taken as it fills.
///
/// The values come out in the order in which their sends began, those that had to wait for room
/// included: while they wait the receiver takes them from where they stand, so that a sender
/// which is not polled any more holds up nobody.
///
/// ```
/// use monoloop_runtime::{spawn, sync::mpsc, Runtime};
///
/// Runtime::new()?.block_on(async {
///     let (sender, mut receiver) = mpsc::channel(2);
///     drop(spawn(async move {
///         for number in 0..5 {
///             // Waits while two are in the queue.
///             sender.send(number).await.expect("it is received");
///         }
///     }));
///     let mut sum = 0;
///     while let Some(number) = receiver.recv().await {
///         sum += number;
///     }
///     assert_eq!(sum, 10);
/// });
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Panics
/// When `capacity` is 0.
pub fn channel<T>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    assert!(capacity > 0, "a queue needs room for one value at least");
    let queue = Rc::new(Queue {
        capacity,
        values: RefCell::default(),
        reserved: Cell::new(0),
        senders: Cell::new(1),
        closed: Event::new(),
        receiver_is_gone: Cell::new(false),
        receiver: WaiterCell::new(),
        line: WaitList::new(),
    });
    (Sender::new(queue.clone()), Receiver::new(queue))
}

/// What both sides share.
struct Queue<T> {
    capacity: usize,
    values: RefCell<VecDeque<T>>,
    /// Room that somebody holds a permit for.
    reserved: Cell<usize>,
    senders: Cell<usize>,
    /// Nothing more is accepted.
    closed: Event,
    receiver_is_gone: Cell<bool>,
    receiver: WaiterCell,
    line: WaitList<Wanted<T>, Answer<T>>,
}

/// What one who waits for room wants.
enum Wanted<T> {
    ToSend(T),
    Room,
}

/// What became of it.
enum Answer<T> {
    Sent,
    Reserved,
    Closed(Wanted<T>),
}

impl<T> Queue<T> {
    fn has_room(&self) -> bool {
        self.values.borrow().len() + self.reserved.get() < self.capacity
    }

    fn is_empty(&self) -> bool {
        self.values.borrow().is_empty()
    }

    /// Whether nothing will come any more, beyond what is there.
    fn is_finished(&self) -> bool {
        (self.senders.get() == 0 || self.closed.is_set()) && self.reserved.get() == 0
    }

    /// Uses up room that is there.
    fn accept(&self, wanted: Wanted<T>) -> Answer<T> {
        match wanted {
            Wanted::ToSend(value) => {
                self.values.borrow_mut().push_back(value);
                Answer::Sent
            }
            Wanted::Room => {
                self.reserved.set(self.reserved.get() + 1);
                Answer::Reserved
            }
        }
    }

    /// Gives room that was freed to those who wait, in their order.
    fn serve(&self) {
        while self.has_room() && self.line.choose_first(|wanted| self.accept(wanted)) {}
        self.line.wake_chosen();
    }

    /// Puts a value where there is room for it.
    fn push(&self, value: T) {
        self.values.borrow_mut().push_back(value);
        self.receiver.wake();
    }

    /// Gives up room that was held by a permit.
    fn free_reserved(&self) {
        self.reserved.set(self.reserved.get() - 1);
        self.serve();
        if !self.is_empty() || self.is_finished() {
            self.receiver.wake();
        }
    }

    /// Refuses everything from now on, and what waits.
    fn close(&self) {
        self.line.choose_all(Answer::Closed);
        self.closed.set();
        self.line.wake_chosen();
    }
}

impl<T> Line for Queue<T> {
    type Wants = Wanted<T>;
    type Grant = Answer<T>;

    fn waiters(&self) -> &WaitList<Wanted<T>, Answer<T>> {
        &self.line
    }

    fn is_free(&self, _: &Wanted<T>) -> bool {
        self.closed.is_set() || (self.has_room() && self.line.is_empty())
    }

    fn what(&self) -> &'static str {
        "room in a channel"
    }

    fn take(&self, wanted: Wanted<T>) -> Answer<T> {
        if self.closed.is_set() {
            return Answer::Closed(wanted);
        }
        let answer = self.accept(wanted);
        if !self.is_empty() {
            self.receiver.wake();
        }
        answer
    }

    fn pass_on(&self, answer: Answer<T>) {
        match answer {
            // A value that was accepted is the receiver's.
            Answer::Sent | Answer::Closed(_) => {}
            Answer::Reserved => self.free_reserved(),
        }
    }
}
