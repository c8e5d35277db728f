//! Blocking work, in threads beside the loop.

mod handle;
mod pool;

pub use handle::{BlockingHandle, spawn_blocking};
pub(crate) use pool::{Jobs, Pool};
