//! Blocking work, in threads beside the loop.

mod handle;
mod pool;

pub use handle::{BlockingHandle, blocking_stats, spawn_blocking};
pub(crate) use handle::{output, run_blocking, spawn_in};
pub(crate) use pool::{Jobs, Pool};
