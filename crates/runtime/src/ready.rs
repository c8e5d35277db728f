//! The ready queue: tasks that will be stepped, strictly first in, first out.
//!
//! A task is in it at most once; its [`TaskState`](crate::task::TaskState) sees to that.

use crate::task::TaskId;
use std::collections::VecDeque;

#[derive(Debug, Default)]
pub(crate) struct ReadyQueue {
    queue: VecDeque<TaskId>,
}

impl ReadyQueue {
    #[inline]
    pub(crate) fn push(&mut self, id: TaskId) {
        self.queue.push_back(id);
    }

    #[inline]
    pub(crate) fn pop(&mut self) -> Option<TaskId> {
        self.queue.pop_front()
    }

    /// Gives up the order, for tests of what must not depend on it.
    pub(crate) fn shuffle(&mut self, random: &mut fastrand::Rng) {
        random.shuffle(self.queue.make_contiguous());
    }

    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.queue.len()
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn id(number: u64) -> TaskId {
        TaskId::from_bits(1 << 32 | number)
    }

    #[derive(Debug, Clone)]
    enum Act {
        Push,
        Pop,
        Shuffle(u64),
    }

    fn act() -> impl Strategy<Value = Act> {
        prop_oneof![
            10 => Just(Act::Push),
            8 => Just(Act::Pop),
            1 => any::<u64>().prop_map(Act::Shuffle),
        ]
    }

    proptest! {
        #[test]
        fn the_queue_is_a_list_that_grows_at_one_end_and_shrinks_at_the_other(
            acts in prop::collection::vec(act(), 0..200),
        ) {
            let mut queue = ReadyQueue::default();
            let mut model = Vec::new();
            for (number, act) in (0..).zip(acts) {
                match act {
                    Act::Push => {
                        queue.push(id(number));
                        model.push(id(number));
                    }
                    Act::Pop => {
                        let first = (!model.is_empty()).then(|| model.remove(0));
                        prop_assert_eq!(queue.pop(), first);
                    }
                    Act::Shuffle(seed) => {
                        queue.shuffle(&mut fastrand::Rng::with_seed(seed));
                        fastrand::Rng::with_seed(seed).shuffle(&mut model);
                    }
                }
                prop_assert_eq!(queue.len(), model.len());
                prop_assert_eq!(queue.is_empty(), model.is_empty());
            }
        }
    }
}
