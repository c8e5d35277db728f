//! What other threads may ask of a loop: to run a function, or to look up from its wait.

use crate::context::Context;
use crate::inbox::{Inbox, Letter, RemoteCall};
use crate::runtime::with_current;
use std::fmt;
use std::panic::Location;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

/// A handle of this thread's loop, to be given to other threads.
///
/// # Panics
/// When the thread has no loop.
#[track_caller]
#[must_use]
pub fn loop_handle() -> LoopHandle {
    LoopHandle {
        inbox: with_current(|core| core.inbox.clone()),
    }
}

/// Reaches a loop from any thread. It does not keep the loop alive.
///
/// ```
/// use monoloop_runtime::{Runtime, current_task, loop_handle};
/// use std::{cell::Cell, future::poll_fn, task::Poll};
///
/// thread_local! { static ANSWER: Cell<u32> = const { Cell::new(0) }; }
///
/// Runtime::new()?.block_on(async {
///     let (handle, waiting) = (loop_handle(), poll_fn(|cx| Poll::Ready(cx.waker().clone())).await);
///     std::thread::spawn(move || {
///         handle.call_soon_threadsafe(move || {
///             ANSWER.set(42); // on the loop's thread
///             waiting.wake();
///         })
///     });
///     poll_fn(|_| if ANSWER.get() == 42 { Poll::Ready(()) } else { Poll::Pending }).await;
/// });
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone)]
pub struct LoopHandle {
    inbox: Arc<Inbox>,
}

impl LoopHandle {
    /// Runs a function on the loop, in its next turn, behind what is ready there. Calls from one
    /// thread run in the order they were made, in one queue with the tasks; from there `spawn`
    /// and everything else of the loop can be used.
    ///
    /// The values of the caller's context that are `Send` go with it. The function is run, and
    /// dropped, on the loop's thread only, unless it is refused.
    ///
    /// # Errors
    /// When the loop has ended; the function is dropped here. One that was accepted is dropped
    /// unrun when the loop ends before its turn has come.
    #[track_caller]
    pub fn call_soon_threadsafe(
        &self,
        function: impl FnOnce() + Send + 'static,
    ) -> Result<RemoteCallHandle, LoopEnded> {
        let state = Arc::new(AtomicU8::new(WAITING));
        let ends = EndOnDrop(state.clone());
        let handle = RemoteCallHandle { state };
        let context = Context::inherited().capture();
        let call = RemoteCall {
            function: Box::new(move || {
                let ends = ends;
                if move_on(&ends.0, RUNNING) {
                    context.run(function);
                }
            }),
            place: Location::caller(),
        };
        match self.inbox.push(Letter::Call(call)) {
            Ok(()) => Ok(handle),
            Err(_refused) => Err(LoopEnded),
        }
    }

    /// Ends the loop's wait for I/O and timers, or its next one: it takes a turn.
    pub fn wake(&self) {
        self.inbox.notify();
    }

    /// Whether the loop has ended. One that has not may do so at any moment.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.inbox.is_closed()
    }
}

impl fmt::Debug for LoopHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoopHandle")
            .field("has_ended", &self.has_ended())
            .finish()
    }
}

/// Can call off a function that was given to a loop from any thread, and from any thread.
/// Dropping it does not.
#[derive(Clone)]
pub struct RemoteCallHandle {
    state: Arc<AtomicU8>,
}

const WAITING: u8 = 0;
const CALLED_OFF: u8 = 1;
const RUNNING: u8 = 2;
const FINISHED: u8 = 3;

impl RemoteCallHandle {
    /// Calls the function off. Returns whether that was in time: if so, it never runs, and is
    /// dropped by the loop.
    pub fn cancel(&self) -> bool {
        let called_off = move_on(&self.state, CALLED_OFF);
        called_off || self.state.load(Ordering::Acquire) == CALLED_OFF
    }

    /// Whether the function has run, was called off, or was lost with the loop.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        matches!(self.state.load(Ordering::Acquire), CALLED_OFF | FINISHED)
    }
}

/// From waiting to `next`. Returns false when it waits no more.
fn move_on(state: &AtomicU8, next: u8) -> bool {
    let moved = state.compare_exchange(WAITING, next, Ordering::AcqRel, Ordering::Acquire);
    moved.is_ok()
}

impl fmt::Debug for RemoteCallHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteCallHandle")
            .field("is_finished", &self.is_finished())
            .finish()
    }
}

/// Lives in the function: wherever that ends, also by a panic or unrun, it is over.
struct EndOnDrop(Arc<AtomicU8>);

impl Drop for EndOnDrop {
    fn drop(&mut self) {
        let over = |state| (state != CALLED_OFF).then_some(FINISHED);
        let _ = self
            .0
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, over);
    }
}

/// The event loop has ended: nothing can be run on it any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoopEnded;

impl fmt::Display for LoopEnded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the event loop has ended, nothing can be run on it any more")
    }
}

impl std::error::Error for LoopEnded {}
