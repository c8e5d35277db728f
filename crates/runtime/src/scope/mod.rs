//! Starting tasks and waiting for them.

mod callback;
mod join_handle;
mod spawn;
mod yield_now;

pub use callback::{CallHandle, call_at, call_later, call_soon};
pub use join_handle::{JoinHandle, TaskHandle, current_task};
pub use spawn::{spawn, spawn_named};
pub use yield_now::{YieldNow, consume_budget, yield_now};
