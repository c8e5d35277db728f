//! Receive buffers, lent by the loop to whoever has data.
//!
//! A connection that waits holds none, and one that answers at once returns it within the
//! same step: the next one gets it while it is still in the cache.

use std::cell::RefCell;

pub(crate) struct BufferPool {
    free: RefCell<Vec<Box<[u8]>>>,
    buffer_bytes: usize,
    kept_max: usize,
}

impl BufferPool {
    pub(crate) fn new(buffer_bytes: u32, kept_max: u32) -> Self {
        BufferPool {
            free: RefCell::new(Vec::with_capacity(kept_max as usize)),
            buffer_bytes: buffer_bytes.max(1) as usize,
            kept_max: kept_max as usize,
        }
    }

    #[inline]
    pub(crate) fn take(&self) -> Box<[u8]> {
        let free = self.free.borrow_mut().pop();
        free.unwrap_or_else(|| vec![0; self.buffer_bytes].into_boxed_slice())
    }

    #[inline]
    pub(crate) fn give_back(&self, buffer: Box<[u8]>) {
        let mut free = self.free.borrow_mut();
        if free.len() < self.kept_max {
            free.push(buffer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_buffer_that_came_back_last_is_lent_next_and_no_more_are_kept_than_allowed() {
        let pool = BufferPool::new(8, 1);
        let (mut first, second) = (pool.take(), pool.take());
        first[0] = 7;
        pool.give_back(first);
        pool.give_back(second);
        assert_eq!(pool.take()[0], 7);
        assert_eq!(pool.take()[0], 0);
    }
}
