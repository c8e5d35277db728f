//! What to start, and how.

use super::{Child, ExitStatus, Output, Stdio};
use crate::runtime::current;
use std::ffi::OsStr;
use std::io;
use std::path::Path;
use std::process;

/// What to start, and how: the standard library's command. What only that can say is said there,
/// and taken over with `from`.
#[derive(Debug)]
#[must_use]
pub struct Command {
    inner: process::Command,
    kill_on_drop: bool,
    /// Whether the three were set: what else they are depends on who starts it.
    stdio_is_set: [bool; 3],
}

impl Command {
    /// Starts `program`, found by `PATH` unless it has a slash, with the environment, the
    /// directory and the standard input and outputs of this process.
    pub fn new(program: impl AsRef<OsStr>) -> Self {
        process::Command::new(program).into()
    }

    /// Adds an argument.
    pub fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.inner.arg(argument);
        self
    }

    /// Adds arguments.
    pub fn args(mut self, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        self.inner.args(arguments);
        self
    }

    /// Sets a variable of the environment.
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.inner.env(name, value);
        self
    }

    /// Removes a variable from the environment.
    pub fn env_remove(mut self, name: impl AsRef<OsStr>) -> Self {
        self.inner.env_remove(name);
        self
    }

    /// Removes all variables, those set so far included.
    pub fn env_clear(mut self) -> Self {
        self.inner.env_clear();
        self
    }

    /// Sets the directory it runs in.
    pub fn current_dir(mut self, directory: impl AsRef<Path>) -> Self {
        self.inner.current_dir(directory);
        self
    }

    /// Sets its standard input; [`Stdio::piped`] makes [`Child::stdin`].
    pub fn stdin(mut self, stdin: impl Into<Stdio>) -> Self {
        self.inner.stdin(stdin);
        self.stdio_is_set[0] = true;
        self
    }

    /// Sets its standard output; [`Stdio::piped`] makes [`Child::stdout`].
    pub fn stdout(mut self, stdout: impl Into<Stdio>) -> Self {
        self.inner.stdout(stdout);
        self.stdio_is_set[1] = true;
        self
    }

    /// Sets its standard error output; [`Stdio::piped`] makes [`Child::stderr`].
    pub fn stderr(mut self, stderr: impl Into<Stdio>) -> Self {
        self.inner.stderr(stderr);
        self.stdio_is_set[2] = true;
        self
    }

    /// Whether it is killed (SIGKILL) when its [`Child`] is dropped and it still runs. Default:
    /// yes, see the [module](super). What it has started itself is not killed with it.
    pub fn kill_on_drop(mut self, kill: bool) -> Self {
        self.kill_on_drop = kill;
        self
    }

    /// Starts it.
    ///
    /// # Errors
    /// What the operating system says, with the program's name; `Unsupported` in a simulated
    /// world.
    ///
    /// # Panics
    /// When the thread has no loop.
    pub fn spawn(&mut self) -> io::Result<Child> {
        if current().is_simulated() {
            let error = io::Error::new(
                io::ErrorKind::Unsupported,
                "a simulated world has no other processes",
            );
            return Err(self.failed(&error));
        }
        // Before there is a child, so that its end cannot be missed.
        super::reaper::start().map_err(|error| self.failed(&error))?;
        let started = self.inner.spawn();
        let child = started.map_err(|error| self.failed(&error))?;
        Child::new(child, self.kill_on_drop).map_err(|error| self.failed(&error))
    }

    fn failed(&self, error: &io::Error) -> io::Error {
        let program = Path::new(self.inner.get_program()).display();
        io::Error::new(error.kind(), format!("cannot start {program}: {error}"))
    }

    /// Starts it and waits for its end.
    ///
    /// # Errors
    /// As [`spawn`](Command::spawn).
    ///
    /// # Panics
    /// When the thread has no loop.
    ///
    /// # Cancel safety
    /// The child is killed, unless it [may live on](Command::kill_on_drop).
    pub async fn status(&mut self) -> io::Result<ExitStatus> {
        self.spawn()?.wait().await
    }

    /// Starts it, with no input, and takes what it writes to its outputs until it ends, as far
    /// as these three were not set otherwise. There is no limit to how much that is: see
    /// [`output_at_most`](Command::output_at_most).
    ///
    /// # Errors
    /// As [`spawn`](Command::spawn), and as [`Child::wait_with_output`].
    ///
    /// # Panics
    /// When the thread has no loop.
    ///
    /// # Cancel safety
    /// The child is killed, unless it [may live on](Command::kill_on_drop).
    pub async fn output(&mut self) -> io::Result<Output> {
        self.output_at_most(usize::MAX).await
    }

    /// [`output`](Command::output), of so many bytes each at most.
    ///
    /// # Errors
    /// As [`spawn`](Command::spawn), and as [`Child::wait_with_output_at_most`].
    ///
    /// # Panics
    /// When the thread has no loop.
    ///
    /// # Cancel safety
    /// The child is killed, unless it [may live on](Command::kill_on_drop).
    pub async fn output_at_most(&mut self, bytes_max: usize) -> io::Result<Output> {
        let [stdin, stdout, stderr] = self.stdio_is_set;
        if !stdin {
            self.inner.stdin(Stdio::null());
        }
        if !stdout {
            self.inner.stdout(Stdio::piped());
        }
        if !stderr {
            self.inner.stderr(Stdio::piped());
        }
        let child = self.spawn()?;
        child.wait_with_output_at_most(bytes_max).await
    }

    /// The standard library's command, with all that it can be told.
    pub fn as_std_mut(&mut self) -> &mut process::Command {
        &mut self.inner
    }
}

impl From<process::Command> for Command {
    fn from(inner: process::Command) -> Self {
        Command {
            inner,
            kill_on_drop: true,
            stdio_is_set: [false; 3],
        }
    }
}
