//! What a supervisor such as systemd hands over and is told. Nothing happens where there is none.

#[cfg(not(unix))]
#[path = "supervisor_other.rs"]
mod system;
#[cfg(unix)]
#[path = "supervisor_unix.rs"]
mod system;

pub(crate) use system::{take_listener, tell_ready, tell_stopping, tell_that_it_lives};
