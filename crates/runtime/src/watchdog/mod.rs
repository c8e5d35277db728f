//! Notices a loop that is stuck, from a thread of its own; see [`debug`](crate::debug) for what
//! it says to whom.
//!
//! - `pulse`: what the loop is doing, written by it and read by others;
//! - `watch`: decides whether that goes on for too long;
//! - `thread`: looks again and again, and rests while the loop does;
//! - `stacks`, `report`: where the loop is stuck, and how that is said.
//!
//! Each loop has its own: loops share nothing, and end one by one.

mod pulse;
mod report;
mod stacks;
mod thread;
mod watch;

pub(crate) use pulse::{Beat, Doing, Pulse};
pub(crate) use report::LateStep;
pub(crate) use thread::Watchdog;
