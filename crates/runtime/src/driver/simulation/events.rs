//! What is going to happen, in order: by time, and at one time in the order it was planned.

use slotmap::DefaultKey;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Nanoseconds since the world began.
pub(crate) type Nanos = u64;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Event {
    /// An attempt to connect arrives, for the so many-th time.
    Syn { client: DefaultKey, attempt: u32 },
    /// What is on its way to a socket arrives, as far as it is due.
    Arrival { to: DefaultKey },
    /// Bytes have been on their way to a socket for so long that their sender gives up.
    GiveUp { to: DefaultKey, since: Nanos },
    /// A datagram arrives.
    Flight { number: u64 },
    /// A job of the blocking pool is done.
    Job { number: u64 },
}

#[derive(Debug, Default)]
pub(crate) struct Events {
    heap: BinaryHeap<Reverse<(Nanos, u64, Event)>>,
    planned: u64,
}

impl Events {
    pub(crate) fn plan(&mut self, at: Nanos, event: Event) {
        self.planned += 1;
        self.heap.push(Reverse((at, self.planned, event)));
    }

    pub(crate) fn next_at(&self) -> Option<Nanos> {
        self.heap.peek().map(|Reverse((at, ..))| *at)
    }

    /// The next event, when it is due.
    pub(crate) fn pop_due(&mut self, now: Nanos) -> Option<Event> {
        if self.next_at()? > now {
            return None;
        }
        self.heap.pop().map(|Reverse((_, _, event))| event)
    }
}
