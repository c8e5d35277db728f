//! Starting tasks, waiting for them, and ending them.

mod callback;
mod children;
mod gather;
mod give_up;
mod group_error;
mod join_handle;
mod loop_handle;
mod on_cancel;
mod shield;
mod spawn;
mod task_group;
mod task_handle;
mod yield_now;

pub use callback::{CallHandle, call_at, call_later, call_soon};
pub use gather::{AsCompleted, as_completed, gather, race, try_gather};
pub use give_up::give_up;
pub use group_error::{GroupError, GroupFailure};
pub use join_handle::JoinHandle;
pub use loop_handle::{LoopEnded, LoopHandle, RemoteCallHandle, loop_handle};
pub use on_cancel::{OnCancel, on_cancel};
pub use shield::{Shield, shield};
pub use spawn::{spawn, spawn_named};
pub use task_group::{GroupTask, TaskGroup, task_group};
pub use task_handle::{AllTasks, RunState, TaskHandle, all_tasks, cancelled, current_task};
pub use yield_now::{YieldNow, consume_budget, poll_consume_budget, yield_now};
