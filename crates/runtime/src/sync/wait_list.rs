//! Those who wait for one thing, first come, first served. All of `sync` is built on it.
//!
//! Choosing and waking are two acts. Choosing decides, at once, for as many as it concerns;
//! waking runs user code, one waker at a time, with nothing borrowed. So whoever a waker
//! calls finds the list, and what it stands for, in order.
//!
//! ```text
//!            choose               wake
//! Waiting ------------> Chosen ------------> Called
//!    |                    |                    |
//!    +----- leave --------+----- leave --------+--- poll ---> gone, with what was granted
//! ```

use crate::sync::caller;
use crate::task::Waiter;
use slab::Slab;
use std::cell::RefCell;
use std::fmt;
use std::task::{Context, Poll};

/// Places for so many are kept when the last one leaves; what a rush needed beyond is freed.
const PLACES_KEPT_MAX: usize = 64;

const NONE: usize = usize::MAX;

/// Waiters in their order. `W` is what one wants, `G` what it is given when it is chosen.
pub(super) struct WaitList<W, G> {
    places: RefCell<Places<W, G>>,
}

/// One place in the list: it belongs to one future, which polls it and leaves it.
#[derive(Debug)]
pub(super) struct Key(usize);

/// What is left of one who left.
pub(super) enum Left<W, G> {
    /// It had not been chosen.
    Waiting(W),
    /// It had been chosen, and did not see it.
    Chosen(G),
}

struct Places<W, G> {
    entries: Slab<Entry<W, G>>,
    waiting: Chain,
    /// Chosen, not woken yet.
    chosen: Chain,
}

struct Entry<W, G> {
    stage: Stage,
    waiter: Waiter,
    /// There while it waits.
    wants: Option<W>,
    /// There once it is chosen.
    grant: Option<G>,
    previous: usize,
    next: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Waiting,
    Chosen,
    Called,
}

/// The two ends of a list whose links are in the entries.
struct Chain {
    first: usize,
    last: usize,
    len: usize,
}

impl<W, G> WaitList<W, G> {
    pub(super) const fn new() -> Self {
        WaitList {
            places: RefCell::new(Places {
                entries: Slab::new(),
                waiting: Chain::EMPTY,
                chosen: Chain::EMPTY,
            }),
        }
    }

    /// How many wait to be chosen.
    pub(super) fn len(&self) -> usize {
        self.places.borrow().waiting.len
    }

    /// Whether nobody waits to be chosen.
    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Stands in line behind all others. O(1).
    pub(super) fn enter(&self, waiter: Waiter, wants: W) -> Key {
        let places = &mut *self.places.borrow_mut();
        let index = places.entries.insert(Entry {
            stage: Stage::Waiting,
            waiter,
            wants: Some(wants),
            grant: None,
            previous: NONE,
            next: NONE,
        });
        places.waiting.push(&mut places.entries, index);
        Key(index)
    }

    /// What was granted, once chosen: then the place is given up and `key` is gone.
    /// `what` is what is waited on, for those who look.
    pub(super) fn poll(
        &self,
        key: &mut Option<Key>,
        cx: &Context<'_>,
        what: &'static str,
    ) -> Poll<G> {
        let index = key.as_ref().expect("who polls a place has one").0;
        if !self.is_called(index) {
            if self.places.borrow().is_waited_in_by(index, cx, what) {
                return Poll::Pending;
            }
            // Cloning a waker is user code, which may have us chosen.
            let mut waiter = caller::waiter(cx, what);
            if !self.is_called(index) {
                let places = &mut *self.places.borrow_mut();
                std::mem::swap(&mut places.entries[index].waiter, &mut waiter);
                return Poll::Pending;
            }
        }
        let left = key.take().map(|key| self.leave(key));
        match left {
            Some(Left::Chosen(grant)) => Poll::Ready(grant),
            Some(Left::Waiting(_)) | None => unreachable!("the stage was looked at"),
        }
    }

    /// Gives up a place, whether or not it was chosen. O(1).
    pub(super) fn leave(&self, Key(index): Key) -> Left<W, G> {
        // The waiter is dropped when nothing is borrowed any more.
        let entry = self.places.borrow_mut().remove(index);
        match entry.stage {
            Stage::Waiting => Left::Waiting(entry.wants.expect("who waits wants something")),
            Stage::Chosen | Stage::Called => {
                Left::Chosen(entry.grant.expect("who was chosen was granted something"))
            }
        }
    }

    /// Looks at what the first in line wants.
    pub(super) fn first<R>(&self, look: impl FnOnce(&W) -> R) -> Option<R> {
        let places = self.places.borrow();
        let first = places.entries.get(places.waiting.first)?;
        first.wants.as_ref().map(look)
    }

    /// Chooses the first in line. Whoever chooses has to [`wake`](WaitList::wake_chosen) in the
    /// end; `grant` may neither run nor drop what is the user's.
    pub(super) fn choose_first(&self, grant: impl FnOnce(W) -> G) -> bool {
        let places = &mut *self.places.borrow_mut();
        let Some(index) = places.waiting.pop(&mut places.entries) else {
            return false;
        };
        let entry = &mut places.entries[index];
        entry.stage = Stage::Chosen;
        entry.grant = entry.wants.take().map(grant);
        places.chosen.push(&mut places.entries, index);
        true
    }

    /// Chooses all who wait now, in their order, before any of them is woken.
    pub(super) fn choose_all(&self, mut grant: impl FnMut(W) -> G) {
        while self.choose_first(&mut grant) {}
    }

    /// Wakes those who were chosen, in the order in which they were.
    pub(super) fn wake_chosen(&self) {
        while let Some(waiter) = self.call_next() {
            caller::wake(waiter);
        }
    }

    fn call_next(&self) -> Option<Waiter> {
        let places = &mut *self.places.borrow_mut();
        let index = places.chosen.pop(&mut places.entries)?;
        let entry = &mut places.entries[index];
        entry.stage = Stage::Called;
        Some(std::mem::replace(&mut entry.waiter, Waiter::NOBODY))
    }

    fn is_called(&self, index: usize) -> bool {
        self.places.borrow().entries[index].stage != Stage::Waiting
    }
}

impl<W, G> Places<W, G> {
    fn is_waited_in_by(&self, index: usize, cx: &Context<'_>, what: &'static str) -> bool {
        caller::is_waiter(&self.entries[index].waiter, cx, what)
    }

    fn remove(&mut self, index: usize) -> Entry<W, G> {
        match self.entries[index].stage {
            Stage::Waiting => self.waiting.unlink(&mut self.entries, index),
            Stage::Chosen => self.chosen.unlink(&mut self.entries, index),
            Stage::Called => {}
        }
        let entry = self.entries.remove(index);
        if self.entries.is_empty() && self.entries.capacity() > PLACES_KEPT_MAX {
            self.entries = Slab::new();
        }
        entry
    }
}

impl Chain {
    const EMPTY: Chain = Chain {
        first: NONE,
        last: NONE,
        len: 0,
    };

    fn push<W, G>(&mut self, entries: &mut Slab<Entry<W, G>>, index: usize) {
        entries[index].previous = self.last;
        entries[index].next = NONE;
        match entries.get_mut(self.last) {
            Some(last) => last.next = index,
            None => self.first = index,
        }
        self.last = index;
        self.len += 1;
    }

    fn pop<W, G>(&mut self, entries: &mut Slab<Entry<W, G>>) -> Option<usize> {
        let first = self.first;
        entries.contains(first).then(|| {
            self.unlink(entries, first);
            first
        })
    }

    fn unlink<W, G>(&mut self, entries: &mut Slab<Entry<W, G>>, index: usize) {
        let (previous, next) = (entries[index].previous, entries[index].next);
        match entries.get_mut(previous) {
            Some(entry) => entry.next = next,
            None => self.first = next,
        }
        match entries.get_mut(next) {
            Some(entry) => entry.previous = previous,
            None => self.last = previous,
        }
        self.len -= 1;
    }
}

impl<W, G> fmt::Debug for WaitList<W, G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WaitList")
            .field("waiting", &self.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::VecDeque;
    use std::task::Waker;

    fn nobody() -> Waiter {
        Waiter::NOBODY
    }

    fn granted<W>(left: &Left<W, u32>) -> Option<u32> {
        match left {
            Left::Chosen(grant) => Some(*grant),
            Left::Waiting(_) => None,
        }
    }

    #[test]
    fn memory_that_a_rush_needed_is_freed_when_the_last_one_leaves() {
        let list: WaitList<(), u32> = WaitList::new();
        let keys: Vec<_> = (0..10_000).map(|_| list.enter(nobody(), ())).collect();
        for key in keys {
            assert!(granted(&list.leave(key)).is_none());
        }
        assert_eq!(list.places.borrow().entries.capacity(), 0);
    }

    #[test]
    fn a_waiter_that_stays_does_not_make_those_who_come_and_go_pile_up() {
        let list: WaitList<(), u32> = WaitList::new();
        let _first = list.enter(nobody(), ());
        for _ in 0..10_000 {
            let key = list.enter(nobody(), ());
            list.leave(key);
        }
        assert_eq!(list.len(), 1);
        assert!(list.places.borrow().entries.capacity() <= 4);
    }

    #[derive(Debug, Clone)]
    enum Act {
        Enter(u32),
        Leave(usize),
        ChooseFirst,
        ChooseAll,
        Wake,
        Poll(usize),
    }

    fn act() -> impl Strategy<Value = Act> {
        prop_oneof![
            6 => any::<u32>().prop_map(Act::Enter),
            3 => any::<usize>().prop_map(Act::Leave),
            3 => Just(Act::ChooseFirst),
            1 => Just(Act::ChooseAll),
            2 => Just(Act::Wake),
            3 => any::<usize>().prop_map(Act::Poll),
        ]
    }

    proptest! {
        /// The model: a queue of those who wait, and a set of those who were chosen.
        #[test]
        fn a_wait_list_behaves_like_a_queue(acts in prop::collection::vec(act(), 0..200)) {
            let list: WaitList<u32, u32> = WaitList::new();
            let mut waiting: VecDeque<u32> = VecDeque::new();
            let mut chosen: Vec<u32> = Vec::new();
            let mut keys: Vec<(u32, Option<Key>)> = Vec::new();
            let cx = Context::from_waker(Waker::noop());
            for act in acts {
                match act {
                    Act::Enter(number) if !keys.iter().any(|(known, _)| *known == number) => {
                        let key = list.enter(nobody(), number);
                        keys.push((number, Some(key)));
                        waiting.push_back(number);
                    }
                    Act::Leave(which) if !keys.is_empty() => {
                        let (number, key) = keys.swap_remove(which % keys.len());
                        let left = granted(&list.leave(key.expect("only those who wait are kept")));
                        prop_assert_eq!(left.is_some(), chosen.contains(&number));
                        waiting.retain(|other| *other != number);
                        chosen.retain(|other| *other != number);
                    }
                    Act::ChooseFirst => {
                        let number = waiting.pop_front();
                        prop_assert_eq!(list.choose_first(|wants| wants), number.is_some());
                        chosen.extend(number);
                    }
                    Act::ChooseAll => {
                        list.choose_all(|wants| wants);
                        chosen.extend(waiting.drain(..));
                    }
                    Act::Wake => list.wake_chosen(),
                    Act::Poll(which) if !keys.is_empty() => {
                        let which = which % keys.len();
                        let (number, key) = &mut keys[which];
                        let polled = list.poll(key, &cx, "test");
                        if chosen.contains(number) {
                            prop_assert_eq!(polled, Poll::Ready(*number));
                            prop_assert!(key.is_none());
                            chosen.retain(|other| other != number);
                            keys.swap_remove(which);
                        } else {
                            prop_assert_eq!(polled, Poll::Pending);
                        }
                    }
                    Act::Enter(_) | Act::Leave(_) | Act::Poll(_) => {}
                }
                prop_assert_eq!(list.len(), waiting.len());
                prop_assert_eq!(list.first(|wants| *wants), waiting.front().copied());
            }
        }
    }
}
