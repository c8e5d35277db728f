//! The name of a task inside its loop: a slot and a generation.

use slotmap::{DefaultKey, Key};
use std::fmt;

/// Names one task of one loop.
///
/// An id is a slot of the loop's task table and the slot's generation, so the id of a
/// task that is gone never names the next task in the same slot.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TaskId(pub(crate) DefaultKey);

impl TaskId {
    /// `generation` is odd.
    #[inline]
    pub(crate) fn new(slot: u32, generation: u32) -> Self {
        TaskId::from_bits(u64::from(generation) << 32 | u64::from(slot))
    }

    #[inline]
    pub(crate) fn slot(self) -> usize {
        self.to_bits() as u32 as usize
    }

    #[inline]
    pub(crate) fn generation(self) -> u32 {
        (self.to_bits() >> 32) as u32
    }

    #[inline]
    pub(crate) fn from_bits(bits: u64) -> Self {
        TaskId(slotmap::KeyData::from_ffi(bits).into())
    }

    #[inline]
    pub(crate) fn to_bits(self) -> u64 {
        self.0.data().as_ffi()
    }
}

/// Prints as `slot.generation`, for example `17.3`.
impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bits = self.to_bits();
        // A slot that is in use has an odd version; it grows by two a reuse.
        write!(f, "{}.{}", bits as u32, (bits >> 33) + 1)
    }
}

impl fmt::Debug for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TaskId({self})")
    }
}
