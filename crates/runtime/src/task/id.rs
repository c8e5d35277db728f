//! The name of a task inside its loop: a slot and a generation.

use slotmap::{DefaultKey, Key};
use std::fmt;
use std::str::FromStr;

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

/// Reads what it prints as.
impl FromStr for TaskId {
    type Err = NotATaskId;

    fn from_str(text: &str) -> Result<Self, NotATaskId> {
        let (slot, generation) = text.split_once('.').ok_or(NotATaskId)?;
        let number = |text: &str| match text.bytes().all(|byte| byte.is_ascii_digit()) {
            true => text.parse::<u32>().map_err(|_| NotATaskId),
            false => Err(NotATaskId),
        };
        let reuses = number(generation)?.checked_sub(1).ok_or(NotATaskId)?;
        if reuses > u32::MAX >> 1 {
            return Err(NotATaskId);
        }
        let version = u64::from(reuses) << 1 | 1;
        Ok(TaskId::from_bits(version << 32 | u64::from(number(slot)?)))
    }
}

/// A text is not the id of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotATaskId;

impl fmt::Display for NotATaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a task's id is its slot and its generation, as in 17.3")
    }
}

impl std::error::Error for NotATaskId {}

impl fmt::Debug for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TaskId({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_read_as_it_prints() {
        for bits in [1 << 32 | 17, 5 << 32 | 17, u64::MAX] {
            let id = TaskId::from_bits(bits);
            assert_eq!(id.to_string().parse(), Ok(id));
        }
        assert_eq!(TaskId::from_bits(5 << 32 | 17).to_string(), "17.3");
    }

    #[test]
    fn what_is_no_id_is_refused() {
        let texts = [
            "",
            ".",
            "17",
            "17.",
            ".3",
            "17.0",
            "+1.1",
            "1.+1",
            "17.3.1",
            " 1.1",
            "-1.1",
            "4294967296.1",
            "1.2147483649",
            "1.99999999999",
            "one.two",
        ];
        for text in texts {
            assert_eq!(text.parse::<TaskId>(), Err(NotATaskId), "{text:?}");
        }
    }
}
