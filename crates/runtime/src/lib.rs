//! A single-thread event loop: tasks, timers, sockets, context variables and a blocking pool.
//!
//! One loop per thread, made by hand with [`Runtime::new`]; tasks are futures that need not
//! be `Send`; they are stepped strictly first in, first out. Time is the loop's: tests bring a
//! clock that jumps ([`ClockMode::Jumping`]) and never sleep.
//!
//! The crate is an hourglass. Above the neck is what users call ([`net`], [`fs`], [`io`],
//! `process`, [`time`], [`spawn`] and its relatives, [`spawn_blocking`], [`signal`]); the neck is
//! `runtime.rs` and `event_loop.rs`; below it lies what the loop is made of: tasks, drivers,
//! timers, clock, context, inbox. No arrow runs upward.
//!
//! The [`guide`] has these chapters: [from asyncio](guide::asyncio), [promises](guide::promises),
//! [cancel safety](guide::cancel_safety), [testing with simulation](guide::simulation).
//!
//! ```
//! use monoloop_runtime::{spawn, time, Runtime};
//! use std::time::Duration;
//!
//! let mut runtime = Runtime::new()?;
//! runtime.block_on(async {
//!     let slow = time::sleep(Duration::from_secs(5));
//!     let result = time::timeout(Duration::from_millis(10), slow).await;
//!     assert!(result.is_err());
//! });
//! # Ok::<(), std::io::Error>(())
//! ```

mod blocking;
mod buffers;
mod clock;
mod config;
mod context;
mod core;
mod deadline;
pub mod debug;
mod driver;
mod event_loop;
pub mod fs;
pub mod guide;
mod inbox;
#[cfg(all(test, loom))]
mod interleavings;
pub mod introspect;
pub mod io;
mod lag;
pub mod net;
#[cfg(unix)]
pub mod process;
mod ready;
mod runtime;
mod scope;
pub mod signal;
pub mod sim;
mod stats;
pub mod sync;
mod task;
mod threads;
pub mod time;
mod timer;
mod watchdog;

pub use blocking::{BlockingHandle, blocking_stats, spawn_blocking};
pub use clock::ClockMode;
pub use config::Config;
pub use context::{Context, ContextVar, InContext, Token};
pub use driver::{DriverKind, UnknownDriver};
pub use lag::{Histogram, Lag};
pub use runtime::{Builder, Runtime, lag, loop_stats};
pub use scope::{
    AllTasks, AsCompleted, CallHandle, GroupError, GroupFailure, GroupTask, JoinHandle, LoopEnded,
    LoopHandle, OnCancel, RemoteCallHandle, RunState, Shield, TaskGroup, TaskHandle, YieldNow,
    all_tasks, as_completed, call_at, call_later, call_soon, cancelled, consume_budget,
    current_task, gather, give_up, loop_handle, on_cancel, poll_consume_budget, race, shield,
    spawn, spawn_named, task_group, try_gather, yield_now,
};
pub use stats::{BlockingStats, LoopStats, TurnStats};
pub use task::{Cancelled, JoinError, NotATaskId, Panic, TaskId};

/// What the macros of this crate expand to; not for use by hand.
#[doc(hidden)]
pub use context::probe as __private;
