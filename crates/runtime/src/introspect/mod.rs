//! Looking at a loop: its tasks, what each waits on, and what its turns do.
//!
//! [`snapshot()`] is for the loop's own thread. [`probe()`] makes a [`Probe`] for all others, which
//! also answers while the loop is stuck: then it says in which task, and since when.
//!
//! ```
//! use monoloop_runtime::{Runtime, introspect, spawn_named, sync::Lock, time, yield_now};
//! use std::{rc::Rc, time::Duration};
//!
//! Runtime::new()?.block_on(async {
//!     introspect::observe();
//!     let lock = Rc::new(Lock::new(()));
//!     let held = lock.lock().await;
//!     let other = lock.clone();
//!     let task = spawn_named("patient", async move { drop(other.lock().await) });
//!     yield_now().await;
//!
//!     let snapshot = introspect::snapshot();
//!     let seen = snapshot.task(task.id()).expect("it is alive");
//!     assert_eq!(seen.name.as_deref(), Some("patient"));
//!     assert_eq!(seen.waits_on[0].to_string(), "lock");
//!     drop(held);
//! });
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! # What it costs
//! While nobody has called [`observe`] or [`probe()`], a flag is looked at three times a turn, and
//! once whenever something has to wait for anything but a socket; nothing is allocated, no clock
//! is read, and a step runs the same instructions as if there were nothing to look with. From then
//! on, and until the loop ends, each step reads the clock once, writes down which task it steps
//! (a lock that nobody contends for), and each wait leaves a note: some 400 instructions a step
//! together, and some 100 bytes a task. A snapshot stops the loop for as long as [`Snapshot::took`]
//! says; however often others ask, they get a tenth of its time.

mod current_step;
mod observer;
mod probe;
mod snapshot;
mod turn;
mod waits_on;

pub use current_step::{Stuck, StuckTask};
pub(crate) use observer::Observer;
pub use probe::{NoAnswer, Probe, TurnTraces, probe};
pub use snapshot::{Snapshot, TaskSnapshot, snapshot};
pub use turn::{SteppedTask, TurnTrace};
pub(crate) use waits_on::WaitsOn;
pub use waits_on::{Wait, WaitTarget};

use crate::runtime::{try_current, with_current};

/// Has this thread's loop keep, from now on, what costs something to know: how long each task
/// was busy, what it waits on, and since when. Doing it again changes nothing.
///
/// # Panics
/// When the thread has no loop.
#[track_caller]
pub fn observe() {
    with_current(|core| {
        core.observe();
    });
}

/// Says what the running task waits on, in a word: for futures of other crates, called at each
/// poll that returns `Pending`. Those of this crate do it by themselves. Does nothing while nobody
/// looks, and without a loop.
///
/// ```
/// use monoloop_runtime::introspect;
/// use std::{future::poll_fn, task::Poll};
///
/// async fn flag_is_set(is_set: impl Fn() -> bool) {
///     poll_fn(|_| match is_set() {
///         true => Poll::Ready(()),
///         false => {
///             introspect::note("flag");
///             Poll::Pending
///         }
///     })
///     .await
/// }
/// ```
#[inline]
pub fn note(what: &'static str) {
    if let Some(core) = try_current() {
        core.note(WaitsOn::Named(what));
    }
}

/// Has snapshots show, for as long as the running task waits after this step, the context that is
/// current here, inside of which it waits. For those who poll a future in
/// [`Context::run`](crate::Context::run); one in [`Context::scope`](crate::Context::scope) does it
/// by itself. Does nothing while nobody looks.
pub fn note_context() {
    if let Some(core) = try_current() {
        core.observe_inner_context();
    }
}
