//! Looking into a running server, through a Unix socket: what the `monoloop` command talks to.
//!
//! A server opens one when it is told to: `socket` in its configuration, `--socket`,
//! `MONOLOOP_SOCKET`, or [`Server::socket`](crate::Server::socket). Any other program does it
//! by hand:
//!
//! ```no_run
//! use monoloop::{Runtime, introspect::Socket};
//!
//! let socket = Socket::open("/run/jobs.sock")?;
//! Runtime::new()?.block_on(async {
//!     socket.show_this_loop();
//!     // Work.
//! });
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Threads of its own serve the socket, so that it answers while a loop is stuck. What the loop
//! itself keeps and pays for it says [`monoloop_runtime::introspect`], which is re-exported here.
//!
//! # The protocol
//! A client sends one line of JSON and reads lines of JSON until the connection is closed:
//! `{"monoloop":1,"ask":"ps"}`, `{"monoloop":1,"ask":"trace","loop":0,"turns":5,"timeout_ms":5000}`,
//! `{"monoloop":1,"ask":"cancel","loop":0,"task":"17.3"}`. The number is the version; a server
//! that speaks another says which.
//!
//! # Who may
//! The user that the server runs as, and root: the socket's mode is 0600 from the moment it can
//! be found. A client that sends nothing, too much, or does not read is cut off.

mod client;
#[cfg_attr(
    not(unix),
    allow(dead_code, reason = "there is no socket to answer at")
)]
mod loops;
mod open;
#[cfg_attr(
    not(unix),
    allow(dead_code, reason = "there is no socket to answer at")
)]
mod protocol;
#[cfg_attr(
    not(unix),
    allow(dead_code, reason = "there is no socket to answer at")
)]
mod report;

#[cfg(not(unix))]
mod other;
#[cfg(unix)]
mod place;
#[cfg(unix)]
mod serve;
#[cfg(unix)]
mod unix;

pub use client::{AskError, Client};
pub use open::{Socket, SocketError};
pub use protocol::{Ask, Reply};
pub use report::{
    LoopReport, LoopState, Report, StepReport, StuckReport, TaskReport, TurnReport, WaitReport,
};

pub use monoloop_runtime::introspect::*;

#[cfg(not(unix))]
use other as system;
#[cfg(unix)]
use unix as system;
