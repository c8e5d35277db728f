//! The stack of a thread that is stuck, taken from another thread while it is stuck.
//!
//! A thread [registers](register) itself and gives its [`Handle`] to whoever watches it. That
//! thread may [capture](Handle::capture) the stack at any time, whatever the watched one does:
//! computes, waits for a lock, sleeps in a system call.
//!
//! ```
//! let me = monoloop_stack::register()?;
//! let watched = me.handle();
//! let watcher = std::thread::spawn(move || {
//!     watched.capture(std::time::Duration::from_secs(1)).map(|stack| stack.to_string())
//! });
//! let stack = watcher.join().unwrap();
//! # assert_eq!(stack.is_some(), monoloop_stack::SUPPORTED);
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! # How, and why it is safe
//!
//! The watcher sends a signal to the one thread. Its handler copies the registers and the
//! stack, as raw bytes, into memory that was set aside at registration, and that is all it does.
//! Unwinding and naming of functions happen afterwards, on the watcher's thread, from the copy.
//!
//! The usual way, unwinding in the handler, was not taken: an unwinder may take locks
//! (`dl_iterate_phdr` does, before glibc 2.35; its lazy initialisation does everywhere) and
//! allocate, and the interrupted thread may be the one that holds them. What is left here to do in
//! the handler is on no list of forbidden things: atomic loads and stores, `gettid`, a copy of
//! memory.
//!
//! - **The copy** is of the thread's own stack, from its stack pointer to the end that was asked
//!   of the system at registration. A stack pointer outside (a coroutine's stack) copies nothing.
//! - **A late handler**, one that runs after the watcher gave up, finds that nobody asks and
//!   does nothing. One that is in the middle of copying is never overtaken: nobody reads or
//!   reuses the memory before it has said that it is done.
//! - **The end of the thread**: registration ends with [`Registration`], which the thread cannot
//!   send away, and waits for a capture that is under way. No signal is sent to a thread that is
//!   gone. What the handler looks at is never freed, only used again.
//! - **`errno`** is what it was when the handler returns.
//!
//! The signal is `SIGURG`: ignored by default, passed on by debuggers, and hardly in use; the
//! precedent is the preemption of Go's runtime, for the same reasons. A handler that was there
//! before is called after ours, always: a real one may have been merged with ours. The handler
//! runs on the thread's signal stack if it has one (`SA_ONSTACK`), and interrupted system calls
//! are restarted where the kernel can (`SA_RESTART`); those that it never restarts (`poll`,
//! `epoll_wait`, `nanosleep`: see signal(7)) return `EINTR` once, to a thread that was stuck.
//!
//! # Where it works
//!
//! Linux on x86-64 and AArch64, any libc. Elsewhere, and under Miri, a capture is `None`
//! ([`SUPPORTED`]). Frames are found by the unwind tables (`.eh_frame`) of the loaded files: a
//! program built with `panic = "abort"` has none on some targets, and then the stack ends early.
//! Function names need the symbol table, lines need `debug = "line-tables-only"`. The address
//! sanitizer takes the copy of the stack for an overflow.

#[cfg_attr(
    not(all(
        target_os = "linux",
        any(target_arch = "x86_64", target_arch = "aarch64"),
        not(miri)
    )),
    path = "unsupported.rs"
)]
#[cfg_attr(
    all(
        target_os = "linux",
        any(target_arch = "x86_64", target_arch = "aarch64"),
        not(miri)
    ),
    path = "linux/mod.rs"
)]
mod platform;
mod stack;

pub use stack::{Frame, Stack};

use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

/// Whether stacks can be captured here.
pub const SUPPORTED: bool = platform::SUPPORTED;

/// Registers the calling thread, until the registration is dropped. Reserves 256 KiB of address
/// space, which becomes memory with the first capture.
///
/// # Errors
/// When the system does not tell where the stack is, or refuses the signal handler.
pub fn register() -> io::Result<Registration> {
    Ok(Registration {
        thread: Arc::new(platform::Registered::this_thread()?),
        stays: PhantomData,
    })
}

/// A thread that can be looked at. Stays on its thread; dropping it ends it.
pub struct Registration {
    thread: Arc<platform::Registered>,
    stays: PhantomData<*const ()>,
}

impl Registration {
    /// For the thread that watches.
    #[must_use]
    pub fn handle(&self) -> Handle {
        Handle {
            thread: self.thread.clone(),
        }
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.thread.end();
    }
}

impl fmt::Debug for Registration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registration").finish_non_exhaustive()
    }
}

/// Captures the stack of one registered thread.
#[derive(Clone)]
pub struct Handle {
    thread: Arc<platform::Registered>,
}

impl Handle {
    /// The thread's stack at this moment. Blocks until the thread has answered, which takes some
    /// microseconds when it is on a CPU or in a system call that can be interrupted, and `timeout`
    /// at most; then it is unwound here, which reads the unwind tables of the loaded files (about a
    /// millisecond in a release build).
    ///
    /// `None` when the thread did not answer in time, is no longer registered, is the calling
    /// one, or where stacks cannot be captured.
    #[must_use]
    pub fn capture(&self, timeout: Duration) -> Option<Stack> {
        Some(self.copy(timeout)?.unwind())
    }

    /// The first half of [`capture`](Handle::capture), for who wants to know whether the thread
    /// is still doing what made it interesting before the slow half: a copy of the stack.
    #[must_use]
    pub fn copy(&self, timeout: Duration) -> Option<Copy> {
        let copied = self.thread.copy(timeout)?;
        Some(Copy { copied })
    }
}

/// A stack as raw bytes.
pub struct Copy {
    copied: platform::Copied,
}

impl Copy {
    /// Finds the calls in it. Before a library is unloaded that they are in.
    #[must_use]
    pub fn unwind(&self) -> Stack {
        platform::unwind(&self.copied)
    }
}

impl fmt::Debug for Copy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Copy").finish_non_exhaustive()
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle").finish_non_exhaustive()
    }
}
