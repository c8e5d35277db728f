//! Standard input and output.
//!
//! They are shared: with the parent, with children, with whatever else runs at the same terminal.
//! To make them return at once would change them for all of these, so they stay as they are, and
//! threads of the process's own wait for them: one that reads, only while somebody wants to read,
//! and one for each output, which ends when there is nothing to write. No loop is ever stopped
//! by a terminal that is paused, or a pipe that nobody reads.
//!
//! These threads never hold up the end of the process: when `main` returns, one that waits for
//! input is gone with it. What is still to be written is lost then, so await
//! [`flush`](Stdout::flush) where a write was given up.
//!
//! ```no_run
//! use monoloop_runtime::{Runtime, io};
//!
//! # fn main() -> std::io::Result<()> {
//! Runtime::new()?.block_on(async {
//!     while let Some(line) = io::stdin().read_line().await? {
//!         io::stdout().write_all(line.to_uppercase().as_bytes()).await?;
//!     }
//!     Ok(())
//! })
//! # }
//! ```
//!
//! In a [simulated](crate::sim) world nobody types: input has ended, and output is written at
//! once. A clock that [jumps](crate::ClockMode::Jumping) does not wait for input.

mod output;
mod stdin;

pub use output::{Stderr, Stdout, stderr, stdout};
pub use stdin::{Stdin, stdin};
