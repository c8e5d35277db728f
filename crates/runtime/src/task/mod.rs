//! Tasks as data: their ids, states, table and results. What steps them is the loop.

mod id;
mod join_error;
mod state;
mod table;
mod waiter;
mod work;

pub use id::{NotATaskId, TaskId};
pub use join_error::{Cancelled, JoinError, Panic};
pub(crate) use state::{Step, TaskState};
pub(crate) use table::{BoxedWork, Fate, Joined, NewTask, Removed, Stepping, TaskLabel, TaskTable};
pub(crate) use waiter::{Caller, Waiter, WakerIdentity};
pub(crate) use work::{Work, WorkCell};
