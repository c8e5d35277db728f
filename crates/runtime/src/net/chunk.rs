//! What was received, in a buffer of the loop's.

use crate::core::Core;
use crate::runtime::current;
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::rc::Rc;

/// Bytes that were received, in a buffer that the loop lends.
///
/// The buffer goes back when the chunk is dropped. It is as large as the loop's
/// [`Config::receive_buffer_bytes`](crate::Config::receive_buffer_bytes) even when little was
/// received: keep the bytes, not the chunk, over a long wait.
pub struct Chunk {
    // Empty only while it is dropped.
    buffer: Box<[u8]>,
    start: u32,
    end: u32,
    core: Rc<Core>,
}

impl Chunk {
    #[inline]
    pub(crate) fn new(core: Rc<Core>, buffer: Box<[u8]>, length: usize) -> Self {
        Chunk {
            buffer,
            start: 0,
            end: u32::try_from(length).expect("the size of a buffer is a u32 in Config"),
            core,
        }
    }

    /// An empty one, for [`append`](Chunk::append): for who makes other bytes of those received,
    /// such as by deciphering them, and hands them on as if they had come like this.
    ///
    /// # Panics
    /// When the thread has no loop.
    #[must_use]
    pub fn empty() -> Self {
        let core = current();
        let buffer = core.buffers.take();
        Chunk::new(core, buffer, 0)
    }

    /// Adds as many of these bytes as the buffer has room for, and returns how many those are.
    pub fn append(&mut self, bytes: &[u8]) -> usize {
        let free = &mut self.buffer[self.end as usize..];
        let count = bytes.len().min(free.len());
        free[..count].copy_from_slice(&bytes[..count]);
        self.end += count as u32;
        count
    }

    /// Takes the first `count` bytes off.
    ///
    /// # Panics
    /// When there are fewer.
    pub fn advance(&mut self, count: usize) {
        assert!(
            count <= self.len(),
            "advanced by {count} bytes in a chunk of {}",
            self.len()
        );
        self.start += count as u32;
    }
}

impl Deref for Chunk {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        &self.buffer[self.start as usize..self.end as usize]
    }
}

impl DerefMut for Chunk {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.buffer[self.start as usize..self.end as usize]
    }
}

impl AsRef<[u8]> for Chunk {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl Drop for Chunk {
    #[inline]
    fn drop(&mut self) {
        self.core
            .buffers
            .give_back(std::mem::take(&mut self.buffer));
    }
}

impl fmt::Debug for Chunk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Chunk").field("bytes", &self.len()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Config, Runtime};

    #[test]
    fn an_empty_chunk_takes_what_fits_and_can_be_written_over() {
        let config = Config {
            receive_buffer_bytes: 4,
            ..Config::default()
        };
        let mut runtime = Runtime::builder().config(config).build().expect("a loop");
        runtime.block_on(async {
            let mut chunk = Chunk::empty();
            assert!(chunk.is_empty());
            assert_eq!(chunk.append(b"abc"), 3);
            chunk.advance(1);
            assert_eq!(chunk.append(b"def"), 1);
            chunk[0] = b'B';
            assert_eq!(&*chunk, b"Bcd");
            assert_eq!(chunk.append(b"g"), 0);
        });
    }
}
