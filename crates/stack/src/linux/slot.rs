//! Where a handler puts what it has seen: memory that is set aside before, and never freed.
//!
//! The states of a slot, and who changes them:
//!
//! ```text
//!          watcher: ask            handler                handler
//!   IDLE ───────────────> ASKED ─────────────> COPYING ─────────────> DONE
//!    ^                      │                                          │
//!    ├──────────────────────┘ watcher: gives up                        │
//!    └─────────────────────────────────────────────────────────────────┘ watcher: has read
//! ```
//!
//! The handler writes in `COPYING` only, the watcher reads in `DONE` only.

use super::registers::Registers;
use std::cell::UnsafeCell;
use std::ops::Range;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU8, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// The most of a stack that is copied. The futures of tasks live on the heap, so that the stack
/// of a loop is rarely a tenth of this.
const COPIED_MAX: usize = 256 * 1024;

const IDLE: u8 = 0;
const ASKED: u8 = 1;
const COPYING: u8 = 2;
const DONE: u8 = 3;

/// No thread has this number.
const NOBODY: libc::pid_t = 0;

/// How long the watcher sleeps between two looks for an answer.
const LOOK_AGAIN: Duration = Duration::from_micros(50);

/// How long a copy that has begun may take, beyond the timeout: it is a matter of microseconds, but
/// the thread may lose its CPU in the middle.
const COPY_TIMEOUT: Duration = Duration::from_millis(100);

pub(super) struct Slot {
    is_taken: AtomicBool,
    thread: AtomicI32,
    stack_start: AtomicUsize,
    stack_end: AtomicUsize,
    state: AtomicU8,
    copy: UnsafeCell<Memory>,
    next: OnceLock<&'static Slot>,
}

/// A stack as it is in memory.
struct Memory {
    registers: Registers,
    len: usize,
    bytes: Box<[u8]>,
}

// SAFETY: all fields but `copy` are made for sharing. `copy` is touched by one thread at a time:
// by the one that moved `state` from ASKED to COPYING until it stores DONE, and by the one
// watcher (it holds the registration's lock) while `state` is DONE. The release of the stores and
// the acquire of the loads order the two.
#[allow(unsafe_code, reason = "the memory that handler and watcher share")]
unsafe impl Sync for Slot {}

/// What a watcher takes away.
pub(crate) struct Copied {
    pub(super) registers: Registers,
    /// From the stack pointer upwards.
    pub(super) bytes: Vec<u8>,
    /// Whether all of the stack is in it.
    pub(super) is_complete: bool,
}

/// Whether a question was put.
pub(super) enum Asked {
    Yes,
    Busy,
}

/// The first of all slots; each knows the next. `OnceLock::get` is one load, which a handler may
/// do.
static FIRST: OnceLock<&'static Slot> = OnceLock::new();

/// All slots there are.
fn slots() -> impl Iterator<Item = &'static Slot> {
    std::iter::successors(FIRST.get().copied(), |slot| slot.next.get().copied())
}

/// Answers whoever asks for this thread's stack. Runs in the signal handler.
pub(super) fn answer(thread: libc::pid_t, registers: Registers) {
    for slot in slots() {
        if slot.thread.load(Ordering::Acquire) == thread {
            slot.answer(registers);
        }
    }
}

impl Slot {
    /// A slot for a thread: one that is free, or a new one.
    pub(super) fn take(thread: libc::pid_t, stack: Range<usize>) -> &'static Slot {
        let free = slots().find(|slot| !slot.is_taken.swap(true, Ordering::Acquire));
        let slot = free.unwrap_or_else(Slot::add);
        slot.stack_start.store(stack.start, Ordering::Relaxed);
        slot.stack_end.store(stack.end, Ordering::Relaxed);
        slot.thread.store(thread, Ordering::Release);
        slot
    }

    fn add() -> &'static Slot {
        let slot: &'static Slot = Box::leak(Box::new(Slot {
            is_taken: AtomicBool::new(true),
            thread: AtomicI32::new(NOBODY),
            stack_start: AtomicUsize::new(0),
            stack_end: AtomicUsize::new(0),
            state: AtomicU8::new(IDLE),
            copy: UnsafeCell::new(Memory {
                registers: Registers::default(),
                len: 0,
                // Zeroed by the system, so that it is no memory until it is written to.
                bytes: vec![0; COPIED_MAX].into_boxed_slice(),
            }),
            next: OnceLock::new(),
        }));
        let mut end = &FIRST;
        while end.set(slot).is_err() {
            end = &end.get().expect("it was set, or this one would be").next;
        }
        slot
    }

    /// The thread is no longer to be looked at. Runs on that thread, so that no handler is at
    /// work there.
    pub(super) fn give_back(&self) {
        self.thread.store(NOBODY, Ordering::Release);
        self.is_taken.store(false, Ordering::Release);
    }

    pub(super) fn ask(&self) -> Asked {
        // The answer to a question that was given up may have come since.
        let _ = self.change(DONE, IDLE);
        match self.change(IDLE, ASKED) {
            true => Asked::Yes,
            false => Asked::Busy,
        }
    }

    /// Nobody asks any more. Returns false when the answer has begun.
    pub(super) fn take_back(&self) -> bool {
        self.change(ASKED, IDLE)
    }

    fn change(&self, from: u8, to: u8) -> bool {
        let changed = self
            .state
            .compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire);
        changed.is_ok()
    }

    /// In the handler: copies, if somebody asks.
    fn answer(&self, registers: Registers) {
        if !self.change(ASKED, COPYING) {
            return;
        }
        let start = registers.stack as usize;
        let own = self.stack_start.load(Ordering::Relaxed)..self.stack_end.load(Ordering::Relaxed);
        let len = match own.contains(&start) {
            true => (own.end - start).min(COPIED_MAX),
            false => 0,
        };
        #[allow(unsafe_code, reason = "a copy of the thread's own stack")]
        // SAFETY: `copy`: COPYING is this thread's alone, see `Sync` above. The source: from the
        // stack pointer to the end of the stack of this very thread, which is mapped and
        // readable; what is in it is the interrupted code's, which does not run meanwhile. The
        // target is another allocation of COPIED_MAX bytes, and `len` is not more.
        unsafe {
            let copy = self.copy.get();
            (*copy).registers = registers;
            (*copy).len = len;
            let target = (*copy).bytes.as_mut_ptr();
            std::ptr::copy_nonoverlapping(start as *const u8, target, len);
        }
        self.state.store(DONE, Ordering::Release);
    }

    /// What the handler has copied. `None` when it did not within the time.
    pub(super) fn wait_for_answer(&self, timeout: Duration) -> Option<Copied> {
        if !self.is_done_within(timeout) && !self.is_late_but_done() {
            return None;
        }
        #[allow(unsafe_code, reason = "what the handler has written")]
        // SAFETY: DONE was loaded with acquire, after which no handler writes until somebody
        // asks again, which is only done under the lock that the caller holds.
        let copy = unsafe { &*self.copy.get() };
        let end = self.stack_end.load(Ordering::Relaxed);
        let copied = Copied {
            registers: copy.registers,
            bytes: copy.bytes[..copy.len].to_vec(),
            is_complete: copy.registers.stack as usize + copy.len == end,
        };
        self.state.store(IDLE, Ordering::Release);
        Some(copied)
    }

    /// The time is up. Takes the question back; if a handler has begun to answer, waits for that.
    fn is_late_but_done(&self) -> bool {
        !self.take_back() && self.is_done_within(COPY_TIMEOUT)
    }

    #[allow(
        clippy::disallowed_methods,
        reason = "the watcher has a thread of its own"
    )]
    fn is_done_within(&self, timeout: Duration) -> bool {
        let asked = Instant::now();
        loop {
            if self.state.load(Ordering::Acquire) == DONE {
                return true;
            }
            if asked.elapsed() >= timeout {
                return false;
            }
            thread::sleep(LOOK_AGAIN);
        }
    }
}
