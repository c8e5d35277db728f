//! The pipes to and from a child.

use crate::driver::Source;
use crate::net::{Chunk, Socket};
use crate::runtime::current;
use std::fmt;
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::os::fd::OwnedFd;
use std::task::{Context, Poll};

/// One end of a pipe, waited for by the loop. The child's end is another open file: that ours
/// returns at once changes nothing for it.
fn adopt(end: OwnedFd) -> io::Result<Socket> {
    let core = current();
    let id = core.driver.borrow_mut().adopt(Source::Descriptor(end))?;
    Ok(Socket::new(core, id))
}

/// The standard input of a child. Dropping it is the input's end.
pub struct ChildStdin {
    socket: Socket,
}

/// The standard output of a child.
pub struct ChildStdout {
    socket: Socket,
}

/// The standard error output of a child.
pub struct ChildStderr {
    socket: Socket,
}

impl ChildStdin {
    /// Writes what fits and returns how many bytes that were.
    ///
    /// # Errors
    /// What the operating system says, for example `BrokenPipe` when the child reads no more.
    ///
    /// # Cancel safety
    /// Nothing is lost: a dropped future has written nothing.
    pub async fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        poll_fn(|cx| self.poll_write(cx, bytes)).await
    }

    /// Writes all of `bytes`.
    ///
    /// # Errors
    /// What the operating system says; `WriteZero` when the pipe takes no more.
    ///
    /// # Cancel safety
    /// Some of the bytes may have been written: close it.
    pub async fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut left = bytes;
        while !left.is_empty() {
            match self.write(left).await? {
                0 => return Err(io::ErrorKind::WriteZero.into()),
                count => left = &left[count..],
            }
        }
        Ok(())
    }

    /// Writes what fits of several buffers, one behind the other.
    ///
    /// # Errors
    /// What the operating system says, for example `BrokenPipe` when the child reads no more.
    ///
    /// # Cancel safety
    /// Nothing is lost: a dropped future has written nothing.
    pub async fn write_vectored(&mut self, buffers: &[IoSlice<'_>]) -> io::Result<usize> {
        poll_fn(|cx| self.poll_write_vectored(cx, buffers)).await
    }

    /// Writes all of several buffers, one behind the other. Leaves `buffers` advanced.
    ///
    /// # Errors
    /// What the operating system says; `WriteZero` when the pipe takes no more.
    ///
    /// # Cancel safety
    /// Some of the bytes may have been written: close it.
    pub async fn write_all_vectored(&mut self, buffers: &mut [IoSlice<'_>]) -> io::Result<()> {
        let mut left = buffers;
        // Empty ones in front would look like a pipe that takes no more.
        IoSlice::advance_slices(&mut left, 0);
        while !left.is_empty() {
            match self.write_vectored(left).await? {
                0 => return Err(io::ErrorKind::WriteZero.into()),
                count => IoSlice::advance_slices(&mut left, count),
            }
        }
        Ok(())
    }

    /// Polls for what [`write`](ChildStdin::write) returns.
    pub fn poll_write(&mut self, cx: &Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.socket.poll_write(cx, &[IoSlice::new(bytes)])
    }

    /// Polls for what [`write_vectored`](ChildStdin::write_vectored) returns.
    pub fn poll_write_vectored(
        &mut self,
        cx: &Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.socket.poll_write(cx, buffers)
    }
}

macro_rules! reading {
    ($pipe:ident) => {
        impl $pipe {
            /// Receives what has come, in a buffer lent by the loop; empty when all who could
            /// write to it have ended. Holds no buffer while it waits.
            ///
            /// # Errors
            /// What the operating system says.
            ///
            /// # Cancel safety
            /// Nothing is lost.
            pub async fn receive(&mut self) -> io::Result<Chunk> {
                poll_fn(|cx| self.poll_receive(cx)).await
            }

            /// Reads into `buffer` and returns how many bytes came; 0 when all who could write
            /// to it have ended, or `buffer` is empty.
            ///
            /// # Errors
            /// What the operating system says.
            ///
            /// # Cancel safety
            /// Nothing is lost.
            pub async fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                poll_fn(|cx| self.poll_read(cx, buffer)).await
            }

            /// Polls for what `receive` returns.
            pub fn poll_receive(&mut self, cx: &Context<'_>) -> Poll<io::Result<Chunk>> {
                self.socket.poll_receive(cx)
            }

            /// Polls for what `read` returns.
            pub fn poll_read(
                &mut self,
                cx: &Context<'_>,
                buffer: &mut [u8],
            ) -> Poll<io::Result<usize>> {
                self.socket.poll_read(cx, buffer)
            }
        }
    };
}

reading!(ChildStdout);
reading!(ChildStderr);

macro_rules! opening {
    ($($pipe:ident),+) => {
        $(impl $pipe {
            pub(super) fn open(end: impl Into<OwnedFd>) -> io::Result<Self> {
                Ok($pipe {
                    socket: adopt(end.into())?,
                })
            }
        })+
    };
}

opening!(ChildStdin, ChildStdout, ChildStderr);

macro_rules! debug_as_name {
    ($($pipe:ident),+) => {
        $(impl fmt::Debug for $pipe {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($pipe)).finish_non_exhaustive()
            }
        })+
    };
}

debug_as_name!(ChildStdin, ChildStdout, ChildStderr);
