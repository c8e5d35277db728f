//! Receive buffers, lent by the loop to whoever has data.
//!
//! A connection that waits holds none, and one that answers at once returns it within the
//! same step: the next one gets it while it is still in the cache.

use std::cell::RefCell;
use std::io;
use std::task::{Poll, ready};

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

    /// Lends a buffer to whoever fills it elsewhere, such as in the blocking pool.
    pub(crate) fn take(&self) -> Box<[u8]> {
        let free = self.free.borrow_mut().pop();
        free.unwrap_or_else(|| self.make())
    }

    fn make(&self) -> Box<[u8]> {
        vec![0; self.buffer_bytes].into_boxed_slice()
    }

    /// Has the buffer that would be lent next filled, and lends it when `fill` says how many
    /// bytes there are: one who has to wait has moved nothing.
    #[inline]
    pub(crate) fn lend(
        &self,
        fill: impl FnOnce(&mut [u8]) -> Poll<io::Result<usize>>,
    ) -> Poll<io::Result<(Box<[u8]>, usize)>> {
        let mut free = self.free.borrow_mut();
        if free.is_empty() {
            free.push(self.make());
        }
        let filled = fill(free.last_mut().expect("there is one now"));
        let lends = matches!(filled, Poll::Ready(Ok(_)));
        let lent = match lends || free.len() > self.kept_max {
            true => free.pop(),
            false => None,
        };
        let count = ready!(filled)?;
        Poll::Ready(Ok((lent.expect("it was filled just now"), count)))
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
        let take = |byte: Option<u8>| {
            let lent = pool.lend(|buffer| {
                buffer[0] = byte.unwrap_or(buffer[0]);
                Poll::Ready(Ok(1))
            });
            match lent {
                Poll::Ready(Ok((buffer, 1))) => buffer,
                _ => panic!("it was filled"),
            }
        };
        let (first, second) = (take(Some(7)), take(None));
        pool.give_back(first);
        pool.give_back(second);
        assert_eq!(take(None)[0], 7);
        assert_eq!(take(None)[0], 0);
    }

    #[test]
    fn who_waits_or_fails_is_lent_no_buffer() {
        let pool = BufferPool::new(8, 1);
        assert!(pool.lend(|_| Poll::Pending).is_pending());
        let failed = pool.lend(|_| Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())));
        assert!(matches!(failed, Poll::Ready(Err(_))));
        assert_eq!(pool.free.borrow().len(), 1);
        let keeps_none = BufferPool::new(8, 0);
        assert!(keeps_none.lend(|_| Poll::Pending).is_pending());
        assert!(keeps_none.free.borrow().is_empty());
    }
}
