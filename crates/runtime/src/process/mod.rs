//! Child processes (Unix).
//!
//! [`Command`] says what to start, [`Child`] is what runs: its pipes are streams of the loop,
//! with the methods that sockets have, and waiting for its end is a future.
//!
//! ```
//! use monoloop_runtime::{Runtime, process::Command};
//! use std::process::Stdio;
//!
//! # fn main() -> std::io::Result<()> {
//! Runtime::new()?.block_on(async {
//!     let output = Command::new("echo").arg("hello").output().await?;
//!     assert_eq!(output.stdout, b"hello\n");
//!
//!     let mut child = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
//!     let mut stdin = child.stdin.take().expect("it is piped");
//!     stdin.write_all(b"through a pipe").await?;
//!     drop(stdin);
//!     let mut stdout = child.stdout.take().expect("it is piped");
//!     assert_eq!(&*stdout.receive().await?, b"through a pipe");
//!     assert!(child.wait().await?.success());
//!     Ok(())
//! })
//! # }
//! ```
//!
//! **A child does not outlive its handle**, as tasks do not outlive their group: a [`Child`] that
//! is dropped, also with the task that was cancelled, is killed. trio's `run_process` does so; the
//! standard library and tokio let it run on by default, and so does this module after
//! [`kill_on_drop(false)`](Command::kill_on_drop).
//!
//! **No zombie is left.** The first child of a process starts a thread that hears of SIGCHLD and
//! asks each child that runs, whether anybody waits for it or not. A signal stands for any number
//! of ends, so all are asked. Only the children of this module are: those that others have started
//! are left to them. A handler that was installed for SIGCHLD before is called as well.
//!
//! **What starting costs**: the loop stands still while the system makes the process and its
//! program is found, as in tokio; a millisecond or less, by the size of the process.
//!
//! A clock that [jumps](crate::ClockMode::Jumping) does not wait for children. A
//! [simulated](crate::sim) world has no processes but the one: starting a child there fails with
//! `Unsupported`.

mod child;
mod command;
mod pipe;
mod reaper;

pub use child::Child;
pub use command::Command;
pub use pipe::{ChildStderr, ChildStdin, ChildStdout};
pub use std::process::{ExitStatus, Output, Stdio};
