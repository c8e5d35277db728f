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
