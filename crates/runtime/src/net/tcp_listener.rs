//! A listening socket.

use crate::driver::{ListenOptions, Source, ignore_new};
use crate::net::TcpStream;
use crate::net::socket::Socket;
use crate::runtime::current;
use std::fmt;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll, ready};

/// A listening TCP socket. Closed when it is dropped.
pub struct TcpListener {
    socket: Socket,
}

impl TcpListener {
    /// Listens at `address`; port 0 lets the kernel choose.
    ///
    /// # Errors
    /// What the operating system says, for example `AddrInUse`.
    ///
    /// # Panics
    /// When the thread has no loop.
    pub fn bind(address: SocketAddr) -> io::Result<TcpListener> {
        TcpListener::bind_with(address, &ListenOptions::default())
    }

    /// [`bind`](TcpListener::bind) with other options.
    ///
    /// # Errors
    /// What the operating system says; `Unsupported` when it has no `SO_REUSEPORT`.
    ///
    /// # Panics
    /// When the thread has no loop.
    pub fn bind_with(address: SocketAddr, options: &ListenOptions) -> io::Result<TcpListener> {
        let core = current();
        let id = core.driver.borrow_mut().listen(address, options)?;
        Ok(TcpListener {
            socket: Socket::new(core, id),
        })
    }

    /// Takes over a socket that listens already, for example one inherited from a parent.
    ///
    /// # Errors
    /// What the operating system says.
    ///
    /// # Panics
    /// When the thread has no loop.
    pub fn from_std(listener: std::net::TcpListener) -> io::Result<TcpListener> {
        let core = current();
        let listener = Source::TcpListener(listener);
        let id = core.driver.borrow_mut().adopt(listener)?;
        Ok(TcpListener {
            socket: Socket::new(core, id),
        })
    }

    /// Accepts one connection.
    ///
    /// # Errors
    /// What the operating system says about this connection (`ConnectionAborted`) or about
    /// the process (no descriptor left). The listener stays usable. When descriptors ran out,
    /// wait a while before the next call: it fails at once until there are some.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub async fn accept(&mut self) -> io::Result<(TcpStream, SocketAddr)> {
        poll_fn(|cx| self.poll_accept(cx)).await
    }

    /// Polls for what [`accept`](TcpListener::accept) returns.
    pub fn poll_accept(&mut self, cx: &Context<'_>) -> Poll<io::Result<(TcpStream, SocketAddr)>> {
        let (socket, peer) = ready!(self.socket.poll_accept(cx))?;
        Poll::Ready(Ok((TcpStream { socket }, peer.ip()?)))
    }

    /// Lets nobody begin to connect any more; who has begun can still be accepted. For a socket
    /// that shares its port (`SO_REUSEPORT`) with one that takes over: the kernel resets connections
    /// that nobody has accepted when their listener is closed, so accept for as long as a handshake
    /// takes, then close. Clients that are ignored meanwhile try once more by themselves, one
    /// second later. Not to be undone.
    ///
    /// # Errors
    /// What the operating system says; `Unsupported` where it is not Linux, and in simulations.
    pub fn ignore_new_connections(&self) -> io::Result<()> {
        self.socket.option(ignore_new)
    }

    /// The address it listens at.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()?.ip()
    }
}

impl fmt::Debug for TcpListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TcpListener")
            .field("local", &self.local_addr().ok())
            .finish()
    }
}
