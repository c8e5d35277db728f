//! A TCP connection.

use crate::core::Core;
use crate::driver::{ConnectOptions, SocketId};
use crate::net::socket::Socket;
use crate::net::{Chunk, OwnedReadHalf, OwnedWriteHalf, ReadHalf, WriteHalf};
use crate::runtime::current;
use std::fmt;
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::net::{Shutdown, SocketAddr};
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

/// A TCP connection. Closed when it is dropped.
///
/// ```
/// use monoloop_runtime::{Runtime, net::{TcpListener, TcpStream}, spawn};
///
/// # fn main() -> std::io::Result<()> {
/// let mut runtime = Runtime::new()?;
/// runtime.block_on(async {
///     let mut listener = TcpListener::bind("127.0.0.1:0".parse().unwrap())?;
///     let address = listener.local_addr()?;
///     let echo = spawn(async move {
///         let (mut stream, _peer) = listener.accept().await?;
///         loop {
///             let chunk = stream.receive().await?; // holds no buffer while it waits
///             if chunk.is_empty() {
///                 return std::io::Result::Ok(());
///             }
///             stream.write_all(&chunk).await?;
///         }
///     });
///     let mut stream = TcpStream::connect(address).await?;
///     stream.write_all(b"hello").await?;
///     assert_eq!(&*stream.receive().await?, b"hello");
///     drop(stream);
///     echo.await.expect("no panic")
/// })
/// # }
/// ```
pub struct TcpStream {
    pub(crate) socket: Socket,
}

impl TcpStream {
    pub(crate) fn new(core: Rc<Core>, id: SocketId) -> Self {
        TcpStream {
            socket: Socket::new(core, id),
        }
    }

    /// Connects to `address`. For a limit, wrap it in [`timeout`](crate::time::timeout).
    ///
    /// # Errors
    /// What the operating system says, for example `ConnectionRefused`.
    ///
    /// # Cancel safety
    /// The attempt is given up.
    pub async fn connect(address: SocketAddr) -> io::Result<TcpStream> {
        TcpStream::connect_with(address, &ConnectOptions::default()).await
    }

    /// [`connect`](TcpStream::connect), from a given address or with other options.
    ///
    /// # Errors
    /// What the operating system says, for example `AddrNotAvailable` when the local address
    /// has no port left.
    ///
    /// # Cancel safety
    /// The attempt is given up.
    pub async fn connect_with(
        address: SocketAddr,
        options: &ConnectOptions,
    ) -> io::Result<TcpStream> {
        let core = current();
        let id = core.driver.borrow_mut().connect(address, options)?;
        let stream = TcpStream::new(core, id);
        poll_fn(|cx| {
            let core = &stream.socket.core;
            let caller = core.caller(cx);
            core.driver.borrow_mut().connected(id, &caller)
        })
        .await?;
        Ok(stream)
    }

    /// Receives what has come, in a buffer lent by the loop; empty when the peer has
    /// finished. Holds no buffer while it waits.
    ///
    /// # Errors
    /// What the operating system says, for example `ConnectionReset`.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub async fn receive(&mut self) -> io::Result<Chunk> {
        poll_fn(|cx| self.poll_receive(cx)).await
    }

    /// Reads into `buffer` and returns how many bytes came; 0 when the peer has finished, or
    /// `buffer` is empty.
    ///
    /// # Errors
    /// What the operating system says, for example `ConnectionReset`.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub async fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        poll_fn(|cx| self.poll_read(cx, buffer)).await
    }

    /// Writes what fits and returns how many bytes that were.
    ///
    /// # Errors
    /// What the operating system says, for example `BrokenPipe`.
    ///
    /// # Cancel safety
    /// Nothing is lost: a dropped future has written nothing.
    pub async fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        poll_fn(|cx| self.poll_write(cx, bytes)).await
    }

    /// Writes all of `bytes`.
    ///
    /// # Errors
    /// What the operating system says; `WriteZero` when the socket takes no more.
    ///
    /// # Cancel safety
    /// Some of the bytes may have been written: close the stream.
    pub async fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut written = 0;
        poll_fn(|cx| poll_write_all(&self.socket, cx, bytes, &mut written)).await
    }

    /// Writes what fits of several buffers, one behind the other.
    ///
    /// # Errors
    /// What the operating system says, for example `BrokenPipe`.
    ///
    /// # Cancel safety
    /// Nothing is lost: a dropped future has written nothing.
    pub async fn write_vectored(&mut self, buffers: &[IoSlice<'_>]) -> io::Result<usize> {
        poll_fn(|cx| self.poll_write_vectored(cx, buffers)).await
    }

    /// Writes all of several buffers, one behind the other. Leaves `buffers` advanced.
    ///
    /// # Errors
    /// What the operating system says; `WriteZero` when the socket takes no more.
    ///
    /// # Cancel safety
    /// Some of the bytes may have been written: close the stream.
    pub async fn write_all_vectored(&mut self, buffers: &mut [IoSlice<'_>]) -> io::Result<()> {
        let mut left = buffers;
        // Empty ones in front would look like a socket that takes no more.
        IoSlice::advance_slices(&mut left, 0);
        while !left.is_empty() {
            match self.write_vectored(left).await? {
                0 => return Err(io::ErrorKind::WriteZero.into()),
                count => IoSlice::advance_slices(&mut left, count),
            }
        }
        Ok(())
    }

    /// Polls for what [`receive`](TcpStream::receive) returns.
    #[inline]
    pub fn poll_receive(&mut self, cx: &Context<'_>) -> Poll<io::Result<Chunk>> {
        self.socket.poll_receive(cx)
    }

    /// Polls for what [`read`](TcpStream::read) returns.
    pub fn poll_read(&mut self, cx: &Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        self.socket.poll_read(cx, buffer)
    }

    /// Polls for what [`write`](TcpStream::write) returns.
    #[inline]
    pub fn poll_write(&mut self, cx: &Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.socket.poll_write(cx, &[IoSlice::new(bytes)])
    }

    /// Polls for what [`write_vectored`](TcpStream::write_vectored) returns.
    pub fn poll_write_vectored(
        &mut self,
        cx: &Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.socket.poll_write(cx, buffers)
    }

    /// Tells the peer that nothing more will be sent, or stops receiving, or both.
    ///
    /// # Errors
    /// What the operating system says, for example `NotConnected`.
    pub fn shutdown(&mut self, how: Shutdown) -> io::Result<()> {
        let mut driver = self.socket.core.driver.borrow_mut();
        driver.shutdown(self.socket.id, how)
    }

    /// Halves for reading and writing at the same time within one task.
    pub fn split(&mut self) -> (ReadHalf<'_>, WriteHalf<'_>) {
        (ReadHalf::new(&self.socket), WriteHalf::new(&self.socket))
    }

    /// Halves for two tasks. The connection is closed when both are dropped; a dropped write half
    /// tells the peer that nothing more will be sent.
    pub fn into_split(self) -> (OwnedReadHalf, OwnedWriteHalf) {
        let socket = Rc::new(self.socket);
        (
            OwnedReadHalf::new(socket.clone()),
            OwnedWriteHalf::new(socket),
        )
    }

    /// The address of the other end.
    ///
    /// # Errors
    /// `NotConnected` when the connection is gone.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.socket.core.driver.borrow().peer_addr(self.socket.id)
    }

    /// The connection's own address.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.core.driver.borrow().local_addr(self.socket.id)
    }

    /// Sets what closing does about bytes that the peer has not taken yet (`SO_LINGER`): `None`,
    /// the default, leaves them to the kernel, zero drops them and resets the connection.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn set_linger(&mut self, linger: Option<Duration>) -> io::Result<()> {
        let mut driver = self.socket.core.driver.borrow_mut();
        driver.set_linger(self.socket.id, linger)
    }

    /// Sends small segments at once (`TCP_NODELAY`), or gathers them.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn set_nodelay(&mut self, nodelay: bool) -> io::Result<()> {
        let mut driver = self.socket.core.driver.borrow_mut();
        driver.set_nodelay(self.socket.id, nodelay)
    }
}

/// Writes on from `written`.
pub(crate) fn poll_write_all(
    socket: &Socket,
    cx: &Context<'_>,
    bytes: &[u8],
    written: &mut usize,
) -> Poll<io::Result<()>> {
    while *written < bytes.len() {
        match socket.poll_write(cx, &[IoSlice::new(&bytes[*written..])]) {
            Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
            Poll::Ready(Ok(count)) => *written += count,
            Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
            Poll::Pending => return Poll::Pending,
        }
    }
    Poll::Ready(Ok(()))
}

impl fmt::Debug for TcpStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TcpStream")
            .field("local", &self.local_addr().ok())
            .field("peer", &self.peer_addr().ok())
            .finish()
    }
}
