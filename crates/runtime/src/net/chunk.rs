//! What was received, in a buffer of the loop's.

use crate::core::Core;
use std::fmt;
use std::ops::Deref;
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
