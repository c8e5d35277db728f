//! Linux: a signal, a copy, and the rest on the other thread.

mod modules;
mod names;
mod registers;
mod signal;
mod slot;
mod unwind;

pub(crate) use names::frames_at;
pub(crate) use slot::Copied;
pub(crate) use unwind::unwind;

use slot::{Asked, Slot};
use std::io;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

pub(crate) const SUPPORTED: bool = true;

/// A thread that the handler knows.
pub(crate) struct Registered {
    slot: &'static Slot,
    thread: libc::pid_t,
    /// Held while a signal may be on its way, so that the thread cannot end meanwhile.
    is_alive: Mutex<bool>,
}

impl Registered {
    pub(crate) fn this_thread() -> io::Result<Self> {
        signal::install()?;
        let stack = signal::own_stack()?;
        let thread = signal::own_thread();
        Ok(Registered {
            slot: Slot::take(thread, stack),
            thread,
            is_alive: Mutex::new(true),
        })
    }

    pub(crate) fn copy(&self, timeout: Duration) -> Option<Copied> {
        let is_alive = self.is_alive.lock().unwrap_or_else(PoisonError::into_inner);
        if !*is_alive || signal::own_thread() == self.thread {
            return None;
        }
        match self.slot.ask() {
            Asked::Yes => {
                if !signal::send(self.thread) {
                    self.slot.take_back();
                    return None;
                }
                self.slot.wait_for_answer(timeout)
            }
            // The answer to an earlier question is still being written.
            Asked::Busy => None,
        }
    }

    /// The thread is no longer to be looked at; called on it.
    pub(crate) fn end(&self) {
        let mut is_alive = self.is_alive.lock().unwrap_or_else(PoisonError::into_inner);
        *is_alive = false;
        self.slot.give_back();
    }
}
