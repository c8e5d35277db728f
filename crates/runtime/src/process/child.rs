//! A process that was started.

use super::reaper::{self, Process};
use super::{ChildStderr, ChildStdin, ChildStdout, ExitStatus, Output};
use crate::net::Chunk;
use std::fmt;
use std::future::poll_fn;
use std::io;
use std::process;
use std::sync::Arc;
use std::task::{Context, Poll};

/// A process that was started. When it is dropped it is killed, unless it [may live
/// on](super::Command::kill_on_drop).
pub struct Child {
    process: Arc<Process>,
    kill_on_drop: bool,
    /// Where to write its standard input, if that is a pipe. Dropping it is the input's end.
    pub stdin: Option<ChildStdin>,
    /// Where to read its standard output, if that is a pipe.
    pub stdout: Option<ChildStdout>,
    /// Where to read its standard error output, if that is a pipe.
    pub stderr: Option<ChildStderr>,
}

impl Child {
    pub(super) fn new(mut child: process::Child, kill_on_drop: bool) -> io::Result<Child> {
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
        let stderr = child.stderr.take();
        let mut child = Child {
            process: reaper::watch(child),
            // Should a pipe fail, it is not left alone.
            kill_on_drop: true,
            stdin: None,
            stdout: None,
            stderr: None,
        };
        child.stdin = stdin.map(ChildStdin::open).transpose()?;
        child.stdout = stdout.map(ChildStdout::open).transpose()?;
        child.stderr = stderr.map(ChildStderr::open).transpose()?;
        child.kill_on_drop = kill_on_drop;
        Ok(child)
    }

    /// The process id. Once the process has ended the system may give it to another.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Waits for its end. Its standard input is ended first, if it is still here: a child that
    /// waits for more of it would never end. May be called again.
    ///
    /// # Errors
    /// What the operating system says, for example when somebody else has waited for all
    /// children of this process.
    ///
    /// # Cancel safety
    /// Nothing is lost but the standard input.
    pub async fn wait(&mut self) -> io::Result<ExitStatus> {
        drop(self.stdin.take());
        poll_fn(|cx| self.process.poll_wait(cx)).await
    }

    /// Polls for its end. Who polled last is woken. Leaves its standard input alone.
    pub fn poll_wait(&mut self, cx: &Context<'_>) -> Poll<io::Result<ExitStatus>> {
        self.process.poll_wait(cx)
    }

    /// Whether it has ended, and how.
    ///
    /// # Errors
    /// As [`wait`](Child::wait).
    pub fn try_wait(&mut self) -> io::Result<Option<ExitStatus>> {
        self.process.try_wait()
    }

    /// Kills it (SIGKILL) and waits for its end. One that has ended is left as it was.
    ///
    /// # Errors
    /// What the operating system says.
    ///
    /// # Cancel safety
    /// It is killed.
    pub async fn kill(&mut self) -> io::Result<ExitStatus> {
        self.start_kill()?;
        self.wait().await
    }

    /// Kills it (SIGKILL), to end as soon as the system gets to it. One that has ended is left as
    /// it was.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn start_kill(&mut self) -> io::Result<()> {
        self.process.kill()
    }

    /// Asks it to end (SIGTERM), which it may do in its own time, or not at all. One that has
    /// ended is left as it was.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn terminate(&mut self) -> io::Result<()> {
        self.process.terminate()
    }

    /// Takes what it writes to its outputs, as far as they are pipes and still here, until they
    /// and the process have ended. A process that it has started, and that has its outputs, too,
    /// is waited for with it. There is no limit to the memory this takes: see
    /// [`wait_with_output_at_most`](Child::wait_with_output_at_most).
    ///
    /// # Errors
    /// What the operating system says.
    ///
    /// # Cancel safety
    /// The child is killed, unless it [may live on](super::Command::kill_on_drop); what was read
    /// is lost.
    pub async fn wait_with_output(self) -> io::Result<Output> {
        self.wait_with_output_at_most(usize::MAX).await
    }

    /// [`wait_with_output`](Child::wait_with_output), of so many bytes each at most.
    ///
    /// # Errors
    /// What the operating system says; `FileTooLarge` when there is more, then it is killed.
    ///
    /// # Cancel safety
    /// The child is killed, unless it [may live on](super::Command::kill_on_drop); what was read
    /// is lost.
    pub async fn wait_with_output_at_most(mut self, bytes_max: usize) -> io::Result<Output> {
        drop(self.stdin.take());
        let (mut stdout, mut stderr) =
            (Collected::at_most(bytes_max), Collected::at_most(bytes_max));
        let ended = poll_fn(|cx| {
            let out = stdout.poll(&mut self.stdout, |pipe| pipe.poll_receive(cx))?;
            let err = stderr.poll(&mut self.stderr, |pipe| pipe.poll_receive(cx))?;
            match (out, err) {
                (Poll::Ready(()), Poll::Ready(())) => Poll::Ready(Ok(())),
                _ => Poll::Pending,
            }
        });
        if let Err(error) = ended.await {
            // Nobody would read what else it writes.
            self.kill_on_drop = true;
            return Err(error);
        }
        Ok(Output {
            status: self.wait().await?,
            stdout: stdout.bytes,
            stderr: stderr.bytes,
        })
    }
}

/// What came out of a pipe.
struct Collected {
    bytes: Vec<u8>,
    bytes_max: usize,
}

impl Collected {
    fn at_most(bytes_max: usize) -> Self {
        let bytes = Vec::new();
        Collected { bytes, bytes_max }
    }

    /// Takes what is there. Ready once the pipe has ended, which is `None` from then on.
    fn poll<P>(
        &mut self,
        pipe: &mut Option<P>,
        mut receive: impl FnMut(&mut P) -> Poll<io::Result<Chunk>>,
    ) -> io::Result<Poll<()>> {
        while let Some(open) = pipe {
            let Poll::Ready(chunk) = receive(open) else {
                return Ok(Poll::Pending);
            };
            let chunk = chunk?;
            if chunk.is_empty() {
                *pipe = None;
            } else if chunk.len() > self.bytes_max - self.bytes.len() {
                return Err(io::Error::new(
                    io::ErrorKind::FileTooLarge,
                    format!(
                        "the child process wrote more than the {} bytes allowed",
                        self.bytes_max
                    ),
                ));
            } else {
                self.bytes.extend_from_slice(&chunk);
            }
        }
        Ok(Poll::Ready(()))
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if self.kill_on_drop {
            // It may have ended; there is nobody to tell of anything else.
            let _ = self.process.kill();
        }
    }
}

impl fmt::Debug for Child {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Child")
            .field("id", &self.id())
            .finish_non_exhaustive()
    }
}
