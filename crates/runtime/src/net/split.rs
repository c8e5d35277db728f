//! The two directions of a connection, apart.

use crate::net::Chunk;
use crate::net::socket::Socket;
use crate::net::tcp_stream::poll_write_all;
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::net::Shutdown;
use std::rc::Rc;
use std::task::{Context, Poll};

/// What all reading halves can do.
macro_rules! reading {
    ($half:ty) => {
        impl $half {
            /// See [`TcpStream::receive`](crate::net::TcpStream::receive).
            ///
            /// # Errors
            /// What the operating system says, for example `ConnectionReset`.
            ///
            /// # Cancel safety
            /// Nothing is lost.
            pub async fn receive(&mut self) -> io::Result<Chunk> {
                poll_fn(|cx| self.socket.poll_receive(cx)).await
            }

            /// See [`TcpStream::read`](crate::net::TcpStream::read).
            ///
            /// # Errors
            /// What the operating system says, for example `ConnectionReset`.
            ///
            /// # Cancel safety
            /// Nothing is lost.
            pub async fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                poll_fn(|cx| self.socket.poll_read(cx, buffer)).await
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

/// What all writing halves can do.
macro_rules! writing {
    ($half:ty) => {
        impl $half {
            /// See [`TcpStream::write`](crate::net::TcpStream::write).
            ///
            /// # Errors
            /// What the operating system says, for example `BrokenPipe`.
            ///
            /// # Cancel safety
            /// Nothing is lost: a dropped future has written nothing.
            pub async fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                poll_fn(|cx| self.socket.poll_write(cx, &[IoSlice::new(bytes)])).await
            }

            /// See [`TcpStream::write_all`](crate::net::TcpStream::write_all).
            ///
            /// # Errors
            /// What the operating system says; `WriteZero` when the socket takes no more.
            ///
            /// # Cancel safety
            /// Some of the bytes may have been written: close the stream.
            pub async fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
                let mut left = bytes;
                poll_fn(|cx| poll_write_all(&self.socket, cx, &mut left)).await
            }

            /// See [`TcpStream::write_vectored`](crate::net::TcpStream::write_vectored).
            ///
            /// # Errors
            /// What the operating system says, for example `BrokenPipe`.
            ///
            /// # Cancel safety
            /// Nothing is lost: a dropped future has written nothing.
            pub async fn write_vectored(&mut self, buffers: &[IoSlice<'_>]) -> io::Result<usize> {
                poll_fn(|cx| self.socket.poll_write(cx, buffers)).await
            }

            /// Tells the peer that nothing more will be sent.
            ///
            /// # Errors
            /// What the operating system says, for example `NotConnected`.
            pub fn shutdown(&mut self) -> io::Result<()> {
                let mut driver = self.socket.core.driver.borrow_mut();
                driver.shutdown(self.socket.id, Shutdown::Write)
            }

            /// Polls for what `write` returns.
            pub fn poll_write(
                &mut self,
                cx: &Context<'_>,
                bytes: &[u8],
            ) -> Poll<io::Result<usize>> {
                self.socket.poll_write(cx, &[IoSlice::new(bytes)])
            }
        }
    };
}

/// The reading half of a borrowed [`TcpStream`](crate::net::TcpStream).
pub struct ReadHalf<'a> {
    socket: &'a Socket,
}

/// The writing half of a borrowed [`TcpStream`](crate::net::TcpStream).
pub struct WriteHalf<'a> {
    socket: &'a Socket,
}

/// The reading half of a [`TcpStream`](crate::net::TcpStream), for a task of its own.
pub struct OwnedReadHalf {
    socket: Rc<Socket>,
}

/// The writing half of a [`TcpStream`](crate::net::TcpStream), for a task of its own.
/// Dropping it tells the peer that nothing more will be sent.
pub struct OwnedWriteHalf {
    socket: Rc<Socket>,
}

reading!(ReadHalf<'_>);
reading!(OwnedReadHalf);
writing!(WriteHalf<'_>);
writing!(OwnedWriteHalf);

impl<'a> ReadHalf<'a> {
    pub(crate) fn new(socket: &'a Socket) -> Self {
        ReadHalf { socket }
    }
}

impl<'a> WriteHalf<'a> {
    pub(crate) fn new(socket: &'a Socket) -> Self {
        WriteHalf { socket }
    }
}

impl OwnedReadHalf {
    pub(crate) fn new(socket: Rc<Socket>) -> Self {
        OwnedReadHalf { socket }
    }
}

impl OwnedWriteHalf {
    pub(crate) fn new(socket: Rc<Socket>) -> Self {
        OwnedWriteHalf { socket }
    }
}

impl Drop for OwnedWriteHalf {
    fn drop(&mut self) {
        // The connection may be gone already; then there is nobody to tell.
        let _ = self.shutdown();
    }
}

macro_rules! debug_as_name {
    ($($half:ident $(<$lifetime:lifetime>)?),+) => {
        $(impl std::fmt::Debug for $half $(<$lifetime>)? {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.debug_struct(stringify!($half)).finish_non_exhaustive()
            }
        })+
    };
}

debug_as_name!(ReadHalf<'_>, WriteHalf<'_>, OwnedReadHalf, OwnedWriteHalf);
