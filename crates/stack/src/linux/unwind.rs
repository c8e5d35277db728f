//! From a copy of a stack to the addresses of its calls. On the watcher's thread: it may allocate,
//! read files and fail.

use super::modules;
use super::registers::Registers;
use super::slot::Copied;
use crate::Stack;
use framehop::Unwinder as _;

#[cfg(target_arch = "aarch64")]
use framehop::aarch64::{CacheAarch64 as Cache, UnwindRegsAarch64, UnwinderAarch64 as Unwinder};
#[cfg(target_arch = "x86_64")]
use framehop::x86_64::{CacheX86_64 as Cache, UnwindRegsX86_64, UnwinderX86_64 as Unwinder};

/// More are no help, and a broken stack could go round in circles.
const DEPTH_MAX: usize = 512;

pub(crate) fn unwind(copied: &Copied) -> Stack {
    let mut unwinder: Unwinder<Vec<u8>> = Unwinder::new();
    for module in modules::loaded() {
        unwinder.add_module(module);
    }
    let registers = copied.registers;
    let mut cache = Cache::<_>::new();
    let mut read_stack = |address| copied.word(address).ok_or(());
    let mut frames = unwinder.iter_frames(
        registers.instruction,
        for_unwinder(registers),
        &mut cache,
        &mut read_stack,
    );
    let mut addresses = Vec::new();
    let is_complete = loop {
        if addresses.len() == DEPTH_MAX {
            break false;
        }
        match frames.next() {
            Ok(Some(frame)) => addresses.push(frame.address() as usize),
            Ok(None) => break copied.is_complete,
            Err(_) => break false,
        }
    };
    Stack {
        addresses,
        is_complete,
    }
}

impl Copied {
    fn word(&self, address: u64) -> Option<u64> {
        let offset = usize::try_from(address.checked_sub(self.registers.stack)?).ok()?;
        let word = self.bytes.get(offset..)?.first_chunk()?;
        Some(u64::from_ne_bytes(*word))
    }
}

#[cfg(target_arch = "x86_64")]
fn for_unwinder(registers: Registers) -> UnwindRegsX86_64 {
    UnwindRegsX86_64::new(registers.instruction, registers.stack, registers.frame)
}

#[cfg(target_arch = "aarch64")]
fn for_unwinder(registers: Registers) -> UnwindRegsAarch64 {
    UnwindRegsAarch64::new(registers.link, registers.stack, registers.frame)
}
