//! Writing to the standard output and the standard error output.

use crate::blocking::{Pool, output, spawn_in};
use crate::runtime::current;
use std::io::{self, Write};
use std::sync::LazyLock;

/// Writes that were given up and wait to be made, at most; beyond that those who want to write
/// wait in line.
const QUEUE_MAX: usize = 1024;

static STDOUT: LazyLock<Pool> = LazyLock::new(|| Pool::of_one("monoloop-stdout", QUEUE_MAX));
static STDERR: LazyLock<Pool> = LazyLock::new(|| Pool::of_one("monoloop-stderr", QUEUE_MAX));

/// The standard output.
#[must_use]
pub fn stdout() -> Stdout {
    Stdout(())
}

/// The standard error output.
#[must_use]
pub fn stderr() -> Stderr {
    Stderr(())
}

/// The standard output: writes of all tasks and loops go out one after the other, in the order
/// in which they were first awaited, each in one piece.
///
/// What `println!` writes comes in between, in an order of its own.
#[derive(Debug)]
pub struct Stdout(());

/// The standard error output, otherwise as [`Stdout`].
#[derive(Debug)]
pub struct Stderr(());

macro_rules! writing {
    ($output:ident, $pool:ident, $open:path) => {
        impl $output {
            /// Writes all of `bytes`, and waits until the system has them. Takes a copy.
            ///
            /// # Errors
            /// What the operating system says, for example `BrokenPipe` when nobody reads it any
            /// more: then nobody will.
            ///
            /// # Panics
            /// When the thread has no loop.
            ///
            /// # Cancel safety
            /// Once awaited, all of it is written, in its turn; an error is lost.
            pub async fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
                let bytes = bytes.to_vec();
                in_order(&$pool, move || {
                    let mut output = $open().lock();
                    output.write_all(&bytes)?;
                    output.flush()
                })
                .await
            }

            /// Waits until everything is written that was to be written before, by whomever.
            ///
            /// # Errors
            /// What the operating system says.
            ///
            /// # Panics
            /// When the thread has no loop.
            ///
            /// # Cancel safety
            /// Nothing is lost.
            pub async fn flush(&mut self) -> io::Result<()> {
                in_order(&$pool, || $open().flush()).await
            }
        }
    };
}

writing!(Stdout, STDOUT, io::stdout);
writing!(Stderr, STDERR, io::stderr);

async fn in_order(
    pool: &'static LazyLock<Pool>,
    write: impl FnOnce() -> io::Result<()> + Send + 'static,
) -> io::Result<()> {
    if current().is_simulated() {
        return write();
    }
    output(spawn_in(pool, write).await)
}
